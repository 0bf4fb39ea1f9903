/* SPDX-License-Identifier: Apache-2.0 */
/* Frames on their way to a device, in this core's port memory. They lie one behind the other in a
 * ring of bytes. Segments of TCP that follow each other become one frame where the device cuts it
 * again: lwIP makes segments of the connection's size and knows nothing of that. All in the stack.
 */
#ifndef POSIX_INET_TRANSMIT_H
#define POSIX_INET_TRANSMIT_H

#include <isolation/gate_abi.h>
#include <lwip/pbuf.h>
#include <stdbool.h>

/* @memory  of the port, for frames alone; a multiple of 64 bytes, 64-aligned */
void transmit_start(uint32_t device, struct gate_port *port, uint8_t *memory, uint32_t bytes);
/* Copies a frame for the device, now or behind the one before it; false: there is no room. */
bool transmit_frame(uint32_t device, const struct pbuf *frame);
/* The same of bytes that are right as they are: the device adds nothing to them. */
bool transmit_bytes(uint32_t device, const void *frame, size_t bytes);
/* Nothing more is added to the last frame: it is submitted, if it was not. Before each kick. */
void transmit_close(uint32_t device);
/* Frames that the device has. */
uint32_t transmit_count(uint32_t device);

#endif
