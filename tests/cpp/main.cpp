// Runs the tests, or those of these names.
#include "support.hpp"

int main(int argc, char **argv)
{
    int count = 0;
    for (const Test &test : all_tests()) {
        bool is_wanted = argc < 2;
        for (int i = 1; i < argc; ++i)
            is_wanted = is_wanted || std::string_view(argv[i]) == test.name;
        if (!is_wanted)
            continue;
        std::printf("%s\n", test.name);
        std::fflush(stdout);
        test.run();
        ++count;
    }
    std::printf("%d tests passed\n", count);
    return count > 0 ? 0 : 1;
}
