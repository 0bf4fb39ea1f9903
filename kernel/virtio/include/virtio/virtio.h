/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio 1.x devices of the kernel: a console line and a source of entropy, both core 0's.
 *
 * Error policy: a device that is malformed, old or breaks its rules is left off with a line;
 * nothing here ends the machine. Not here: devices of programs (network, block). */
#ifndef VIRTIO_VIRTIO_H
#define VIRTIO_VIRTIO_H

#include <percpu/base.h>

/* Looks for devices on PCI and where the firmware says that virtio-mmio devices are; has core 0's
 * tables show their registers. Boot core on boot tables, before memory_regions_build. */
void virtio_discover(void);

/* Core 0 on its own root, interrupts off, once. The console's line becomes the device's, or a line
 * says that there is none that works. */
void virtio_console_attach(void);

/* Core 0 after that, before entropy_initialize: adds what the device gives to this core's
 * generator, waiting a bounded time, and again with each reseed. Without a device: nothing. */
void virtio_entropy_start(void);

#endif
