/* A game with another Rust library beside Sortie. */
#include "game.h"

#include <stdint.h>
#include <stdio.h>

uint32_t other_count(void);

int check_surroundings(void)
{
    static uint32_t expected;
    uint32_t count = other_count();
    expected++;
    if (count != expected) {
        fprintf(stderr, "the other library counted %u, expected %u\n", (unsigned)count, (unsigned)expected);
        return 1;
    }
    return 0;
}
