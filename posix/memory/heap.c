/* SPDX-License-Identifier: Apache-2.0 */
/* posix/'s own memory: size classes with one free list each per core, cut from populated chunks in
 * the core's home slot; larger blocks are mappings of their own. A block goes back to the lists of
 * the core whose slot it lies in. Small blocks keep their class for ever: the heap's size is the
 * sum of every class's peak.
 *
 * Locks: a heap's lock guards its lists and is never held around a gate call. */
#include "slot.h"

#define HEAP_CORES_MAX 64u
#define CHUNK_BYTES (256ull << 10)
#define ARENA_BYTES (32ull << 30) /* addresses, not memory */
#define BLOCK_BYTES_MIN 32u
#define STATE_FREE 0x46524545u
#define STATE_USED 0x55534544u
#define STATE_LARGE 0x4c524745u

/* Before every block; 16 bytes, so that blocks stay 16-aligned. */
struct block {
    uint32_t state;
    uint16_t class_index;
    uint16_t core;
    union {
        struct block *next;   /* free */
        uint64_t large_bytes; /* large: of the whole mapping */
    };
};
_Static_assert(sizeof(struct block) == 16, "alignment of blocks");

/* With the header. Powers of two above 2 KiB leave room for one header beside the payload. */
static const uint32_t class_bytes[] = {32,  48,  64,   80,   96,   128,  160,  192,   256,  384,
                                       512, 768, 1040, 1552, 2064, 4112, 8208, 16400, 32784};
#define CLASS_COUNT (sizeof(class_bytes) / sizeof(class_bytes[0]))

struct heap {
    alignas(64) struct posix_lock lock;
    struct block *free[CLASS_COUNT];
    uint64_t next, end;  /* the chunk that blocks are cut from */
    struct block *spare; /* whole chunks */
    /* guarded by the home slot's lock */
    uint64_t arena_next, arena_end;
    uint64_t large_bytes; /* of mappings of their own */
};
static struct heap heaps[HEAP_CORES_MAX];

/* One by one: most blocks are small. */
static uint32_t class_for(size_t bytes)
{
    uint32_t index = 0;
    while (class_bytes[index] < bytes) {
        index++;
    }
    return index;
}

static void push(struct heap *heap, struct block *block)
{
    block->state = STATE_FREE;
    block->next = heap->free[block->class_index];
    heap->free[block->class_index] = block;
}

/* Its class must fit into the chunk. */
static struct block *cut(struct heap *heap, uint32_t class_index)
{
    struct block *block = (struct block *)(uintptr_t)heap->next;
    heap->next += class_bytes[class_index];
    block->core = (uint16_t)(heap - heaps);
    block->class_index = (uint16_t)class_index;
    return block;
}

/* What is left of a chunk becomes blocks of the classes that fit. */
static void give_remainder(struct heap *heap)
{
    while (heap->end - heap->next >= BLOCK_BYTES_MIN) {
        uint32_t index = CLASS_COUNT - 1;
        while (class_bytes[index] > heap->end - heap->next) {
            index--;
        }
        push(heap, cut(heap, index));
    }
}

/* What is rare stands apart, so that the common way saves no registers for it. */
#define RARE __attribute__((noinline, cold))

/* Locked. NULL: the chunk and the spare chunks have nothing. */
RARE static struct block *take_new(struct heap *heap, uint32_t class_index)
{
    if (heap->end - heap->next < class_bytes[class_index]) {
        if (heap->spare == NULL) {
            return NULL;
        }
        give_remainder(heap);
        heap->next = (uintptr_t)heap->spare;
        heap->end = heap->next + CHUNK_BYTES;
        heap->spare = heap->spare->next;
    }
    return cut(heap, class_index);
}

/* Locked. NULL: there is none. */
static struct block *take(struct heap *heap, uint32_t class_index)
{
    struct block *block = heap->free[class_index];
    if (block != NULL) {
        heap->free[class_index] = block->next;
    } else {
        block = take_new(heap, class_index);
    }
    if (block != NULL) {
        block->state = STATE_USED;
    }
    return block;
}

static int64_t reserve_arena(struct heap *heap, struct slot *slot)
{
    uint64_t arena = slot_find_random_place(slot, ARENA_BYTES, POSIX_PAGE_BYTES);
    if (arena == 0 || slot_reserve_range(slot, arena, arena + ARENA_BYTES) < 0) {
        return -ENOMEM;
    }
    heap->arena_next = arena;
    heap->arena_end = arena + ARENA_BYTES;
    return 0;
}

/* A new populated chunk of the core's arena; 0: no memory. */
static uint64_t map_chunk(struct heap *heap, uint32_t core)
{
    struct slot *slot = slot_acquire(slot_of_core(core));
    if (slot == NULL) {
        return 0;
    }
    uint64_t chunk = 0;
    if (heap->arena_next != heap->arena_end || reserve_arena(heap, slot) == 0) {
        if (gate_map(heap->arena_next, CHUNK_BYTES, GATE_READ | GATE_WRITE, GATE_MAP_POPULATE, 0) ==
            0) {
            chunk = heap->arena_next;
            heap->arena_next += CHUNK_BYTES;
        }
    }
    slot_release(slot);
    return chunk;
}

/* The core's heap has one more chunk. False: no memory. */
RARE static bool add_chunk(uint32_t core)
{
    struct heap *heap = &heaps[core];
    uint64_t chunk = map_chunk(heap, core);
    if (chunk == 0) {
        return false;
    }
    struct block *spare = (struct block *)(uintptr_t)chunk;
    posix_lock_acquire(&heap->lock);
    spare->next = heap->spare;
    heap->spare = spare;
    posix_lock_release(&heap->lock);
    return true;
}

static struct block *allocate_small(uint32_t class_index)
{
    struct block *block;
    uint32_t core;
    do {
        core = posix_core();
        struct heap *heap = &heaps[core];
        posix_lock_acquire(&heap->lock);
        block = take(heap, class_index);
        posix_lock_release(&heap->lock);
    } while (block == NULL && add_chunk(core));
    return block;
}

RARE static void *allocate_large(size_t bytes)
{
    if (bytes > GATE_SLOT_BYTES / 2) {
        return NULL;
    }
    uint64_t total = POSIX_PAGE_UP(bytes + sizeof(struct block));
    uint32_t core = posix_core();
    struct slot *slot = slot_acquire(slot_of_core(core));
    if (slot == NULL) {
        return NULL;
    }
    uint64_t place = slot_find_place(slot, total, POSIX_PAGE_BYTES);
    struct slot_mapping mapping = {.start = place,
                                   .end = place + total,
                                   .protection = GATE_READ | GATE_WRITE,
                                   .gate_flags = GATE_MAP_POPULATE,
                                   .kind = POSIX_REGION_POSIX};
    int64_t result = place != 0 ? slot_map(slot, &mapping) : -ENOMEM;
    heaps[core].large_bytes += result < 0 ? 0 : total;
    slot_release(slot);
    if (result < 0) {
        return NULL;
    }
    struct block *block = (struct block *)(uintptr_t)place; /* fresh pages are zero */
    block->state = STATE_LARGE;
    block->core = (uint16_t)core;
    block->large_bytes = total;
    return block + 1;
}

uint64_t posix_heap_bytes(uint32_t core)
{
    struct slot *slot = slot_acquire(slot_of_core(core));
    if (slot == NULL) {
        return 0; /* then its heap has nothing either */
    }
    const struct heap *heap = &heaps[core];
    uint64_t bytes = heap->arena_end != 0 ? heap->arena_next + ARENA_BYTES - heap->arena_end : 0;
    bytes += heap->large_bytes;
    slot_release(slot);
    return bytes;
}

/* @impl ATL-LLR-POSIX-1021~1 */
void *posix_allocate_buffer(size_t bytes)
{
    if (bytes > class_bytes[CLASS_COUNT - 1] - sizeof(struct block)) {
        return allocate_large(bytes);
    }
    struct block *block = allocate_small(class_for(bytes + sizeof(struct block)));
    return block != NULL ? block + 1 : NULL;
}

/* @impl ATL-LLR-MEMORY-0012~1 */
void *posix_allocate(size_t bytes)
{
    struct block *memory = posix_allocate_buffer(bytes);
    bool is_used_again = memory != NULL && memory[-1].state != STATE_LARGE;
    return is_used_again ? __builtin_memset(memory, 0, bytes) : memory;
}

RARE static void free_large(struct block *block)
{
    uint64_t start = (uintptr_t)block;
    uint64_t end = start + block->large_bytes;
    struct heap *heap = &heaps[block->core];
    struct slot *slot = slot_acquire(slot_index(start));
    if (slot == NULL || slot_unmap(slot, start, end, true) < 0) {
        posix_panic("heap: a large block cannot be unmapped");
    }
    heap->large_bytes -= end - start;
    slot_release(slot);
}

/* @impl ATL-LLR-MEMORY-0013~1 */
void posix_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct block *block = (struct block *)memory - 1;
    if (block->state == STATE_LARGE) {
        free_large(block);
        return;
    }
    if (block->state != STATE_USED || block->core >= HEAP_CORES_MAX ||
        block->class_index >= CLASS_COUNT) {
        posix_panic(block->state == STATE_FREE ? "heap: a block is freed twice"
                                               : "heap: freed memory is no block");
    }
    struct heap *heap = &heaps[block->core];
    posix_lock_acquire(&heap->lock);
    push(heap, block);
    posix_lock_release(&heap->lock);
}
