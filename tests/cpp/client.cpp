// Setting up a client, and what is refused.
#include "support.hpp"

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(a_client_that_is_none_refuses_everything)
{
    sortie::Client none;
    sortie::Client client = make_client();
    sortie::Client moved(std::move(client));
    CHECK(!none && moved && none.native() == nullptr);
    moved.close();
    moved.close();
    const sortie::Request request("http://localhost/");
    int alive = 0;
    for (sortie::Client *each : {&none, &client, &moved}) {
        sortie::Client &empty = *each;
        CHECK_REFUSED(empty.submit(request), null_argument, "client");
        const auto holding = [&alive] { return [counted = Counted(alive)](const sortie::Event &) {}; };
        CHECK_REFUSED(empty.submit(request, holding()), null_argument, "client");
        CHECK_REFUSED(empty.get("http://localhost/"), null_argument, "client");
        CHECK_REFUSED(empty.download("http://localhost/", "x"), null_argument, "client");
        CHECK_REFUSED(empty.upload("http://localhost/", "x", nullptr), null_argument, "client");
        CHECK_REFUSED(empty.poll(), null_argument, "client");
        CHECK_REFUSED(empty.cancel(sortie::Id(1)), null_argument, "client");
        CHECK_REFUSED(empty.pause(sortie::Id(1)), null_argument, "client");
        CHECK_REFUSED(empty.unpause(sortie::Id(1)), null_argument, "client");
        CHECK_REFUSED(empty.set_priority(sortie::Id(1), sortie::Priority::low), null_argument, "client");
        CHECK_REFUSED(empty.write(sortie::Id(1), "x"), null_argument, "client");
        CHECK_REFUSED(empty.finish(sortie::Id(1)), null_argument, "client");
        CHECK_REFUSED(empty.set_rate(sortie::Id(1), 0, 0), null_argument, "client");
        CHECK_REFUSED(empty.set_rate(0, 0), null_argument, "client");
        CHECK_REFUSED(empty.set_trace_level(sortie::TraceLevel::errors), null_argument, "client");
        CHECK_REFUSED(empty.suspend(), null_argument, "client");
        CHECK_REFUSED(empty.resume(), null_argument, "client");
        CHECK_REFUSED(empty.stats(), null_argument, "client");
        CHECK_REFUSED(empty.set_cookie("http://localhost/", "a=b"), null_argument, "client");
        CHECK_REFUSED(empty.clear_cookies(), null_argument, "client");
        CHECK_REFUSED(empty.cookies("http://a.test/"), null_argument, "client");
        CHECK_REFUSED(empty.clear_cache(), null_argument, "client");
        CHECK_REFUSED(empty.watch("localhost"), null_argument, "client");
        CHECK_REFUSED(empty.unwatch(sortie::WatchId()), null_argument, "client");
        CHECK_REFUSED(empty.mock(sortie::Mock("*")), null_argument, "client");
        CHECK_REFUSED(empty.unmock(sortie::MockId{1}), null_argument, "client");
        CHECK(empty.network() == sortie::Network::none);
        CHECK(!empty.wait(60s));
        empty.close();
    }
    CHECK_EQUAL(alive, 0);
}

TEST(clients_are_moved_with_their_callbacks)
{
    sortie::Client first = make_client();
    int calls = 0;
    CHECK_DONE(first.get(server("/bytes/1"), [&](const sortie::Event &) { ++calls; }));
    sortie::Client second = make_client();
    CHECK_DONE(second.get(server("/bytes/1"), [&](const sortie::Event &) { calls += 100; }));
    second = std::move(first);
    CHECK(!first); // NOLINT: on purpose
    poll_until(second, [&] { return calls == 1; });
    sortie::Client &itself = second;
    second = std::move(itself);
    still_works(second);
}

TEST(every_setting_sets_its_field)
{
    sortie::Config config;
    config.flags(sortie::ClientFlags::no_cookies)
        .flags(sortie::ClientFlags::mocks_only)
        .user_agent("agent")
        .directory(sortie::Directory::documents, "d")
        .directory(sortie::Directory::temporary, "t")
        .directory(sortie::Directory::caches, "c")
        .directory(sortie::Directory::application_support, "a")
        .directory(sortie::Directory::resource, "r")
        .max_active(1)
        .max_active_per_host(2)
        .max_requests(3)
        .timeout(4ms)
        .connect_timeout(5ms)
        .stall_timeout(6ms)
        .queue_timeout(7ms)
        .min_tls_version(sortie::TlsVersion::tls_1_3)
        .max_body_bytes(8)
        .max_buffered_bytes(9)
        .default_header("X-A", "b")
        .pin("host", "keys")
        .ca_file("ca")
        .client_certificate("host", "certificate", "key", "password")
        .client_certificate("other", "certificate")
        .resolve("name", 80, "::1", 8080)
        .proxy("http://proxy/")
        .no_proxy("*")
        .cookie_file("cookies")
        .reachability_interval(10ms)
        .max_decompression_ratio(11)
        .max_file_bytes(12)
        .cache_directory("cache")
        .max_cache_bytes(13)
        .max_memory_cache_bytes(14)
        .max_receive_bytes_per_second(15)
        .max_send_bytes_per_second(16)
        .flags(sortie::ClientFlags::trace_secrets | sortie::ClientFlags::trace_bodies)
        .trace_level(sortie::TraceLevel::details)
        .min_bytes_per_second(17)
        .min_speed_period(180ms)
        .keep_alive_interval(19s)
        .max_connection_idle(sortie::no_timeout);
    CHECK_EQUAL(config.error().code(), sortie::Code::ok);
    const sortie::Config moved(std::move(config));
    const sortie_client_config &c = moved.native();
    CHECK_EQUAL(c.struct_size, sizeof c);
    CHECK_EQUAL(c.flags, SORTIE_CLIENT_NO_COOKIES | SORTIE_CLIENT_MOCKS_ONLY | SORTIE_CLIENT_TRACE_SECRETS |
                             SORTIE_CLIENT_TRACE_BODIES);
    CHECK_TEXT(c.user_agent, "agent");
    CHECK_TEXT(c.documents_directory, "d");
    CHECK_TEXT(c.temporary_directory, "t");
    CHECK_TEXT(c.caches_directory, "c");
    CHECK_TEXT(c.application_support_directory, "a");
    CHECK_TEXT(c.resource_directory, "r");
    CHECK_EQUAL(c.max_active, 1);
    CHECK_EQUAL(c.max_active_per_host, 2);
    CHECK_EQUAL(c.max_requests, 3);
    CHECK_EQUAL(c.timeout_ms, 4);
    CHECK_EQUAL(c.connect_timeout_ms, 5);
    CHECK_EQUAL(c.stall_timeout_ms, 6);
    CHECK_EQUAL(c.queue_timeout_ms, 7);
    CHECK_EQUAL(c.min_tls_version, SORTIE_TLS_1_3);
    CHECK_EQUAL(c.max_body_bytes, 8);
    CHECK_EQUAL(c.max_buffered_bytes, 9);
    CHECK_EQUAL(c.default_header_count, 1);
    CHECK_TEXT(c.default_headers[0].value, "b");
    CHECK_EQUAL(c.pin_count, 1);
    CHECK_TEXT(c.pins[0].host, "host");
    CHECK_TEXT(c.pins[0].public_keys, "keys");
    CHECK_TEXT(c.ca_file, "ca");
    CHECK_EQUAL(c.client_certificate_count, 2);
    CHECK_TEXT(c.client_certificates[0].host, "host");
    CHECK_TEXT(c.client_certificates[0].certificate_file, "certificate");
    CHECK_TEXT(c.client_certificates[0].key_file, "key");
    CHECK_TEXT(c.client_certificates[0].key_password, "password");
    CHECK(c.client_certificates[1].key_file == nullptr);
    CHECK_EQUAL(c.resolve_count, 1);
    CHECK_TEXT(c.resolves[0].host, "name");
    CHECK_EQUAL(c.resolves[0].port, 80);
    CHECK_TEXT(c.resolves[0].address, "::1");
    CHECK_EQUAL(c.resolves[0].address_port, 8080);
    CHECK_TEXT(c.proxy, "http://proxy/");
    CHECK_TEXT(c.no_proxy, "*");
    CHECK_TEXT(c.cookie_file, "cookies");
    CHECK_EQUAL(c.reachability_interval_ms, 10);
    CHECK_EQUAL(c.max_decompression_ratio, 11);
    CHECK_EQUAL(c.max_file_bytes, 12);
    CHECK_TEXT(c.cache_directory, "cache");
    CHECK_EQUAL(c.max_cache_bytes, 13);
    CHECK_EQUAL(c.max_memory_cache_bytes, 14);
    CHECK_EQUAL(c.max_receive_bytes_per_second, 15);
    CHECK_EQUAL(c.max_send_bytes_per_second, 16);
    CHECK_EQUAL(c.trace_level, SORTIE_TRACE_DETAILS);
    CHECK_EQUAL(c.min_bytes_per_second, 17);
    CHECK_EQUAL(c.min_speed_period_ms, 180);
    CHECK_EQUAL(c.keep_alive_interval_ms, 19000);
    CHECK_EQUAL(c.max_connection_idle_ms, SORTIE_NO_TIMEOUT);
    // What was moved from is a fresh one.
    CHECK(config.native().user_agent == nullptr && config.native().pin_count == 0); // NOLINT: on purpose
    CHECK_EQUAL(config.native().struct_size, sizeof c);
}

TEST(settings_have_effect)
{
    const std::string url = server("/inspect");
    const std::string port = url.substr(url.rfind(':') + 1, url.rfind('/') - url.rfind(':') - 1);
    sortie::Config config;
    config.user_agent("gallery/1").default_header("X-Default", "yes");
    config.resolve("game.test", 80, "127.0.0.1", static_cast<std::uint32_t>(std::stoi(port)));
    sortie::Client client = make_client(config);
    const sortie::Response response = fetch(client, sortie::Request("http://game.test/inspect"));
    CHECK_HOLDS(std::string(response.body()).c_str(), "gallery/1");
    CHECK_HOLDS(std::string(response.body()).c_str(), "X-Default: yes");
}

TEST(tls_with_the_authority_of_the_test_server)
{
    sortie::Client client = make_client(sortie::Config().ca_file(setting("SORTIE_TEST_CA")));
    const char *url = url_of("SORTIE_TEST_SERVER_TLS", "/bytes/10");
    CHECK_EQUAL(fetch(client, sortie::Request(url)).body().size(), 10);
    sortie::Client strange = make_client();
    CHECK(fetch(strange, sortie::Request(url)).error() == sortie::ErrorKind::certificate);
}

TEST(a_wrong_configuration_is_refused)
{
    const auto create = [](const sortie::Config &config) { return sortie::Client::create(config); };
    CHECK_REFUSED(create(sortie::Config().user_agent("a\0b"sv)), argument, "user_agent has a NUL byte at 1");
    CHECK_REFUSED(create(sortie::Config().proxy(std::string("http://\0/", 9))), argument, "proxy has a NUL byte at 7");
    CHECK_REFUSED(create(sortie::Config().default_header("X", "\0"sv)), argument, "a header's value has a NUL byte");
    CHECK_REFUSED(create(sortie::Config().timeout(-1ms)), argument, "timeout is -1 ms");
    CHECK_REFUSED(create(sortie::Config().queue_timeout(50 * 24h)), argument, "queue_timeout is 4320000000 ms");
    CHECK_REFUSED(create(sortie::Config().directory(sortie::Directory::none, "x")), argument, "directory 0");
    // The first of several counts.
    CHECK_REFUSED(create(sortie::Config().timeout(-1ms).user_agent("a\0b"sv)), argument, "timeout");
    // And what the library finds.
    CHECK_REFUSED(create(sortie::Config().user_agent("\xff")), utf8, "user_agent");
    CHECK_REFUSED(create(sortie::Config().max_active(70000)), argument, "70000");
    CHECK_REFUSED(create(sortie::Config().ca_file("/no/such/file")), path, "/no/such/file");
    CHECK_REFUSED(create(sortie::Config().default_header("a b", "c")), header, "a b");
    CHECK_REFUSED(create(sortie::Config().default_header(nullptr, "c")), null_argument, "");
    CHECK_REFUSED(create(sortie::Config().pin("host", nullptr)), null_argument, "");
}

TEST(a_wrong_request_is_refused)
{
    sortie::Client client = make_client();
    const std::string_view with_nul("http://a/\0b", 11);
    int alive = 0;
    const auto callback = [&](auto &&...) { return [counted = Counted(alive)](const sortie::Event &) {}; };
    CHECK_REFUSED(client.get(with_nul), argument, "url has a NUL byte at 9");
    CHECK_REFUSED(client.get(std::string(with_nul), callback()), argument, "url has a NUL byte at 9");
    CHECK_REFUSED(client.submit(sortie::Request(with_nul), callback()), argument, "url has a NUL byte at 9");
    CHECK_REFUSED(client.download("http://a/", "x\0"sv, callback()), argument, "path has a NUL byte at 1");
    CHECK_REFUSED(client.download(with_nul, "x", callback()), argument, "url has a NUL byte at 9");
    CHECK_REFUSED(client.upload("http://a/", "x", "a/\0"sv, callback()), argument, "content_type has a NUL byte at 2");
    const auto submit = [&](sortie::Request &request) { return client.submit(request, callback()); };
    const auto request = [] { return sortie::Request("http://a/"); };
    CHECK_REFUSED(submit(request().method("G\0T"sv)), argument, "method has a NUL byte at 1");
    CHECK_REFUSED(submit(request().header("a\0"sv, "b")), argument, "a header's name has a NUL byte at 1");
    CHECK_REFUSED(submit(request().bearer_token("a\0"sv)), argument, "bearer_token has a NUL byte at 1");
    CHECK_REFUSED(submit(request().response_file("a\0"sv)), argument, "response_file has a NUL byte at 1");
    CHECK_REFUSED(submit(request().form_field("a\0"sv, "b")), argument, "a form field's name has a NUL byte at 1");
    CHECK_REFUSED(submit(request().timeout(-5s)), argument, "timeout is -5000 ms");
    CHECK_REFUSED(submit(request().attempt_timeout(5000000s)), argument, "attempt_timeout is 5000000000 ms");
    CHECK_REFUSED(submit(request().method("a b")), method, "token");
    CHECK_REFUSED(submit(request().header("Transfer-Encoding", "x")), header, "Transfer-Encoding");
    CHECK_REFUSED(submit(request().max_attempts(1000)), argument, "1000");
    CHECK_REFUSED(submit(request().flags(static_cast<sortie::RequestFlags>(1u << 31))), argument, "flag");
    CHECK_REFUSED(submit(request().body_file("../x", sortie::Directory::documents)), path, "");
    CHECK_REFUSED(submit(request().body("x").body_file("y")), argument, "");
    CHECK_REFUSED(client.get(nullptr, callback()), null_argument, "url");
    CHECK_REFUSED(client.get(std::string_view(), callback()), url, "empty");
    CHECK_REFUSED(client.get("\xff"sv, callback()), utf8, "url");
    CHECK_EQUAL(alive, 0);
    CHECK_EQUAL(client.stats()->submitted, 0);
    still_works(client);
}

TEST(numbers_are_described)
{
    CHECK_SAME(sortie::version(), sortie::header_version);
    CHECK_EQUAL(sortie::abi_version(), sortie::header_abi_version);
    CHECK_SAME(sortie::describe(sortie::Code::stale), sortie_result_string(SORTIE_RESULT_STALE));
    CHECK_SAME(sortie::describe(sortie::ErrorKind::tls), sortie_error_string(SORTIE_ERROR_TLS));
    CHECK(!sortie::describe(static_cast<sortie::Code>(-9999)).empty());
    CHECK(!sortie::describe(static_cast<sortie::ErrorKind>(9999)).empty());
}

TEST(results_hold_one_of_two)
{
    sortie::Result<int> good(5), bad(sortie::Error(sortie::Code::busy, "why"));
    CHECK(good && *good == 5 && good.value() == 5 && good.error().code() == sortie::Code::ok);
    CHECK(!bad && bad.error().code() == sortie::Code::busy && *bad == 0);
    CHECK_SAME(bad.error().message(), "why");
    sortie::Result<void> done;
    done.value();
    CHECK(done && done.error().message().empty());
}
