/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes with priority inheritance: the word, the order of owners, deadlock, death of the owner;
 * and that nobody of middle priority keeps the owner of a mutex from running while one above waits
 * for it. Nothing is told by time: whoever would starve a thread does it until that thread has run.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0160~1
 *   ATL-LLR-FUTEX-0020~1 ATL-LLR-FUTEX-0021~1 ATL-LLR-FUTEX-0022~1 ATL-LLR-FUTEX-0023~1 */
#include "check.h"
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#define LOCK 6
#define UNLOCK 7
#define TRY_LOCK 8
#define LOCK2 13
#define PRIVATE 128
#define REALTIME 256
#define WAITERS 0x80000000u
#define OWNER_DIED 0x40000000u

static _Atomic uint32_t outer, inner;
static _Atomic int order[8], order_count, is_done, spins;
static _Atomic long worker;
static sem_t go, ready;

static int futex(_Atomic uint32_t *word, int operation, const struct timespec *timeout)
{
    return (int)syscall(SYS_futex, word, operation | PRIVATE, 0, timeout, NULL, 0);
}

static uint32_t self(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

static void set_policy(long thread, int policy, int priority)
{
    CHECK_EQUAL(syscall(SYS_sched_setscheduler, thread, policy, &priority), 0);
}

static void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
    }
}

static pthread_t start(void *(*run)(void *), intptr_t argument, int priority)
{
    pthread_attr_t attribute;
    struct sched_param parameter = {.sched_priority = priority};
    pthread_t thread;
    pthread_attr_init(&attribute);
    pthread_attr_setinheritsched(&attribute, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attribute, SCHED_FIFO);
    pthread_attr_setschedparam(&attribute, &parameter);
    CHECK_EQUAL(pthread_create(&thread, &attribute, run, (void *)argument), 0);
    pthread_attr_destroy(&attribute);
    return thread;
}

static void *do_nothing(void *argument)
{
    return argument;
}

/* When it has run, all above it on its core wait. */
static void let_all_run(void)
{
    check_join(start(do_nothing, 0, 1));
}

/* From now on everything is on one core, and nothing runs that we do not wait for. */
static void begin(void)
{
    outer = inner = 0;
    order_count = is_done = spins = 0;
    CHECK_EQUAL(sem_init(&go, 0, 0), 0);
    CHECK_EQUAL(sem_init(&ready, 0, 0), 0);
    check_pin(0);
    set_policy(0, SCHED_FIFO, 90);
}

static void end(void)
{
    set_policy(0, SCHED_OTHER, 0);
    check_unpin();
    CHECK_EQUAL(outer & ~WAITERS, 0);
    CHECK_EQUAL(inner & ~WAITERS, 0);
}

static void *hold_outer(void *argument)
{
    worker = self();
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    sem_post(&ready);
    await(&go);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    return argument;
}

static void *lock_outer(void *argument)
{
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    order[order_count++] = (int)(intptr_t)argument;
    CHECK_EQUAL(outer & ~WAITERS, self());
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    is_done = 1;
    return NULL;
}

static void *spin(void *argument)
{
    while (!is_done) {
        spins++;
    }
    return argument;
}

static void word(void)
{
    begin();
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    CHECK_EQUAL(outer, self());
    CHECK_ERRNO(futex(&outer, LOCK, NULL), EDEADLK);
    CHECK_ERRNO(futex(&outer, TRY_LOCK, NULL), EDEADLK);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    CHECK_EQUAL(outer, 0);
    CHECK_ERRNO(futex(&outer, UNLOCK, NULL), EPERM);
    CHECK_EQUAL(futex(&outer, TRY_LOCK, NULL), 0);
    CHECK_EQUAL(outer, self());
    outer = 0;
    outer = OWNER_DIED;
    CHECK_EQUAL(futex(&outer, LOCK2, NULL), 0);
    CHECK_EQUAL(outer, OWNER_DIED | self());
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    CHECK_EQUAL(outer, 0);
    end();
}

static void errors(void)
{
    begin();
    outer = 0x3ffffff;
    CHECK_ERRNO(futex(&outer, LOCK, NULL), ESRCH);
    CHECK_ERRNO(futex(&outer, TRY_LOCK, NULL), ESRCH);
    CHECK_ERRNO(futex(&outer, UNLOCK, NULL), EPERM);
    outer = 0;
    CHECK_ERRNO(syscall(SYS_futex, (char *)&outer + 1, LOCK, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex, 8, LOCK, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_futex, 8, UNLOCK, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(&outer, LOCK, (const struct timespec *)8), EFAULT);
    const struct timespec bad = {.tv_nsec = 1000000000};
    CHECK_ERRNO(futex(&outer, LOCK, &bad), EINVAL);
    CHECK_ERRNO(futex(&outer, LOCK | REALTIME, NULL), ENOSYS);
    end();
}

static void timeouts(void)
{
    begin();
    pthread_t owner = start(hold_outer, 0, 10);
    await(&ready);
    const struct timespec past = {.tv_sec = 1};
    CHECK_ERRNO(futex(&outer, TRY_LOCK, NULL), EAGAIN);
    CHECK_ERRNO(futex(&outer, LOCK, &past), ETIMEDOUT);
    CHECK_ERRNO(futex(&outer, LOCK2, &past), ETIMEDOUT);
    CHECK_ERRNO(futex(&outer, LOCK2 | REALTIME, &past), ETIMEDOUT);
    struct timespec soon = check_after_ns(CLOCK_REALTIME, 2000000);
    CHECK_ERRNO(futex(&outer, LOCK, &soon), ETIMEDOUT);
    soon = check_after_ns(CLOCK_MONOTONIC, 2000000);
    CHECK_ERRNO(futex(&outer, LOCK2, &soon), ETIMEDOUT);
    CHECK_EQUAL(outer, WAITERS | (uint32_t)worker);
    sem_post(&go);
    check_join(owner);
    CHECK_EQUAL(outer, 0);
    end();
}

/* The highest first, equal ones as they came. */
static void owners_by_priority(void)
{
    static const int priorities[] = {20, 40, 10, 40, 30};
    static const int wanted[] = {1, 3, 4, 0, 2};
    pthread_t threads[5];
    begin();
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    for (intptr_t i = 0; i < 5; i++) {
        threads[i] = start(lock_outer, i, priorities[i]);
        let_all_run();
    }
    CHECK_EQUAL(order_count, 0);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    for (int i = 0; i < 5; i++) {
        check_join(threads[i]);
    }
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(order[i], wanted[i]);
    }
    end();
}

/* The classic: low owns what high waits for, and middle never stops by itself. */
static void inversion(void)
{
    begin();
    pthread_t low = start(hold_outer, 0, 10);
    await(&ready);
    pthread_t high = start(lock_outer, 0, 30);
    let_all_run();
    sem_post(&go);
    pthread_t middle = start(spin, 0, 20);
    check_join(high);
    check_join(middle);
    check_join(low);
    CHECK_EQUAL(order_count, 1);
    CHECK_EQUAL(spins, 0); /* both were above it, until high had the mutex */
    end();
}

/* What low inherited, it has no more: middle runs before low does again. */
static void *hold_and_note(void *argument)
{
    hold_outer(argument);
    order[order_count++] = 10;
    return NULL;
}

static void *note(void *argument)
{
    order[order_count++] = (int)(intptr_t)argument;
    return NULL;
}

static void inheritance_ends(void)
{
    begin();
    pthread_t low = start(hold_and_note, 0, 10);
    await(&ready);
    pthread_t high = start(lock_outer, 30, 30);
    let_all_run();
    sem_post(&go);
    pthread_t middle = start(note, 20, 20);
    check_join(low);
    check_join(high);
    check_join(middle);
    CHECK(order[0] == 30 && order[1] == 20 && order[2] == 10);
    end();
}

static void *hold_inner_for_outer(void *argument)
{
    CHECK_EQUAL(futex(&inner, LOCK, NULL), 0);
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    CHECK_EQUAL(futex(&inner, UNLOCK, NULL), 0);
    return argument;
}

static void *lock_inner(void *argument)
{
    CHECK_EQUAL(futex(&inner, LOCK, NULL), 0);
    is_done = 1;
    CHECK_EQUAL(futex(&inner, UNLOCK, NULL), 0);
    return argument;
}

/* High waits for one who waits for low. */
static void chain(void)
{
    begin();
    pthread_t low = start(hold_outer, 0, 10);
    await(&ready);
    pthread_t between = start(hold_inner_for_outer, 0, 15);
    let_all_run();
    pthread_t high = start(lock_inner, 0, 30);
    let_all_run();
    sem_post(&go);
    pthread_t middle = start(spin, 0, 20);
    check_join(high);
    check_join(middle);
    check_join(between);
    check_join(low);
    CHECK_EQUAL(spins, 0);
    end();
}

/* Low is raised by one who is raised while he waits. */
static void policy_of_a_waiter(void)
{
    begin();
    pthread_t low = start(hold_outer, 0, 10);
    await(&ready);
    long owner = worker;
    pthread_t waiter = start(lock_outer, 0, 12);
    let_all_run();
    sem_post(&go);
    pthread_t middle = start(spin, 0, 20);
    worker = 0;
    for (long thread = owner + 1; thread < owner + 4 && worker == 0; thread++) {
        int priority = 0;
        if (syscall(SYS_sched_getparam, thread, &priority) == 0 && priority == 12) {
            worker = thread;
        }
    }
    CHECK(worker != 0);
    set_policy(worker, SCHED_FIFO, 30);
    check_join(waiter);
    check_join(middle);
    check_join(low);
    CHECK_EQUAL(spins, 0);
    end();
}

/* Each holds one and wants the other's. */
static void deadlock(void)
{
    begin();
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    pthread_t other = start(hold_inner_for_outer, 0, 10);
    let_all_run();
    uint32_t before = inner & ~WAITERS;
    CHECK_ERRNO(futex(&inner, LOCK, NULL), EDEADLK);
    CHECK_EQUAL(inner & ~WAITERS, before);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    check_join(other);
    end();
}

static void *lock_and_end(void *argument)
{
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    sem_post(&ready);
    await(&go);
    return argument;
}

static void *lock_of_the_dead(void *argument)
{
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    CHECK_EQUAL(outer & ~WAITERS, OWNER_DIED | self());
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    return argument;
}

static void death_of_the_owner(void)
{
    begin();
    pthread_t owner = start(lock_and_end, 0, 10);
    await(&ready);
    pthread_t waiter = start(lock_of_the_dead, 0, 20);
    let_all_run();
    sem_post(&go);
    check_join(owner);
    check_join(waiter);
    end();
}

static pthread_mutex_t robust;

static void *lock_robust(void *argument)
{
    CHECK_EQUAL(pthread_mutex_lock(&robust), 0);
    return argument;
}

/* The same by the C library's mutexes. */
static void robust_mutex(void)
{
    pthread_mutexattr_t attribute;
    CHECK_EQUAL(pthread_mutexattr_init(&attribute), 0);
    CHECK_EQUAL(pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT), 0);
    CHECK_EQUAL(pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_EQUAL(pthread_mutex_init(&robust, &attribute), 0);
    check_join(check_thread(lock_robust, NULL));
    CHECK_EQUAL(pthread_mutex_lock(&robust), EOWNERDEAD);
    CHECK_EQUAL(pthread_mutex_consistent(&robust), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&robust), 0);
    CHECK_EQUAL(pthread_mutex_lock(&robust), 0);
    CHECK_EQUAL(pthread_mutex_unlock(&robust), 0);
    CHECK_EQUAL(pthread_mutex_destroy(&robust), 0);
}

static _Atomic int handled;

static void on_signal(int signal)
{
    handled = signal;
    sem_post(&ready);
}

/* A handler runs, and the wait goes on, whatever SA_RESTART says. */
static void signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    begin();
    CHECK_EQUAL(futex(&outer, LOCK, NULL), 0);
    pthread_t waiter = start(lock_outer, 0, 20);
    let_all_run();
    CHECK_EQUAL(pthread_kill(waiter, SIGUSR1), 0);
    await(&ready);
    CHECK_EQUAL(handled, SIGUSR1);
    let_all_run();
    CHECK_EQUAL(order_count, 0);
    CHECK_EQUAL(futex(&outer, UNLOCK, NULL), 0);
    check_join(waiter);
    CHECK_EQUAL(order_count, 1);
    end();
}

static pthread_mutex_t shared;
static long total;

static void *add(void *argument)
{
    check_pin((int)(intptr_t)argument);
    for (long i = check_count(2000); i > 0; i--) {
        CHECK_EQUAL(pthread_mutex_lock(&shared), 0);
        total++;
        CHECK_EQUAL(pthread_mutex_unlock(&shared), 0);
    }
    return NULL;
}

static void cores(void)
{
    pthread_t threads[6];
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    CHECK_EQUAL(pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT), 0);
    CHECK_EQUAL(pthread_mutex_init(&shared, &attribute), 0);
    for (intptr_t i = 0; i < 6; i++) {
        threads[i] = check_thread(add, (void *)i);
    }
    for (int i = 0; i < 6; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(total, 6 * check_count(2000));
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"word", word},
        {"errors", errors},
        {"timeouts", timeouts},
        {"owners_by_priority", owners_by_priority},
        {"inversion", inversion},
        {"inheritance_ends", inheritance_ends},
        {"chain", chain},
        {"policy_of_a_waiter", policy_of_a_waiter},
        {"deadlock", deadlock},
        {"death_of_the_owner", death_of_the_owner},
        {"robust_mutex", robust_mutex},
        {"signals", signals},
        {"cores", cores},
    };
    return CHECK_MAIN(cases);
}
