/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of the console's device, core 0's; on another core there is none that works.
 *
 * Error policy: what does not work takes nothing and gives nothing. */
#ifndef KERNEL_VIRTIO_CONSOLE_H
#define KERNEL_VIRTIO_CONSOLE_H

#include <percpu/base.h>

/* Streams of the program: port 1, or 0 where that is another's; the kernel's lines; the debugger's
 * stub, in its images alone. */
enum { PORT_PROGRAM, PORT_LOG, PORT_DEBUG };

/* Looks what the device has done. False: it does not have the port, or does not work. */
bool virtio_console_collect(uint32_t port);
/* As send and receive of struct console_line. Context: interrupts off; bounded work. */
uint32_t virtio_console_send(uint32_t port, const uint8_t *bytes, uint32_t count);
bool virtio_console_receive(uint32_t port, uint8_t *byte);

#endif
