// What the C++ tests share, on top of what the C tests do: tests that are run by name, and a loop that polls until
// something holds. No exceptions in here: it is also built without them.
#ifndef SORTIE_TEST_SUPPORT_HPP
#define SORTIE_TEST_SUPPORT_HPP

#include "../c/check.h"

#include <sortie.hpp>

#include <string>
#include <string_view>
#include <vector>

struct Test {
    const char *name;
    void (*run)();
};

inline std::vector<Test> &all_tests()
{
    static std::vector<Test> tests;
    return tests;
}

struct Registration {
    Registration(const char *name, void (*run)()) { all_tests().push_back({name, run}); }
};

#define TEST(name)                                             \
    static void test_##name();                                 \
    static const Registration register_##name(#name, test_##name); \
    static void test_##name()

#define CHECK_SAME(found, wanted) check_same((found), (wanted), #found " == " #wanted, __FILE__, __LINE__)
#define CHECK_REFUSED(result, code, part) \
    check_refused((result).error(), sortie::Code::code, (part), #result " is refused", __FILE__, __LINE__)
#define CHECK_DONE(result) check_done((result).error(), #result, __FILE__, __LINE__)

inline void check_refused(const sortie::Error &error, sortie::Code wanted, const char *part, const char *what,
                          const char *file, int line)
{
    if (error.code() != wanted) {
        std::fprintf(stderr, "    found %d (%s), wanted %d\n", static_cast<int>(error.code()), error.message().c_str(),
                     static_cast<int>(wanted));
        check_failed(what, file, line);
    }
    check_holds(error.message().c_str(), part, what, file, line);
}

inline void check_done(const sortie::Error &error, const char *what, const char *file, int line)
{
    if (error.code() != sortie::Code::ok) {
        std::fprintf(stderr, "    refused: %s\n", error.message().c_str());
        check_failed(what, file, line);
    }
}

inline void check_same(std::string_view found, std::string_view wanted, const char *what, const char *file, int line)
{
    if (found != wanted) {
        std::fprintf(stderr, "    found \"%.*s\", wanted \"%.*s\"\n", static_cast<int>(found.size()), found.data(),
                     static_cast<int>(wanted.size()), wanted.data());
        check_failed(what, file, line);
    }
}

/// A client that goes straight to the test server, whatever proxy the environment names.
inline sortie::Client make_client(sortie::Config &config)
{
    return sortie::Client::create(config.proxy("")).value();
}
inline sortie::Client make_client()
{
    sortie::Config config;
    return make_client(config);
}

/// A client that never goes to the network.
inline sortie::Client make_mocked_client()
{
    return make_client(sortie::Config().flags(sortie::ClientFlags::mocks_only));
}

/// One whose every request is answered at once, but for those to SLOW, which take a minute.
inline sortie::Client make_answering_client()
{
    sortie::Client client = make_mocked_client();
    CHECK_DONE(client.mock(sortie::Mock("http://slow.test/*").delay(std::chrono::seconds(60))));
    CHECK_DONE(client.mock(sortie::Mock("*").body("mocked").header("X-Mock", "yes")));
    return client;
}
inline constexpr const char *URL = "http://quick.test/";
inline constexpr const char *SLOW = "http://slow.test/";

/// A URL of the test server.
inline std::string server(const std::string &path)
{
    std::string base = setting("SORTIE_TEST_SERVER");
    while (!base.empty() && base.back() == '/')
        base.pop_back();
    return base + path;
}

/// Polls until something holds, with a deadline.
template <class Condition, class Handler> void poll_until(sortie::Client &client, Condition &&holds, Handler &&handler)
{
    const std::int64_t deadline = now_ms() + DEADLINE_MS;
    while (!holds()) {
        CHECK(now_ms() < deadline);
        client.wait(std::chrono::milliseconds(50));
        CHECK_DONE(client.poll(handler));
    }
}
template <class Condition> void poll_until(sortie::Client &client, Condition &&holds)
{
    poll_until(client, holds, [](const sortie::Event &) {});
}

/// Waits until so many events could be drained, without draining any.
inline void await_undrained(sortie::Client &client, std::uint32_t count)
{
    const std::int64_t deadline = now_ms() + DEADLINE_MS;
    while (client.stats().value().undrained < count) {
        CHECK(now_ms() < deadline);
        client.wait(std::chrono::milliseconds(1));
    }
}

/// The end of a request, to keep.
inline sortie::Response fetch(sortie::Client &client, const sortie::Request &request)
{
    std::optional<sortie::Response> response;
    CHECK_DONE(client.submit(request, [&](const sortie::Event &event) {
        if (event.ended())
            response.emplace(event);
    }));
    poll_until(client, [&] { return response.has_value(); });
    return std::move(*response);
}

/// The client completes a request, whatever came before.
inline void still_works(sortie::Client &client)
{
    const sortie::Response response = fetch(client, sortie::Request(server("/bytes/10")));
    CHECK_EQUAL(response.error(), sortie::ErrorKind::none);
    CHECK_EQUAL(response.body().size(), 10);
}

/// Counts how many live, to see that nothing leaks and nothing is destroyed twice.
class Counted {
public:
    explicit Counted(int &alive) : alive_(&alive) { ++*alive_; }
    Counted(Counted &&other) noexcept : alive_(other.alive_) { ++*alive_; }
    Counted &operator=(Counted &&) = delete;
    ~Counted() { --*alive_; }

private:
    int *alive_;
};

#endif
