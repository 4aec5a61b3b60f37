/*
 * What the programs of `cargo xtask bench` share. Each is called as PROGRAM WORK URL COUNT PARALLEL [PATH] and prints one
 * line of JSON; its exit status is 0 only if every response was 200 and had as many bytes as the last part of its URL says.
 */
#ifndef BENCH_H
#define BENCH_H
#define _GNU_SOURCE

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct arguments {
    const char *work;
    const char *url;
    size_t count;
    size_t parallel;
    const char *path; /* or "" */
    uint64_t length;  /* of each body */
};

/* What the whole process has spent so far. */
struct spent {
    uint64_t wall_ns;
    uint64_t user_ns;
    uint64_t system_ns;
};

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static inline void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        fail("out of memory");
    return memory;
}

/* As many descriptors as the process may have. */
static inline void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static inline struct arguments read_arguments(int argc, char **argv)
{
    if (argc < 5 || argc > 6)
        fail("usage: %s WORK URL COUNT PARALLEL [PATH]", argv[0]);
    raise_file_limit();
    const char *last = strrchr(argv[2], '/');
    return (struct arguments){
        .work = argv[1],
        .url = argv[2],
        .count = strtoul(argv[3], NULL, 10),
        .parallel = strtoul(argv[4], NULL, 10),
        .path = argc == 6 ? argv[5] : "",
        .length = strtoull(last ? last + 1 : argv[2], NULL, 10),
    };
}

static inline int is(const struct arguments *arguments, const char *work)
{
    return strcmp(arguments->work, work) == 0;
}

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static inline uint64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline struct spent spent_now(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (struct spent){
        .wall_ns = now_ns(),
        .user_ns = (uint64_t)usage.ru_utime.tv_sec * 1000000000 + (uint64_t)usage.ru_utime.tv_usec * 1000,
        .system_ns = (uint64_t)usage.ru_stime.tv_sec * 1000000000 + (uint64_t)usage.ru_stime.tv_usec * 1000,
    };
}

/* A figure in KiB of /proc/self/status: VmRSS, or VmHWM for its peak, since ru_maxrss can be that of whoever started us. */
static inline unsigned long memory_kib(const char *name)
{
    char line[256];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            kib = strtoul(line + strlen(name) + 1, NULL, 10);
    }
    if (status)
        fclose(status);
    return kib;
}

static inline int compare_ns(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Sorts the times and prints their median and the tail as members of a JSON object: `NAME_median_ns` and so on. */
static inline void print_times(const char *name, uint64_t *times, size_t count)
{
    qsort(times, count, sizeof *times, compare_ns);
    printf("\"%s_median_ns\":%llu,\"%s_p99_ns\":%llu,\"%s_p999_ns\":%llu,\"%s_max_ns\":%llu,", name,
           (unsigned long long)times[count / 2], name, (unsigned long long)times[count * 99 / 100], name,
           (unsigned long long)times[count * 999 / 1000], name, (unsigned long long)times[count - 1]);
}

/* What so many open streams have added to the memory that there was before. */
static inline void print_streams(size_t streams, unsigned long before_kib)
{
    printf("\"streams\":%zu,\"streams_kib\":%ld,", streams, (long)memory_kib("VmRSS") - (long)before_kib);
}

/* Prints the rest of the object that a `{` and more members have begun. */
static inline void print_spent(size_t requests, uint64_t bytes, struct spent from, struct spent to)
{
    printf("\"requests\":%zu,\"bytes\":%llu,\"wall_ns\":%llu,\"user_ns\":%llu,\"sys_ns\":%llu,\"rss_kib\":%lu,"
           "\"peak_rss_kib\":%lu}\n",
           requests, (unsigned long long)bytes, (unsigned long long)(to.wall_ns - from.wall_ns),
           (unsigned long long)(to.user_ns - from.user_ns), (unsigned long long)(to.system_ns - from.system_ns),
           memory_kib("VmRSS"), memory_kib("VmHWM"));
}

#endif
