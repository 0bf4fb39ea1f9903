/* SPDX-License-Identifier: Apache-2.0 */
/* posix/ stacks: one arena of addresses per core in its home slot, cut into pieces of twice the
 * stack: the lower half is never mapped (guard), the upper half is the stack, aligned to its size.
 * Stacks that are given back stay mapped in a short list, so that the next thread costs nothing;
 * the rest go. */
#include "slot.h"

#define STACK_CORES_MAX 64u
#define STRIDE_BYTES (2ull * POSIX_STACK_BYTES)
#define STACKS_MAX 16384u
#define KEPT_MAX 32u

struct stack_arena {
    alignas(
        64) uint64_t base; /* 0: not reserved yet; guarded by the home slot's lock, as all here */
    uint32_t used_end;     /* pieces from here on were never used */
    uint32_t kept_count;
    uint16_t kept[KEPT_MAX];            /* free and mapped */
    uint64_t unmapped[STACKS_MAX / 64]; /* bit: piece below used_end that is free and not mapped */
    uint32_t unmapped_count;
};
static struct stack_arena arenas[STACK_CORES_MAX];

static uint64_t stack_address(const struct stack_arena *arena, uint32_t index)
{
    return arena->base + index * STRIDE_BYTES + POSIX_STACK_BYTES;
}

static int64_t reserve(struct stack_arena *arena, struct slot *slot)
{
    uint64_t bytes = STACKS_MAX * STRIDE_BYTES;
    uint64_t base = slot_find_random_place(slot, bytes, STRIDE_BYTES);
    if (base == 0 || slot_reserve_range(slot, base, base + bytes) < 0) {
        return -ENOMEM;
    }
    arena->base = base;
    return 0;
}

/* A free piece that is not mapped; STACKS_MAX: none. */
static uint32_t find_unmapped(const struct stack_arena *arena)
{
    for (uint32_t word = 0; arena->unmapped_count != 0 && word < STACKS_MAX / 64; word++) {
        if (arena->unmapped[word] != 0) {
            return word * 64 + (uint32_t)__builtin_ctzll(arena->unmapped[word]);
        }
    }
    return arena->used_end;
}

static void set_unmapped(struct stack_arena *arena, uint32_t index, bool is_unmapped)
{
    uint64_t bit = 1ull << (index % 64);
    bool was = (arena->unmapped[index / 64] & bit) != 0;
    if (was != is_unmapped) {
        arena->unmapped[index / 64] ^= bit;
        arena->unmapped_count += is_unmapped ? 1u : UINT32_MAX;
    }
}

static void *take_locked(struct stack_arena *arena, struct slot *slot)
{
    if (arena->base == 0 && reserve(arena, slot) < 0) {
        return NULL;
    }
    if (arena->kept_count != 0) {
        uint32_t index = arena->kept[--arena->kept_count];
        return (void *)(uintptr_t)stack_address(arena, index); // NOLINT: an address
    }
    uint32_t index = find_unmapped(arena);
    if (index >= STACKS_MAX) {
        return NULL;
    }
    uint64_t address = stack_address(arena, index);
    if (gate_map(address, POSIX_STACK_BYTES, GATE_READ | GATE_WRITE, GATE_MAP_POPULATE, 0) < 0) {
        return NULL;
    }
    set_unmapped(arena, index, false);
    arena->used_end += index == arena->used_end ? 1 : 0;
    return (void *)(uintptr_t)address; // NOLINT: an address
}

/* @impl ATL-LLR-MEMORY-0014~1 */
void *posix_stack_allocate(uint32_t core)
{
    struct slot *slot = slot_acquire(slot_of_core(core));
    if (slot == NULL) {
        return NULL;
    }
    void *stack = take_locked(&arenas[core], slot);
    slot_release(slot);
    return stack;
}

static struct stack_arena *arena_of(uint64_t address)
{
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        uint64_t base = arenas[core].base;
        if (base != 0 && address - base < STACKS_MAX * STRIDE_BYTES) {
            return &arenas[core];
        }
    }
    posix_panic("stacks: freed memory is no stack");
}

/* @impl ATL-LLR-MEMORY-0014~1 */
void posix_stack_free(void *stack)
{
    if (stack == NULL) {
        return;
    }
    uint64_t address = (uintptr_t)stack;
    struct stack_arena *arena = arena_of(address);
    struct slot *slot = slot_acquire(slot_index(address));
    if (slot == NULL) {
        posix_panic("stacks: the slot is gone");
    }
    uint32_t index = (uint32_t)((address - arena->base) / STRIDE_BYTES);
    if (arena->kept_count < KEPT_MAX) {
        arena->kept[arena->kept_count++] = (uint16_t)index;
    } else if (gate_unmap(address, POSIX_STACK_BYTES, 0) == 0) {
        set_unmapped(arena, index, true);
    } else {
        posix_panic("stacks: a stack cannot be unmapped");
    }
    slot_release(slot);
}
