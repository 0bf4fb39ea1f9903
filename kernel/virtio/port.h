/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a port (isolation/gate_abi.h) and its virtqueue. What posix/ or the device
 * writes is read once and judged; indices, and which buffers the device has, are kept here. Pure.
 *
 * Context of every function: the queue's core. */
#ifndef KERNEL_VIRTIO_PORT_H
#define KERNEL_VIRTIO_PORT_H

#include "queue.h"

#include <guard.h>
#include <isolation/gate_abi.h>

struct port_queue {
    struct gate_port_queue *shared;
    struct virtqueue *ring; /* GATE_PORT_ENTRIES */
    bool is_receive;
    uint8_t *memory;
    uint64_t physical, bytes;  /* this core's port memory */
    uint32_t taken, completed; /* the kernel's own */
    struct guard *guard;       /* NULL: every frame may pass */
};

/* A copy of what was submitted, judged. */
struct port_batch {
    uint32_t count;
    struct gate_port_entry entries[GATE_KICK_ENTRIES_MAX];
};

/* Copies what is new of `submit`, as much as a batch holds. RESULT_INVALID: an entry outside of the
 * memory or too short, or more than GATE_PORT_ENTRIES under way. Changes nothing. */
enum result port_look(const struct port_queue *queue, struct port_batch *batch);
/* Gives a batch of port_look to the device. Frames that the policy refuses are completed, and added
 * to the count. */
void port_give(struct port_queue *queue, const struct port_batch *batch, uint32_t *count);
/* Completes up to GATE_KICK_ENTRIES_MAX of what the device is done with, and adds their count. A
 * frame that the policy refuses has no bytes. RESULT_IO: the device broke a rule; what came before
 * is completed. */
enum result port_collect(struct port_queue *queue, uint32_t *count);
/* The device is about to be reset: completes all that it has with no bytes. The ring is emptied
 * before it is used again. */
void port_abandon(struct port_queue *queue);

#endif
