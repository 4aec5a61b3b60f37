/*
 * Four threads submit and cancel while one polls: each accepted request ends exactly once.
 */
#include "check.h"

#include <pthread.h>

#define THREADS 4
#define EACH 300

typedef struct {
    sortie_client *client;
    unsigned number;
    const char *url;
} submitter;

static unsigned char ends[THREADS * EACH];

static void *submits(void *argument)
{
    const submitter *self = argument;
    unsigned i;
    for (i = 0; i < EACH; i++) {
        const uint64_t user_data = self->number * EACH + i;
        sortie_request request = 0;
        sortie_stats stats;
        sortie_result result;

        CHECK_EQUAL(sortie_get(self->client, self->url, user_data, &request), SORTIE_OK);
        CHECK(request != 0);
        memset(&stats, 0, sizeof stats);
        stats.struct_size = sizeof stats;
        CHECK_EQUAL(sortie_client_stats(self->client, &stats), SORTIE_OK);
        if (i % 3 == 0) {
            /* By now it may be waiting, running, ended or drained. */
            result = sortie_cancel(self->client, request);
            CHECK(result == SORTIE_OK || result == SORTIE_RESULT_STALE);
        }
        if (i % 50 == 0) {
            CHECK_EQUAL(sortie_client_suspend(self->client), SORTIE_OK);
            CHECK_EQUAL(sortie_client_resume(self->client), SORTIE_OK);
        }
        /* Each thread has its own last error. */
        CHECK_EQUAL(sortie_cancel(self->client, self->number + 1), SORTIE_RESULT_STALE);
        CHECK_HOLDS(sortie_last_error_message(), "never existed");
    }
    return NULL;
}

int main(void)
{
    sortie_client *client = new_client();
    const char *url = server_url("/bytes/100");
    submitter submitters[THREADS];
    pthread_t threads[THREADS];
    unsigned i, ended = 0, cancelled = 0;

    for (i = 0; i < THREADS; i++) {
        submitters[i].client = client;
        submitters[i].number = i;
        submitters[i].url = url;
        CHECK(pthread_create(&threads[i], NULL, submits, &submitters[i]) == 0);
    }
    while (ended < THREADS * EACH) {
        const sortie_event event = next_event(client);
        CHECK_EQUAL(event.type, SORTIE_EVENT_ENDED);
        CHECK(event.user_data < THREADS * EACH);
        CHECK_EQUAL(ends[event.user_data], 0);
        ends[event.user_data] = 1;
        CHECK(event.error == SORTIE_ERROR_NONE || event.error == SORTIE_ERROR_CANCELLED);
        if (event.error == SORTIE_ERROR_NONE)
            CHECK_EQUAL(event.body_length, 100);
        else
            cancelled++;
        ended++;
    }
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_EQUAL(sortie_wait(client, 100), 0);
    printf("%u requests from %d threads, %u cancelled before they ended\n", ended, THREADS, cancelled);
    sortie_client_destroy(client);
    return 0;
}
