// The header and the libraries from C++: exceptions of the program's own pass, and a refused call throws nothing.
#include <sortie.h>

#include <iostream>
#include <stdexcept>
#include <string>

static std::string refusal()
{
    sortie_client *client = nullptr;
    if (sortie_client_create(nullptr, &client) != SORTIE_OK)
        throw std::runtime_error("no client");
    const sortie_result result = sortie_get(client, "gopher://example.com/", 0, nullptr);
    const std::string why = sortie_result_string(result);
    sortie_client_destroy(client);
    if (result != SORTIE_RESULT_SCHEME)
        throw std::runtime_error("gopher was not refused: " + why);
    return why;
}

int main()
{
    try {
        std::cout << "sortie " << sortie_version() << ": " << refusal() << '\n';
        throw std::logic_error("thrown on purpose");
    } catch (const std::logic_error &) {
        return 0;
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
