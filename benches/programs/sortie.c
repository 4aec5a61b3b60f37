/* Sortie with its default settings, but for the limits that a work is beyond. */
#include "bench.h"

#include <sortie.h>
#include <unistd.h>

#define FRAME_NS 16666667
#define PATIENCE_MS 30000
#define WARM_UP_FRAMES 150

static struct arguments arguments;
static sortie_client *client;
static uint64_t bytes;

static void submit(const sortie_request_desc *desc)
{
    if (sortie_submit(client, desc, NULL) != SORTIE_OK)
        fail("submit: %s", sortie_last_error_message());
}

static void get(void)
{
    if (sortie_get(client, arguments.url, 0, NULL) != SORTIE_OK)
        fail("submit: %s", sortie_last_error_message());
}

static void check(const sortie_event *event)
{
    if (event->error != SORTIE_ERROR_NONE || event->status != 200)
        fail("%s: status %d: %s", event->url, event->status, event->message ? event->message : "");
    uint64_t length = event->file_path ? (uint64_t)event->bytes_transferred : event->body_length;
    if (length != arguments.length)
        fail("%s: %llu bytes", event->url, (unsigned long long)length);
    bytes += length;
}

/* Drains what there is and gives the number of requests that have ended. */
static size_t drain(void)
{
    sortie_event events[64];
    size_t ended = 0;
    int32_t count;
    while ((count = sortie_poll(client, events, 64)) > 0) {
        for (int32_t i = 0; i < count; i++) {
            if (events[i].type == SORTIE_EVENT_ENDED) {
                check(&events[i]);
                ended++;
            }
        }
    }
    return ended;
}

static void sleep_until(uint64_t ns)
{
    struct timespec time = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void sleep_for_events(void)
{
    if (sortie_wait(client, PATIENCE_MS) != 1)
        fail("nothing happens");
}

static void sleep_for_frame(void)
{
    sleep_until(now_ns() + FRAME_NS);
}

/* Keeps up to `window` requests going until `count` have ended. */
static void get_all(size_t count, size_t window, void (*sleep)(void))
{
    size_t submitted = 0, ended = 0;
    while (ended < count) {
        for (; submitted < count && submitted - ended < window; submitted++)
            get();
        size_t more = drain();
        if (more == 0)
            sleep();
        ended += more;
    }
}

static void one(const sortie_request_desc *desc)
{
    submit(desc);
    while (drain() == 0)
        sleep_for_events();
}

/* One after another, each time from submit to its event; `sleep` may be NULL, to poll busily. */
static void measure_latency(uint64_t *times, void (*sleep)(void))
{
    for (size_t i = 0; i < arguments.count; i++) {
        uint64_t start = now_ns();
        get();
        while (drain() == 0) {
            if (sleep)
                sleep();
        }
        times[i] = now_ns() - start;
    }
}

/* Opens responses that send a byte and then nothing, some at a time, and gives back once they are all open. */
static void open_idle_streams(const char *url, size_t count)
{
    sortie_request_desc desc = {
        .struct_size = sizeof desc,
        .url = url,
        .flags = SORTIE_REQUEST_STREAM_RESPONSE,
        .timeout_ms = SORTIE_NO_TIMEOUT,
        .stall_timeout_ms = SORTIE_NO_TIMEOUT,
    };
    size_t submitted = 0, open = 0;
    while (open < count) {
        for (; submitted < count && submitted - open < 500; submitted++)
            submit(&desc);
        sortie_event events[64];
        int32_t got = sortie_poll(client, events, 64);
        if (got == 0)
            sleep_for_events();
        for (int32_t i = 0; i < got; i++) {
            if (events[i].type == SORTIE_EVENT_ENDED)
                fail("an idle stream ended: %s", events[i].message ? events[i].message : "");
            open += events[i].type == SORTIE_EVENT_DATA;
        }
    }
}

/* A game that keeps requests going: so many frames, and in each the time that the library's calls take. */
static size_t run_frames(size_t frames, size_t *running, uint64_t *times, uint64_t *cpu_times)
{
    size_t ended = 0;
    uint64_t next = now_ns();
    for (size_t frame = 0; frame < frames; frame++) {
        uint64_t start = now_ns(), cpu_start = thread_cpu_ns();
        size_t now_ended = drain();
        *running -= now_ended;
        ended += now_ended;
        /* They are started bit by bit, so that they do not end all at once ever after. */
        for (size_t begun = 0; *running < arguments.parallel && begun < now_ended + arguments.parallel / WARM_UP_FRAMES + 1;
             begun++, (*running)++)
            get();
        if (times) {
            times[frame] = now_ns() - start;
            cpu_times[frame] = thread_cpu_ns() - cpu_start;
        }
        next += FRAME_NS;
        sleep_until(next);
    }
    return ended;
}

static uint32_t active(void)
{
    sortie_stats stats = { .struct_size = sizeof stats };
    if (sortie_client_stats(client, &stats) != SORTIE_OK)
        fail("no stats");
    return stats.active;
}

/* Until as many run as should and the first have been replaced, or half a minute is over. */
static void warm_up(size_t *running)
{
    for (int rounds = 1; rounds <= 12; rounds++) {
        run_frames(WARM_UP_FRAMES, running, NULL, NULL);
        if (rounds > 1 && active() >= arguments.parallel * 9 / 10)
            return;
    }
}

/* The warm-up does not count. */
static struct spent begin(void)
{
    bytes = 0;
    return spent_now();
}

int main(int argc, char **argv)
{
    arguments = read_arguments(argc, argv);
    sortie_client_config config = { .struct_size = sizeof config };
    sortie_request_desc desc = { .struct_size = sizeof desc, .url = arguments.url };
    uint64_t *times = allocate(arguments.count, sizeof *times);
    size_t requests = arguments.count;
    struct spent from;

    int to_memory = is(&arguments, "memory"), idle = is(&arguments, "idle"), frame = is(&arguments, "frame");
    if (to_memory)
        config.max_body_bytes = config.max_buffered_bytes = 1ull << 32;
    if (idle || frame)
        config.max_active = config.max_active_per_host = (uint32_t)arguments.parallel + 1;
    if (is(&arguments, "http2") || is(&arguments, "tls"))
        config.ca_file = arguments.path;
    if (sortie_client_create(&config, &client) != SORTIE_OK)
        fail("%s", sortie_last_error_message());

    printf("{");
    if (is(&arguments, "small") || is(&arguments, "small-frames")) {
        void (*sleep)(void) = is(&arguments, "small") ? sleep_for_events : sleep_for_frame;
        get_all(arguments.parallel, arguments.parallel, sleep);
        from = begin();
        for (requests = 0; requests < arguments.count; requests += arguments.parallel)
            get_all(arguments.parallel, arguments.parallel, sleep);
    } else if (is(&arguments, "latency") || is(&arguments, "latency-spin")) {
        one(&desc);
        from = begin();
        measure_latency(times, is(&arguments, "latency") ? sleep_for_events : NULL);
        print_times("latency", times, arguments.count);
    } else if (is(&arguments, "http2")) {
        one(&desc);
        from = begin();
        get_all(arguments.count, arguments.parallel, sleep_for_events);
    } else if (to_memory || is(&arguments, "tls") || is(&arguments, "file") || is(&arguments, "file-sync")) {
        if (is(&arguments, "file") || is(&arguments, "file-sync"))
            desc.response_path = arguments.path;
        if (is(&arguments, "file"))
            desc.flags = SORTIE_REQUEST_NO_SYNC;
        from = begin();
        for (size_t i = 0; i < arguments.count; i++)
            one(&desc);
    } else if (idle) {
        one(&desc);
        unsigned long before_kib = memory_kib("VmRSS");
        open_idle_streams(arguments.path, arguments.parallel);
        one(&desc);
        print_streams(arguments.parallel, before_kib);
        from = begin();
        measure_latency(times, sleep_for_events);
        print_times("latency", times, arguments.count);
    } else if (frame) {
        uint64_t *cpu_times = allocate(arguments.count, sizeof *cpu_times);
        size_t running = 0;
        warm_up(&running);
        from = begin();
        requests = run_frames(arguments.count, &running, times, cpu_times);
        print_times("frame", times, arguments.count);
        print_times("frame_cpu", cpu_times, arguments.count);
        printf("\"active\":%u,", active());
        free(cpu_times);
    } else {
        fail("no such work");
    }
    print_spent(requests, bytes, from, spent_now());
    sortie_client_destroy(client);
    free(times);
    return 0;
}
