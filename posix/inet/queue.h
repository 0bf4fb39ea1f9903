/* SPDX-License-Identifier: Apache-2.0 */
/* This core's queues of the port (isolation/gate_abi.h): frames in buffers of port memory. All in
 * the stack. */
#ifndef POSIX_INET_QUEUE_H
#define POSIX_INET_QUEUE_H

#include <lwip/pbuf.h>
#include <stdbool.h>

/* Gives all receive buffers to the device, if this core has queues. */
void queue_start(void);
bool queue_is_here(void);
/* Copies a frame into a buffer for the device; false: none is free. */
bool queue_send(const struct pbuf *frame);
/* The same of bytes that are right as they are: the device adds nothing to them. */
bool queue_send_bytes(const void *frame, size_t bytes);

/* Buffers: all that receive, those of them that lwIP or the program holds, and those that the
 * device has to send. */
struct queue_counts {
    uint32_t receiving, held, sending;
};
void queue_count(struct queue_counts *counts);

/* ---- what queue.c asks of device.c */
/* True: the frame is for other cores, or for nobody. */
bool device_passes_on(const uint8_t *frame, size_t bytes, bool is_checked);
/* Takes the frame. */
void device_deliver(struct pbuf *frame, bool is_checked);
/* The device has broken a rule; and was so often started again that it is off now. */
void device_fails(bool is_off);

#endif
