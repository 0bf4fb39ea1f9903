/* SPDX-License-Identifier: Apache-2.0 */
/* A breakpoint's condition is any bytes: it ends after a bounded number of steps, inside its
 * bounds, and means the same the second time. @verifies ATL-LLR-DEBUG-0755~1 @robust */
#include "fuzz.h"
#include <expression.h>

#define CODE_BYTES_MAX 4096u

struct world {
    uint64_t looks;
};

static bool read_register(void *context, uint32_t number, uint64_t *value)
{
    struct world *world = context;
    world->looks++;
    *value = number * 0x0101010101010101ull;
    return number != 99;
}

static bool read_memory(void *context, uint64_t address, void *to, uint32_t bytes)
{
    struct world *world = context;
    world->looks++;
    FUZZ_REQUIRE(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8);
    memset(to, (int)(address & 0xff), bytes);
    return (address & 0xf000) != 0xf000;
}

static bool run(const uint8_t *code, uint32_t bytes, uint64_t *value)
{
    struct world seen = {0};
    const struct debug_expression_world world = {read_register, read_memory, &seen};
    bool is_good = debug_expression_run(code, bytes, &world, value);
    FUZZ_REQUIRE(seen.looks <= (uint64_t)bytes * (DEBUG_EXPRESSION_STEPS_BACK + 1));
    return is_good;
}

void fuzz_one(const uint8_t *input, size_t bytes)
{
    uint32_t count = bytes < CODE_BYTES_MAX ? (uint32_t)bytes : CODE_BYTES_MAX;
    uint8_t *code = malloc(count > 0 ? count : 1); /* no more: a read behind it is seen */
    FUZZ_REQUIRE(code != NULL);
    memcpy(code, input, count);
    uint64_t first = 1, second = 1;
    bool is_good = run(code, count, &first);
    FUZZ_REQUIRE(run(code, count, &second) == is_good && first == second);
    FUZZ_REQUIRE(is_good || first == 1);
    free(code);
}
