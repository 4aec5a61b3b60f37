/*
 * A game's own test, without a server: the code under test asks for scores as it would in the game, and mocks answer.
 * Exits with 0 if all is as expected.
 */
#include <sortie.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCORES "https://api.game.example/scores"

#define CHECK(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *what, int line)
{
    fprintf(stderr, "line %d: %s: %s\n", line, what, sortie_last_error_message());
    exit(1);
}

/* What the game does with the answer: this is under test. */
enum shown { NOTHING_YET, BEST_SCORE, TRY_AGAIN_LATER, OFFLINE };

static enum shown show_scores(const sortie_event *event)
{
    if (event->type != SORTIE_EVENT_ENDED)
        return NOTHING_YET;
    if (event->error != SORTIE_ERROR_NONE)
        return OFFLINE;
    return event->status == 200 && event->body_length > 0 ? BEST_SCORE : TRY_AGAIN_LATER;
}

static enum shown ask(sortie_client *client)
{
    CHECK(sortie_get(client, SCORES "?of=today", 0, NULL) == SORTIE_OK);
    for (;;) {
        sortie_event event;
        enum shown shown = NOTHING_YET;
        if (sortie_wait(client, 5000) == 1 && sortie_poll(client, &event, 1) == 1)
            shown = show_scores(&event);
        if (shown != NOTHING_YET)
            return shown;
    }
}

int main(void)
{
    /* Nothing in this test can reach a network: what no mock answers fails. */
    sortie_client_config config = { .struct_size = sizeof config, .flags = SORTIE_CLIENT_MOCKS_ONLY };
    sortie_client *client = NULL;
    CHECK(sortie_client_create(&config, &client) == SORTIE_OK);
    CHECK(ask(client) == OFFLINE);

    /* The first two requests find a server that is not well; those after them, one that is slow. */
    sortie_mock busy = { .struct_size = sizeof busy, .url = SCORES "*", .status = 503, .times = 2 };
    CHECK(sortie_client_mock(client, &busy, NULL) == SORTIE_OK);

    const char *json = "[{\"name\": \"ada\", \"score\": 4211}]";
    sortie_header headers[] = { { "Content-Type", "application/json" } };
    sortie_mock scores = { .struct_size = sizeof scores, .url = SCORES "*", .method = "GET", .delay_ms = 50 };
    scores.headers = headers;
    scores.header_count = 1;
    scores.body = json;
    scores.body_length = strlen(json);
    uint64_t mock;
    CHECK(sortie_client_mock(client, &scores, &mock) == SORTIE_OK);

    CHECK(ask(client) == TRY_AGAIN_LATER);
    CHECK(ask(client) == TRY_AGAIN_LATER);
    CHECK(ask(client) == BEST_SCORE);
    CHECK(ask(client) == BEST_SCORE);

    /* And then the connection breaks. */
    sortie_mock broken = { .struct_size = sizeof broken, .url = "*", .error = SORTIE_ERROR_RECEIVE };
    CHECK(sortie_client_unmock(client, mock) == SORTIE_OK);
    CHECK(sortie_client_mock(client, &broken, NULL) == SORTIE_OK);
    CHECK(ask(client) == OFFLINE);

    sortie_client_destroy(client);
    puts("passed");
    return 0;
}
