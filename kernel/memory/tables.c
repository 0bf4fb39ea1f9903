/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <cpu/string.h>
#include <kernel/entry.h>
#include <kernel/layout.h>
#include <kernel/stacks.h>

#define KERNEL_READ (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_GLOBAL | ENTRY_NO_EXECUTE)
#define KERNEL_EXECUTE (ENTRY_PRESENT | ENTRY_ACCESSED | ENTRY_GLOBAL)
#define KERNEL_WRITE (KERNEL_READ | ENTRY_WRITE | ENTRY_DIRTY)
#define KERNEL_DEVICE (KERNEL_WRITE | ENTRY_UNCACHED)
#define TABLE_ENTRY (ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED)

/* The image's tables: built by the first core, only read by the walkers of all others. */
static SHARED uint64_t shared_image_tables;

static uint64_t take_table(struct region *region)
{
    uint64_t table = region->own_end.value;
    region->own_end.value += PAGE_BYTES;
    memset((void *)table, 0, PAGE_BYTES);
    return table;
}

/* The table one level below entry, made if there is none. */
static uint64_t *descend(struct region *region, uint64_t *entry)
{
    if (*entry == 0) {
        *entry = take_table(region) | TABLE_ENTRY;
    }
    ASSERT((*entry & ENTRY_LARGE) == 0);
    return (uint64_t *)(*entry & ENTRY_ADDRESS);
}

static void map(struct region *region, uint64_t address, uint64_t physical, uint64_t bytes,
                uint64_t flags)
{
    ASSERT(IS_ALIGNED(address | physical | bytes, PAGE_BYTES));
    while (bytes > 0) {
        uint64_t *level3 =
            descend(region, (uint64_t *)region->root.value + ((address >> 39) & 511));
        uint64_t *level2 = descend(region, level3 + ((address >> 30) & 511));
        uint64_t *entry = level2 + ((address >> 21) & 511);
        uint64_t step = LARGE_PAGE_BYTES;
        if (IS_ALIGNED(address | physical, LARGE_PAGE_BYTES) && bytes >= step) {
            *entry = physical | flags | ENTRY_LARGE;
        } else {
            step = PAGE_BYTES;
            descend(region, entry)[(address >> 12) & 511] = physical | flags;
        }
        address += step;
        physical += step;
        bytes -= step;
    }
}

static void map_kernel(struct region *region, const uint8_t *start, const uint8_t *end,
                       uint64_t flags)
{
    uint64_t address = (uint64_t)start;
    map(region, address, address - LAYOUT_KERNEL_BASE, (uint64_t)(end - start), flags);
}

static void map_percore(struct region *region)
{
    for (uint64_t offset = 0; offset < region->percore_bytes; offset += PAGE_BYTES) {
        uint64_t address = LAYOUT_PERCORE_BASE + offset;
        if (!stacks_is_guard(address)) {
            map(region, address, region->percore.value + offset, PAGE_BYTES, KERNEL_WRITE);
        }
    }
}

static void map_outboxes(struct region *region, core_id_t self)
{
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        const struct region *other = &shared_regions[core];
        map(region, region_outbox(core), other->outbox.value, other->outbox_bytes,
            core == self.value ? KERNEL_WRITE : KERNEL_READ);
    }
}

static void map_direct(struct region *region)
{
    for (uint32_t i = 0; i < shared_facts.memory_range_count; i++) {
        struct memory_range part;
        if (memory_region_piece(region, i, &part)) {
            map(region, LAYOUT_DIRECT_BASE + part.start, part.start, part.end - part.start,
                KERNEL_WRITE);
        }
    }
}

static void map_devices(struct region *region, core_id_t self)
{
    if (!shared_facts.x2apic) {
        map(region, LAYOUT_DEVICE_BASE + LAYOUT_DEVICE_LAPIC * PAGE_BYTES,
            shared_facts.lapic_physical, PAGE_BYTES, KERNEL_DEVICE);
    }
    if (self.value == 0 && shared_facts.ioapic_physical != 0) {
        map(region, LAYOUT_DEVICE_BASE + LAYOUT_DEVICE_IOAPIC * PAGE_BYTES,
            ALIGN_DOWN(shared_facts.ioapic_physical, PAGE_BYTES), PAGE_BYTES, KERNEL_DEVICE);
    }
}

static void map_image(struct region *region, core_id_t self)
{
    uint64_t *entry = (uint64_t *)region->root.value + ((LAYOUT_IMAGE_BASE >> 39) & 511);
    if (self.value == 0 && shared_facts.image_bytes != 0) {
        map(region, LAYOUT_IMAGE_BASE, shared_facts.image_physical,
            ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES), KERNEL_READ);
        shared_image_tables = *entry;
    }
    *entry = shared_image_tables;
}

void tables_build(core_id_t core)
{
    struct region *region = &shared_regions[core.value];
    region->root.value = take_table(region);
    map_kernel(region, kernel_text_start, kernel_text_end, KERNEL_EXECUTE);
    map_kernel(region, kernel_rodata_start, kernel_rodata_end, KERNEL_READ);
    map_kernel(region, boot_facts_start, boot_facts_end, KERNEL_WRITE);
    map_percore(region);
    map_outboxes(region, core);
    map_direct(region);
    map_devices(region, core);
    map_image(region, core);
}
