/* SPDX-License-Identifier: Apache-2.0 */
#include "validate.h"

#define USER_END ((uint64_t)(GATE_PRIVATE_SLOT + 1) * GATE_SLOT_BYTES)

/* @impl ATL-LLR-GATE-0030~1 */
enum result gate_validate_range(const struct cell *cell, uint64_t address, uint64_t bytes)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    bool is_good = IS_ALIGNED(address | bytes, PAGE_BYTES) && bytes > 0 &&
                   bytes <= GATE_SLOT_BYTES && address >= GATE_USER_FLOOR &&
                   slot < cell->shared_slot_count &&
                   address + bytes <= (slot + 1) * GATE_SLOT_BYTES;
    return is_good ? RESULT_OK : RESULT_INVALID;
}

/* @impl ATL-LLR-GATE-0031~1 */
enum result gate_validate_protection(const struct cell *cell, uint64_t protection)
{
    if ((protection & ~(uint64_t)(GATE_READ | GATE_WRITE | GATE_EXECUTE)) != 0) {
        return RESULT_INVALID;
    }
    const uint64_t both = GATE_WRITE | GATE_EXECUTE;
    return (protection & both) != both || cell->allow_write_execute ? RESULT_OK : RESULT_ACCESS;
}

/* @impl ATL-LLR-GATE-0032~1 */
enum result gate_validate_map(const struct cell *cell, uint64_t protection, uint64_t flags,
                              uint64_t offset)
{
    TRY(gate_validate_protection(cell, protection));
    bool is_good = flags == GATE_MAP_IMAGE
                       ? IS_ALIGNED(offset, PAGE_BYTES)
                       : (flags <= GATE_MAP_POPULATE || flags == GATE_MAP_LAST) && offset == 0;
    return is_good ? RESULT_OK : RESULT_INVALID;
}

/* @impl ATL-LLR-GATE-0033~1 */
enum result gate_validate_thread_start(const struct cell *cell, uint64_t entry, uint64_t stack,
                                       uint64_t priority)
{
    bool is_good = entry >= cell->posix.text_begin && entry < cell->posix.text_end &&
                   stack >= GATE_USER_FLOOR && stack < USER_END && IS_ALIGNED(stack, 16ull) &&
                   priority < GATE_PRIORITY_FIFO + GATE_PRIORITY_COUNT;
    return is_good ? RESULT_OK : RESULT_INVALID;
}
