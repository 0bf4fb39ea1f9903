/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the gate that concern threads, memory and randomness. A handler validates, then
 * copies, then acts; the act cannot fail half-way. */
#include "internal.h"
#include "validate.h"

#include <cpu/string.h>
#include <crypto/entropy.h>
#include <driver/console.h>
#include <kernel/layout.h>

static const gate_handler handlers[GATE_CALL_COUNT] = {
#define GATE_CALL(number, name, arguments) [number] = gate_handle_##name,
#include <gate_table.inc>
#undef GATE_CALL
};

/* What the entry path calls: written by core 0 in gate_handlers_choose, read by all. */
SHARED gate_handler shared_gate_handlers[GATE_CALL_COUNT];

static int64_t refuse(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t)
{
    return RESULT_PERMISSION;
}

/* @impl ATL-LLR-GATE-0050~1 */
void gate_handlers_choose(uint32_t calls)
{
    for (uint32_t number = 0; number < GATE_CALL_COUNT; number++) {
        shared_gate_handlers[number] = (calls >> number & 1) != 0 ? handlers[number] : refuse;
    }
}

PERCORE gate_kick gate_kicks[GATE_PORT_DOORBELL + 1];

static enum result fetch_and_repeat(uint64_t fault_address, enum space_access access)
{
    struct thread *thread = percpu_current;
    thread->resume = RESUME_RESTART;
    enum result fetched = isolation_space_fault(thread, fault_address, access);
    if (fetched == RESULT_OK) {
        percpu_reschedule = true; /* the loop finds the thread running and repeats its call */
        return SPACE_PENDING;
    }
    if (fetched != SPACE_PENDING) {
        thread->resume = RESUME_GATE;
    }
    return fetched;
}

enum result gate_copy_from_user(void *to, uint64_t from, uint64_t bytes)
{
    uint64_t fault_address = 0;
    enum result copied = isolation_copy_from_user(to, from, bytes, &fault_address);
    return copied == RESULT_OK ? copied : fetch_and_repeat(fault_address, SPACE_ACCESS_READ);
}

enum result gate_copy_to_user(uint64_t to, const void *from, uint64_t bytes)
{
    uint64_t fault_address = 0;
    enum result copied = isolation_copy_to_user(to, from, bytes, &fault_address);
    return copied == RESULT_OK ? copied : fetch_and_repeat(fault_address, SPACE_ACCESS_WRITE);
}

void gate_complete_by_value(struct thread *thread, const struct percpu_message *reply)
{
    if (reply == NULL) { /* a credit came */
        thread->resume = RESUME_RESTART;
    } else {
        thread->frame.rax = reply->arguments[0];
    }
    percpu_thread_ready(thread);
}

/* @impl ATL-LLR-GATE-0021~1 ATL-LLR-GATE-0023~2 */
void gate_reply(core_id_t to, const struct percpu_message *request, int64_t value)
{
    struct percpu_message reply = {
        .kind = request->kind, .token = request->token, .arguments = {(uint64_t)value}};
    percpu_channel_reply(to, &reply);
}

int64_t gate_pass_on(uint64_t core, struct percpu_message call)
{
    call.kind = PERCPU_MESSAGE_CALL;
    percpu_channel_call((core_id_t){(uint16_t)core}, &call, percpu_current, gate_complete_by_value);
    return 0;
}

/* @impl ATL-LLR-GATE-0020~1 ATL-LLR-GATE-0021~1 ATL-LLR-GATE-0023~2 */
void gate_call_requested(core_id_t from, const struct percpu_message *call)
{
    const uint64_t *a = call->arguments;
    ASSERT(a[0] < GATE_CALL_COUNT);
    gate_reply(from, call, handlers[a[0]](a[1], a[2], a[3], a[4], a[5]));
}

/* @impl ATL-LLR-GATE-0020~1 */
int64_t gate_handle_exit(uint64_t status, uint64_t signal, uint64_t, uint64_t, uint64_t)
{
    if (status > 255 || signal > 127) {
        return RESULT_INVALID;
    }
    if (percpu_self.value != 0) {
        return gate_pass_on(0, (struct percpu_message){.arguments = {GATE_EXIT, status, signal}});
    }
    end_machine(signal != 0 ? CONSOLE_EXIT_SIGNAL : CONSOLE_EXIT_NORMAL, (uint8_t)status,
                (uint8_t)signal);
}

/* The initial state of everything vectorial: XRSTOR takes it where XSTATE_BV is zero, and MXCSR
 * from the area in any case; the rest of the header must be zero. SDM volume 1, "XSAVE area". What
 * the slot's last thread left is gone, and what memory held before boot. */
static void extended_reset(uint8_t *area)
{
    const uint32_t mxcsr_offset = 24, mxcsr_initial = 0x1f80, header = 512, header_bytes = 64;
    memcpy(area + mxcsr_offset, &mxcsr_initial, sizeof(mxcsr_initial));
    memset(area + header, 0, header_bytes);
}

int64_t gate_thread_start(uint64_t entry, uint64_t stack, uint64_t cookie, uint64_t priority)
{
    TRY(gate_validate_thread_start(&gate_cell, entry, stack, priority));
    struct thread *thread;
    TRY(percpu_thread_allocate(&thread));
    bool user = gate_cell.ring == 3;
    struct thread_frame *frame = &thread->frame; /* all else in it is 0 */
    frame->rip = entry;
    frame->rsp = stack;
    frame->rdi = cookie;
    frame->rflags = 0x202;
    frame->cs = user ? (SELECTOR_USER_CODE | 3) : SELECTOR_KERNEL_CODE;
    frame->ss = user ? (SELECTOR_USER_DATA | 3) : SELECTOR_KERNEL_DATA;
    extended_reset(thread->extended);
    thread->words[0] = stack;
    thread->resume = RESUME_FULL;
    thread->cell = &gate_cell;
    percpu_thread_set_priority(thread, (uint8_t)priority);
    percpu_thread_ready(thread);
    return (int64_t)percpu_thread_handle(thread);
}

/* @impl ATL-LLR-GATE-0021~1 */
int64_t gate_handle_thread_create(uint64_t core, uint64_t entry, uint64_t stack, uint64_t cookie,
                                  uint64_t priority)
{
    if (core >= percpu_core_count) {
        return RESULT_INVALID;
    }
    if (core != percpu_self.value) {
        return gate_pass_on(core,
                            (struct percpu_message){.arguments = {GATE_THREAD_CREATE, core, entry,
                                                                  stack, cookie, priority}});
    }
    return gate_thread_start(entry, stack, cookie, priority);
}

/* @impl ATL-LLR-GATE-0022~1 */
int64_t gate_handle_thread_exit(uint64_t done, uint64_t, uint64_t, uint64_t, uint64_t)
{
    struct thread *thread = percpu_current;
    if (!IS_ALIGNED(done, sizeof(uint32_t))) {
        return RESULT_INVALID;
    }
    /* From here on nothing touches the thread's stack: the word may be set at once. */
    uint32_t one = 1;
    if (done != 0) {
        TRY(gate_copy_to_user(done, &one, sizeof(one)));
    }
    percpu_thread_wait(thread, NULL);
    gate_unload(thread, false);
    percpu_thread_free(thread);
    return 0;
}

static int64_t set_here(struct thread *thread, uint64_t priority)
{
    if (thread == NULL) {
        return RESULT_NO_THREAD;
    }
    if (priority != GATE_KEEP) {
        percpu_thread_set_priority(thread, (uint8_t)priority);
    }
    return (int64_t)gate_run_ns(thread);
}

/* Rarely called: made small. @impl ATL-LLR-GATE-0023~2 */
__attribute__((cold)) int64_t gate_handle_thread_set(uint64_t handle, uint64_t priority,
                                                     uint64_t core, uint64_t cores, uint64_t)
{
    uint32_t owner = handle != 0 ? GATE_THREAD_CORE(handle) : percpu_self.value;
    if ((priority != GATE_KEEP && priority >= GATE_PRIORITY_FIFO + GATE_PRIORITY_COUNT) ||
        (core != GATE_KEEP && (core >= percpu_core_count || handle != 0)) ||
        (cores != 0 && handle != 0) || (cores & ~(UINT64_MAX >> (64 - percpu_core_count))) != 0) {
        return RESULT_INVALID;
    }
    if (owner >= percpu_core_count) {
        return RESULT_NO_THREAD;
    }
    if (owner != percpu_self.value) {
        return gate_pass_on(owner, (struct percpu_message){.arguments = {GATE_THREAD_SET, handle,
                                                                         priority, GATE_KEEP}});
    }
    if (handle != 0) {
        return set_here(percpu_thread_find(handle), priority);
    }
    struct thread *thread = percpu_current;
    thread->cores = cores != 0 ? cores : thread->cores;
    (void)set_here(thread, priority);
    return core != GATE_KEEP && core != owner ? gate_move_to(thread, (core_id_t){(uint16_t)core})
                                              : (int64_t)percpu_thread_handle(thread);
}

/* @impl ATL-LLR-GATE-0024~1 */
int64_t gate_handle_park(uint64_t deadline, uint64_t flags, uint64_t, uint64_t, uint64_t)
{
    if ((flags & ~(uint64_t)GATE_PARK_KEEP_EXTENDED) != 0) {
        return RESULT_INVALID;
    }
    enum result parked = percpu_park(deadline);
    return parked == RESULT_AGAIN ? 0 : parked;
}

/* @impl ATL-LLR-GATE-0025~1 */
int64_t gate_handle_unpark(uint64_t handle, uint64_t flags, uint64_t, uint64_t, uint64_t)
{
    if ((flags & ~(uint64_t)GATE_UNPARK_INTERRUPT) != 0) {
        return RESULT_INVALID;
    }
    core_id_t core = {(uint16_t)GATE_THREAD_CORE(handle)};
    enum result sent =
        percpu_signal_send_remote(core, GATE_THREAD_INDEX(handle), GATE_THREAD_GENERATION(handle),
                                  (flags & GATE_UNPARK_INTERRUPT) != 0);
    if (percpu_current != NULL && percpu_current->interrupt) {
        percpu_reschedule = true; /* the caller's own: delivered on this very way out */
    }
    return sent;
}

/* @impl ATL-LLR-GATE-0039~1 */
int64_t gate_handle_map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                        uint64_t offset)
{
    TRY(gate_validate_range(&gate_cell, address, bytes));
    TRY(gate_validate_map(&gate_cell, protection, flags, offset));
    const uint64_t arguments[] = {gate_cell.id, address, bytes, protection, flags, offset};
    return isolation_space_request(percpu_current, PERCPU_MESSAGE_MAP, arguments);
}

/* @impl ATL-LLR-GATE-0039~1 */
int64_t gate_handle_unmap(uint64_t address, uint64_t bytes, uint64_t flags, uint64_t, uint64_t)
{
    TRY(gate_validate_range(&gate_cell, address, bytes));
    if ((flags & ~(uint64_t)GATE_UNMAP_DISCARD) != 0) {
        return RESULT_INVALID;
    }
    const uint64_t arguments[] = {gate_cell.id, address, bytes, 0, flags, 0};
    return isolation_space_request(percpu_current, PERCPU_MESSAGE_UNMAP, arguments);
}

/* @impl ATL-LLR-GATE-0039~1 */
int64_t gate_handle_protect(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t,
                            uint64_t)
{
    TRY(gate_validate_range(&gate_cell, address, bytes));
    TRY(gate_validate_protection(&gate_cell, protection));
    const uint64_t arguments[] = {gate_cell.id, address, bytes, protection, 0, 0};
    return isolation_space_request(percpu_current, PERCPU_MESSAGE_PROTECT, arguments);
}

/* @impl ATL-LLR-GATE-0026~1 */
int64_t gate_handle_random(uint64_t buffer, uint64_t bytes, uint64_t, uint64_t, uint64_t)
{
    uint8_t random[GATE_RANDOM_BYTES_MAX];
    if (bytes > sizeof(random)) {
        return RESULT_INVALID;
    }
    entropy_fill(random, bytes);
    return gate_copy_to_user(buffer, random, bytes);
}

/* @impl ATL-LLR-GATE-0800~1 */
int64_t gate_handle_kick(uint64_t port, uint64_t flags, uint64_t, uint64_t, uint64_t)
{
    uint64_t others =
        port == GATE_PORT_DOORBELL && flags != GATE_KICK_ARM ? GATE_KICK_PEER : GATE_KICK_ARM;
    bool is_known = port <= GATE_PORT_DOORBELL && (flags & ~others) == 0;
    return is_known && gate_kicks[port] != NULL ? gate_kicks[port](port, flags) : RESULT_INVALID;
}
