/*
 * A client is destroyed in mid-flight of 200 transfers in every state, stuck name lookups among them: this program brings
 * a getaddrinfo() of its own, which takes the C library's place for Sortie too and does not come back for *.stuck.test.
 */
#include "check.h"

#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <unistd.h>

/*
 * The promise is 100 ms. A machine that is busy with other tests, or a library under sanitizers, gets some more before
 * this fails; the time is printed.
 */
#define DESTROY_LIMIT_MS 1000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int stuck, let_go;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    static const char suffix[] = ".stuck.test";
    const size_t length = node == NULL ? 0 : strlen(node);
    (void)service;
    (void)hints;
    (void)result;
    if (length < sizeof suffix || strcmp(node + length - (sizeof suffix - 1), suffix) != 0)
        return EAI_NONAME; /* the test server is known by its address */
    pthread_mutex_lock(&mutex);
    stuck++;
    pthread_cond_broadcast(&changed);
    while (!let_go)
        pthread_cond_wait(&changed, &mutex);
    stuck--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return EAI_AGAIN;
}

/* Waits until at least or at most so many look-ups are stuck. */
static void await_stuck(int least, int most)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&mutex);
    while (stuck < least || stuck > most)
        CHECK(pthread_cond_timedwait(&changed, &mutex, &deadline) == 0);
    pthread_mutex_unlock(&mutex);
}

static int entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void await_entries(const char *path, int count)
{
    const int64_t deadline = now_ms() + 10000;
    const struct timespec moment = {0, 1000000};
    while (entries(path) != count) {
        if (now_ms() >= deadline) {
            fprintf(stderr, "    %s has %d entries, not %d\n", path, entries(path), count);
            CHECK(!"descriptors and threads are as before");
        }
        nanosleep(&moment, NULL);
    }
}

static void destroy_in_mid_flight(const char *folder)
{
    static const char large[2 << 20];
    const int64_t deadline = now_ms() + DEADLINE_MS;
    const struct timespec moment = {0, 1000000};
    sortie_client_config config;
    sortie_client *client = NULL;
    sortie_stats stats;
    int64_t started, took;
    int i;

    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.proxy = "";
    config.max_active = 190;
    config.max_active_per_host = 190;
    CHECK_EQUAL(sortie_client_create(&config, &client), SORTIE_OK);
    for (i = 0; i < 40; i++) {
        char text[256];
        sortie_request_desc desc = new_desc(server_url("/upload-slow?rate=1"));
        desc.body = large;
        desc.body_length = sizeof large;
        desc.flags = SORTIE_REQUEST_BORROW_BODY;
        snprintf(text, sizeof text, "http://%d.stuck.test/", i);
        CHECK_EQUAL(sortie_get(client, text, 0, NULL), SORTIE_OK);
        snprintf(text, sizeof text, "%s/file%d", folder, i);
        CHECK_EQUAL(sortie_download(client, server_url("/stall?sent=900"), text, 0, NULL), SORTIE_OK);
        CHECK_EQUAL(sortie_get(client, server_url("/stall-headers"), 0, NULL), SORTIE_OK);
        CHECK_EQUAL(sortie_submit(client, &desc, NULL), SORTIE_OK);
        CHECK_EQUAL(sortie_get(client, server_url("/stall?sent=100"), 0, NULL), SORTIE_OK);
    }
    await_stuck(5, 1000);
    do {
        CHECK(now_ms() < deadline);
        nanosleep(&moment, NULL);
        stats = stats_of(client);
    } while (stats.active + stats.waiting < 200 || stats.active < 190 || entries(folder) < 10);

    started = now_ms();
    sortie_client_destroy(client);
    took = now_ms() - started;
    printf("destroy with %u active and %u waiting transfers, some in stuck lookups, took %d ms\n",
           (unsigned)stats.active, (unsigned)stats.waiting, (int)took);
    CHECK(took < DESTROY_LIMIT_MS);
    CHECK_EQUAL(entries(folder), 2); /* . and .. */
}

int main(void)
{
    char folder[] = "/tmp/sortie-c-XXXXXX";
    sortie_client *client;
    int threads, descriptors;

    CHECK(mkdtemp(folder) != NULL);
    /* Once before, for what the process makes once and keeps. */
    client = new_client();
    still_works(client);
    sortie_client_destroy(client);
    threads = entries("/proc/self/task");
    descriptors = entries("/proc/self/fd");

    destroy_in_mid_flight(folder);
    destroy_in_mid_flight(folder);
    CHECK(rmdir(folder) == 0);

    /* What stuck lookups still hold is given back when they come back. */
    pthread_mutex_lock(&mutex);
    let_go = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    await_stuck(0, 0);
    await_entries("/proc/self/task", threads);
    await_entries("/proc/self/fd", descriptors);
    return 0;
}
