/* SPDX-License-Identifier: Apache-2.0 */
/* Where things lie in the outboxes, the state that a core publishes about itself (attention, cell),
 * and the initialisation of all parts. */
#include "outbox.h"

#include <percpu/operations.h>
#include <percpu/perturb.h>

PERCORE core_id_t percpu_self;
PERCORE uint16_t percpu_core_count;
PERCORE struct percpu_config percpu_config;
PERCORE uint32_t percpu_group_count;
PERCORE uint64_t percpu_ipis_sent;

PERCORE struct outbox percpu_outboxes[CORE_COUNT_MAX];
/* The attention value of each peer for which an IPI was sent: one is enough. */
static PERCORE uint64_t interrupted[CORE_COUNT_MAX];

struct layout {
    uint64_t peers, signals, generations, owners, end;
};

static struct layout layout_of(uint32_t core_count, uint32_t thread_count, paddr_t memory_limit)
{
    const uint64_t line = OUTBOX_LINE;
    uint64_t groups = (thread_count + OUTBOX_GROUP_THREADS - 1) / OUTBOX_GROUP_THREADS;
    uint64_t blocks = (memory_limit.value + LARGE_PAGE_BYTES - 1) / LARGE_PAGE_BYTES;
    struct layout layout;
    layout.peers = sizeof(struct outbox_state);
    layout.signals = layout.peers + core_count * sizeof(struct outbox_peer);
    layout.generations =
        ALIGN_UP(layout.signals + core_count * groups * sizeof(struct outbox_signals), line);
    layout.owners = ALIGN_UP(layout.generations + thread_count * sizeof(uint32_t), line);
    layout.end = ALIGN_UP(layout.owners + blocks, line);
    return layout;
}

uint64_t percpu_outbox_bytes(uint32_t core_count, uint32_t thread_count, paddr_t memory_limit)
{
    return layout_of(core_count, thread_count, memory_limit).end;
}

static void locate(struct outbox *outbox, uint8_t *base, const struct layout *layout)
{
    ASSERT(base != NULL && IS_ALIGNED((uintptr_t)base, OUTBOX_LINE));
    outbox->state = (struct outbox_state *)base;
    outbox->peers = (struct outbox_peer *)(base + layout->peers);
    outbox->signals = (struct outbox_signals *)(base + layout->signals);
    outbox->generations = (_Atomic uint32_t *)(base + layout->generations);
    outbox->owners = (_Atomic uint8_t *)(base + layout->owners);
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
    percpu_ipis_sent = 0;
    struct layout layout =
        layout_of(config->core_count, config->thread_count, config->memory_limit);
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        locate(&percpu_outboxes[core], config->outbox[core], &layout);
        interrupted[core] = 0;
    }
    thread_initialize();
    scheduler_initialize();
    channel_initialize();
    grant_initialize();
    balance_initialize();
}

/* @impl ATL-LLR-PERCPU-0005~1 */
void outbox_notify_remote(core_id_t to)
{
    PERCPU_PERTURB(PERTURB_NOTIFY);
    outbox_full_fence();
    uint64_t attention =
        atomic_load_explicit(&outbox_of_remote(to)->state->attention, memory_order_acquire);
    if ((attention & 1) != 0 && interrupted[to.value] != attention) {
        interrupted[to.value] = attention;
        percpu_ipis_sent++;
        percpu_operation_ipi(to);
    }
}

/* @impl ATL-LLR-PERCPU-0011~1 */
void percpu_cell_publish(uint64_t cell_id)
{
    atomic_store_explicit(&outbox_own()->state->cell, cell_id, memory_order_release);
    PERCPU_PERTURB(PERTURB_CELL);
    if (cell_id != 0) {
        outbox_full_fence();
    }
}

/* @impl ATL-LLR-PERCPU-0011~1 */
bool percpu_cell_may_hold_remote(core_id_t core, uint64_t cell_id)
{
    outbox_full_fence();
    PERCPU_PERTURB(PERTURB_CELL);
    return atomic_load_explicit(&outbox_of_remote(core)->state->cell, memory_order_acquire) ==
           cell_id;
}
