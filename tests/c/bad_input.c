/*
 * Bad input from C, where a mistake is easily made: each call says what is wrong, leaves its out parameters alone, and
 * the client works on. tests/bad_input.rs has every case; here are those of each kind, under the sanitizers.
 */
#include "check.h"

#include <pthread.h>

#define REFUSED(call, result, text) \
    do { \
        CHECK_EQUAL((call), (result)); \
        CHECK_HOLDS(sortie_last_error_message(), (text)); \
    } while (0)

static void null_is_refused(sortie_client *client)
{
    const char *url = server_url("/bytes/1");
    const sortie_request_desc desc = new_desc(url), nameless = new_desc(NULL);
    sortie_request request = UNTOUCHED;
    sortie_body *body = NULL;
    sortie_stats stats;
    sortie_timing timing;
    sortie_event event;

    memset(&event, 0, sizeof event);
    memset(&stats, 0, sizeof stats);
    memset(&timing, 0, sizeof timing);
    stats.struct_size = sizeof stats;
    timing.struct_size = sizeof timing;
    REFUSED(sortie_client_create(NULL, NULL), SORTIE_RESULT_NULL_ARGUMENT, "out");
    REFUSED(sortie_submit(NULL, &desc, &request), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_submit(client, NULL, &request), SORTIE_RESULT_NULL_ARGUMENT, "sortie_request_desc");
    REFUSED(sortie_submit(client, &nameless, &request), SORTIE_RESULT_NULL_ARGUMENT, "url");
    REFUSED(sortie_get(client, NULL, 0, &request), SORTIE_RESULT_NULL_ARGUMENT, "url");
    REFUSED(sortie_download(client, url, NULL, 0, &request), SORTIE_RESULT_NULL_ARGUMENT, "path");
    REFUSED(sortie_upload(client, url, NULL, NULL, 0, &request), SORTIE_RESULT_NULL_ARGUMENT, "path");
    CHECK(request == UNTOUCHED);
    REFUSED(sortie_cancel(NULL, 1), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_poll(NULL, &event, 1), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_poll(client, NULL, 1), SORTIE_RESULT_NULL_ARGUMENT, "events");
    REFUSED(sortie_wait(NULL, 0), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_client_suspend(NULL), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_client_resume(NULL), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_client_stats(NULL, &stats), SORTIE_RESULT_NULL_ARGUMENT, "client");
    REFUSED(sortie_client_stats(client, NULL), SORTIE_RESULT_NULL_ARGUMENT, "sortie_stats");
    REFUSED(sortie_event_timing(NULL, &timing), SORTIE_RESULT_NULL_ARGUMENT, "event");
    REFUSED(sortie_event_take_body(NULL, &body), SORTIE_RESULT_NULL_ARGUMENT, "event");
    REFUSED(sortie_event_take_body(&event, NULL), SORTIE_RESULT_NULL_ARGUMENT, "out");
    REFUSED(sortie_event_header_at(NULL, 0, NULL, NULL), SORTIE_RESULT_NULL_ARGUMENT, "event");
    CHECK(sortie_event_header(NULL, "A", 0) == NULL);
    CHECK(sortie_event_effective_url(NULL) == NULL);
    CHECK_EQUAL(sortie_event_header_count(NULL), 0);
    REFUSED(sortie_event_trailer_at(NULL, 0, NULL, NULL), SORTIE_RESULT_NULL_ARGUMENT, "event");
    CHECK(sortie_event_trailer(NULL, "A", 0) == NULL);
    CHECK_EQUAL(sortie_event_trailer_count(NULL), 0);
    CHECK(sortie_body_data(NULL) == NULL && sortie_body_length(NULL) == 0);
    sortie_body_free(NULL);
    sortie_client_destroy(NULL);
}

static void struct_sizes_are_checked(sortie_client *client)
{
    struct {
        sortie_request_desc desc;
        char unknown[64];
    } newer;
    const uint32_t wrong[] = {0, 1, 8, (uint32_t)sizeof(sortie_request_desc) - 1, 5000, UINT32_MAX};
    sortie_client_config config;
    sortie_client *other = NULL;
    sortie_request request = UNTOUCHED;
    sortie_stats stats;
    size_t i;

    for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        sortie_request_desc desc = new_desc(server_url("/bytes/1"));
        desc.struct_size = wrong[i];
        REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_STRUCT_SIZE, "sortie_request_desc");
    }
    CHECK(request == UNTOUCHED);

    memset(&newer, 0, sizeof newer);
    newer.desc = new_desc(server_url("/bytes/1"));
    newer.desc.struct_size = sizeof newer;
    CHECK_EQUAL(sortie_submit(client, &newer.desc, &request), SORTIE_OK);
    CHECK_EQUAL(await_end(client, request).status, 200);
    newer.unknown[63] = 1;
    REFUSED(sortie_submit(client, &newer.desc, &request), SORTIE_RESULT_STRUCT_SIZE, "does not know");

    memset(&config, 0, sizeof config);
    REFUSED(sortie_client_create(&config, &other), SORTIE_RESULT_STRUCT_SIZE, "sortie_client_config");
    CHECK(other == NULL);
    memset(&stats, 0, sizeof stats);
    stats.struct_size = sizeof stats - 1;
    stats.submitted = UNTOUCHED;
    REFUSED(sortie_client_stats(client, &stats), SORTIE_RESULT_STRUCT_SIZE, "sortie_stats");
    CHECK(stats.submitted == UNTOUCHED);
}

static void text_is_checked(sortie_client *client)
{
    const char *url = server_url("/bytes/1");
    sortie_request request = UNTOUCHED;
    sortie_request_desc desc;
    sortie_header header;

    REFUSED(sortie_get(client, "http://127.0.0.1/\xff", 0, &request), SORTIE_RESULT_UTF8, "url");
    REFUSED(sortie_get(client, "", 0, &request), SORTIE_RESULT_URL, "empty");
    REFUSED(sortie_get(client, "/path", 0, &request), SORTIE_RESULT_URL, "absolute");
    REFUSED(sortie_get(client, "http://[::1", 0, &request), SORTIE_RESULT_URL, "malformed");
    REFUSED(sortie_get(client, "http://127.0.0.1/\r\nX: y", 0, &request), SORTIE_RESULT_URL, "U+000D");
    REFUSED(sortie_get(client, "file:///etc/passwd", 0, &request), SORTIE_RESULT_SCHEME, "file");
    REFUSED(sortie_get(client, "ftp://127.0.0.1/", 0, &request), SORTIE_RESULT_SCHEME, "ftp");

    desc = new_desc(url);
    desc.method = "GE T";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_METHOD, "method");
    desc.method = "GET\r\n";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_METHOD, "method");

    desc = new_desc(url);
    desc.headers = &header;
    desc.header_count = 1;
    header.name = "";
    header.value = "x";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_HEADER, "header name is empty");
    header.name = "X-A";
    header.value = "x\r\nX-B: y";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_HEADER, "X-A");
    header.name = "X\n";
    header.value = "x";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_HEADER, "header name");
    header.name = NULL;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_NULL_ARGUMENT, "header name");
    desc.headers = NULL;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_NULL_ARGUMENT, "headers");
    CHECK(request == UNTOUCHED);
}

static void paths_and_numbers_are_checked(sortie_client *client)
{
    sortie_request request = UNTOUCHED;
    sortie_request_desc desc = new_desc(server_url("/bytes/1"));

    desc.response_path = "";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_PATH, "empty");
    desc.response_path = "../up";
    desc.response_directory = SORTIE_DIRECTORY_DOCUMENTS;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_PATH, "../up");
    desc.response_path = "name";
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_PATH, "Documents");
    desc.response_directory = 6;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_ARGUMENT, "response_directory");

    desc = new_desc(server_url("/bytes/1"));
    desc.flags = UINT32_MAX;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_ARGUMENT, "flags");
    desc.flags = 0;
    desc.priority = 3;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_ARGUMENT, "priority");
    desc.priority = 0;
    desc.body = "x";
    desc.body_length = UINT64_MAX;
    REFUSED(sortie_submit(client, &desc, &request), SORTIE_RESULT_BODY_TOO_LARGE, "body_length");
    CHECK(request == UNTOUCHED);
}

static void ids_and_capacity_are_checked(sortie_client *client)
{
    const sortie_request made_up[] = {0, 1, UINT64_C(1) << 52, UINT64_C(1) << 53, UINT64_MAX};
    sortie_request request = 0;
    sortie_event event;
    size_t i;

    for (i = 0; i < sizeof made_up / sizeof made_up[0]; i++)
        REFUSED(sortie_cancel(client, made_up[i]), SORTIE_RESULT_STALE, "never existed");
    CHECK_EQUAL(sortie_get(client, server_url("/bytes/1"), 0, &request), SORTIE_OK);
    memset(&event, 0, sizeof event);
    event.user_data = UNTOUCHED;
    REFUSED(sortie_poll(client, &event, 0), SORTIE_RESULT_ARGUMENT, "capacity is 0");
    CHECK(event.user_data == UNTOUCHED);
    CHECK_EQUAL(await_end(client, request).status, 200);
    REFUSED(sortie_cancel(client, request), SORTIE_RESULT_STALE, "already ended");
}

#define EVENTS 400

typedef struct {
    sortie_client *client;
    pthread_mutex_t mutex;
    unsigned ended, wanted, busy;
    int64_t deadline;
} shared_poll;

static void *polls(void *argument)
{
    shared_poll *shared = argument;
    sortie_event *events = calloc(EVENTS, sizeof *events);
    int done = 0;
    CHECK(events != NULL);
    while (!done) {
        const int32_t count = sortie_poll(shared->client, events, EVENTS);
        CHECK(count >= 0 || count == SORTIE_RESULT_BUSY);
        pthread_mutex_lock(&shared->mutex);
        if (count >= 0)
            shared->ended += (unsigned)count;
        else
            shared->busy++;
        done = shared->ended >= shared->wanted;
        pthread_mutex_unlock(&shared->mutex);
        CHECK(now_ms() < shared->deadline);
    }
    free(events);
    return NULL;
}

static void a_second_polling_thread_is_told(sortie_client *client)
{
    shared_poll shared;
    pthread_t threads[2];
    int i;

    memset(&shared, 0, sizeof shared);
    shared.client = client;
    shared.deadline = now_ms() + DEADLINE_MS;
    CHECK(pthread_mutex_init(&shared.mutex, NULL) == 0);
    while (shared.busy == 0) {
        for (i = 0; i < 2000; i++) {
            sortie_request request = 0;
            CHECK_EQUAL(sortie_get(client, "http://127.0.0.1:1/", 0, &request), SORTIE_OK);
            CHECK_EQUAL(sortie_cancel(client, request), SORTIE_OK);
        }
        shared.wanted += 2000;
        for (i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, polls, &shared) == 0);
        for (i = 0; i < 2; i++)
            CHECK(pthread_join(threads[i], NULL) == 0);
        CHECK_EQUAL(shared.ended, shared.wanted);
    }
    pthread_mutex_destroy(&shared.mutex);
}

int main(void)
{
    sortie_client *client = new_client();
    null_is_refused(client);
    still_works(client);
    struct_sizes_are_checked(client);
    still_works(client);
    text_is_checked(client);
    still_works(client);
    paths_and_numbers_are_checked(client);
    still_works(client);
    ids_and_capacity_are_checked(client);
    still_works(client);
    a_second_polling_thread_is_told(client);
    still_works(client);
    sortie_client_destroy(client);
    return 0;
}
