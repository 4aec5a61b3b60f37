/*
 * What the C tests share: checks that name what failed, a client, and a loop that waits with a deadline. A program that
 * includes this is C99 with POSIX, and ends with exit code 1 at the first check that does not hold.
 */
#ifndef SORTIE_TEST_CHECK_H
#define SORTIE_TEST_CHECK_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sortie.h>

/* How long anything may take before a test fails. Far more than any of it needs. */
#define DEADLINE_MS 60000

/* What out parameters hold before a call, to see that a refused one left them alone. */
#define UNTOUCHED UINT64_C(0x50474f5254494521)

#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_EQUAL(found, wanted) \
    check_equal((long long)(found), (long long)(wanted), #found " == " #wanted, __FILE__, __LINE__)
#define CHECK_TEXT(found, wanted) check_text((found), (wanted), #found " == " #wanted, __FILE__, __LINE__)
#define CHECK_HOLDS(found, part) check_holds((found), (part), #found " holds " #part, __FILE__, __LINE__)

static inline void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: FAILED: %s\n", file, line, what);
    fprintf(stderr, "    last error: %s\n", sortie_last_error_message());
    exit(1);
}

static inline void check_that(int holds, const char *what, const char *file, int line)
{
    if (!holds)
        check_failed(what, file, line);
}

static inline void check_equal(long long found, long long wanted, const char *what, const char *file, int line)
{
    if (found != wanted) {
        fprintf(stderr, "    found %lld, wanted %lld\n", found, wanted);
        check_failed(what, file, line);
    }
}

static inline void check_text(const char *found, const char *wanted, const char *what, const char *file, int line)
{
    if (found == NULL || strcmp(found, wanted) != 0) {
        fprintf(stderr, "    found \"%s\", wanted \"%s\"\n", found == NULL ? "(NULL)" : found, wanted);
        check_failed(what, file, line);
    }
}

static inline void check_holds(const char *found, const char *part, const char *what, const char *file, int line)
{
    if (found == NULL || strstr(found, part) == NULL) {
        fprintf(stderr, "    \"%s\" does not hold \"%s\"\n", found == NULL ? "(NULL)" : found, part);
        check_failed(what, file, line);
    }
}

static inline int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A setting of the test run; a test without its server fails rather than passes. */
static inline const char *setting(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || value[0] == '\0') {
        fprintf(stderr, "%s is not set; see CMakeLists.txt\n", name);
        exit(1);
    }
    return value;
}

/* A URL of the test server, in one of a few buffers that are used in turn. */
static inline const char *url_of(const char *variable, const char *path)
{
    static char buffers[8][512];
    static unsigned turn;
    char *buffer = buffers[turn++ % 8];
    const char *base = setting(variable);
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    CHECK(length + strlen(path) < sizeof buffers[0]);
    snprintf(buffer, sizeof buffers[0], "%.*s%s", (int)length, base, path);
    return buffer;
}

static inline const char *server_url(const char *path)
{
    return url_of("SORTIE_TEST_SERVER", path);
}

/* A client that goes straight to the test server, whatever proxy the environment names. */
static inline sortie_client *new_client(void)
{
    sortie_client_config config;
    sortie_client *client = NULL;
    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.proxy = "";
    CHECK_EQUAL(sortie_client_create(&config, &client), SORTIE_OK);
    CHECK(client != NULL);
    return client;
}

static inline sortie_request_desc new_desc(const char *url)
{
    sortie_request_desc desc;
    memset(&desc, 0, sizeof desc);
    desc.struct_size = sizeof desc;
    desc.url = url;
    return desc;
}

static inline sortie_stats stats_of(sortie_client *client)
{
    sortie_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats;
    CHECK_EQUAL(sortie_client_stats(client, &stats), SORTIE_OK);
    return stats;
}

/* Drains until the next event, which stays valid until the next poll. */
static inline sortie_event next_event(sortie_client *client)
{
    const int64_t deadline = now_ms() + DEADLINE_MS;
    sortie_event event;
    for (;;) {
        const int32_t count = sortie_poll(client, &event, 1);
        CHECK(count >= 0);
        if (count == 1)
            return event;
        CHECK(now_ms() < deadline);
        sortie_wait(client, 100);
    }
}

/* Drains until the ENDED event of a request, dropping what comes before. */
static inline sortie_event await_end(sortie_client *client, sortie_request request)
{
    for (;;) {
        const sortie_event event = next_event(client);
        if (event.request == request && event.type == SORTIE_EVENT_ENDED)
            return event;
    }
}

static inline sortie_event fetch(sortie_client *client, const char *url)
{
    sortie_request request = 0;
    CHECK_EQUAL(sortie_get(client, url, 0, &request), SORTIE_OK);
    return await_end(client, request);
}

/* The client completes a request, whatever came before. */
static inline void still_works(sortie_client *client)
{
    const sortie_event event = fetch(client, server_url("/bytes/10"));
    CHECK_EQUAL(event.error, SORTIE_ERROR_NONE);
    CHECK_EQUAL(event.status, 200);
    CHECK_EQUAL(event.body_length, 10);
}

#endif
