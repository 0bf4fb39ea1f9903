/* SPDX-License-Identifier: Apache-2.0 */
/* The last stop before the application: signals are delivered, interrupted calls end or begin anew.
 */
#include "../core/internal.h"
#include "internal.h"

#include <posix/syscalls.h>

#define SYSCALL_INSTRUCTION_BYTES 2u

static int64_t restart_code(const struct posix_thread *self, const struct gate_frame *frame)
{
    int64_t result = (int64_t)frame->rax;
    bool is_code = result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
                   result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
    return self->call != POSIX_CALL_NONE && is_code ? -result : 0;
}

/* @impl ATL-LLR-SIGNAL-0010~1 */
static void end_call_for_handler(struct posix_thread *self, struct gate_frame *frame,
                                 const struct posix_signal_action *action)
{
    int64_t code = restart_code(self, frame);
    if (code == ERESTARTNOINTR || (code == ERESTARTSYS && (action->flags & SA_RESTART) != 0)) {
        /* After the handler the application makes the call again. */
        frame->rip -= SYSCALL_INSTRUCTION_BYTES;
        frame->rax = self->call;
    } else if (code != 0) {
        frame->rax = (uint64_t)-EINTR;
    }
    self->call = POSIX_CALL_NONE;
}

static void terminate(struct posix_thread *self, const struct gate_frame *frame,
                      const struct posix_signal_info *info)
{
    if (posix_signal_default_of(info->signal) == POSIX_DEFAULT_CORE) {
        posix_crash_report(self, frame, info);
    }
    posix_cell_end(0, (uint64_t)info->signal);
}

/* @impl ATL-LLR-SIGNAL-0011~1 */
static void deliver(struct posix_thread *self, struct gate_frame *frame,
                    const struct posix_signal_info *info)
{
    struct posix_signal_action action = posix_signal_action_take(info->signal);
    if (action.handler == SIG_IGN) {
        return;
    }
    if (action.handler == SIG_DFL) {
        if (posix_signal_default_of(info->signal) != POSIX_DEFAULT_IGNORE) {
            terminate(self, frame, info);
        }
        return;
    }
    end_call_for_handler(self, frame, &action);
    uint64_t blocked = atomic_load(&self->blocked);
    uint64_t saved = self->has_suspended_mask ? self->suspended_mask : blocked;
    if (posix_signal_push(self, frame, &action, info, saved) != 0) {
        struct posix_signal_info fault = {.signal = SIGSEGV, .code = SI_KERNEL};
        if (info->signal == SIGSEGV) {
            posix_signal_default(SIGSEGV);
        }
        posix_signal_force(&fault);
        return;
    }
    self->has_suspended_mask = false;
    uint64_t own = (action.flags & SA_NODEFER) != 0 ? 0 : posix_signal_bit(info->signal);
    posix_signal_set_blocked(self, blocked | action.mask | own);
}

static bool deliver_next(struct posix_thread *self, struct gate_frame *frame)
{
    struct posix_signal_info info;
    uint64_t set = posix_signal_deliverable(self);
    if (set == 0 || !posix_signal_take_to_deliver(self, set, &info)) {
        return false;
    }
    deliver(self, frame, &info);
    return true;
}

/* No handler ran: the call goes on as if nothing had been. @impl ATL-LLR-SIGNAL-0012~1 */
static bool repeat_call(struct posix_thread *self, struct gate_frame *frame)
{
    int64_t code = restart_code(self, frame);
    if (code == 0) {
        return false;
    }
    uint64_t number = code == ERESTART_RESTARTBLOCK ? SYSCALL_RESTART_SYSCALL : self->call;
    frame->rax = (uint64_t)posix_syscall_invoke(number, frame);
    return true;
}

struct gate_frame *posix_leave(struct gate_frame *frame)
{
    struct posix_thread *self = posix_self();
    self->frame = frame;
    bool goes_on = true;
    while (goes_on) {
        /* Cleared before looking: what comes later sets it again and is found by the exit. */
        posix_words.pending = 0;
        if (atomic_exchange(&self->has_to_move, false)) {
            posix_thread_settle(self);
        }
        goes_on = deliver_next(self, frame);
        if (!goes_on && self->has_suspended_mask) {
            self->has_suspended_mask = false;
            posix_signal_set_blocked(self, self->suspended_mask);
            goes_on = true;
        } else if (!goes_on) {
            goes_on = repeat_call(self, frame);
        }
    }
    self->call = POSIX_CALL_NONE;
    /* Upwards, over what is not needed any more: an upcall's record or the start's own stack. */
    struct gate_frame *top = (struct gate_frame *)posix_stack_top(self) - 1; // NOLINT: posix stack
    struct gate_frame copy = *frame; /* the two may overlap */
    *top = copy;
    return top;
}
