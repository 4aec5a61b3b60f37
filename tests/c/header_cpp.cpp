/*
 * The C header in a C++17 program, with C++'s own ways around it.
 */
#include "check.h"

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace {

struct destroy {
    void operator()(sortie_client *client) const { sortie_client_destroy(client); }
    void operator()(sortie_body *body) const { sortie_body_free(body); }
};

using client_ptr = std::unique_ptr<sortie_client, destroy>;
using body_ptr = std::unique_ptr<sortie_body, destroy>;

static_assert(std::is_standard_layout<sortie_event>::value && std::is_trivial<sortie_event>::value, "plain data");
static_assert(std::is_standard_layout<sortie_request_desc>::value && std::is_trivial<sortie_request_desc>::value, "plain");
static_assert(std::is_same<sortie_request, std::uint64_t>::value, "a plain number");
static_assert(sizeof(void *) != 8 || sizeof(sortie_event) == 128, "the released size");
static_assert(static_cast<std::uint32_t>(SORTIE_NO_TIMEOUT) == UINT32_MAX, "all ones");

} // namespace

int main()
{
    const client_ptr client(new_client());
    sortie_request_desc desc{};
    desc.struct_size = sizeof desc;
    const std::string url = server_url("/echo"), text = "from C++";
    desc.url = url.c_str();
    desc.method = "PUT";
    desc.body = text.data();
    desc.body_length = text.size();
    sortie_request request = 0;
    CHECK_EQUAL(sortie_submit(client.get(), &desc, &request), SORTIE_OK);

    body_ptr body;
    std::vector<sortie_event> events(16);
    const auto deadline = now_ms() + DEADLINE_MS;
    while (!body) {
        CHECK(now_ms() < deadline);
        sortie_wait(client.get(), 100);
        const auto count = sortie_poll(client.get(), events.data(), static_cast<std::uint32_t>(events.size()));
        CHECK(count >= 0);
        for (std::int32_t i = 0; i < count; i++) {
            const sortie_event &event = events[static_cast<std::size_t>(i)];
            CHECK_EQUAL(event.request, request);
            CHECK_EQUAL(event.type, SORTIE_EVENT_ENDED);
            CHECK_EQUAL(event.status, 200);
            sortie_body *taken = nullptr;
            CHECK_EQUAL(sortie_event_take_body(&event, &taken), SORTIE_OK);
            body.reset(taken);
        }
    }
    CHECK(std::string(static_cast<const char *>(sortie_body_data(body.get())), sortie_body_length(body.get())) == text);
    return 0;
}
