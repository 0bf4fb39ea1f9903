/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device by MMIO or PCI that keeps the rules, but for those that a test has it break. */
#ifndef TESTS_UNIT_KERNEL_VIRTIO_FAKE_H
#define TESTS_UNIT_KERNEL_VIRTIO_FAKE_H

#include <kernel/facts.h>
#include <queue.h>

#define FAKE_QUEUES 8u
#define FAKE_REGISTERS 0x10000ull
#define FAKE_NOTIFY 0x20000ull
#define FAKE_NOTIFY_BYTES 64u
#define FAKE_MSIX 0x30000ull
#define FAKE_CONFIG 0x40000ull
#define FAKE_STATUS_RUNNING 15u
#define FAKE_OTHER_CORE 0x40000000ull /* memory of core 1, which nobody looks at */

struct fake_queue {
    uint32_t size_max, size, vector, notify_offset;
    uint32_t address[6]; /* halves of descriptors, available ring, used ring */
    bool is_enabled;
    uint16_t seen; /* of the available ring */
    unsigned notified;
};

struct fake {
    /* what a test may change */
    uint64_t features;
    uint8_t config[16]; /* of its kind */
    bool never_resets, refuses_features, ignores_driver_ok, refuses_vectors;
    void (*on_notify)(uint32_t queue); /* NULL, or what the device does at once */
    /* what the driver did */
    uint32_t status, select, driver_select, queue_select, config_vector, interrupt_status;
    uint64_t driver_features;
    struct fake_queue queues[FAKE_QUEUES];
    uint32_t msix[8], routed_gsi, routed_vector;
    unsigned resets, wrong_accesses;
};
extern struct fake fake;
extern struct facts_virtio fake_place;

void fake_make(uint32_t kind, bool is_pci);
/* The driver's next buffer in the queue: NULL, none. *id for fake_use. */
void *fake_next(uint32_t queue, uint32_t *id, uint32_t *bytes, bool *is_to_write);
void fake_use(uint32_t queue, uint32_t id, uint32_t bytes);
/* The used ring's index runs ahead, or back. */
void fake_jump(uint32_t queue, uint16_t by);
uint8_t *fake_memory(uint32_t queue);

#endif
