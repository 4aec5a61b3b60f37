/*
 * A frame loop at 60 Hz that downloads, posts and uploads while it runs.
 *
 *   frame_loop BASE_URL         against Sortie's test server, as cargo xtask demo does
 *   frame_loop --urls URL...    downloads these, in turn to a file and to memory
 *
 * Its files are made in the working directory and removed at the end. It exits with 0 only if everything ended as
 * expected.
 */
#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif

#include <sortie.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JOBS 32
#define FRAMES_PER_SECOND 60
#define MAX_SECONDS 60
#define MAX_FRAMES (FRAMES_PER_SECOND * MAX_SECONDS)
#define FRAME_NS (UINT64_C(1000000000) / FRAMES_PER_SECOND)
#define BAR_WIDTH 32

/* ------------------------------------------------------------------------------------------------------------------
 * What differs between systems. Windows: not tried yet.
 */
#if defined(_WIN32)
#include <io.h>
#include <windows.h>

static uint64_t now_ns(void)
{
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (uint64_t)((double)ticks.QuadPart * 1e9 / (double)per_second.QuadPart);
}

static void sleep_until(uint64_t when_ns)
{
    uint64_t now = now_ns();
    if (when_ns > now)
        Sleep((DWORD)((when_ns - now) / 1000000));
}

static int is_terminal(void)
{
    return _isatty(_fileno(stdout));
}
#else
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t when_ns)
{
#if defined(__APPLE__)
    uint64_t now = now_ns(), left = when_ns > now ? when_ns - now : 0;
    struct timespec rest = { (time_t)(left / 1000000000), (long)(left % 1000000000) };
    nanosleep(&rest, NULL);
#else
    struct timespec when = { (time_t)(when_ns / 1000000000), (long)(when_ns % 1000000000) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
#endif
}

static int is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}
#endif

/* ------------------------------------------------------------------------------------------------------------------
 * The jobs: what to ask for, how it should end, and how it does.
 */
typedef enum {
    JOB_FETCH,    /* to memory, or a POST of body */
    JOB_DOWNLOAD, /* to file */
    JOB_UPLOAD    /* from file */
} job_kind;

typedef struct {
    const char *what;
    job_kind kind;
    const char *body;
    const char *file;
    uint64_t cancel_at;        /* cancelled once this many bytes have come; 0: never */
    uint32_t expected_error;
    int32_t expected_status;   /* 0: any 2xx */
    int64_t expected_bytes;    /* -1: any number */
    uint32_t expected_hops;    /* redirects followed */
    const char *expected_body; /* NULL: any */

    char url[1024];
    sortie_request id;
    int ended;
    int32_t status;
    uint32_t error;
    uint64_t bytes;
    int64_t bytes_in_all;
    uint64_t took_us;
    char message[200];
    char surprise[80]; /* how the end differs from what was expected; empty if it does not */
} job;

static job jobs[MAX_JOBS];
static int job_count;

static job *add_job(const char *what, job_kind kind, const char *base, const char *path)
{
    job *added = &jobs[job_count++];
    memset(added, 0, sizeof *added);
    added->what = what;
    added->kind = kind;
    added->expected_bytes = -1;
    added->bytes_in_all = -1;
    snprintf(added->url, sizeof added->url, "%s%s", base, path);
    return added;
}

static void add_download(const char *what, const char *base, const char *path, const char *file, int64_t bytes)
{
    job *added = add_job(what, JOB_DOWNLOAD, base, path);
    added->file = file;
    added->expected_bytes = bytes;
}

static const char upload_file[] = "frame_loop_savegame.bin";
#define UPLOAD_BYTES 8000000

/* Makes the file to upload, and what the test server answers to it: its length and its FNV-1a hash. */
static int make_upload_file(char *answer, size_t answer_size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    FILE *file = fopen(upload_file, "wb");
    int i, whole;
    if (!file)
        return 0;
    for (i = 0; i < UPLOAD_BYTES; i++) {
        unsigned char byte = (unsigned char)(i * 7 + i / 251);
        putc(byte, file);
        hash = (hash ^ byte) * UINT64_C(0x100000001b3);
    }
    snprintf(answer, answer_size, "%d %016" PRIx64, UPLOAD_BYTES, hash);
    whole = !ferror(file);
    return fclose(file) == 0 && whole;
}

static int add_demo_jobs(const char *base)
{
    static char uploaded[64];
    job *added;
    if (!make_upload_file(uploaded, sizeof uploaded)) {
        fprintf(stderr, "cannot write %s\n", upload_file);
        return 0;
    }
    add_download("level", base, "/slow?bytes=6000000&rate=2500000", "frame_loop_level.bin", 6000000);
    add_download("textures", base, "/slow?bytes=3000000&rate=1000000", "frame_loop_textures.bin", 3000000);
    add_download("music", base, "/slow?bytes=700000&rate=200000", "frame_loop_music.bin", 700000);
    add_download("movie", base, "/bytes/50000000", "frame_loop_movie.bin", 50000000);

    added = add_job("upload", JOB_UPLOAD, base, "/upload-slow?rate=3000000");
    added->file = upload_file;
    added->expected_bytes = UPLOAD_BYTES;
    added->expected_body = uploaded;

    added = add_job("post", JOB_FETCH, base, "/echo");
    added->body = "{\"player\": \"Zo\xc3\xab\", \"score\": 4211}";
    added->expected_body = added->body;

    added = add_job("cancelled", JOB_DOWNLOAD, base, "/slow?bytes=20000000&rate=2000000");
    added->file = "frame_loop_cancelled.bin";
    added->cancel_at = 3000000;
    added->expected_error = SORTIE_ERROR_CANCELLED;
    added->expected_status = 200;

    added = add_job("not found", JOB_FETCH, base, "/status/404");
    added->expected_status = 404;

    /* Port 1 is nobody's. */
    added = add_job("refused", JOB_FETCH, "http://127.0.0.1:1/", "");
    added->expected_error = SORTIE_ERROR_CONNECT;

    added = add_job("redirect", JOB_FETCH, base, "/redirect/3");
    added->expected_bytes = 2;
    added->expected_hops = 3;
    return 1;
}

static void add_url_jobs(char **urls, int count)
{
    static char names[MAX_JOBS][16], files[MAX_JOBS][32];
    int i;
    for (i = 0; i < count && i < MAX_JOBS; i++) {
        int to_file = i % 2 == 0;
        snprintf(names[i], sizeof names[i], "%d %s", i + 1, to_file ? "file" : "memory");
        snprintf(files[i], sizeof files[i], "frame_loop_%d.bin", i + 1);
        printf("%-10s %s\n", names[i], urls[i]);
        if (to_file)
            add_download(names[i], urls[i], "", files[i], -1);
        else
            add_job(names[i], JOB_FETCH, urls[i], "");
    }
}

/* ------------------------------------------------------------------------------------------------------------------
 * What Sortie costs: each frame's time inside its functions.
 */
static uint64_t cost_ns[MAX_FRAMES];
static int frame;

static void add_cost(uint64_t since_ns)
{
    cost_ns[frame] += now_ns() - since_ns;
}

static sortie_result submit(sortie_client *client, job *job, uint64_t user_data)
{
    uint64_t begin = now_ns();
    sortie_result result;
    if (job->kind == JOB_DOWNLOAD) {
        result = sortie_download(client, job->url, job->file, user_data, &job->id);
    } else if (job->kind == JOB_UPLOAD) {
        result = sortie_upload(client, job->url, job->file, NULL, user_data, &job->id);
    } else {
        sortie_request_desc desc = { .struct_size = sizeof desc, .url = job->url, .user_data = user_data };
        desc.body = job->body;
        desc.body_length = job->body ? strlen(job->body) : 0;
        desc.content_type = job->body ? "application/json" : NULL;
        desc.progress = SORTIE_PROGRESS_DOWNLOAD;
        result = sortie_submit(client, &desc, &job->id);
    }
    add_cost(begin);
    return result;
}

static int32_t poll_events(sortie_client *client, sortie_event *events, uint32_t capacity)
{
    uint64_t begin = now_ns();
    int32_t count = sortie_poll(client, events, capacity);
    add_cost(begin);
    return count;
}

static void cancel(sortie_client *client, job *job)
{
    uint64_t begin = now_ns();
    sortie_cancel(client, job->id);
    add_cost(begin);
    job->cancel_at = 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void print_cost(void)
{
    uint64_t first = cost_ns[0];
    qsort(cost_ns, (size_t)frame, sizeof *cost_ns, by_size);
    printf("\nTime inside Sortie per frame, %d frames: median %.1f us, p99 %.1f us, worst %.1f us"
           " (the first, with every submit: %.1f us).\n",
           frame, (double)cost_ns[frame / 2] / 1e3, (double)cost_ns[frame * 99 / 100] / 1e3,
           (double)cost_ns[frame - 1] / 1e3, (double)first / 1e3);
}

/* ------------------------------------------------------------------------------------------------------------------
 * What the player sees.
 */
static int percent(const job *job)
{
    if (job->bytes_in_all > 0)
        return (int)(job->bytes * 100 / (uint64_t)job->bytes_in_all);
    return job->ended && job->error == SORTIE_ERROR_NONE ? 100 : 0;
}

static const char *outcome(const job *job)
{
    static char text[64];
    if (!job->ended)
        return "";
    if (job->error != SORTIE_ERROR_NONE)
        return sortie_error_string(job->error);
    snprintf(text, sizeof text, "%d", (int)job->status);
    return text;
}

/* One bar per job, drawn over the last picture. */
static void draw_bars(int first)
{
    int i;
    if (!first)
        printf("\033[%dA", job_count);
    for (i = 0; i < job_count; i++) {
        char bar[BAR_WIDTH + 1];
        int full = percent(&jobs[i]) * BAR_WIDTH / 100;
        memset(bar, '.', BAR_WIDTH);
        memset(bar, '#', (size_t)(full < BAR_WIDTH ? full : BAR_WIDTH));
        bar[BAR_WIDTH] = '\0';
        printf("\r%-10s [%s] %10.3f MB  %s\033[K\n", jobs[i].what, bar, (double)jobs[i].bytes / 1e6,
               outcome(&jobs[i]));
    }
    fflush(stdout);
}

/* The same as one plain line, for logs. */
static void print_line(void)
{
    int i;
    printf("%5.1f s ", (double)frame / FRAMES_PER_SECOND);
    for (i = 0; i < job_count; i++) {
        if (!jobs[i].ended)
            printf("  %s %d%%", jobs[i].what, percent(&jobs[i]));
    }
    putchar('\n');
}

static void draw(int terminal)
{
    if (terminal && frame % 6 == 0)
        draw_bars(frame == 0);
    else if (!terminal && frame % 30 == 0)
        print_line();
}

static int print_table(void)
{
    int i, surprises = 0;
    printf("\n%-10s %-10s %-34s %10s %9s\n", "request", "what", "ended with", "bytes", "ms");
    for (i = 0; i < job_count; i++) {
        const job *job = &jobs[i];
        printf("%-10" PRIu64 " %-10s %-34s %10" PRIu64 " %9.1f\n", job->id, job->what,
               job->ended ? outcome(job) : "(nothing)", job->bytes, (double)job->took_us / 1e3);
        if (job->message[0])
            printf("%-10s %-10s   %s\n", "", "", job->message);
        if (job->surprise[0]) {
            printf("%-10s %-10s   UNEXPECTED: %s\n", "", "", job->surprise);
            surprises++;
        }
    }
    return surprises;
}

static void print_stats(sortie_client *client)
{
    sortie_stats stats = { .struct_size = sizeof stats };
    if (sortie_client_stats(client, &stats) != SORTIE_OK)
        return;
    printf("%" PRIu64 " requests, %" PRIu64 " ended, %" PRIu64 " of them with an error; %.1f MB received, %.1f MB sent"
           " over %" PRIu64 " connections.\n",
           stats.submitted, stats.ended, stats.failed, (double)stats.bytes_received / 1e6,
           (double)stats.bytes_sent / 1e6, stats.connections);
}

/* ------------------------------------------------------------------------------------------------------------------
 * What happens each frame.
 */
static int64_t file_size(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;
    if (!file)
        return -1;
    size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    fclose(file);
    return size;
}

static void expect(job *job, int as_expected, const char *what)
{
    if (!as_expected && !job->surprise[0])
        snprintf(job->surprise, sizeof job->surprise, "%s", what);
}

static void check_end(job *job, const sortie_event *event)
{
    sortie_timing timing = { .struct_size = sizeof timing };
    int whole = event->error == SORTIE_ERROR_NONE;
    sortie_event_timing(event, &timing);
    job->took_us = timing.total_us;

    expect(job, event->error == job->expected_error, "another error was expected");
    if (job->expected_status)
        expect(job, event->status == job->expected_status, "another status was expected");
    else if (whole)
        expect(job, event->status / 100 == 2, "a 2xx status was expected");
    if (job->expected_bytes >= 0)
        expect(job, event->bytes_transferred == (uint64_t)job->expected_bytes, "another length was expected");
    expect(job, timing.redirects == job->expected_hops || !job->expected_hops, "other redirects were expected");
    if (job->expected_body) {
        expect(job, event->body && strcmp((const char *)event->body, job->expected_body) == 0,
               "another answer was expected");
    }
    if (job->kind == JOB_DOWNLOAD) {
        int64_t size = file_size(job->file);
        expect(job, whole || size < 0, "a file was left behind");
        expect(job, !whole || size >= 0, "there is no file");
        expect(job, !whole || job->expected_bytes < 0 || size == job->expected_bytes, "the file has another size");
    }
}

static void handle_event(sortie_client *client, const sortie_event *event)
{
    job *job = &jobs[event->user_data];
    job->bytes = event->bytes_transferred;
    job->bytes_in_all = event->bytes_estimated;
    if (job->cancel_at && event->type != SORTIE_EVENT_ENDED && event->bytes_transferred >= job->cancel_at)
        cancel(client, job);
    if (event->type != SORTIE_EVENT_ENDED)
        return;
    expect(job, !job->ended, "it ended twice");
    job->ended = 1;
    job->status = event->status;
    job->error = event->error;
    if (event->message && strcmp(event->message, sortie_error_string(event->error)) != 0)
        snprintf(job->message, sizeof job->message, "%s", event->message);
    check_end(job, event);
}

static int run_frames(sortie_client *client)
{
    int running = 0, terminal = is_terminal(), i;
    uint64_t next = now_ns();
    for (i = 0; i < job_count; i++) {
        if (submit(client, &jobs[i], (uint64_t)i) == SORTIE_OK) {
            running++;
        } else {
            snprintf(jobs[i].message, sizeof jobs[i].message, "%s", sortie_last_error_message());
            expect(&jobs[i], 0, "it was refused");
        }
    }
    while (running > 0 && frame < MAX_FRAMES) {
        sortie_event events[64];
        int32_t count = poll_events(client, events, 64);
        for (i = 0; i < count; i++) {
            handle_event(client, &events[i]);
            running -= events[i].type == SORTIE_EVENT_ENDED;
        }
        draw(terminal);
        frame++;
        next += FRAME_NS;
        sleep_until(next);
    }
    if (terminal)
        draw_bars(0);
    return running == 0;
}

int main(int argc, char **argv)
{
    sortie_client *client = NULL;
    int in_time, surprises, i;
    if (argc > 2 && strcmp(argv[1], "--urls") == 0) {
        add_url_jobs(argv + 2, argc - 2);
    } else if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: frame_loop BASE_URL\n       frame_loop --urls URL...\n");
        return 2;
    } else if (!add_demo_jobs(argv[1])) {
        return 1;
    }
    if (sortie_client_create(NULL, &client) != SORTIE_OK) {
        fprintf(stderr, "no client: %s\n", sortie_last_error_message());
        return 1;
    }
    printf("Sortie %s: %d requests at %d frames a second\n", sortie_version(), job_count, FRAMES_PER_SECOND);
    in_time = run_frames(client);
    surprises = print_table();
    print_cost();
    print_stats(client);
    sortie_client_destroy(client);
    for (i = 0; i < job_count; i++) {
        if (jobs[i].file)
            remove(jobs[i].file);
    }
    if (!in_time)
        printf("Not everything ended within %d seconds.\n", MAX_SECONDS);
    else if (surprises == 0)
        printf("Everything ended as expected.\n");
    return in_time && surprises == 0 ? 0 : 1;
}
