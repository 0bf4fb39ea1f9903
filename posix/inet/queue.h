/* SPDX-License-Identifier: Apache-2.0 */
/* This core's queues of each device's port (isolation/gate_abi.h): frames in buffers of port
 * memory. All in the stack. */
#ifndef POSIX_INET_QUEUE_H
#define POSIX_INET_QUEUE_H

#include <lwip/pbuf.h>
#include <stdbool.h>

/* Gives all receive buffers to the device, if this core has queues of it. @is_link_up  as the
 * caller has seen it: device_link_changes tells of what is different later */
void queue_start(uint32_t device, bool is_link_up);
bool queue_is_here(uint32_t device);

/* Takes back what the device has sent, which no interrupt tells of: each kick does it, but there is
 * none where nothing new is sent. */
void queue_collect(uint32_t device);

/* Buffers: all that receive, and those of them that lwIP or the program holds; and frames that the
 * devices have to send. */
struct queue_counts {
    uint32_t receiving, held, sending;
};
void queue_count(struct queue_counts *counts);

/* Whether the device has a link, as it said last. Any thread. */
bool queue_link_is_up(uint32_t device);

/* ---- what queue.c asks of device.c */
/* The first core has found that queue_link_is_up says something else than before. */
void device_link_changes(uint32_t device);
/* A frame that came: all of it, or of a longer one its first bytes and the chain. */
struct queue_frame {
    uint32_t device;
    const uint8_t *data;
    size_t bytes;
    const struct pbuf *chain; /* NULL: data is all of it */
    bool is_checked;
};
/* True: the frame is for other cores, or for nobody. */
bool device_passes_on(const struct queue_frame *frame);
/* Takes the frame. */
void device_deliver(uint32_t device, struct pbuf *frame, bool is_checked);
/* A flag of lwIP's buffers that lwIP does not use: a chain that came at once, as one frame. */
#define QUEUE_FLAG_ONE_FRAME 0x80u
/* The device has broken a rule; and was so often started again that it is off now. */
void device_fails(uint32_t device, bool is_off);

#endif
