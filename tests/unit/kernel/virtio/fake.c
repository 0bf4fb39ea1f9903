/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <driver/device.h>
#include <kernel/layout.h>
#include <kernel/region.h>
#include <stdio.h>
#include <stdlib.h>

/* Registers by the names of MMIO; these three are PCI's alone. */
enum { CONFIG_VECTOR = 0x1000, QUEUE_VECTOR, NOTIFY_OFFSET };

struct fake fake;
struct facts_virtio fake_place;
struct facts shared_facts;
struct region shared_regions[CORE_COUNT_MAX];

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

void fake_make(uint32_t kind, bool is_pci)
{
    fake = (struct fake){.features = 1ull << 32};
    for (uint32_t i = 0; i < FAKE_QUEUES; i++) {
        fake.queues[i] = (struct fake_queue){.size_max = 128, .notify_offset = i};
    }
    fake_place = (struct facts_virtio){.kind = kind,
                                       .is_pci = is_pci,
                                       .registers = FAKE_REGISTERS,
                                       .notify = FAKE_NOTIFY,
                                       .notify_bytes = FAKE_NOTIFY_BYTES,
                                       .notify_multiplier = is_pci ? 4 : 0,
                                       .msix = is_pci ? FAKE_MSIX : 0,
                                       .interrupt = {.gsi = 47, .is_level = true}};
    shared_regions[0].percore.value = LAYOUT_PERCORE_BASE; /* physical is virtual */
    shared_regions[1].percore.value = FAKE_OTHER_CORE;
    shared_facts.apic_id[0] = 3;
    shared_facts.apic_id[1] = 7;
}

/* The register that an access means; 0: none. */
static uint32_t name_of(uint64_t offset, uint32_t bytes, bool is_write)
{
    static const struct {
        uint32_t offset, bytes, name;
    } pci[] = {
        {0x00, 4, 0x14}, {0x04, 4, 0x10}, {0x08, 4, 0x24},          {0x0c, 4, 0x20},
        {0x14, 1, 0x70}, {0x16, 2, 0x30}, {0x10, 2, CONFIG_VECTOR}, {0x1a, 2, QUEUE_VECTOR},
        {0x1c, 2, 0x44}, {0x20, 4, 0x80}, {0x24, 4, 0x84},          {0x28, 4, 0x90},
        {0x2c, 4, 0x94}, {0x30, 4, 0xa0}, {0x34, 4, 0xa4},          {0x1e, 2, NOTIFY_OFFSET}};
    if (!fake_place.is_pci) {
        return bytes == 4 ? (uint32_t)offset : 0;
    }
    if (offset == 0x18 && bytes == 2) {
        return is_write ? 0x38 : 0x34;
    }
    for (size_t i = 0; i < sizeof(pci) / sizeof(pci[0]); i++) {
        if (pci[i].offset == offset && pci[i].bytes == bytes) {
            return pci[i].name;
        }
    }
    return 0;
}

static struct fake_queue *selected(void)
{
    static struct fake_queue none;
    none = (struct fake_queue){0};
    return fake.queue_select < FAKE_QUEUES ? &fake.queues[fake.queue_select] : &none;
}

uint32_t device_read(uint64_t address, uint32_t bytes)
{
    uint32_t value = 0;
    if (address >= FAKE_CONFIG && address + bytes <= FAKE_CONFIG + sizeof(fake.config)) {
        __builtin_memcpy(&value, &fake.config[address - FAKE_CONFIG], bytes);
        return value;
    }
    switch (name_of(address - FAKE_REGISTERS, bytes, false)) {
    case 0x10:
        return (uint32_t)(fake.features >> (fake.select == 1 ? 32 : 0));
    case 0x34:
        return selected()->size_max;
    case 0x60:
        return fake.interrupt_status;
    case 0x70:
        return fake.status;
    case CONFIG_VECTOR:
        return fake.refuses_vectors ? 0xffff : fake.config_vector;
    case QUEUE_VECTOR:
        return fake.refuses_vectors ? 0xffff : selected()->vector;
    case NOTIFY_OFFSET:
        return selected()->notify_offset;
    default:
        fake.wrong_accesses++;
        return 0;
    }
}

static void write_status(uint32_t value)
{
    if (value == 0) {
        fake.resets++;
        for (uint32_t i = 0; i < FAKE_QUEUES; i++) {
            fake.queues[i].is_enabled = false;
            fake.queues[i].seen = 0;
        }
        value = fake.never_resets ? fake.status : 0;
    }
    fake.status = value & ~((fake.refuses_features ? 8u : 0) | (fake.ignores_driver_ok ? 4u : 0));
}

static void write_register(uint32_t name, uint32_t value)
{
    struct fake_queue *queue = selected();
    uint32_t *simple = name == 0x14            ? &fake.select
                       : name == 0x24          ? &fake.driver_select
                       : name == 0x30          ? &fake.queue_select
                       : name == 0x38          ? &queue->size
                       : name == CONFIG_VECTOR ? &fake.config_vector
                       : name == QUEUE_VECTOR  ? &queue->vector
                                               : NULL;
    if (simple != NULL) {
        *simple = value;
    } else if (name == 0x20) {
        unsigned shift = fake.driver_select == 1 ? 32 : 0;
        fake.driver_features &= ~(0xffffffffull << shift);
        fake.driver_features |= (uint64_t)value << shift;
    } else if (name == 0x44) {
        queue->is_enabled = value == 1;
    } else if (name == 0x64) {
        fake.interrupt_status &= ~value;
    } else if (name == 0x70) {
        write_status(value);
    } else if (name >= 0x80 && name <= 0xa4 && name % 0x10 <= 4) {
        queue->address[(name - 0x80) / 0x10 * 2 + name % 0x10 / 4] = value;
    } else {
        fake.wrong_accesses++;
    }
}

void device_write(uint64_t address, uint32_t bytes, uint32_t value)
{
    uint64_t notify = FAKE_NOTIFY + (fake_place.is_pci ? 4 * value : 0);
    if (address >= FAKE_MSIX && address < FAKE_MSIX + sizeof(fake.msix) && bytes == 4) {
        fake.msix[(address - FAKE_MSIX) / 4] = value;
    } else if (address >= FAKE_NOTIFY && address < FAKE_NOTIFY + FAKE_NOTIFY_BYTES) {
        bool is_right = value < FAKE_QUEUES && address == notify && fake.queues[value].is_enabled &&
                        fake.status == FAKE_STATUS_RUNNING && bytes == (fake_place.is_pci ? 2 : 4);
        if (is_right) {
            fake.queues[value].notified++;
            if (fake.on_notify != NULL) {
                fake.on_notify(value);
            }
        } else {
            fake.wrong_accesses++;
        }
    } else {
        write_register(name_of(address - FAKE_REGISTERS, bytes, true), value);
    }
}

enum result ioapic_route(const struct facts_interrupt *interrupt, uint8_t vector)
{
    fake.routed_gsi = interrupt->gsi;
    fake.routed_vector = vector;
    return fake.refuses_vectors ? RESULT_INVALID : RESULT_OK;
}

static struct virtqueue view(uint32_t queue)
{
    const struct fake_queue *state = &fake.queues[queue];
    uint8_t *memory = fake_memory(queue);
    return (struct virtqueue){.memory = memory,
                              .available = (void *)(memory + VIRTQUEUE_AVAILABLE_AT(state->size)),
                              .used = (void *)(memory + VIRTQUEUE_USED_AT(state->size)),
                              .size = (uint16_t)state->size};
}

uint8_t *fake_memory(uint32_t queue)
{
    const uint32_t *address = fake.queues[queue].address;
    return (uint8_t *)(address[0] | (uint64_t)address[1] << 32);
}

void *fake_next(uint32_t queue, uint32_t *id, uint32_t *bytes, bool *is_to_write)
{
    struct fake_queue *state = &fake.queues[queue];
    if (!state->is_enabled) {
        return NULL;
    }
    struct virtqueue seen = view(queue);
    const struct virtqueue_available *available = seen.available;
    if (state->seen == available->index) {
        return NULL;
    }
    *id = available->ring[state->seen++ % state->size];
    const struct virtqueue_descriptor *descriptors = (const void *)seen.memory;
    *bytes = descriptors[*id].bytes;
    *is_to_write = (descriptors[*id].flags & 2) != 0;
    return (void *)descriptors[*id].physical;
}

void fake_use(uint32_t queue, uint32_t id, uint32_t bytes)
{
    struct virtqueue seen = view(queue);
    struct virtqueue_used *used = seen.used;
    used->ring[used->index % seen.size].id = id;
    used->ring[used->index % seen.size].bytes = bytes;
    used->index++;
}

void fake_jump(uint32_t queue, uint16_t by)
{
    struct virtqueue seen = view(queue);
    seen.used->index = (uint16_t)(seen.used->index + by);
}
