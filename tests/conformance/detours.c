/* SPDX-License-Identifier: Apache-2.0 */
/* System-call sites that a packer may rewrite look as they were written: to single steps, to
 * signals that come anywhere in them, to whoever jumps or returns into them, and in the program's
 * file. Fault injection: --break CASE.
 *
 * @verifies ATL-LLR-POSIX-0007~1 ATL-HLR-POSIX-0007~1
 * @verifies ATL-LLR-LOAD-0013~1 ATL-LLR-LOAD-0014~1
 * @verifies ATL-LLR-LOAD-0015~1 ATL-HLR-CONF-0004~1 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#define STEPS_MAX 64
#define CODE __attribute__((visibility("hidden"))) extern const uint8_t

/* Offsets are kept instead of addresses: a word that is the address of a place keeps a packer from
 * rewriting what is there. */
CODE __ehdr_start[]; /* the linker's: start of the file in memory, as far as its text */
CODE stepped[], stepped_end[], looped[], looped_end[], entered[], trapped[];
extern const uint16_t step_offsets[];
long looped_calls(long rounds, long *mismatches, long expected);

__asm__(".text\n"
        ".globl stepped, stepped_end\n.type stepped, @function\n"
        "stepped: pushfq\n orl $0x100, (%rsp)\n popfq\n"
        "mov $39, %eax\n" /* getpid */
        "101: syscall\n nop\n"
        "102: mov $186, %esi\n" /* gettid */
        "103: mov %rsi, %rax\n"
        "104: syscall\n nop\n"
        "105: mov $39, %eax\n"
        "106: mov %edx, %edi\n"
        "107: syscall\n nop\n"
        "108: mov $39, %eax\n"
        "109: mov %edx, %edi\n"
        "110: mov %edi, %edx\n"
        "111: syscall\n nop\n"
        "112: pushfq\n"
        "113: andl $-257, (%rsp)\n"
        "114: popfq\n"
        "115: ret\n"
        "stepped_end: .size stepped, . - stepped\n"
        ".section .rodata\n.balign 2\n.globl step_offsets\n"
        "step_offsets:\n"
        ".irp n,101,102,103,104,105,106,107,108,109,110,111,112,113,114,115\n"
        ".2byte \\n\\()b - stepped\n.endr\n.2byte 0\n"
        /* rdi rounds; each makes two calls and counts those with a wrong result or register */
        ".text\n.globl looped_calls, looped, looped_end\n.type looped_calls, @function\n"
        "looped_calls: push %rbx\n push %r12\n push %r13\n"
        "mov %rdi, %rbx\n mov %rdx, %r12\n mov %rsi, %r13\n"
        "looped: movl $1, in_loop(%rip)\n"
        "1: mov $39, %eax\n syscall\n"
        "cmp %rax, %r12\n je 2f\n incq (%r13)\n"
        "2: mov %r12, %r10\n lea -5(%rbx), %r9\n"
        "mov $39, %edi\n"
        "mov %rdi, %rax\n syscall\n"
        "cmp %rax, %r12\n jne 3f\n cmp %r10, %r12\n jne 3f\n"
        "lea 5(%r9), %r8\n cmp %r8, %rbx\n je 4f\n"
        "3: incq (%r13)\n"
        "4: dec %rbx\n jnz 1b\n"
        "movl $0, in_loop(%rip)\n"
        "looped_end: pop %r13\n pop %r12\n pop %rbx\n ret\n"
        ".size looped_calls, . - looped_calls\n"
        /* two instructions and the call in six bytes: each of the three is entered */
        ".globl entered, trapped\n.type entered, @function\n"
        "entered: mov %esi, %edi\n mov %edx, %esi\n syscall\n ud2\n"
        ".size entered, . - entered\n"
        ".type trapped, @function\n"
        "trapped: ud2\n ret\n"
        ".size trapped, . - trapped\n");

static uintptr_t seen[STEPS_MAX];
static volatile int seen_count;

static void install(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaddset(&action.sa_mask, SIGUSR1); /* no handler is looked at by another */
    sigaddset(&action.sa_mask, SIGALRM);
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

static greg_t *registers_of(void *context)
{
    return ((ucontext_t *)context)->uc_mcontext.gregs;
}

static void note_step(int signal, siginfo_t *info, void *context)
{
    uintptr_t rip = (uintptr_t)registers_of(context)[REG_RIP];
    (void)signal;
    if (seen_count < STEPS_MAX && (uintptr_t)info->si_addr == rip) {
        seen[seen_count++] = rip - (uintptr_t)stepped;
    }
}

/* Whether a trap comes right behind a `syscall` differs between processors. */
static void steps(void)
{
    install(SIGTRAP, note_step);
    seen_count = 0;
    ((void (*)(void))(uintptr_t)stepped)();
    int expected = 0;
    for (int i = 0; i < seen_count; i++) {
        const uint8_t *before = stepped + seen[i] - 2;
        if (before[0] != 0x0f || before[1] != 0x05 || seen[i] == step_offsets[expected]) {
            CHECK_EQUAL(seen[i], step_offsets[expected]);
            expected++;
        }
    }
    CHECK_EQUAL(step_offsets[expected], 0);
}

volatile int in_loop; /* written in the loop itself */
static volatile int done;
static volatile long looks, outside, different;
static volatile uint8_t looked_at[256];

static void look(int signal, siginfo_t *info, void *context)
{
    uintptr_t rip = (uintptr_t)registers_of(context)[REG_RIP];
    (void)signal, (void)info;
    if (!in_loop) {
        return;
    }
    looks++;
    if (rip < (uintptr_t)looped || rip > (uintptr_t)looped_end) {
        outside++;
    } else if (!looked_at[rip - (uintptr_t)looped]) {
        looked_at[rip - (uintptr_t)looped] = 1;
        different++;
    }
}

static void *disturb(void *thread)
{
    check_pin(1);
    while (!done) {
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
        sched_yield();
    }
    return NULL;
}

/* Signals at any instruction of a loop of calls: nothing else is shown, and no call goes wrong. */
static void signals_anywhere(void)
{
    pthread_t self = pthread_self();
    long mismatches = 0;
    check_pin(0);
    install(SIGUSR1, look);
    done = 0;
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL); /* the other thread never takes it */
    pthread_t other = check_thread(disturb, &self);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    /* On one core the other thread runs only while this one yields: there a timer's signals are
     * those that come within the loop. */
    const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {0};
    install(SIGALRM, look);
    CHECK_EQUAL(setitimer(ITIMER_REAL, &often, NULL), 0);
    for (long i = 0; looks == 0 || (i < 200 && (looks < 500 || different < 3)); i++) {
        looped_calls(check_count(2000), &mismatches, getpid());
        sched_yield();
    }
    CHECK_EQUAL(setitimer(ITIMER_REAL, &never, NULL), 0);
    done = 1;
    check_join(other);
    CHECK_EQUAL(mismatches, 0);
    CHECK_EQUAL(outside, 0);
}

static uintptr_t enter_at;
static greg_t left[NGREG];

/* At `trapped`: goes on in the middle of the site. Behind the site: back to where that was called.
 */
static void enter(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = registers_of(context);
    (void)signal, (void)info;
    if ((uintptr_t)registers[REG_RIP] == (uintptr_t)trapped) {
        registers[REG_RIP] = (greg_t)enter_at;
        registers[REG_RAX] = SYS_getpid;
        registers[REG_RDI] = 1, registers[REG_RSI] = 2, registers[REG_RDX] = 3;
    } else {
        memcpy(left, registers, sizeof(left));
        registers[REG_RIP] = (greg_t)(uintptr_t)trapped + 2;
    }
}

static void entered_anywhere(void)
{
    static const struct {
        uintptr_t offset;
        long rdi, rsi;
    } rows[] = {{0, 2, 3}, {2, 1, 3}, {4, 1, 2}};
    install(SIGILL, enter);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enter_at = (uintptr_t)entered + rows[i].offset;
        ((void (*)(void))(uintptr_t)trapped)();
        CHECK_EQUAL(left[REG_RIP], (uintptr_t)entered + 6);
        CHECK_EQUAL(left[REG_RAX], getpid());
        CHECK_EQUAL(left[REG_RDI], rows[i].rdi);
        CHECK_EQUAL(left[REG_RSI], rows[i].rsi);
        CHECK_EQUAL(left[REG_RCX], (uintptr_t)entered + 6);
        CHECK_EQUAL(left[REG_R11] & 0xcd5, left[REG_EFL] & 0xcd5);
    }
}

/* The file is what was built, whatever the loader made of it in memory. */
static void the_file(void)
{
    uint8_t bytes[8];
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK(file >= 0);
    CHECK_EQUAL(pread(file, bytes, sizeof(bytes), entered - __ehdr_start), sizeof(bytes));
    CHECK(memcmp(bytes, "\x89\xf7\x89\xd6\x0f\x05\x0f\x0b", sizeof(bytes)) == 0);
    CHECK_EQUAL(close(file), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"steps", steps},
        {"signals_anywhere", signals_anywhere},
        {"entered_anywhere", entered_anywhere},
        {"the_file", the_file},
    };
    return CHECK_MAIN(cases);
}
