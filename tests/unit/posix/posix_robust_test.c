/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <check.h>
#include <posix/posix.h>
#include <posix/syscalls.h>
#include <thread/futex.h>

#define ID 77u
#define WORD_OFFSET 8

struct entry {
    uint64_t next;
    uint32_t word;
};

struct head {
    uint64_t first;
    int64_t offset;
    uint64_t pending;
};

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

/* @verifies ATL-LLR-POSIX-0025~1 */
TEST(owned_words_are_marked_and_others_left)
{
    struct head head = {.offset = WORD_OFFSET};
    struct entry entries[3] = {{0, ID}, {0, ID | POSIX_FUTEX_WAITERS}, {0, 5}};
    head.first = at(&entries[0]);
    entries[0].next = at(&entries[1]);
    entries[1].next = at(&entries[2]) | 1; /* a priority-inheritance mutex */
    entries[2].next = at(&head);
    posix_robust_list_end(at(&head), ID);
    CHECK_EQUAL(entries[0].word, POSIX_FUTEX_OWNER_DIED);
    CHECK_EQUAL(entries[1].word, POSIX_FUTEX_OWNER_DIED | POSIX_FUTEX_WAITERS);
    CHECK_EQUAL(entries[2].word, 5);
}

/* @verifies ATL-LLR-POSIX-0025~1 */
TEST(the_pending_entry_is_handled_once)
{
    struct head head = {.offset = WORD_OFFSET};
    struct entry entry = {at(&head), ID};
    head.first = at(&head);
    head.pending = at(&entry);
    posix_robust_list_end(at(&head), ID);
    CHECK_EQUAL(entry.word, POSIX_FUTEX_OWNER_DIED);
}

/* @verifies ATL-LLR-POSIX-0025~1 @robust */
TEST(garbage_and_rings_end)
{
    struct head head = {.offset = WORD_OFFSET};
    struct entry ring = {0, 0};
    ring.next = at(&ring);
    head.first = at(&ring);
    posix_robust_list_end(at(&head), ID);
    head.first = UNMAPPED;
    posix_robust_list_end(at(&head), ID);
    head.offset = WORD_OFFSET + 1; /* no futex is there */
    head.first = at(&ring);
    posix_robust_list_end(at(&head), ID);
    posix_robust_list_end(UNMAPPED, ID);
    CHECK_EQUAL(ring.word, 0);
}

/* @verifies ATL-LLR-POSIX-0025~1 */
TEST(the_head_is_kept_for_the_caller)
{
    uint64_t head = 0;
    uint64_t bytes = 0;
    CHECK_EQUAL(posix_set_robust_list(0x1234, 23), -EINVAL);
    CHECK_EQUAL(posix_set_robust_list(0x1234, 24), 0);
    CHECK_EQUAL(posix_get_robust_list(0, at(&head), at(&bytes)), 0);
    CHECK_EQUAL(head, 0x1234);
    CHECK_EQUAL(bytes, 24);
    CHECK_EQUAL(posix_get_robust_list(4711, at(&head), at(&bytes)), -ESRCH);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
