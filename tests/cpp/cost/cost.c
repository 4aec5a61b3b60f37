/* Submits and drains in the way of C: a record for each request, which user_data points to. See cost.cpp. */
#define _POSIX_C_SOURCE 200809L

#include <sortie.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COUNT 1000

struct record {
    void (*ended)(const sortie_event *event, uint64_t *bytes);
    uint64_t *bytes;
};

static void add(const sortie_event *event, uint64_t *bytes)
{
    if (event->error == SORTIE_ERROR_NONE && event->status == 200)
        *bytes += event->body_length;
}

__attribute__((noinline)) int get_all(sortie_client *client, struct record *records, uint64_t *bytes)
{
    for (int i = 0; i < COUNT; i++) {
        records[i] = (struct record){ add, bytes };
        if (sortie_get(client, "http://game.test/scores.json", (uint64_t)(uintptr_t)&records[i], NULL) != SORTIE_OK)
            return 0;
    }
    return 1;
}

__attribute__((noinline)) int submit_all(sortie_client *client, struct record *records, uint64_t *bytes)
{
    for (int i = 0; i < COUNT; i++) {
        const sortie_header headers[] = { { "X-Player", "12345" }, { "Accept", "application/json" } };
        sortie_request_desc desc;
        memset(&desc, 0, sizeof desc);
        records[i] = (struct record){ add, bytes };
        desc.struct_size = sizeof desc;
        desc.url = "http://game.test/scores.json";
        desc.method = "PUT";
        desc.headers = headers;
        desc.header_count = 2;
        desc.body = "{\"score\":42}";
        desc.body_length = 12;
        desc.content_type = "application/json";
        desc.timeout_ms = 5000;
        desc.user_data = (uint64_t)(uintptr_t)&records[i];
        if (sortie_submit(client, &desc, NULL) != SORTIE_OK)
            return 0;
    }
    return 1;
}

__attribute__((noinline)) void drain_all(sortie_client *client)
{
    sortie_event events[32];
    int32_t count;
    while ((count = sortie_poll(client, events, 32)) > 0) {
        for (int32_t i = 0; i < count; i++) {
            const struct record *record = (const struct record *)(uintptr_t)events[i].user_data;
            if (events[i].type == SORTIE_EVENT_ENDED)
                record->ended(&events[i], record->bytes);
        }
    }
}

/* Until all are there to be drained, lest the number of polls differ. */
static int await_all(sortie_client *client)
{
    sortie_stats stats = { .struct_size = sizeof stats };
    for (int tries = 0; tries < 60000; tries++) {
        if (sortie_client_stats(client, &stats) != SORTIE_OK)
            return 0;
        if (stats.undrained == COUNT)
            return 1;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return 0;
}

int main(void)
{
    static struct record records[COUNT];
    uint64_t bytes = 0;
    sortie_client_config config = { .struct_size = sizeof config, .flags = SORTIE_CLIENT_MOCKS_ONLY };
    sortie_mock mock = { .struct_size = sizeof mock, .url = "*", .body = "mocked", .body_length = 6 };
    sortie_client *client = NULL;
    if (sortie_client_create(&config, &client) != SORTIE_OK || sortie_client_mock(client, &mock, NULL) != SORTIE_OK)
        return 1;
    /* Twice, so that what grows at first has grown. */
    for (int round = 0; round < 2; round++) {
        if (!get_all(client, records, &bytes) || !await_all(client))
            return 1;
        drain_all(client);
        if (!submit_all(client, records, &bytes) || !await_all(client))
            return 1;
        drain_all(client);
    }
    sortie_client_destroy(client);
    printf("%d requests, %d bytes\n", 4 * COUNT, (int)bytes);
    return bytes == 4 * COUNT * 6 ? 0 : 1;
}
