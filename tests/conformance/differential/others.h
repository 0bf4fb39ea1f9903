/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on futexes, clocks, limits, identity and scheduling that nobody has to wait for. */
#include "generate.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

static void other_futex(void)
{
    static uint32_t words[4];
    static const int operations[] = {
        FUTEX_WAIT,    FUTEX_WAKE,        FUTEX_REQUEUE,     FUTEX_CMP_REQUEUE,
        FUTEX_WAKE_OP, FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, 33};
    static const long nanoseconds[] = {0, 1, -1, 1000000000};
    int operation = PICK(operations) | (one_in(2) ? FUTEX_PRIVATE_FLAG : 0);
    char *word = (char *)&words[below(4)] + (one_in(12) ? 1 : 0);
    uint32_t *at = one_in(16) ? NULL : one_in(16) ? NOT_A_POINTER : (uint32_t *)word;
    struct timespec until = {0, PICK(nanoseconds)};
    uint32_t value = one_in(2) ? words[0] : (uint32_t)below(3), bits = (uint32_t)below(2);
    int is_wait = (operation & 0x7f) == FUTEX_WAIT || (operation & 0x7f) == FUTEX_WAIT_BITSET;
    long result = CALL(futex, at, operation, value,
                       is_wait ? (long)(uintptr_t)&until : (long)below(3), &words[below(4)], bits);
    line("futex(%ld, %d, %u, %ld, %u) = %ld word %u",
         at == (uint32_t *)word ? (long)(word - (char *)words) : -1, operation, value,
         until.tv_nsec, bits, result, words[1]);
    words[1] = (uint32_t)below(3);
}

static void other_clock(void)
{
    static const long seconds[] = {0, 0, -1};
    static const long nanoseconds[] = {0, 1, 999999999, 1000000000, -5};
    int clock = (int)below(12) - 1;
    clock += clock >= 8 ? 2 : 0; /* alarm clocks need a clock that wakes the machine */
    struct timespec time = {PICK(seconds), PICK(nanoseconds)};
    if (one_in(2)) {
        struct timespec now = {-1, -1};
        long result = CALL(clock_gettime, clock, &now);
        line("clock_gettime(%d) = %ld %d", clock, result,
             now.tv_nsec >= 0 && now.tv_nsec < 1000000000);
    } else {
        time.tv_nsec = time.tv_nsec == 999999999 ? 2000000000 : time.tv_nsec;
        int flags = one_in(2) || clock == CLOCK_PROCESS_CPUTIME_ID ? TIMER_ABSTIME : 0;
        line("clock_nanosleep(%d, %d, %ld %ld) = %ld", clock, flags, time.tv_sec, time.tv_nsec,
             CALL(clock_nanosleep, clock, flags, &time, NULL));
    }
}

static void other_limit(void)
{
    const char *where;
    int resource = (int)below(20) - 2;
    struct rlimit *to = place(sizeof(*to), &where);
    long result = CALL(getrlimit, resource, to);
    line("getrlimit(%d, %s) = %ld %d", resource, where, result,
         result == 0 ? to->rlim_cur <= to->rlim_max : 0);
}

static void other_identity(void)
{
    char name[20] = "";
    const char *where;
    size_t bytes = below(64);
    void *to = place(bytes, &where);
    unsigned flags = (unsigned)below(6);
    switch (below(4)) {
    case 0:
        snprintf(name, sizeof(name), "t%lu", below(1000000000) * 1000000000);
        CALL(prctl, PR_SET_NAME, name);
        memset(name, 0, sizeof(name));
        line("prctl names: %ld %s", CALL(prctl, PR_GET_NAME, name), name);
        return;
    case 1:
        line("prctl(%ld) = %ld", 90000 + (long)bytes, CALL(prctl, 90000 + (long)bytes, 0, 0, 0, 0));
        return;
    case 2:
        line("uname(%s) = %ld", to == (void *)buffer ? "good" : where,
             CALL(uname, to == (void *)buffer ? to : NULL));
        return;
    default:
        flags = flags == 1 || flags == 4 ? flags : 8;
        line("getrandom(%s, %zu, %u) = %ld", where, bytes, flags,
             CALL(getrandom, to, bytes, flags));
    }
}

static void other_schedule(void)
{
    const char *where;
    uint64_t *to = place(128, &where);
    int policy = (int)below(8) - 1; /* 7 exists since Linux 6.12 */
    struct sched_param parameter = {(int)below(3) - 1};
    switch (below(4)) {
    case 0:
        line("sched_getaffinity(%s) = %d, short %ld", where,
             (int)CALL(sched_getaffinity, 0, 128, to) > 0, CALL(sched_getaffinity, 0, 3, to));
        return;
    case 1:
        line("sched_get_priority(%d) = %ld %ld", policy, CALL(sched_get_priority_min, policy),
             CALL(sched_get_priority_max, policy));
        return;
    case 2:
        line("sched_getparam() = %ld %d", CALL(sched_getparam, 0, &parameter),
             parameter.sched_priority);
        return;
    default:
        line("sched_getscheduler = %ld, none %ld, yield %ld", CALL(sched_getscheduler, 0),
             CALL(sched_getscheduler, 4000000), CALL(sched_yield));
    }
}
