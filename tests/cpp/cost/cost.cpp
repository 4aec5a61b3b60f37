// What cost.c does, in the way of C++: the same requests, with a callback each.
#include <sortie.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

static constexpr int COUNT = 1000;

#define NOINLINE __attribute__((noinline))

static auto add_to(std::uint64_t &bytes)
{
    return [&bytes](const sortie::Event &event) {
        if (event.ended() && !event.failed() && event.status() == 200)
            bytes += event.body().size();
    };
}

NOINLINE bool get_all(sortie::Client &client, std::uint64_t &bytes)
{
    for (int i = 0; i < COUNT; ++i) {
        if (!client.get("http://game.test/scores.json", add_to(bytes)))
            return false;
    }
    return true;
}

NOINLINE bool submit_all(sortie::Client &client, std::uint64_t &bytes)
{
    for (int i = 0; i < COUNT; ++i) {
        sortie::Request request("http://game.test/scores.json");
        request.method("PUT").header("X-Player", "12345").header("Accept", "application/json");
        request.body("{\"score\":42}").content_type("application/json").timeout(std::chrono::seconds(5));
        if (!client.submit(request, add_to(bytes)))
            return false;
    }
    return true;
}

NOINLINE void drain_all(sortie::Client &client) { client.poll(); }

static bool await_all(sortie::Client &client)
{
    for (int tries = 0; tries < 60000; ++tries) {
        if (client.stats()->undrained == COUNT)
            return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

int main()
{
    sortie::Client client = *sortie::Client::create(sortie::Config().flags(sortie::ClientFlags::mocks_only));
    std::uint64_t bytes = 0;
    if (!client.mock(sortie::Mock("*").body("mocked")))
        return 1;
    for (int round = 0; round < 2; ++round) {
        if (!get_all(client, bytes) || !await_all(client))
            return 1;
        drain_all(client);
        if (!submit_all(client, bytes) || !await_all(client))
            return 1;
        drain_all(client);
    }
    client.close();
    std::printf("%d requests, %d bytes\n", 4 * COUNT, static_cast<int>(bytes));
    return bytes == 4 * COUNT * 6 ? 0 : 1;
}
