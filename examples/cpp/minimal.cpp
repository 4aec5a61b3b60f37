// Downloads some pages at once while a frame loop runs.
#include <sortie.hpp>

#include <chrono>
#include <iostream>

int main(int argc, char **argv)
{
    sortie::Result<sortie::Client> created = sortie::Client::create();
    if (!created || argc < 2) {
        std::cerr << "usage: minimal URL...  " << created.error().message() << '\n';
        return 1;
    }
    sortie::Client client = std::move(*created);
    int running = 0, failed = 0;
    for (int i = 1; i < argc; ++i) {
        const sortie::Result<sortie::Id> id = client.get(argv[i], [&](const sortie::Event &event) {
            std::cout << event.url() << ": status " << event.status() << ", " << event.body().size() << " bytes "
                      << event.message() << '\n';
            failed += event.failed();
            --running;
        });
        if (id) {
            ++running;
        } else {
            std::cerr << argv[i] << ": " << id.error().message() << '\n';
            ++failed;
        }
    }
    while (running > 0) {
        client.poll();                              // once a frame; never waits: the callbacks run in here
        client.wait(std::chrono::milliseconds(16)); // a game updates and draws here instead
    }
    return failed == 0 ? 0 : 1;
}
