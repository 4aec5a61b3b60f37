/* Downloads one page while a frame loop runs. */
#include <sortie.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    sortie_client *client = NULL;
    int running = 1, failed = 0;
    if (sortie_client_create(NULL, &client) != SORTIE_OK || argc != 2 ||
        sortie_get(client, argv[1], 0, NULL) != SORTIE_OK) {
        fprintf(stderr, "usage: minimal URL  %s\n", sortie_last_error_message());
        sortie_client_destroy(client);
        return 1;
    }
    while (running) {
        sortie_event events[16];
        int32_t count = sortie_poll(client, events, 16); /* once a frame; never waits */
        for (int32_t i = 0; i < count; i++) {
            if (events[i].type == SORTIE_EVENT_ENDED) {
                printf("status %d, %llu bytes, %s\n", (int)events[i].status,
                       (unsigned long long)events[i].body_length, sortie_error_string(events[i].error));
                failed = events[i].error != SORTIE_ERROR_NONE;
                running = 0;
            }
        }
        sortie_wait(client, 16); /* a game updates and draws here instead */
    }
    sortie_client_destroy(client);
    return failed;
}
