/* SPDX-License-Identifier: Apache-2.0 */
/* Where virtio devices are. */
#include "device.h"
#include "pci.h"

#include <cpu/instructions.h>
#include <driver/console.h>
#include <virtio/virtio.h>

/* PCI Local Bus Specification 3.0, section 3.2.2.3.2. */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE 0x80000000u
#define CONFIG_NOBODY 0xffffffffu
#define CONFIG_HEADER 0x0cu
#define CONFIG_BUSES 0x18u
#define HEADER_BRIDGE 0x010000u
#define HEADER_KIND 0x7f0000u
#define HEADER_SEVERAL 0x800000u
#define BUS_COUNT 256u
#define BUS_FUNCTIONS 256u
#define SLOT_FUNCTIONS 8u
#define COMMAND_ON 0x406u /* memory, bus master, no INTx */
#define COMMAND_MEMORY 0x402u
#define MSIX_ENABLE 0x80000000u
#define MSIX_MASKED 0x40000000u
#define REGISTERS_BYTES 0x100u
#define NOTIFY_BYTES (8 * PAGE_BYTES) /* of a device that core 0 has alone */
#define CONFIG_PAIRS 8u               /* virtio 1.2, section 5.1.4 */
#define BOOT_SHOWN (4ull << 30)       /* what the boot tables show of devices */

/* A page for each queue of the pairs, and behind them the control queue's. */
#define PAIRS_NOTIFY_BYTES(pairs) (((pairs)*VIRTIO_PAIR + 1) * PAGE_BYTES)

#define MMIO_MAGIC 0x74726976u
#define MMIO_VERSION 0x04u
#define MMIO_KIND 0x08u
#define MMIO_NOTIFY 0x50u
#define MMIO_NOTIFY_BYTES 4u
#define MMIO_CONFIG 0x100u
#define MMIO_VERSION_MODERN 2u

/* How many pairs of queues a network device has, if each core can have the notification pages of
 * one alone; else 0. The validator: nobody reads it again. Registers that are not switched on read
 * as all ones.
 *
 * @impl ATL-LLR-VIRTIO-0830~1 */
static uint32_t pairs_of(const struct facts_virtio *device)
{
    if (device->kind != VIRTIO_NETWORK || device->msix == 0 ||
        device->notify_multiplier != PAGE_BYTES || !IS_ALIGNED(device->notify, PAGE_BYTES) ||
        device->config > BOOT_SHOWN - VIRTIO_CONFIG_BYTES ||
        !device_may_be_at(device->config, VIRTIO_CONFIG_BYTES)) {
        return 0;
    }
    uint32_t pairs = device_read(device->config + CONFIG_PAIRS, 2);
    return pairs > 1 && pairs <= CORE_COUNT_MAX && PAIRS_NOTIFY_BYTES(pairs) <= device->notify_bytes
               ? pairs
               : 0;
}

/* Where the next network device is kept; NULL: there are as many, or none is wanted. */
static struct facts_virtio *next_network(void)
{
    for (uint32_t i = 0; i < GATE_NETWORKS && shared_facts.info.port_bytes != 0; i++) {
        if (shared_facts.virtio_networks[i].kind == 0) {
            return &shared_facts.virtio_networks[i];
        }
    }
    return NULL;
}

/* Keeps a device if it is one that the kernel drives, the first of its kind or one of the first
 * networks, and its registers can be shown.
 *
 * @impl ATL-LLR-VIRTIO-1290~1 */
static bool keep(struct facts_virtio device)
{
    struct facts_virtio *place = device.kind == VIRTIO_CONSOLE     ? &shared_facts.virtio_console
                                 : device.kind == VIRTIO_ENTROPY   ? &shared_facts.virtio_entropy
                                 : device.kind == VIRTIO_NETWORK   ? next_network()
                                 : device.kind == PCI_KIND_IVSHMEM ? &shared_facts.virtio_doorbell
                                                                   : NULL;
    bool is_kept = place != NULL && place->kind == 0;
    if (is_kept) {
        bool has_config = device.kind == VIRTIO_NETWORK;
        device.pairs = pairs_of(&device);
        uint64_t notify_bytes = device.pairs > 0 ? PAIRS_NOTIFY_BYTES(device.pairs) : NOTIFY_BYTES;
        device.notify_bytes = (uint32_t)MIN(device.notify_bytes, notify_bytes);
        uint32_t first = shared_facts.device_page_count;
        device.registers = device_show(device.registers, REGISTERS_BYTES);
        uint8_t *owners = &shared_facts.device_owners[shared_facts.device_page_count];
        device.notify = device_show(device.notify, device.notify_bytes);
        for (uint32_t i = 0; device.notify != 0 && i < device.pairs * VIRTIO_PAIR; i++) {
            owners[i] = i / VIRTIO_PAIR < shared_facts.core_count ? (uint8_t)(i / VIRTIO_PAIR) : 0;
        }
        device.msix = device_show(device.msix, VIRTIO_MSIX_ENTRY_BYTES * MAX(device.pairs, 1u));
        device.config = device_show(device.config, has_config ? VIRTIO_CONFIG_BYTES : 0);
        is_kept = device.registers != 0 && device.notify != 0 && has_config == (device.config != 0);
        *place = is_kept ? device : (struct facts_virtio){0};
        for (uint32_t *count = &shared_facts.device_page_count; !is_kept && *count > first;) {
            shared_facts.device_owners[--*count] = 0; /* no page of a device that is left off */
        }
    }
    console_log(CONSOLE_LOG, "atoll: virtio device of kind %u on %s%s\n", device.kind,
                device.is_pci ? "PCI" : "MMIO", is_kept ? "" : ": left off");
    return is_kept;
}

/* @function  bus, slot and function in 8, 5 and 3 bits */
static uint32_t config_read(uint32_t function, uint32_t offset)
{
    cpu_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | offset);
    return cpu_in32(CONFIG_DATA);
}

static void config_write(uint32_t function, uint32_t offset, uint32_t value)
{
    cpu_out32(CONFIG_ADDRESS, CONFIG_ENABLE | function << 8 | offset);
    cpu_out32(CONFIG_DATA, value);
}

/* The first one that is large enough: those bits of its BAR 2 cannot be set that lie inside. True:
 * it is kept, and has a doorbell.
 *
 * @impl ATL-LLR-NEIGHBOUR-1010~1 ATL-LLR-NEIGHBOUR-1040~1 */
static bool look_at_neighbour(uint32_t function, const uint32_t *words,
                              const struct facts_virtio *device)
{
    uint64_t physical = device->config;
    uint32_t command = words[PCI_COMMAND / 4] & 0xffff;
    if (physical == 0 || shared_facts.neighbour_physical != 0) {
        return false;
    }
    config_write(function, PCI_COMMAND, command & ~COMMAND_ON);
    config_write(function, PCI_BAR2, UINT32_MAX);
    uint32_t inside = config_read(function, PCI_BAR2) & (FACTS_NEIGHBOUR_BYTES - PCI_BAR_ALIGNMENT);
    config_write(function, PCI_BAR2, words[PCI_BAR2 / 4]);
    config_write(function, PCI_COMMAND, command | COMMAND_MEMORY);
    bool is_kept = inside == 0 && (physical & (FACTS_NEIGHBOUR_BYTES - 1)) == 0 &&
                   device_may_be_at(physical, FACTS_NEIGHBOUR_BYTES);
    shared_facts.neighbour_physical = is_kept ? physical : 0;
    console_log(CONSOLE_LOG, "atoll: memory shared with a neighbour%s\n",
                is_kept ? "" : ": left off");
    return is_kept && device->msix != 0;
}

/* @impl ATL-LLR-VIRTIO-0008~3 */
static void look_at_function(uint32_t function)
{
    uint32_t words[PCI_CONFIG_WORDS];
    struct facts_virtio device;
    for (uint32_t i = 0; i < PCI_CONFIG_WORDS; i++) {
        words[i] = config_read(function, 4 * i);
    }
    if (pci_parse_virtio(words, &device) != RESULT_OK ||
        (device.kind == PCI_KIND_IVSHMEM && !look_at_neighbour(function, words, &device)) ||
        !keep(device)) {
        return;
    }
    config_write(function, PCI_COMMAND, (words[PCI_COMMAND / 4] & 0xffff) | COMMAND_ON);
    if (device.msix != 0) {
        uint32_t control = words[device.msix_control / 4];
        config_write(function, device.msix_control, (control | MSIX_ENABLE) & ~MSIX_MASKED);
    }
}

/* Buses behind bridges have larger numbers than the bridge's. */
static void look_at_pci(void)
{
    bool is_bus[BUS_COUNT] = {true};
    for (uint32_t function = 0; function < BUS_COUNT * BUS_FUNCTIONS; function++) {
        if (!is_bus[function / BUS_FUNCTIONS]) {
            function |= BUS_FUNCTIONS - 1;
            continue;
        }
        bool is_there = config_read(function, 0) != CONFIG_NOBODY;
        uint32_t header = is_there ? config_read(function, CONFIG_HEADER) : 0;
        if ((header & HEADER_KIND) == HEADER_BRIDGE) {
            is_bus[config_read(function, CONFIG_BUSES) >> 8 & 0xff] = true;
        } else if (is_there) {
            look_at_function(function);
        }
        if (function % SLOT_FUNCTIONS == 0 && (header & HEADER_SEVERAL) == 0) {
            function |= SLOT_FUNCTIONS - 1; /* the slot has this one alone, or none */
        }
    }
}

/* @impl ATL-LLR-VIRTIO-0008~3 */
static void look_at_mmio(struct facts_virtio device)
{
    uint64_t at = device.registers;
    device.kind = device_read(at, 4) == MMIO_MAGIC ? device_read(at + MMIO_KIND, 4) : 0;
    if (device.kind == 0) {
        return;
    }
    if (device_read(at + MMIO_VERSION, 4) == MMIO_VERSION_MODERN) {
        device.notify = at + MMIO_NOTIFY;
        device.notify_bytes = MMIO_NOTIFY_BYTES;
        device.config = at + MMIO_CONFIG;
    }
    (void)keep(device);
}

/* @impl ATL-LLR-VIRTIO-0008~3 */
void virtio_discover(void)
{
    look_at_pci();
    for (uint32_t i = 0; i < shared_facts.slot_count; i++) {
        look_at_mmio(shared_facts.slots[i]);
    }
}
