/* SPDX-License-Identifier: Apache-2.0 */
/* select and pselect6: sets of bits, turned into entries and back. */
#include "event.h"

#include <posix/syscalls.h>

#define SET_COUNT 3u /* for reading, for writing, exceptional */
#define WORD_BITS 64u
#define WORDS_INLINE 16u /* of FD_SETSIZE descriptors */

/* What makes a bit of each set: as Linux has them. */
static const uint32_t set_events[SET_COUNT] = {
    POSIX_POLL_READABLE | POSIX_POLL_RDBAND | POSIX_POLL_HUP | POSIX_POLL_ERR,
    POSIX_POLL_WRITABLE | POSIX_POLL_WRBAND | POSIX_POLL_ERR,
    POSIX_POLL_PRI,
};

struct sets {
    uint64_t addresses[SET_COUNT]; /* the application's; 0: none */
    uint64_t count;                /* of descriptors */
    uint64_t word_count;
    uint64_t *words[SET_COUNT];
    uint64_t few[SET_COUNT * WORDS_INLINE]; /* what words are unless there are more */
};

static int64_t load_sets(struct sets *sets)
{
    for (uint32_t s = 0; s < SET_COUNT; s++) {
        if (sets->addresses[s] == 0) {
            __builtin_memset(sets->words[s], 0, sets->word_count * sizeof(uint64_t));
        } else if (posix_copy_in(sets->words[s], sets->addresses[s],
                                 sets->word_count * sizeof(uint64_t)) != 0) {
            return -EFAULT;
        }
    }
    if (sets->count % WORD_BITS != 0) {
        uint64_t mask = (1ull << sets->count % WORD_BITS) - 1;
        for (uint32_t s = 0; s < SET_COUNT; s++) {
            sets->words[s][sets->word_count - 1] &= mask;
        }
    }
    return 0;
}

static uint64_t asked_in_word(const struct sets *sets, uint64_t word)
{
    return sets->words[0][word] | sets->words[1][word] | sets->words[2][word];
}

static uint64_t count_asked(const struct sets *sets)
{
    uint64_t count = 0;
    for (uint64_t word = 0; word < sets->word_count; word++) {
        for (uint64_t bits = asked_in_word(sets, word); bits != 0; bits &= bits - 1) {
            count++;
        }
    }
    return count;
}

/* One entry for each descriptor in any set, in ascending order. */
static int64_t fill_entries(const struct sets *sets, struct event_entry *entries)
{
    uint64_t filled = 0;
    for (uint64_t word = 0; word < sets->word_count; word++) {
        for (uint64_t bits = asked_in_word(sets, word); bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            struct event_entry *entry = &entries[filled];
            *entry = (struct event_entry){.file = posix_file_get(word * WORD_BITS + bit)};
            if (entry->file == NULL) {
                event_put_all(entries, filled);
                return -EBADF;
            }
            for (uint32_t s = 0; s < SET_COUNT; s++) {
                entry->wanted |= (sets->words[s][word] >> bit & 1) != 0 ? set_events[s] : 0;
            }
            filled++;
        }
    }
    return 0;
}

/* Leaves only what is ready in the sets; returns the number of bits. */
static int64_t keep_ready(struct sets *sets, const struct event_entry *entries)
{
    int64_t count = 0;
    for (uint64_t word = 0; word < sets->word_count; word++) {
        for (uint64_t bits = asked_in_word(sets, word); bits != 0; bits &= bits - 1) {
            uint64_t bit = bits & -bits;
            for (uint32_t s = 0; s < SET_COUNT; s++) {
                if ((entries->ready & set_events[s]) == 0) {
                    sets->words[s][word] &= ~bit;
                } else if ((sets->words[s][word] & bit) != 0) {
                    count++;
                }
            }
            entries++;
        }
    }
    return count;
}

static int64_t store_sets(const struct sets *sets)
{
    for (uint32_t s = 0; s < SET_COUNT; s++) {
        if (sets->addresses[s] != 0 && posix_copy_out(sets->addresses[s], sets->words[s],
                                                      sets->word_count * sizeof(uint64_t)) != 0) {
            return -EFAULT;
        }
    }
    return 0;
}

/* @impl ATL-LLR-EVENT-0009~1 */
static int64_t select_until(struct sets *sets, uint64_t deadline_ns)
{
    struct event_entry inline_entries[EVENT_ENTRIES_INLINE];
    struct event_entry *allocated = NULL;
    int64_t result = load_sets(sets);
    if (result != 0) {
        return result;
    }
    uint64_t count = count_asked(sets);
    if (count > EVENT_ENTRIES_INLINE) {
        allocated = posix_allocate(count * sizeof(*allocated));
        if (allocated == NULL) {
            return -ENOMEM;
        }
    }
    struct event_entry *entries = allocated != NULL ? allocated : inline_entries;
    result = fill_entries(sets, entries);
    if (result == 0) {
        result = event_wait_many(entries, count, deadline_ns);
        if (result >= 0) {
            result = keep_ready(sets, entries);
            result = store_sets(sets) == 0 ? result : -EFAULT;
        }
    }
    posix_free(allocated);
    return result;
}

/* @impl ATL-LLR-POSIX-1030~1 */
static int64_t select_any(const uint64_t addresses[SET_COUNT], uint64_t wanted,
                          uint64_t deadline_ns)
{
    struct sets sets;
    uint64_t *many = NULL;
    int32_t count = (int32_t)wanted;
    if (count < 0) {
        return -EINVAL;
    }
    sets.count = (uint32_t)count < POSIX_FILE_LIMIT_HARD ? (uint32_t)count : POSIX_FILE_LIMIT_HARD;
    sets.word_count = (sets.count + WORD_BITS - 1) / WORD_BITS;
    if (sets.word_count > WORDS_INLINE) {
        many = posix_allocate(SET_COUNT * sets.word_count * sizeof(*many));
        if (many == NULL) {
            return -ENOMEM;
        }
    }
    for (uint32_t s = 0; s < SET_COUNT; s++) {
        sets.addresses[s] = addresses[s];
        sets.words[s] = (many != NULL ? many : sets.few) + s * sets.word_count;
    }
    int64_t result = select_until(&sets, deadline_ns);
    posix_free(many);
    return result;
}

int64_t posix_select(uint64_t count, uint64_t read_set, uint64_t write_set, uint64_t except_set,
                     uint64_t timeout)
{
    struct event_timeout limit;
    int64_t result = event_timeout_load(&limit, timeout, EVENT_TIMEVAL);
    if (result != 0) {
        return result;
    }
    const uint64_t addresses[SET_COUNT] = {read_set, write_set, except_set};
    return event_timeout_finish(&limit, select_any(addresses, count, limit.deadline_ns));
}

/* The last argument of the call. */
struct linux_mask_argument {
    uint64_t set, bytes;
};

/* @impl ATL-LLR-EVENT-0009~1 @impl ATL-LLR-EVENT-0012~1 */
int64_t posix_pselect6(uint64_t count, uint64_t read_set, uint64_t write_set, uint64_t except_set,
                       uint64_t timeout, uint64_t mask_argument)
{
    struct linux_mask_argument argument = {0, 0};
    if (mask_argument != 0 && posix_copy_in(&argument, mask_argument, sizeof(argument)) != 0) {
        return -EFAULT;
    }
    struct event_timeout limit;
    int64_t result = event_timeout_load(&limit, timeout, EVENT_TIMESPEC);
    struct event_mask mask;
    if (result == 0) {
        result = event_mask_set(&mask, argument.set, argument.bytes);
    }
    if (result != 0) {
        return result;
    }
    const uint64_t addresses[SET_COUNT] = {read_set, write_set, except_set};
    result = select_any(addresses, count, limit.deadline_ns);
    event_mask_restore(&mask, result == -EINTR);
    return event_timeout_finish(&limit, result);
}
