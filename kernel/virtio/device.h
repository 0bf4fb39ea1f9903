/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device that core 0 drives, over PCI or MMIO: virtio 1.2, chapters 3 and 4.
 *
 * Error policy: whatever goes wrong is RESULT_IO, and the device is off then.
 * Context of every function: core 0 on its own root; bounded work. */
#ifndef KERNEL_VIRTIO_DEVICE_H
#define KERNEL_VIRTIO_DEVICE_H

#include "queue.h"

#include <driver/device.h>

#define VIRTIO_NETWORK 1u
#define VIRTIO_CONSOLE 3u
#define VIRTIO_ENTROPY 4u
#define VIRTIO_QUEUES_MAX 8u
#define VIRTIO_PAIR 2u /* queues */
#define VIRTIO_MSIX_ENTRY_BYTES 16u
#define VIRTIO_QUEUE_SIZE 8u /* of a queue that brings no memory of its own */

/* PERCORE, so that devices can be given physical addresses. */
struct virtio_device {
    const struct facts_virtio *place;
    uint32_t features_wanted; /* of the device's own, bits 0..31 */
    uint32_t features;        /* those of them that it has */
    uint32_t queue_count;
    uint32_t pairs; /* of the first two queues: so many cores have them, at the same addresses */
    uint8_t queue_number[VIRTIO_QUEUES_MAX]; /* the device's, of each of queues */
    uint8_t vector;                          /* of all its interrupts; 0: it has none */
    uint32_t starts;
    uint64_t notify[VIRTIO_QUEUES_MAX];
    struct virtqueue queues[VIRTIO_QUEUES_MAX];
    struct virtqueue_slot slots[VIRTIO_QUEUES_MAX][VIRTIO_QUEUE_SIZE];
    alignas(16) uint8_t memory[VIRTIO_QUEUES_MAX][VIRTQUEUE_BYTES(VIRTIO_QUEUE_SIZE)];
};

/* The entry of a core in a PCI device's MSI-X table to a vector of it. RESULT_IO: it cannot be. */
#define MSIX_MASK 12u /* in the entry: 1: what comes waits until it is 0 */
enum result virtio_msix_route(const struct facts_virtio *place, uint32_t core, uint8_t vector);

/* Stops the device: from RESULT_OK on it reads and writes no memory. RESULT_IO: it does not answer.
 */
enum result virtio_device_reset(const struct virtio_device *device);

/* Resets the device and brings it up with empty queues, also after it broke a rule.
 * @device  place, features_wanted, queue_count, queue_number, vector, pairs, and queues that have
 *          memory of their own are set; with pairs, other cores have emptied theirs; zero else, or
 * as the last start left it Errors:  RESULT_IO it does not follow the protocol, or it was started
 * too often */
enum result virtio_device_start(struct virtio_device *device);

/* Tells the device that a queue has new buffers, unless it looks for them by itself. */
void virtio_device_notify(const struct virtio_device *device, uint32_t queue);

/* Gives the device a buffer in PERCORE memory. The device runs, and its queue has room. */
void virtio_device_give(struct virtio_device *device, uint32_t queue, const void *buffer,
                        uint32_t bytes, bool is_for_device_to_write);

/* Ends the device's interrupt; false: the device asks for a reset, or has made one. */
bool virtio_device_interrupt(struct virtio_device *device);

#endif
