/* SPDX-License-Identifier: Apache-2.0 */
/* A split virtqueue (virtio 1.2, section 2.7) that trusts nothing of what the device writes: which
 * buffers the device has, and how long they are, is remembered outside of its reach. Pure.
 *
 * Error policy: a device that breaks a rule breaks the queue for good, until it is made empty.
 * Context of every function: the queue's core. No function loops but virtqueue_empty. */
#ifndef KERNEL_VIRTIO_QUEUE_H
#define KERNEL_VIRTIO_QUEUE_H

#include <percpu/base.h>

struct virtqueue_descriptor {
    uint64_t physical;
    uint32_t bytes;
    uint16_t flags, next;
};
#define VIRTQUEUE_NEXT 1u
#define VIRTQUEUE_WRITE 2u    /* the device writes it, else it reads */
#define VIRTQUEUE_INDIRECT 4u /* a table of descriptors: where the feature was agreed on */

struct virtqueue_available {
    uint16_t flags;
    _Atomic uint16_t index;
    uint16_t ring[];
};

struct virtqueue_used {
    _Atomic uint16_t flags;
    _Atomic uint16_t index;
    struct {
        _Atomic uint32_t id, bytes;
    } ring[];
};

/* What both sides see lies in one piece: descriptors and available ring, which are only written
 * here, and the used ring, which is only read. So many bytes, for a power of two of entries. */
#define VIRTQUEUE_AVAILABLE_AT(size_) (16u * (size_))
#define VIRTQUEUE_USED_AT(size_) (18u * (size_) + 8u)
#define VIRTQUEUE_BYTES(size_) ALIGN_UP(26u * (size_) + 16u, 16u)

/* What is remembered of a descriptor. */
struct virtqueue_slot {
    uint64_t physical;
    uint32_t room; /* bytes that the device may write; 0: it reads */
    uint16_t next; /* free one behind this free one */
    bool is_given; /* the device has it */
};

struct virtqueue {
    uint8_t *memory; /* 16-aligned, VIRTQUEUE_BYTES */
    struct virtqueue_slot *slots;
    struct virtqueue_available *available; /* in memory, as the next */
    struct virtqueue_used *used;
    uint16_t size, free;
    uint16_t available_index, used_index; /* the difference: how many the device has */
    bool is_broken;
};

/* A buffer that came back. */
struct virtqueue_taken {
    uint64_t physical;
    uint32_t id;    /* of an empty queue they ascend from 0 in the order in which it is given */
    uint32_t bytes; /* that the device wrote, at most what it was given; 0 of one that it read */
};

/* Makes it empty; the device must not run. .memory (16-aligned, VIRTQUEUE_BYTES), .slots and .size
 * are set. Works through all of it. */
void virtqueue_empty(struct virtqueue *queue);

/* Gives the device a buffer. It is the device's, as is what the descriptor leads to, until
 * virtqueue_take gives back its name.
 * @physical   the name
 * @descriptor of the whole buffer: not NEXT
 * Errors: RESULT_AGAIN the device has as many as there are; nothing is changed */
enum result virtqueue_give(struct virtqueue *queue, uint64_t physical,
                           struct virtqueue_descriptor descriptor);

/* Whether the device is to be told of what it was given last; one that looks for more by itself
 * says that it need not be (virtio 1.2, 2.7.10). One that lies keeps its buffers. */
bool virtqueue_is_awaited(const struct virtqueue *queue);

/* Takes a buffer that the device is done with; they come back in any order.
 *
 * Ordering: acquire on used_index: what the device wrote before is seen
 * Errors:   RESULT_AGAIN there is none | RESULT_IO the queue is broken: an index that runs ahead of
 *           what was given, a descriptor that the device does not have, more bytes than room */
enum result virtqueue_take(struct virtqueue *queue, struct virtqueue_taken *taken);

#endif
