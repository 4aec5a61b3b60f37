// What a request says, and what comes back.
#include "support.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#ifdef __cpp_lib_span
#include <span>
#endif

using namespace std::chrono_literals;
using namespace std::string_view_literals;

TEST(texts_of_every_kind_are_urls)
{
    sortie::Client client = make_client();
    const std::string whole = server("/bytes/5") + "and more";
    const std::string_view part(whole.data(), whole.size() - 8);
    const std::string url(part);
    std::string very_long = server("/bytes/5?");
    very_long.append(5000, 'x');
    int ended = 0;
    const auto check = [&](const sortie::Event &event) {
        CHECK(event.ended());
        CHECK_SAME(event.message(), "");
        CHECK_EQUAL(event.status(), 200);
        CHECK_EQUAL(event.body().size(), 5);
        ++ended;
    };
    CHECK_DONE(client.get(part, check));
    CHECK_DONE(client.get(url, check));
    CHECK_DONE(client.get(url.c_str(), check));
    CHECK_DONE(client.get(std::string_view(very_long), check));
    CHECK_DONE(client.submit(sortie::Request(part), check));
    poll_until(client, [&] { return ended == 5; });
}

TEST(a_request_arrives_as_it_was_described)
{
    sortie::Client client = make_client();
    sortie::Request request(server("/inspect?a=b"));
    request.method("PATCH"sv).header("X-One", "1").header("X-Two"sv, std::string("zwei"));
    for (int i = 0; i < 40; ++i)
        request.header("X-Many", std::to_string(i));
    request.body("{\"a\":\0 1}"sv).content_type("application/json").bearer_token("abc");
    const sortie::Response response = fetch(client, request);
    CHECK_EQUAL(response.status(), 200);
    const std::string seen(response.body());
    for (const char *part : {"PATCH /inspect?a=b HTTP/1.1", "X-One: 1", "X-Two: zwei", "X-Many: 0", "X-Many: 39",
                             "Content-Type: application/json", "Authorization: Bearer abc", "Content-Length: 9"})
        CHECK_HOLDS(seen.c_str(), part);
}

TEST(every_setter_sets_its_field)
{
    sortie::Request request("http://localhost/");
    const sortie::Bytes lent("lent", 4);
    request.flags(sortie::RequestFlags::no_cookies)
        .flags(sortie::RequestFlags::manual_redirects | sortie::RequestFlags::raw_text)
        .method("PUT")
        .header("a", "b")
        .priority(sortie::Priority::low)
        .user_data(77)
        .lend_body(lent)
        .body_kind(sortie::BodyKind::binary)
        .content_type("x/y")
        .response_file("out", sortie::Directory::caches)
        .progress(sortie::Progress::upload)
        .max_redirects(3)
        .http_version(sortie::HttpVersion::http_1_1)
        .timeout(1s)
        .connect_timeout(2s)
        .stall_timeout(3s)
        .queue_timeout(sortie::no_timeout)
        .max_body_bytes(5)
        .basic_auth("me", "secret")
        .bearer_token("token")
        .expected_sha256("hash")
        .expected_length(6)
        .max_attempts(7)
        .retry_delay(8ms)
        .max_retry_delay(9ms)
        .attempt_timeout(10ms)
        .max_file_bytes(11)
        .form_field("f", "v")
        .stream_window_bytes(12)
        .cache_mode(sortie::CacheMode::force)
        .max_receive_bytes_per_second(13)
        .max_send_bytes_per_second(14)
        .min_bytes_per_second(15)
        .min_speed_period(160ms)
        .proxy("http://proxy/");
    CHECK_EQUAL(request.error().code(), sortie::Code::ok);
    const sortie_request_desc desc = request.native();
    CHECK_EQUAL(desc.struct_size, sizeof desc);
    CHECK_EQUAL(desc.flags, SORTIE_REQUEST_NO_COOKIES | SORTIE_REQUEST_MANUAL_REDIRECTS | SORTIE_REQUEST_RAW_TEXT |
                                SORTIE_REQUEST_BORROW_BODY);
    CHECK_TEXT(desc.url, "http://localhost/");
    CHECK_TEXT(desc.method, "PUT");
    CHECK_EQUAL(desc.header_count, 1);
    CHECK_TEXT(desc.headers[0].name, "a");
    CHECK_TEXT(desc.headers[0].value, "b");
    CHECK_EQUAL(desc.priority, SORTIE_PRIORITY_LOW);
    CHECK_EQUAL(desc.user_data, 77);
    CHECK(desc.body == lent.data());
    CHECK_EQUAL(desc.body_length, 4);
    CHECK(desc.body_path == nullptr);
    CHECK_EQUAL(desc.body_kind, SORTIE_BODY_BINARY);
    CHECK_TEXT(desc.content_type, "x/y");
    CHECK_TEXT(desc.response_path, "out");
    CHECK_EQUAL(desc.response_directory, SORTIE_DIRECTORY_CACHES);
    CHECK_EQUAL(desc.progress, SORTIE_PROGRESS_UPLOAD);
    CHECK_EQUAL(desc.max_redirects, 3);
    CHECK_EQUAL(desc.http_version, SORTIE_HTTP_1_1);
    CHECK_EQUAL(desc.timeout_ms, 1000);
    CHECK_EQUAL(desc.connect_timeout_ms, 2000);
    CHECK_EQUAL(desc.stall_timeout_ms, 3000);
    CHECK_EQUAL(desc.queue_timeout_ms, SORTIE_NO_TIMEOUT);
    CHECK_EQUAL(desc.max_body_bytes, 5);
    CHECK_TEXT(desc.username, "me");
    CHECK_TEXT(desc.password, "secret");
    CHECK_TEXT(desc.bearer_token, "token");
    CHECK_TEXT(desc.expected_sha256, "hash");
    CHECK_EQUAL(desc.expected_length, 6);
    CHECK_EQUAL(desc.max_attempts, 7);
    CHECK_EQUAL(desc.retry_delay_ms, 8);
    CHECK_EQUAL(desc.max_retry_delay_ms, 9);
    CHECK_EQUAL(desc.attempt_timeout_ms, 10);
    CHECK_EQUAL(desc.max_file_bytes, 11);
    CHECK_EQUAL(desc.form_part_count, 1);
    CHECK_TEXT(desc.form_parts[0].name, "f");
    CHECK_EQUAL(desc.stream_window_bytes, 12);
    CHECK_EQUAL(desc.cache_mode, SORTIE_CACHE_FORCE);
    CHECK_EQUAL(desc.reserved, 0);
    CHECK_EQUAL(desc.max_receive_bytes_per_second, 13);
    CHECK_EQUAL(desc.max_send_bytes_per_second, 14);
    CHECK_EQUAL(desc.min_bytes_per_second, 15);
    CHECK_EQUAL(desc.min_speed_period_ms, 160);
    CHECK_TEXT(desc.proxy, "http://proxy/");

    request.body_file("in", sortie::Directory::resource).body("copied"sv);
    CHECK_TEXT(request.native().body_path, "in");
    CHECK_EQUAL(request.native().body_directory, SORTIE_DIRECTORY_RESOURCE);
    CHECK_EQUAL(request.native().flags & SORTIE_REQUEST_BORROW_BODY, 0);

    // What was moved keeps its texts; what is left says nothing.
    const char *url = request.native().url;
    sortie::Request moved(std::move(request));
    CHECK(moved.native().url == url);
    CHECK(request.native().url == nullptr); // NOLINT: on purpose
    sortie::Client client = make_client();
    CHECK_REFUSED(client.submit(request), null_argument, "url");
}

TEST(bodies_of_every_kind_arrive)
{
    sortie::Client client = make_client();
    const std::string url = server("/echo"), text("\0a\0b", 4);
    sortie::Request request(url);
    std::string given("kept in the request, and too long to be kept in the string itself");
    const std::string same = given;
    request.body(std::move(given));
    sortie::Request moved(std::move(request));
    CHECK_SAME(fetch(client, moved).body(), same);
    CHECK_SAME(fetch(client, moved).body(), same);
    moved.body(std::string("short"));
    sortie::Request again(std::move(moved));
    CHECK_SAME(fetch(client, again).body(), "short");
    CHECK_SAME(fetch(client, sortie::Request(url).content_type("x/y").body(text)).body(), text);
    CHECK_SAME(fetch(client, sortie::Request(url).content_type("x/y").body(text.data(), 3)).body(), "\0a\0"sv);
    CHECK_SAME(fetch(client, sortie::Request(url).lend_body(sortie::Bytes("lent", 4))).body(), "lent");
    CHECK_SAME(fetch(client, sortie::Request(url).method("POST").body(std::string_view())).body(), "");
    CHECK_SAME(fetch(client, sortie::Request(server("/method")).body("")).body(), "POST");
}

TEST(forms_arrive)
{
    sortie::Client client = make_client();
    const std::string path = "form.txt";
    std::ofstream(path) << "from a file";
    const std::vector<char> bytes{'b', '\0', 'b'};
    sortie::Request request(server("/echo"));
    request.form_field("text", "v\0v"sv).form_field(std::string("name"), std::string_view("value", 3));
    request.form_data("data", sortie::Bytes(bytes.data(), bytes.size()), "data.bin", "x/y").form_file("file", path);
    for (int i = 0; i < 20; ++i)
        request.form_field("n" + std::to_string(i), std::to_string(i));
    const sortie::Response response = fetch(client, request);
    const std::string body(response.body());
    for (const std::string_view part :
         {"name=\"text\"\r\n\r\nv\0v\r\n"sv, "name=\"name\"\r\n\r\nval\r\n"sv,
          "filename=\"data.bin\"\r\nContent-Type: x/y"sv, "b\0b"sv, "filename=\"form.txt\""sv, "from a file"sv,
          "name=\"n19\"\r\n\r\n19\r\n"sv})
        CHECK(body.find(part) != std::string::npos);
    CHECK_HOLDS(std::string(response.header("content-type").value_or("")).c_str(), "multipart/form-data");
    CHECK(fetch(client, sortie::Request(server("/echo")).form()).body().size() > 0);
}

#ifdef __cpp_lib_span

TEST(bytes_are_a_span)
{
    sortie::Client client = make_answering_client();
    const sortie::Response response = fetch(client, sortie::Request(URL));
    const std::span<const std::byte> span = response.bytes();
    CHECK(span.size() == 6 && span.data() == response.bytes().data());
}

#endif

TEST(what_an_event_tells)
{
    sortie::Client client = make_client();
    bool ended = false;
    const std::string url = server("/redirect-to?url=/reply%3Fheader%3DX-A:%2520one%26header%3Dx-a:%2520two%26header%3D"
                                   "Content-Type:%2520text/plain%3Bcharset%253Dlatin1%26hex%3De4");
    CHECK_DONE(client.submit(sortie::Request(url).user_data(5), [&](const sortie::Event &event) {
        CHECK(event.type() == sortie::EventType::ended && event.ended() && !event.failed());
        CHECK_EQUAL(event.user_data(), 5);
        CHECK_EQUAL(event.status(), 200);
        CHECK_SAME(event.url(), url);
        CHECK_HOLDS(std::string(event.effective_url()).c_str(), "/reply?");
        CHECK_SAME(event.status_line().substr(0, 12), "HTTP/1.1 200");
        CHECK_SAME(event.header("x-A").value_or("none"), "one");
        CHECK_SAME(event.header("X-a"sv, 1).value_or("none"), "two");
        CHECK(!event.header("X-A", 2) && !event.header("X-A\0"sv) && !event.header(nullptr));
        std::size_t found = 0;
        for (const sortie::Header header : event.headers())
            found += header.name.size() == 3 && (header.value == "one" || header.value == "two");
        CHECK_EQUAL(found, 2);
        CHECK_EQUAL(std::distance(event.headers().begin(), event.headers().end()),
                    static_cast<std::ptrdiff_t>(event.headers().size()));
        CHECK_EQUAL(event.body_kind(), sortie::BodyKind::text);
        CHECK_SAME(event.body(), "\xc3\xa4");
        CHECK_EQUAL(event.bytes().size(), 2);
        CHECK(event.bytes()[1] == std::byte{0xa4});
        CHECK_SAME(event.charset().name, "windows-1252");
        CHECK(event.charset().source == sortie::CharsetSource::header);
        CHECK_EQUAL(event.timing().value().redirects, 1);
        CHECK(event.timing()->total > 0us && event.timing()->first_byte > 0us);
        CHECK_EQUAL(event.timing()->attempts, 1);
        CHECK(event.timing()->protocol == sortie::Protocol::http_1_1);
        CHECK(event.timing()->connection_reused);
        CHECK(event.timing()->bytes_received > 0 && event.timing()->bytes_sent == 0);
        CHECK_SAME(event.remote_address(), server("").substr(7));
        CHECK_SAME(event.file_path(), "");
        CHECK_EQUAL(event.attempts(), 1);
        CHECK(event.flags() == sortie::EventFlags::none);
        CHECK_EQUAL(event.bytes_transferred(), 1);
        CHECK_EQUAL(event.bytes_estimated(), 1);

        // What is taken over stays in the event, and is there once.
        sortie::Body body = event.take_body().value();
        CHECK_SAME(body.text(), event.body());
        CHECK_REFUSED(event.take_body(), not_found, "body");
        const sortie::Response kept(event);
        CHECK_SAME(kept.body(), "");
        CHECK_SAME(kept.header("X-A", 1).value_or("none"), "two");
        CHECK(!kept.header("X-A", 2));
        ended = true;
    }));
    poll_until(client, [&] { return ended; });
}

TEST(a_response_outlives_event_and_client)
{
    sortie::Response response;
    {
        sortie::Client client = make_client();
        response = fetch(client, sortie::Request(server("/headers?X-Kept=yes")));
        sortie::Response failed = fetch(client, sortie::Request(server("/reset-headers")));
        CHECK(failed.failed() && !failed.message().empty());
    }
    sortie::Response moved(std::move(response));
    CHECK_SAME(moved.header("x-kept").value_or("none"), "yes");
    CHECK(std::any_of(moved.begin(), moved.end(), [](const sortie::Header &header) { return header.value == "yes"; }));
    CHECK_SAME(moved.status_line().substr(0, 12), "HTTP/1.1 200");
    CHECK_SAME(moved.remote_address(), server("").substr(7));
    CHECK(moved.url() == moved.effective_url() && moved.timing().total > 0us);
    CHECK_SAME(response.url(), ""); // NOLINT: on purpose
    CHECK(response.begin() == response.end());
}

TEST(trailers_are_told_and_kept)
{
    sortie::Client client = make_client();
    sortie::Response kept;
    CHECK_DONE(client.get(server("/chunked-trailers"), [&](const sortie::Event &event) {
        CHECK(!event.header("X-Checksum"));
        CHECK_SAME(event.trailer("x-checksum").value_or("none").substr(0, 3), "20 ");
        CHECK(!event.trailer("X-Checksum", 1) && !event.trailer("X-Checksum\0"sv) && !event.trailer(nullptr));
        CHECK_EQUAL(event.trailers().size(), 1);
        for (const sortie::Header trailer : event.trailers())
            CHECK(trailer.name == "X-Checksum" && trailer.value == event.trailer("X-Checksum"));
        kept = sortie::Response(event);
    }));
    poll_until(client, [&] { return kept.status() != 0; });
    const sortie::Response moved(std::move(kept));
    CHECK_SAME(moved.trailer("X-CHECKSUM").value_or("none").substr(0, 3), "20 ");
    CHECK(!moved.trailer("X-Checksum", 1) && !moved.header("X-Checksum"));
    CHECK_EQUAL(moved.trailers().size(), 1);
    CHECK_SAME(moved.trailers().begin()->name, "X-Checksum");
    CHECK_EQUAL(kept.trailers().size(), 0); // NOLINT: on purpose
    CHECK_EQUAL(fetch(client, sortie::Request(server("/bytes/1"))).trailers().size(), 0);
}

TEST(speeds_proxies_and_credentials_of_one_request)
{
    sortie::Client client = make_client();
    const sortie::Response slow = fetch(
        client, sortie::Request(server("/stall?sent=5")).min_bytes_per_second(1000000).min_speed_period(100ms));
    CHECK_EQUAL(slow.error(), sortie::ErrorKind::stalled);
    const sortie::Response proxied = fetch(client, sortie::Request(server("/bytes/1")).proxy("http://127.0.0.1:1"));
    CHECK(proxied.failed());
    CHECK_EQUAL(fetch(client, sortie::Request(server("/bytes/1")).proxy("")).status(), 200);
    const std::string digest = server("/reply?status=401&header=WWW-Authenticate:%20Digest%20realm%3D%22a%22");
    const sortie::Response unused = fetch(client, sortie::Request(digest).basic_auth("me", "secret"));
    CHECK_EQUAL(unused.status(), 401);
    CHECK(unused.flags() == sortie::EventFlags::credentials_unused);
    CHECK(fetch(client, sortie::Request(digest)).flags() == sortie::EventFlags::none);
}

TEST(files_come_and_go)
{
    sortie::Config config;
    config.directory(sortie::Directory::documents, ".");
    sortie::Client client = make_client(config);
    int ended = 0;
    const auto saved = [&](const sortie::Event &event) {
        if (!event.ended())
            return;
        CHECK_SAME(event.message(), "");
        CHECK(!event.file_path().empty());
        ++ended;
    };
    CHECK_DONE(client.download(server("/bytes/1000"), "first.bin"sv, saved));
    CHECK_DONE(client.submit(sortie::Request(server("/bytes/2000"))
                                 .response_file("folder/second.bin", sortie::Directory::documents)
                                 .flags(sortie::RequestFlags::no_sync),
                             saved));
    poll_until(client, [&] { return ended == 2; });
    const auto size_of = [](const char *path) {
        std::ifstream file(path, std::ios::binary | std::ios::ate);
        return static_cast<long long>(file.tellg());
    };
    CHECK_EQUAL(size_of("first.bin"), 1000);
    CHECK_EQUAL(size_of("folder/second.bin"), 2000);

    const sortie::Response uploaded =
        fetch(client, sortie::Request(server("/upload")).body_file("first.bin", sortie::Directory::documents));
    CHECK_SAME(uploaded.body().substr(0, 5), "1000 ");
    std::uint64_t sent = 0;
    CHECK_DONE(client.upload(server("/upload"), "first.bin", nullptr, [&](const sortie::Event &event) {
        if (event.ended()) {
            sent = event.bytes_transferred();
            ++ended;
        }
    }));
    poll_until(client, [&] { return ended == 3; });
    CHECK_EQUAL(sent, 1000);
    CHECK_DONE(client.upload(server("/upload"), "first.bin", "x/y", 7));
    CHECK_DONE(client.download(server("/bytes/10"), "third.bin", 8));
    std::uint64_t numbers = 0;
    poll_until(client, [&] { return numbers == 15; },
               [&](const sortie::Event &event) { numbers += event.ended() ? event.user_data() : 0; });
}

TEST(a_hundred_megabytes_go_both_ways)
{
    constexpr std::size_t size = 100'000'000;
    sortie::Config config;
    config.max_body_bytes(2 * size).stall_timeout(60s).timeout(sortie::no_timeout);
    sortie::Client client = make_client(config);
    std::string sent(size, 'x');
    for (std::size_t i = 0; i < size; i += 4096)
        sent[i] = static_cast<char>('a' + i / 4096 % 26);
    sortie::Body body;
    bool ended = false;
    CHECK_DONE(client.submit(sortie::Request(server("/echo")).lend_body(sortie::Bytes(sent.data(), size)),
                             [&](const sortie::Event &event) {
                                 CHECK_SAME(event.message(), "");
                                 body = event.take_body().value();
                                 ended = true;
                             }));
    poll_until(client, [&] { return ended; });
    client.close();
    CHECK_EQUAL(body.size(), size);
    CHECK(body.text() == sent);
    CHECK_EQUAL(body.end() - body.begin(), static_cast<std::ptrdiff_t>(size));
    sortie::Body other(std::move(body));
    CHECK(!body && body.size() == 0 && body.data() == nullptr && body.text().empty()); // NOLINT: on purpose
    sortie::Body raw(other.release());
    CHECK_EQUAL(raw.size(), size);
    raw.reset();
    raw.reset();
    CHECK(!raw);
}

TEST(progress_streams_and_retries_are_told)
{
    sortie::Client client = make_client();
    std::string streamed;
    std::vector<sortie::EventType> types;
    bool ended = false;
    CHECK_DONE(client.submit(sortie::Request(server("/slow?bytes=100000&rate=1000000"))
                                 .flags(sortie::RequestFlags::stream_response)
                                 .stream_window_bytes(16384),
                             [&](const sortie::Event &event) {
                                 types.push_back(event.type());
                                 if (event.type() == sortie::EventType::data)
                                     streamed += event.body();
                                 ended = event.ended();
                             }));
    poll_until(client, [&] { return ended; });
    CHECK_EQUAL(streamed.size(), 100000);
    CHECK(types.front() == sortie::EventType::began);

    types.clear();
    ended = false;
    CHECK_DONE(client.submit(sortie::Request(server("/flaky?fails=1&status=503&key=" + std::to_string(now_ms())))
                                 .max_attempts(2)
                                 .retry_delay(1ms)
                                 .flags(sortie::RequestFlags::retry_events)
                                 .progress(sortie::Progress::download),
                             [&](const sortie::Event &event) {
                                 types.push_back(event.type());
                                 if (event.type() == sortie::EventType::retry) {
                                     CHECK_EQUAL(event.status(), 503);
                                     CHECK(event.retry_delay() <= 1ms && event.attempts() == 1);
                                 }
                                 ended = event.ended();
                             }));
    poll_until(client, [&] { return ended; });
    CHECK(std::count(types.begin(), types.end(), sortie::EventType::retry) == 1);
    CHECK(std::count(types.begin(), types.end(), sortie::EventType::began) >= 1);
}

TEST(a_body_is_streamed)
{
    sortie::Client client = make_client();
    const std::string sent(1'000'000, 's');
    std::size_t written = 0;
    bool ended = false, finished = false;
    sortie::Request request(server("/upload"));
    request.stream_body().stream_window_bytes(65536);
    const auto write = [&](sortie::Id id) {
        const sortie::Bytes rest(sent.data() + written, sent.size() - written);
        written += static_cast<std::size_t>(client.write(id, rest).value());
        if (written == sent.size() && !finished) {
            CHECK_DONE(client.finish(id));
            finished = true;
        }
    };
    const sortie::Id id = *client.submit(request, [&](const sortie::Event &event) {
        if (event.type() == sortie::EventType::writable)
            write(event.id());
        if (event.ended()) {
            CHECK_SAME(event.message(), "");
            CHECK_SAME(event.body().substr(0, 8), "1000000 ");
            CHECK_EQUAL(event.timing()->bytes_sent, sent.size());
            ended = true;
        }
    });
    write(id);
    CHECK(written < sent.size());
    poll_until(client, [&] { return ended; });
    CHECK_REFUSED(client.write(id, "more"), stale, "");
    CHECK_REFUSED(client.finish(id), stale, "");

    // Of a length that is known.
    sortie::Request four(server("/echo"));
    four.stream_body(4);
    const sortie::Id other = *client.submit(four, [&](const sortie::Event &event) {
        CHECK_SAME(event.body(), "four");
        ended = false;
    });
    CHECK_REFUSED(client.write(other, "more than four"), argument, "4");
    CHECK_EQUAL(client.write(other, "four"sv).value(), 4);
    poll_until(client, [&] { return !ended; });
}

TEST(one_request_rests_and_changes_its_priority)
{
    sortie::Client client = make_mocked_client();
    CHECK_DONE(client.mock(sortie::Mock("*").body("mocked")));
    bool ended = false;
    const sortie::Id id = *client.get("http://a.test/", [&](const sortie::Event &event) { ended = event.ended(); });
    CHECK(id && id.value() != 0);
    CHECK_DONE(client.pause(id));
    CHECK_DONE(client.set_priority(id, sortie::Priority::high));
    CHECK_REFUSED(client.set_priority(id, static_cast<sortie::Priority>(9)), argument, "9");
    CHECK_DONE(client.unpause(id));
    CHECK_DONE(client.set_rate(id, 1'000'000, 0));
    CHECK_DONE(client.set_rate(2'000'000, 3'000'000));
    poll_until(client, [&] { return ended; });
    CHECK_REFUSED(client.pause(id), stale, "");
    CHECK_REFUSED(client.unpause(sortie::Id()), stale, "");
}

TEST(mocks_answer)
{
    sortie::Client client = make_mocked_client();
    const std::string body("mo\0cked", 7);
    sortie::Mock mock("http://game.test/*"sv);
    mock.method("PUT").status(201).header("X-Mock", "yes").delay(1ms).body(body).bytes_per_second(1000000).times(2);
    const sortie::MockId id = client.mock(mock).value();
    CHECK_DONE(client.mock(sortie::Mock("*").error(sortie::ErrorKind::connect)));
    sortie::Request put("http://game.test/a");
    put.method("PUT");
    const sortie::Response response = fetch(client, put);
    CHECK_EQUAL(response.status(), 201);
    CHECK_SAME(response.body(), body);
    CHECK_SAME(response.header("x-mock").value_or("none"), "yes");
    CHECK_DONE(client.unmock(id));
    CHECK_REFUSED(client.unmock(id), stale, "");
    CHECK(fetch(client, put).error() == sortie::ErrorKind::connect);
    CHECK_REFUSED(client.mock(sortie::Mock("a\0b"sv)), argument, "a mock's url has a NUL byte at 1");
    CHECK_REFUSED(client.mock(sortie::Mock("*").status(99)), argument, "99");
    CHECK_REFUSED(client.mock(sortie::Mock("*").delay(-1ms)), argument, "a mock's delay is -1 ms");
}

TEST(cookies_cache_and_suspending)
{
    sortie::Config config;
    config.max_memory_cache_bytes(1 << 20);
    sortie::Client client = make_client(config);
    const std::string origin = server("/");
    CHECK_DONE(client.set_cookie(origin, "who=me"sv));
    CHECK_SAME(fetch(client, sortie::Request(server("/cookie/show"))).body(), "who=me");
    CHECK_SAME(client.cookies(origin).value(), "who=me");
    CHECK_SAME(client.cookies("http://other.test/"sv).value(), "");
    CHECK_REFUSED(client.cookies("gopher://a/"), scheme, "");
    CHECK_REFUSED(client.cookies("http://a\0/"sv), argument, "url has a NUL byte at 8");
    CHECK_DONE(client.clear_cookies());
    CHECK_SAME(fetch(client, sortie::Request(server("/cookie/show"))).body(), "");
    CHECK_REFUSED(client.set_cookie(origin, "a\0b=c"sv), argument, "cookie has a NUL byte at 1");
    CHECK_REFUSED(client.set_cookie("gopher://a/", "a=b"), scheme, "");

    const sortie::Request cached(server("/reply?header=Cache-Control: max-age=60&hex=61"));
    CHECK(fetch(client, cached).flags() == sortie::EventFlags::none);
    CHECK(sortie::has(fetch(client, cached).flags(), sortie::EventFlags::from_cache));
    CHECK_DONE(client.clear_cache());
    CHECK(fetch(client, cached).flags() == sortie::EventFlags::none);

    CHECK_DONE(client.suspend());
    bool ended = false;
    CHECK_DONE(client.get(origin, [&](const sortie::Event &) { ended = true; }));
    CHECK_EQUAL(client.poll().value(), 0);
    CHECK_DONE(client.resume());
    poll_until(client, [&] { return ended; });
    const sortie::Stats stats = client.stats().value();
    CHECK_EQUAL(stats.submitted, stats.ended);
    CHECK_EQUAL(stats.cache_hits, 1);
    static_cast<void>(client.network());
}

TEST(watches_tell_and_end)
{
    sortie::Client client = make_client();
    const std::string host = server("").substr(7);
    std::vector<bool> told;
    const auto tell = [&](const sortie::Event &event) {
        CHECK(event.type() == sortie::EventType::reachability);
        CHECK_SAME(event.url(), host);
        told.push_back(sortie::has(event.network(), sortie::Network::reachable));
    };
    const sortie::WatchId watch = client.watch(host, tell).value();
    CHECK(watch && watch.value() != 0);
    poll_until(client, [&] { return !told.empty(); });
    CHECK(told.front());
    CHECK_DONE(client.unwatch(watch));
    CHECK_REFUSED(client.unwatch(watch), stale, "");
    CHECK_REFUSED(client.cancel(sortie::Id(watch.value())), stale, "");

    std::uint64_t number = 0;
    const sortie::WatchId plain = client.watch(host, 9).value();
    poll_until(client, [&] { return number == 9; }, [&](const sortie::Event &event) { number = event.user_data(); });
    CHECK(plain != watch);
    sortie::Handle handle = client.hold(plain);
    handle.reset();
    CHECK_REFUSED(client.unwatch(plain), stale, "");
    CHECK_REFUSED(client.watch("no host at all"), argument, "host");
    CHECK_REFUSED(client.watch("a\0b"sv), argument, "host has a NUL byte at 1");
}

TEST(encoding)
{
    CHECK_SAME(sortie::percent_encode("J\xc3\xbcrgen & Co").value(), "J%C3%BCrgen%20%26%20Co");
    CHECK_SAME(sortie::percent_encode(""sv).value(), "");
    CHECK_SAME(sortie::percent_decode("a%00b%zz+"sv).value(), "a\0b%zz+"sv);
    CHECK_REFUSED(sortie::percent_encode("a\0"sv), argument, "the text has a NUL byte at 1");
    CHECK_REFUSED(sortie::percent_decode(nullptr), null_argument, "");
    CHECK_SAME(sortie::form_urlencode({{"name", "J\xc3\xbcrgen O."}, {"score"sv, std::to_string(42)}}).value(),
               "name=J%C3%BCrgen+O.&score=42");
    CHECK_SAME(sortie::form_urlencode({}).value(), "");
    const std::string longer(1000, 'x');
    CHECK_SAME(sortie::form_urlencode({{"a", longer}}).value(), "a=" + longer);
    CHECK_SAME(sortie::form_urlencode({{"a", "\0"sv}}).value(), "a=%00");
    CHECK_REFUSED(sortie::form_urlencode({{"a\0"sv, "b"}}), argument, "name has a NUL byte at 1");
    CHECK_REFUSED(sortie::form_urlencode({{nullptr, "b"}}), null_argument, "");
}
