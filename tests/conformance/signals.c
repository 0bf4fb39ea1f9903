/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: dispositions, masks, pending sets, alternate stacks, synchronous faults with siginfo and
 * registers, repairing a fault from the handler, signals to blocked and to running threads of other
 * cores, nesting, EINTR and SA_RESTART. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0006~1
 *   ATL-LLR-GATE-0010~1 ATL-HLR-GATE-0003~1 */
#include "../waiting.h"

#include "fault.h"
#include <sys/mman.h>
#include <sys/syscall.h>

static volatile sig_atomic_t handled, last_signal, depth, depth_max;
static volatile long handler_thread;

static void count(int signal)
{
    last_signal = signal;
    handler_thread = syscall(SYS_gettid);
    handled++;
}

static void install(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
    handled = 0;
}

static void dispositions(void)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART}, old;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_EQUAL(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQUAL(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == count && (old.sa_flags & SA_RESTART) != 0);
    CHECK(sigismember(&old.sa_mask, SIGUSR2) == 1 && sigismember(&old.sa_mask, SIGINT) == 0);
    CHECK_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
    CHECK_ERRNO(sigaction(SIGSTOP, &action, NULL), EINVAL);
    CHECK_ERRNO(sigaction(0, &action, NULL), EINVAL);
    CHECK_ERRNO(sigaction(65, &action, NULL), EINVAL);
    handled = 0;
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(handled, 1);
    install(SIGUSR1, SIG_IGN, 0);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(handled, 0);
    install(SIGUSR1, count, (int)SA_RESETHAND);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(sigaction(SIGUSR1, NULL, &old), 0);
    CHECK(old.sa_handler == SIG_DFL);
}

static void masks(void)
{
    sigset_t set, old, pending;
    install(SIGUSR1, count, 0);
    install(SIGUSR2, count, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, &set, &old), 0);
    CHECK_EQUAL(sigismember(&old, SIGUSR1), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQUAL(handled, 0);
    CHECK_EQUAL(sigpending(&pending), 0);
    CHECK(sigismember(&pending, SIGUSR1) == 1 && sigismember(&pending, SIGUSR2) == 0);
    CHECK_EQUAL(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    CHECK_EQUAL(handled, 1); /* a standard signal does not queue */
    CHECK_EQUAL(sigpending(&pending), 0);
    CHECK_EQUAL(sigismember(&pending, SIGUSR1), 0);
    CHECK_ERRNO(sigprocmask(99, &set, NULL), EINVAL);
    sigfillset(&set);
    CHECK_EQUAL(sigprocmask(SIG_SETMASK, &set, NULL), 0);
    CHECK_EQUAL(sigprocmask(SIG_SETMASK, &old, &set), 0);
    CHECK(sigismember(&set, SIGKILL) == 0 && sigismember(&set, SIGTERM) == 1);
}

static void queued(void)
{
    sigset_t set, old;
    install(SIGRTMIN, count, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, &set, &old), 0);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(raise(SIGRTMIN), 0);
    }
    CHECK_EQUAL(sigprocmask(SIG_SETMASK, &old, NULL), 0);
    CHECK_EQUAL(handled, 5); /* a real-time signal queues */
}

static void nest(int signal)
{
    depth++;
    if (depth > depth_max) {
        depth_max = depth;
    }
    if (signal == SIGUSR1) {
        raise(SIGUSR1); /* blocked while handled: runs afterwards */
        raise(SIGUSR2); /* runs inside */
    }
    handled++;
    depth--;
    if (handled >= 6) {
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        sigaction(SIGUSR1, &ignore, NULL);
    }
}

static void nested(void)
{
    install(SIGUSR1, nest, 0);
    install(SIGUSR2, nest, 0);
    depth = depth_max = 0;
    raise(SIGUSR1);
    CHECK_EQUAL(depth, 0);
    CHECK_EQUAL(depth_max, 2);
    CHECK(handled >= 6);
}

static char alternate[64 << 10] __attribute__((aligned(16)));
static volatile uintptr_t handler_stack;

static void note_stack(int signal)
{
    stack_t now;
    char local;
    (void)signal;
    handler_stack = (uintptr_t)&local;
    CHECK_EQUAL(sigaltstack(NULL, &now), 0);
    CHECK((now.ss_flags & SS_ONSTACK) != 0);
    stack_t disable = {.ss_flags = SS_DISABLE};
    CHECK_ERRNO(sigaltstack(&disable, NULL), EPERM);
    handled++;
}

static void alternate_stack(void)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, old;
    stack_t small = {.ss_sp = alternate, .ss_size = 16}, bad = {.ss_flags = 0x1234};
    CHECK_ERRNO(sigaltstack(&small, NULL), ENOMEM);
    CHECK_ERRNO(syscall(SYS_sigaltstack, &bad, NULL), EINVAL);
    CHECK_EQUAL(sigaltstack(&stack, NULL), 0);
    install(SIGUSR1, note_stack, SA_ONSTACK);
    raise(SIGUSR1);
    CHECK_EQUAL(handled, 1);
    CHECK(handler_stack > (uintptr_t)alternate &&
          handler_stack < (uintptr_t)alternate + sizeof(alternate));
    stack.ss_flags = SS_DISABLE;
    CHECK_EQUAL(sigaltstack(&stack, &old), 0);
    CHECK(old.ss_sp == alternate && old.ss_size == sizeof(alternate) && old.ss_flags == 0);
}

static void divide(void *argument)
{
    (void)argument;
    __asm__ volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cltd\n idivl %%ecx" ::
                         : "eax", "ecx", "edx");
}

static void undefined(void *argument)
{
    (void)argument;
    __asm__ volatile("ud2");
}

static void breakpoint(void *argument)
{
    (void)argument;
    __asm__ volatile("int3");
}

static void general_protection(void *argument)
{
    (void)argument;
    (void)*(volatile char *)0x8000000000000000; /* not canonical */
}

static void synchronous(void)
{
    fault_install();
    struct fault fault = fault_run(fault_read, (void *)16);
    CHECK(fault.signal == SIGSEGV && fault.code == SEGV_MAPERR && fault.address == 16);
    fault = fault_run(divide, NULL);
    CHECK(fault.signal == SIGFPE && fault.code == FPE_INTDIV && fault.address == fault.rip);
    fault = fault_run(undefined, NULL);
    CHECK(fault.signal == SIGILL && fault.code == ILL_ILLOPN && fault.address == fault.rip);
    fault = fault_run(breakpoint, NULL);
    CHECK(fault.signal == SIGTRAP && fault.code == SI_KERNEL);
    fault = fault_run(general_protection, NULL);
    CHECK(fault.signal == SIGSEGV && fault.code == SI_KERNEL && fault.address == 0);
    fault = fault_run(fault_call, (void *)64);
    CHECK(fault.signal == SIGSEGV && fault.rip == 64 && fault.address == 64);
}

static char *repaired_page;

static void repair(int signal, siginfo_t *info, void *context)
{
    CHECK(signal == SIGSEGV && info->si_code == SEGV_ACCERR);
    CHECK_EQUAL((uintptr_t)info->si_addr, (uintptr_t)repaired_page + 8);
    CHECK_EQUAL(((ucontext_t *)context)->uc_mcontext.gregs[REG_RAX], 0x1234);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RBX] = 0x77; /* taken back by sigreturn */
    CHECK_EQUAL(mprotect(repaired_page, 4096, PROT_READ | PROT_WRITE), 0);
    handled++;
}

static void repair_and_continue(void)
{
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO};
    uint64_t rbx = 0x55;
    CHECK_EQUAL(sigaction(SIGSEGV, &action, NULL), 0);
    repaired_page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(repaired_page != MAP_FAILED);
    handled = 0;
    __asm__ volatile("mov %%rax, 8(%1)" : "+b"(rbx) : "r"(repaired_page), "a"(0x1234UL) : "memory");
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(rbx, 0x77);
    CHECK_EQUAL(*(uint64_t *)(repaired_page + 8), 0x1234);
    CHECK_EQUAL(munmap(repaired_page, 4096), 0);
}

static volatile int stop, has_ended;
static volatile long worker_thread;

static void *spin(void *argument)
{
    check_pin(1);
    worker_thread = syscall(SYS_gettid);
    while (!stop) {
    }
    return argument;
}

static void *sleep_until_stopped(void *argument)
{
    struct timespec hour = {3600, 0};
    check_pin(1);
    worker_thread = syscall(SYS_gettid);
    while (!stop) {
        CHECK_ERRNO(nanosleep(&hour, NULL), EINTR);
    }
    has_ended = 1;
    return argument;
}

static void signal_worker(void *(*body)(void *))
{
    install(SIGUSR1, count, 0);
    stop = 0;
    worker_thread = 0;
    pthread_t thread = check_thread(body, NULL);
    while (worker_thread == 0) {
        sched_yield();
    }
    for (int i = 0; i < 50; i++) {
        int before = handled;
        CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
        while (handled == before) {
            sched_yield();
        }
        CHECK_EQUAL(handler_thread, worker_thread);
    }
    stop = 1;
    check_join(thread);
    CHECK_EQUAL(handled, 50);
}

static void to_running_thread(void)
{
    signal_worker(spin);
}

/* A signal may come just before the worker sleeps again: repeat until it has ended. */
static void *nudge(void *argument)
{
    pthread_t thread = *(pthread_t *)argument;
    while (!has_ended) {
        pthread_kill(thread, SIGUSR1);
        check_sleep_ms(2);
    }
    return NULL;
}

static void to_blocked_thread(void)
{
    install(SIGUSR1, count, 0);
    stop = 0;
    pthread_t thread = check_thread(sleep_until_stopped, NULL);
    pthread_t nudger = check_thread(nudge, &thread);
    while (handled < 20) {
        sched_yield();
    }
    CHECK_EQUAL(handler_thread, worker_thread);
    CHECK_EQUAL(pthread_sigmask(SIG_BLOCK, NULL, NULL), 0);
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    check_join(nudger);
    check_join(thread);
}

static uint32_t futex_word;
static volatile long wait_result, wait_error;

static void *wait_on_futex(void *argument)
{
    check_pin(1);
    worker_thread = syscall(SYS_gettid);
    wait_result = syscall(SYS_futex, &futex_word, 128 /* WAIT | PRIVATE */, 0, NULL, NULL, 0);
    wait_error = errno;
    return argument;
}

/* A blocked call without a time limit: a handler ends it, or with SA_RESTART it goes on. */
static void interrupt_wait(int flags, long result, long error)
{
    install(SIGUSR1, count, flags);
    worker_thread = 0;
    futex_word = 0;
    pthread_t thread = check_thread(wait_on_futex, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    while (handled == 0) {
        sched_yield();
    }
    threads_await_waiting(result >= 0); /* again */
    CHECK_EQUAL(syscall(SYS_futex, &futex_word, 129 /* WAKE | PRIVATE */, 1), result < 0 ? 0 : 1);
    check_join(thread);
    CHECK_EQUAL(wait_result, result);
    CHECK(result >= 0 || wait_error == error);
}

static void restart(void)
{
    interrupt_wait(0, -1, EINTR);
    interrupt_wait(SA_RESTART, 0, 0);
}

static volatile long long rest_ns;

static void *long_sleep(void *argument)
{
    struct timespec time = {100, 0}, rest = {0, 0};
    worker_thread = syscall(SYS_gettid);
    CHECK_ERRNO(nanosleep(&time, &rest), EINTR);
    rest_ns = rest.tv_sec * 1000000000LL + rest.tv_nsec;
    return argument;
}

static void remaining_sleep(void)
{
    install(SIGUSR1, count, SA_RESTART); /* nanosleep never restarts after a handler */
    worker_thread = 0;
    pthread_t thread = check_thread(long_sleep, NULL);
    threads_await_waiting(1);
    check_sleep_ms(50);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    check_join(thread);
    CHECK(rest_ns > 50 * 1000000000LL && rest_ns < 100 * 1000000000LL - 10000000);
}

static void waiting(void)
{
    sigset_t set, old;
    struct timespec soon = {0, 5000000};
    siginfo_t info;
    install(SIGUSR1, count, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQUAL(sigprocmask(SIG_BLOCK, &set, &old), 0);
    CHECK_ERRNO(sigtimedwait(&set, &info, &soon), EAGAIN);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK(info.si_signo == SIGUSR1 && info.si_pid == getpid());
    CHECK(info.si_code == SI_TKILL || info.si_code == SI_USER); /* glibc says SI_USER for it */
    CHECK_EQUAL(handled, 0);
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_ERRNO(sigsuspend(&old), EINTR);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

static void to_process(void)
{
    install(SIGUSR1, count, 0);
    CHECK_EQUAL(kill(getpid(), SIGUSR1), 0);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(kill(getpid(), 0), 0);
    CHECK_ERRNO(kill(getpid(), 99), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0x3ffffff, SIGUSR1), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, -1, 1, SIGUSR1), EINVAL);
}

static sigjmp_buf after_abort;

static void leave_abort(int signal)
{
    (void)signal;
    siglongjmp(after_abort, 1);
}

static void abort_is_caught(void)
{
    install(SIGABRT, leave_abort, 0);
    if (sigsetjmp(after_abort, 1) == 0) {
        abort();
    }
    CHECK_EQUAL(raise(0), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"dispositions", dispositions},
        {"masks", masks},
        {"queued", queued},
        {"nested", nested},
        {"alternate_stack", alternate_stack},
        {"synchronous", synchronous},
        {"repair_and_continue", repair_and_continue},
        {"to_running_thread", to_running_thread},
        {"to_blocked_thread", to_blocked_thread},
        {"restart", restart},
        {"remaining_sleep", remaining_sleep},
        {"waiting", waiting},
        {"to_process", to_process},
        {"abort_is_caught", abort_is_caught},
    };
    return CHECK_MAIN(cases);
}
