/* SPDX-License-Identifier: Apache-2.0 */
#include "port.h"

/* @impl ATL-LLR-VIRTIO-0800~1 */
enum result port_look(const struct port_queue *queue, struct port_batch *batch)
{
    uint32_t submitted = atomic_load_explicit(&queue->shared->submitted, memory_order_acquire);
    uint32_t new = submitted - queue->taken;
    if (new > GATE_PORT_ENTRIES || submitted - queue->completed > GATE_PORT_ENTRIES) {
        return RESULT_INVALID;
    }
    batch->count = MIN(new, GATE_KICK_ENTRIES_MAX);
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct gate_port_entry *from =
            &queue->shared->submit[(queue->taken + i) % GATE_PORT_ENTRIES];
        struct gate_port_entry entry = {__atomic_load_n(&from->offset, __ATOMIC_RELAXED),
                                        __atomic_load_n(&from->bytes, __ATOMIC_RELAXED)};
        if (entry.bytes < GATE_PORT_ENTRY_BYTES_MIN ||
            (uint64_t)entry.offset + entry.bytes > queue->bytes) {
            return RESULT_INVALID;
        }
        batch->entries[i] = entry;
    }
    return RESULT_OK;
}

static void complete(struct port_queue *queue, uint64_t physical, uint32_t bytes)
{
    queue->shared->complete[queue->completed++ % GATE_PORT_ENTRIES] =
        (struct gate_port_entry){(uint32_t)(physical - queue->physical), bytes};
    atomic_store_explicit(&queue->shared->completed, queue->completed, memory_order_release);
}

/* @impl ATL-LLR-VIRTIO-0800~1 */
void port_give(struct port_queue *queue, const struct port_batch *batch, uint32_t *count)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uint64_t physical = queue->physical + batch->entries[i].offset;
        struct virtqueue_descriptor descriptor = {physical, batch->entries[i].bytes,
                                                  queue->is_receive ? VIRTQUEUE_WRITE : 0, 0};
        if (queue->guard != NULL && !queue->is_receive &&
            !guard_send(queue->guard, queue->memory + batch->entries[i].offset, queue->ring->free,
                        &descriptor)) {
            complete(queue, physical, 0);
            ++*count;
            continue;
        }
        enum result given = virtqueue_give(queue->ring, physical, descriptor);
        ASSERT(given == RESULT_OK); /* port_look has counted */
    }
    queue->taken += batch->count;
    atomic_store_explicit(&queue->shared->taken, queue->taken, memory_order_release);
}

/* @impl ATL-LLR-VIRTIO-0801~1 */
enum result port_collect(struct port_queue *queue, uint32_t *count)
{
    struct virtqueue_taken taken;
    enum result result = RESULT_OK;
    for (uint32_t i = 0; i < GATE_KICK_ENTRIES_MAX && result == RESULT_OK; i++) {
        result = virtqueue_take(queue->ring, &taken);
        if (result == RESULT_OK) {
            uint8_t *buffer = queue->memory + (taken.physical - queue->physical);
            bool is_refused = queue->guard != NULL && queue->is_receive &&
                              !guard_receive(queue->guard, buffer, taken.bytes);
            complete(queue, taken.physical, is_refused ? 0 : taken.bytes);
            ++*count;
        }
    }
    return result == RESULT_IO ? RESULT_IO : RESULT_OK;
}

/* @impl ATL-LLR-VIRTIO-0802~1 */
void port_abandon(struct port_queue *queue)
{
    for (uint32_t id = 0; id < GATE_PORT_ENTRIES; id++) {
        const struct virtqueue_slot *slot = &queue->ring->slots[id];
        if (slot->is_given) {
            complete(queue, slot->physical, 0);
        }
    }
}
