/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the gate's arguments: the accepted edge, and one step beyond it. */
#include "check.h"
#include "validate.h"

static const struct cell cell = {
    .ring = 3,
    .shared_slot_count = 4,
    .posix.text_begin = 0x7f8000002000,
    .posix.text_end = 0x7f8000010000,
};

/* @verifies ATL-LLR-GATE-0030~1 */
/* @robust */
TEST(range_lies_in_one_shared_slot)
{
    const uint64_t slot = GATE_SLOT_BYTES;
    CHECK(gate_validate_range(&cell, 0x10000, 4096) == RESULT_OK);
    CHECK(gate_validate_range(&cell, slot, slot) == RESULT_OK);
    CHECK(gate_validate_range(&cell, 4 * slot - 4096, 4096) == RESULT_OK);
    CHECK(gate_validate_range(&cell, 0xf000, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0x10001, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0x10000, 4095) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0x10000, 0) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, slot - 4096, 8192) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 4 * slot, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, GATE_PRIVATE_SLOT * slot, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0xffff800000000000, 4096) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, 0x10000, UINT64_MAX - 4095) == RESULT_INVALID);
    CHECK(gate_validate_range(&cell, UINT64_MAX - 4095, 4096) == RESULT_INVALID);
}

/* @verifies ATL-LLR-GATE-0031~1 */
/* @robust */
TEST(protection_is_known_and_not_write_execute)
{
    struct cell allowing = cell;
    allowing.allow_write_execute = true;
    CHECK(gate_validate_protection(&cell, 0) == RESULT_OK);
    CHECK(gate_validate_protection(&cell, GATE_READ | GATE_WRITE) == RESULT_OK);
    CHECK(gate_validate_protection(&cell, GATE_WRITE | GATE_EXECUTE) == RESULT_ACCESS);
    CHECK(gate_validate_protection(&allowing, GATE_WRITE | GATE_EXECUTE) == RESULT_OK);
    CHECK(gate_validate_protection(&cell, 8) == RESULT_INVALID);
    CHECK(gate_validate_protection(&cell, 1ull << 32) == RESULT_INVALID);
}

/* @verifies ATL-LLR-GATE-0032~1 */
/* @robust */
TEST(map_flags_do_not_contradict)
{
    CHECK(gate_validate_map(&cell, GATE_READ, 0, 0) == RESULT_OK);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_IMAGE, 8192) == RESULT_OK);
    CHECK(gate_validate_map(&cell, GATE_READ, 0, 8192) == RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_IMAGE, 100) == RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_IMAGE | GATE_MAP_POPULATE, 0) ==
          RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_LAST, 0) == RESULT_OK);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_LAST, 8192) == RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_LAST | GATE_MAP_POPULATE, 0) ==
          RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, GATE_MAP_LAST | GATE_MAP_IMAGE, 0) == RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_READ, 8, 0) == RESULT_INVALID);
    CHECK(gate_validate_map(&cell, GATE_WRITE | GATE_EXECUTE, 0, 0) == RESULT_ACCESS);
}

/* @verifies ATL-LLR-GATE-0033~1 */
/* @robust */
struct start {
    uint64_t entry, stack, priority;
};

static enum result validate(struct start start)
{
    return gate_validate_thread_start(&cell, start.entry, start.stack, start.priority);
}

TEST(thread_starts_inside_the_library_os)
{
    const struct start good = {0x7f8000002000, 0x20000, 31};
    struct start bad = good;
    CHECK(validate(good) == RESULT_OK);
    bad.entry = cell.posix.text_end;
    CHECK(validate(bad) == RESULT_INVALID);
    bad = good, bad.entry = cell.posix.text_begin - 1;
    CHECK(validate(bad) == RESULT_INVALID);
    bad = good, bad.stack = 0x20008;
    CHECK(validate(bad) == RESULT_INVALID);
    bad = good, bad.stack = 0;
    CHECK(validate(bad) == RESULT_INVALID);
    bad = good, bad.stack = 0xffff800000000000;
    CHECK(validate(bad) == RESULT_INVALID);
    bad = good, bad.priority = GATE_PRIORITY_FIFO + 31;
    CHECK(validate(bad) == RESULT_OK);
    bad = good, bad.priority = GATE_PRIORITY_FIFO + 32;
    CHECK(validate(bad) == RESULT_INVALID);
}

CHECK_MAIN()
