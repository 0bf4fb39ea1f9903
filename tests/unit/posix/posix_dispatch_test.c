/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch: every call of syscalls.toml reaches its handler with its registers, every other one
 * is refused and counted; and the signals of exceptions. The handlers here note what they got. */
#include <check.h>
#undef SI_USER
#undef SI_KERNEL
#undef SI_QUEUE
#undef SI_TKILL
#undef SI_TIMER
#undef SIG_DFL
#undef SIG_IGN
#undef SA_SIGINFO
#undef SA_ONSTACK
#undef SA_RESTART
#undef SA_NODEFER
#undef SA_RESETHAND
#include <core/internal.h>
#include <posix/detour.h>
#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>
#include <stdarg.h>

static uint64_t seen[6];
static unsigned seen_count;
static struct posix_thread self;
static struct posix_signal_info forced;
static struct posix_region_info region;
static bool has_region;
static char report[16000];

#define NOTE_0
#define NOTE_1 seen[0] = a;
#define NOTE_2 NOTE_1 seen[1] = b;
#define NOTE_3 NOTE_2 seen[2] = c;
#define NOTE_4 NOTE_3 seen[3] = d;
#define NOTE_5 NOTE_4 seen[4] = e;
#define NOTE_6 NOTE_5 seen[5] = f;
#define PARAMETERS_0 void
#define PARAMETERS_1 uint64_t a
#define PARAMETERS_2 PARAMETERS_1, uint64_t b
#define PARAMETERS_3 PARAMETERS_2, uint64_t c
#define PARAMETERS_4 PARAMETERS_3, uint64_t d
#define PARAMETERS_5 PARAMETERS_4, uint64_t e
#define PARAMETERS_6 PARAMETERS_5, uint64_t f
#define SYSCALL_IMPLEMENTED(number, name, count)                                                   \
    int64_t posix_##name(PARAMETERS_##count)                                                       \
    {                                                                                              \
        NOTE_##count;                                                                              \
        seen_count = count;                                                                        \
        return 1000 + number;                                                                      \
    }
#include <posix_implemented.inc>
#undef SYSCALL_IMPLEMENTED

int64_t posix_thread_settle(struct posix_thread *thread)
{
    (void)thread;
    return 0;
}

struct posix_thread *posix_self(void)
{
    return &self;
}

int32_t posix_thread_id(const struct posix_thread *thread)
{
    return thread->id;
}

uint32_t posix_core(void)
{
    return 0;
}

void posix_report(const char *format, ...)
{
    size_t length = strlen(report);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(report + length, sizeof(report) - length, format, arguments);
    va_end(arguments);
}

void posix_print(const char *format, ...)
{
    posix_report("%s", format);
}

int64_t gate_information(uint64_t kind, uint64_t core, uint64_t count)
{
    (void)kind, (void)core, (void)count;
    return 0;
}

void posix_signal_force(const struct posix_signal_info *info)
{
    forced = *info;
}

bool posix_memory_find(uint64_t address, bool at_or_after, struct posix_region_info *info)
{
    (void)address, (void)at_or_after;
    *info = region;
    return has_region;
}

static enum posix_shared_fault shared_fault;
enum posix_shared_fault posix_shared_fault(uint64_t address, uint64_t error)
{
    (void)address, (void)error;
    return shared_fault;
}

static bool is_step = true;
bool posix_detour_is_step(uint64_t rip)
{
    (void)rip;
    return is_step;
}

/* A site at 0x1000, its trampoline at 0x2000. */
uint64_t posix_detour_shown(uint64_t rip, uint64_t rcx)
{
    (void)rcx;
    return rip == 0x2000 ? 0x1000 : rip;
}

const uint8_t posix_syscall_inside[1];

noreturn void gate_exit(uint64_t status, uint64_t signal)
{
    exit((int)(status + signal));
}

/* What the linker script says of posix.elf. */
extern const uint8_t __posix_code_start[], __text_end[];
__asm__(".pushsection .rodata\n.globl __posix_code_start, __text_end\n"
        "__posix_code_start: .skip 16\n__text_end: .popsection\n");
struct exception_entry;
__asm__(".pushsection posix_exceptions, \"a\"\n .popsection\n");

static const struct {
    unsigned number, count;
} calls[] = {
#define SYSCALL_IMPLEMENTED(number_, name_, count_) {number_, count_},
#include <posix_implemented.inc>
#undef SYSCALL_IMPLEMENTED
};

static const struct gate_frame arguments = {
    .rdi = 1, .rsi = 2, .rdx = 3, .r10 = 4, .r8 = 5, .r9 = 6};

/* @verifies ATL-HLR-POSIX-0001~1 */
TEST(each_call_gets_its_registers_in_order)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        memset(seen, 0, sizeof(seen));
        CHECK_EQUAL(posix_syscall_invoke(calls[i].number, &arguments), 1000 + calls[i].number);
        CHECK_EQUAL(seen_count, calls[i].count);
        for (unsigned at = 0; at < 6; at++) {
            CHECK_EQUAL(seen[at], at < calls[i].count ? at + 1 : 0);
        }
    }
}

/* @verifies ATL-HLR-POSIX-0001~1 */
TEST(what_never_changes_is_answered_without_a_handler)
{
    CHECK_EQUAL(posix_syscall_invoke(39, &arguments), 1);  /* getpid */
    CHECK_EQUAL(posix_syscall_invoke(110, &arguments), 0); /* getppid */
    CHECK_EQUAL(posix_syscall_invoke(111, &arguments), 1); /* getpgrp */
    static const uint64_t ids[] = {102, 104, 107, 108};    /* of the user and the group */
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        CHECK_EQUAL(posix_syscall_invoke(ids[i], &arguments), 0);
    }
}

/* @verifies ATL-LLR-POSIX-0004~1 @robust
 * @verifies ATL-LLR-POSIX-0005~1 */
TEST(other_numbers_are_refused_and_counted)
{
    unsigned refused = 0;
    for (uint64_t number = 0; number < 600; number++) {
        refused += posix_syscall_invoke(number, &arguments) == -ENOSYS;
    }
    CHECK(refused > 600 - SYSCALL_COUNT);
    CHECK_EQUAL(posix_syscall_invoke(UINT64_MAX, &arguments), -ENOSYS);
    CHECK_EQUAL(posix_syscall_invoke(1ull << 32, &arguments), -ENOSYS);
    CHECK_EQUAL(posix_syscall_invoke(57, &arguments), -ENOSYS); /* fork, the second time */
    CHECK_EQUAL(posix_syscall_invoke(61, &arguments), -ECHILD); /* wait4: there are no children */
    report[0] = '\0';
    posix_syscall_report();
    CHECK(strstr(report, "not offered: fork, called 2 times\n") != NULL);
    CHECK(strstr(report, "other, called ") != NULL);
    CHECK(strstr(report, "wait4") == NULL);
}

static uint64_t fault_flags; /* of the frame */

static struct posix_signal_info fault(uint64_t vector, uint64_t error, uint64_t address)
{
    struct gate_upcall upcall = {.reason = GATE_UPCALL_FAULT,
                                 .frame.rip = 0x401000,
                                 .frame.rflags = fault_flags,
                                 .vector = vector,
                                 .error = error,
                                 .address = address};
    posix_words.pending = 0;
    CHECK(posix_upcall(&upcall));
    CHECK_EQUAL(posix_words.pending, 1);
    CHECK_EQUAL(self.call, POSIX_CALL_NONE);
    CHECK_EQUAL(self.fault.vector, vector);
    return forced;
}

static void check_fault(uint64_t vector, int signal, int code, uint64_t address)
{
    struct posix_signal_info info = fault(vector, 0, 0);
    CHECK_EQUAL(info.signal, signal);
    CHECK_EQUAL(info.code, code);
    CHECK_EQUAL(info.fault.address, address);
}

/* @verifies ATL-LLR-POSIX-0006~1
 * @verifies ATL-HLR-SIGNAL-0002~1 */
TEST(exceptions_become_the_signals_of_linux)
{
    check_fault(0, 8, 1, 0x401000); /* divide: SIGFPE FPE_INTDIV */
    check_fault(1, 5, 1, 0x401000); /* INT1: SIGTRAP TRAP_BRKPT */
    fault_flags = 0x100;
    check_fault(1, 5, 2, 0x401000); /* step: SIGTRAP TRAP_TRACE */
    fault_flags = 0;
    check_fault(3, 5, SI_KERNEL, 0);   /* int3 */
    check_fault(4, 11, SI_KERNEL, 0);  /* overflow */
    check_fault(5, 11, SI_KERNEL, 0);  /* bound */
    check_fault(6, 4, 2, 0x401000);    /* SIGILL ILL_ILLOPN */
    check_fault(12, 7, SI_KERNEL, 0);  /* stack segment: SIGBUS */
    check_fault(13, 11, SI_KERNEL, 0); /* protection */
    check_fault(17, 7, 1, 0);          /* SIGBUS BUS_ADRALN */
}

/* @verifies ATL-LLR-LOAD-0013~1 ATL-LLR-LOAD-0015~1 */
TEST(a_detour_does_not_show_in_faults_and_steps)
{
    struct gate_upcall upcall = {.reason = GATE_UPCALL_FAULT, .frame.rip = 0x2000};
    forced = (struct posix_signal_info){0};
    CHECK(posix_upcall(&upcall));
    CHECK_EQUAL(forced.signal, 8);
    CHECK_EQUAL(forced.fault.address, 0x1000);
    upcall.vector = 1;
    upcall.frame.rflags = 0x102;
    CHECK(posix_upcall(&upcall));
    CHECK_EQUAL(forced.signal, 5);
    CHECK_EQUAL(forced.fault.address, 0x1000);
    forced = (struct posix_signal_info){0};
    is_step = false;
    CHECK(posix_upcall(&upcall));
    is_step = true;
    CHECK_EQUAL(forced.signal, 0);
    /* The step into posix/: the call goes on without the flag, which its return will have. */
    upcall.frame.rip = (uint64_t)(uintptr_t)__posix_code_start;
    upcall.frame.rflags = 0x40746;
    upcall.frame.rcx = 0x1007;
    CHECK(!posix_upcall(&upcall));
    CHECK_EQUAL(upcall.frame.rip, (uint64_t)(uintptr_t)posix_syscall_inside);
    CHECK_EQUAL(upcall.frame.rflags, 0x246);
    CHECK_EQUAL(posix_words.return_rip, 0x1007);
    CHECK_EQUAL(posix_words.return_flags, 0x40746);
    CHECK_EQUAL(forced.signal, 0);
}

/* @verifies ATL-LLR-POSIX-0006~1 */
TEST(page_faults_tell_why)
{
    has_region = false;
    struct posix_signal_info info = fault(14, 4, 0x1234);
    CHECK(info.signal == 11 && info.code == 1 && info.fault.address == 0x1234);
    info = fault(14, 7, 0x1234); /* present */
    CHECK(info.signal == 11 && info.code == 2);
    fault(14, 0, 0x1234); /* in ring 0 the processor says nothing of user mode */
    CHECK_EQUAL(self.fault.error, 4);
    has_region = true; /* lazy, and forbidden */
    region = (struct posix_region_info){.kind = POSIX_REGION_ANONYMOUS};
    info = fault(14, 6, 0x1234);
    CHECK(info.signal == 11 && info.code == 2);
    region.kind = POSIX_REGION_BEYOND_END;
    info = fault(14, 4, 0x1234); /* forbidden, which comes first */
    CHECK(info.signal == 11 && info.code == 2);
    region.protection = 1;
    info = fault(14, 4, 0x1234);
    CHECK(info.signal == 7 && info.code == 2); /* SIGBUS BUS_ADRERR */
    info = fault(14, 6, 0x1234);
    CHECK(info.signal == 11 && info.code == 2);
    has_region = false;
    shared_fault = POSIX_SHARED_FAULT_BUS;
    info = fault(14, 4, 0x1234);
    CHECK(info.signal == 7 && info.code == 2);
    shared_fault = POSIX_SHARED_FAULT_RESOLVED;
    forced.signal = 0;
    info = fault(14, 4, 0x1234);
    CHECK(info.signal == 0); /* the access is repeated */
    shared_fault = POSIX_SHARED_FAULT_OTHER;
    info = fault(14, 5, 0xffff800000000000); /* nothing is told of the kernel's half */
    CHECK(info.signal == 11 && info.code == 1 && info.fault.address == 0xffff800000000000);
}

TEST(an_interrupt_only_asks_for_the_way_out)
{
    struct gate_upcall upcall = {.reason = GATE_UPCALL_INTERRUPT};
    posix_words.pending = 0;
    forced.signal = 0;
    CHECK(posix_upcall(&upcall));
    CHECK(posix_words.pending == 1 && forced.signal == 0 && self.frame == &upcall.frame);
}

CHECK_MAIN()
