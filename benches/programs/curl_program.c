/* The program `curl`, as one would start it: all requests in one run, so that its start counts once. */
#include "bench.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    struct arguments arguments = read_arguments(argc, argv);
    char **words = allocate(arguments.count * 3 + 4, sizeof *words);
    struct rusage usage;
    size_t next = 0;
    int status, results[2];
    char result[64];
    uint64_t bytes = 0;
    if (!is(&arguments, "file"))
        fail("no such work");
    words[next++] = (char *)"curl";
    words[next++] = (char *)"-qfs";
    words[next++] = (char *)"-w%{http_code} %{size_download}\\n";
    for (size_t i = 0; i < arguments.count; i++) {
        words[next++] = (char *)"-o";
        words[next++] = (char *)arguments.path;
        words[next++] = (char *)arguments.url;
    }

    posix_spawn_file_actions_t actions;
    pid_t process;
    if (pipe(results) != 0 || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, results[1], STDOUT_FILENO) != 0)
        fail("no pipe");
    uint64_t start = now_ns();
    if (posix_spawnp(&process, "curl", &actions, NULL, words, environ) != 0)
        fail("cannot start curl");
    close(results[1]);
    if (wait4(process, &status, 0, &usage) != process || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("curl has failed");
    uint64_t end = now_ns();

    FILE *told = fdopen(results[0], "r");
    for (size_t i = 0; i < arguments.count; i++) {
        int code;
        unsigned long long length;
        if (!told || !fgets(result, sizeof result, told) || sscanf(result, "%d %llu", &code, &length) != 2 ||
            code != 200 || length != arguments.length)
            fail("curl said: %s", result);
        bytes += length;
    }
    struct spent child = { .wall_ns = end - start,
                           .user_ns = (uint64_t)usage.ru_utime.tv_sec * 1000000000 + (uint64_t)usage.ru_utime.tv_usec * 1000,
                           .system_ns =
                               (uint64_t)usage.ru_stime.tv_sec * 1000000000 + (uint64_t)usage.ru_stime.tv_usec * 1000 };
    printf("{\"requests\":%zu,\"bytes\":%llu,\"wall_ns\":%llu,\"user_ns\":%llu,\"sys_ns\":%llu,\"peak_rss_kib\":%ld}\n",
           arguments.count, (unsigned long long)bytes, (unsigned long long)child.wall_ns,
           (unsigned long long)child.user_ns, (unsigned long long)child.system_ns, usage.ru_maxrss);
    return 0;
}
