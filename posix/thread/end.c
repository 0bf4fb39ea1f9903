/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's end: mutexes that it still owns are marked, its joiner is woken, its stack is kept. */
#include "../core/internal.h"
#include "futex.h"
#include "pi_futex.h"

#include <posix/syscalls.h>

#define ROBUST_ENTRIES_MAX 2048u /* as Linux: a list may be a ring or garbage */
#define ROBUST_PI 1u             /* bit 0 of a list pointer */

/* Linux's struct robust_list_head. */
struct robust_head {
    uint64_t first;
    int64_t word_offset;
    uint64_t pending;
};

/* Marks one futex word as its owner's death demands; failures end the walk. */
static int64_t mark_owner_died(uint64_t word, bool is_pi, bool is_pending, uint32_t id)
{
    if ((word & 3) != 0) {
        return -EINVAL;
    }
    uint32_t value;
    int64_t loaded = posix_load_u32(word, &value);
    if (loaded != 0) {
        return loaded;
    }
    if (is_pending && !is_pi && value == 0) {
        posix_futex_wake(word, 1, POSIX_FUTEX_ANY); /* it unlocked but could not wake any more */
        return 0;
    }
    while ((value & POSIX_FUTEX_TID_MASK) == id) {
        uint32_t desired = (value & POSIX_FUTEX_WAITERS) | POSIX_FUTEX_OWNER_DIED;
        uint32_t seen;
        int64_t exchanged = posix_exchange_u32(word, value, desired, &seen);
        if (exchanged != 0) {
            return exchanged;
        }
        if (seen == value) {
            if (!is_pi && (value & POSIX_FUTEX_WAITERS) != 0) {
                posix_futex_wake(word, 1, POSIX_FUTEX_ANY);
            }
            return 0;
        }
        value = seen;
    }
    return 0;
}

/* @impl ATL-LLR-POSIX-0025~1 */
void posix_robust_list_end(uint64_t list, uint32_t id)
{
    struct robust_head head;
    if (posix_copy_in(&head, list, sizeof(head)) != 0) {
        return;
    }
    uint64_t pending = head.pending & ~(uint64_t)ROBUST_PI;
    uint64_t entry = head.first;
    for (uint32_t i = 0; i < ROBUST_ENTRIES_MAX && (entry & ~(uint64_t)ROBUST_PI) != list; i++) {
        uint64_t at = entry & ~(uint64_t)ROBUST_PI;
        bool is_pi = (entry & ROBUST_PI) != 0;
        uint64_t next;
        /* Read before the word is released: its new owner may free it. */
        int64_t fetched = posix_copy_in(&next, at, sizeof(next));
        if (at != pending &&
            mark_owner_died(at + (uint64_t)head.word_offset, is_pi, false, id) != 0) {
            return;
        }
        if (fetched != 0) {
            return;
        }
        entry = next;
    }
    if (pending != 0) {
        mark_owner_died(pending + (uint64_t)head.word_offset, (head.pending & ROBUST_PI) != 0, true,
                        id);
    }
}

/* @impl ATL-LLR-POSIX-0026~1 */
noreturn void posix_thread_end(uint64_t status)
{
    struct posix_thread *self = posix_self();
    if (self->robust_list != 0) {
        posix_robust_list_end(self->robust_list, (uint32_t)self->id);
    }
    pi_futex_end(self);
    if (self->clear_child_tid != 0 && posix_thread_count() > 1 &&
        posix_store_u32(self->clear_child_tid, 0) == 0) {
        posix_futex_wake(self->clear_child_tid, 1, POSIX_FUTEX_ANY);
    }
    bool is_first = self->id == POSIX_PROCESS_ID;
    bool was_last = posix_thread_remove(self);
    posix_signal_drop(self);
    if (was_last) {
        posix_cell_end(status, 0);
    }
    if (is_first) {
        gate_thread_exit(0); /* its stack is part of posix's data */
    } else {
        posix_stack_give(self);
        gate_thread_exit((uint64_t)(uintptr_t)&self->done);
    }
    posix_panic("a thread did not end");
}

int64_t posix_set_robust_list(uint64_t head, uint64_t bytes)
{
    if (bytes != sizeof(struct robust_head)) {
        return -EINVAL;
    }
    posix_self()->robust_list = head;
    return 0;
}

static bool copy_robust_list(struct posix_thread *thread, void *context)
{
    *(uint64_t *)context = thread->robust_list;
    return true;
}

int64_t posix_get_robust_list(uint64_t id, uint64_t head_at, uint64_t bytes_at)
{
    uint64_t head = posix_self()->robust_list;
    int32_t wanted = (int32_t)id;
    if (wanted != 0 && !posix_thread_visit(wanted, copy_robust_list, &head)) {
        return -ESRCH;
    }
    uint64_t bytes = sizeof(struct robust_head);
    int64_t copied = posix_copy_out(bytes_at, &bytes, sizeof(bytes));
    return copied != 0 ? copied : posix_copy_out(head_at, &head, sizeof(head));
}
