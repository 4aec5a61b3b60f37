/*
 * cpp-httplib as a careful program uses it: a client that keeps its connection, on the thread that wants the response; or 16
 * threads with a client each if many are wanted at once.
 */
#include "bench.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <httplib.h>

static struct arguments arguments;

namespace {

constexpr size_t threads = 16;

std::string host;
std::string path;

uint64_t check(const httplib::Result &result, uint64_t length)
{
    if (!result || result->status != 200 || length != arguments.length)
        fail("%s, status %d, %llu bytes", httplib::to_string(result.error()).c_str(), result ? result->status : 0,
             static_cast<unsigned long long>(length));
    return length;
}

class Getter {
public:
    Getter() : client(host)
    {
        client.set_keep_alive(true);
        client.set_tcp_nodelay(true);
        client.set_follow_location(true);
        client.set_default_headers({ { "User-Agent", "bench/1" } });
        client.set_read_timeout(30);
        if (is(&arguments, "tls"))
            client.set_ca_cert_path(arguments.path);
    }

    uint64_t get()
    {
        auto result = client.Get(path);
        return check(result, result ? result->body.size() : 0);
    }

    /* Under another name first, so that it is whole under its own. */
    uint64_t download()
    {
        std::string part = std::string(arguments.path) + ".part";
        FILE *file = fopen(part.c_str(), "wb");
        if (!file)
            fail("cannot write %s", part.c_str());
        uint64_t length = 0;
        auto result = client.Get(path, [&](const char *data, size_t size) {
            length += size;
            return fwrite(data, 1, size, file) == size;
        });
        if (fclose(file) != 0 || rename(part.c_str(), arguments.path) != 0)
            fail("cannot write %s", arguments.path);
        return check(result, length);
    }

private:
    httplib::Client client;
};

/* Threads that get so many responses as are wanted. They end with the process. */
class Pool {
public:
    explicit Pool(size_t count)
    {
        for (size_t i = 0; i < count; i++)
            std::thread([this] { serve(); }).detach();
    }

    uint64_t get_all(size_t count)
    {
        std::unique_lock lock(mutex);
        bytes = 0;
        wanted = unfinished = count;
        more.notify_all();
        done.wait(lock, [this] { return unfinished == 0; });
        return bytes;
    }

private:
    void serve()
    {
        Getter getter;
        std::unique_lock lock(mutex);
        for (;;) {
            more.wait(lock, [this] { return wanted > 0; });
            wanted--;
            lock.unlock();
            uint64_t length = getter.get();
            lock.lock();
            bytes += length;
            if (--unfinished == 0)
                done.notify_one();
        }
    }

    std::mutex mutex;
    std::condition_variable more;
    std::condition_variable done;
    size_t wanted = 0;
    size_t unfinished = 0;
    uint64_t bytes = 0;
};

} // namespace

int main(int argc, char **argv)
{
    arguments = read_arguments(argc, argv);
    std::string url = arguments.url;
    size_t slash = url.find('/', url.find("//") + 2);
    host = url.substr(0, slash);
    path = url.substr(slash);

    spent from;
    size_t requests = 0;
    uint64_t bytes = 0;
    Getter getter;
    printf("{");
    if (is(&arguments, "small") && arguments.parallel > 1) {
        Pool &pool = *new Pool(threads);
        pool.get_all(arguments.parallel);
        from = spent_now();
        for (; requests < arguments.count; requests += arguments.parallel)
            bytes += pool.get_all(arguments.parallel);
    } else if (is(&arguments, "small") || is(&arguments, "latency")) {
        std::vector<uint64_t> times(arguments.count);
        getter.get();
        from = spent_now();
        for (; requests < arguments.count; requests++) {
            uint64_t start = now_ns();
            bytes += getter.get();
            times[requests] = now_ns() - start;
        }
        print_times("latency", times.data(), times.size());
    } else if (is(&arguments, "memory") || is(&arguments, "tls")) {
        from = spent_now();
        for (; requests < arguments.count; requests++)
            bytes += getter.get();
    } else if (is(&arguments, "file")) {
        from = spent_now();
        for (; requests < arguments.count; requests++)
            bytes += getter.download();
    } else {
        fail("no such work");
    }
    print_spent(requests, bytes, from, spent_now());
    /* The threads are still there. */
    fflush(stdout);
    _exit(0);
}
