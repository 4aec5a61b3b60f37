/*
 * Downloads a large file as a launcher does: what came before a crash or a lost connection is gone on with, attempts are
 * made again with growing waits, its SHA-256 is checked, and the file appears only when it is whole. It keeps to 8 MiB a
 * second, and rests while a match is on. Run it, kill it, run it again.
 */
#include <sortie.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    sortie_client *client = NULL;
    sortie_request id = 0;
    int running = 1, failed = 1, frame = 0;
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: patch URL FILE [SHA256]\n");
        return 1;
    }
    sortie_request_desc desc = {
        .struct_size = sizeof desc,
        .url = argv[1],
        .response_path = argv[2],
        .expected_sha256 = argc == 4 ? argv[3] : NULL,
        .flags = SORTIE_REQUEST_RESUME | SORTIE_REQUEST_RETRY_EVENTS,
        .progress = SORTIE_PROGRESS_DOWNLOAD,
        .priority = SORTIE_PRIORITY_LOW,
        .max_attempts = 10,
        .retry_delay_ms = 1000,
        .attempt_timeout_ms = SORTIE_NO_TIMEOUT,
        .timeout_ms = SORTIE_NO_TIMEOUT,
        .max_receive_bytes_per_second = 8 << 20,
    };
    if (sortie_client_create(NULL, &client) != SORTIE_OK || sortie_submit(client, &desc, &id) != SORTIE_OK) {
        fprintf(stderr, "refused: %s\n", sortie_last_error_message());
        sortie_client_destroy(client);
        return 1;
    }
    while (running) {
        sortie_event events[16];
        int32_t count = sortie_poll(client, events, 16); /* once a frame; never waits */
        for (int32_t i = 0; i < count; i++) {
            const sortie_event *event = &events[i];
            if (event->type == SORTIE_EVENT_PROGRESS)
                printf("%llu of %lld bytes\n", (unsigned long long)event->bytes_transferred,
                       (long long)event->bytes_estimated);
            if (event->type == SORTIE_EVENT_RETRY)
                printf("attempt %u failed (%s), the next comes in %u ms\n", event->attempts,
                       event->message ? event->message : "the server is busy", event->retry_delay_ms);
            if (event->type == SORTIE_EVENT_ENDED) {
                printf("%s\n", event->file_path ? event->file_path : event->message ? event->message : "not there");
                failed = event->file_path == NULL;
                running = 0;
            }
        }
        frame++;
        if (frame == 10) /* a match begins: nothing of this moves */
            sortie_request_pause(client, id);
        if (frame == 20) { /* it is over: as fast as it goes */
            sortie_request_set_rate(client, id, 0, 0);
            sortie_request_unpause(client, id);
        }
        sortie_wait(client, 5); /* a game updates and draws here instead */
    }
    sortie_client_destroy(client);
    return failed;
}
