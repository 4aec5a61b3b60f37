/*
 * The library as a guest in somebody's process. It is loaded by hand, to see what loading alone does:
 *
 *   load LIBRARY COPY
 *
 * LIBRARY is copied to COPY, and both are used side by side.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <link.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sortie.h>

#define SIGNALS 65
#define WAIT_MS 10000

extern char **environ;

static int failures;

static void check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "FAILED: %s\n", what);
        failures++;
    }
}

/* ------------------------------------------------------------------------------------------------------------------
 * What a process has, of which a library should leave its hands off.
 */
typedef struct {
    uint64_t environment;
    struct sigaction handlers[SIGNALS];
    sigset_t blocked;
    char locale[256];
    char folder[4096];
    int threads;
    uint64_t descriptors; /* bit n: descriptor n is open; enough for so small a program */
} surroundings;

static uint64_t hash(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *byte = bytes;
    while (length-- > 0)
        hash = (hash ^ *byte++) * UINT64_C(0x100000001b3);
    return hash;
}

/* The variables, and also where they are: a library that calls setenv() moves them. */
static uint64_t hash_environment(void)
{
    uint64_t all = hash(UINT64_C(0xcbf29ce484222325), &environ, sizeof environ);
    char **variable;
    for (variable = environ; *variable; variable++) {
        all = hash(all, variable, sizeof *variable);
        all = hash(all, *variable, strlen(*variable));
    }
    return all;
}

static int count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;
    if (!folder)
        return -1;
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    uint64_t open = 0;
    if (!folder)
        return 0;
    while ((entry = readdir(folder)) != NULL) {
        int descriptor = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && descriptor != dirfd(folder) && descriptor < 64)
            open |= UINT64_C(1) << descriptor;
    }
    closedir(folder);
    return open;
}

static surroundings look_around(void)
{
    surroundings now;
    int signal;
    memset(&now, 0, sizeof now);
    now.environment = hash_environment();
    for (signal = 1; signal < SIGNALS; signal++)
        sigaction(signal, NULL, &now.handlers[signal]);
    sigprocmask(SIG_BLOCK, NULL, &now.blocked);
    snprintf(now.locale, sizeof now.locale, "%s", setlocale(LC_ALL, NULL));
    check(getcwd(now.folder, sizeof now.folder) != NULL, "the working directory is known");
    now.threads = count_threads();
    now.descriptors = open_descriptors();
    return now;
}

static int same_handlers(const surroundings *a, const surroundings *b)
{
    int signal;
    for (signal = 1; signal < SIGNALS; signal++) {
        const struct sigaction *left = &a->handlers[signal], *right = &b->handlers[signal];
        if (left->sa_handler != right->sa_handler || left->sa_flags != right->sa_flags)
            return 0;
    }
    return memcmp(&a->blocked, &b->blocked, sizeof a->blocked) == 0;
}

/* A thread that has ended, even one that was joined, is listed for a moment more. */
static void wait_for_threads(int count)
{
    struct timespec moment = { 0, 1000000 };
    int tries;
    for (tries = 0; tries < WAIT_MS && count_threads() > count; tries++)
        nanosleep(&moment, NULL);
}

static void check_unchanged(const surroundings *before, const char *after)
{
    surroundings now;
    wait_for_threads(before->threads);
    now = look_around();
    printf("%s: %d thread(s), descriptors %llx, locale %s\n", after, now.threads,
           (unsigned long long)now.descriptors, now.locale);
    check(now.environment == before->environment, "the environment is left alone");
    check(same_handlers(before, &now), "signal handlers and masks are left alone");
    check(strcmp(now.locale, before->locale) == 0, "the locale is left alone");
    check(strcmp(now.folder, before->folder) == 0, "the working directory is left alone");
    check(now.threads == before->threads, "no thread is left");
    check(now.descriptors == before->descriptors, "no descriptor is left");
}

/* ------------------------------------------------------------------------------------------------------------------
 * A loaded copy of the library.
 */
typedef struct {
    void *handle;
    const char *(*version)(void);
    sortie_result (*create)(const sortie_client_config *, sortie_client **);
    void (*destroy)(sortie_client *);
    sortie_result (*get)(sortie_client *, const char *, uint64_t, sortie_request *);
    int32_t (*poll)(sortie_client *, sortie_event *, uint32_t);
    int32_t (*wait)(sortie_client *, uint32_t);
} library;

static void find(void *handle, const char *name, void *function, size_t size)
{
    void *address = dlsym(handle, name);
    if (!address) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    /* C has no cast from an object's pointer to a function's. */
    memcpy(function, &address, size);
}

static library load(const char *path)
{
    library loaded;
    loaded.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!loaded.handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    find(loaded.handle, "sortie_version", &loaded.version, sizeof loaded.version);
    find(loaded.handle, "sortie_client_create", &loaded.create, sizeof loaded.create);
    find(loaded.handle, "sortie_client_destroy", &loaded.destroy, sizeof loaded.destroy);
    find(loaded.handle, "sortie_get", &loaded.get, sizeof loaded.get);
    find(loaded.handle, "sortie_poll", &loaded.poll, sizeof loaded.poll);
    find(loaded.handle, "sortie_wait", &loaded.wait, sizeof loaded.wait);
    return loaded;
}

static sortie_client *create(const library *loaded)
{
    sortie_client *client = NULL;
    if (loaded->create(NULL, &client) != SORTIE_OK) {
        fprintf(stderr, "no client\n");
        exit(1);
    }
    return client;
}

/* Waits for the one request of a client to end, and gives its status, or -1 for an error. */
static int finish(const library *loaded, sortie_client *client)
{
    sortie_event event;
    do {
        if (loaded->wait(client, WAIT_MS) != 1)
            return -1;
    } while (loaded->poll(client, &event, 1) != 1 || event.type != SORTIE_EVENT_ENDED);
    return event.error == SORTIE_ERROR_NONE ? event.status : -1;
}

static int copy(const char *from, const char *to)
{
    static char buffer[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t length = 0;
    int copied = in && out;
    while (copied && (length = fread(buffer, 1, sizeof buffer, in)) > 0)
        copied = fwrite(buffer, 1, length, out) == length;
    if (in)
        fclose(in);
    return out && fclose(out) == 0 && copied;
}

/* Whether the code at an address still belongs to the file that it came from. */
typedef struct {
    uintptr_t address;
    int found;
} mapping;

static int holds_address(struct dl_phdr_info *info, size_t size, void *data)
{
    mapping *wanted = data;
    int i;
    (void)size;
    for (i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && wanted->address - start < info->dlpi_phdr[i].p_memsz)
            wanted->found = 1;
    }
    return wanted->found;
}

static int is_mapped(const library *loaded)
{
    mapping wanted = { 0, 0 };
    memcpy(&wanted.address, &loaded->version, sizeof wanted.address);
    dl_iterate_phdr(holds_address, &wanted);
    return wanted.found;
}

/* ------------------------------------------------------------------------------------------------------------------
 * The tests.
 */

/* Two copies, with a request in each at the same time. */
static void use_both(const library *first, const library *second, const char *server)
{
    sortie_client *left = create(first), *right = create(second);
    check(first->version != second->version, "the copy is another library");
    check(strcmp(first->version(), second->version()) == 0, "the copy has the same version");
    if (server) {
        char url[256];
        snprintf(url, sizeof url, "%s/bytes/100000", server);
        check(first->get(left, url, 1, NULL) == SORTIE_OK, "the first copy takes a request");
        check(second->get(right, url, 2, NULL) == SORTIE_OK, "the second copy takes a request");
        check(finish(second, right) == 200, "the second copy's request ends well");
        check(finish(first, left) == 200, "the first copy's request ends well");
    }
    first->destroy(left);
    if (server) {
        char url[256];
        snprintf(url, sizeof url, "%s/bytes/1", server);
        check(second->get(right, url, 3, NULL) == SORTIE_OK, "the second copy goes on without the first");
        check(finish(second, right) == 200, "its request ends well");
    }
    second->destroy(right);
}

/* A client is destroyed while a name is looked up, whose thread may live on; then the library is closed. */
static void close_early(const library *loaded)
{
    sortie_client *client = create(loaded);
    check(loaded->get(client, "http://localhost:1/", 4, NULL) == SORTIE_OK, "a request is taken");
    loaded->destroy(client);
    check(dlclose(loaded->handle) == 0, "the library is closed");
    check(is_mapped(loaded), "the library is never unmapped under its threads");
    check(strcmp(loaded->version(), SORTIE_VERSION) == 0, "its code is still there");
}

int main(int argc, char **argv)
{
    surroundings before;
    library first, second;
    if (argc != 3) {
        fprintf(stderr, "usage: load LIBRARY COPY\n");
        return 2;
    }
    setlocale(LC_ALL, "C");
    check(copy(argv[1], argv[2]), "the library can be copied");

    before = look_around();
    first = load(argv[1]);
    check_unchanged(&before, "after dlopen()");
    first.destroy(create(&first));
    check_unchanged(&before, "after a client's life");
    second = load(argv[2]);
    use_both(&first, &second, getenv("SORTIE_TEST_SERVER"));
    check_unchanged(&before, "after two copies");
    close_early(&first);
    close_early(&second);

    remove(argv[2]);
    if (failures == 0)
        printf("all is left as it was\n");
    return failures != 0;
}
