/*
 * Sends a recording while it is made, and hears the answer while it comes: both bodies are streamed, so neither is ever
 * whole in memory. Any server that answers an upload will do; one that echoes shows it best.
 */
#include <sortie.h>
#include <stdio.h>
#include <string.h>

#define FRAMES 300
#define SAMPLES 4000 /* of each frame, in bytes */

int main(int argc, char **argv)
{
    sortie_client *client = NULL;
    sortie_request id = 0;
    int frame = 0, recording = 1, running = 1, failed = 1;
    unsigned char samples[SAMPLES];
    size_t kept = 0; /* how much of the last frame's samples is still to be handed over */
    unsigned long long sent = 0, heard = 0;

    sortie_request_desc desc = {
        .struct_size = sizeof desc,
        .url = argc == 2 ? argv[1] : NULL,
        .flags = SORTIE_REQUEST_STREAM_BODY | SORTIE_REQUEST_STREAM_RESPONSE,
        .content_type = "audio/x-raw",
        .stream_window_bytes = 64 * 1024,
        .timeout_ms = SORTIE_NO_TIMEOUT, /* it lasts as long as the recording */
    };
    if (sortie_client_create(NULL, &client) != SORTIE_OK || sortie_submit(client, &desc, &id) != SORTIE_OK) {
        fprintf(stderr, "usage: stream URL  %s\n", sortie_last_error_message());
        sortie_client_destroy(client);
        return 1;
    }
    while (running) {
        sortie_event events[16];
        int32_t count = sortie_poll(client, events, 16); /* once a frame; never waits */
        for (int32_t i = 0; i < count; i++) {
            if (events[i].type == SORTIE_EVENT_DATA)
                heard += events[i].body_length; /* a game plays it here */
            if (events[i].type == SORTIE_EVENT_ENDED) {
                printf("status %d, sent %llu bytes, heard %llu: %s\n", (int)events[i].status, sent, heard,
                       events[i].message ? events[i].message : "no error");
                failed = events[i].error != SORTIE_ERROR_NONE || events[i].status != 200;
                running = 0;
            }
        }
        if (recording && running) {
            uint64_t taken = 0;
            if (kept == 0 && frame < FRAMES) {
                memset(samples, frame++ & 0xFF, sizeof samples); /* a game records here */
                kept = sizeof samples;
            }
            if (sortie_body_write(client, id, samples + (sizeof samples - kept), kept, &taken) == SORTIE_OK) {
                kept -= taken; /* what found no room goes in a later frame */
                sent += taken;
            }
            if (kept == 0 && frame == FRAMES)
                recording = sortie_body_finish(client, id) != SORTIE_OK;
        }
        sortie_wait(client, 1); /* a game updates and draws here instead */
    }
    sortie_client_destroy(client);
    return failed;
}
