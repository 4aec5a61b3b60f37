// co_await, where the compiler has it.
#include "support.hpp"

#ifdef SORTIE_HPP_COROUTINES

#include <memory>

using namespace std::chrono_literals;
using namespace std::string_view_literals;

/// Puts what it did into a log, and to what end it came.
struct Log {
    std::vector<std::string> lines;
    int alive = 0;
    void add(std::string_view line) { lines.emplace_back(line); }
};

static sortie::Task three_in_a_row(sortie::Client &client, Log &log)
{
    const Counted counted(log.alive);
    for (int i = 0; i < 3; ++i) {
        const sortie::Result<sortie::Response> answer = co_await client.fetch(std::string_view(URL));
        CHECK_DONE(answer);
        CHECK_EQUAL(answer->status(), 200);
        CHECK_SAME(answer->header("x-mock").value_or("none"), "yes");
        log.add(answer->body());
    }
}

TEST(a_coroutine_goes_on_inside_poll)
{
    Log log;
    sortie::Client client = make_answering_client();
    const sortie::Task task = three_in_a_row(client, log);
    CHECK(!task.done() && log.lines.empty());
    await_undrained(client, 1);
    CHECK(log.lines.empty());
    poll_until(client, [&] { return task.done(); });
    CHECK(log.lines == std::vector<std::string>({"mocked", "mocked", "mocked"}));
    CHECK_EQUAL(log.alive, 0);
}

static sortie::Task several_at_once(sortie::Client &client, Log &log)
{
    sortie::Request post("http://quick.test/post");
    post.body("x"sv);
    auto first = client.fetch(post);
    auto second = client.fetch(URL);
    CHECK(first.id() && second.id() && !first.is_ready());
    CHECK_EQUAL(client.stats()->submitted, 2);
    const auto later = co_await second;
    const auto earlier = co_await first;
    log.add(later.value().body());
    log.add(earlier.value().body());
}

TEST(several_are_under_way_at_once)
{
    Log log;
    sortie::Client client = make_answering_client();
    const sortie::Task task = several_at_once(client, log);
    poll_until(client, [&] { return task.done(); });
    CHECK(log.lines == std::vector<std::string>({"mocked", "mocked"}));
}

static sortie::Task await_one(sortie::Client &client, std::string url, Log &log)
{
    const Counted counted(log.alive);
    const auto answer = co_await client.fetch(url);
    log.add(!answer ? answer.error().message() : answer->failed() ? "failed" : "came");
}

TEST(a_coroutine_that_is_dropped_cancels)
{
    Log log;
    sortie::Client client = make_answering_client();
    {
        const sortie::Task task = await_one(client, SLOW, log);
        CHECK_EQUAL(log.alive, 1);
    }
    CHECK_EQUAL(log.alive, 0);
    await_undrained(client, 1);
    CHECK_EQUAL(client.poll().value(), 1);
    CHECK(log.lines.empty());
    // When its end is there already, but not told.
    {
        const sortie::Task task = await_one(client, URL, log);
        await_undrained(client, 1);
    }
    CHECK_EQUAL(client.poll().value(), 1);
    CHECK(log.lines.empty() && log.alive == 0);
    // A fetch that nothing awaits.
    {
        const sortie::Fetch fetch = client.fetch(SLOW);
        CHECK(fetch.id());
    }
    await_undrained(client, 1);
    CHECK_EQUAL(client.poll().value(), 1);
}

TEST(a_fetch_may_end_before_it_is_awaited)
{
    Log log;
    sortie::Client client = make_answering_client();
    auto fetch = client.fetch(URL);
    poll_until(client, [&] { return fetch.is_ready(); });
    const auto await = [](sortie::Fetch &awaited, Log &told) -> sortie::Task {
        const auto answer = co_await awaited;
        told.add(answer.value().body());
    };
    CHECK(await(fetch, log).done());
    CHECK(log.lines == std::vector<std::string>({"mocked"}));
}

TEST(what_cannot_be_fetched_is_told_at_once)
{
    Log log;
    sortie::Client client = make_answering_client();
    CHECK(await_one(client, "gopher://a/", log).done());
    CHECK_HOLDS(log.lines[0].c_str(), "gopher");
    CHECK(await_one(client, std::string("http://a/\0", 10), log).done());
    CHECK_HOLDS(log.lines[1].c_str(), "url has a NUL byte at 9");
    sortie::Client none;
    CHECK(await_one(none, "http://a/", log).done());
    CHECK_HOLDS(log.lines[2].c_str(), "client");
    sortie::Request request("http://a/");
    request.flags(sortie::RequestFlags::stream_response);
    auto fetch = client.fetch(request);
    CHECK(fetch.is_ready());
    CHECK_REFUSED(fetch.await_resume(), argument, "stream_response");
    CHECK_EQUAL(log.alive, 0);
}

TEST(awaiters_are_told_that_the_client_has_ended)
{
    Log log;
    auto client = std::make_unique<sortie::Client>(make_answering_client());
    std::vector<sortie::Task> tasks;
    for (int i = 0; i < 5; ++i)
        tasks.push_back(await_one(*client, SLOW, log));
    auto fetch = client->fetch(SLOW);
    client.reset();
    CHECK_EQUAL(log.lines.size(), 5);
    for (const std::string &line : log.lines)
        CHECK_HOLDS(line.c_str(), "the client was destroyed");
    for (const sortie::Task &task : tasks)
        CHECK(task.done());
    CHECK(fetch.is_ready() && !fetch.id());
    CHECK_REFUSED(fetch.await_resume(), shutdown, "the client was destroyed");
}

static sortie::Task end_the_client(sortie::Client &client, Log &log)
{
    co_await client.fetch(URL);
    client.close();
    const auto answer = co_await client.fetch(URL);
    log.add(answer.error().message());
}

TEST(a_coroutine_may_end_the_client)
{
    Log log;
    sortie::Client client = make_answering_client();
    const sortie::Task other = await_one(client, SLOW, log);
    const sortie::Task task = end_the_client(client, log);
    await_undrained(client, 1);
    CHECK_EQUAL(client.poll().value(), 1);
    CHECK(task.done() && other.done() && !client);
    CHECK_EQUAL(log.lines.size(), 2);
    CHECK_HOLDS(log.lines[0].c_str(), "NULL");
    CHECK_HOLDS(log.lines[1].c_str(), "the client was destroyed");
}

TEST(a_task_may_be_destroyed_by_a_callback)
{
    Log log;
    sortie::Client client = make_answering_client();
    sortie::Task task = await_one(client, SLOW, log);
    CHECK_DONE(client.get(URL, [&](const sortie::Event &) { task = sortie::Task(); }));
    poll_until(client, [&] { return log.alive == 0; });
    CHECK(log.lines.empty() && task.done());
}

#ifdef SORTIE_HPP_EXCEPTIONS

static sortie::Task throws_later(sortie::Client &client, Log &log)
{
    const Counted counted(log.alive);
    co_await client.fetch(URL);
    throw 7;
}

TEST(what_a_coroutine_throws_leaves_poll)
{
    Log log;
    sortie::Client client = make_answering_client();
    const sortie::Task task = throws_later(client, log);
    const sortie::Task other = await_one(client, URL, log);
    await_undrained(client, 2);
    bool caught = false;
    try {
        CHECK_DONE(client.poll());
    } catch (int) {
        caught = true;
    }
    CHECK(caught && task.done());
    poll_until(client, [&] { return other.done(); });
    CHECK_EQUAL(log.alive, 0);
    CHECK_EQUAL(log.lines.size(), 1);
}

#endif
#endif
