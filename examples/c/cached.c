/*
 * Asks for the same page three times: the network gives it once, the cache from then on. What happens is told line by
 * line by the trace.
 */
#include <sortie.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    sortie_client_config config = {
        .struct_size = sizeof config,
        .max_memory_cache_bytes = 8 << 20, /* and cache_directory, to keep it beyond this run */
        .trace_level = SORTIE_TRACE_REQUESTS,
    };
    sortie_client *client = NULL;
    sortie_stats stats = { .struct_size = sizeof stats };
    int asked = 0, running = 1, failed = 0;
    if (argc != 2 || sortie_client_create(&config, &client) != SORTIE_OK ||
        sortie_get(client, argv[1], 0, NULL) != SORTIE_OK) {
        fprintf(stderr, "usage: cached URL  %s\n", sortie_last_error_message());
        sortie_client_destroy(client);
        return 1;
    }
    while (running) {
        sortie_event events[16];
        int32_t count = sortie_poll(client, events, 16); /* once a frame; never waits */
        for (int32_t i = 0; i < count; i++) {
            if (events[i].type == SORTIE_EVENT_TRACE)
                printf("%s\n", events[i].message);
            if (events[i].type != SORTIE_EVENT_ENDED)
                continue;
            printf("%llu bytes from the %s\n", (unsigned long long)events[i].body_length,
                   events[i].flags & SORTIE_EVENT_FROM_CACHE ? "cache" : "network");
            failed |= events[i].error != SORTIE_ERROR_NONE;
            running = ++asked < 3 && !failed && sortie_get(client, argv[1], 0, NULL) == SORTIE_OK;
        }
        sortie_wait(client, 16); /* a game updates and draws here instead */
    }
    if (sortie_client_stats(client, &stats) == SORTIE_OK)
        printf("%llu answered by the cache, which holds %llu bytes\n", (unsigned long long)stats.cache_hits,
               (unsigned long long)stats.cache_bytes);
    sortie_client_destroy(client);
    return failed;
}
