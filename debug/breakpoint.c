/* SPDX-License-Identifier: Apache-2.0 */
/* Breakpoints in memory, for all threads of all cores, and debug registers. */
#include "internal.h"

#include "instructions.h"

#define OPCODE_INT3 0xcc
#define KIND_EXECUTE 1u /* of packet Z: 1 execution, 2 write, 3 read, 4 access */
#define KIND_WRITE 2u
#define KIND_ACCESS 4u

static struct debug_breakpoint *find(uint64_t address)
{
    for (uint32_t i = 0; i < DEBUG_BREAKPOINTS_MAX; i++) {
        if (debug_server()->breakpoints[i].address == address) {
            return &debug_server()->breakpoints[i];
        }
    }
    return NULL;
}

bool debug_breakpoint_is_at_remote(uint64_t address)
{
    const struct debug_breakpoint *breakpoint = address != 0 ? find(address) : NULL;
    return breakpoint != NULL && breakpoint->is_in_memory;
}

/* ---- debug registers: SDM volume 3, "Debug control register (DR7)" */

/* The four bits of R/W and LEN; 0xff: not possible. */
static uint8_t condition_of(uint32_t kind, uint64_t address, uint64_t bytes)
{
    static const uint8_t lengths[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
    if (kind == KIND_EXECUTE) {
        return 0;
    }
    bool is_possible = (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) &&
                       IS_ALIGNED(address, bytes) && kind <= KIND_ACCESS;
    uint8_t access = kind == KIND_WRITE ? 1 : 3;
    return is_possible ? (uint8_t)(lengths[bytes] << 2 | access) : 0xff;
}

static uint64_t control_of(uint32_t slot, uint8_t condition)
{
    return 2ull << (2 * slot) | (uint64_t)condition << (16 + 4 * slot);
}

static bool is_used(uint32_t slot)
{
    return (debug_server()->plan.control >> (2 * slot) & 3) != 0;
}

static bool take(uint64_t address, uint8_t condition, bool is_memory,
                 const struct debug_conditions *conditions)
{
    struct debug_plan *plan = &debug_server()->plan;
    for (uint32_t slot = 0; slot < DEBUG_WATCHES; slot++) {
        if (!is_used(slot)) {
            plan->watch[slot] = address;
            plan->control |= DR7_CLEAR | control_of(slot, condition);
            plan->is_memory[slot] = is_memory;
            plan->conditions[slot] = *conditions;
            return true;
        }
    }
    return false;
}

static void release(uint32_t slot)
{
    debug_server()->plan.control &= ~(3ull << (2 * slot) | 15ull << (16 + 4 * slot));
}

static bool slot_take(uint64_t address, const struct debug_conditions *conditions)
{
    return take(address, condition_of(KIND_EXECUTE, address, 1), true, conditions);
}

static void slot_clear(uint64_t address)
{
    const struct debug_plan *plan = &debug_server()->plan;
    for (uint32_t slot = 0; slot < DEBUG_WATCHES; slot++) {
        if (is_used(slot) && plan->is_memory[slot] && plan->watch[slot] == address) {
            release(slot);
        }
    }
}

/* ---- in memory */

static void memory_clear(uint64_t address)
{
    struct debug_breakpoint *breakpoint = address != 0 ? find(address) : NULL;
    if (breakpoint != NULL) {
        *breakpoint = (struct debug_breakpoint){0};
    }
}

/* Proves now that it can be put there; it goes in when the machine does.
 * @impl ATL-LLR-DEBUG-0014~1 ATL-LLR-DEBUG-0756~1 */
enum result debug_breakpoint_set(uint32_t core, uint64_t address,
                                 const struct debug_conditions *conditions)
{
    uint8_t original;
    if (address == 0 || debug_reach_read(core, address, &original, 1) != 1 ||
        debug_reach_write(core, address, &original, 1) != 1) {
        return RESULT_FAULT;
    }
    slot_clear(address); /* its conditions may be others now */
    if (conditions->bytes > 0 && slot_take(address, conditions)) {
        memory_clear(address);
        return RESULT_OK;
    }
    if (find(address) != NULL) {
        return RESULT_OK;
    }
    struct debug_breakpoint *breakpoint = find(0);
    if (breakpoint == NULL) {
        return RESULT_AGAIN;
    }
    *breakpoint = (struct debug_breakpoint){.address = address, .original = original};
    return RESULT_OK;
}

enum result debug_breakpoint_clear(uint64_t address)
{
    memory_clear(address);
    slot_clear(address);
    return RESULT_OK;
}

/* What was unmapped meanwhile, or written anew, stays as it is. */
void debug_breakpoints_lift(void)
{
    for (uint32_t i = 0; i < DEBUG_BREAKPOINTS_MAX; i++) {
        struct debug_breakpoint *breakpoint = &debug_server()->breakpoints[i];
        uint8_t now = 0;
        if (breakpoint->is_in_memory && debug_reach_read(0, breakpoint->address, &now, 1) == 1 &&
            now == OPCODE_INT3) {
            (void)debug_reach_write(0, breakpoint->address, &breakpoint->original, 1);
        }
        breakpoint->is_in_memory = false;
    }
}

void debug_breakpoints_drop(void)
{
    const uint8_t code = OPCODE_INT3;
    for (uint32_t i = 0; i < DEBUG_BREAKPOINTS_MAX; i++) {
        struct debug_breakpoint *breakpoint = &debug_server()->breakpoints[i];
        if (breakpoint->address != 0 &&
            debug_reach_read(0, breakpoint->address, &breakpoint->original, 1) == 1) {
            breakpoint->is_in_memory = debug_reach_write(0, breakpoint->address, &code, 1) == 1;
        }
    }
}

/* ---- for packets Z1 to Z4 */

/* A register that stands for a breakpoint in memory is free when that is where it can be, too. */
static bool give_way(void)
{
    static const struct debug_conditions none;
    const struct debug_plan *plan = &debug_server()->plan;
    for (uint32_t slot = 0; slot < DEBUG_WATCHES; slot++) {
        if (is_used(slot) && plan->is_memory[slot]) {
            return debug_breakpoint_set(0, plan->watch[slot], &none) == RESULT_OK;
        }
    }
    return false;
}

/* @impl ATL-LLR-DEBUG-0014~1 */
enum result debug_watch_set(uint32_t kind, uint64_t address, uint64_t bytes,
                            const struct debug_conditions *conditions)
{
    uint8_t condition = condition_of(kind, address, bytes);
    if (condition == 0xff) {
        return RESULT_INVALID;
    }
    if (take(address, condition, false, conditions)) {
        return RESULT_OK;
    }
    bool is_done = give_way() && take(address, condition, false, conditions);
    return is_done ? RESULT_OK : RESULT_AGAIN;
}

enum result debug_watch_clear(uint32_t kind, uint64_t address, uint64_t bytes)
{
    struct debug_plan *plan = &debug_server()->plan;
    uint8_t condition = condition_of(kind, address, bytes);
    for (uint32_t slot = 0; slot < DEBUG_WATCHES && condition != 0xff; slot++) {
        bool is_same = (plan->control >> (16 + 4 * slot) & 15) == condition;
        if (is_used(slot) && plan->watch[slot] == address && is_same && !plan->is_memory[slot]) {
            release(slot);
            return RESULT_OK;
        }
    }
    return RESULT_OK;
}

void debug_breakpoints_clear_all(void)
{
    for (uint32_t i = 0; i < DEBUG_BREAKPOINTS_MAX; i++) {
        debug_server()->breakpoints[i] = (struct debug_breakpoint){0};
    }
    debug_server()->plan.control = DR7_CLEAR;
}
