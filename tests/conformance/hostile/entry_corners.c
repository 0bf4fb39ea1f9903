/* SPDX-License-Identifier: Apache-2.0 */
/* Corner cases of entering and leaving the kernel, from ring 3: privileged instructions, software
 * interrupts, selectors, flags and stack pointers at `syscall`, kernel-half addresses, forged
 * signal frames. Each row names the signal that Linux sends; the system must be alive afterwards
 * and the program must go on. Ring 3 only. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0014~1 @robust
 * @verifies ATL-LLR-GATE-0001~1 */
#include "../fault.h"
#include <elf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ANY_CODE (-1000)
#define CODE_BYTES_MAX 24

static unsigned char
    *code; /* one page where rows' instructions are put: never rewritten by a packer */

static void place(const unsigned char *bytes, size_t count)
{
    CHECK_EQUAL(mprotect(code, 4096, PROT_READ | PROT_WRITE), 0);
    memcpy(code, bytes, count);
    code[count] = 0xc3; /* ret */
    CHECK_EQUAL(mprotect(code, 4096, PROT_READ | PROT_EXEC), 0);
}

static struct fault run_code(const unsigned char *bytes, size_t count)
{
    place(bytes, count);
    return fault_run(fault_call, code);
}

struct row {
    const char *name;
    int signal, code;
    unsigned char length, bytes[CODE_BYTES_MAX];
};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct fault fault = run_code(rows[i].bytes, rows[i].length);
        if (fault.signal != rows[i].signal ||
            (rows[i].code != ANY_CODE && fault.code != rows[i].code)) {
            printf("%s: signal %d code %d address %lx rip %lx\n", rows[i].name, fault.signal,
                   fault.code, (unsigned long)fault.address, (unsigned long)fault.rip);
        }
        CHECK_EQUAL(fault.signal, rows[i].signal);
        CHECK(rows[i].code == ANY_CODE || fault.code == rows[i].code);
    }
}

/* What raises #GP in ring 3. Not here: icebp, which stops QEMU 7.2 itself for a debugger. */
#define PRIVILEGED(name, length, ...)                                                              \
    {                                                                                              \
        name, SIGSEGV, SI_KERNEL, length,                                                          \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static void privileged(void)
{
    static const struct row rows[] = {
        PRIVILEGED("cli", 1, 0xfa),
        PRIVILEGED("sti", 1, 0xfb),
        PRIVILEGED("hlt", 1, 0xf4),
        PRIVILEGED("in %dx", 1, 0xec),
        PRIVILEGED("in $0x80", 2, 0xe4, 0x80),
        PRIVILEGED("out %dx", 1, 0xee),
        PRIVILEGED("out $0xe9", 2, 0xe6, 0xe9),
        PRIVILEGED("insb", 1, 0x6c),
        PRIVILEGED("outsb", 1, 0x6e),
        PRIVILEGED("rdmsr", 2, 0x0f, 0x32),
        PRIVILEGED("wrmsr", 2, 0x0f, 0x30),
        PRIVILEGED("mov %cr0, %rax", 3, 0x0f, 0x20, 0xc0),
        PRIVILEGED("mov %rax, %cr0", 3, 0x0f, 0x22, 0xc0),
        PRIVILEGED("mov %cr3, %rax", 3, 0x0f, 0x20, 0xd8),
        PRIVILEGED("mov %rax, %cr3", 3, 0x0f, 0x22, 0xd8),
        PRIVILEGED("mov %rax, %cr4", 3, 0x0f, 0x22, 0xe0),
        PRIVILEGED("mov %rax, %cr8", 4, 0x44, 0x0f, 0x22, 0xc0),
        PRIVILEGED("mov %db7, %rax", 3, 0x0f, 0x21, 0xf8),
        PRIVILEGED("mov %rax, %db7", 3, 0x0f, 0x23, 0xf8),
        PRIVILEGED("lgdt", 4, 0x0f, 0x01, 0x14, 0x24),
        PRIVILEGED("lidt", 4, 0x0f, 0x01, 0x1c, 0x24),
        PRIVILEGED("lldt", 3, 0x0f, 0x00, 0xd0),
        PRIVILEGED("ltr", 3, 0x0f, 0x00, 0xd8),
        PRIVILEGED("clts", 2, 0x0f, 0x06),
        PRIVILEGED("lmsw", 3, 0x0f, 0x01, 0xf0),
        PRIVILEGED("invlpg", 4, 0x0f, 0x01, 0x3c, 0x24),
        PRIVILEGED("invd", 2, 0x0f, 0x08),
        PRIVILEGED("wbinvd", 2, 0x0f, 0x09),
        PRIVILEGED("swapgs", 3, 0x0f, 0x01, 0xf8),
        PRIVILEGED("sysretq", 3, 0x48, 0x0f, 0x07),
        PRIVILEGED("rdpmc", 2, 0x0f, 0x33),
        {"monitor", SIGILL, ILL_ILLOPN, 3, {0x0f, 0x01, 0xc8}},
        {"mwait", SIGILL, ILL_ILLOPN, 3, {0x0f, 0x01, 0xc9}},
        {"rsm", SIGILL, ILL_ILLOPN, 2, {0x0f, 0xaa}},
        {"ud2", SIGILL, ILL_ILLOPN, 2, {0x0f, 0x0b}},
        {"ud1", SIGILL, ILL_ILLOPN, 3, {0x0f, 0xb9, 0xc0}},
        {"int3", SIGTRAP, SI_KERNEL, 1, {0xcc}},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void selectors(void)
{
    static const struct row rows[] = {
        /* Far returns to ring 0. #GP on a processor; QEMU 7.2 reads their stack as a supervisor and
         * SMAP makes that a page fault: the code is not the same, the signal is.
         * push ss=0x10, rsp, flags, cs=0x08, rip=0; iretq */
        {"iretq to kernel",
         SIGSEGV,
         ANY_CODE,
         10,
         {0x6a, 0x10, 0x54, 0x9c, 0x6a, 0x08, 0x6a, 0x00, 0x48, 0xcf}},
        /* the same with null selectors */
        {"iretq to null",
         SIGSEGV,
         ANY_CODE,
         10,
         {0x6a, 0x00, 0x54, 0x9c, 0x6a, 0x00, 0x6a, 0x00, 0x48, 0xcf}},
        /* push cs=0x08, rip=0; lretq */
        {"lretq to kernel", SIGSEGV, ANY_CODE, 6, {0x6a, 0x08, 0x6a, 0x00, 0x48, 0xcb}},
        /* mov $0x10, %ax; mov %eax, %ds | %ss */
        PRIVILEGED("kernel ds", 6, 0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd8),
        PRIVILEGED("kernel ss", 6, 0x66, 0xb8, 0x10, 0x00, 0x8e, 0xd0),
        PRIVILEGED("null ss", 6, 0x66, 0xb8, 0x00, 0x00, 0x8e, 0xd0),
        /* movabs $0x800000000000, %rax; jmp *%rax */
        {"jump off canonical",
         SIGSEGV,
         SI_KERNEL,
         12,
         {0x48, 0xb8, 0, 0, 0, 0, 0, 0x80, 0, 0, 0xff, 0xe0}},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

/* movabs $0x900000000000, %rsp; push %rax. A processor says #SS, which is SIGBUS; QEMU's emulation
 * says #GP for every address that is not canonical. */
static void push_off_canonical(void)
{
    static const unsigned char bytes[] = {0x48, 0xbc, 0, 0, 0, 0, 0, 0x90, 0, 0, 0x50};
    struct fault fault = run_code(bytes, sizeof(bytes));
    CHECK(fault.signal == SIGBUS || fault.signal == SIGSEGV);
    CHECK(fault.code == SI_KERNEL && fault.rip == (uintptr_t)code + 10);
}

/* int n: #GP for each gate that is not the program's; 3 is; 0x80 is a way of 32-bit Linux. */
static void software_interrupts(void)
{
    for (int vector = 0; vector < 256; vector++) {
        unsigned char bytes[] = {0xcd, (unsigned char)vector};
        struct fault fault = run_code(bytes, sizeof(bytes));
        if (vector == 3) {
            CHECK_EQUAL(fault.signal, SIGTRAP);
        } else if (vector == 0x80) {
            CHECK(fault.signal == 0 || fault.signal == SIGSEGV);
        } else {
            CHECK_EQUAL(fault.signal, SIGSEGV);
        }
    }
}

/* sgdt, sidt, sldt, str, smsw: refused, or at most dummy values (Linux emulates some of them). */
static void table_addresses(void)
{
    static const struct row rows[] = {
        {"sgdt", 0, 0, 4, {0x0f, 0x01, 0x07}}, {"sidt", 0, 0, 4, {0x0f, 0x01, 0x0f}},
        {"sldt", 0, 0, 3, {0x0f, 0x00, 0x07}}, {"str", 0, 0, 3, {0x0f, 0x00, 0x0f}},
        {"smsw", 0, 0, 3, {0x0f, 0x01, 0x27}},
    };
    static unsigned char result[16];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        /* movabs $result, %rdi; the instruction with (%rdi) */
        unsigned char bytes[13] = {0x48, 0xbf};
        uintptr_t at = (uintptr_t)result;
        uint64_t base = 0;
        memset(result, 0, sizeof(result));
        memcpy(bytes + 2, &at, 8);
        memcpy(bytes + 10, rows[i].bytes, 3);
        struct fault fault = run_code(bytes, sizeof(bytes));
        CHECK(fault.signal == 0 || fault.signal == SIGSEGV);
        memcpy(&base, result + 2, 8);
        CHECK(base == 0 || base == 0xfffffffffffe0000 || base == 0xffffffffffff0000);
    }
}

/* `syscall` with given flags and stack pointer; returns rax, *flags = the flags afterwards. */
static long system_call(long number, uint64_t *flags, uintptr_t stack, long a, long b)
{
    register uint64_t saved __asm__("r12");
    register uint64_t out __asm__("r13") = *flags;
    register uintptr_t use __asm__("r14") = stack;
    __asm__ volatile("mov %%rsp, %0\n"
                     "push %1\n popfq\n"
                     "test %2, %2\n" /* changes the condition flags only */
                     "jz 1f\n mov %2, %%rsp\n"
                     "1: syscall\n"
                     "mov %0, %%rsp\n pushfq\n pop %1\n cld\n"
                     "push $0x202\n popfq\n"
                     : "=&r"(saved), "+r"(out), "+r"(use), "+a"(number), "+D"(a), "+S"(b)
                     :
                     : "rcx", "r11", "memory", "cc");
    *flags = out;
    return number;
}

static void stack_at_syscall(void)
{
    static const uintptr_t stacks[] = {8,
                                       0x1001,
                                       0x00007ffffffffff8,
                                       0x0000800000000000,
                                       0x8000000000000000,
                                       0xffff800000000000,
                                       0xffffffff80000000,
                                       0xffffffffc0000ff8,
                                       0xfffffffffffffff8};
    for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
        uint64_t flags = 0x202;
        CHECK_EQUAL(system_call(SYS_getpid, &flags, stacks[i], 0, 0), getpid());
        flags = 0x202;
        CHECK_EQUAL(system_call(100000, &flags, stacks[i], 0, 0), -ENOSYS);
        flags = 0x202;
        CHECK_EQUAL(system_call(SYS_sched_yield, &flags, stacks[i], 0, 0), 0);
    }
}

static void flags_at_syscall(void)
{
    static const uint64_t sets[] = {0x4000, 0x40000, 0x400, 0x4400, 0x44400, 0xcd5};
    unsigned char random[64];
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        uint64_t flags = 0x202 | sets[i];
        memset(random, 0, sizeof(random));
        /* with the direction flag set the copy must still go upwards */
        CHECK_EQUAL(system_call(SYS_getrandom, &flags, 0, (long)random, 32), 32);
        CHECK_EQUAL(flags & 0x400, sets[i] & 0x400);
        CHECK_EQUAL(flags & 0x200, 0x200);
        CHECK_EQUAL(flags & 0x3000, 0);
        for (int at = 32; at < 64; at++) {
            CHECK_EQUAL(random[at], 0);
        }
    }
}

static void stepped_call(void *argument)
{
    uint64_t flags = 0x302;
    (void)argument;
    system_call(SYS_getpid, &flags, 0, 0, 0);
}

static void single_step(void)
{
    for (int i = 0; i < 10; i++) {
        struct fault fault = fault_run(stepped_call, NULL);
        CHECK_EQUAL(fault.signal, SIGTRAP);
    }
    /* pushfq; orl $0x100, (%rsp); popfq; syscall; nop: only the syscall is stepped over */
    static const unsigned char bytes[] = {0xb8, 39,   0,    0,    0,    0x9c, 0x81, 0x0c, 0x24,
                                          0x00, 0x01, 0x00, 0x00, 0x9d, 0x0f, 0x05, 0x90};
    struct fault fault = run_code(bytes, sizeof(bytes));
    CHECK_EQUAL(fault.signal, SIGTRAP);
    CHECK(fault.rip > (uintptr_t)code + 14 && fault.rip <= (uintptr_t)code + sizeof(bytes) + 1);
}

/* popfq cannot raise the I/O privilege level nor switch interrupts off. */
static void flags_by_popf(void)
{
    uint64_t flags;
    static const unsigned char out_byte[] = {0xee};
    __asm__ volatile("pushfq\n orq $0x3000, (%%rsp)\n andq $~0x200, (%%rsp)\n popfq\n"
                     "pushfq\n pop %0\n"
                     : "=r"(flags)
                     :
                     : "cc", "memory");
    CHECK_EQUAL(flags & 0x3200, 0x200);
    CHECK_EQUAL(run_code(out_byte, 1).signal, SIGSEGV);
}

static const uintptr_t kernel_addresses[] = {
    0xffff800000000000, 0xffff800000100000, 0xfffffe0000020000,
    0xffffff0000000000, 0xffffff0000005000, /* in the trace ring of core 0 */
    0xffffff0040000000, 0xffffffff80000000, 0xffffffff80100000,
    0xffffffffc0000000, 0xffffffffc0001000, 0xfffffffffffff000};

static void kernel_half(void)
{
    for (size_t i = 0; i < sizeof(kernel_addresses) / sizeof(kernel_addresses[0]); i++) {
        void (*const actions[])(void *) = {fault_read, fault_write, fault_call};
        for (int a = 0; a < 3; a++) {
            struct fault fault = fault_run(actions[a], (void *)kernel_addresses[i]);
            CHECK_EQUAL(fault.signal, SIGSEGV);
            CHECK_EQUAL(fault.code, SEGV_MAPERR); /* whether anything is mapped there is not told */
            CHECK_EQUAL(fault.address, kernel_addresses[i]);
        }
    }
    static const uintptr_t gaps[] = {0x0000800000000000, 0x7fffffffffffffff, 0xffff7ffffffff000};
    for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        struct fault fault = fault_run(fault_read, (void *)gaps[i]);
        CHECK(fault.signal == SIGSEGV && fault.code == SI_KERNEL && fault.address == 0);
    }
}

static void kernel_pointers(void)
{
    int file = open("/tmp/entry-corners", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0);
    CHECK_EQUAL(write(file, "abcdefgh", 8), 8);
    for (size_t i = 0; i < sizeof(kernel_addresses) / sizeof(kernel_addresses[0]); i++) {
        uintptr_t at = kernel_addresses[i];
        CHECK_ERRNO(syscall(SYS_pread64, file, at, 3, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_pwrite64, file, at, 8, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_getrandom, at, 8, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_clock_gettime, 1, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_futex, at, 128, 0, NULL, NULL, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, at, 8), EFAULT);
        CHECK_ERRNO(syscall(SYS_open, at, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_munmap, at, 4096), EINVAL);
    }
    close(file);
    unlink("/tmp/entry-corners");
}

static void read_only_system_pages(void)
{
    unsigned char *vdso = (unsigned char *)getauxval(AT_SYSINFO_EHDR);
    CHECK(vdso != NULL && memcmp(vdso, ELFMAG, SELFMAG) == 0);
    for (uintptr_t at = 0; at < 4096; at += 511) {
        struct fault fault = fault_run(fault_write, vdso + at);
        CHECK(fault.signal == SIGSEGV && fault.code == SEGV_ACCERR);
        CHECK_EQUAL(fault.address, (uintptr_t)vdso + at);
    }
    CHECK_ERRNO((long)mmap((void *)0x7ffffffff000, 4096, PROT_READ | PROT_EXEC,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                ENOMEM); /* a `syscall` at its end would return to a non-canonical address */
}

static volatile uintptr_t forged_rip, forged_flags;

static void forge(int signal, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    (void)signal;
    (void)info;
    if (forged_rip != 0) {
        interrupted->uc_mcontext.gregs[REG_RIP] = (greg_t)forged_rip;
    }
    interrupted->uc_mcontext.gregs[REG_EFL] |= (greg_t)forged_flags;
    interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)0x200;
}

static void raise_usr1(void *argument)
{
    (void)argument;
    raise(SIGUSR1);
}

static void forged_frames(void)
{
    static const uintptr_t targets[] = {0xffffffff80000000, 0xffff800000000000, 0x0000800000000000,
                                        0x8000000000000000};
    struct sigaction action = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    forged_flags = 0;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        forged_rip = targets[i];
        CHECK_EQUAL(fault_run(raise_usr1, NULL).signal, SIGSEGV);
    }
    forged_rip = 0;
    forged_flags = 0x3000 | 0x20000 | 0x100000; /* IOPL, VM, VIP */
    raise(SIGUSR1);
    flags_by_popf();
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"privileged", privileged},
        {"selectors", selectors},
        {"push_off_canonical", push_off_canonical},
        {"software_interrupts", software_interrupts},
        {"table_addresses", table_addresses},
        {"stack_at_syscall", stack_at_syscall},
        {"flags_at_syscall", flags_at_syscall},
        {"single_step", single_step},
        {"flags_by_popf", flags_by_popf},
        {"kernel_half", kernel_half},
        {"kernel_pointers", kernel_pointers},
        {"read_only_system_pages", read_only_system_pages},
        {"forged_frames", forged_frames},
    };
    static char alternate[64 << 10] __attribute__((aligned(16)));
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    if (sigaltstack(&stack, NULL) != 0) {
        return 1;
    }
    code = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fault_install();
    return CHECK_MAIN(cases);
}
