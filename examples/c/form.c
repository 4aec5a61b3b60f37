/* Uploads a form with a screenshot, here any file, and shows how far it has come while a frame loop runs. */
#include <sortie.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    sortie_client *client = NULL;
    int running = 1, failed = 0;
    if (argc != 3 || sortie_client_create(NULL, &client) != SORTIE_OK) {
        fprintf(stderr, "usage: form URL FILE  %s\n", sortie_last_error_message());
        return 1;
    }
    sortie_form_part parts[] = {
        {.name = "player", .data = "J\xC3\xBCrgen", .data_length = strlen("J\xC3\xBCrgen")},
        {.name = "score", .data = "4200", .data_length = 4},
        {.name = "screenshot", .path = argv[2], .filename = "shot.png", .content_type = "image/png"},
    };
    sortie_request_desc desc = {
        .struct_size = sizeof desc,
        .url = argv[1],
        .form_parts = parts,
        .form_part_count = sizeof parts / sizeof parts[0],
        .progress = SORTIE_PROGRESS_UPLOAD,
        .timeout_ms = SORTIE_NO_TIMEOUT, /* a slow line may take long; a stalled one still ends */
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
            const sortie_event *event = &events[i];
            printf("%llu of %lld bytes\n", (unsigned long long)event->bytes_transferred,
                   (long long)event->bytes_estimated);
            if (event->type == SORTIE_EVENT_ENDED) {
                printf("status %d, %s\n", (int)event->status, event->message ? event->message : "no error");
                failed = event->error != SORTIE_ERROR_NONE || event->status != 200;
                running = 0;
            }
        }
        sortie_wait(client, 16); /* a game updates and draws here instead */
    }
    sortie_client_destroy(client);
    return failed;
}
