/* SPDX-License-Identifier: Apache-2.0 */
/* Interrupts and faults that the kernel hands up. A fault of a copy instruction goes on at its
 * fix-up; any other fault of posix/ is our bug and ends the cell; a fault of the application
 * becomes the signal that Linux would send. */
#include "internal.h"

#include <posix/detour.h>
#include <posix/file.h>
#include <posix/instructions.h>
#include <posix/memory.h>

#define VECTOR_DIVIDE 0
#define VECTOR_DEBUG 1
#define VECTOR_BREAKPOINT 3
#define VECTOR_OVERFLOW 4
#define VECTOR_BOUND 5
#define VECTOR_OPCODE 6
#define VECTOR_SEGMENT 11
#define VECTOR_STACK 12
#define VECTOR_PROTECTION 13
#define VECTOR_PAGE 14
#define VECTOR_X87 16
#define VECTOR_ALIGNMENT 17
#define VECTOR_SIMD 19

#define PAGE_ERROR_PRESENT 1u
#define PAGE_ERROR_WRITE 2u
#define PAGE_ERROR_USER 4u
#define PAGE_ERROR_FETCH 16u
#define PROT_WRITE 2u
#define PROT_EXEC 4u
#define FLAG_TRAP 0x100u
#define FLAGS_CALL_CLEARS 0x44500u
#define USER_END 0x0000800000000000u

#define FPE_INTDIV 1
#define FPE_FLTDIV 3
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6
#define FPE_FLTINV 7
#define ILL_ILLOPN 2
#define TRAP_BRKPT 1
#define TRAP_TRACE 2
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN 1
#define BUS_ADRERR 2

struct exception_entry {
    int32_t instruction, fixup; /* each from its own address */
};
extern const struct exception_entry __start_posix_exceptions[], __stop_posix_exceptions[];
extern const uint8_t __posix_code_start[], __text_end[];
extern const uint8_t posix_syscall_inside[]; /* entry.S */

uint64_t posix_exception_fixup(uint64_t rip)
{
    for (const struct exception_entry *e = __start_posix_exceptions; e < __stop_posix_exceptions;
         e++) {
        if ((uint64_t)(uintptr_t)&e->instruction + (uint64_t)(int64_t)e->instruction == rip) {
            return (uint64_t)(uintptr_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
        }
    }
    return 0;
}

bool posix_is_own_code(uint64_t rip)
{
    return rip >= (uint64_t)(uintptr_t)__posix_code_start && rip < (uint64_t)(uintptr_t)__text_end;
}

/* Code of a floating-point fault from the exception bits of x87 or SSE, the lowest one first. */
static int32_t float_code(uint32_t bits)
{
    if ((bits & 0x01) != 0) {
        return FPE_FLTINV;
    }
    if ((bits & 0x04) != 0) {
        return FPE_FLTDIV;
    }
    if ((bits & 0x08) != 0) {
        return FPE_FLTOVF;
    }
    if ((bits & 0x12) != 0) {
        return FPE_FLTUND; /* denormal operand, underflow */
    }
    return (bits & 0x20) != 0 ? FPE_FLTRES : 0;
}

static int32_t x87_code(void)
{
    return float_code(instruction_fnstsw() & ~(uint32_t)instruction_fnstcw() & 0x3f);
}

static int32_t simd_code(void)
{
    uint32_t mxcsr = instruction_stmxcsr();
    return float_code(mxcsr & ~(mxcsr >> 7) & 0x3f);
}

static bool is_allowed(const struct posix_region_info *region, uint64_t error)
{
    if ((error & PAGE_ERROR_WRITE) != 0) {
        return (region->protection & PROT_WRITE) != 0;
    }
    return (error & PAGE_ERROR_FETCH) != 0 ? (region->protection & PROT_EXEC) != 0
                                           : region->protection != 0;
}

/* A mapping reaches behind the end of its file, or there was no memory for a page of it: Linux says
 * SIGBUS there, to an access that the mapping allows. is_resolved has failed before: what has come
 * right since then does not make the access a wrong one. */
static bool is_beyond_file(const struct gate_upcall *upcall)
{
    struct posix_region_info region;
    return (posix_memory_find(upcall->address, false, &region) &&
            region.kind == POSIX_REGION_BEYOND_END && is_allowed(&region, upcall->error)) ||
           posix_shared_fault(upcall->address, upcall->error) != POSIX_SHARED_FAULT_OTHER;
}

/* A page of a shared mapping that has not been touched yet is there now: the access is repeated. */
static bool is_resolved(const struct gate_upcall *upcall)
{
    return upcall->reason == GATE_UPCALL_FAULT && upcall->vector == VECTOR_PAGE &&
           posix_shared_fault(upcall->address, upcall->error) == POSIX_SHARED_FAULT_RESOLVED;
}

static void describe_page_fault(const struct gate_upcall *upcall, struct posix_signal_info *info)
{
    info->fault.address = upcall->address;
    info->code = (upcall->error & PAGE_ERROR_PRESENT) != 0 ? SEGV_ACCERR : SEGV_MAPERR;
    if (upcall->address >= USER_END) {
        info->code = SEGV_MAPERR; /* as Linux: says nothing of what the kernel has there */
        return;
    }
    if (is_beyond_file(upcall)) {
        info->signal = SIGBUS;
        info->code = BUS_ADRERR;
    } else if (info->code == SEGV_MAPERR) {
        /* A lazy page's entry is not present even if the region forbids the access. */
        struct posix_region_info region;
        info->code = posix_memory_find(upcall->address, false, &region) ? SEGV_ACCERR : SEGV_MAPERR;
    }
}

/* @impl ATL-LLR-POSIX-0006~1 */
static struct posix_signal_info signal_of(const struct gate_upcall *upcall)
{
    struct posix_signal_info info = {.signal = SIGSEGV, .code = SI_KERNEL};
    info.fault.address = posix_detour_shown(upcall->frame.rip, upcall->frame.rcx);
    switch (upcall->vector) {
    case VECTOR_DIVIDE:
        info.signal = SIGFPE, info.code = FPE_INTDIV;
        break;
    case VECTOR_DEBUG:
        /* One step at a time, or the instruction INT1. */
        info.signal = SIGTRAP;
        info.code = (upcall->frame.rflags & FLAG_TRAP) != 0 ? TRAP_TRACE : TRAP_BRKPT;
        break;
    case VECTOR_BREAKPOINT:
        info.signal = SIGTRAP, info.code = SI_KERNEL, info.fault.address = 0;
        break;
    case VECTOR_OPCODE:
        info.signal = SIGILL, info.code = ILL_ILLOPN;
        break;
    case VECTOR_SEGMENT:
    case VECTOR_STACK:
        info.signal = SIGBUS, info.fault.address = 0;
        break;
    case VECTOR_PAGE:
        describe_page_fault(upcall, &info);
        break;
    case VECTOR_X87:
        info.signal = SIGFPE, info.code = x87_code();
        break;
    case VECTOR_ALIGNMENT:
        info.signal = SIGBUS, info.code = BUS_ADRALN, info.fault.address = 0;
        break;
    case VECTOR_SIMD:
        info.signal = SIGFPE, info.code = simd_code();
        break;
    default:
        info.fault.address = 0;
        break;
    }
    return info;
}

/* For ucontext: the program is user mode in either ring, and above its half every error looks like
 * one of protection, as on Linux. */
static struct posix_signal_fault describe_fault(const struct gate_upcall *upcall)
{
    uint64_t error = upcall->error;
    if (upcall->vector == VECTOR_PAGE) {
        bool is_above = upcall->address >= USER_END;
        error |= PAGE_ERROR_USER | (is_above ? PAGE_ERROR_PRESENT : 0);
    }
    return (struct posix_signal_fault){upcall->vector, error, upcall->address};
}

static noreturn void fault_in_posix(const struct gate_upcall *upcall)
{
    uint64_t base = posix_info.posix_base;
    posix_report("fault in posix itself: vector %lu error 0x%lx at posix+0x%lx, address 0x%lx",
                 upcall->vector, upcall->error, upcall->frame.rip - base, upcall->address);
    posix_report("thread %d core %u call %lu rsp 0x%lx rax 0x%lx rdi 0x%lx rsi 0x%lx",
                 posix_thread_id(posix_self()), posix_core(), posix_self()->call, upcall->frame.rsp,
                 upcall->frame.rax, upcall->frame.rdi, upcall->frame.rsi);
    gate_exit(0, SIGABRT);
}

/* The tool stops here to keep a core file. @impl ATL-LLR-BOOT-0036~1 */
noreturn void posix_out_of_memory(const struct gate_upcall *upcall)
{
    uint32_t core = posix_core();
    posix_print("atoll: out of memory: core %u has %lu of %lu frames left, and no other core gave "
                "it more, for address 0x%lx (rip 0x%lx)\n",
                core, posix_core_count(core, GATE_COUNT(frames_free)),
                posix_core_count(core, GATE_COUNT(frames_total)), upcall->address,
                posix_detour_shown(upcall->frame.rip, upcall->frame.rcx));
    gate_exit(0, SIGKILL);
}

/* The application makes single steps, and the last one brought it into posix/ by a detour: the call
 * goes on as if the kernel had reflected it, which clears the flag. */
static bool is_step_into_call(struct gate_upcall *upcall)
{
    if (upcall->vector != VECTOR_DEBUG ||
        upcall->frame.rip != (uint64_t)(uintptr_t)__posix_code_start) {
        return false;
    }
    posix_words.return_rip = upcall->frame.rcx;
    posix_words.return_flags = upcall->frame.rflags;
    upcall->frame.rflags &= ~(uint64_t)FLAGS_CALL_CLEARS;
    upcall->frame.rip = (uint64_t)(uintptr_t)posix_syscall_inside;
    return true;
}

/* A trap behind an instruction that the program's own code does not have. */
static bool is_no_step(const struct gate_upcall *upcall)
{
    return upcall->vector == VECTOR_DEBUG && (upcall->frame.rflags & FLAG_TRAP) != 0 &&
           !posix_detour_is_step(upcall->frame.rip);
}

/* Returns true to leave to the application, false to go on in posix/. */
bool posix_upcall(struct gate_upcall *upcall)
{
    struct posix_thread *self = posix_self();
    bool is_fault = upcall->reason == GATE_UPCALL_FAULT;
    bool is_own = is_fault && posix_is_own_code(upcall->frame.rip);
    if (!is_own) {
        self->frame = &upcall->frame;
        self->call = POSIX_CALL_NONE;
    }
    if (is_fault && (upcall->error & GATE_FAULT_NO_MEMORY) != 0) {
        posix_out_of_memory(upcall);
    }
    if (is_own) {
        if (is_resolved(upcall) || is_step_into_call(upcall)) {
            return false;
        }
        uint64_t fixup = posix_exception_fixup(upcall->frame.rip);
        if (fixup == 0) {
            fault_in_posix(upcall);
        }
        upcall->frame.rip = fixup;
        return false;
    }
    if (is_fault && !is_resolved(upcall) && !is_no_step(upcall)) {
        struct posix_signal_info info = signal_of(upcall);
        self->fault = describe_fault(upcall);
        posix_signal_force(&info);
    } else {
        /* Perhaps the kernel has moved us: whoever wakes us from now on needs the new handle. */
        posix_thread_settle(self);
    }
    posix_words.pending = 1;
    return true;
}
