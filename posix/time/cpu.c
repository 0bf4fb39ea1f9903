/* SPDX-License-Identifier: Apache-2.0 */
/* Processor time. A thread's is what the kernel counts for it. The process's is the time in which
 * cores were not idle since the program started: that of its threads, ended ones too, and of what
 * the kernel did for them. Nothing tells the time in the program from the time in posix/. */
#include "cpu.h"

#include "../core/internal.h"

#include <posix/time.h>

#define CPU_CLOCK_THREAD 4
#define CPU_CLOCK_SCHEDULER 2
#define CPU_CLOCK_KIND_MAX 2
#define STEP_NS 1000000u /* a tick of Linux */
#define TICK_NS 4000000u /* what Linux says of the two clocks that count ticks */

static uint64_t busy_before_ns;

static uint64_t busy_ns(void)
{
    uint64_t busy = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        busy += posix_core_count(core, GATE_COUNT(busy_ns));
    }
    return busy;
}

void posix_clock_initialize(void)
{
    busy_before_ns = busy_ns();
}

static bool copy_handle(struct posix_thread *thread, void *context)
{
    *(uint64_t *)context = atomic_load(&thread->handle);
    return true;
}

static bool keep_newest(struct posix_thread *thread, void *context)
{
    uint64_t *ns = context;
    uint64_t known = atomic_load(&thread->run_ns);
    while (known < *ns && !atomic_compare_exchange_weak(&thread->run_ns, &known, *ns)) {
    }
    *ns = known < *ns ? *ns : known;
    return true;
}

/* A thread that is just moving has no handle that its core knows: what was seen last counts. */
static int64_t read_thread(int32_t id, uint64_t *ns)
{
    uint64_t handle;
    if (!posix_thread_visit(id, copy_handle, &handle)) {
        return -EINVAL;
    }
    int64_t run_ns = gate_thread_set(handle, GATE_KEEP, GATE_KEEP, 0);
    *ns = handle > HANDLE_AWAITED && run_ns > 0 ? (uint64_t)run_ns : 0;
    return posix_thread_visit(id, keep_newest, ns) ? 0 : -EINVAL;
}

/* @impl ATL-LLR-TIMER-0010~1 */
int64_t cpu_clock_read(int32_t thread, uint64_t *ns)
{
    struct posix_thread *self = posix_self();
    if (thread == 0) {
        *ns = busy_ns() - busy_before_ns;
        return 0;
    }
    if (thread != self->id) {
        return read_thread(thread, ns);
    }
    *ns = (uint64_t)gate_thread_set(posix_thread_handle(self), GATE_KEEP, GATE_KEEP, 0);
    return 0;
}

uint64_t cpu_clock_deadline(int32_t thread, uint64_t left_ns)
{
    uint64_t speed = thread == 0 ? posix_info.core_count : 1;
    uint64_t wait_ns = left_ns / speed;
    return posix_deadline_after(wait_ns > STEP_NS ? wait_ns : STEP_NS);
}

static bool exists(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

/* @impl ATL-LLR-TIMER-0011~1 */
int64_t cpu_clock_decode(int32_t clock, struct cpu_clock *decoded)
{
    int32_t self = posix_self()->id;
    *decoded = (struct cpu_clock){0, 1};
    if (clock == CLOCK_PROCESS_CPUTIME_ID) {
        return 0;
    }
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
        decoded->thread = self;
        return 0;
    }
    int32_t kind = clock & 3;
    if (clock >= 0 || kind > CPU_CLOCK_KIND_MAX) {
        return -EINVAL;
    }
    int32_t id = ~(clock >> 3);
    decoded->resolution_ns = kind == CPU_CLOCK_SCHEDULER ? 1 : TICK_NS;
    if ((clock & CPU_CLOCK_THREAD) == 0) {
        return id == 0 || id == POSIX_PROCESS_ID || id == self ? 0 : -EINVAL;
    }
    decoded->thread = id != 0 ? id : self;
    return posix_thread_visit(decoded->thread, exists, NULL) ? 0 : -EINVAL;
}
