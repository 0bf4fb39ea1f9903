/* SPDX-License-Identifier: Apache-2.0 */
/* What a PCI function says of itself in its configuration space (PCI Local Bus Specification 3.0,
 * chapter 6; virtio 1.2, section 4.1.4). Pure. */
#ifndef KERNEL_VIRTIO_PCI_H
#define KERNEL_VIRTIO_PCI_H

#include <kernel/facts.h>

#define PCI_CONFIG_WORDS 64u
#define PCI_COMMAND 0x04u
#define PCI_BAR2 0x18u
#define PCI_BAR_ALIGNMENT 16u   /* the bits below say what kind of BAR it is */
#define VIRTIO_CONFIG_BYTES 12u /* of the network's, which alone is read */

/* QEMU's ivshmem is found like a virtio device, as one of this kind: its registers, its doorbell as
 * .notify, and the memory shared with another machine as .config. */
#define PCI_KIND_IVSHMEM 0xd0u

/* Reads a copy of configuration space. Addresses are physical; 0: there are no such registers, or
 * not where a memory BAR with an address is. Errors: RESULT_INVALID neither virtio nor ivshmem;
 * *found is untouched */
enum result pci_parse_virtio(const uint32_t words[static PCI_CONFIG_WORDS],
                             struct facts_virtio *found);

#endif
