// Callbacks: where they live, when they run, and what they may do.
#include "support.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <thread>

using namespace std::chrono_literals;

TEST(what_a_callback_holds_ends_with_it)
{
    int alive = 0, calls = 0;
    {
        sortie::Client client = make_answering_client();
        // Small, too large for the slot, move-only, aligned beyond the usual.
        CHECK_DONE(client.get(URL, [counted = Counted(alive), &calls](const sortie::Event &) { ++calls; }));
        CHECK_DONE(client.get(URL, [counted = Counted(alive), &calls, large = std::array<char, 500>{}](
                                       const sortie::Event &) { calls += large[0] + 1; }));
        CHECK_DONE(client.get(URL, [counted = Counted(alive), &calls, only = std::make_unique<int>(1)](
                                       const sortie::Event &) mutable { calls += (*only)--; }));
        struct alignas(64) Aligned {
            Counted counted;
            int *calls;
            void operator()(const sortie::Event &)
            {
                CHECK(reinterpret_cast<std::uintptr_t>(this) % 64 == 0);
                ++*calls;
            }
        };
        CHECK_DONE(client.get(URL, Aligned{Counted(alive), &calls}));
        CHECK_EQUAL(alive, 4);
        await_undrained(client, 4);
        CHECK_EQUAL(client.poll().value(), 4);
        CHECK_EQUAL(calls, 4);
        CHECK_EQUAL(alive, 0);

        // Refused: gone at once.
        const auto holding = [&alive] { return [counted = Counted(alive)](const sortie::Event &) {}; };
        CHECK_REFUSED(client.get("gopher://a/", holding()), scheme, "gopher");
        CHECK_REFUSED(client.get("", holding()), url, "empty");
        CHECK_EQUAL(alive, 0);
        // Cut off by the client's end.
        for (int i = 0; i < 100; ++i)
            CHECK_DONE(client.get(SLOW, [counted = Counted(alive), &calls](const sortie::Event &) { ++calls; }));
        CHECK_EQUAL(alive, 100);
    }
    CHECK_EQUAL(alive, 0);
    CHECK_EQUAL(calls, 4);
}

TEST(a_function_and_an_lvalue_are_callbacks)
{
    static int calls;
    calls = 0;
    struct Plain {
        static void call(const sortie::Event &) { ++calls; }
    };
    sortie::Client client = make_answering_client();
    const auto lambda = [](const sortie::Event &) { ++calls; };
    CHECK_DONE(client.get(URL, &Plain::call));
    CHECK_DONE(client.get(URL, Plain::call));
    void (*none)(const sortie::Event &) = nullptr;
    CHECK_REFUSED(client.get(URL, none), null_argument, "the callback is a null pointer");
    CHECK_DONE(client.get(URL, lambda));
    await_undrained(client, 3);
    CHECK_EQUAL(client.poll(Plain::call).value(), 3);
    CHECK_EQUAL(calls, 3);
}

TEST(the_handler_gets_what_has_no_callback_and_all_of_user_data)
{
    sortie::Client client = make_answering_client();
    // Also what looks like the binding's own: the mark, a live slot's number, all ones.
    int calls = 0;
    const std::uint64_t mark = std::uint64_t(0x5a7) << 53;
    const std::vector<std::uint64_t> numbers{0, 1, mark, mark + 1, mark + (1 << 21), UINT64_MAX};
    const sortie::Id live = *client.get(SLOW, [&](const sortie::Event &) { ++calls; });
    std::vector<std::uint64_t> seen;
    for (const std::uint64_t number : numbers) {
        CHECK_DONE(client.get(URL, number));
        CHECK_DONE(client.submit(sortie::Request(URL).user_data(number)));
        CHECK_DONE(client.submit(sortie::Request(URL).user_data(number), [&seen](const sortie::Event &event) {
            seen.push_back(event.user_data());
        }));
    }
    await_undrained(client, static_cast<std::uint32_t>(3 * numbers.size()));
    CHECK_EQUAL(client.poll([&](const sortie::Event &event) { seen.push_back(event.user_data()); }).value(),
                3 * numbers.size());
    for (const std::uint64_t number : numbers)
        CHECK_EQUAL(std::count(seen.begin(), seen.end(), number), 3);
    CHECK_EQUAL(calls, 0);
    CHECK_DONE(client.cancel(live));
    poll_until(client, [&] { return calls == 1; });
}

TEST(the_trace_goes_to_the_handler)
{
    sortie::Client client = make_answering_client();
    CHECK_DONE(client.set_trace_level(sortie::TraceLevel::requests));
    CHECK_REFUSED(client.set_trace_level(static_cast<sortie::TraceLevel>(9)), argument, "9");
    int calls = 0, lines = 0;
    sortie::Request request(URL);
    const sortie::Id id = *client.submit(request.user_data(5), [&](const sortie::Event &event) {
        CHECK(event.ended());
        ++calls;
    });
    const sortie::Id plain = *client.get(URL, 6);
    await_undrained(client, 2);
    CHECK_DONE(client.poll([&](const sortie::Event &event) {
        if (event.ended())
            return;
        CHECK(event.type() == sortie::EventType::trace);
        CHECK(event.trace_level() == sortie::TraceLevel::requests && !event.message().empty());
        CHECK(event.id() == id || event.id() == plain);
        CHECK_EQUAL(event.user_data(), event.id() == id ? 5 : 6);
        ++lines;
    }));
    CHECK(calls == 1 && lines >= 4);
    CHECK_DONE(client.set_trace_level(sortie::TraceLevel::off));
}

TEST(a_callback_may_submit_and_cancel)
{
    sortie::Client client = make_answering_client();
    int rounds = 0, cancelled = 0;
    struct Chain {
        sortie::Client &client;
        int &rounds;
        void operator()(const sortie::Event &) const
        {
            if (++rounds < 200)
                CHECK_DONE(client.get(URL, Chain{client, rounds}));
        }
    };
    const sortie::Id slow = *client.get(SLOW, [&](const sortie::Event &event) {
        CHECK(event.error() == sortie::ErrorKind::cancelled);
        ++cancelled;
    });
    CHECK_DONE(client.get(URL, [&, slow](const sortie::Event &event) {
        CHECK_DONE(client.cancel(slow));
        // Its own end is being told: it is over.
        CHECK_REFUSED(client.cancel(event.id()), stale, "");
    }));
    CHECK_DONE(client.get(URL, Chain{client, rounds}));
    poll_until(client, [&] { return rounds == 200 && cancelled == 1; });
}

TEST(cancel_before_during_and_after)
{
    sortie::Client client = make_client();
    int ends = 0;
    const auto expect_cancelled = [&](const sortie::Event &event) {
        if (!event.ended())
            return;
        CHECK(event.error() == sortie::ErrorKind::cancelled && event.failed());
        ++ends;
    };
    // Before it starts: held back by suspend.
    CHECK_DONE(client.suspend());
    const sortie::Id before = *client.get(server("/bytes/10"), expect_cancelled);
    CHECK_DONE(client.cancel(before));
    CHECK_DONE(client.resume());
    poll_until(client, [&] { return ends == 1; });
    // During: from its own BEGAN.
    CHECK_DONE(client.submit(sortie::Request(server("/stall?sent=10")).progress(sortie::Progress::download),
                             [&](const sortie::Event &event) {
                                 if (event.type() == sortie::EventType::began)
                                     CHECK_DONE(client.cancel(event.id()));
                                 expect_cancelled(event);
                             }));
    poll_until(client, [&] { return ends == 2; });
    // After.
    CHECK_REFUSED(client.cancel(before), stale, "");
    CHECK_REFUSED(client.cancel(sortie::Id()), stale, "");
    CHECK_REFUSED(client.cancel(sortie::Id(12345678901)), stale, "");
    still_works(client);
}

TEST(a_handle_that_goes_silences_its_callback)
{
    int alive = 0, calls = 0;
    sortie::Client client = make_answering_client();
    {
        const sortie::Id id = *client.get(SLOW, [counted = Counted(alive), &calls](const sortie::Event &) { ++calls; });
        sortie::Handle handle = client.hold(id);
        CHECK(handle && handle.id() == id);
        CHECK_EQUAL(alive, 1);
    }
    CHECK_EQUAL(alive, 0);
    await_undrained(client, 1);
    CHECK_EQUAL(client.poll([&](const sortie::Event &) { ++calls; }).value(), 1);
    CHECK_EQUAL(calls, 0);

    // Moved over another, which goes.
    sortie::Handle first = client.hold(*client.get(SLOW, [counted = Counted(alive)](const sortie::Event &) {}));
    sortie::Handle second = client.hold(*client.get(SLOW, [counted = Counted(alive)](const sortie::Event &) {}));
    first = std::move(second);
    CHECK(!second && !second.id()); // NOLINT: on purpose
    CHECK_REFUSED(second.cancel(), stale, "empty");
    CHECK_EQUAL(alive, 1);
    sortie::Handle &itself = first;
    first = std::move(itself);
    CHECK(first && alive == 1);

    // cancel() is told; detach() lets it go on.
    bool told = false;
    sortie::Handle third = client.hold(*client.get(SLOW, [&](const sortie::Event &event) { told = event.failed(); }));
    CHECK_DONE(third.cancel());
    CHECK_DONE(third.cancel());
    poll_until(client, [&] { return told; });
    CHECK_REFUSED(third.cancel(), stale, "");
    third.reset();
    third.reset();
    bool ended = false;
    client.hold(*client.get(URL, [&](const sortie::Event &) { ended = true; })).detach();
    poll_until(client, [&] { return ended; });
    first.reset();
    CHECK_EQUAL(alive, 0);
    CHECK(!client.hold(sortie::Id()) && !sortie::Client().hold(sortie::Id(1)));
}

TEST(a_stale_handle_leaves_the_next_one_alone)
{
    sortie::Client client = make_answering_client();
    int calls = 0;
    sortie::Handle old = client.hold(*client.get(URL, [](const sortie::Event &) {}));
    await_undrained(client, 1);
    CHECK_EQUAL(client.poll().value(), 1);
    // The same slot again.
    CHECK_DONE(client.get(URL, [&](const sortie::Event &) { ++calls; }));
    old.reset();
    poll_until(client, [&] { return calls == 1; });
}

TEST(a_callback_may_destroy_its_own_handle)
{
    int alive = 0, calls = 0;
    sortie::Client client = make_client();
    sortie::Handle handle;
    // In the middle of the transfer: what it holds stays until it returns, and no event follows.
    sortie::Request request(server("/stall?sent=10"));
    request.progress(sortie::Progress::download);
    handle = client.hold(*client.submit(
        request, [&, counted = Counted(alive), text = std::string(100, 'x')](const sortie::Event &event) {
            ++calls;
            handle.reset();
            CHECK_EQUAL(alive, 1);
            CHECK(text.size() == 100 && text[99] == 'x' && event.type() == sortie::EventType::began);
        }));
    poll_until(client, [&] { return calls == 1; });
    CHECK_EQUAL(alive, 0);
    poll_until(client, [&] { return client.stats()->ended == 1 && client.stats()->undrained == 0; });
    CHECK_EQUAL(calls, 1);

    // At its end.
    handle = client.hold(*client.get(server("/bytes/1"), [&](const sortie::Event &) {
        ++calls;
        handle.reset();
    }));
    poll_until(client, [&] { return calls == 2; });
    still_works(client);
}

TEST(handles_outlive_their_client)
{
    int alive = 0;
    sortie::Handle held, watching;
    {
        sortie::Client client = make_answering_client();
        // It also holds a handle to itself.
        auto own = std::make_shared<sortie::Handle>();
        const sortie::Id id = *client.get(SLOW, [counted = Counted(alive), own](const sortie::Event &) {});
        *own = client.hold(id);
        held = client.hold(*client.get(SLOW, [counted = Counted(alive)](const sortie::Event &) {}));
        watching = client.hold(*client.watch("localhost", [counted = Counted(alive)](const sortie::Event &) {}));
        CHECK_EQUAL(alive, 3);
    }
    CHECK_EQUAL(alive, 0);
    CHECK_REFUSED(held.cancel(), shutdown, "destroyed");
    held.reset();
    watching.reset();
}

TEST(a_callback_may_destroy_the_client)
{
    int alive = 0, calls = 0;
    auto client = std::make_unique<sortie::Client>(make_answering_client());
    sortie::Handle handle;
    for (int i = 0; i < 50; ++i) {
        const sortie::Id id = *client->get(URL, [&, counted = Counted(alive)](const sortie::Event &event) {
            ++calls;
            client.reset();
            // What the event points to is still there, the client is not.
            CHECK_SAME(event.body(), "mocked");
            CHECK_SAME(event.take_body().value().text(), "mocked");
            CHECK_REFUSED(handle.cancel(), shutdown, "destroyed");
        });
        handle = i == 49 ? client->hold(id) : sortie::Handle();
    }
    await_undrained(*client, 50);
    sortie::Client &polled = *client;
    CHECK_EQUAL(polled.poll().value(), 1);
    CHECK(!client);
    CHECK_EQUAL(calls, 1);
    CHECK_EQUAL(alive, 0);

    // Or close it, and go on with another in its place.
    sortie::Client other = make_answering_client();
    CHECK_DONE(other.get(URL, [&](const sortie::Event &) {
        other.close();
        other.close();
        CHECK_REFUSED(other.get(URL), null_argument, "client");
        other = make_answering_client();
        CHECK_DONE(other.get(URL, [&](const sortie::Event &) { ++calls; }));
    }));
    poll_until(other, [&] { return calls == 2; });
}

TEST(events_beyond_the_limit_stay)
{
    sortie::Client client = make_answering_client();
    int calls = 0;
    for (int i = 0; i < 100; ++i)
        CHECK_DONE(client.get(URL, [&](const sortie::Event &) { ++calls; }));
    await_undrained(client, 100);
    const auto nothing = [](const sortie::Event &) {};
    CHECK_EQUAL(client.poll(nothing, 0).value(), 0);
    CHECK_EQUAL(client.poll(nothing, 7).value(), 7);
    CHECK_EQUAL(client.poll(nothing, 40).value(), 40);
    CHECK(client.wait(60s));
    CHECK_EQUAL(client.poll().value(), 53);
    CHECK_EQUAL(calls, 100);
    CHECK(!client.wait(0ms) && !client.wait(-5ms));
}

TEST(nothing_is_delivered_while_suspended)
{
    sortie::Client client = make_answering_client();
    int calls = 0;
    for (int i = 0; i < 10; ++i) {
        CHECK_DONE(client.get(URL, [&](const sortie::Event &) {
            if (++calls == 3)
                CHECK_DONE(client.suspend());
        }));
    }
    await_undrained(client, 10);
    CHECK_EQUAL(client.poll().value(), 3);
    CHECK_EQUAL(client.poll().value(), 0);
    CHECK_DONE(client.resume());
    poll_until(client, [&] { return calls == 10; });
}

TEST(polling_twice_at_a_time_is_refused)
{
    sortie::Client client = make_answering_client();
    bool ended = false;
    CHECK_DONE(client.get(URL, [&](const sortie::Event &event) {
        CHECK_REFUSED(client.poll(), busy, "poll() is running already");
        std::thread([&] { CHECK_REFUSED(client.poll(), busy, "another thread"); }).join();
        CHECK_SAME(event.body(), "mocked");
        ended = true;
    }));
    poll_until(client, [&] { return ended; });
    CHECK_DONE(client.poll());
}

TEST(an_ended_watch_is_silent_within_a_batch)
{
    // Two watches and one poll that drains both: the first to be told ends the other.
    sortie::Client client = make_client();
    const std::string host = server("").substr(7);
    int calls = 0;
    std::array<sortie::WatchId, 2> watches;
    for (std::size_t i = 0; i < 2; ++i) {
        watches[i] = *client.watch(host, [&, i](const sortie::Event &) {
            ++calls;
            CHECK_DONE(client.unwatch(watches[1 - i]));
            CHECK_DONE(client.unwatch(watches[i]));
            // Takes the slot of the one that has an event in this batch.
            CHECK_DONE(client.get(server("/bytes/1"), [&](const sortie::Event &event) { CHECK(event.ended()); }));
        });
    }
    // By the time that this one has ended, both hosts have mostly answered.
    CHECK_DONE(client.get(server("/delay?ms=100")));
    await_undrained(client, 1);
    poll_until(client, [&] { return calls > 0; });
    still_works(client);
    CHECK_EQUAL(calls, 1);
}

TEST(a_watch_whose_callback_holds_its_own_handle_frees_its_slot_once)
{
    sortie::Client client = make_client();
    const std::string host = server("").substr(7);
    for (int i = 0; i < 3; ++i) {
        auto own = std::make_shared<sortie::Handle>();
        const sortie::WatchId watch = *client.watch(host, [own](const sortie::Event &) {});
        *own = client.hold(watch);
        own.reset();
        CHECK_DONE(client.unwatch(watch));
    }
    // A slot that was freed twice would be given to both of these.
    int first = 0, second = 0;
    CHECK_DONE(client.get(server("/bytes/1"), [&](const sortie::Event &event) { first += event.ended(); }));
    CHECK_DONE(client.get(server("/bytes/2"), [&](const sortie::Event &event) { second += event.ended(); }));
    poll_until(client, [&] { return first + second == 2; });
    CHECK_EQUAL(first, 1);
    CHECK_EQUAL(second, 1);
}

TEST(thousands_with_callbacks_from_many_threads)
{
    sortie::Client client = make_answering_client();
    constexpr int threads = 8, each = 1000;
    std::vector<int> calls(threads * each);
    int total = 0;
    std::vector<std::thread> submitting;
    for (int thread = 0; thread < threads; ++thread) {
        submitting.emplace_back([&, thread] {
            for (int i = 0; i < each; ++i) {
                const std::size_t number = static_cast<std::size_t>(thread * each + i);
                CHECK_DONE(client.get(URL, [&calls, &total, number](const sortie::Event &) {
                    ++calls[number];
                    ++total;
                }));
            }
        });
    }
    poll_until(client, [&] { return total == threads * each; });
    for (std::thread &thread : submitting)
        thread.join();
    for (const int count : calls)
        CHECK_EQUAL(count, 1);
}

TEST(as_many_as_the_client_takes)
{
    sortie::Client client = make_client(sortie::Config().flags(sortie::ClientFlags::mocks_only).max_requests(5000));
    CHECK_DONE(client.mock(sortie::Mock("*").delay(60s)));
    int alive = 0;
    std::vector<sortie::Id> ids;
    for (int i = 0; i < 5000; ++i)
        ids.push_back(client.get(URL, [counted = Counted(alive)](const sortie::Event &) {}).value());
    CHECK_REFUSED(client.get(URL, [counted = Counted(alive)](const sortie::Event &) {}), too_many_requests, "5000");
    CHECK_EQUAL(alive, 5000);
    for (const sortie::Id id : ids)
        CHECK_DONE(client.cancel(id));
    poll_until(client, [&] { return alive == 0; });
}

#ifdef SORTIE_HPP_EXCEPTIONS

TEST(an_exception_leaves_poll_and_no_event_is_lost)
{
    sortie::Client client = make_answering_client();
    int alive = 0, calls = 0, thrown = 0;
    for (int i = 0; i < 100; ++i) {
        CHECK_DONE(client.get(URL, [&, i, counted = Counted(alive)](const sortie::Event &event) {
            CHECK_SAME(event.body(), "mocked");
            ++calls;
            if (i % 2 == 1)
                throw i;
        }));
    }
    CHECK_DONE(client.get(URL));
    await_undrained(client, 101);
    const auto handler = [](const sortie::Event &) { throw "from the handler"; };
    while (thrown < 51) {
        try {
            CHECK(client.wait(60s));
            CHECK_DONE(client.poll(handler));
        } catch (int) {
            ++thrown;
        } catch (const char *) {
            ++thrown;
        }
    }
    while (calls < 100)
        CHECK_DONE(client.poll());
    CHECK_EQUAL(calls, 100);
    CHECK_EQUAL(alive, 0);
    CHECK_EQUAL(client.poll().value(), 0);

    // The client's end in the callback that throws.
    sortie::Client closed = make_answering_client();
    CHECK_DONE(closed.get(URL, [&, counted = Counted(alive)](const sortie::Event &) {
        closed.close();
        throw 5;
    }));
    await_undrained(closed, 1);
    bool caught = false;
    try {
        CHECK_DONE(closed.poll());
    } catch (int) {
        caught = true;
    }
    CHECK(caught && !closed);
    CHECK_EQUAL(alive, 0);
}

TEST(a_callback_that_cannot_be_copied_leaves_nothing)
{
    struct Throws {
        Throws() = default;
        Throws(const Throws &) { throw 1; }
        void operator()(const sortie::Event &) {}
    };
    sortie::Client client = make_answering_client();
    const Throws throws;
    bool caught = false;
    try {
        CHECK_DONE(client.get(URL, throws));
    } catch (int) {
        caught = true;
    }
    CHECK(caught);
    CHECK_EQUAL(client.stats()->submitted, 0);
}

TEST(value_of_a_refused_call_throws)
{
    sortie::Client client = make_answering_client();
    bool caught = false;
    try {
        static_cast<void>(client.get("gopher://a/").value());
    } catch (const std::exception &error) {
        CHECK_HOLDS(error.what(), "gopher");
        CHECK(dynamic_cast<const sortie::Refused &>(error).error().code() == sortie::Code::scheme);
        caught = true;
    }
    CHECK(caught);
}

#endif
