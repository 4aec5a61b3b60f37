// The C++ header and the libraries: a callback runs, exceptions of the program's own pass, and a refused call throws
// nothing.
#include <sortie.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>

static void refuse(sortie::Client &client)
{
    const sortie::Result<sortie::Id> id = client.get("gopher://example.com/");
    if (id || id.error().code() != sortie::Code::scheme)
        throw std::runtime_error("gopher was not refused: " + id.error().message());
    std::cout << "sortie " << sortie::version() << ": " << id.error().message() << '\n';
}

int main()
{
    try {
        sortie::Client client = sortie::Client::create().value();
        refuse(client);
        const char *server = std::getenv("SORTIE_TEST_SERVER");
        const auto ended = [](const sortie::Event &event) {
            std::cout << event.status_line() << ", " << event.body().size() << " bytes\n";
            throw std::logic_error("thrown on purpose");
        };
        static_cast<void>(client.get(std::string(server ? server : "") + "/gzip?bytes=1000", ended).value());
        while (client.wait(std::chrono::seconds(10)))
            client.poll();
        std::cerr << "nothing came\n";
        return 1;
    } catch (const std::logic_error &) {
        return 0;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
