/* SPDX-License-Identifier: Apache-2.0 */
/* What programs rely on at the edge of the system and seldom state: memory below the stack pointer
 * is left alone by calls, the thread's tid word is cleared and one waiter woken at its end, the
 * vDSO tells the time of the system calls without making one, and application code goes on only
 * when the signals that interrupted it are handled. Fault injection: --break CASE.
 *
 * @verifies ATL-LLR-POSIX-0001~2 ATL-LLR-POSIX-0002~1
 * @verifies ATL-LLR-POSIX-0026~1 ATL-LLR-POSIX-0033~1 */
#include "fault.h"
#include <elf.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PAGE 4096
#define BELOW_BYTES 2048

/* musl-gcc does not see the headers of Linux. */
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3 };

/* Fills the bytes below the stack pointer, makes a call with up to four arguments, and returns how
 * many of those bytes have changed. No signal may come. */
__attribute__((noinline)) static long changed_below_stack(long number, long a, long b, long c,
                                                          long d)
{
    register long fourth __asm__("r10") = d;
    long changed = 0, ignored = number;
    __asm__ volatile("sub $256, %%rsp\n" /* the compiler's own use ends above */
                     "lea -%c[bytes](%%rsp), %%r12\n"
                     "mov %[count], %%r13d\n"
                     "1: movb $0xa5, -1(%%r12,%%r13)\n dec %%r13\n jnz 1b\n"
                     "syscall\n"
                     "mov %[count], %%r13d\n"
                     "2: cmpb $0xa5, -1(%%r12,%%r13)\n je 3f\n inc %[changed]\n"
                     "3: dec %%r13\n jnz 2b\n add $256, %%rsp\n"
                     : "+a"(ignored), [changed] "+r"(changed)
                     : "D"(a), "S"(b), "d"(c),
                       "r"(fourth), [bytes] "i"(BELOW_BYTES), [count] "i"(BELOW_BYTES)
                     : "rcx", "r11", "r12", "r13", "memory", "cc");
    return changed;
}

static void below_the_stack(void)
{
    static uint32_t word;
    struct timespec soon = {0, 1000000};
    char *lazy = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(lazy != MAP_FAILED);
    for (int i = 0; i < 16; i++) {
        CHECK_EQUAL(changed_below_stack(SYS_getppid, 0, 0, 0, 0), 0);
        CHECK_EQUAL(changed_below_stack(SYS_sched_yield, 0, 0, 0, 0), 0);
        CHECK_EQUAL(changed_below_stack(SYS_getrandom, (long)(lazy + i * PAGE), 32, 0, 0), 0);
        CHECK_EQUAL(changed_below_stack(SYS_clock_nanosleep, 1, 0, (long)&soon, 0), 0);
        CHECK_EQUAL(changed_below_stack(SYS_futex, (long)&word, FUTEX_WAIT, 0, (long)&soon), 0);
        CHECK_EQUAL(changed_below_stack(SYS_mprotect, (long)lazy, 16 * PAGE, PROT_READ, 0), 0);
        CHECK_EQUAL(
            changed_below_stack(SYS_mprotect, (long)lazy, 16 * PAGE, PROT_READ | PROT_WRITE, 0), 0);
        CHECK_EQUAL(changed_below_stack(100000, 0, 0, 0, 0), 0);
        CHECK_EQUAL(changed_below_stack(SYS_write, 1, (long)lazy, 0, 0), 0);
    }
    munmap(lazy, 16 * PAGE);
}

static _Atomic uint32_t tid_word, queue_word, may_end;
static _Atomic int woken, timed_out;

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const void *timeout,
                  _Atomic uint32_t *second)
{
    return syscall(SYS_futex, word, operation, value, timeout, second, 0);
}

static void *ends_with_tid_word(void *argument)
{
    (void)argument;
    tid_word = (uint32_t)syscall(SYS_gettid);
    CHECK_EQUAL(syscall(SYS_set_tid_address, &tid_word), syscall(SYS_gettid));
    while (may_end == 0) {
        futex(&may_end, FUTEX_WAIT, 0, NULL, NULL);
    }
    syscall(SYS_exit, 0);
    return NULL;
}

static void *waits_for_tid_word(void *argument)
{
    struct timespec limit = {1, 0};
    (void)argument;
    if (futex(&queue_word, FUTEX_WAIT, 0, &limit, NULL) == 0) {
        woken++;
    } else {
        CHECK_EQUAL(errno, ETIMEDOUT);
        timed_out++;
    }
    return NULL;
}

/* Two waiters are moved from another word onto the tid word, so that both surely wait there. */
static void tid_word_at_end(void)
{
    pthread_attr_t detached;
    pthread_t thread, waiters[2];
    tid_word = 0;
    CHECK_EQUAL(pthread_attr_init(&detached), 0);
    CHECK_EQUAL(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED), 0);
    CHECK_EQUAL(pthread_create(&thread, &detached, ends_with_tid_word, NULL), 0);
    waiters[0] = check_thread(waits_for_tid_word, NULL);
    waiters[1] = check_thread(waits_for_tid_word, NULL);
    for (long moved = 0; moved < 2; sched_yield()) {
        long count = syscall(SYS_futex, &queue_word, FUTEX_REQUEUE, 0, 2L, &tid_word, 0);
        CHECK(count >= 0);
        moved += count;
    }
    may_end = 1;
    futex(&may_end, FUTEX_WAKE, INT_MAX, NULL, NULL);
    check_join(waiters[0]);
    check_join(waiters[1]);
    CHECK_EQUAL(tid_word, 0);
    CHECK_EQUAL(woken, 1);
    CHECK_EQUAL(timed_out, 1);
}

typedef int (*clock_function)(clockid_t, struct timespec *);

/* The address of a dynamic symbol of the vDSO, whose segments lie as in its file. */
static clock_function vdso_symbol(const char *name)
{
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    CHECK(base != NULL);
    const Elf64_Ehdr *header = (const void *)base;
    const Elf64_Shdr *sections = (const void *)(base + header->e_shoff);
    const Elf64_Phdr *segments = (const void *)(base + header->e_phoff);
    uint64_t bias = 0;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD) {
            bias = (uintptr_t)base + segments[i].p_offset - segments[i].p_vaddr;
        }
    }
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM) {
            continue;
        }
        const Elf64_Sym *symbols = (const void *)(base + sections[i].sh_offset);
        const char *names = base + sections[sections[i].sh_link].sh_offset;
        for (uint64_t s = 0; s < sections[i].sh_size / sizeof(*symbols); s++) {
            if (strcmp(names + symbols[s].st_name, name) == 0) {
                return (clock_function)(bias + symbols[s].st_value);
            }
        }
    }
    return NULL;
}

static volatile sig_atomic_t steps, calls;

static void look_at_step(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    const unsigned char *next = (const void *)interrupted->uc_mcontext.gregs[REG_RIP];
    (void)signal;
    (void)info;
    steps++;
    calls += next[0] == 0x0f && next[1] == 0x05;
}

static int stepped(clock_function function, clockid_t clock, struct timespec *time)
{
    int result;
    __asm__ volatile("sub $128, %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "call *%[function]\n"
                     "pushfq\n andq $~0x100, (%%rsp)\n popfq\n add $128, %%rsp\n"
                     : "=a"(result), "+D"(clock), "+S"(time)
                     : [function] "r"(function)
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

static long long nanoseconds(struct timespec time)
{
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void vdso_time(void)
{
    static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    struct sigaction action = {.sa_sigaction = look_at_step, .sa_flags = SA_SIGINFO}, old;
    clock_function function = vdso_symbol("__vdso_clock_gettime");
    CHECK(function != NULL);
    for (int i = 0; i < 1000; i++) {
        struct timespec before, between, after;
        clockid_t clock = clocks[i % 2];
        CHECK_EQUAL(syscall(SYS_clock_gettime, clock, &before), 0);
        CHECK_EQUAL(function(clock, &between), 0);
        CHECK_EQUAL(syscall(SYS_clock_gettime, clock, &after), 0);
        CHECK(nanoseconds(before) <= nanoseconds(between));
        CHECK(nanoseconds(between) <= nanoseconds(after));
    }
    CHECK_EQUAL(sigaction(SIGTRAP, &action, &old), 0);
    for (int i = 0; i < 2; i++) {
        struct timespec time;
        steps = 0;
        CHECK_EQUAL(stepped(function, clocks[i], &time), 0);
        CHECK(steps > 5);
        CHECK_EQUAL(calls, 0);
    }
    CHECK_EQUAL(sigaction(SIGTRAP, &old, NULL), 0);
}

#define PAGES 64
static _Thread_local volatile int repairs;

static void repair(int signal, siginfo_t *info, void *context)
{
    uintptr_t page = (uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1);
    (void)signal;
    (void)context;
    repairs++;
    CHECK_EQUAL(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE), 0);
}

static void *write_refused_pages(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    char *pages = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    for (int i = 0; i < PAGES; i++) {
        pages[i * PAGE + i] = (char)i;
        CHECK_EQUAL(repairs, i + 1);
    }
    for (int i = 0; i < PAGES; i++) {
        CHECK_EQUAL(pages[i * PAGE + i], i);
    }
    munmap(pages, PAGES * PAGE);
    return NULL;
}

static _Atomic int handled, is_spinning, may_stop;

static void count_signal(int signal)
{
    (void)signal;
    handled++;
}

static void *spin(void *argument)
{
    check_pin((int)(uintptr_t)argument);
    is_spinning = 1;
    while (!may_stop) {
    }
    return NULL;
}

/* A fault is repaired by its handler before the instruction runs again: exactly one each. A thread
 * that makes no calls handles each signal before the next is sent, and goes on. */
static void resumed_after_handlers(void)
{
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO}, old;
    struct sigaction count = {.sa_handler = count_signal};
    pthread_t threads[4];
    CHECK_EQUAL(sigaction(SIGSEGV, &action, &old), 0);
    CHECK_EQUAL(sigaction(SIGUSR1, &count, NULL), 0);
    for (uintptr_t i = 0; i < 4; i++) {
        threads[i] = check_thread(write_refused_pages, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(sigaction(SIGSEGV, &old, NULL), 0);
    pthread_t spinner = check_thread(spin, (void *)1);
    while (!is_spinning) {
        sched_yield();
    }
    for (int i = 0; i < 200; i++) {
        CHECK_EQUAL(pthread_kill(spinner, SIGUSR1), 0);
        while (handled == i) {
            sched_yield();
        }
        CHECK_EQUAL(handled, i + 1);
    }
    may_stop = 1;
    check_join(spinner);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"below_the_stack", below_the_stack},
                                              {"tid_word_at_end", tid_word_at_end},
                                              {"vdso_time", vdso_time},
                                              {"resumed_after_handlers", resumed_after_handlers}};
    return CHECK_MAIN(cases);
}
