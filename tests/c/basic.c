/*
 * A game's ordinary day: GET, POST, files down and up, cancel, 404, headers, timing, stats, bodies taken over, TLS,
 * suspend. Once with each call.
 */
#include "check.h"

#include <signal.h>
#include <unistd.h>

static char folder[] = "/tmp/sortie-c-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static long file_size(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;
    if (file == NULL)
        return -1;
    CHECK(fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    fclose(file);
    return size;
}

static void get_brings_a_response(sortie_client *client)
{
    const char *url = server_url("/bytes/1000?etag=abc");
    const char *name = NULL, *value = NULL;
    sortie_request request = 0;
    sortie_timing timing;
    sortie_event event;
    uint32_t i, count, found = 0;

    CHECK_EQUAL(sortie_get(client, url, 42, &request), SORTIE_OK);
    CHECK(request != 0 && request < (UINT64_C(1) << 53));
    event = await_end(client, request);
    CHECK_EQUAL(event.error, SORTIE_ERROR_NONE);
    CHECK_EQUAL(event.status, 200);
    CHECK_EQUAL(event.user_data, 42);
    CHECK_EQUAL(event.body_kind, SORTIE_BODY_BINARY);
    CHECK_EQUAL(event.body_length, 1000);
    CHECK_EQUAL(event.bytes_transferred, 1000);
    CHECK_EQUAL(event.bytes_estimated, 1000);
    CHECK(((const char *)event.body)[1000] == '\0');
    CHECK(event.message == NULL && event.file_path == NULL);
    CHECK_TEXT(event.url, url);
    CHECK_TEXT(sortie_event_effective_url(&event), url);

    CHECK_TEXT(sortie_event_header(&event, "ETAG", 0), "\"abc\"");
    CHECK(sortie_event_header(&event, "ETag", 1) == NULL);
    CHECK(sortie_event_header(&event, "X-Missing", 0) == NULL);
    count = sortie_event_header_count(&event);
    for (i = 0; i < count; i++) {
        CHECK_EQUAL(sortie_event_header_at(&event, i, &name, &value), SORTIE_OK);
        found += strcmp(name, "ETag") == 0 && strcmp(value, "\"abc\"") == 0;
    }
    CHECK_EQUAL(found, 1);
    CHECK_EQUAL(sortie_event_header_at(&event, count, &name, &value), SORTIE_RESULT_NOT_FOUND);

    memset(&timing, 0, sizeof timing);
    timing.struct_size = sizeof timing;
    CHECK_EQUAL(sortie_event_timing(&event, &timing), SORTIE_OK);
    CHECK(timing.total_us > 0 && timing.total_us >= timing.first_byte_us);
    CHECK_EQUAL(timing.redirects, 0);
}

static void post_sends_a_body_and_headers(sortie_client *client)
{
    sortie_request_desc desc = new_desc(server_url("/inspect"));
    sortie_header headers[2];
    sortie_request request = 0;
    sortie_event event;

    headers[0].name = "X-Game";
    headers[0].value = "chess";
    headers[1].name = "X-Nothing";
    headers[1].value = NULL;
    desc.headers = headers;
    desc.header_count = 2;
    desc.body = "e2-e4";
    desc.body_length = 5;
    desc.content_type = "application/x-move";
    CHECK_EQUAL(sortie_submit(client, &desc, &request), SORTIE_OK);
    event = await_end(client, request);
    CHECK_EQUAL(event.status, 200);
    CHECK_HOLDS(event.body, "POST /inspect HTTP/1.1\n");
    CHECK_HOLDS(event.body, "X-Game: chess\n");
    CHECK_HOLDS(event.body, "X-Nothing: \n");
    CHECK_HOLDS(event.body, "Content-Type: application/x-move\n");
    CHECK_HOLDS(event.body, "\n\n5 ");
}

static void an_error_status_is_data(sortie_client *client)
{
    const sortie_event event = fetch(client, server_url("/status/404?body=gone"));
    CHECK_EQUAL(event.error, SORTIE_ERROR_NONE);
    CHECK_EQUAL(event.status, 404);
    CHECK_EQUAL(event.body_kind, SORTIE_BODY_TEXT);
    CHECK_TEXT(event.body, "gone");
}

static void a_refused_connection_is_an_error(sortie_client *client)
{
    /* Nothing listens on port 1 of this machine. */
    const sortie_event event = fetch(client, "http://127.0.0.1:1/");
    CHECK_EQUAL(event.error, SORTIE_ERROR_CONNECT);
    CHECK_EQUAL(event.status, 0);
    CHECK(event.body == NULL && event.message != NULL);
    CHECK(sortie_event_effective_url(&event) == NULL);
    CHECK_EQUAL(sortie_event_header_count(&event), 0);
}

static void a_file_comes_down_and_goes_up(sortie_client *client)
{
    sortie_request request = 0;
    sortie_event event;

    CHECK_EQUAL(sortie_download(client, server_url("/bytes/300000"), in_folder("file"), 1, &request), SORTIE_OK);
    event = next_event(client);
    CHECK_EQUAL(event.type, SORTIE_EVENT_BEGAN);
    CHECK_EQUAL(event.status, 200);
    CHECK_EQUAL(event.bytes_estimated, 300000);
    event = await_end(client, request);
    CHECK_EQUAL(event.error, SORTIE_ERROR_NONE);
    CHECK_TEXT(event.file_path, in_folder("file"));
    CHECK(event.body == NULL && event.body_length == 0);
    CHECK_EQUAL(file_size(in_folder("file")), 300000);

    CHECK_EQUAL(sortie_upload(client, server_url("/upload"), in_folder("file"), "a/b", 2, &request), SORTIE_OK);
    event = next_event(client);
    CHECK_EQUAL(event.type, SORTIE_EVENT_BEGAN);
    CHECK_EQUAL(event.bytes_estimated, 300000);
    event = await_end(client, request);
    CHECK_EQUAL(event.status, 200);
    CHECK_EQUAL(event.bytes_transferred, 300000);
    CHECK_HOLDS(event.body, "300000 ");

    /* An error response leaves the file alone. */
    CHECK_EQUAL(sortie_download(client, server_url("/status/500?body=sorry"), in_folder("file"), 3, &request), SORTIE_OK);
    event = await_end(client, request);
    CHECK_EQUAL(event.status, 500);
    CHECK_TEXT(event.body, "sorry");
    CHECK_EQUAL(file_size(in_folder("file")), 300000);
    CHECK(remove(in_folder("file")) == 0);

    CHECK_EQUAL(sortie_upload(client, server_url("/upload"), in_folder("missing"), NULL, 4, &request), SORTIE_OK);
    event = await_end(client, request);
    CHECK_EQUAL(event.error, SORTIE_ERROR_FILE);
    CHECK_HOLDS(event.message, "missing");
}

static void a_cancelled_request_ends_once(sortie_client *client)
{
    sortie_request request = 0;
    sortie_event event;

    CHECK_EQUAL(sortie_download(client, server_url("/stall?sent=500"), in_folder("never"), 0, &request), SORTIE_OK);
    do {
        event = next_event(client);
        CHECK(event.type != SORTIE_EVENT_ENDED);
    } while (event.bytes_transferred < 500);
    CHECK_EQUAL(sortie_cancel(client, request), SORTIE_OK);
    event = await_end(client, request);
    CHECK_EQUAL(event.error, SORTIE_ERROR_CANCELLED);
    CHECK_EQUAL(event.request, request);
    CHECK_EQUAL(sortie_cancel(client, request), SORTIE_RESULT_STALE);
    CHECK_EQUAL(file_size(in_folder("never")), -1);
}

static void a_body_taken_over_outlives_everything(void)
{
    sortie_client *client = new_client();
    const sortie_event event = fetch(client, server_url("/status/200?body=keep+me"));
    sortie_body *body = NULL, *again = NULL;

    CHECK_EQUAL(sortie_event_take_body(&event, &body), SORTIE_OK);
    CHECK_EQUAL(sortie_event_take_body(&event, &again), SORTIE_RESULT_NOT_FOUND);
    CHECK(again == NULL);
    still_works(client);
    sortie_client_destroy(client);
    CHECK_EQUAL(sortie_body_length(body), 7);
    CHECK_TEXT(sortie_body_data(body), "keep me");
    sortie_body_free(body);
}

static void nothing_happens_while_suspended(sortie_client *client)
{
    sortie_request request = 0;
    sortie_event event;

    CHECK_EQUAL(sortie_client_suspend(client), SORTIE_OK);
    CHECK_EQUAL(sortie_get(client, server_url("/bytes/5"), 0, &request), SORTIE_OK);
    CHECK_EQUAL(sortie_wait(client, 100), 0);
    CHECK_EQUAL(sortie_poll(client, &event, 1), 0);
    CHECK_EQUAL(sortie_client_resume(client), SORTIE_OK);
    event = await_end(client, request);
    CHECK_EQUAL(event.status, 200);
}

static void https_is_verified(void)
{
    sortie_client_config config;
    sortie_client *client = NULL;
    sortie_event event;

    client = new_client();
    event = fetch(client, url_of("SORTIE_TEST_SERVER_TLS", "/bytes/1"));
    CHECK_EQUAL(event.error, SORTIE_ERROR_CERTIFICATE);
    sortie_client_destroy(client);

    memset(&config, 0, sizeof config);
    config.struct_size = sizeof config;
    config.proxy = "";
    config.ca_file = setting("SORTIE_TEST_CA");
    CHECK_EQUAL(sortie_client_create(&config, &client), SORTIE_OK);
    event = fetch(client, url_of("SORTIE_TEST_SERVER_TLS", "/bytes/1"));
    CHECK_EQUAL(event.error, SORTIE_ERROR_NONE);
    CHECK_EQUAL(event.status, 200);
    sortie_client_destroy(client);
}

/* A program in C has the default handling of SIGPIPE, which would end it here. */
static void a_broken_pipe_does_not_kill_the_process(sortie_client *client)
{
    static char large[4 << 20];
    sortie_request_desc desc = new_desc(server_url("/upload-refuse?hard=1"));
    sortie_request request = 0;
    int i;

    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    desc.body = large;
    desc.body_length = sizeof large;
    desc.flags = SORTIE_REQUEST_BORROW_BODY;
    for (i = 0; i < 10; i++) {
        CHECK_EQUAL(sortie_submit(client, &desc, &request), SORTIE_OK);
        await_end(client, request);
    }
    still_works(client);
}

static void the_stats_add_up(sortie_client *client)
{
    const sortie_stats before = stats_of(client);
    sortie_stats after;
    sortie_event event;

    still_works(client);
    CHECK_EQUAL(sortie_poll(client, &event, 1), 0);
    after = stats_of(client);
    CHECK_EQUAL(after.submitted, before.submitted + 1);
    CHECK_EQUAL(after.ended, after.submitted);
    CHECK_EQUAL(after.bytes_received, before.bytes_received + 10);
    CHECK_EQUAL(after.undrained, 0);
    CHECK_EQUAL(after.buffered_bytes, 0);
    CHECK(after.connections > 0 && after.failed > 0);
}

int main(void)
{
    sortie_client *client = NULL;
    sortie_event events[4];

    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQUAL(sortie_client_create(NULL, &client), SORTIE_OK);
    CHECK_EQUAL(sortie_poll(client, events, 4), 0);
    CHECK_EQUAL(sortie_wait(client, 0), 0);
    sortie_client_destroy(client);

    client = new_client();
    get_brings_a_response(client);
    post_sends_a_body_and_headers(client);
    an_error_status_is_data(client);
    a_refused_connection_is_an_error(client);
    a_file_comes_down_and_goes_up(client);
    a_cancelled_request_ends_once(client);
    nothing_happens_while_suspended(client);
    the_stats_add_up(client);
    a_broken_pipe_does_not_kill_the_process(client);
    sortie_client_destroy(client);
    sortie_client_destroy(NULL);

    a_body_taken_over_outlives_everything();
    https_is_verified();
    CHECK(rmdir(folder) == 0);
    return 0;
}
