/* SPDX-License-Identifier: Apache-2.0 */
/* Pages for the contents of files, in chunks that go back to the kernel when they are empty: what
 * a removed file held is the program's again. A chunk is aligned to its size; its first page is the
 * head. Chunks lie in the home slot of the core that made them; one lock for each core's chunks.
 *
 * Files leave a part of the machine's memory to the program, so that a full file system is ENOSPC
 * for who writes files and not the end of a thread that touches memory. */
#include "slot.h"

#define CORES_MAX 64u
#define CHUNK_PAGES 64u
#define CHUNK_BYTES (CHUNK_PAGES * POSIX_PAGE_BYTES)
#define HEAD_BIT 1ull /* page 0 is never given out */
#define RESERVE_PART 16u
#define BLOCK_PAGES 512u /* cores give each other nothing smaller */

struct chunk {
    struct chunk *next, *previous; /* of those with a free page */
    uint64_t used;                 /* a bit for each page */
    uint32_t core;
};
_Static_assert(CHUNK_PAGES == 64, "one word of bits");

struct pool {
    alignas(64) struct posix_lock lock;
    struct chunk *partial; /* chunks with a free page */
    _Atomic uint64_t free_pages;
};
static struct pool pools[CORES_MAX];

static void link_chunk(struct pool *pool, struct chunk *chunk)
{
    chunk->previous = NULL;
    chunk->next = pool->partial;
    if (pool->partial != NULL) {
        pool->partial->previous = chunk;
    }
    pool->partial = chunk;
}

static void unlink_chunk(struct pool *pool, struct chunk *chunk)
{
    if (chunk->previous != NULL) {
        chunk->previous->next = chunk->next;
    } else {
        pool->partial = chunk->next;
    }
    if (chunk->next != NULL) {
        chunk->next->previous = chunk->previous;
    }
}

static uint64_t reserve_pages(void)
{
    return posix_info.memory_bytes / POSIX_PAGE_BYTES / RESERVE_PART;
}

/* What a core has or can get: of what another one has free, at most what lies in whole blocks. The
 * two at the ends of its memory may never be whole. */
static uint64_t free_frames(uint32_t own)
{
    uint64_t frames = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        uint64_t left = core == own ? 0 : 2 * BLOCK_PAGES;
        uint64_t free = posix_core_count(core, GATE_COUNT(frames_free));
        frames += free > left ? free - left : 0;
    }
    return frames;
}

/* A chunk that nobody else knows yet; NULL: no memory, or what is left is the program's. */
static struct chunk *map_chunk(uint32_t core)
{
    if (free_frames(core) < reserve_pages() + CHUNK_PAGES) {
        return NULL;
    }
    struct slot *slot = slot_acquire(slot_of_core(core));
    if (slot == NULL) {
        return NULL;
    }
    uint64_t start = slot_find_place(slot, CHUNK_BYTES, CHUNK_BYTES);
    struct slot_mapping mapping = {.start = start,
                                   .end = start + CHUNK_BYTES,
                                   .protection = GATE_READ | GATE_WRITE,
                                   .gate_flags = GATE_MAP_POPULATE,
                                   .kind = POSIX_REGION_POSIX};
    int64_t result = start != 0 ? slot_map(slot, &mapping) : -ENOMEM;
    slot_release(slot);
    if (result < 0) {
        return NULL;
    }
    struct chunk *chunk = (struct chunk *)(uintptr_t)start;
    *chunk = (struct chunk){.used = HEAD_BIT, .core = core};
    return chunk;
}

static void unmap_chunk(struct chunk *chunk)
{
    uint64_t start = (uintptr_t)chunk;
    struct slot *slot = slot_acquire(slot_index(start));
    if (slot == NULL || slot_unmap(slot, start, start + CHUNK_BYTES, true) < 0) {
        posix_panic("a chunk of file pages cannot be unmapped");
    }
    slot_release(slot);
}

/* Locked. NULL: no chunk has a free page. */
static void *take_page(struct pool *pool)
{
    struct chunk *chunk = pool->partial;
    if (chunk == NULL) {
        return NULL;
    }
    uint64_t index = (uint64_t)__builtin_ctzll(~chunk->used);
    chunk->used |= 1ull << index;
    pool->free_pages--;
    if (chunk->used == UINT64_MAX) {
        unlink_chunk(pool, chunk);
    }
    return (uint8_t *)chunk + index * POSIX_PAGE_BYTES;
}

/* @impl ATL-LLR-FILE-0042~1 */
void *posix_page_allocate(void)
{
    uint32_t core = posix_core();
    struct pool *pool = &pools[core];
    posix_lock_acquire(&pool->lock);
    void *page = take_page(pool);
    posix_lock_release(&pool->lock);
    if (page == NULL) {
        struct chunk *chunk = map_chunk(core);
        if (chunk == NULL) {
            return NULL;
        }
        posix_lock_acquire(&pool->lock);
        link_chunk(pool, chunk);
        pool->free_pages += CHUNK_PAGES - 1;
        page = take_page(pool);
        posix_lock_release(&pool->lock);
    }
    return __builtin_memset(page, 0, POSIX_PAGE_BYTES);
}

/* @impl ATL-LLR-FILE-0042~1 */
void posix_page_free(void *page)
{
    uint64_t address = (uintptr_t)page;
    struct chunk *chunk = (struct chunk *)(uintptr_t)(address & ~(CHUNK_BYTES - 1));
    uint64_t bit = 1ull << (address % CHUNK_BYTES / POSIX_PAGE_BYTES);
    struct pool *pool = &pools[chunk->core];
    posix_lock_acquire(&pool->lock);
    if ((chunk->used & bit) == 0 || bit == HEAD_BIT) {
        posix_panic("a file page is freed twice");
    }
    if (chunk->used == UINT64_MAX) {
        link_chunk(pool, chunk);
    }
    chunk->used &= ~bit;
    pool->free_pages++;
    /* One empty chunk stays, for who writes and removes the same file again and again. */
    bool is_empty = chunk->used == HEAD_BIT && pool->free_pages >= 2 * (CHUNK_PAGES - 1);
    if (is_empty) {
        unlink_chunk(pool, chunk);
        pool->free_pages -= CHUNK_PAGES - 1;
    }
    posix_lock_release(&pool->lock);
    if (is_empty) {
        unmap_chunk(chunk);
    }
}

uint64_t posix_page_available(void)
{
    uint64_t frames = free_frames(posix_core());
    uint64_t pages = frames > reserve_pages() ? frames - reserve_pages() : 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        pages += pools[core].free_pages;
    }
    return pages;
}
