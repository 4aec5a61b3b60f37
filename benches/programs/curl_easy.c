/*
 * libcurl's easy interface as a careful program uses it: one handle, kept for all requests, on the thread that wants the
 * response; or 16 threads with a handle each if many are wanted at once.
 */
#include "curl_transfer.h"

#include <pthread.h>

#define THREADS 16

static struct arguments arguments;

static void set_up(struct transfer *transfer)
{
    if (!(transfer->easy = curl_easy_init()))
        fail("out of memory");
    set_options(transfer, arguments.url);
    if (is(&arguments, "tls"))
        curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, arguments.path);
}

static uint64_t perform(struct transfer *transfer)
{
    curl_off_t length = 0;
    long status = 0;
    transfer->length = 0;
    CURLcode result = curl_easy_perform(transfer->easy);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &length);
    if (result != CURLE_OK || status != 200 || (uint64_t)length != arguments.length)
        fail("status %ld, %lld bytes: %s", status, (long long)length, curl_easy_strerror(result));
    return (uint64_t)length;
}

/* Into a file of another name first, so that it is whole under its own. */
static uint64_t perform_to_file(struct transfer *transfer)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", arguments.path) >= (int)sizeof part)
        fail("path too long");
    FILE *file = fopen(part, "wb");
    if (!file)
        fail("cannot write %s", part);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, NULL);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, file);
    uint64_t length = perform(transfer);
    if (fclose(file) != 0 || rename(part, arguments.path) != 0)
        fail("cannot write %s", arguments.path);
    return length;
}

/* What the threads have to do: `wanted` requests, of which some may be under way. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_cond_t done;
    size_t wanted;
    size_t unfinished;
    uint64_t bytes;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER };

static void *serve(void *user)
{
    struct transfer *transfer = user;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.wanted == 0)
            pthread_cond_wait(&pool.more, &pool.lock);
        pool.wanted--;
        pthread_mutex_unlock(&pool.lock);
        uint64_t length = perform(transfer);
        pthread_mutex_lock(&pool.lock);
        pool.bytes += length;
        if (--pool.unfinished == 0)
            pthread_cond_signal(&pool.done);
    }
    return NULL;
}

static void start_threads(void)
{
    struct transfer *transfers = allocate(THREADS, sizeof *transfers);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        set_up(&transfers[i]);
        if (pthread_create(&thread, NULL, serve, &transfers[i]) != 0)
            fail("cannot start a thread");
    }
}

static void get_all_on_threads(size_t count)
{
    pthread_mutex_lock(&pool.lock);
    pool.wanted = pool.unfinished = count;
    pthread_cond_broadcast(&pool.more);
    while (pool.unfinished > 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
}

int main(int argc, char **argv)
{
    struct transfer transfer = { 0 };
    struct spent from;
    size_t requests;
    uint64_t bytes = 0;
    arguments = read_arguments(argc, argv);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        fail("libcurl does not start");

    printf("{");
    if (is(&arguments, "small") && arguments.parallel > 1) {
        start_threads();
        get_all_on_threads(arguments.parallel);
        pool.bytes = 0;
        from = spent_now();
        for (requests = 0; requests < arguments.count; requests += arguments.parallel)
            get_all_on_threads(arguments.parallel);
        bytes = pool.bytes;
    } else if (is(&arguments, "small") || is(&arguments, "latency")) {
        uint64_t *times = allocate(arguments.count, sizeof *times);
        set_up(&transfer);
        perform(&transfer);
        from = spent_now();
        for (requests = 0; requests < arguments.count; requests++) {
            uint64_t start = now_ns();
            bytes += perform(&transfer);
            times[requests] = now_ns() - start;
        }
        print_times("latency", times, requests);
        free(times);
    } else if (is(&arguments, "memory") || is(&arguments, "tls")) {
        set_up(&transfer);
        from = spent_now();
        for (requests = 0; requests < arguments.count; requests++) {
            bytes += perform(&transfer);
            /* Whoever wanted the body has it now. */
            free(transfer.body);
            transfer.body = NULL;
            transfer.capacity = 0;
        }
    } else if (is(&arguments, "file")) {
        set_up(&transfer);
        from = spent_now();
        for (requests = 0; requests < arguments.count; requests++)
            bytes += perform_to_file(&transfer);
    } else {
        fail("no such work");
    }
    print_spent(requests, bytes, from, spent_now());
    return 0;
}
