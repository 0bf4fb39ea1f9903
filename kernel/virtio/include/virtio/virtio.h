/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio 1.x devices, core 0's: a console line, a source of entropy, and in images with a
 * network its devices, each as a port of the gate, with a pair of queues for each core if it has so
 * many; in those with a neighbour the doorbell as the port behind them.
 *
 * Error policy: a device that is malformed, old or breaks its rules is left off with a line;
 * nothing here ends the machine. */
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

#ifdef ATOLL_NET
/* Each core on its own root, core 0 before the others start: the gate's kick of each port becomes
 * that of its queue pair of the port's network device, if it has one. Then the device's vector,
 * VECTOR_NETWORK + port, also from other cores that have one. */
void virtio_network_start(void);
void virtio_network_interrupt(uint64_t port);
/* Core 0: the same of the doorbell beside memory shared with a neighbour. Then VECTOR_DOORBELL. */
void virtio_doorbell_start(void);
void virtio_doorbell_interrupt(void);
#else
#define virtio_network_start() ((void)0)
#define virtio_network_interrupt(port) ((void)(port))
#define virtio_doorbell_start() ((void)0)
#define virtio_doorbell_interrupt() ((void)0)
#endif

#endif
