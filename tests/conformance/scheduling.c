/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and priorities: told as they were set, inherited, refused where Linux refuses; and their
 * effect on one core: a higher priority runs first, a SCHED_FIFO thread is not interrupted by its
 * equals, SCHED_RR threads take turns. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0017~1
 *   ATL-LLR-SCHEDULE-0001~1 ATL-LLR-SCHEDULE-0002~1 ATL-LLR-SCHEDULE-0003~1
 *   ATL-LLR-SCHEDULE-0004~1 ATL-LLR-SCHEDULE-0005~1 ATL-LLR-PERCPU-0050~1 */
#include "check.h"
#include <semaphore.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define RESET 0x40000000

/* By system calls: musl's functions of these names refuse. */
static int set_policy(long thread, int policy, int priority)
{
    return (int)syscall(SYS_sched_setscheduler, thread, policy, &priority);
}

static int get_policy(long thread)
{
    return (int)syscall(SYS_sched_getscheduler, thread);
}

static int get_priority(long thread)
{
    int priority = -1;
    CHECK_EQUAL(syscall(SYS_sched_getparam, thread, &priority), 0);
    return priority;
}

static void policies(void)
{
    static const int plain[] = {SCHED_BATCH, 5 /* SCHED_IDLE */, SCHED_OTHER};
    for (int policy = SCHED_FIFO; policy <= SCHED_RR; policy++) {
        for (int priority = 1; priority <= 99; priority++) {
            CHECK_EQUAL(set_policy(0, policy, priority), 0);
            CHECK_EQUAL(get_policy(0), policy);
            CHECK_EQUAL(get_priority(0), priority);
        }
    }
    int priority = 7;
    CHECK_EQUAL(syscall(SYS_sched_setparam, 0, &priority), 0);
    CHECK(get_policy(0) == SCHED_RR && get_priority(0) == 7);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(set_policy(0, plain[i], 0), 0);
        CHECK_EQUAL(get_policy(0), plain[i]);
        CHECK_EQUAL(get_priority(0), 0);
    }
    CHECK_EQUAL(set_policy(0, SCHED_OTHER | RESET, 0), 0);
    CHECK_EQUAL(get_policy(0), SCHED_OTHER | RESET);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
}

static void errors(void)
{
    int priority = 1;
    CHECK_ERRNO(set_policy(0, SCHED_OTHER, 1), EINVAL);
    CHECK_ERRNO(set_policy(0, SCHED_FIFO, 0), EINVAL);
    CHECK_ERRNO(set_policy(0, SCHED_FIFO, 100), EINVAL);
    CHECK_ERRNO(set_policy(0, 4, 0), EINVAL);
    CHECK_ERRNO(set_policy(0, -1, 0), EINVAL);
    CHECK_ERRNO(set_policy(-1, SCHED_OTHER, 0), EINVAL);
    CHECK_ERRNO(set_policy(0x3ffffff, SCHED_OTHER, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_sched_setparam, 0, &priority), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getparam, 0, 8), EFAULT);
    CHECK_ERRNO(get_policy(-1), EINVAL);
    CHECK_ERRNO(get_policy(0x3ffffff), ESRCH);
    CHECK_EQUAL(sched_get_priority_max(SCHED_RR), 99);
    CHECK_EQUAL(sched_get_priority_min(SCHED_RR), 1);
    CHECK_ERRNO(sched_get_priority_min(77), EINVAL);
}

/* Linux's struct sched_attr; C libraries have no name for it. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t more[3];
    uint32_t bounds[2];
};

static void attributes(void)
{
    struct attributes set = {.size = 48, .policy = SCHED_RR, .flags = 1, .priority = 20}, get;
    CHECK_EQUAL(syscall(SYS_sched_setattr, 0, &set, 0), 0);
    memset(&get, 0xff, sizeof(get));
    CHECK_EQUAL(syscall(SYS_sched_getattr, 0, &get, 48, 0), 0);
    CHECK(get.size == 48 && get.policy == SCHED_RR && get.priority == 20 && get.flags == 1);
    CHECK_EQUAL(get_policy(0), SCHED_RR | RESET);
    set = (struct attributes){.size = 48, .policy = SCHED_OTHER, .nice = 5};
    CHECK_EQUAL(syscall(SYS_sched_setattr, 0, &set, 0), 0);
    CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), 5);
    CHECK_EQUAL(syscall(SYS_sched_getattr, 0, &get, sizeof(get), 0), 0);
    CHECK(get.policy == SCHED_OTHER && get.nice == 5 && get.flags == 0);
    set.nice = 0;
    CHECK_EQUAL(syscall(SYS_sched_setattr, 0, &set, 0), 0);
    struct {
        struct attributes known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof(newer), .policy = SCHED_OTHER}};
    CHECK_EQUAL(syscall(SYS_sched_setattr, 0, &newer, 0), 0);
    newer.unknown = 1;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &newer, 0), E2BIG);
    CHECK(newer.known.size >= 48 && newer.known.size < sizeof(newer));
    set.size = 47;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), E2BIG);
    set = (struct attributes){.size = 48, .policy = SCHED_OTHER};
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, 8, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_sched_setattr, -1, &set, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0x3ffffff, &set, 0), ESRCH);
    set.flags = 1u << 20;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &get, 47, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &get, 48, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, 8, 48, 0), EFAULT);
}

static void nice_values(void)
{
    CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_EQUAL(setpriority(PRIO_PROCESS, 0, 100), 0);
    CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), 19);
    CHECK_EQUAL(setpriority(PRIO_PROCESS, 0, -100), 0);
    errno = 0;
    CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), -20);
    CHECK_EQUAL(errno, 0);
    CHECK_EQUAL(syscall(SYS_getpriority, PRIO_PROCESS, 0), 40);
    CHECK_EQUAL(getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)), -20);
    CHECK_EQUAL(nice(25), 5);
    CHECK_EQUAL(setpriority(PRIO_PROCESS, 0, 0), 0);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
    CHECK_ERRNO(getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
    CHECK_ERRNO(syscall(SYS_getpriority, 3, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_setpriority, -1, 0, 0), EINVAL);
}

static void intervals(void)
{
    struct timespec interval = {-1, -1};
    CHECK_EQUAL(set_policy(0, SCHED_RR, 1), 0);
    CHECK_EQUAL(sched_rr_get_interval(0, &interval), 0);
    CHECK(interval.tv_sec == 0 && interval.tv_nsec > 0);
    CHECK_EQUAL(set_policy(0, SCHED_FIFO, 1), 0);
    CHECK_EQUAL(sched_rr_get_interval(0, &interval), 0);
    CHECK(interval.tv_sec == 0 && interval.tv_nsec == 0);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    CHECK_ERRNO(sched_rr_get_interval(-1, &interval), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, 0x3ffffff, &interval), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, 0, 8), EFAULT);
}

static void *tell_policy(void *argument)
{
    int *told = argument;
    told[0] = get_policy(0);
    told[1] = get_priority(0);
    errno = 0;
    told[2] = getpriority(PRIO_PROCESS, 0);
    return argument;
}

static void inherited(void)
{
    int told[3];
    CHECK_EQUAL(set_policy(0, SCHED_RR, 30), 0);
    check_join(check_thread(tell_policy, told));
    CHECK(told[0] == SCHED_RR && told[1] == 30);
    CHECK_EQUAL(set_policy(0, SCHED_FIFO | RESET, 30), 0);
    check_join(check_thread(tell_policy, told));
    CHECK(told[0] == SCHED_OTHER && told[1] == 0 && told[2] == 0);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    CHECK_EQUAL(setpriority(PRIO_PROCESS, 0, 3), 0);
    check_join(check_thread(tell_policy, told));
    CHECK(told[0] == SCHED_OTHER && told[2] == 3);
    CHECK_EQUAL(setpriority(PRIO_PROCESS, 0, 0), 0);
    pthread_attr_t attribute;
    struct sched_param parameter = {.sched_priority = 42};
    pthread_t thread;
    pthread_attr_init(&attribute);
    CHECK_EQUAL(pthread_attr_setinheritsched(&attribute, PTHREAD_EXPLICIT_SCHED), 0);
    CHECK_EQUAL(pthread_attr_setschedpolicy(&attribute, SCHED_FIFO), 0);
    CHECK_EQUAL(pthread_attr_setschedparam(&attribute, &parameter), 0);
    CHECK_EQUAL(pthread_create(&thread, &attribute, tell_policy, told), 0);
    check_join(thread);
    CHECK(told[0] == SCHED_FIFO && told[1] == 42);
    pthread_attr_destroy(&attribute);
}

static _Atomic int stop, spinning, order[16], order_count;
static _Atomic long turns[2], first_thread;

static void note_order(int who)
{
    order[order_count++] = who;
}

static void *note_and_end(void *argument)
{
    note_order((int)(intptr_t)argument);
    return NULL;
}

static pthread_t start(void *(*run)(void *), intptr_t argument, int policy, int priority)
{
    pthread_attr_t attribute;
    struct sched_param parameter = {.sched_priority = priority};
    pthread_t thread;
    pthread_attr_init(&attribute);
    pthread_attr_setinheritsched(&attribute, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attribute, policy);
    pthread_attr_setschedparam(&attribute, &parameter);
    CHECK_EQUAL(pthread_create(&thread, &attribute, run, (void *)argument), 0);
    pthread_attr_destroy(&attribute);
    return thread;
}

/* All on core 0, made while their creator is above them: they run in the order of their priorities,
 * equal ones in the order in which they became ready. */
static void order_of_priorities(void)
{
    static const int priorities[] = {1, 2, 3, 4, 5, 10, 50, 90, 95, 96, 97};
    pthread_t threads[11];
    check_pin(0);
    order_count = 0;
    CHECK_EQUAL(set_policy(0, SCHED_FIFO, 99), 0);
    for (intptr_t i = 0; i < 11; i++) {
        threads[i] =
            start(note_and_end, priorities[i * 3 % 11], SCHED_FIFO, priorities[i * 3 % 11]);
    }
    pthread_t last = start(note_and_end, 0, SCHED_OTHER, 0);
    CHECK_EQUAL(order_count, 0);
    for (int i = 0; i < 11; i++) {
        check_join(threads[i]);
    }
    check_join(last);
    for (int i = 0; i < 11; i++) {
        CHECK_EQUAL(order[i], priorities[10 - i]);
    }
    CHECK_EQUAL(order[11], 0);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    check_unpin();
}

static void *spin_a_while(void *argument)
{
    long long until = check_now_ns(CLOCK_THREAD_CPUTIME_ID) + 60000000;
    spinning = 1;
    while (check_now_ns(CLOCK_THREAD_CPUTIME_ID) < until) {
    }
    note_order((int)(intptr_t)argument);
    return NULL;
}

static sem_t go;

static void *wait_and_note(void *argument)
{
    while (sem_wait(&go) != 0) {
    }
    return note_and_end(argument);
}

/* Longer than a quantum, and the equal one that becomes ready meanwhile does not run in between. */
static void fifo_has_no_quantum(void)
{
    check_pin(0);
    order_count = 0;
    CHECK_EQUAL(sem_init(&go, 0, 0), 0);
    CHECK_EQUAL(set_policy(0, SCHED_FIFO, 20), 0);
    pthread_t second = start(wait_and_note, 2, SCHED_FIFO, 10);
    check_join(start(note_and_end, 0, SCHED_FIFO, 5)); /* ran, so the one above it waits */
    pthread_t first = start(spin_a_while, 1, SCHED_FIFO, 10);
    while (spinning == 0) {
        check_sleep_ms(1);
    }
    CHECK_EQUAL(sem_post(&go), 0);
    check_join(first);
    check_join(second);
    CHECK(order[0] == 0 && order[1] == 1 && order[2] == 2);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    check_unpin();
}

static void *take_turns(void *argument)
{
    long mine = (long)(intptr_t)argument;
    while (!stop) {
        if (first_thread != mine) {
            first_thread = mine;
            turns[mine]++;
        }
        if (turns[0] >= 3 && turns[1] >= 3) {
            stop = 1;
        }
    }
    return NULL;
}

/* Each of two that never wait is seen to run again and again. */
static void round_robin(void)
{
    check_pin(0);
    CHECK_EQUAL(set_policy(0, SCHED_FIFO, 20), 0);
    stop = 0;
    pthread_t first = start(take_turns, 0, SCHED_RR, 10);
    pthread_t second = start(take_turns, 1, SCHED_RR, 10);
    check_join(first);
    check_join(second);
    CHECK(turns[0] >= 3 && turns[1] >= 3);
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    check_unpin();
}

static _Atomic long worker;

static void *spin_until_stopped(void *argument)
{
    check_pin((int)(intptr_t)argument);
    worker = syscall(SYS_gettid);
    while (!stop) {
    }
    return NULL;
}

/* A thread of another core that never enters the system is lowered, so that a new one gets on. */
static void another_thread(void)
{
    int last = check_all_cores_count - 1;
    stop = 0;
    worker = 0;
    CHECK_EQUAL(set_policy(0, SCHED_FIFO, 60), 0);
    pthread_t thread = start(spin_until_stopped, last, SCHED_FIFO, 50);
    while (worker == 0) {
        check_sleep_ms(1);
    }
    CHECK_EQUAL(set_policy(worker, SCHED_RR, 5), 0);
    CHECK(get_policy(worker) == SCHED_RR && get_priority(worker) == 5);
    order_count = 0;
    check_pin(last);
    check_join(start(note_and_end, 1, SCHED_FIFO, 6));
    CHECK_EQUAL(order_count, 1);
    CHECK_EQUAL(set_policy(worker, SCHED_OTHER, 0), 0);
    check_join(start(note_and_end, 2, SCHED_FIFO, 1));
    stop = 1;
    check_join(thread);
    check_unpin();
    CHECK_EQUAL(set_policy(0, SCHED_OTHER, 0), 0);
    int inheriting;
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    CHECK_EQUAL(pthread_mutexattr_getprotocol(&attribute, &inheriting), 0);
    CHECK_EQUAL(inheriting, PTHREAD_PRIO_NONE);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"policies", policies},
        {"errors", errors},
        {"attributes", attributes},
        {"nice_values", nice_values},
        {"intervals", intervals},
        {"inherited", inherited},
        {"order_of_priorities", order_of_priorities},
        {"fifo_has_no_quantum", fifo_has_no_quantum},
        {"round_robin", round_robin},
        {"another_thread", another_thread},
    };
    return CHECK_MAIN(cases);
}
