/* SPDX-License-Identifier: Apache-2.0 */
/* The frame allocator of one core. A bitmap for each 2 MiB block, two lists: partly used blocks,
 * which single frames and small runs come from first, and wholly free blocks, which alone can be
 * granted to another core. A block at the edge of the partition, which another core has a part of,
 * is never wholly free. Grants are in grant.c. */
#include "frames.h"
#include "outbox.h"

#define BLOCK_FRAMES 512u
#define BLOCK_WORDS (BLOCK_FRAMES / 64)

/* A run of several frames is sought in so many partly used blocks at most. */
#define RUN_BLOCKS_MAX 64u
/* A core keeps so many wholly free blocks before it returns granted ones. */
#define BLOCKS_KEPT 4u

enum block_list { LIST_NONE, LIST_PARTIAL, LIST_FREE, LIST_COUNT };

struct block {
    uint64_t free[BLOCK_WORDS];    /* a bit is set while the frame is free */
    struct block *next, *previous; /* in its list */
    uint16_t free_count;
    uint8_t words; /* bit w: free[w] is not 0 */
    uint8_t list;  /* enum block_list */
    bool is_moved; /* of our partition, and granted away; or of another, and granted to us */
};
_Static_assert(sizeof(struct block) == 88, "frame_table_bytes is part of the memory budget");
_Static_assert(BLOCK_WORDS == 8, "the words of a block are the bits of a byte");

static PERCORE uint64_t own_start, own_end; /* this core's partition */
static PERCORE struct block *blocks;
/* Each list is a ring through a block that stands for it. */
static PERCORE struct block lists[LIST_COUNT];
static PERCORE uint32_t free_block_count;
PERCORE uint64_t percpu_frames_free_count, percpu_frames_total_count;

uint64_t percpu_frames_table_bytes(paddr_t limit)
{
    return ALIGN_UP(limit.value, LARGE_PAGE_BYTES) / LARGE_PAGE_BYTES * sizeof(struct block);
}

void frames_initialize(void)
{
    own_start = percpu_config.partition[percpu_self.value].value;
    own_end = percpu_config.partition[percpu_self.value + 1].value;
    ASSERT(IS_ALIGNED(own_start | own_end, PAGE_BYTES));
    ASSERT(own_start <= own_end && own_end <= percpu_config.memory_limit.value);
    blocks = percpu_config.frame_tables;
    for (uint32_t list = 0; list < LIST_COUNT; list++) {
        lists[list].next = lists[list].previous = &lists[list];
    }
}

static paddr_t frame_at(const struct block *block, uint32_t number)
{
    return (paddr_t){(uint64_t)(block - blocks) * LARGE_PAGE_BYTES + number * PAGE_BYTES};
}

/* The first block of a list; NULL: it is empty. */
static struct block *first_in(enum block_list list)
{
    return lists[list].next != &lists[list] ? lists[list].next : NULL;
}

/* Puts the block into the list that its free count asks for. */
static void list_update(struct block *block)
{
    enum block_list list = block->free_count == 0              ? LIST_NONE
                           : block->free_count == BLOCK_FRAMES ? LIST_FREE
                                                               : LIST_PARTIAL;
    if (block->list == list) {
        return;
    }
    if (block->list != LIST_NONE) {
        block->previous->next = block->next;
        block->next->previous = block->previous;
        free_block_count -= block->list == LIST_FREE;
    }
    block->list = (uint8_t)list;
    if (list != LIST_NONE) {
        block->previous = &lists[list];
        block->next = lists[list].next;
        block->next->previous = block->previous->next = block;
        free_block_count += list == LIST_FREE;
    }
}

/* Takes or gives frames of one word, which must all be free or all be taken; more: how many. Then
 * the block's list must be updated. */
static void word_change(struct block *block, uint32_t word, uint64_t mask, int32_t more)
{
    ASSERT((block->free[word] & mask) == (more > 0 ? 0 : mask)); /* freed or taken twice */
    block->free[word] ^= mask;
    uint8_t bit = (uint8_t)(1u << word);
    block->words = (uint8_t)(block->free[word] == 0 ? block->words & ~bit : block->words | bit);
    block->free_count = (uint16_t)(block->free_count + more);
    percpu_frames_free_count += (uint64_t)more;
}

/* The same with frames [number, number + count) of a block. */
static void bits_change(struct block *block, uint32_t number, uint32_t count, bool become_free)
{
    for (uint32_t at = number, next; at < number + count; at = next) {
        next = MIN(number + count, ALIGN_DOWN(at, 64u) + 64);
        word_change(block, at / 64, (~0ull >> (64 - (next - at))) << at % 64,
                    become_free ? (int32_t)(next - at) : (int32_t)(at - next));
    }
    list_update(block);
}

void percpu_frames_add(paddr_t start, paddr_t end)
{
    ASSERT(IS_ALIGNED(start.value, PAGE_BYTES) && IS_ALIGNED(end.value, PAGE_BYTES));
    ASSERT(start.value >= own_start && end.value <= own_end);
    for (uint64_t at = start.value, stop; at < end.value; at = stop) {
        stop = MIN(end.value, ALIGN_DOWN(at, LARGE_PAGE_BYTES) + LARGE_PAGE_BYTES);
        uint32_t count = (uint32_t)((stop - at) / PAGE_BYTES);
        bits_change(&blocks[at / LARGE_PAGE_BYTES], (uint32_t)(at % LARGE_PAGE_BYTES / PAGE_BYTES),
                    count, true);
        percpu_frames_total_count += count;
    }
}

static enum result run_take(struct block *block, uint32_t number, uint32_t count, paddr_t *first)
{
    bits_change(block, number, count, false);
    *first = frame_at(block, number);
    return RESULT_OK;
}

/* @impl ATL-LLR-PERCPU-0018~1 */
enum result percpu_frame_allocate(paddr_t *frame)
{
    struct block *block = first_in(LIST_PARTIAL);
    if (block == NULL) {
        block = first_in(LIST_FREE);
        if (block == NULL) {
            return RESULT_NO_MEMORY;
        }
    }
    uint32_t word = (uint32_t)__builtin_ctz(block->words);
    uint32_t bit = (uint32_t)__builtin_ctzll(block->free[word]);
    word_change(block, word, 1ull << bit, -1);
    list_update(block);
    *frame = frame_at(block, word * 64 + bit);
    return RESULT_OK;
}

static bool lies_in_partition(paddr_t frame)
{
    return frame.value >= own_start && frame.value < own_end;
}

bool percpu_frame_is_own(paddr_t frame)
{
    return frame.value < percpu_config.memory_limit.value &&
           lies_in_partition(frame) != blocks[frame.value / LARGE_PAGE_BYTES].is_moved;
}

/* @impl ATL-LLR-PERCPU-0019~2 */
void percpu_frame_free(paddr_t frame)
{
    ASSERT(IS_ALIGNED(frame.value, PAGE_BYTES) && percpu_frame_is_own(frame));
    struct block *block = &blocks[frame.value / LARGE_PAGE_BYTES];
    uint32_t number = (uint32_t)(frame.value % LARGE_PAGE_BYTES / PAGE_BYTES);
    word_change(block, number / 64, 1ull << number % 64, 1);
    list_update(block);
    if (block->list == LIST_FREE && free_block_count > BLOCKS_KEPT) {
        grant_return_surplus();
    }
}

/* count is a power of two and divides number: the same bits of each word that the run lies in. */
static bool run_is_free(const struct block *block, uint32_t number, uint32_t count)
{
    uint64_t mask = (~0ull >> (64 - MIN(count, 64u))) << number % 64;
    for (uint32_t word = number / 64; word * 64 < number + count; word++) {
        if ((~block->free[word] & mask) != 0) {
            return false;
        }
    }
    return true;
}

/* @impl ATL-LLR-PERCPU-0018~1 */
enum result percpu_frame_run_allocate(uint32_t count, paddr_t *first)
{
    if (count == 0 || count > BLOCK_FRAMES || (count & (count - 1)) != 0) {
        return RESULT_INVALID;
    }
    struct block *block = lists[LIST_PARTIAL].next;
    for (uint32_t tried = 0; tried < RUN_BLOCKS_MAX && block != &lists[LIST_PARTIAL]; tried++) {
        for (uint32_t number = 0; number < BLOCK_FRAMES; number += count) {
            if (run_is_free(block, number, count)) {
                return run_take(block, number, count, first);
            }
        }
        block = block->next;
    }
    block = first_in(LIST_FREE);
    return block != NULL ? run_take(block, 0, count, first) : RESULT_NO_MEMORY;
}

core_id_t frames_home(paddr_t address)
{
    uint16_t core = 0;
    while (address.value >= percpu_config.partition[core + 1].value) {
        core++;
        ASSERT(core < percpu_core_count); /* RAM of some partition */
    }
    return (core_id_t){core};
}

core_id_t percpu_frame_owner_remote(paddr_t frame)
{
    core_id_t home = frames_home(frame);
    uint8_t owner = atomic_load_explicit(
        &outbox_of_remote(home)->owners[frame.value / LARGE_PAGE_BYTES], memory_order_acquire);
    return owner == 0 ? home : (core_id_t){(uint16_t)(owner - 1)};
}

void frames_owner_publish(paddr_t block, core_id_t owner)
{
    ASSERT(frames_home(block).value == percpu_self.value);
    uint8_t value = owner.value == percpu_self.value ? 0 : (uint8_t)(owner.value + 1);
    atomic_store_explicit(&outbox_own()->owners[block.value / LARGE_PAGE_BYTES], value,
                          memory_order_release);
}

/* The first foreign block among the first few free ones; NULL: none of them is. */
static struct block *foreign_free_block(void)
{
    struct block *block = lists[LIST_FREE].next;
    for (uint32_t tried = 0; tried <= BLOCKS_KEPT && block != &lists[LIST_FREE]; tried++) {
        if (!lies_in_partition(frame_at(block, 0))) {
            return block;
        }
        block = block->next;
    }
    return NULL;
}

bool frames_block_detach(paddr_t *address, bool is_surplus)
{
    struct block *block = foreign_free_block();
    if (block == NULL && !is_surplus) {
        block = first_in(LIST_FREE);
    }
    if (block == NULL) {
        return false;
    }
    ASSERT(block->list == LIST_FREE);
    bits_change(block, 0, BLOCK_FRAMES, false);
    block->is_moved = !block->is_moved;
    percpu_frames_total_count -= BLOCK_FRAMES;
    *address = frame_at(block, 0);
    percpu_config.block_detach(*address);
    return true;
}

void frames_block_attach(paddr_t address)
{
    ASSERT(IS_ALIGNED(address.value, LARGE_PAGE_BYTES) &&
           address.value < percpu_config.memory_limit.value);
    struct block *block = &blocks[address.value / LARGE_PAGE_BYTES];
    ASSERT(!percpu_frame_is_own(address) && block->free_count == 0);
    percpu_config.block_attach(address);
    block->is_moved = !block->is_moved;
    percpu_frames_total_count += BLOCK_FRAMES;
    bits_change(block, 0, BLOCK_FRAMES, true);
}
