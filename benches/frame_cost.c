/*
 * What the thread that draws the frames spends inside Sortie, for callgrind: each function below does one thing
 * COUNT times, and the step `cost` of the test command divides what was counted. Prints the allocations of this thread
 * for each, which it counts itself.
 */
#define _GNU_SOURCE
#include <sortie.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT 1000
#define BODY 20000

/* Allocations of the thread that looks, by taking the allocator's place. */
static __thread int counting;
static __thread unsigned long allocations;

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    allocations += (unsigned long)counting;
    return next(size);
}

void *calloc(size_t count, size_t size)
{
    void *memory = size && count > SIZE_MAX / size ? NULL : malloc(count * size);
    return memory ? memset(memory, 0, count * size) : NULL;
}

void *realloc(void *memory, size_t size)
{
    static void *(*next)(void *, size_t);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "realloc");
    allocations += (unsigned long)counting;
    return next(memory, size);
}

__attribute__((noinline)) void poll_empty(sortie_client *client)
{
    sortie_event events[32];
    for (int i = 0; i < COUNT; i++) {
        if (sortie_poll(client, events, 32) != 0)
            abort();
    }
}

__attribute__((noinline)) void submit_get(sortie_client *client)
{
    for (int i = 0; i < COUNT; i++) {
        if (sortie_get(client, "http://game.test/scores.json?day=today", (uint64_t)i, NULL) != SORTIE_OK)
            abort();
    }
}

__attribute__((noinline)) uint64_t drain_ended(sortie_client *client)
{
    sortie_event events[32];
    uint64_t bytes = 0;
    int32_t count;
    while ((count = sortie_poll(client, events, 32)) > 0) {
        for (int32_t i = 0; i < count; i++)
            bytes += events[i].body_length;
    }
    return bytes;
}

/* Until all are there to be drained. */
static void await_all(sortie_client *client)
{
    sortie_stats stats = { .struct_size = sizeof stats };
    for (int tries = 0; tries < 60000; tries++) {
        if (sortie_client_stats(client, &stats) != SORTIE_OK)
            abort();
        if (stats.undrained == COUNT)
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    abort();
}

int main(void)
{
    static char body[BODY];
    const sortie_header headers[] = {
        { "Content-Type", "application/octet-stream" },
        { "Cache-Control", "no-store" },
        { "ETag", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\"" },
        { "Server", "game.test" },
        { "Date", "Sun, 22 Nov 2026 12:00:00 GMT" },
    };
    sortie_client_config config = { .struct_size = sizeof config, .flags = SORTIE_CLIENT_MOCKS_ONLY };
    sortie_mock mock = {
        .struct_size = sizeof mock, .url = "*", .headers = headers, .header_count = 5, .body = body, .body_length = BODY,
    };
    sortie_client *client = NULL;
    unsigned long counts[3] = { 0 };
    uint64_t bytes = 0;
    if (sortie_client_create(&config, &client) != SORTIE_OK || sortie_client_mock(client, &mock, NULL) != SORTIE_OK)
        return 1;
    /* The first round is not counted: what grows at first has then grown. */
    for (int round = 0; round < 2; round++) {
        counting = round;
        poll_empty(client);
        counts[0] = allocations;
        submit_get(client);
        counts[1] = allocations - counts[0];
        counting = 0;
        await_all(client);
        counting = round;
        bytes = drain_ended(client);
        counts[2] = allocations - counts[0] - counts[1];
        counting = 0;
    }
    sortie_client_destroy(client);
    printf("allocations %lu %lu %lu\n", counts[0], counts[1], counts[2]);
    return bytes == (uint64_t)COUNT * BODY ? 0 : 1;
}
