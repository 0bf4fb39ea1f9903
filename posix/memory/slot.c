/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: set-up, the pool of region nodes, places. The operations on ranges are in slot_range.c. */
#include "slot.h"

#define NODE_CHUNK_BYTES (4 * POSIX_PAGE_BYTES)
#define NODE_POOL_BYTES                                                                            \
    POSIX_PAGE_UP((SLOT_REGIONS_MAX + 64) * (uint64_t)sizeof(struct region) + NODE_CHUNK_BYTES)
/* mmap keeps out of the lowest part of slot 0, where fixed programs and their heap are. */
#define FIRST_SLOT_LOW (8ull << 30)
#define DRAWS_MAX 16u

#define HOME_SLOTS_PER_CORE 3u /* of which a core's mappings choose one at random */

/* Kept apart, so that the frequent ways save no registers for it. */
#define SELDOM __attribute__((noinline, cold))

static struct slot slots[GATE_PRIVATE_SLOT];
static struct posix_lock random_lock;
static uint64_t random_state;

/* SplitMix64; seeded from the kernel's generator, or from the image for tests. */
static uint64_t next_random(void)
{
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* @impl ATL-LLR-MEMORY-0011~1 */
uint64_t posix_memory_random(void)
{
    bool is_fixed = (posix_image()->flags & IMAGE_FLAG_FIXED_SEED) != 0;
    uint64_t value = 0;
    if (!is_fixed && gate_random((uintptr_t)&value, sizeof(value)) >= 0) {
        return value;
    }
    posix_lock_acquire(&random_lock);
    value = next_random();
    posix_lock_release(&random_lock);
    return value;
}

void posix_memory_initialize(void)
{
    random_state = posix_image()->seed;
    if ((posix_image()->flags & IMAGE_FLAG_FIXED_SEED) == 0) {
        (void)gate_random((uintptr_t)&random_state, sizeof(random_state));
    }
}

/* @impl ATL-LLR-MEMORY-0021~1 */
uint32_t slot_span_first(void)
{
    uint64_t first = (uint64_t)HOME_SLOTS_PER_CORE * posix_info.core_count;
    return (uint32_t)(first < posix_info.shared_slot_count ? first : posix_info.shared_slot_count);
}

/* One of the core's slots, the same for the whole run: its number adds to the randomness. */
static _Atomic uint32_t chosen[GATE_PRIVATE_SLOT]; /* slot + 1; 0 not chosen */

SELDOM static uint32_t choose_slot(uint32_t core)
{
    uint64_t own = (slot_span_first() - core + posix_info.core_count - 1) / posix_info.core_count;
    uint32_t expected = 0;
    uint32_t slot = core + (uint32_t)(posix_memory_random() % own) * posix_info.core_count + 1;
    return atomic_compare_exchange_strong_explicit(&chosen[core], &expected, slot,
                                                   memory_order_relaxed, memory_order_relaxed)
               ? slot
               : expected;
}

/* @impl ATL-LLR-MEMORY-0011~1 */
uint32_t slot_of_core(uint32_t core)
{
    uint32_t slot = atomic_load_explicit(&chosen[core], memory_order_relaxed);
    return (slot != 0 ? slot : choose_slot(core)) - 1;
}

bool slot_range_is_mappable(uint64_t start, uint64_t end)
{
    return start < end && start >= GATE_USER_FLOOR &&
           end <= posix_info.shared_slot_count * GATE_SLOT_BYTES;
}

static void give_nodes(struct slot *slot, uint64_t address, uint64_t bytes)
{
    struct region *nodes = (struct region *)(uintptr_t)address;
    for (size_t i = 0; i < bytes / sizeof(struct region); i++) {
        nodes[i].parent = slot->free_nodes;
        slot->free_nodes = &nodes[i];
        slot->free_node_count++;
    }
}

SELDOM static int64_t grow_nodes(struct slot *slot)
{
    if (slot->nodes_end - slot->nodes_next < NODE_CHUNK_BYTES) {
        return -ENOMEM;
    }
    int64_t result =
        gate_map(slot->nodes_next, NODE_CHUNK_BYTES, GATE_READ | GATE_WRITE, GATE_MAP_POPULATE, 0);
    if (result < 0) {
        return result;
    }
    give_nodes(slot, slot->nodes_next, NODE_CHUNK_BYTES);
    slot->nodes_next += NODE_CHUNK_BYTES;
    return 0;
}

/* @impl ATL-LLR-MEMORY-0009~1 */
int64_t slot_reserve_nodes(struct slot *slot, uint32_t count)
{
    if (slot->tree.count + count > SLOT_REGIONS_MAX) {
        return -ENOMEM;
    }
    while (slot->free_node_count < count) {
        int64_t result = grow_nodes(slot);
        if (result < 0) {
            return -ENOMEM;
        }
    }
    return 0;
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static uint64_t find_from(const struct slot *slot, uint64_t low, uint64_t bytes, uint64_t alignment)
{
    uint64_t found = region_find_gap(&slot->tree, low, bytes + alignment - POSIX_PAGE_BYTES);
    return found != 0 ? align_up(found, alignment) : 0;
}

/* @impl ATL-LLR-MEMORY-0002~1 */
uint64_t slot_find_place(struct slot *slot, uint64_t bytes, uint64_t alignment)
{
    uint64_t found = find_from(slot, slot->free_from, bytes, alignment);
    if (found == 0) {
        uint64_t low = slot->tree.floor;
        if (slot == &slots[0]) {
            low = FIRST_SLOT_LOW;
        }
        found = find_from(slot, low, bytes, alignment);
    }
    return found;
}

static uint64_t random_address(uint64_t low, uint64_t limit)
{
    return low + POSIX_PAGE_DOWN(posix_memory_random() % (limit - low));
}

/* A place that is taken is drawn again: what comes behind it would be no random place, but the one
 * where the next mapping goes as well.
 *
 * @impl ATL-LLR-MEMORY-0011~1 */
uint64_t slot_find_random_place(struct slot *slot, uint64_t bytes, uint64_t alignment)
{
    uint64_t low = slot == &slots[0] ? FIRST_SLOT_LOW : slot->tree.floor;
    if (bytes >= slot->tree.limit - low) {
        return 0;
    }
    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        uint64_t start = align_up(random_address(low, slot->tree.limit - bytes), alignment);
        if (region_is_free(&slot->tree, start, start + bytes)) {
            return start;
        }
    }
    return find_from(slot, low, bytes, alignment);
}

/* Room for the nodes of a slot, with the first of them: in the slot itself, or, of a slot that
 * large reservations need whole, in the owner's first slot. */
static int64_t make_pool(struct slot *slot, struct slot *host)
{
    uint64_t pool = slot_find_random_place(host, NODE_POOL_BYTES, POSIX_PAGE_BYTES);
    if (pool == 0) {
        return -ENOMEM;
    }
    slot->nodes_next = pool;
    slot->nodes_end = pool + NODE_POOL_BYTES;
    int64_t result = grow_nodes(slot);
    if (result == 0 && slot_reserve_range(host, pool, pool + NODE_POOL_BYTES) < 0) {
        (void)gate_unmap(pool, NODE_CHUNK_BYTES, 0);
        slot->free_nodes = NULL;
        slot->free_node_count = 0;
        result = -ENOMEM;
    }
    return result;
}

/* Locked; releases the lock and returns NULL without memory. */
SELDOM static struct slot *make_ready(struct slot *slot, uint32_t index)
{
    uint64_t start = index * GATE_SLOT_BYTES;
    slot->tree.floor = start < GATE_USER_FLOOR ? GATE_USER_FLOOR : start;
    slot->tree.limit = start + GATE_SLOT_BYTES;
    bool is_span = index >= slot_span_first();
    struct slot *host = is_span ? slot_acquire(index % posix_info.core_count) : slot;
    int64_t result = host != NULL ? make_pool(slot, host) : -ENOMEM;
    if (is_span && host != NULL) {
        slot_release(host);
    }
    if (result < 0) {
        slot_release(slot);
        return NULL;
    }
    uint64_t low = index == 0 ? 2 * FIRST_SLOT_LOW : start;
    slot->map_base = random_address(low, slot->tree.limit - (16ull << 30));
    slot->free_from = slot->map_base;
    slot->is_ready = true;
    return slot;
}

struct slot *slot_acquire(uint32_t index)
{
    struct slot *slot = &slots[index];
    posix_lock_acquire(&slot->lock);
    return slot->is_ready ? slot : make_ready(slot, index);
}

struct slot *slot_at(uint32_t index)
{
    return &slots[index];
}

void slot_release(struct slot *slot)
{
    posix_lock_release(&slot->lock);
}

static void describe(const struct region *region, struct posix_region_info *info)
{
    info->start = region->start;
    info->end = region->end;
    info->protection = region->protection;
    info->flags = region->flags;
    info->file = region->file;
    info->offset = region->offset;
    info->kind = (enum posix_region_kind)region->kind;
}

/* @impl ATL-LLR-MEMORY-0010~1 */
bool posix_memory_find(uint64_t address, bool at_or_after, struct posix_region_info *info)
{
    for (uint64_t index = address / GATE_SLOT_BYTES; index < posix_info.shared_slot_count;
         index++) {
        struct slot *slot = &slots[index];
        posix_lock_acquire(&slot->lock);
        const struct region *region = region_at_or_after(&slot->tree, address);
        bool found = region != NULL && (at_or_after || region->start <= address);
        if (found) {
            describe(region, info);
        }
        posix_lock_release(&slot->lock);
        if (found || !at_or_after) {
            return found;
        }
    }
    return false;
}

uint64_t posix_memory_mapped_bytes(void)
{
    uint64_t total = 0;
    for (uint64_t index = 0; index < posix_info.shared_slot_count; index++) {
        posix_lock_acquire(&slots[index].lock);
        total += slots[index].mapped_bytes;
        posix_lock_release(&slots[index].lock);
    }
    return total;
}

uint64_t posix_memory_place(uint64_t bytes, bool first_slot)
{
    uint32_t index = first_slot ? 0 : slot_of_core(0);
    struct slot *slot = slot_acquire(index);
    if (slot == NULL) {
        return 0;
    }
    uint64_t found = slot_find_random_place(slot, bytes, POSIX_PAGE_BYTES);
    slot_release(slot);
    return found;
}
