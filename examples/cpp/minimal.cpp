// Downloads some pages at once while a frame loop runs.
#include <sortie.h>

#include <array>
#include <iostream>
#include <memory>
#include <string_view>

struct destroy_client {
    void operator()(sortie_client *client) const { sortie_client_destroy(client); }
};
using client_ptr = std::unique_ptr<sortie_client, destroy_client>;

static client_ptr create_client()
{
    sortie_client *client = nullptr;
    return client_ptr(sortie_client_create(nullptr, &client) == SORTIE_OK ? client : nullptr);
}

int main(int argc, char **argv)
{
    const client_ptr client = create_client();
    if (!client || argc < 2) {
        std::cerr << "usage: minimal URL...\n";
        return 1;
    }
    int running = 0, failed = 0;
    for (int i = 1; i < argc; ++i) {
        // user_data comes back in each event: here, which argument it was.
        if (sortie_get(client.get(), argv[i], static_cast<uint64_t>(i), nullptr) == SORTIE_OK) {
            ++running;
        } else {
            std::cerr << argv[i] << ": " << sortie_last_error_message() << '\n';
            ++failed;
        }
    }
    while (running > 0) {
        std::array<sortie_event, 16> events;
        const int32_t count = sortie_poll(client.get(), events.data(), static_cast<uint32_t>(events.size()));
        for (int32_t i = 0; i < count; ++i) {
            const sortie_event &event = events[static_cast<std::size_t>(i)];
            if (event.type != SORTIE_EVENT_ENDED)
                continue;
            --running;
            if (event.error != SORTIE_ERROR_NONE) {
                std::cerr << argv[event.user_data] << ": " << event.message << '\n';
                ++failed;
                continue;
            }
            const std::string_view body(static_cast<const char *>(event.body), event.body_length);
            std::cout << event.url << ": status " << event.status << ", " << body.size() << " bytes\n";
        }
        sortie_wait(client.get(), 16); // a game updates and draws here instead
    }
    return failed == 0 ? 0 : 1;
}
