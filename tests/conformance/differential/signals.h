/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on signals. What would arrive at a time of its own is not made: a thread sends to itself,
 * or to one that blocks the signal; the process gets only what every thread blocks. */
#include "generate.h"
#include <signal.h>
#include <sys/ucontext.h>
#include <time.h>

#define SET_BYTES 8
#define BIT(signal) (1ul << ((signal)-1))

struct kernel_action {
    void (*handler)(int, siginfo_t *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static const int some_signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGHUP, 34, 35, 34, SIGCHLD, SIGURG};
#define POOL                                                                                       \
    (BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(SIGTERM) | BIT(SIGHUP) | BIT(34) | BIT(35) | BIT(SIGCHLD) | \
     BIT(SIGURG))

static pid_t thread_ids[WORKERS + 1];
static uint64_t blocked[WORKERS + 1];
static _Thread_local char arrived[600]; /* what handlers noted since the last line */
static _Thread_local int arrived_bytes;

static void note_signal(int number, siginfo_t *information, void *context)
{
    ucontext_t *where = context;
    uint64_t interrupted;
    memcpy(&interrupted, &where->uc_sigmask, sizeof(interrupted));
    int room = (int)sizeof(arrived) - arrived_bytes;
    uint64_t now = 0;
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &now, SET_BYTES);
    int bytes = snprintf(arrived + arrived_bytes, (size_t)room, " <%d %d %d %lx %lx>", number,
                         information->si_code,
                         information->si_code == SI_QUEUE ? information->si_value.sival_int : 0,
                         interrupted & POOL, now & POOL);
    arrived_bytes += bytes < room ? bytes : 0;
}

static const char *arrivals(void)
{
    arrived[arrived_bytes] = '\0';
    arrived_bytes = 0;
    return arrived;
}

static long set_action(int number, void (*handler)(int, siginfo_t *, void *), unsigned long flags,
                       uint64_t mask, struct kernel_action *old)
{
    struct sigaction with_restorer;
    sigaction(SIGSEGV, NULL, &with_restorer); /* the C library's own way back */
    struct kernel_action action = {handler, flags, NULL, mask};
    CALL(rt_sigaction, SIGSEGV, NULL, &action, SET_BYTES);
    action =
        (struct kernel_action){handler, flags | (action.flags & 0x04000000), action.restorer, mask};
    return CALL(rt_sigaction, number, &action, old, SET_BYTES);
}

static void signals_start(void)
{
    struct kernel_action old;
    for (size_t i = 0; i < sizeof(some_signals) / sizeof(some_signals[0]); i++) {
        set_action(some_signals[i], note_signal, SA_SIGINFO, 0, &old);
    }
    signal(SIGPIPE, SIG_IGN);
}

static uint64_t some_set(void)
{
    return random_bits() & random_bits() & POOL;
}

static void signal_action(void)
{
    static const unsigned long flags[] = {0, SA_NODEFER, SA_RESTART, SA_ONSTACK, SA_NODEFER};
    int number = one_in(20) ? (int)below(80) - 5 : PICK(some_signals);
    int known = number > 0 && number < 65 && (BIT(number) & POOL) != 0;
    int quiet = number == SIGCHLD || number == SIGURG; /* may go back to the default */
    unsigned long flag = SA_SIGINFO | PICK(flags) | (quiet && one_in(3) ? SA_RESETHAND : 0);
    void *handler = one_in(4)            ? (void *)SIG_IGN
                    : quiet && one_in(3) ? (void *)SIG_DFL
                                         : note_signal;
    uint64_t mask = some_set();
    struct kernel_action old = {0};
    long result = known ? set_action(number, handler, flag, mask, &old)
                        : CALL(rt_sigaction, number, NULL, &old, one_in(2) ? 8 : 9);
    if (!known) {
        old = (struct kernel_action){0};
    }
    line("sigaction(%d, %s, %#lx, %lx) = %ld old %s %#lx %lx", number,
         handler == (void *)note_signal ? "note"
         : handler == (void *)SIG_IGN   ? "ignore"
                                        : "default",
         flag, mask, result,
         (void *)old.handler == (void *)note_signal ? "note"
         : (void *)old.handler == (void *)SIG_IGN   ? "ignore"
                                                    : "default",
         old.flags & ~0x04000000ul, old.mask);
}

static void signal_mask(void)
{
    int how = one_in(20) ? 7 : (int)below(3);
    uint64_t set = some_set(), old = 0;
    long bytes = one_in(20) ? 4 : SET_BYTES;
    const char *where;
    uint64_t *from = place(SET_BYTES, &where);
    if (from == (void *)buffer) {
        memcpy(buffer, &set, sizeof(set));
    }
    long result = CALL(rt_sigprocmask, how, from, &old, bytes);
    uint64_t now = 0;
    CALL(rt_sigprocmask, SIG_BLOCK, NULL, &now, SET_BYTES);
    blocked[worker] = now;
    line("sigprocmask(%d, %s %lx, %ld) = %ld old %lx now %lx%s", how, where, set, bytes, result,
         old & POOL, now & POOL, arrivals());
}

static int blocked_by_all(int number)
{
    int all = 1;
    for (unsigned i = 1; i <= WORKERS; i++) {
        all &= (blocked[i] & BIT(number)) != 0;
    }
    return all;
}

static void signal_send(void)
{
    int number = PICK(some_signals);
    unsigned to = 1 + (unsigned)below(WORKERS);
    pid_t process = (pid_t)CALL(getpid);
    siginfo_t information = {0};
    information.si_code = SI_QUEUE;
    information.si_signo = number;
    information.si_value.sival_int = (int)below(1000);
    int kind = (int)below(6);
    to = (blocked[to] & BIT(number)) != 0 ? to : worker;
    long result;
    if (kind == 0 && blocked_by_all(number)) {
        result = CALL(kill, process, number);
    } else if (kind == 1 && blocked_by_all(number)) {
        result = CALL(rt_sigqueueinfo, process, number, &information);
    } else if (kind == 2) {
        result = CALL(rt_tgsigqueueinfo, process, thread_ids[to], number, &information);
    } else if (kind == 3) {
        number = one_in(2) ? 0 : (int)below(2) * 70 - 5;
        result = one_in(2) ? CALL(tgkill, process, thread_ids[to], number)
                           : CALL(tgkill, process, 4000000, number);
    } else {
        result = CALL(tgkill, process, thread_ids[to], number);
    }
    line("send(%d, %d, t%u) = %ld%s", kind, number, to, result, arrivals());
}

static void signal_take(void)
{
    uint64_t set = some_set(), pending = 0;
    struct timespec none = {0, one_in(20) ? -1 : 0};
    siginfo_t information = {0};
    if (one_in(2)) {
        long result = CALL(rt_sigpending, &pending, SET_BYTES);
        line("sigpending() = %ld %lx", result, pending & POOL);
    } else {
        set &= blocked[worker];
        long result = CALL(rt_sigtimedwait, &set, &information, &none, SET_BYTES);
        line("sigtimedwait(%lx, %ld) = %ld code %d value %d", set, none.tv_nsec, result,
             information.si_code,
             information.si_code == SI_QUEUE ? information.si_value.sival_int : 0);
    }
}

static void signal_stack(void)
{
    static _Thread_local unsigned char area[256 * 1024]; /* for handlers on handlers */
    static const int flags[] = {0, 0, SS_DISABLE, 8, SS_ONSTACK};
    stack_t new = {
        .ss_sp = area, .ss_size = one_in(5) ? 100 : sizeof(area), .ss_flags = PICK(flags)};
    stack_t old = {0};
    long result = CALL(sigaltstack, one_in(3) ? NULL : &new, &old);
    line("sigaltstack(%zu, %d) = %ld old %zu %d", new.ss_size, new.ss_flags, result, old.ss_size,
         old.ss_flags);
}
