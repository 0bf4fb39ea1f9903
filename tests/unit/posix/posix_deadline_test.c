/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <check.h>
#include <posix/deadline.h>
#include <posix/time.h>
#include <time.h>
#include <time/deadline_heap.h>

#define COUNT 500

static uint64_t state = 88172645463325252ull;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t earliest(const struct posix_deadline *all, const bool *is_in)
{
    uint64_t least = GATE_NEVER;
    for (int i = 0; i < COUNT; i++) {
        least = is_in[i] && all[i].at_ns < least ? all[i].at_ns : least;
    }
    return least;
}

static void expect_root(const struct posix_deadline *root, uint64_t least)
{
    CHECK_EQUAL(root != NULL ? root->at_ns : GATE_NEVER, least);
}

/* Against a list; instants crowd near zero and just before the largest number.
 * @verifies ATL-LLR-TIMER-0001~1 */
TEST(the_root_is_the_earliest_after_each_change)
{
    static struct posix_deadline all[COUNT];
    static bool is_in[COUNT];
    struct posix_deadline *root = NULL;
    for (int step = 0; step < 20000; step++) {
        uint64_t i = next_random() % COUNT;
        if (is_in[i]) {
            deadline_heap_remove(&root, &all[i]);
        } else {
            uint64_t near = next_random() % 300;
            all[i].at_ns = next_random() % 2 == 0 ? near : GATE_NEVER - 1 - near;
            deadline_heap_insert(&root, &all[i]);
        }
        is_in[i] = !is_in[i];
        expect_root(root, earliest(all, is_in));
    }
    uint64_t last = 0;
    while (root != NULL) {
        CHECK(root->at_ns >= last);
        last = root->at_ns;
        deadline_heap_remove(&root, root);
    }
}

struct counted {
    struct posix_deadline deadline;
    _Atomic uint32_t count;
    uint64_t expired_ns, set_again_ns;
};

static void count(struct posix_deadline *deadline)
{
    struct counted *counted = (struct counted *)deadline;
    counted->expired_ns = posix_now_ns();
    atomic_fetch_add(&counted->count, 1);
    if (counted->set_again_ns != 0) {
        posix_deadline_set(deadline, posix_deadline_after(counted->set_again_ns));
    }
}

static void await(struct counted *counted, uint32_t wanted)
{
    for (int i = 0; i < 5000 && atomic_load(&counted->count) < wanted; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* @verifies ATL-LLR-TIMER-0002~1 */
TEST(a_deadline_expires_once_and_not_early)
{
    struct counted late = {0};
    struct counted early = {0};
    CHECK_EQUAL(posix_deadline_initialize(&late.deadline, count), 0);
    CHECK_EQUAL(posix_deadline_initialize(&early.deadline, count), 0);
    uint64_t now = posix_now_ns();
    posix_deadline_set(&late.deadline, now + 8000000);
    posix_deadline_set(&early.deadline, now + 4000000);
    await(&late, 1);
    CHECK_EQUAL(early.count, 1);
    CHECK_EQUAL(late.count, 1);
    CHECK(early.expired_ns >= now + 4000000 && late.expired_ns >= now + 8000000);
    posix_deadline_set(&early.deadline, 0); /* long over */
    await(&early, 2);
    CHECK_EQUAL(early.count, 2);
    CHECK_EQUAL(late.count, 1);
}

/* @verifies ATL-LLR-TIMER-0002~1 */
TEST(a_cancelled_deadline_does_not_expire)
{
    struct counted cancelled = {0};
    struct counted other = {0};
    CHECK_EQUAL(posix_deadline_initialize(&cancelled.deadline, count), 0);
    CHECK_EQUAL(posix_deadline_initialize(&other.deadline, count), 0);
    uint64_t due_ns;
    do { /* again, if the host was busy: it may have expired before */
        cancelled.count = 0;
        due_ns = posix_now_ns() + 2000000;
        posix_deadline_set(&cancelled.deadline, due_ns);
        posix_deadline_cancel(&cancelled.deadline);
    } while (posix_now_ns() >= due_ns);
    posix_deadline_set(&other.deadline, due_ns + 2000000);
    await(&other, 1);
    CHECK_EQUAL(other.count, 1);
    CHECK_EQUAL(cancelled.count, 0);
}

/* One that sets itself again is stopped by a cancel, however the two meet.
 * @verifies ATL-LLR-TIMER-0002~1 */
TEST(nothing_runs_after_cancel)
{
    for (int round = 0; round < 200; round++) {
        struct counted periodic = {.set_again_ns = 1000};
        CHECK_EQUAL(posix_deadline_initialize(&periodic.deadline, count), 0);
        posix_deadline_set(&periodic.deadline, 0);
        await(&periodic, 3);
        posix_deadline_cancel(&periodic.deadline);
        uint32_t seen = atomic_load(&periodic.count);
        nanosleep(&(struct timespec){0, 20000}, NULL);
        CHECK_EQUAL(periodic.count, seen);
    }
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
