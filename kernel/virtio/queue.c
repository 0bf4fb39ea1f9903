/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#define NO_NOTIFY 1u /* VIRTQ_USED_F_NO_NOTIFY */

/* @impl ATL-LLR-VIRTIO-0005~1 */
void virtqueue_empty(struct virtqueue *queue)
{
    __builtin_memset(queue->memory, 0, VIRTQUEUE_BYTES(queue->size));
    for (uint16_t i = 0; i < queue->size; i++) {
        queue->slots[i] = (struct virtqueue_slot){.next = (uint16_t)(i + 1)};
    }
    queue->available = (void *)(queue->memory + VIRTQUEUE_AVAILABLE_AT(queue->size));
    queue->used = (void *)(queue->memory + VIRTQUEUE_USED_AT(queue->size));
    queue->free = queue->available_index = queue->used_index = 0;
    queue->is_broken = false;
}

/* @impl ATL-LLR-VIRTIO-0005~1 */
enum result virtqueue_give(struct virtqueue *queue, uint64_t physical,
                           struct virtqueue_descriptor descriptor)
{
    struct virtqueue_descriptor *descriptors = (void *)queue->memory;
    uint16_t id = queue->free;
    if (id >= queue->size) {
        return RESULT_AGAIN;
    }
    struct virtqueue_slot *slot = &queue->slots[id];
    queue->free = slot->next;
    bool is_for_device_to_write = (descriptor.flags & VIRTQUEUE_WRITE) != 0;
    *slot =
        (struct virtqueue_slot){physical, is_for_device_to_write ? descriptor.bytes : 0, 0, true};
    descriptors[id] = descriptor;
    queue->available->ring[queue->available_index % queue->size] = id;
    queue->available_index++;
    /* Release: a device that sees the index sees descriptor and ring. */
    atomic_store_explicit(&queue->available->index, queue->available_index, memory_order_release);
    return RESULT_OK;
}

/* The device asks to be told before it looks for the last time: either it sees what it was given,
 * or that it asks is seen here.
 *
 * @impl ATL-LLR-VIRTIO-1420~1 */
bool virtqueue_is_awaited(const struct virtqueue *queue)
{
    atomic_thread_fence(memory_order_seq_cst);
    return (atomic_load_explicit(&queue->used->flags, memory_order_relaxed) & NO_NOTIFY) == 0;
}

/* The validator of what the device says of one buffer.
 *
 * @impl ATL-LLR-VIRTIO-0006~1 */
static bool is_answer_right(const struct virtqueue *queue, uint16_t ahead, uint32_t id,
                            uint32_t bytes)
{
    uint16_t given_count = (uint16_t)(queue->available_index - queue->used_index);
    return ahead <= given_count && id < queue->size && queue->slots[id].is_given &&
           (queue->slots[id].room == 0 || bytes <= queue->slots[id].room);
}

/* @impl ATL-LLR-VIRTIO-0006~1 */
enum result virtqueue_take(struct virtqueue *queue, struct virtqueue_taken *taken)
{
    uint16_t ahead = (uint16_t)(atomic_load_explicit(&queue->used->index, memory_order_acquire) -
                                queue->used_index);
    if (!queue->is_broken && ahead == 0) {
        return RESULT_AGAIN;
    }
    uint32_t at = queue->used_index % queue->size;
    uint32_t id = atomic_load_explicit(&queue->used->ring[at].id, memory_order_relaxed);
    uint32_t bytes = atomic_load_explicit(&queue->used->ring[at].bytes, memory_order_relaxed);
    if (queue->is_broken || !is_answer_right(queue, ahead, id, bytes)) {
        queue->is_broken = true;
        return RESULT_IO;
    }
    struct virtqueue_slot *slot = &queue->slots[id];
    *taken = (struct virtqueue_taken){slot->physical, id, slot->room != 0 ? bytes : 0};
    *slot = (struct virtqueue_slot){.next = queue->free};
    queue->free = (uint16_t)id;
    queue->used_index++;
    return RESULT_OK;
}
