/* SPDX-License-Identifier: Apache-2.0 */
/* Where things lie in the outboxes, the state that a core publishes about itself (attention, cell),
 * and the initialisation of all parts. */
#include "outbox.h"

#include <percpu/operations.h>

PERCORE core_id_t percpu_self;
PERCORE uint16_t percpu_core_count;
PERCORE struct percpu_config percpu_config;
PERCORE uint32_t percpu_group_count;
PERCORE struct trace_ring *percpu_trace_ring;

PERCORE struct outbox percpu_outboxes[CORE_COUNT_MAX];
/* The attention value of each peer for which an IPI was sent: one is enough. */
static PERCORE uint64_t interrupted[CORE_COUNT_MAX];

/* One part of an outbox, on a cache line; *at moves behind it. */
static void *part(uintptr_t *at, uint64_t bytes)
{
    void *begin = (void *)ALIGN_UP(*at, (uintptr_t)OUTBOX_LINE);
    *at = (uintptr_t)begin + bytes;
    return begin;
}

/* Finds the parts of an outbox at base (0 to know its size); returns where it ends. */
static uint64_t locate(struct outbox *outbox, void *base, uint64_t core_count,
                       uint64_t thread_count, paddr_t memory_limit)
{
    uint64_t groups = (thread_count + OUTBOX_GROUP_THREADS - 1) / OUTBOX_GROUP_THREADS;
    uintptr_t at = (uintptr_t)base;
    outbox->state = part(&at, sizeof(struct outbox_state));
    outbox->peers = part(&at, core_count * sizeof(struct outbox_peer));
    outbox->signals = part(&at, core_count * groups * sizeof(struct outbox_signals));
    outbox->generations = part(&at, thread_count * sizeof(uint32_t));
    outbox->owners = part(&at, (memory_limit.value + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES);
    outbox->trace = part(&at, sizeof(struct trace_ring));
    return (uint64_t)(uintptr_t)part(&at, 0);
}

uint64_t percpu_outbox_bytes(uint32_t core_count, uint32_t thread_count, paddr_t memory_limit)
{
    struct outbox outbox;
    return locate(&outbox, NULL, core_count, thread_count, memory_limit);
}

/* @impl ATL-LLR-PERCPU-0600~1 */
void percpu_trace(enum trace_event event, uint32_t a, uint64_t b, uint64_t c)
{
    struct trace_ring *ring = percpu_trace_ring;
    uint64_t count = atomic_load_explicit(&ring->count, memory_order_relaxed);
    struct trace_record *record = &ring->records[count % TRACE_RECORDS];
    record->event = event;
    record->a = a;
    record->b = b;
    record->c = c;
    record->time_ns = percpu_operation_now(); /* last: the fields need not outlive a call */
    atomic_store_explicit(&ring->count, count + 1, memory_order_release);
}

void percpu_initialize(const struct percpu_config *config)
{
    ASSERT(config->core_count >= 1 && config->core_count <= CORE_COUNT_MAX);
    ASSERT(config->self.value < config->core_count);
    ASSERT(config->thread_count >= 1 && config->thread_count <= PERCPU_THREADS_MAX);
    ASSERT(config->quantum_ns > 0);
    percpu_config = *config;
    percpu_self = config->self;
    percpu_core_count = config->core_count;
    percpu_group_count = (config->thread_count + OUTBOX_GROUP_THREADS - 1) / OUTBOX_GROUP_THREADS;
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        ASSERT(config->outbox[core] != NULL);
        ASSERT(IS_ALIGNED((uintptr_t)config->outbox[core], OUTBOX_LINE));
        (void)locate(&percpu_outboxes[core], config->outbox[core], config->core_count,
                     config->thread_count, config->memory_limit);
    }
    percpu_trace_ring = outbox_own()->trace;
    thread_initialize();
    scheduler_initialize();
    channel_initialize();
    grant_initialize();
    frames_initialize();
}

/* @impl ATL-LLR-PERCPU-0005~1 */
void outbox_notify_remote(core_id_t to)
{
    PERCPU_PERTURB();
    outbox_full_fence();
    uint64_t attention =
        atomic_load_explicit(&outbox_of_remote(to)->state->attention, memory_order_acquire);
    if ((attention & 1) != 0 && interrupted[to.value] != attention) {
        interrupted[to.value] = attention;
        percpu_operation_ipi(to);
    }
}

/* @impl ATL-LLR-PERCPU-0011~1 */
void percpu_cell_publish(uint64_t cell_id)
{
    atomic_store_explicit(&outbox_own()->state->cell, cell_id, memory_order_release);
    PERCPU_PERTURB();
    if (cell_id != 0) {
        outbox_full_fence();
    }
}

/* @impl ATL-LLR-PERCPU-0011~1 */
bool percpu_cell_may_hold_remote(core_id_t core, uint64_t cell_id)
{
    outbox_full_fence();
    PERCPU_PERTURB();
    return atomic_load_explicit(&outbox_of_remote(core)->state->cell, memory_order_acquire) ==
           cell_id;
}
