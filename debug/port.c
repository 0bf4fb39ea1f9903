/* SPDX-License-Identifier: Apache-2.0 */
/* The port atoll.debug of a virtio console. While all stand still only the stub's interrupts are
 * let through: so the device interrupts by the line's vector, and what it says to the kernel's
 * console is passed on by an interrupt to this core itself, which waits until the machine goes on.
 */
#include "line.h"

#include <console.h>
#include <cpu/apic.h>
#include <device.h>
#include <kernel/layout.h>
#include <percpu/scheduler.h>

enum result __real_virtio_device_start(struct virtio_device *device);
enum result __wrap_virtio_device_start(struct virtio_device *device);

static PERCORE struct virtio_device *console_device;

enum result __wrap_virtio_device_start(struct virtio_device *device)
{
    if (device->vector == VECTOR_UART) {
        device->vector = DEBUG_LINE_VECTOR;
        console_device = device;
    }
    return __real_virtio_device_start(device);
}

static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    return virtio_console_send(PORT_DEBUG, bytes, count);
}

static bool receive(uint8_t *byte)
{
    return virtio_console_collect(PORT_DEBUG) && virtio_console_receive(PORT_DEBUG, byte);
}

/* The device interrupts for each buffer that it gives back. */
static void arm(bool)
{
}

/* A device that asks for a reset goes on asking: the kernel gives it one. */
void debug_port_acknowledge(void)
{
    if (console_device != NULL) {
        (void)virtio_device_interrupt(console_device);
        cpu_apic_send(percpu_self, VECTOR_UART);
    }
}

const struct debug_carrier *debug_port_initialize(void)
{
    static const struct debug_carrier port = {"the port atoll.debug", send, receive, arm};
    return virtio_console_collect(PORT_DEBUG) ? &port : NULL;
}
