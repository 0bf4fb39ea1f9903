/* SPDX-License-Identifier: Apache-2.0 */
/* Raw futex waits: values that do not match, relative and absolute deadlines on both clocks, wake
 * counts, bit sets, requeue, and a race of waits that time out against wakes: no wake may be lost.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0002~1
 *   ATL-LLR-GATE-0024~1 */
#include "../waiting.h"

#include "check.h"
#include <stdint.h>
#include <sys/syscall.h>

/* musl's headers do not offer these; the values are the system call's ABI. */
enum {
    FUTEX_WAIT = 0,
    FUTEX_WAKE = 1,
    FUTEX_CMP_REQUEUE = 4,
    FUTEX_WAIT_BITSET = 9,
    FUTEX_WAKE_BITSET = 10,
    FUTEX_PRIVATE_FLAG = 128,
    FUTEX_CLOCK_REALTIME = 256,
};

static uint32_t word, other;

static long futex(uint32_t *at, int operation, uint32_t value, const void *timeout,
                  uint32_t *second, uint32_t third)
{
    return syscall(SYS_futex, at, operation | FUTEX_PRIVATE_FLAG, value, timeout, second, third);
}

static void errors(void)
{
    struct timespec soon = {0, 1000000}, invalid = {0, 1000000000}, negative = {-1, 0};
    word = 1;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 1, &soon, NULL, 0), ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 1, &invalid, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 1, &negative, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 1, &soon, NULL, 0), EINVAL);
    CHECK_ERRNO(futex((uint32_t *)4096, FUTEX_WAIT, 1, &soon, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 1, (void *)4096, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 1, &soon, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(&word, 0x7f, 0, NULL, NULL, 0), ENOSYS);
    CHECK_EQUAL(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

static void deadlines(void)
{
    static const struct {
        int operation;
        clockid_t clock;
    } kinds[] = {{FUTEX_WAIT_BITSET, CLOCK_MONOTONIC},
                 {FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, CLOCK_REALTIME}};
    word = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct timespec until = check_after_ns(kinds[i].clock, 20000000), past = {1, 0};
        long long begin = check_now_ns(CLOCK_MONOTONIC);
        CHECK_ERRNO(futex(&word, kinds[i].operation, 0, &until, NULL, ~0u), ETIMEDOUT);
        CHECK(check_now_ns(CLOCK_MONOTONIC) - begin >= 19000000);
        CHECK_ERRNO(futex(&word, kinds[i].operation, 0, &past, NULL, ~0u), ETIMEDOUT);
    }
    long long begin = check_now_ns(CLOCK_MONOTONIC);
    struct timespec relative = {0, 20000000};
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &relative, NULL, 0), ETIMEDOUT);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
}

static void *wait_bits(void *argument)
{
    uint32_t bits = (uint32_t)(uintptr_t)argument;
    check_pin((int)bits);
    return (void *)futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, bits);
}

/* Wakes until `count` are woken: the waiters may not have arrived yet. */
static void wake_all(uint32_t *at, uint32_t bits, long count)
{
    while (count > 0) {
        long woken = futex(at, FUTEX_WAKE_BITSET, (uint32_t)count, NULL, NULL, bits);
        CHECK(woken >= 0 && woken <= count);
        count -= woken;
        sched_yield();
    }
}

static void bit_sets(void)
{
    word = 0;
    pthread_t one = check_thread(wait_bits, (void *)1), two = check_thread(wait_bits, (void *)2);
    threads_await_waiting(2);
    CHECK_EQUAL(futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 4), 0);
    wake_all(&word, 2, 1);
    CHECK_EQUAL((long)check_join(two), 0);
    wake_all(&word, 1, 1);
    CHECK_EQUAL((long)check_join(one), 0);
}

/* A waiter that the kernel wakes for a reason of its own goes back to its first futex, on Linux
 * too: so a few may be on either word, and only the sum of the wakes is exact. */
static void requeue(void)
{
    pthread_t threads[6];
    long moved = 0, woken;
    word = other = 0;
    for (long i = 0; i < 6; i++) {
        threads[i] = check_thread(wait_bits, (void *)(i + 1));
    }
    while (moved < 6) {
        moved += futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)100, &other, 0);
        sched_yield();
    }
    CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)1, &other, 7), EAGAIN);
    woken = futex(&other, FUTEX_WAKE, 2, NULL, NULL, 0);
    CHECK(woken >= 1 && woken <= 2);
    while (woken < 6) {
        woken += futex(&other, FUTEX_WAKE, 100, NULL, NULL, 0);
        woken += futex(&word, FUTEX_WAKE, 100, NULL, NULL, 0);
        sched_yield();
    }
    CHECK_EQUAL(woken, 6);
    for (int i = 0; i < 6; i++) {
        CHECK_EQUAL((long)check_join(threads[i]), 0);
    }
}

static uint32_t tickets;

/* Takes tickets with waits so short that many time out just when they are woken. */
static void *take_tickets(void *argument)
{
    unsigned long long random = (uintptr_t)argument + 1;
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(2000); i++) {
        for (;;) {
            uint32_t seen = __atomic_load_n(&tickets, __ATOMIC_RELAXED);
            if (seen > 0) {
                if (__atomic_compare_exchange_n(&tickets, &seen, seen - 1, 0, __ATOMIC_SEQ_CST,
                                                __ATOMIC_RELAXED)) {
                    break;
                }
                continue;
            }
            struct timespec wait = {0, (long)(check_random(&random) % 100000)};
            futex(&tickets, FUTEX_WAIT, 0, &wait, NULL, 0);
        }
    }
    return NULL;
}

static void race(void)
{
    pthread_t threads[4];
    long total = 4 * check_count(2000);
    tickets = 0;
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(take_tickets, (void *)i);
    }
    for (long i = 0; i < total; i++) {
        __atomic_add_fetch(&tickets, 1, __ATOMIC_SEQ_CST);
        CHECK(futex(&tickets, FUTEX_WAKE, 1, NULL, NULL, 0) <= 1);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(tickets, 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"errors", errors},
                                              {"deadlines", deadlines},
                                              {"bit_sets", bit_sets},
                                              {"requeue", requeue},
                                              {"race", race}};
    return CHECK_MAIN(cases);
}
