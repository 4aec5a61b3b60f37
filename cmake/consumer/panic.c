/*
 * A defect inside the library: its worker panics, which must unwind and be caught within whichever library this
 * program is linked with. Needs a Sortie with the feature test-hooks.
 */
#include <sortie.h>
#include <stdio.h>
#include <stdlib.h>

void sortie_test_panic(sortie_client *client);

/* Waits for one request to end and gives its error, or -1. */
static int finish(sortie_client *client)
{
    sortie_event event;
    do {
        if (sortie_wait(client, 10000) != 1)
            return -1;
    } while (sortie_poll(client, &event, 1) != 1 || event.type != SORTIE_EVENT_ENDED);
    printf("%s\n", event.message ? event.message : "no error");
    return (int)event.error;
}

static int survive_panic(sortie_client *client, const char *base)
{
    char url[256];
    snprintf(url, sizeof url, "%s/stall?sent=5", base);
    if (sortie_get(client, url, 0, NULL) != SORTIE_OK)
        return 1;
    sortie_test_panic(client);
    if (finish(client) != SORTIE_ERROR_INTERNAL)
        return 1;
    snprintf(url, sizeof url, "%s/gzip?bytes=1000", base);
    return sortie_get(client, url, 0, NULL) != SORTIE_OK || finish(client) != SORTIE_ERROR_NONE;
}

int main(void)
{
    const char *server = getenv("SORTIE_TEST_SERVER");
    sortie_client *client = NULL;
    int failed;
    if (!server || sortie_client_create(NULL, &client) != SORTIE_OK)
        return 1;
    failed = survive_panic(client, server);
    sortie_client_destroy(client);
    return failed;
}
