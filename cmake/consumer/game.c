/* A game that needs one file from the network, with and without TLS. It comes gzipped, so that zlib takes part. */
#include "game.h"

#include <sortie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fetch(sortie_client *client, const char *base)
{
    char url[256];
    snprintf(url, sizeof url, "%s/gzip?bytes=100000", base);
    if (sortie_get(client, url, 7, NULL) != SORTIE_OK) {
        fprintf(stderr, "refused: %s\n", sortie_last_error_message());
        return 1;
    }
    for (;;) {
        sortie_event event;
        int32_t count = sortie_poll(client, &event, 1);
        if (count < 0)
            return 1;
        if (count == 1 && event.type == SORTIE_EVENT_ENDED) {
            printf("status %d, %llu bytes, %s\n", (int)event.status, (unsigned long long)event.body_length,
                   event.message ? event.message : "no error");
            return event.user_data == 7 && event.status == 200 && event.body_length == 100000 ? 0 : 1;
        }
        if (sortie_wait(client, 10000) != 1) {
            fprintf(stderr, "nothing came\n");
            return 1;
        }
    }
}

/* With the certificate of the test server's authority. */
static sortie_client *create_client(void)
{
    sortie_client_config config = { .struct_size = sizeof config, .ca_file = getenv("SORTIE_TEST_CA") };
    sortie_client *client = NULL;
    sortie_client_create(&config, &client);
    return client;
}

int main(void)
{
    const char *plain = getenv("SORTIE_TEST_SERVER"), *tls = getenv("SORTIE_TEST_SERVER_TLS");
    sortie_client *client;
    int failed;
    if (strcmp(sortie_version(), SORTIE_VERSION) != 0 || sortie_abi_version() < SORTIE_ABI_VERSION) {
        fprintf(stderr, "header %s, library %s\n", SORTIE_VERSION, sortie_version());
        return 1;
    }
    client = create_client();
    if (!client || !plain || !tls || check_surroundings() != 0)
        return 1;
    failed = fetch(client, plain) || fetch(client, tls);
    sortie_client_destroy(client);
    return failed || check_surroundings() != 0;
}
