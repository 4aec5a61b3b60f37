/* What the programs on libcurl share: a transfer into memory, and the options of a request, so that all send the same. */
#ifndef SORTIE_BENCH_CURL_TRANSFER_H
#define SORTIE_BENCH_CURL_TRANSFER_H

#include "bench.h"

#include <curl/curl.h>

struct transfer {
    CURL *easy;
    char *body;
    size_t length;
    size_t capacity;
};

static inline size_t take_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t more = size * count;
    if (transfer->length + more > transfer->capacity) {
        /* What the server has announced, in one piece; else twice as much each time. */
        curl_off_t announced = -1;
        size_t capacity = transfer->capacity ? transfer->capacity * 2 : 4096;
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        if (transfer->length == 0 && announced > 0)
            capacity = (size_t)announced;
        while (capacity < transfer->length + more)
            capacity *= 2;
        char *body = realloc(transfer->body, capacity);
        if (!body)
            return 0;
        transfer->body = body;
        transfer->capacity = capacity;
    }
    memcpy(transfer->body + transfer->length, data, more);
    transfer->length += more;
    return more;
}

/* Sets a new or reset handle to a GET into memory. */
static inline void set_options(struct transfer *transfer, const char *url)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "bench/1");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that it can undo, as Sortie asks for */
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 30000L);
}

#endif
