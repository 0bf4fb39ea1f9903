/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler is told and may change: registers, vector state in its XSAVE layout, mask and
 * stacks; codes and addresses of every kind of fault; faults that are mended or jumped out of.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0018~1
 *   ATL-LLR-SIGNAL-0020~1 ATL-LLR-SIGNAL-0021~1 ATL-LLR-POSIX-0006~1 */
#include "check.h"
#include <cpuid.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096
#define MARKS_OFFSET 464 /* of Linux's software bytes in the XSAVE area */
#define MAGIC_1 0x46505853u
#define MAGIC_2 0x46505845u
#define XMM_OFFSET 160
#ifndef TRAP_TRACE
#define TRAP_TRACE 2
#endif

static void install(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

/* ---- registers */
static const int numbers[] = {REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_R8,  REG_R9,
                              REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RAX};
static volatile int handled;

static void change_registers(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    CHECK_EQUAL(signal, SIGILL);
    CHECK_EQUAL((uintptr_t)info->si_addr, registers[REG_RIP]);
    CHECK((registers[REG_EFL] & 0x41) == 0x41); /* ZF and CF, as they were set */
    for (int i = 0; i < 14; i++) {
        CHECK_EQUAL((uint64_t)registers[numbers[i]], 0x1111111111111111ULL * (unsigned)(i + 1));
        registers[numbers[i]] = ~registers[numbers[i]];
    }
    registers[REG_EFL] &= ~0x41LL;
    registers[REG_RIP] += 2; /* behind the ud2 */
    handled++;
}

static void registers(void)
{
    uint64_t out[15];
    install(SIGILL, change_registers, 0);
    handled = 0;
    __asm__ volatile("push %%rbp\n push %%rbx\n mov %0, %%rbp\n"
                     "mov $0x1111111111111111, %%rbx\n mov $0x2222222222222222, %%rcx\n"
                     "mov $0x3333333333333333, %%rdx\n mov $0x4444444444444444, %%rsi\n"
                     "mov $0x5555555555555555, %%rdi\n mov $0x6666666666666666, %%r8\n"
                     "mov $0x7777777777777777, %%r9\n mov $0x8888888888888888, %%r10\n"
                     "mov $0x9999999999999999, %%r11\n mov $0xaaaaaaaaaaaaaaaa, %%r12\n"
                     "mov $0xbbbbbbbbbbbbbbbb, %%r13\n mov $0xcccccccccccccccc, %%r14\n"
                     "mov $0xdddddddddddddddd, %%r15\n"
                     "xor %%eax, %%eax\n stc\n mov $0xeeeeeeeeeeeeeeee, %%rax\n"
                     "ud2\n"
                     "mov %%rax, 104(%%rbp)\n pushfq\n pop %%rax\n mov %%rax, 112(%%rbp)\n"
                     "mov %%rbx, (%%rbp)\n mov %%rcx, 8(%%rbp)\n mov %%rdx, 16(%%rbp)\n"
                     "mov %%rsi, 24(%%rbp)\n mov %%rdi, 32(%%rbp)\n mov %%r8, 40(%%rbp)\n"
                     "mov %%r9, 48(%%rbp)\n mov %%r10, 56(%%rbp)\n mov %%r11, 64(%%rbp)\n"
                     "mov %%r12, 72(%%rbp)\n mov %%r13, 80(%%rbp)\n mov %%r14, 88(%%rbp)\n"
                     "mov %%r15, 96(%%rbp)\n pop %%rbx\n pop %%rbp\n"
                     :
                     : "a"(out)
                     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc");
    CHECK_EQUAL(handled, 1);
    for (int i = 0; i < 14; i++) {
        CHECK_EQUAL(out[i], ~(0x1111111111111111ULL * (unsigned)(i + 1)));
    }
    CHECK_EQUAL(out[14] & 0x41, 0);
}

/* ---- vector state */
static unsigned has_avx, ymm_offset;

static void change_vectors(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    uint8_t *area = (uint8_t *)user->uc_mcontext.fpregs;
    uint32_t magic, bytes, state_bytes, end;
    uint64_t features, header;
    (void)signal, (void)info;
    CHECK((uintptr_t)area % 64 == 0 && (user->uc_flags & 1) != 0);
    memcpy(&magic, area + MARKS_OFFSET, 4);
    memcpy(&bytes, area + MARKS_OFFSET + 4, 4);
    memcpy(&features, area + MARKS_OFFSET + 8, 8);
    memcpy(&state_bytes, area + MARKS_OFFSET + 16, 4);
    memcpy(&end, area + state_bytes, 4);
    memcpy(&header, area + 512, 8);
    CHECK(magic == MAGIC_1 && end == MAGIC_2);
    CHECK(state_bytes >= 576 && bytes == state_bytes + 4);
    CHECK((features & 3) == 3 && (header & 2) != 0 && (header & ~features) == 0);
    for (int i = 0; i < 16; i++) {
        CHECK(area[XMM_OFFSET + 16 * i] == 0x10 + i && area[XMM_OFFSET + 16 * i + 15] == 0x10 + i);
    }
    memset(area + XMM_OFFSET + 16 * 3, 0x77, 16);
    if (has_avx) {
        CHECK((features & 4) != 0 && area[ymm_offset] == 0x40 &&
              area[ymm_offset + 16 * 15] == 0x4f);
        memset(area + ymm_offset + 16 * 4, 0x78, 16);
    }
    /* The handler's own use of these must not be seen. */
    __asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm15, %%xmm15" ::: "xmm0", "xmm15");
    user->uc_mcontext.gregs[REG_RIP] += 2;
    handled++;
}

#define LOAD(i) "movdqu 16*" #i "(%0), %%xmm" #i "\n"
#define STORE(i) "movdqu %%xmm" #i ", 16*" #i "(%0)\n"
#define LOAD_WIDE(i) "vmovdqu 32*" #i "(%0), %%ymm" #i "\n"
#define STORE_WIDE(i) "vmovdqu %%ymm" #i ", 32*" #i "(%0)\n"
#define EACH(f)                                                                                    \
    f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define VECTORS                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory"

static void vectors(void)
{
    static uint8_t state[16][32];
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    has_avx = (c >> 28 & 1) != 0 && (c >> 27 & 1) != 0;
    if (has_avx) {
        __cpuid_count(13, 2, a, ymm_offset, c, d);
    }
    install(SIGILL, change_vectors, 0);
    handled = 0;
    for (int i = 0; i < 16; i++) {
        memset(has_avx ? state[i] : state[0] + 16 * i, 0x10 + i, 16);
        if (has_avx) {
            memset(state[i] + 16, 0x40 + i, 16);
        }
    }
    if (has_avx) {
        __asm__ volatile(EACH(LOAD_WIDE) "ud2\n" EACH(STORE_WIDE) "vzeroupper\n"
                         :
                         : "r"(state)
                         : VECTORS);
    } else {
        __asm__ volatile(EACH(LOAD) "ud2\n" EACH(STORE) : : "r"(state) : VECTORS);
    }
    CHECK_EQUAL(handled, 1);
    for (int i = 0; i < 16; i++) {
        CHECK_EQUAL((has_avx ? state[i] : state[0] + 16 * i)[7], i == 3 ? 0x77 : 0x10 + i);
        CHECK(!has_avx || state[i][20] == (i == 4 ? 0x78 : 0x40 + i));
    }
}

/* ---- mask and stacks */
static char alternate[64 << 10] __attribute__((aligned(16)));

static void look_at_mask(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    sigset_t now;
    CHECK(signal == SIGUSR1 && info->si_signo == SIGUSR1 && info->si_pid == getpid());
    CHECK_EQUAL(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    CHECK(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2) && sigismember(&now, SIGHUP));
    CHECK(!sigismember(&user->uc_sigmask, SIGUSR1) && !sigismember(&user->uc_sigmask, SIGUSR2));
    CHECK(sigismember(&user->uc_sigmask, SIGHUP));
    CHECK(user->uc_stack.ss_sp == alternate && user->uc_stack.ss_size == sizeof(alternate));
    CHECK((char *)&now > alternate && (char *)&now < alternate + sizeof(alternate));
    CHECK(user->uc_link == NULL);
    sigaddset(&user->uc_sigmask, SIGTERM); /* blocked from the return on */
    sigdelset(&user->uc_sigmask, SIGHUP);
    handled++;
}

static void masks_and_stacks(void)
{
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)},
            none = {.ss_flags = SS_DISABLE};
    struct sigaction action = {.sa_sigaction = look_at_mask, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    CHECK_EQUAL(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    CHECK_EQUAL(sigaltstack(&stack, NULL), 0);
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    handled = 0;
    CHECK_EQUAL(raise(SIGUSR1), 0);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(pthread_sigmask(SIG_SETMASK, &old, &set), 0);
    CHECK(sigismember(&set, SIGTERM) && !sigismember(&set, SIGHUP) && !sigismember(&set, SIGUSR1));
    CHECK_EQUAL(sigaltstack(&none, NULL), 0);
}

/* ---- faults: the handler notes and jumps out */
static sigjmp_buf out;
static volatile int fault_signal, fault_code;
static volatile uint64_t fault_address, fault_rip, fault_trap, fault_error, fault_cr2;

static void note_fault(int signal, siginfo_t *info, void *context)
{
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    fault_signal = signal;
    fault_code = info->si_code;
    fault_address = (uintptr_t)info->si_addr;
    fault_rip = (uint64_t)registers[REG_RIP];
    fault_trap = (uint64_t)registers[REG_TRAPNO];
    fault_error = (uint64_t)registers[REG_ERR];
    fault_cr2 = (uint64_t)registers[REG_CR2];
    siglongjmp(out, 1);
}

#define FAULT(statement)                                                                           \
    do {                                                                                           \
        fault_signal = 0;                                                                          \
        if (sigsetjmp(out, 1) == 0) {                                                              \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

static void divide(int32_t dividend, int32_t divisor)
{
    __asm__ volatile("cltd\n idivl %1" : "+a"(dividend) : "r"(divisor) : "edx");
}

/* MXCSR with one exception unmasked; restored by whoever jumps out. */
static void divide_floats(double a, double b, uint32_t unmasked, int multiplies)
{
    uint32_t control = 0x1f80 & ~(unmasked << 7);
    __asm__ volatile("ldmxcsr %0" ::"m"(control));
    if (multiplies) {
        __asm__ volatile("mulsd %1, %0" : "+x"(a) : "x"(b));
    } else {
        __asm__ volatile("divsd %1, %0" : "+x"(a) : "x"(b));
    }
}

static void divide_x87(void)
{
    uint16_t control = 0x37f & ~4; /* division by zero */
    __asm__ volatile("fninit\n fldcw %0\n fldz\n fld1\n fdivp\n fwait" ::"m"(control));
}

static void arithmetic(void)
{
    static const struct {
        double a, b;
        uint32_t bit;
        int multiplies, code;
    } floats[] = {{1, 0, 4, 0, FPE_FLTDIV},
                  {0, 0, 1, 0, FPE_FLTINV},
                  {1e300, 1e300, 8, 1, FPE_FLTOVF},
                  {1e-300, 1e-300, 16, 1, FPE_FLTUND},
                  {1, 3, 32, 0, FPE_FLTRES}};
    uint32_t usual = 0x1f80;
    install(SIGFPE, note_fault, 0);
    FAULT(divide(1, 0));
    CHECK(fault_signal == SIGFPE && fault_code == FPE_INTDIV && fault_address == fault_rip);
    CHECK(fault_trap == 0 && fault_error == 0);
    FAULT(divide(INT32_MIN, -1));
    CHECK(fault_signal == SIGFPE && fault_code == FPE_INTDIV && fault_address == fault_rip);
    for (volatile int i = 0; i < 5; i++) {
        FAULT(divide_floats(floats[i].a, floats[i].b, floats[i].bit, floats[i].multiplies));
        __asm__ volatile("ldmxcsr %0" ::"m"(usual));
        if (fault_signal == 0) {
            continue; /* QEMU's TCG, which knows no exceptions of SSE */
        }
        CHECK(fault_signal == SIGFPE && fault_code == floats[i].code);
        CHECK(fault_address == fault_rip && fault_trap == 19);
    }
    FAULT(divide_x87());
    __asm__ volatile("fninit");
    CHECK(fault_signal == SIGFPE && fault_code == FPE_FLTDIV && fault_address == fault_rip);
    CHECK_EQUAL(fault_trap, 16);
}

static void single_step(void)
{
    __asm__ volatile("pushfq\n orl $0x100, (%%rsp)\n popfq\n nop\n nop" ::: "memory", "cc");
}

static void traps(void)
{
    install(SIGTRAP, note_fault, 0);
    install(SIGILL, note_fault, 0);
    FAULT(__asm__ volatile("int3"));
    CHECK(fault_signal == SIGTRAP && fault_code == SI_KERNEL && fault_trap == 3);
    CHECK_EQUAL(*(const uint8_t *)(fault_rip - 1), 0xcc);
    FAULT(single_step());
    CHECK(fault_signal == SIGTRAP && fault_code == TRAP_TRACE && fault_address == fault_rip);
    FAULT(__asm__ volatile("ud2"));
    CHECK(fault_signal == SIGILL && fault_code == ILL_ILLOPN && fault_address == fault_rip);
    CHECK(fault_trap == 6 && fault_error == 0);
}

static void read_byte(uintptr_t address)
{
    (void)*(volatile const char *)address;
}

static void write_byte(uintptr_t address)
{
    *(volatile char *)address = 1;
}

static void call(uintptr_t address)
{
    ((void (*)(void))address)();
}

static void expect_memory_fault(int code, uintptr_t address, uint64_t error)
{
    CHECK(fault_signal == SIGSEGV && fault_code == code && fault_address == address);
    CHECK(fault_trap == 14 && fault_cr2 == address);
    CHECK_EQUAL(fault_error, error);
}

static void memory_faults(void)
{
    char *pages = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t at = (uintptr_t)pages;
    CHECK(pages != MAP_FAILED);
    CHECK_EQUAL(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
    CHECK_EQUAL(munmap(pages + 2 * PAGE, PAGE), 0);
    install(SIGSEGV, note_fault, 0);
    read_byte(at); /* present from now on */
    FAULT(write_byte(at + 5));
    expect_memory_fault(SEGV_ACCERR, at + 5, 7);
    FAULT(write_byte(at + 3 * PAGE + 1)); /* never touched */
    expect_memory_fault(SEGV_ACCERR, at + 3 * PAGE + 1, 6);
    FAULT(read_byte(at + PAGE));
    CHECK(fault_code == SEGV_ACCERR && fault_address == at + PAGE);
    FAULT(read_byte(at + 2 * PAGE + 7));
    expect_memory_fault(SEGV_MAPERR, at + 2 * PAGE + 7, 4);
    FAULT(write_byte(at + 2 * PAGE + 7));
    expect_memory_fault(SEGV_MAPERR, at + 2 * PAGE + 7, 6);
    FAULT(call(at + 16));
    expect_memory_fault(SEGV_ACCERR, at + 16, 0x15);
    CHECK_EQUAL(fault_rip, at + 16);
    FAULT(read_byte(0x8000000000000000));
    CHECK(fault_signal == SIGSEGV && fault_code == SI_KERNEL && fault_address == 0);
    CHECK_EQUAL(fault_trap, 13);
    CHECK_EQUAL(munmap(pages, 4 * PAGE), 0);
}

static void beyond_a_file(void)
{
    int file = open("/tmp/signal_context_file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0 && write(file, "short", 5) == 5);
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK(pages != MAP_FAILED && pages[0] == 's' && pages[PAGE - 1] == 0);
    install(SIGBUS, note_fault, 0);
    FAULT(read_byte((uintptr_t)pages + PAGE + 3));
    CHECK(fault_signal == SIGBUS && fault_code == BUS_ADRERR);
    CHECK_EQUAL(fault_address, (uintptr_t)pages + PAGE + 3);
    CHECK_EQUAL(munmap(pages, 2 * PAGE), 0);
    CHECK_EQUAL(close(file), 0);
    CHECK_EQUAL(unlink("/tmp/signal_context_file"), 0);
}

/* ---- faults that the handler mends */
static char *hole;

static void map_there(int signal, siginfo_t *info, void *context)
{
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    (void)signal, (void)context;
    CHECK(info->si_code == SEGV_MAPERR && page >= hole && page < hole + 16 * PAGE);
    CHECK(mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
               0) == page);
    handled++;
}

static void mended_by_mapping(void)
{
    hole = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(hole != MAP_FAILED && munmap(hole, 16 * PAGE) == 0);
    install(SIGSEGV, map_there, 0);
    handled = 0;
    memset(hole + 100, 0x5a, 15 * PAGE);
    CHECK_EQUAL(handled, 16);
    CHECK(hole[100] == 0x5a && hole[15 * PAGE + 99] == 0x5a && hole[15 * PAGE + 100] == 0);
    CHECK_EQUAL(munmap(hole, 16 * PAGE), 0);
}

static __attribute__((noinline)) int deeper(int depth)
{
    volatile char some[1024];
    some[0] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + some[0];
}

static void *overflow(void *argument)
{
    static char own[32 << 10] __attribute__((aligned(16)));
    stack_t stack = {.ss_sp = own, .ss_size = sizeof(own)};
    CHECK_EQUAL(sigaltstack(&stack, NULL), 0);
    for (int i = 0; i < 3; i++) {
        FAULT(deeper(1));
        CHECK_EQUAL(fault_signal, SIGSEGV);
    }
    return argument;
}

/* The stack has run out: only the alternate one is left, again and again. */
static void stack_overflow(void)
{
    install(SIGSEGV, note_fault, SA_ONSTACK);
    pthread_attr_t attribute;
    pthread_t thread;
    pthread_attr_init(&attribute);
    CHECK_EQUAL(pthread_attr_setstacksize(&attribute, 64 << 10), 0);
    CHECK_EQUAL(pthread_create(&thread, &attribute, overflow, NULL), 0);
    check_join(thread);
    pthread_attr_destroy(&attribute);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"registers", registers},
        {"vectors", vectors},
        {"masks_and_stacks", masks_and_stacks},
        {"arithmetic", arithmetic},
        {"traps", traps},
        {"memory_faults", memory_faults},
        {"beyond_a_file", beyond_a_file},
        {"mended_by_mapping", mended_by_mapping},
        {"stack_overflow", stack_overflow},
    };
    return CHECK_MAIN(cases);
}
