/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <check.h>
#include <posix/posix.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define WAIT 0
#define WAKE 1
#define REQUEUE 3
#define CMP_REQUEUE 4
#define WAKE_OP 5
#define WAIT_BITSET 9
#define WAKE_BITSET 10
#define PRIVATE 128
#define REALTIME 256
#define ANY 0xffffffffu

static _Atomic uint32_t word;
static _Atomic uint32_t other;
static _Atomic int woken;

static uint64_t at(const void *object)
{
    return (uint64_t)(uintptr_t)object;
}

static int64_t wake_all(_Atomic uint32_t *address)
{
    return posix_futex(at(address), WAKE | PRIVATE, INT32_MAX, 0, 0, 0);
}

/* @verifies ATL-LLR-FUTEX-0001~1 @robust */
TEST(wait_refuses_a_changed_word_and_bad_addresses)
{
    word = 5;
    CHECK_EQUAL(posix_futex(at(&word), WAIT, 4, 0, 0, 0), -EAGAIN);
    CHECK_EQUAL(posix_futex(at(&word) + 1, WAIT, 5, 0, 0, 0), -EINVAL);
    CHECK_EQUAL(posix_futex(UNMAPPED, WAIT, 5, 0, 0, 0), -EFAULT);
    CHECK_EQUAL(posix_futex(at(&word), WAIT_BITSET, 5, 0, 0, 0), -EINVAL);
    CHECK_EQUAL(posix_futex(at(&word), WAIT, 5, UNMAPPED, 0, 0), -EFAULT);
}

/* @verifies ATL-LLR-FUTEX-0006~1 */
TEST(what_is_not_offered_is_refused)
{
    word = 5;
    CHECK_EQUAL(posix_futex(at(&word), 11, 0, 0, 0, 0), -ENOSYS);
    CHECK_EQUAL(posix_futex(at(&word), 99, 0, 0, 0, 0), -ENOSYS);
    CHECK_EQUAL(posix_futex(at(&word), WAIT | REALTIME, 5, 0, 0, 0), -ENOSYS);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_BITSET, 1, 0, 0, 0), -EINVAL);
}

/* @verifies ATL-LLR-FUTEX-0002~1 */
TEST(wait_ends_at_relative_and_absolute_deadlines)
{
    struct posix_timespec timeout = {0, 3000000};
    word = 1;
    uint64_t start = shim_now_ns();
    CHECK_EQUAL(posix_futex(at(&word), WAIT | PRIVATE, 1, at(&timeout), 0, 0), -ETIMEDOUT);
    CHECK(shim_now_ns() - start >= 3000000);
    timeout = posix_timespec_of_ns(shim_now_ns() + 3000000);
    start = shim_now_ns();
    CHECK_EQUAL(posix_futex(at(&word), WAIT_BITSET, 1, at(&timeout), 0, ANY), -ETIMEDOUT);
    CHECK(shim_now_ns() - start >= 2000000);
    timeout = posix_timespec_of_ns(posix_realtime_ns() + 3000000);
    start = shim_now_ns();
    CHECK_EQUAL(posix_futex(at(&word), WAIT_BITSET | REALTIME, 1, at(&timeout), 0, ANY),
                -ETIMEDOUT);
    CHECK(shim_now_ns() - start >= 2000000);
    timeout = (struct posix_timespec){-1, 0};
    CHECK_EQUAL(posix_futex(at(&word), WAIT, 1, at(&timeout), 0, 0), -EINVAL);
    timeout = (struct posix_timespec){0, 1000000000};
    CHECK_EQUAL(posix_futex(at(&word), WAIT, 1, at(&timeout), 0, 0), -EINVAL);
    timeout = (struct posix_timespec){1, 0}; /* long ago */
    CHECK_EQUAL(posix_futex(at(&word), WAIT_BITSET | REALTIME, 1, at(&timeout), 0, ANY),
                -ETIMEDOUT);
}

struct sleeper {
    _Atomic uint32_t *address;
    uint32_t bits;
};

static void sleep_on(void *argument)
{
    const struct sleeper *sleeper = argument;
    if (posix_futex(at(sleeper->address), WAIT_BITSET | PRIVATE, 1, 0, 0, sleeper->bits) == 0) {
        woken++;
    }
}

static void start_sleepers(void **tokens, struct sleeper *sleepers, int count)
{
    uint64_t parks = shim_park_count();
    woken = 0;
    for (int i = 0; i < count; i++) {
        tokens[i] = shim_start(sleep_on, &sleepers[i]);
    }
    shim_await_parks(parks + (uint64_t)count);
}

/* @verifies ATL-LLR-FUTEX-0003~1 */
TEST(wake_takes_the_count_and_the_bits)
{
    void *tokens[3];
    struct sleeper sleepers[3] = {{&word, 1}, {&word, 2}, {&word, 4}};
    word = 1;
    start_sleepers(tokens, sleepers, 3);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_BITSET, 10, 0, 0, 8), 0);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_BITSET, 10, 0, 0, 2), 1);
    shim_join(tokens[1]);
    CHECK_EQUAL(woken, 1);
    CHECK_EQUAL(posix_futex(at(&word), WAKE, 1, 0, 0, 0), 1);
    CHECK_EQUAL(posix_futex(at(&word), WAKE, 5, 0, 0, 0), 1);
    CHECK_EQUAL(posix_futex(at(&word), WAKE, 5, 0, 0, 0), 0);
    shim_join(tokens[0]);
    shim_join(tokens[2]);
    CHECK_EQUAL(woken, 3);
}

/* @verifies ATL-LLR-FUTEX-0004~1 */
TEST(requeue_moves_waiters)
{
    void *tokens[3];
    struct sleeper sleepers[3] = {{&word, ANY}, {&word, ANY}, {&word, ANY}};
    word = 1;
    start_sleepers(tokens, sleepers, 3);
    CHECK_EQUAL(posix_futex(at(&word), CMP_REQUEUE, 1, 1, at(&other), 7), -EAGAIN);
    CHECK_EQUAL(posix_futex(at(&word), REQUEUE, (uint64_t)-1, 1, at(&other), 0), -EINVAL);
    CHECK_EQUAL(posix_futex(at(&word), CMP_REQUEUE, 1, 1, at(&other) + 2, 1), -EINVAL);
    CHECK_EQUAL(posix_futex(at(&word), CMP_REQUEUE, 1, 1, at(&other), 1), 2);
    CHECK_EQUAL(wake_all(&other), 1);
    CHECK_EQUAL(wake_all(&word), 1);
    for (int i = 0; i < 3; i++) {
        shim_join(tokens[i]);
    }
    CHECK_EQUAL(woken, 3);
}

static void sleep_with_deadline(void *argument)
{
    struct posix_timespec timeout = {0, 30000000};
    *(int64_t *)argument = posix_futex(at(&word), WAIT | PRIVATE, 1, at(&timeout), 0, 0);
}

/* @verifies ATL-LLR-FUTEX-0004~1 */
TEST(a_requeued_waiter_times_out_in_its_new_bucket)
{
    int64_t result = 0;
    word = 1;
    uint64_t parks = shim_park_count();
    void *token = shim_start(sleep_with_deadline, &result);
    shim_await_parks(parks + 1);
    CHECK_EQUAL(posix_futex(at(&word), REQUEUE, 0, 1, at(&other), 0), 1);
    shim_join(token);
    CHECK_EQUAL(result, -ETIMEDOUT);
    CHECK_EQUAL(wake_all(&other), 0);
}

static uint32_t encode(uint32_t operation, uint32_t comparison, uint32_t operand,
                       uint32_t reference)
{
    return operation << 28 | comparison << 24 | (operand & 0xfff) << 12 | (reference & 0xfff);
}

/* @verifies ATL-LLR-FUTEX-0005~1 */
TEST(wake_op_changes_the_word_and_wakes_by_its_old_value)
{
    word = 1;
    other = 5;
    uint64_t second = at(&other);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(1, 0, 3, 5)), 0);
    CHECK_EQUAL(other, 8);
    posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(0, 0, 0xfff, 0));
    CHECK_EQUAL(other, UINT32_MAX); /* operand -1 */
    posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(3, 0, 0xff, 0));
    CHECK_EQUAL(other, 0xffffff00u);
    posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(4, 0, 1, 0));
    CHECK_EQUAL(other, 0xffffff01u);
    posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(8 + 2, 0, 1, 0));
    CHECK_EQUAL(other, 0xffffff03u); /* operand 1 << 1 */
    CHECK_EQUAL(posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(5, 0, 0, 0)), -ENOSYS);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_OP, 1, 1, UNMAPPED * 4, encode(1, 0, 1, 0)), -EFAULT);
    void *tokens[2];
    struct sleeper sleepers[2] = {{&word, ANY}, {&other, ANY}};
    other = 1;
    start_sleepers(tokens, sleepers, 2);
    CHECK_EQUAL(posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(0, 4, 0, 1)), 1); /* 1 > 1 */
    CHECK_EQUAL(posix_futex(at(&word), WAKE_OP, 1, 1, second, encode(0, 0, 0, 0)), 1); /* 0 == 0 */
    shim_join(tokens[0]);
    shim_join(tokens[1]);
    CHECK_EQUAL(woken, 2);
}

static void sleep_until_signal(void *argument)
{
    *(int64_t *)argument = posix_futex(at(&word), WAIT | PRIVATE, 1, 0, 0, 0);
}

/* @verifies ATL-LLR-FUTEX-0002~1 */
TEST(a_signal_ends_the_wait_for_a_restart)
{
    int64_t result = 0;
    word = 1;
    uint64_t parks = shim_park_count();
    void *token = shim_start(sleep_until_signal, &result);
    shim_await_parks(parks + 1);
    CHECK_EQUAL(posix_tkill((uint64_t)shim_id_of(token), 10), 0);
    shim_join(token);
    CHECK_EQUAL(result, -ERESTARTSYS);
    CHECK_EQUAL(wake_all(&word), 0);
}

/* A mutex as thread libraries build it: 0 free, 1 taken, 2 taken with waiters. */
static _Atomic uint32_t mutex;
static uint64_t guarded;

static void mutex_rounds(void *argument)
{
    (void)argument;
    for (int i = 0; i < 10000; i++) {
        uint32_t seen = 0;
        if (!atomic_compare_exchange_strong(&mutex, &seen, 1)) {
            while (atomic_exchange(&mutex, 2) != 0) {
                posix_futex(at(&mutex), WAIT | PRIVATE, 2, 0, 0, 0);
            }
        }
        guarded++;
        if (atomic_exchange(&mutex, 0) == 2) {
            posix_futex(at(&mutex), WAKE | PRIVATE, 1, 0, 0, 0);
        }
    }
}

/* @verifies ATL-LLR-FUTEX-0003~1 */
TEST(no_wake_is_lost_under_load)
{
    void *tokens[5];
    for (int i = 0; i < 5; i++) {
        tokens[i] = shim_start(mutex_rounds, NULL);
    }
    for (int i = 0; i < 5; i++) {
        shim_join(tokens[i]);
    }
    CHECK_EQUAL(guarded, 50000);
}

__attribute__((constructor)) static void begin(void)
{
    shim_thread_begin();
}

CHECK_MAIN()
