/*
 * libcurl's multi interface as a careful program uses it: one loop around curl_multi_poll(), easy handles that are reset and
 * used again, room in the connection cache for all of them. `small-16` has it open 16 connections at most.
 */
#include "curl_transfer.h"

#include <unistd.h>

static struct arguments arguments;
static CURLM *multi;
static uint64_t bytes;

static void must(CURLMcode code)
{
    if (code != CURLM_OK)
        fail("%s", curl_multi_strerror(code));
}

/* An idle stream is open once it has sent something. */
static size_t count_body(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    ((struct transfer *)user)->length += size * count;
    return size * count;
}

static void start(struct transfer *transfer, const char *url)
{
    CURL *easy = transfer->easy;
    transfer->length = 0;
    curl_easy_reset(easy);
    set_options(transfer, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    if (is(&arguments, "http2")) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, arguments.path);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    }
    must(curl_multi_add_handle(multi, easy));
}

/* Goes on with all transfers; gives one that has ended well, or NULL if there is none at the moment. */
static struct transfer *finished(void)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        struct transfer *transfer = NULL;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        must(curl_multi_remove_handle(multi, easy));
        if (result != CURLE_OK || status != 200 || transfer->length != arguments.length)
            fail("status %ld, %zu bytes: %s", status, transfer->length, curl_easy_strerror(result));
        bytes += transfer->length;
        return transfer;
    }
    return NULL;
}

static void go_on(void)
{
    int running;
    must(curl_multi_perform(multi, &running));
}

static void wait(void)
{
    must(curl_multi_poll(multi, NULL, 0, 1000, NULL));
}

/* Keeps up to `window` transfers going until `count` have ended. */
static void get_all(struct transfer *transfers, size_t count, size_t window)
{
    size_t started = 0, ended = 0;
    for (; started < count && started < window; started++)
        start(&transfers[started], arguments.url);
    for (;;) {
        struct transfer *transfer;
        go_on();
        while ((transfer = finished())) {
            ended++;
            if (started < count) {
                start(transfer, arguments.url);
                started++;
            }
        }
        if (ended == count)
            return;
        wait();
    }
}

/* Opens responses that send a byte and then nothing, some at a time, and gives back once they are all open. */
static void open_idle_streams(struct transfer *transfers, size_t count)
{
    size_t started = 0, open = 0;
    while (open < count) {
        for (; started < count && started - open < 500; started++) {
            start(&transfers[started], arguments.path);
            curl_easy_setopt(transfers[started].easy, CURLOPT_WRITEFUNCTION, count_body);
            curl_easy_setopt(transfers[started].easy, CURLOPT_TIMEOUT_MS, 0L);
        }
        go_on();
        if (finished())
            fail("an idle stream ended");
        while (open < started && transfers[open].length > 0)
            open++;
        if (open < started)
            wait();
    }
}

/* The warm-up does not count. */
static struct spent begin(void)
{
    bytes = 0;
    return spent_now();
}

int main(int argc, char **argv)
{
    struct spent from;
    size_t requests;
    arguments = read_arguments(argc, argv);
    /* One more than are idle. */
    size_t handles = arguments.parallel + 1;
    struct transfer *transfers = allocate(handles, sizeof *transfers);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || !(multi = curl_multi_init()))
        fail("libcurl does not start");
    must(curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)handles));
    if (is(&arguments, "small-16"))
        must(curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 16L));
    for (size_t i = 0; i < handles; i++) {
        if (!(transfers[i].easy = curl_easy_init()))
            fail("out of memory");
    }

    printf("{");
    if (is(&arguments, "small") || is(&arguments, "small-16")) {
        get_all(transfers, arguments.parallel, arguments.parallel);
        from = begin();
        for (requests = 0; requests < arguments.count; requests += arguments.parallel)
            get_all(transfers, arguments.parallel, arguments.parallel);
    } else if (is(&arguments, "http2")) {
        get_all(transfers, 1, 1);
        from = begin();
        get_all(transfers, requests = arguments.count, arguments.parallel);
    } else if (is(&arguments, "idle")) {
        uint64_t *times = allocate(arguments.count, sizeof *times);
        get_all(transfers, 1, 1);
        unsigned long before_kib = memory_kib("VmRSS");
        open_idle_streams(transfers + 1, arguments.parallel);
        get_all(transfers, 1, 1);
        print_streams(arguments.parallel, before_kib);
        from = begin();
        for (requests = 0; requests < arguments.count; requests++) {
            uint64_t start = now_ns();
            get_all(transfers, 1, 1);
            times[requests] = now_ns() - start;
        }
        print_times("latency", times, requests);
    } else {
        fail("no such work");
    }
    print_spent(requests, bytes, from, spent_now());
    /* Taking ten thousand open transfers down would take longer than the work. */
    fflush(stdout);
    _exit(0);
}
