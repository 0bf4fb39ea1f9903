/* SPDX-License-Identifier: Apache-2.0 */
/* Register contents: everything that the Linux ABI keeps across a system call (all but rax, rcx,
 * r11), x87, MXCSR, SSE and AVX registers and the flags, with calls that return at once, that block
 * and that are woken by another core; and every register while a thread is preempted, takes page
 * faults on lazy memory, or runs signal handlers that overwrite the vector registers.
 * Fault injection: --break CASE, and --break corrupt changes one register inside the window.
 *
 * @verifies ATL-HLR-CONF-0004~1 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define THREADS 4

enum mode { MODE_CALL, MODE_SPIN, MODE_TOUCH };
enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8, R9, R10, R11, R12, R13, R14, R15, GENERAL_COUNT };

struct registers {
    uint64_t general[GENERAL_COUNT];
    uint64_t flags;
    uint8_t vector[16][32];
    uint8_t x87[8][16]; /* 10 bytes each */
    uint32_t mxcsr;
    uint16_t control;
    uint16_t mode;
    uint64_t rounds; /* of MODE_SPIN and MODE_TOUCH */
};
_Static_assert(offsetof(struct registers, flags) == 120, "used by the assembly");
_Static_assert(offsetof(struct registers, vector) == 128, "used by the assembly");
_Static_assert(offsetof(struct registers, x87) == 640, "used by the assembly");
_Static_assert(offsetof(struct registers, mxcsr) == 768, "used by the assembly");
_Static_assert(offsetof(struct registers, control) == 772, "used by the assembly");
_Static_assert(offsetof(struct registers, mode) == 774, "used by the assembly");
_Static_assert(offsetof(struct registers, rounds) == 776, "used by the assembly");

/* Loads every register from *in, runs the window (a system call, a loop, a loop that touches a page
 * per round at rax), and stores every register to *out. avx: ymm instead of xmm. */
void registers_run(const struct registers *in, struct registers *out, long avx);

__asm__(".text\n"
        ".macro each_vector op:req, move:req, width:req\n"
        ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        ".ifc \\op,load\n \\move 128+32*\\n(%rdi), %\\width\\n\n"
        ".else\n \\move %\\width\\n, 128+32*\\n(%rcx)\n .endif\n"
        ".endr\n"
        ".endm\n"
        ".globl registers_run\n"
        ".type registers_run, @function\n"
        "registers_run:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "push %rdx\n push %rsi\n sub $8, %rsp\n" /* (rsp) control words, 8 out, 16 avx */
        "stmxcsr (%rsp)\n fnstcw 4(%rsp)\n"
        "test %rdx, %rdx\n jz 1f\n each_vector load vmovdqu ymm\n jmp 2f\n"
        "1: each_vector load movdqu xmm\n"
        "2: ldmxcsr 768(%rdi)\n fninit\n fldcw 772(%rdi)\n"
        ".irp n,7,6,5,4,3,2,1,0\n fldt 640+16*\\n(%rdi)\n .endr\n"
        "mov 0(%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rdx\n"
        "mov 32(%rdi), %rsi\n mov 48(%rdi), %rbp\n mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n"
        "mov 72(%rdi), %r10\n mov 80(%rdi), %r11\n mov 88(%rdi), %r12\n mov 96(%rdi), %r13\n"
        "mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n"
        "cmpw $1, 774(%rdi)\n je 3f\n ja 4f\n"
        "pushq 120(%rdi)\n popfq\n mov 40(%rdi), %rdi\n syscall\n jmp 5f\n"
        "3: mov 776(%rdi), %rcx\n mov 40(%rdi), %rdi\n"
        "6: dec %rcx\n jnz 6b\n jmp 5f\n"
        "4: mov 776(%rdi), %rcx\n mov 40(%rdi), %rdi\n"
        "7: incb (%rax)\n add $4096, %rax\n dec %rcx\n jnz 7b\n"
        "5: mov 8(%rsp), %rcx\n"
        "mov %rax, 0(%rcx)\n mov %rbx, 8(%rcx)\n mov %rdx, 24(%rcx)\n mov %rsi, 32(%rcx)\n"
        "mov %rdi, 40(%rcx)\n mov %rbp, 48(%rcx)\n mov %r8, 56(%rcx)\n mov %r9, 64(%rcx)\n"
        "mov %r10, 72(%rcx)\n mov %r11, 80(%rcx)\n mov %r12, 88(%rcx)\n mov %r13, 96(%rcx)\n"
        "mov %r14, 104(%rcx)\n mov %r15, 112(%rcx)\n"
        "pushfq\n popq 120(%rcx)\n cld\n"
        "stmxcsr 768(%rcx)\n fnstcw 772(%rcx)\n"
        ".irp n,0,1,2,3,4,5,6,7\n fstpt 640+16*\\n(%rcx)\n .endr\n"
        "cmpq $0, 16(%rsp)\n je 8f\n each_vector store vmovdqu ymm\n vzeroupper\n jmp 9f\n"
        "8: each_vector store movdqu xmm\n"
        "9: ldmxcsr (%rsp)\n fninit\n fldcw 4(%rsp)\n"
        "add $24, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size registers_run, . - registers_run\n");

static long has_avx;
static int corrupt;

static void fill(struct registers *in, unsigned long long *random)
{
    uint64_t *words = (uint64_t *)in;
    for (size_t i = 0; i < sizeof(*in) / sizeof(uint64_t); i++) {
        words[i] = check_random(random);
    }
    in->flags = 0x202 | (check_random(random) & 0xcd5); /* CF PF AF ZF SF DF OF */
    in->mxcsr = 0x1f80 | (uint32_t)(check_random(random) & 0x603f);
    in->control = (uint16_t)(0x37f | (check_random(random) & 0xc00));
    in->mode = MODE_CALL;
}

static void compare(const struct registers *in, const struct registers *out)
{
    for (int i = 0; i < GENERAL_COUNT; i++) {
        int lost = i == RCX || i == RAX || (i == R11 && in->mode == MODE_CALL);
        if (!lost) {
            CHECK_EQUAL(out->general[i], in->general[i]);
        }
    }
    if (in->mode == MODE_CALL) {
        CHECK_EQUAL(out->flags & 0xed5, in->flags & 0xed5);
    }
    for (int i = 0; i < 16; i++) {
        CHECK(memcmp(out->vector[i], in->vector[i], has_avx ? 32 : 16) == 0);
    }
    for (int i = 0; i < 8; i++) {
        CHECK(memcmp(out->x87[i], in->x87[i], 10) == 0);
    }
    CHECK_EQUAL(out->mxcsr, in->mxcsr);
    CHECK_EQUAL(out->control, in->control);
}

/* One system call with every other register random; returns its result. */
static long call(unsigned long long *random, long number, const uint64_t *arguments, int count)
{
    static const int order[] = {RDI, RSI, RDX, R10, R8, R9};
    struct registers in, out;
    fill(&in, random);
    in.general[RAX] = (uint64_t)number;
    for (int i = 0; i < count; i++) {
        in.general[order[i]] = arguments[i];
    }
    registers_run(&in, &out, has_avx);
    if (corrupt) {
        out.vector[7][3] ^= 1;
    }
    compare(&in, &out);
    return (long)out.general[RAX];
}

#define CALL(random, number, ...)                                                                  \
    call((random), (number), (const uint64_t[]){__VA_ARGS__},                                      \
         (int)(sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)))

static uint32_t turn;
static int files[THREADS];

static void calls_alone(unsigned long long *random)
{
    struct timespec rest = {0, (long)(check_random(random) % 200000)}, now;
    uint32_t word = 0;
    CHECK_EQUAL(CALL(random, SYS_getpid, 0), getpid());
    CHECK_EQUAL(CALL(random, SYS_sched_yield, 0), 0);
    CHECK_EQUAL(CALL(random, SYS_nanosleep, (uint64_t)&rest, 0), 0);
    CHECK_EQUAL(CALL(random, SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (uint64_t)&rest, 0), 0);
    CHECK_EQUAL(CALL(random, SYS_futex, (uint64_t)&word, 128, 0, (uint64_t)&rest), -ETIMEDOUT);
    CHECK_EQUAL(CALL(random, SYS_clock_gettime, CLOCK_MONOTONIC, (uint64_t)&now), 0);
    CHECK_EQUAL(CALL(random, 100000, 0), -ENOSYS);
    long page = CALL(random, SYS_mmap, 0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                     (uint64_t)-1, 0);
    CHECK(page > 0);
    *(volatile char *)page = 1;
    CHECK_EQUAL(CALL(random, SYS_munmap, (uint64_t)page, 8192), 0);
}

/* A ring of threads over a futex, each on its own core if there are enough; and a file. */
static void calls_together(unsigned long long *random, uint32_t index)
{
    uint32_t seen;
    char byte = 0;
    while ((seen = __atomic_load_n(&turn, __ATOMIC_SEQ_CST)) % THREADS != index) {
        long result = CALL(random, SYS_futex, (uint64_t)&turn, 128, seen, 0);
        CHECK(result == 0 || result == -EAGAIN);
    }
    __atomic_add_fetch(&turn, 1, __ATOMIC_SEQ_CST);
    CHECK(CALL(random, SYS_futex, (uint64_t)&turn, 128 | 1, INT32_MAX) >= 0);
    char written = (char)(check_random(random) | 1);
    CHECK_EQUAL(CALL(random, SYS_pwrite64, (uint64_t)files[index], (uint64_t)&written, 1, 5), 1);
    CHECK_EQUAL(CALL(random, SYS_pread64, (uint64_t)files[index], (uint64_t)&byte, 1, 5), 1);
    CHECK_EQUAL(byte, written);
}

static void *across_calls(void *argument)
{
    uint32_t index = (uint32_t)(uintptr_t)argument;
    unsigned long long random = index + 1;
    check_pin((int)index);
    for (long i = 0; i < check_count(100); i++) {
        calls_alone(&random);
        calls_together(&random, index);
    }
    return NULL;
}

static void run_threads(void *(*body)(void *))
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) {
        threads[i] = check_thread(body, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
    }
}

static void system_calls(void)
{
    turn = 0;
    for (int i = 0; i < THREADS; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/tmp/registers-%d", i);
        files[i] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        CHECK(files[i] >= 0 && unlink(path) == 0);
    }
    run_threads(across_calls);
}

static void *while_preempted(void *argument)
{
    struct registers in, out;
    unsigned long long random = (uintptr_t)argument + 100;
    check_pin(0); /* all on one core */
    for (long i = 0; i < check_count(100); i++) {
        fill(&in, &random);
        in.mode = MODE_SPIN;
        in.rounds = 200000 + random % 200000;
        registers_run(&in, &out, has_avx);
        CHECK_EQUAL(out.general[RAX], in.general[RAX]);
        compare(&in, &out);
    }
    return NULL;
}

static void preemption(void)
{
    run_threads(while_preempted);
}

static void *while_faulting(void *argument)
{
    enum { PAGES = 64 };
    struct registers in, out;
    unsigned long long random = (uintptr_t)argument + 200;
    check_pin((int)(uintptr_t)argument);
    for (long i = 0; i < check_count(100) / 4 + 1; i++) {
        char *area =
            mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(area != MAP_FAILED);
        fill(&in, &random);
        in.mode = MODE_TOUCH;
        in.general[RAX] = (uint64_t)area;
        in.rounds = PAGES;
        registers_run(&in, &out, has_avx);
        CHECK_EQUAL(out.general[RAX], (uint64_t)area + PAGES * 4096);
        compare(&in, &out);
        CHECK_EQUAL(munmap(area, PAGES * 4096), 0);
    }
    return NULL;
}

static void page_faults(void)
{
    run_threads(while_faulting);
}

static volatile unsigned long handled;

static void clobber(int signal)
{
    (void)signal;
    handled++;
    __asm__ volatile("pxor %%xmm0, %%xmm0\n pxor %%xmm7, %%xmm7\n pxor %%xmm15, %%xmm15\n"
                     "fninit\n fld1\n" ::
                         : "xmm0", "xmm7", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                           "st(5)", "st(6)", "st(7)");
    __asm__ volatile("fninit" ::: "memory");
}

static void *interrupted(void *argument)
{
    volatile int *done = argument;
    struct registers in, out;
    unsigned long long random = 300;
    check_pin(1);
    while (!*done) {
        fill(&in, &random);
        in.mode = MODE_SPIN;
        in.rounds = 100000;
        registers_run(&in, &out, has_avx);
        compare(&in, &out);
    }
    return NULL;
}

static void signal_handlers(void)
{
    volatile int done = 0;
    struct sigaction action = {.sa_handler = clobber};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    handled = 0;
    pthread_t thread = check_thread(interrupted, (void *)&done);
    for (long i = 0; i < check_count(100); i++) {
        unsigned long before = handled;
        CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
        while (handled == before) {
            sched_yield();
        }
    }
    done = 1;
    check_join(thread);
    CHECK_EQUAL(handled, check_count(100));
}

/* Reads standard input to its end, in pieces: blocks for each that has not arrived. */
static void standard_input(void)
{
    unsigned long long random = 400;
    char buffer[64];
    long got;
    do {
        got = CALL(&random, SYS_read, STDIN_FILENO, (uint64_t)buffer, sizeof(buffer));
        CHECK(got >= 0 && got <= (long)sizeof(buffer));
    } while (got > 0);
}

/* Runs only with --break corrupt: shows that a single changed bit is seen. */
static void corrupt_one_bit(void)
{
    unsigned long long random = 1;
    corrupt = check_state.broken != NULL && strcmp(check_state.broken, "corrupt") == 0;
    check_state.break_next = 0;
    CHECK_EQUAL(CALL(&random, SYS_getpid, 0), getpid());
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"corrupt", corrupt_one_bit},         {"system_calls", system_calls},
        {"preemption", preemption},           {"page_faults", page_faults},
        {"signal_handlers", signal_handlers}, {"standard_input", standard_input},
    };
    has_avx = __builtin_cpu_supports("avx") != 0;
    return CHECK_MAIN(cases);
}
