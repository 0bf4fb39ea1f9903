/* SPDX-License-Identifier: Apache-2.0 */
/* New threads: clone and clone3 as thread libraries call them. What would make a process is not
 * offered. The child starts on its own posix stack with its parent's frame below its record, and
 * leaves by that frame. */
#include "../core/internal.h"

#include <posix/instructions.h>
#include <posix/syscalls.h>

#define CLONE_VM 0x100ull
#define CLONE_FS 0x200ull
#define CLONE_FILES 0x400ull
#define CLONE_SIGHAND 0x800ull
#define CLONE_PTRACE 0x2000ull
#define CLONE_THREAD 0x10000ull
#define CLONE_SYSVSEM 0x40000ull
#define CLONE_SETTLS 0x80000ull
#define CLONE_PARENT_SETTID 0x100000ull
#define CLONE_CHILD_CLEARTID 0x200000ull
#define CLONE_DETACHED 0x400000ull
#define CLONE_UNTRACED 0x800000ull
#define CLONE_CHILD_SETTID 0x1000000ull
#define CLONE_IO 0x80000000ull
#define CLONE_SIGNAL_MASK 0xffull

#define CLONE_NEEDED (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_KNOWN                                                                                \
    (CLONE_NEEDED | CLONE_PTRACE | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |            \
     CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO)

#define CLONE3_BYTES_MIN 64u
#define CLONE3_BYTES_MAX 4096u

struct clone_request {
    uint64_t flags, stack, parent_tid, child_tid, tls;
};

/* Linux's struct clone_args. */
struct clone3_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

static _Atomic uint32_t last_placed;

uint64_t posix_core_mask(void)
{
    uint32_t count = posix_info.core_count;
    return count >= 64 ? UINT64_MAX : (1ull << count) - 1;
}

/* Round robin over the cores that the mask allows; it allows one at least.
 * @impl ATL-LLR-POSIX-0027~1 */
static uint32_t place(uint64_t affinity)
{
    uint32_t turn = atomic_fetch_add_explicit(&last_placed, 1, memory_order_relaxed) + 1;
    uint32_t count = 0;
    for (uint64_t bits = affinity; bits != 0; bits &= bits - 1) {
        count++;
    }
    uint64_t rest = affinity;
    for (uint32_t skip = turn % count; skip > 0; skip--) {
        rest &= rest - 1;
    }
    return (uint32_t)__builtin_ctzll(rest);
}

/* @impl ATL-LLR-POSIX-0022~1 */
static int64_t check(uint64_t flags)
{
    if (((flags & CLONE_THREAD) != 0 && (flags & CLONE_SIGHAND) == 0) ||
        ((flags & CLONE_SIGHAND) != 0 && (flags & CLONE_VM) == 0)) {
        return -EINVAL;
    }
    return (flags & CLONE_NEEDED) == CLONE_NEEDED && (flags & ~CLONE_KNOWN) == 0 ? 0 : -ENOSYS;
}

static void prepare_record(struct posix_thread *child, struct posix_thread *self,
                           const struct clone_request *request)
{
    *child = (struct posix_thread){.call = POSIX_CALL_NONE};
    child->frame = (struct gate_frame *)posix_stack_top(child) - 1; // NOLINT: posix stack
    *child->frame = *self->frame;
    child->frame->rax = 0;
    if (request->stack != 0) {
        child->frame->rsp = request->stack;
    }
    child->fs_base = (request->flags & CLONE_SETTLS) != 0 ? request->tls : instruction_rdfsbase();
    child->gs_base = instruction_rdgsbase();
    child->mxcsr = instruction_stmxcsr();
    child->x87_control = instruction_fnstcw();
    child->clear_child_tid = (request->flags & CLONE_CHILD_CLEARTID) != 0 ? request->child_tid : 0;
    /* The child itself stores its id; the field carries the address until then. */
    child->restart_argument[0] =
        (request->flags & CLONE_CHILD_SETTID) != 0 ? request->child_tid : 0;
    child->signal_stack.flags = 2; /* SS_DISABLE: an alternate stack is not shared */
    __builtin_memcpy(child->name, self->name, POSIX_THREAD_NAME_BYTES); /* inline */
    atomic_store_explicit(&child->blocked, atomic_load(&self->blocked), memory_order_relaxed);
    atomic_store(&child->scheduling, posix_scheduling_inherited(self));
    child->restart_argument[1] = posix_scheduling_level(child); /* what it starts with */
    atomic_store_explicit(&child->affinity, atomic_load(&self->affinity), memory_order_relaxed);
}

/* The creator learns the handle; the child may run already and wait for it. */
static void publish_handle(struct posix_thread *child, uint64_t handle)
{
    if (atomic_exchange(&child->handle, handle) == HANDLE_AWAITED) {
        gate_unpark(handle, 0);
    }
}

static int64_t start(struct posix_thread *child, uint32_t core)
{
    if (core != POSIX_CONSOLE_CORE && posix_console_serve_cores() < 0) {
        return -EAGAIN;
    }
    return gate_thread_create(core, (uint64_t)(uintptr_t)posix_thread_entry, posix_stack_top(child),
                              (uint64_t)(uintptr_t)child, child->restart_argument[1]);
}

/* @impl ATL-LLR-POSIX-0023~1 */
static int64_t create(const struct clone_request *request)
{
    struct posix_thread *self = posix_self();
    uint32_t core = place(atomic_load_explicit(&self->affinity, memory_order_relaxed));
    void *stack = posix_stack_take(core);
    if (stack == NULL) {
        return -EAGAIN;
    }
    struct posix_thread *child = posix_thread_of_stack(stack);
    prepare_record(child, self, request);
    child->stack_core = core;
    child->start_ns = posix_now_ns();
    posix_thread_insert(child);
    int32_t id = child->id; /* the record may be gone once the child runs */
    if ((request->flags & CLONE_PARENT_SETTID) != 0) {
        posix_store_u32(request->parent_tid, (uint32_t)id); /* Linux ignores a failure here too */
    }
    int64_t handle = start(child, core);
    if (handle < 0) {
        posix_thread_remove(child);
        posix_stack_free(stack);
        return -EAGAIN;
    }
    publish_handle(child, (uint64_t)handle);
    return id;
}

/* The creator keeps the record alive until it has published the handle: the child waits here. */
static void await_handle(struct posix_thread *self)
{
    uint64_t handle = HANDLE_UNKNOWN;
    if (atomic_compare_exchange_strong(&self->handle, &handle, HANDLE_AWAITED)) {
        while (atomic_load(&self->handle) == HANDLE_AWAITED) {
            gate_park(GATE_NEVER, 0);
        }
    }
}

void posix_thread_begin(struct posix_thread *self)
{
    instruction_wrfsbase(self->fs_base);
    if (self->gs_base != 0) {
        instruction_wrgsbase(self->gs_base);
    }
    instruction_ldmxcsr(self->mxcsr);
    instruction_fldcw(self->x87_control);
    await_handle(self);
    posix_thread_settle(self);
    /* Who changed our policy before our handle was known could not reach us. */
    if (posix_scheduling_level(self) != self->restart_argument[1]) {
        gate_thread_set(0, posix_scheduling_level(self), GATE_KEEP, 0);
    }
    if (self->restart_argument[0] != 0) {
        posix_store_u32(self->restart_argument[0], (uint32_t)self->id);
    }
    if (posix_signal_is_pending()) {
        posix_words.pending = 1;
    }
}

int64_t posix_clone(uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid,
                    uint64_t tls)
{
    struct clone_request request = {flags & ~CLONE_SIGNAL_MASK, stack, parent_tid, child_tid, tls};
    int64_t checked = check(request.flags);
    return checked != 0 ? checked : create(&request);
}

static int64_t load_arguments(struct clone3_arguments *arguments, uint64_t from, uint64_t bytes)
{
    if (bytes > CLONE3_BYTES_MAX) {
        return -E2BIG;
    }
    if (bytes < CLONE3_BYTES_MIN) {
        return -EINVAL;
    }
    uint64_t known = bytes < sizeof(*arguments) ? bytes : sizeof(*arguments);
    *arguments = (struct clone3_arguments){0};
    int64_t copied = posix_copy_in(arguments, from, known);
    for (uint64_t at = known; copied == 0 && at < bytes; at++) {
        uint8_t byte;
        copied = posix_copy_in(&byte, from + at, 1);
        if (copied == 0 && byte != 0) {
            return -E2BIG; /* asks for something that is newer than this */
        }
    }
    return copied;
}

/* @impl ATL-LLR-POSIX-0024~1 */
int64_t posix_clone3(uint64_t from, uint64_t bytes)
{
    struct clone3_arguments arguments;
    int64_t loaded = load_arguments(&arguments, from, bytes);
    if (loaded != 0) {
        return loaded;
    }
    if ((arguments.flags & (CLONE_DETACHED | CLONE_SIGNAL_MASK)) != 0 ||
        (arguments.stack == 0) != (arguments.stack_size == 0) ||
        ((arguments.flags & CLONE_THREAD) != 0 && arguments.exit_signal != 0) ||
        arguments.exit_signal > CLONE_SIGNAL_MASK || arguments.set_tid_size != 0) {
        return -EINVAL;
    }
    int64_t checked = check(arguments.flags);
    if (checked != 0) {
        return checked;
    }
    struct clone_request request = {arguments.flags, arguments.stack + arguments.stack_size,
                                    arguments.parent_tid, arguments.child_tid, arguments.tls};
    return create(&request);
}
