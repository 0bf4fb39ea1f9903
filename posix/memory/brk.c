/* SPDX-License-Identifier: Apache-2.0 */
/* brk: the heap region of slot 0 behind the program. Addresses are mapped some way ahead of the
 * break, so that most calls make no gate call; memory itself comes at first touch. */
#include "abi.h"
#include "slot.h"
#include <posix/syscalls.h>

#define MAP_AHEAD_BYTES (128ull << 10)
#define RANDOM_BYTES (32ull << 20) /* as Linux's randomised brk of a fixed program */

/* Guarded by the lock of the heap's slot. */
static struct {
    uint64_t start, current; /* bytes addresses, as Linux keeps them */
    uint64_t mapped_end;     /* page multiple */
} heap;

/* @impl ATL-LLR-MEMORY-0008~1 */
void posix_memory_set_heap(uint64_t program_end)
{
    uint64_t start =
        POSIX_PAGE_UP(program_end) + POSIX_PAGE_DOWN(posix_memory_random() % RANDOM_BYTES);
    heap.start = start;
    heap.current = start;
    heap.mapped_end = start;
}

static int64_t grow_to(struct slot *slot, uint64_t end)
{
    uint64_t ahead = end + MAP_AHEAD_BYTES;
    struct slot_mapping mapping = {.start = heap.mapped_end,
                                   .end = ahead,
                                   .protection = PROT_READ | PROT_WRITE,
                                   .kind = POSIX_REGION_HEAP};
    int64_t result = slot_map(slot, &mapping);
    if (result < 0) {
        mapping.end = end;
        result = slot_map(slot, &mapping);
    }
    if (result == 0) {
        heap.mapped_end = mapping.end;
    }
    return result;
}

/* Memory given back must read as zeros when the break comes again; unmapping says so at once. */
static int64_t shrink_to(struct slot *slot, uint64_t end)
{
    int64_t result = slot_unmap(slot, end, heap.mapped_end, false);
    if (result == 0) {
        heap.mapped_end = end;
    }
    return result;
}

/* @impl ATL-LLR-MEMORY-0008~1 */
int64_t posix_brk(uint64_t wanted)
{
    if (wanted < heap.start || wanted > posix_info.shared_slot_count * GATE_SLOT_BYTES ||
        slot_index(wanted) != slot_index(heap.start)) {
        return (int64_t)heap.current;
    }
    struct slot *slot = slot_acquire(slot_index(heap.start));
    if (slot == NULL) {
        return (int64_t)heap.current;
    }
    uint64_t end = POSIX_PAGE_UP(wanted);
    int64_t result = 0;
    if (end > heap.mapped_end) {
        result = grow_to(slot, end);
    } else if (end < POSIX_PAGE_UP(heap.current)) {
        result = shrink_to(slot, end);
    }
    if (result == 0) {
        heap.current = wanted;
    }
    int64_t now = (int64_t)heap.current;
    slot_release(slot);
    return now;
}
