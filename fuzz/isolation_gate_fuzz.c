/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's argument validators against arbitrary arguments and cells. Each answer is compared
 * with a second, wide-arithmetic statement of the rule, so a wrapped sum cannot hide.
 * @verifies ATL-LLR-GATE-0030~1 ATL-LLR-GATE-0031~1 ATL-LLR-GATE-0032~1 @robust
 * @verifies ATL-LLR-GATE-0033~1 @robust */
#include "fuzz.h"
#include <validate.h>

typedef unsigned __int128 wide_t;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

static void check_range(const struct cell *cell, uint64_t address, uint64_t bytes)
{
    wide_t end = (wide_t)address + bytes;
    bool is_valid = address % PAGE_BYTES == 0 && bytes % PAGE_BYTES == 0 && bytes != 0 &&
                    address >= 0x10000 &&
                    end <= (wide_t)cell->shared_slot_count * GATE_SLOT_BYTES &&
                    address / GATE_SLOT_BYTES == (uint64_t)((end - 1) / GATE_SLOT_BYTES);
    enum result result = gate_validate_range(cell, address, bytes);
    FUZZ_REQUIRE(result == (is_valid ? RESULT_OK : RESULT_INVALID));
}

static void check_map(const struct cell *cell, uint64_t protection, uint64_t flags, uint64_t offset)
{
    enum result alone = gate_validate_protection(cell, protection);
    bool is_write_execute = (protection & 6) == 6;
    FUZZ_REQUIRE(alone != RESULT_OK ||
                 (protection <= 7 && (!is_write_execute || cell->allow_write_execute)));
    enum result result = gate_validate_map(cell, protection, flags, offset);
    FUZZ_REQUIRE(result != RESULT_OK ||
                 (alone == RESULT_OK && (flags <= 2 || flags == 4) && offset % PAGE_BYTES == 0 &&
                  (offset == 0 || flags == GATE_MAP_IMAGE)));
}

static void check_start(const struct cell *cell, uint64_t entry, uint64_t stack, uint64_t priority)
{
    enum result result = gate_validate_thread_start(cell, entry, stack, priority);
    FUZZ_REQUIRE(result != RESULT_OK ||
                 (entry >= cell->posix.text_begin && entry < cell->posix.text_end &&
                  stack < 1ull << 47 && stack % 16 == 0 && priority < 64));
}

void fuzz_one(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    struct cell cell = {0};
    cell.shared_slot_count = (uint32_t)fuzz_take(&input, 1) % (GATE_PRIVATE_SLOT + 1);
    cell.allow_write_execute = (fuzz_take(&input, 1) & 1) != 0;
    cell.posix.text_begin = fuzz_take(&input, 8);
    cell.posix.text_end = fuzz_take(&input, 8);
    while (input.left > 0) {
        uint64_t a = fuzz_take(&input, 8);
        uint64_t b = fuzz_take(&input, 8);
        uint64_t c = fuzz_take(&input, 8);
        check_range(&cell, a, b);
        check_range(&cell, ALIGN_DOWN(a, PAGE_BYTES), ALIGN_DOWN(b, PAGE_BYTES));
        check_map(&cell, a, b, c);
        check_map(&cell, a & 15, b & 7, c);
        check_start(&cell, a, b, c & 127);
    }
}
