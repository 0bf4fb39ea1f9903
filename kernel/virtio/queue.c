/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#define DESCRIPTOR_WRITE 2u

/* @impl ATL-LLR-VIRTIO-0005~1 */
enum result virtqueue_give(struct virtqueue *queue, uint64_t physical, uint32_t bytes,
                           bool is_for_device_to_write)
{
    struct virtqueue_memory *memory = &queue->memory;
    uint16_t id = (uint16_t)__builtin_ctz(~queue->given);
    if (id >= VIRTQUEUE_SIZE) {
        return RESULT_AGAIN;
    }
    queue->given |= 1u << id;
    queue->room[id] = is_for_device_to_write ? bytes : 0;
    memory->descriptors[id] = (struct virtqueue_descriptor){
        physical, bytes, is_for_device_to_write ? DESCRIPTOR_WRITE : 0, 0};
    memory->available[queue->available_index % VIRTQUEUE_SIZE] = id;
    queue->available_index++;
    /* Release: a device that sees the index sees descriptor and ring. */
    atomic_store_explicit(&memory->available_index, queue->available_index, memory_order_release);
    return RESULT_OK;
}

/* The validator of what the device says of one buffer.
 *
 * @impl ATL-LLR-VIRTIO-0006~1 */
static bool is_answer_right(const struct virtqueue *queue, uint16_t ahead, uint32_t id,
                            uint32_t bytes)
{
    uint16_t given_count = (uint16_t)(queue->available_index - queue->used_index);
    return ahead <= given_count && id < VIRTQUEUE_SIZE && (queue->given & 1u << id) != 0 &&
           (queue->room[id] == 0 || bytes <= queue->room[id]);
}

/* @impl ATL-LLR-VIRTIO-0006~1 */
enum result virtqueue_take(struct virtqueue *queue, struct virtqueue_taken *taken)
{
    struct virtqueue_memory *memory = &queue->memory;
    uint16_t ahead = (uint16_t)(atomic_load_explicit(&memory->used_index, memory_order_acquire) -
                                queue->used_index);
    if (!queue->is_broken && ahead == 0) {
        return RESULT_AGAIN;
    }
    struct virtqueue_used *used = &memory->used[queue->used_index % VIRTQUEUE_SIZE];
    uint32_t id = atomic_load_explicit(&used->id, memory_order_relaxed);
    uint32_t bytes = atomic_load_explicit(&used->bytes, memory_order_relaxed);
    if (queue->is_broken || !is_answer_right(queue, ahead, id, bytes)) {
        queue->is_broken = true;
        return RESULT_IO;
    }
    queue->used_index++;
    queue->given &= ~(1u << id);
    *taken = (struct virtqueue_taken){id, queue->room[id] != 0 ? bytes : 0};
    return RESULT_OK;
}
