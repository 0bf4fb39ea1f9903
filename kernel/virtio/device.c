/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include <cpu/instructions.h>
#include <kernel/region.h>

#define STARTS_MAX 5u
#define RESET_READS_MAX 100000u
#define FEATURES_HIGH_VERSION_1 1u /* bit 32 */

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEGOTIATED (STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK)
#define STATUS_RUNNING 15u /* and DRIVER_OK */

#define MMIO_BYTES 4u
#define PCI_NOTIFY_BYTES 2u

#define MSIX_ADDRESS 0xfee00000u
#define MSIX_DESTINATION_SHIFT 12
#define MSIX_DESTINATION_MAX 0xfeu

/* A register: where it is and how wide on PCI (virtio 1.2, section 4.1.4.3), and where on MMIO, 4
 * bytes wide (section 4.2.2). Those with a zero belong to one of them alone. */
struct name {
    uint8_t pci, pci_bytes, mmio;
};
#define FEATURES ((struct name){0x04, 4, 0x10})
#define FEATURE_SELECT ((struct name){0x00, 4, 0x14})
#define DRIVER_FEATURES ((struct name){0x0c, 4, 0x20})
#define DRIVER_SELECT ((struct name){0x08, 4, 0x24})
#define CONFIG_VECTOR ((struct name){0x10, 2, 0})
#define STATUS ((struct name){0x14, 1, 0x70})
#define QUEUE_SELECT ((struct name){0x16, 2, 0x30})
#define QUEUE_SIZE_MAX ((struct name){0x18, 2, 0x34})
#define QUEUE_SIZE ((struct name){0x18, 2, 0x38})
#define QUEUE_VECTOR ((struct name){0x1a, 2, 0})
#define QUEUE_ENABLE ((struct name){0x1c, 2, 0x44})
#define NOTIFY_OFFSET ((struct name){0x1e, 2, 0})
/* 64 bits in two pieces, as the next two */
#define QUEUE_DESCRIPTORS ((struct name){0x20, 4, 0x80})
#define QUEUE_AVAILABLE ((struct name){0x28, 4, 0x90})
#define QUEUE_USED ((struct name){0x30, 4, 0xa0})
#define INTERRUPT_STATUS ((struct name){0, 0, 0x60})
#define INTERRUPT_ACKNOWLEDGE ((struct name){0, 0, 0x64})

static uint32_t read(const struct virtio_device *device, struct name name)
{
    const struct facts_virtio *place = device->place;
    return place->is_pci ? device_read(place->registers + name.pci, name.pci_bytes)
                         : device_read(place->registers + name.mmio, MMIO_BYTES);
}

static void write(const struct virtio_device *device, struct name name, uint32_t value)
{
    const struct facts_virtio *place = device->place;
    device_write(place->registers + (place->is_pci ? name.pci : name.mmio),
                 place->is_pci ? name.pci_bytes : MMIO_BYTES, value);
}

static void write_address(const struct virtio_device *device, struct name name, uint32_t core,
                          const void *own)
{
    uint64_t physical = region_percore_physical(core, own);
    write(device, name, (uint32_t)physical);
    name.pci = (uint8_t)(name.pci + 4);
    name.mmio = (uint8_t)(name.mmio + 4);
    write(device, name, (uint32_t)(physical >> 32));
}

/* @impl ATL-LLR-VIRTIO-0009~1 */
enum result virtio_device_reset(const struct virtio_device *device)
{
    write(device, STATUS, 0);
    for (uint32_t i = 0; read(device, STATUS) != 0; i++) {
        if (i == RESET_READS_MAX) {
            return RESULT_IO;
        }
        cpu_pause();
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-VIRTIO-0009~1 */
static enum result negotiate(struct virtio_device *device)
{
    write(device, STATUS, STATUS_ACKNOWLEDGE);
    write(device, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    write(device, FEATURE_SELECT, 1);
    if ((read(device, FEATURES) & FEATURES_HIGH_VERSION_1) == 0) {
        return RESULT_IO;
    }
    write(device, FEATURE_SELECT, 0);
    device->features = read(device, FEATURES) & device->features_wanted;
    write(device, DRIVER_SELECT, 0);
    write(device, DRIVER_FEATURES, device->features);
    write(device, DRIVER_SELECT, 1);
    write(device, DRIVER_FEATURES, FEATURES_HIGH_VERSION_1);
    write(device, STATUS, STATUS_NEGOTIATED);
    return (read(device, STATUS) & STATUS_FEATURES_OK) != 0 ? RESULT_OK : RESULT_IO;
}

/* @impl ATL-LLR-NEIGHBOUR-1040~1 ATL-LLR-VIRTIO-0010~1 */
enum result virtio_msix_route(const struct facts_virtio *place, uint32_t core, uint8_t vector)
{
    uint64_t entry = place->msix + core * VIRTIO_MSIX_ENTRY_BYTES;
    uint32_t apic_id = shared_facts.apic_id[core];
    if (place->msix == 0 || apic_id > MSIX_DESTINATION_MAX) {
        return RESULT_IO;
    }
    device_write(entry, 4, MSIX_ADDRESS | apic_id << MSIX_DESTINATION_SHIFT);
    device_write(entry + 4, 4, 0);
    device_write(entry + 8, 4, vector);
    device_write(entry + MSIX_MASK, 4, 0);
    return RESULT_OK;
}

/* All interrupts of the device to its vector: on core 0, and those of pairs on their cores. */
static enum result route(const struct virtio_device *device)
{
    const struct facts_virtio *place = device->place;
    if (device->vector == 0) {
        return RESULT_OK; /* as after a reset */
    }
    if (!place->is_pci) {
        return ioapic_route(&place->interrupt, device->vector);
    }
    for (uint32_t core = 0; core == 0 || core < device->pairs; core++) {
        TRY(virtio_msix_route(place, core, device->vector));
    }
    write(device, CONFIG_VECTOR, 0);
    return read(device, CONFIG_VECTOR) == 0 ? RESULT_OK : RESULT_IO;
}

/* @impl ATL-LLR-VIRTIO-0004~4 ATL-LLR-VIRTIO-0009~1 */
static enum result queue_start(struct virtio_device *device, uint32_t core, uint32_t index)
{
    const struct facts_virtio *place = device->place;
    struct virtqueue *queue = &device->queues[index];
    uint32_t number = device->queue_number[index] + core * VIRTIO_PAIR;
    write(device, QUEUE_SELECT, number);
    if (queue->size == 0) {
        *queue = (struct virtqueue){.memory = device->memory[index],
                                    .slots = device->slots[index],
                                    .size = VIRTIO_QUEUE_SIZE};
    }
    if (read(device, QUEUE_SIZE_MAX) < queue->size) {
        return RESULT_IO;
    }
    if (core == 0) {
        virtqueue_empty(queue); /* each core its own */
        device->notify[index] = place->notify;
    }
    write(device, QUEUE_SIZE, queue->size);
    write_address(device, QUEUE_DESCRIPTORS, core, queue->memory);
    write_address(device, QUEUE_AVAILABLE, core, queue->available);
    write_address(device, QUEUE_USED, core, queue->used);
    if (place->is_pci) {
        uint32_t place_of = read(device, NOTIFY_OFFSET);
        uint64_t offset = (uint64_t)place_of * place->notify_multiplier;
        if (offset + PCI_NOTIFY_BYTES > place->notify_bytes ||
            (device->pairs > 1 && place_of != number)) { /* another core's page */
            return RESULT_IO;
        }
        device->notify[index] += core == 0 ? offset : 0;
    }
    if (place->is_pci && device->vector != 0) {
        write(device, QUEUE_VECTOR, core);
        if (read(device, QUEUE_VECTOR) != core) {
            return RESULT_IO;
        }
    }
    write(device, QUEUE_ENABLE, 1);
    return RESULT_OK;
}

static enum result start(struct virtio_device *device)
{
    TRY(virtio_device_reset(device));
    TRY(negotiate(device));
    TRY(route(device));
    for (uint32_t i = 0; i < device->queue_count; i++) {
        TRY(queue_start(device, 0, i));
    }
    for (uint32_t i = VIRTIO_PAIR; i < VIRTIO_PAIR * device->pairs; i++) {
        TRY(queue_start(device, i / VIRTIO_PAIR, i % VIRTIO_PAIR));
    }
    write(device, STATUS, STATUS_RUNNING);
    return read(device, STATUS) == STATUS_RUNNING ? RESULT_OK : RESULT_IO;
}

/* @impl ATL-LLR-VIRTIO-0009~1 */
enum result virtio_device_start(struct virtio_device *device)
{
    if (device->starts++ < STARTS_MAX && start(device) == RESULT_OK) {
        return RESULT_OK;
    }
    (void)!virtio_device_reset(device);
    return RESULT_IO;
}

/* @impl ATL-LLR-VIRTIO-0005~1 */
void virtio_device_notify(const struct virtio_device *device, uint32_t queue)
{
    if (virtqueue_is_awaited(&device->queues[queue])) {
        device_write(device->notify[queue], device->place->is_pci ? PCI_NOTIFY_BYTES : MMIO_BYTES,
                     device->queue_number[queue]);
    }
}

/* @impl ATL-LLR-VIRTIO-0005~1 */
void virtio_device_give(struct virtio_device *device, uint32_t queue, const void *buffer,
                        uint32_t bytes, bool is_for_device_to_write)
{
    uint64_t physical = region_percore_physical(0, buffer);
    uint16_t flags = is_for_device_to_write ? VIRTQUEUE_WRITE : 0;
    enum result result = virtqueue_give(&device->queues[queue], physical,
                                        (struct virtqueue_descriptor){physical, bytes, flags, 0});
    ASSERT(result == RESULT_OK);
    virtio_device_notify(device, queue);
}

/* @impl ATL-LLR-VIRTIO-0010~1 */
bool virtio_device_interrupt(struct virtio_device *device)
{
    if (!device->place->is_pci) {
        write(device, INTERRUPT_ACKNOWLEDGE, read(device, INTERRUPT_STATUS));
    }
    return read(device, STATUS) == STATUS_RUNNING;
}
