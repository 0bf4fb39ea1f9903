/* SPDX-License-Identifier: Apache-2.0 */
/* Queues of signals: order and values of real-time signals, their limit, waiting for signals that
 * are ignored or that others get, signals that stop and continue, errors; then all cores block,
 * wake and run under a storm of signals and every count is exact. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0019~1 @robust
 *   ATL-LLR-SIGNAL-0001~1 ATL-LLR-SIGNAL-0002~1 ATL-LLR-SIGNAL-0005~1 ATL-LLR-SIGNAL-0045~1 */
#include "../waiting.h"

#include "check.h"
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define NOTES_MAX 64

static volatile int note_count;
static struct {
    int signal, value, code;
} notes[NOTES_MAX];

static void note(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (note_count < NOTES_MAX) {
        notes[note_count].signal = signal;
        notes[note_count].value = info->si_value.sival_int;
        notes[note_count].code = info->si_code;
        note_count++;
    }
}

static void install(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask); /* one after the other */
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
    note_count = 0;
}

static sigset_t set_of(int a, int b)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    sigaddset(&set, b);
    return set;
}

static void mask(int how, int a, int b)
{
    sigset_t set = set_of(a, b);
    CHECK_EQUAL(pthread_sigmask(how, &set, NULL), 0);
}

static int queue(int signal, int value)
{
    return sigqueue(getpid(), signal, (union sigval){.sival_int = value});
}

/* To one thread, with a value; glibc alone has a function for it. */
static long queue_to(long thread, int signal, int value)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = value;
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), thread, signal, &info);
}

/* The lower number first, and each in the order in which it was sent. */
static void order(void)
{
    int low = SIGRTMIN, high = SIGRTMIN + 5;
    install(high, note);
    install(low, note);
    mask(SIG_BLOCK, low, high);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(queue(high, 100 + i), 0);
        CHECK_EQUAL(queue(low, i), 0);
    }
    mask(SIG_UNBLOCK, low, high);
    CHECK_EQUAL(note_count, 10);
    for (int i = 0; i < 10; i++) {
        CHECK(notes[i].signal == (i < 5 ? low : high) && notes[i].code == SI_QUEUE);
        CHECK_EQUAL(notes[i].value, i < 5 ? i : 95 + i);
    }
    CHECK_EQUAL(queue_to(syscall(SYS_gettid), low, 7), 0);
    CHECK(note_count == 11 && notes[10].value == 7);
}

/* Never more than RLIMIT_SIGPENDING, and none of those is lost. */
static void limit(void)
{
    struct rlimit old, few = {8, 8};
    CHECK_EQUAL(getrlimit(RLIMIT_SIGPENDING, &old), 0);
    CHECK(old.rlim_cur > 8);
    few.rlim_max = old.rlim_max;
    CHECK_EQUAL(setrlimit(RLIMIT_SIGPENDING, &few), 0);
    install(SIGRTMIN, note);
    install(SIGUSR1, note);
    mask(SIG_BLOCK, SIGRTMIN, SIGUSR1);
    int sent = 0;
    while (sent < 100 && queue(SIGRTMIN, sent) == 0) {
        sent++;
    }
    CHECK(errno == EAGAIN && sent >= 1 && sent <= 8);
    CHECK_EQUAL(kill(getpid(), SIGUSR1), 0); /* a standard one always finds room */
    mask(SIG_UNBLOCK, SIGRTMIN, SIGUSR1);
    CHECK_EQUAL(note_count, sent + 1);
    CHECK_EQUAL(setrlimit(RLIMIT_SIGPENDING, &old), 0);
}

static void waits(void)
{
    sigset_t set = set_of(SIGURG, SIGCHLD); /* both ignored by default */
    struct timespec zero = {0, 0};
    siginfo_t info;
    CHECK(signal(SIGURG, SIG_DFL) != SIG_ERR && signal(SIGCHLD, SIG_DFL) != SIG_ERR);
    CHECK_EQUAL(kill(getpid(), SIGURG), 0);
    mask(SIG_BLOCK, SIGURG, SIGCHLD);
    CHECK_ERRNO(sigtimedwait(&set, &info, &zero), EAGAIN); /* it was not blocked then */
    CHECK_EQUAL(kill(getpid(), SIGURG), 0);
    CHECK_EQUAL(queue(SIGCHLD, 5), 0);
    CHECK_EQUAL(sigtimedwait(&set, &info, &zero), SIGCHLD);
    CHECK(info.si_code == SI_QUEUE && info.si_value.sival_int == 5);
    CHECK_EQUAL(sigwaitinfo(&set, NULL), SIGURG);
    mask(SIG_UNBLOCK, SIGURG, SIGCHLD);
    struct timespec bad = {0, 1000000000};
    CHECK_ERRNO(sigtimedwait(&set, &info, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, 8, NULL, NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 4), EINVAL);
}

static void *wait_for_urgent(void *argument)
{
    sigset_t set = set_of(SIGURG, SIGURG);
    int signal = 0;
    CHECK_EQUAL(sigwait(&set, &signal), 0);
    *(int *)argument = signal;
    return argument;
}

/* A thread waits; the process gets the signal while nobody has it open. */
static void waits_in_a_thread(void)
{
    int got = 0;
    mask(SIG_BLOCK, SIGURG, SIGURG);
    pthread_t thread = check_thread(wait_for_urgent, &got);
    threads_await_waiting(1);
    CHECK_EQUAL(kill(getpid(), SIGURG), 0);
    check_join(thread);
    CHECK_EQUAL(got, SIGURG);
    mask(SIG_UNBLOCK, SIGURG, SIGURG);
}

static int is_pending(int signal)
{
    sigset_t set;
    CHECK_EQUAL(sigpending(&set), 0);
    return sigismember(&set, signal);
}

/* The two kinds take each other out of the queue; nothing stops while they are blocked. */
static void stop_and_continue(void)
{
    install(SIGTSTP, note);
    install(SIGCONT, note);
    mask(SIG_BLOCK, SIGTSTP, SIGCONT);
    CHECK_EQUAL(raise(SIGTSTP), 0);
    CHECK(is_pending(SIGTSTP));
    CHECK_EQUAL(raise(SIGCONT), 0);
    CHECK(!is_pending(SIGTSTP) && is_pending(SIGCONT));
    CHECK_EQUAL(raise(SIGTSTP), 0);
    CHECK(is_pending(SIGTSTP) && !is_pending(SIGCONT));
    mask(SIG_UNBLOCK, SIGTSTP, SIGCONT);
    CHECK(note_count == 1 && notes[0].signal == SIGTSTP);
}

static void errors(void)
{
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(0x3ffffff, 65), ESRCH);
    CHECK_ERRNO(kill(0x3ffffff, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_tkill, 0x3ffffff, 65), ESRCH);
    CHECK_ERRNO(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, syscall(SYS_gettid), 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, 0x3ffffff, syscall(SYS_gettid), SIGUSR1), ESRCH);
    CHECK_ERRNO(queue(65, 0), EINVAL);
    CHECK_ERRNO(queue_to(0x3ffffff, SIGUSR1, 0), ESRCH);
    CHECK_ERRNO(queue_to(-1, SIGUSR1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8), EFAULT);
    CHECK_EQUAL(queue_to(syscall(SYS_gettid), 0, 0), 0);
}

/* ---- the storm */
#define STORM_THREADS_MAX 16

static struct player {
    pthread_t thread;
    _Atomic long id;
    sem_t turn;
    _Atomic long queued_to, values_to; /* sent to it: how many, and the sum of the values */
    _Atomic long queued, values;       /* its handler saw */
    _Atomic long kicked_by, kicks;
} players[STORM_THREADS_MAX];
static int player_count;
static _Atomic long alarms, tokens, finished;
static _Thread_local struct player *me;

static void on_queued(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    me->queued++;
    me->values += info->si_value.sival_int;
}

static void on_kick(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    me->kicks++;
}

static void on_alarm(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    alarms++;
}

static void send_some(unsigned long long *random)
{
    struct player *other = &players[check_random(random) % (unsigned)player_count];
    int value = (int)(check_random(random) % 1000);
    while (queue_to(other->id, SIGRTMIN + 1, value) != 0) {
        CHECK_EQUAL(errno, EAGAIN); /* as many as may be are queued */
        sched_yield();
    }
    other->queued_to++;
    other->values_to += value;
    other = &players[check_random(random) % (unsigned)player_count];
    other->kicked_by++;
    CHECK_EQUAL(pthread_kill(other->thread, SIGUSR1), 0);
}

static void *play(void *argument)
{
    long number = (long)(intptr_t)argument;
    unsigned long long random = (unsigned long long)number + 1;
    me = &players[number];
    me->id = syscall(SYS_gettid);
    me->thread = pthread_self(); /* the creator may learn it later than the others need it */
    check_pin((int)number);
    tokens++;
    while (tokens < player_count) { /* everybody can be sent to */
        sched_yield();
    }
    mask(SIG_UNBLOCK, SIGUSR1, SIGRTMIN + 1);
    mask(SIG_UNBLOCK, SIGALRM, SIGALRM);
    for (long i = 0; i < check_count(300); i++) {
        while (sem_wait(&me->turn) != 0) {
            CHECK_EQUAL(errno, EINTR);
        }
        send_some(&random);
        CHECK_EQUAL(sem_post(&players[(number + 1) % player_count].turn), 0);
        for (volatile unsigned long work = check_random(&random) % 2000; work > 0; work--) {
        }
    }
    finished++;
    while (finished < player_count || me->queued < me->queued_to) {
        sched_yield();
    }
    return NULL;
}

static void storm(void)
{
    pthread_t threads[STORM_THREADS_MAX];
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
    player_count = 2 * check_all_cores_count < STORM_THREADS_MAX ? 2 * check_all_cores_count
                                                                 : STORM_THREADS_MAX;
    player_count = player_count < 4 ? 4 : player_count;
    install(SIGRTMIN + 1, on_queued);
    install(SIGUSR1, on_kick);
    install(SIGALRM, on_alarm);
    mask(SIG_BLOCK, SIGUSR1, SIGRTMIN + 1);
    mask(SIG_BLOCK, SIGALRM, SIGALRM);
    for (long i = 0; i < player_count; i++) {
        CHECK_EQUAL(sem_init(&players[i].turn, 0, i % 2), 0); /* half of them may begin */
    }
    CHECK_EQUAL(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (long i = 0; i < player_count; i++) {
        threads[i] = check_thread(play, (void *)i);
    }
    for (int i = 0; i < player_count; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(setitimer(ITIMER_REAL, &never, NULL), 0);
    long sent = 0, left = 0;
    for (int i = 0; i < player_count; i++) {
        int value;
        CHECK_EQUAL(sem_getvalue(&players[i].turn, &value), 0);
        left += value;
        CHECK_EQUAL(players[i].queued, players[i].queued_to);
        CHECK_EQUAL(players[i].values, players[i].values_to);
        CHECK(players[i].kicks <= players[i].kicked_by);
        CHECK(players[i].kicks > 0 || players[i].kicked_by == 0);
        sent += players[i].queued_to;
    }
    CHECK_EQUAL(left, player_count / 2); /* no turn was lost or won */
    CHECK_EQUAL(sent, check_count(300) * player_count);
    CHECK(alarms > 0);
    mask(SIG_UNBLOCK, SIGUSR1, SIGRTMIN + 1);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"order", order},
        {"limit", limit},
        {"waits", waits},
        {"waits_in_a_thread", waits_in_a_thread},
        {"stop_and_continue", stop_and_continue},
        {"errors", errors},
        {"storm", storm},
    };
    return CHECK_MAIN(cases);
}
