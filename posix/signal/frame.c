/* SPDX-License-Identifier: Apache-2.0 */
/* The frame of a signal handler on the application's stack, as Linux lays it out on x86-64, and the
 * way back from it. The extended state lies above the frame in XSAVE format, with Linux's marks. */
#include "../core/internal.h"
#include "internal.h"

#include <posix/detour.h>
#include <posix/instructions.h>
#include <posix/syscalls.h>

#define RED_ZONE_BYTES 128u
#define EXTENDED_ALIGNMENT 64u
#define EXTENDED_HEADER_OFFSET 512u
#define EXTENDED_HEADER_BYTES 64u
#define EXTENDED_MARK_OFFSET 464u
#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u
#define UC_FP_XSTATE 1u
#define UC_SIGCONTEXT_SS 2u
#define UC_STRICT_RESTORE_SS 4u
#define MXCSR_DEFAULT 0x1f80u

#define FLAGS_FIXED 0x202u            /* interrupts on, the always-set bit */
#define FLAGS_APPLICATION 0x50dd5u    /* AC RF OF DF TF SF ZF AF PF CF, as Linux's FIX_EFLAGS */
#define FLAGS_HANDLER_CLEARS 0x10500u /* RF DF TF */
#define ADDRESS_BITS 47u

struct signal_context {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
        rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, vector, old_mask, fault_address, extended, reserved[8];
};

struct user_context {
    uint64_t flags, link;
    struct posix_signal_stack stack;
    struct signal_context registers;
    uint64_t mask;
};

struct signal_frame {
    uint64_t restorer; /* where the handler returns to */
    struct user_context context;
    struct posix_signal_info info;
};
_Static_assert(sizeof(struct signal_context) == 256, "Linux's struct sigcontext");
_Static_assert(sizeof(struct user_context) == 304, "Linux's struct ucontext");
_Static_assert(sizeof(struct signal_frame) == 440, "Linux's struct rt_sigframe");

/* The software bytes of the XSAVE area. */
struct extended_mark {
    uint32_t magic, extended_bytes;
    uint64_t features;
    uint32_t state_bytes, padding[7];
};
_Static_assert(sizeof(struct extended_mark) == 48, "Linux's struct _fpx_sw_bytes");

struct placement {
    uint64_t frame, extended;
};

/* Where the frame goes, or -EFAULT if it leaves the alternate stack. */
static int64_t place(const struct posix_thread *self, const struct posix_signal_action *action,
                     uint64_t rsp, struct placement *placement)
{
    const struct posix_signal_stack *stack = &self->signal_stack;
    bool was_on_stack = posix_is_on_signal_stack(stack, rsp);
    bool is_on_stack = was_on_stack;
    uint64_t top = rsp - RED_ZONE_BYTES;
    if ((action->flags & SA_ONSTACK) != 0 && (stack->flags & SS_DISABLE) == 0 && !was_on_stack) {
        top = stack->address + stack->bytes;
        is_on_stack = true;
    }
    uint64_t extended_bytes = posix_info.extended_bytes + sizeof(uint32_t);
    placement->extended = (top - extended_bytes) & ~(uint64_t)(EXTENDED_ALIGNMENT - 1);
    /* As after a call instruction: 16-aligned but for the return address. */
    placement->frame =
        ((placement->extended - sizeof(struct signal_frame)) & ~15ull) - sizeof(uint64_t);
    if (is_on_stack && (placement->frame < stack->address || placement->frame > top)) {
        return -EFAULT;
    }
    return 0;
}

static int64_t save_extended(uint64_t to)
{
    uint32_t bytes = posix_info.extended_bytes;
    uint32_t end_mark = FP_XSTATE_MAGIC2;
    struct extended_mark mark = {.magic = FP_XSTATE_MAGIC1,
                                 .extended_bytes = bytes + (uint32_t)sizeof(end_mark),
                                 .features = posix_info.extended_mask,
                                 .state_bytes = bytes};
    if (posix_zero_out(to + EXTENDED_HEADER_OFFSET, EXTENDED_HEADER_BYTES) != 0 ||
        posix_extended_save(to, posix_info.extended_mask) != 0 ||
        posix_copy_out(to + EXTENDED_MARK_OFFSET, &mark, sizeof(mark)) != 0) {
        return -EFAULT;
    }
    return posix_copy_out(to + bytes, &end_mark, sizeof(end_mark));
}

static void fill_registers(struct signal_context *to, const struct gate_frame *from)
{
    *to = (struct signal_context){
        .r8 = from->r8,
        .r9 = from->r9,
        .r10 = from->r10,
        .r11 = from->r11,
        .r12 = from->r12,
        .r13 = from->r13,
        .r14 = from->r14,
        .r15 = from->r15,
        .rdi = from->rdi,
        .rsi = from->rsi,
        .rbp = from->rbp,
        .rbx = from->rbx,
        .rdx = from->rdx,
        .rax = from->rax,
        .rcx = from->rcx,
        .rsp = from->rsp,
        .rip = posix_detour_shown(from->rip, from->rcx),
        .rflags = from->rflags,
        .cs = (uint16_t)from->cs,
        .ss = (uint16_t)from->ss,
    };
}

static void reset_float_control(void)
{
    instruction_fninit();
    instruction_ldmxcsr(MXCSR_DEFAULT);
}

/* @impl ATL-LLR-SIGNAL-0020~1 */
int64_t posix_signal_push(struct posix_thread *self, struct gate_frame *frame,
                          const struct posix_signal_action *action,
                          const struct posix_signal_info *info, uint64_t saved_mask)
{
    struct placement at;
    if ((action->flags & SA_RESTORER) == 0 || action->handler >> ADDRESS_BITS != 0 ||
        place(self, action, frame->rsp, &at) != 0 || save_extended(at.extended) != 0) {
        return -EFAULT;
    }
    struct signal_frame pushed = {.restorer = action->restorer, .info = *info};
    fill_registers(&pushed.context.registers, frame);
    pushed.context.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    pushed.context.stack = self->signal_stack;
    pushed.context.registers.error = self->fault.error;
    pushed.context.registers.vector = self->fault.vector;
    pushed.context.registers.fault_address = self->fault.address;
    pushed.context.registers.old_mask = saved_mask;
    pushed.context.registers.extended = at.extended;
    pushed.context.mask = saved_mask;
    if (posix_copy_out(at.frame, &pushed, sizeof(pushed)) != 0) {
        return -EFAULT;
    }
    if ((self->signal_stack.flags & SS_AUTODISARM) != 0) {
        self->signal_stack = (struct posix_signal_stack){.flags = SS_DISABLE};
    }
    reset_float_control();
    frame->rip = action->handler;
    frame->rsp = at.frame;
    frame->rdi = (uint64_t)info->signal;
    frame->rsi = at.frame + offsetof(struct signal_frame, info);
    frame->rdx = at.frame + offsetof(struct signal_frame, context);
    frame->rax = 0;
    frame->rflags &= ~(uint64_t)FLAGS_HANDLER_CLEARS;
    return 0;
}

/* Takes the extended state back; the marks say whether it is more than FXSAVE's 512 bytes. */
static int64_t restore_extended(uint64_t from)
{
    if (from == 0) {
        reset_float_control();
        return 0;
    }
    struct extended_mark mark;
    if (from % EXTENDED_ALIGNMENT != 0 ||
        posix_copy_in(&mark, from + EXTENDED_MARK_OFFSET, sizeof(mark)) != 0) {
        return -EFAULT;
    }
    uint32_t end_mark = 0;
    bool is_whole = mark.magic == FP_XSTATE_MAGIC1 &&
                    mark.state_bytes >= EXTENDED_HEADER_OFFSET + EXTENDED_HEADER_BYTES &&
                    mark.state_bytes <= posix_info.extended_bytes &&
                    mark.extended_bytes >= mark.state_bytes + sizeof(end_mark) &&
                    posix_copy_in(&end_mark, from + mark.state_bytes, sizeof(end_mark)) == 0 &&
                    end_mark == FP_XSTATE_MAGIC2;
    if (!is_whole) {
        return posix_legacy_restore(from);
    }
    return posix_extended_restore(from, mark.features & posix_info.extended_mask);
}

static void take_registers(struct gate_frame *to, const struct signal_context *from)
{
    to->r8 = from->r8, to->r9 = from->r9, to->r10 = from->r10, to->r11 = from->r11;
    to->r12 = from->r12, to->r13 = from->r13, to->r14 = from->r14, to->r15 = from->r15;
    to->rdi = from->rdi, to->rsi = from->rsi, to->rbp = from->rbp, to->rbx = from->rbx;
    to->rdx = from->rdx, to->rax = from->rax, to->rcx = from->rcx, to->rsp = from->rsp;
    to->rip = posix_detour_taken(from->rip);
    to->rflags = (from->rflags & FLAGS_APPLICATION) | FLAGS_FIXED;
}

/* @impl ATL-LLR-SIGNAL-0021~1 */
int64_t posix_rt_sigreturn(void)
{
    struct posix_thread *self = posix_self();
    struct gate_frame *frame = self->frame;
    struct user_context context;
    /* The handler's return took the restorer's address off. */
    uint64_t at = frame->rsp - sizeof(uint64_t) + offsetof(struct signal_frame, context);
    self->call = POSIX_CALL_NONE;
    if (posix_copy_in(&context, at, sizeof(context)) != 0 ||
        context.registers.rip >> ADDRESS_BITS != 0 ||
        restore_extended(context.registers.extended) != 0) {
        struct posix_signal_info fault = {.signal = SIGSEGV, .code = SI_KERNEL};
        posix_signal_force(&fault);
        return 0;
    }
    take_registers(frame, &context.registers);
    if ((context.stack.flags & ~(SS_AUTODISARM | SS_ONSTACK)) == 0 ||
        context.stack.flags == SS_DISABLE) {
        self->signal_stack = context.stack;
        self->signal_stack.flags &= ~SS_ONSTACK;
    }
    posix_signal_set_blocked(self, context.mask);
    return (int64_t)frame->rax;
}
