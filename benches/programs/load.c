/* How long a program that loads the shared library waits for a client, and for its first response. PATH is the library. */
#include "bench.h"

#include <dlfcn.h>
#include <sortie.h>

static void *find(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        fail("%s", dlerror());
    return found;
}

int main(int argc, char **argv)
{
    struct arguments arguments = read_arguments(argc, argv);
    struct spent from = spent_now();
    void *library = dlopen(arguments.path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail("%s", dlerror());
    sortie_result (*create)(const sortie_client_config *, sortie_client **);
    sortie_result (*get)(sortie_client *, const char *, uint64_t, sortie_request *);
    int32_t (*poll)(sortie_client *, sortie_event *, uint32_t);
    int32_t (*wait)(sortie_client *, uint32_t);
    void (*destroy)(sortie_client *);
    *(void **)&create = find(library, "sortie_client_create");
    *(void **)&get = find(library, "sortie_get");
    *(void **)&poll = find(library, "sortie_poll");
    *(void **)&wait = find(library, "sortie_wait");
    *(void **)&destroy = find(library, "sortie_client_destroy");

    uint64_t loaded = now_ns();
    sortie_client *client = NULL;
    if (create(NULL, &client) != SORTIE_OK)
        fail("no client");
    uint64_t created = now_ns();
    sortie_event event = { 0 };
    if (get(client, arguments.url, 0, NULL) != SORTIE_OK || wait(client, 30000) != 1 || poll(client, &event, 1) != 1)
        fail("no event");
    if (event.type != SORTIE_EVENT_ENDED || event.status != 200 || event.body_length != arguments.length)
        fail("%s: status %d: %s", arguments.url, event.status, event.message ? event.message : "");
    uint64_t responded = now_ns();
    printf("{\"loaded_ns\":%llu,\"client_ns\":%llu,\"response_ns\":%llu,", (unsigned long long)(loaded - from.wall_ns),
           (unsigned long long)(created - from.wall_ns), (unsigned long long)(responded - from.wall_ns));
    print_spent(1, arguments.length, from, spent_now());
    destroy(client);
    return 0;
}
