/* SPDX-License-Identifier: Apache-2.0 */
/* A split virtqueue (virtio 1.2, section 2.7) that trusts nothing of what the device writes: which
 * buffers the device has, and how long they are, is remembered outside of its reach. Pure.
 *
 * Error policy: a device that breaks a rule breaks the queue for good, until it is made empty.
 * Context of every function: the queue's core. No function loops. */
#ifndef KERNEL_VIRTIO_QUEUE_H
#define KERNEL_VIRTIO_QUEUE_H

#include <percpu/base.h>

#define VIRTQUEUE_SIZE 4u /* buffers that the device can have */

struct virtqueue_descriptor {
    uint64_t physical;
    uint32_t bytes;
    uint16_t flags, next;
};

struct virtqueue_used {
    _Atomic uint32_t id, bytes;
};

/* What both sides see. Descriptors and available ring are only written here, the used ring is only
 * read. */
struct virtqueue_memory {
    struct virtqueue_descriptor descriptors[VIRTQUEUE_SIZE];
    uint16_t available_flags;
    _Atomic uint16_t available_index;
    uint16_t available[VIRTQUEUE_SIZE + 1];
    alignas(4) uint16_t used_flags;
    _Atomic uint16_t used_index;
    struct virtqueue_used used[VIRTQUEUE_SIZE];
    uint16_t available_event;
};
_Static_assert(sizeof(struct virtqueue_descriptor) == 16 && sizeof(struct virtqueue_used) == 8,
               "virtio 1.2, sections 2.7.5 and 2.7.8");

/* Zero: empty; the device must not run while it is made so. */
struct virtqueue {
    alignas(16) struct virtqueue_memory memory;
    uint32_t room[VIRTQUEUE_SIZE];        /* bytes that the device may write; 0: it reads */
    uint32_t given;                       /* bit i: the device has descriptor i */
    uint16_t available_index, used_index; /* the difference: how many the device has */
    bool is_broken;
};

/* A buffer that came back. */
struct virtqueue_taken {
    uint32_t id;    /* of those that the device had when it was given: the lowest free one */
    uint32_t bytes; /* that the device wrote, at most what it was given; 0 of one that it read */
};

/* Gives the device a buffer to read, or to write. It is the device's until virtqueue_take.
 * Errors: RESULT_AGAIN the device has VIRTQUEUE_SIZE buffers; nothing is changed */
enum result virtqueue_give(struct virtqueue *queue, uint64_t physical, uint32_t bytes,
                           bool is_for_device_to_write);

/* Takes a buffer that the device is done with; they come back in any order.
 *
 * Ordering: acquire on used_index: what the device wrote before is seen
 * Errors:   RESULT_AGAIN there is none | RESULT_IO the queue is broken: an index that runs ahead of
 *           what was given, a descriptor that the device does not have, more bytes than room */
enum result virtqueue_take(struct virtqueue *queue, struct virtqueue_taken *taken);

#endif
