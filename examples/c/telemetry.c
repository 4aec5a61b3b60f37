/*
 * Sends a batch of events compressed, once the network has room for it, and tells where the time went: what a game shows
 * in a developer's overlay.
 */
#include <sortie.h>
#include <stdio.h>
#include <string.h>

static const char *protocol(uint32_t number)
{
    static const char *names[] = { "none", "HTTP/1.0", "HTTP/1.1", "HTTP/2" };
    return number < sizeof names / sizeof names[0] ? names[number] : "a later one";
}

static void show(const sortie_event *event)
{
    const char *address = sortie_event_remote_address(event);
    sortie_timing timing = { .struct_size = sizeof timing };
    if (sortie_event_timing(event, &timing) != SORTIE_OK)
        return;
    printf("%s %s over %s%s: queued %llu us, connected after %llu us, TLS %llu us, first byte %llu us, all %llu us\n",
           event->url, address ? address : "nowhere", protocol(timing.protocol),
           timing.connection_reused ? " again" : "", (unsigned long long)timing.queued_us,
           (unsigned long long)timing.connect_us, (unsigned long long)timing.tls_us,
           (unsigned long long)timing.first_byte_us, (unsigned long long)timing.total_us);
    printf("attempts %u, redirects %u, bytes sent %llu, received %llu\n", timing.attempts, timing.redirects,
           (unsigned long long)timing.bytes_sent, (unsigned long long)timing.bytes_received);
}

int main(int argc, char **argv)
{
    static char batch[100000];
    sortie_client *client = NULL;
    sortie_client_config config = { .struct_size = sizeof config, .max_send_bytes_per_second = 1 << 20 };
    sortie_stats stats = { .struct_size = sizeof stats };
    size_t length = 0;
    int running = 1, failed = 1;
    if (argc != 2 || sortie_client_create(&config, &client) != SORTIE_OK) {
        fprintf(stderr, "usage: telemetry URL  %s\n", sortie_last_error_message());
        return 1;
    }
    for (int n = 0; n < 1000; n++)
        length += (size_t)snprintf(batch + length, sizeof batch - length, "{\"event\":\"jump\",\"frame\":%d}\n", n);
    sortie_request_desc desc = {
        .struct_size = sizeof desc,
        .url = argv[1],
        .body = batch, /* stays as it is until the end, so it is lent */
        .body_length = length,
        .flags = SORTIE_REQUEST_GZIP_BODY | SORTIE_REQUEST_BORROW_BODY | SORTIE_REQUEST_RETRY_ANY_METHOD,
        .content_type = "application/x-ndjson",
        .priority = SORTIE_PRIORITY_LOW,
        .max_attempts = 5,
    };
    if (sortie_submit(client, &desc, NULL) != SORTIE_OK) {
        fprintf(stderr, "refused: %s\n", sortie_last_error_message());
        sortie_client_destroy(client);
        return 1;
    }
    while (running) {
        sortie_event events[16];
        int32_t count = sortie_poll(client, events, 16); /* once a frame; never waits */
        for (int32_t i = 0; i < count; i++) {
            if (events[i].type == SORTIE_EVENT_ENDED) {
                show(&events[i]);
                failed = events[i].error != SORTIE_ERROR_NONE || events[i].status != 200;
                running = 0;
            }
        }
        sortie_wait(client, 16); /* a game updates and draws here instead */
    }
    if (sortie_client_stats(client, &stats) == SORTIE_OK)
        printf("%llu bytes of events became %llu on the wire, over %u open connections\n", (unsigned long long)length,
               (unsigned long long)stats.bytes_sent, stats.connections_open);
    sortie_client_destroy(client);
    return failed;
}
