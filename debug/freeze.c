/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that are not to run. They are not held in the stop's loop: their core runs its kernel as
 * ever, so that what another core asks it for is done, and only never chooses them.
 *
 * In non-stop mode they are those whose handles core 0 lists, which it changes only while all cores
 * stand still. Each core marks its own at the end of each stop. A thread that is on its way to
 * another core has its old handle in the list when it arrives: it is marked there by that one until
 * core 0 has found the new one. So a listed thread executes no instruction of the program, wherever
 * it is. */
#include "internal.h"

#include "../isolation/gate/internal.h"
#include "record.h"

static PERCORE bool held[PERCPU_THREADS_MAX]; /* the scheduler chose it: WAITING, for nobody */
static PERCORE uint32_t held_count;
static PERCORE uint64_t listed_as[PERCPU_THREADS_MAX]; /* its mark; 0: runs */
static PERCORE uint32_t listed_count;
static PERCORE bool is_thaw_due;
static PERCORE uint64_t arriving; /* mark of the next thread that is made */
static PERCORE bool (*may_leave_kernel)(const struct thread *thread);

struct thread *__real_percpu_schedule(void);
struct thread *__wrap_percpu_schedule(void);
enum result __real_percpu_thread_allocate(struct thread **thread);
enum result __wrap_percpu_thread_allocate(struct thread **thread);
struct thread *__real_percpu_ready_take(core_id_t to, bool (*may_leave)(const struct thread *));
struct thread *__wrap_percpu_ready_take(core_id_t to, bool (*may_leave)(const struct thread *));
void __real_gate_move_requested(core_id_t from, const struct percpu_message *request);
void __wrap_gate_move_requested(core_id_t from, const struct percpu_message *request);

struct debug_action debug_action_of(const struct thread *thread)
{
    const struct debug_server_page *server = debug_server();
    uint64_t handle = percpu_thread_handle(thread);
    if (server->is_nonstop && listed_as[thread->index] != 0) {
        return (struct debug_action){.thread = handle, .kind = DEBUG_ACTION_STOP};
    }
    for (uint32_t i = 0; i < server->plan.action_count; i++) {
        if (server->plan.actions[i].thread == handle) {
            return server->plan.actions[i];
        }
    }
    return (struct debug_action){.thread = handle, .kind = server->plan.others};
}

/* Services of posix/, on which the thread that goes on may depend, are no threads of the program;
 * none of those has their priority. In non-stop mode they are stopped only by name. */
static bool is_frozen(const struct thread *thread)
{
    bool is_service = thread->priority == GATE_PRIORITY_COUNT - 1;
    return debug_action_of(thread).kind == DEBUG_ACTION_STOP &&
           (debug_server()->is_nonstop || !is_service);
}

/* ---- marks */

static bool is_listed(uint64_t handle)
{
    const struct debug_server_page *server = debug_server();
    for (uint32_t i = 0; i < server->stopped_count; i++) {
        if (server->stopped[i] == handle) {
            return true;
        }
    }
    return false;
}

static void mark(uint32_t index, uint64_t as)
{
    listed_count += (as != 0) - (listed_as[index] != 0);
    listed_as[index] = as;
}

/* @impl ATL-LLR-DEBUG-0840~1 */
void debug_freeze_refresh(void)
{
    const struct debug_server_page *server = debug_server();
    for (uint32_t i = 0; listed_count > 0 && i < PERCPU_THREADS_MAX; i++) {
        if (listed_as[i] != 0 && !is_listed(listed_as[i])) {
            mark(i, 0);
        }
    }
    for (uint32_t i = 0; i < server->stopped_count; i++) {
        const struct thread *thread = percpu_thread_find(server->stopped[i]);
        if (thread != NULL) {
            mark(thread->index, server->stopped[i]);
        }
    }
    is_thaw_due = true;
}

/* A mark is of one thread, not of the next with its index. */
enum result __wrap_percpu_thread_allocate(struct thread **thread)
{
    enum result result = __real_percpu_thread_allocate(thread);
    if (result == RESULT_OK) {
        mark((*thread)->index, arriving);
    }
    return result;
}

void __wrap_gate_move_requested(core_id_t from, const struct percpu_message *request)
{
    arriving = is_listed(request->token) ? request->token : 0;
    __real_gate_move_requested(from, request);
    arriving = 0;
}

/* ---- the scheduler */

/* What the debugger holds or steps stays where it is. */
static bool may_leave(const struct thread *thread)
{
    return debug_action_of(thread).kind == DEBUG_ACTION_CONTINUE && may_leave_kernel(thread);
}

struct thread *__wrap_percpu_ready_take(core_id_t to, bool (*kernels)(const struct thread *))
{
    may_leave_kernel = kernels;
    return __real_percpu_ready_take(to, may_leave);
}

static void thaw(void)
{
    is_thaw_due = false; /* a stop by NMI in the middle may ask for it again */
    for (uint32_t i = 0; held_count > 0 && i < PERCPU_THREADS_MAX; i++) {
        if (held[i] && !is_frozen(debug_thread_at(i))) {
            held[i] = false;
            held_count--;
            percpu_thread_ready(debug_thread_at(i));
        }
    }
}

/* In place of percpu_schedule: the linker sees to it.
 * @impl ATL-LLR-DEBUG-0010~1 */
struct thread *__wrap_percpu_schedule(void)
{
    debug_look();
    debug_watchdog_pass();
    if (is_thaw_due) {
        thaw();
    }
    struct thread *thread = __real_percpu_schedule();
    while (thread != NULL && is_frozen(thread)) {
        held[thread->index] = true;
        held_count++;
        percpu_thread_wait(thread, NULL);
        thread = __real_percpu_schedule();
    }
    return thread;
}
