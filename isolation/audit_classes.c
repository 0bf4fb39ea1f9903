/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping classes: where each lies and which frames it may map. The table is generated from
 * mapping_classes.toml; a class there without its functions here does not link. */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <kernel/region.h>
#include <kernel/stacks.h>
#include <percpu/scheduler.h>

extern const uint8_t kernel_text_start[], kernel_text_end[];
extern const uint8_t kernel_rodata_start[], kernel_rodata_end[];
extern const uint8_t boot_facts_start[], boot_facts_end[];

#define NULL_BYTES 0x10000ull
#define LAST_PAGE ((uint64_t)(GATE_PRIVATE_SLOT + 1) * GATE_SLOT_BYTES - PAGE_BYTES)

/* ---- ranges */

static bool in(uint64_t address, uint64_t start, uint64_t bytes, uint64_t *first)
{
    *first = start;
    return address >= start && address - start < bytes;
}

#define RANGE(name, start, bytes)                                                                  \
    static bool audit_range_##name(uint64_t address, uint64_t *first)                              \
    {                                                                                              \
        return in(address, start, bytes, first);                                                   \
    }

#define SECTION(which) (&cell_image()->posix[which])
#define SECTION_START(which) (shared_plan.posix_base + SECTION(which)->address)
#define OWN_REGION (&shared_regions[percpu_self.value])
#define OWN_OUTBOX (LAYOUT_OUTBOX_BASE + percpu_self.value * (uint64_t)LAYOUT_OUTBOX_STRIDE)

RANGE(kernel_text, (uint64_t)kernel_text_start, (uint64_t)(kernel_text_end - kernel_text_start))
RANGE(kernel_rodata, (uint64_t)kernel_rodata_start,
      (uint64_t)(kernel_rodata_end - kernel_rodata_start))
RANGE(boot_facts, (uint64_t)boot_facts_start, (uint64_t)(boot_facts_end - boot_facts_start))
RANGE(percore, LAYOUT_PERCORE_BASE, OWN_REGION->percore_bytes)
RANGE(outbox_own, OWN_OUTBOX, OWN_REGION->outbox_bytes)
RANGE(device, LAYOUT_DEVICE_BASE, 2 * PAGE_BYTES)
RANGE(image, LAYOUT_IMAGE_BASE, ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES))
RANGE(direct_map, LAYOUT_DIRECT_BASE, ALIGN_UP(shared_facts.memory_limit, LARGE_PAGE_BYTES))
RANGE(posix_text, SECTION_START(IMAGE_POSIX_TEXT), SECTION(IMAGE_POSIX_TEXT)->memory_bytes)
RANGE(posix_rodata, SECTION_START(IMAGE_POSIX_RODATA), SECTION(IMAGE_POSIX_RODATA)->memory_bytes)
RANGE(posix_relro, SECTION_START(IMAGE_POSIX_RELRO), SECTION(IMAGE_POSIX_RELRO)->memory_bytes)
RANGE(posix_data, SECTION_START(IMAGE_POSIX_DATA), SECTION(IMAGE_POSIX_DATA)->memory_bytes)
RANGE(posix_percore, SECTION_START(IMAGE_POSIX_PERCORE), SECTION(IMAGE_POSIX_PERCORE)->memory_bytes)
RANGE(gate_page, shared_plan.posix_base + cell_posix_header()->gate_page, PAGE_BYTES)
RANGE(info_page, shared_plan.posix_base + cell_posix_header()->info_page, PAGE_BYTES)
RANGE(image_index, shared_plan.index_address, cell_image()->index_bytes)
RANGE(null_pages, 0, NULL_BYTES)
RANGE(last_page, LAST_PAGE, PAGE_BYTES)

/* Behind outbox_own in the table: all that is left. */
static bool audit_range_outbox_other(uint64_t address, uint64_t *first)
{
    uint64_t none;
    uint64_t other = percpu_self.value == 0 ? 1 : 0;
    *first = LAYOUT_OUTBOX_BASE + other * LAYOUT_OUTBOX_STRIDE;
    return in(address, LAYOUT_OUTBOX_BASE, percpu_core_count * (uint64_t)LAYOUT_OUTBOX_STRIDE,
              &none);
}

static bool audit_range_shared_slot(uint64_t address, uint64_t *first)
{
    uint64_t slot = address / GATE_SLOT_BYTES;
    *first = percpu_self.value * GATE_SLOT_BYTES + NULL_BYTES;
    return slot < CELL_SLOTS_PER_CORE * percpu_core_count &&
           slot % percpu_core_count == percpu_self.value;
}

static bool audit_range_guard_page(uint64_t address, uint64_t *first)
{
    *first = (uint64_t)kernel_stacks;
    return stacks_is_guard(address);
}

/* ---- frames */

static uint64_t physical_of(uint64_t entry)
{
    return entry_address(entry).value;
}

static bool audit_frames_none(uint64_t address, uint64_t entry)
{
    (void)address, (void)entry;
    return false;
}

static bool audit_frames_kernel_image(uint64_t address, uint64_t entry)
{
    return physical_of(entry) == address - LAYOUT_KERNEL_BASE;
}

static bool audit_frames_percore(uint64_t address, uint64_t entry)
{
    return physical_of(entry) == OWN_REGION->percore.value + (address - LAYOUT_PERCORE_BASE);
}

static bool audit_frames_outbox(uint64_t address, uint64_t entry)
{
    uint64_t core = (address - LAYOUT_OUTBOX_BASE) / LAYOUT_OUTBOX_STRIDE;
    uint64_t offset = (address - LAYOUT_OUTBOX_BASE) % LAYOUT_OUTBOX_STRIDE;
    return core < percpu_core_count && offset < shared_regions[core].outbox_bytes &&
           physical_of(entry) == shared_regions[core].outbox.value + offset;
}

/* The APIC page is every core's own; the I/O APIC is core 0's. */
static bool audit_frames_device(uint64_t address, uint64_t entry)
{
    if ((address - LAYOUT_DEVICE_BASE) / PAGE_BYTES == LAYOUT_DEVICE_LAPIC) {
        return !shared_facts.x2apic && physical_of(entry) == shared_facts.lapic_physical;
    }
    return percpu_self.value == 0 &&
           physical_of(entry) == ALIGN_DOWN(shared_facts.ioapic_physical, PAGE_BYTES);
}

static bool audit_frames_image(uint64_t address, uint64_t entry)
{
    return physical_of(entry) == shared_facts.image_physical + (address - LAYOUT_IMAGE_BASE);
}

static bool audit_frames_direct_map(uint64_t address, uint64_t entry)
{
    paddr_t frame = {address - LAYOUT_DIRECT_BASE};
    return physical_of(entry) == frame.value && percpu_frame_is_own(frame) &&
           !physical_is_image(frame);
}

#define FRAMES_FROM_IMAGE(name, which)                                                             \
    static bool audit_frames_##name(uint64_t address, uint64_t entry)                              \
    {                                                                                              \
        return physical_of(entry) == shared_facts.image_physical + SECTION(which)->offset +        \
                                         (address - SECTION_START(which));                         \
    }
FRAMES_FROM_IMAGE(posix_text, IMAGE_POSIX_TEXT)
FRAMES_FROM_IMAGE(posix_rodata, IMAGE_POSIX_RODATA)

static bool audit_frames_posix_relro(uint64_t address, uint64_t entry)
{
    uint64_t page = (address - SECTION_START(IMAGE_POSIX_RELRO)) / PAGE_BYTES;
    return physical_of(entry) == plan_frame(&shared_plan.relro, page).value;
}

static bool audit_frames_posix_data(uint64_t address, uint64_t entry)
{
    uint64_t page = (address - SECTION_START(IMAGE_POSIX_DATA)) / PAGE_BYTES;
    return physical_of(entry) == plan_frame(&shared_plan.data, page).value;
}

static bool audit_frames_posix_percore(uint64_t address, uint64_t entry)
{
    (void)address;
    return percpu_frame_is_own(entry_address(entry)) && !physical_is_image(entry_address(entry));
}

static bool audit_frames_gate_page(uint64_t address, uint64_t entry)
{
    (void)address;
    return physical_of(entry) == shared_plan.gate_page.value;
}

static bool audit_frames_info_page(uint64_t address, uint64_t entry)
{
    (void)address;
    return physical_of(entry) == shared_plan.info_page.value;
}

static bool audit_frames_image_index(uint64_t address, uint64_t entry)
{
    return physical_of(entry) ==
           shared_facts.image_physical + (address - shared_plan.index_address);
}

/* The kind that the entry claims must be true. */
static bool audit_frames_shared_slot(uint64_t address, uint64_t entry)
{
    (void)address;
    paddr_t frame = entry_address(entry);
    switch (entry_frame(entry)) {
    case ENTRY_FRAME_OWN:
        return percpu_frame_is_own(frame) && !physical_is_image(frame);
    case ENTRY_FRAME_FOREIGN:
        return frame.value < shared_facts.memory_limit && !physical_is_image(frame) &&
               percpu_frame_owner_remote(frame).value != percpu_self.value;
    case ENTRY_FRAME_IMAGE:
        return physical_is_image(frame) && (entry & ENTRY_WRITE) == 0;
    case ENTRY_FRAME_NONE:
        break;
    }
    return false;
}

/* ---- the table */

#define AUDIT_CLASS(name_, is_user_, range_, frames_, rights_)                                     \
    {#name_, is_user_, audit_range_##range_, audit_frames_##frames_, rights_},
const struct audit_class audit_classes[] = {
#include <mapping_classes.inc>
};
#undef AUDIT_CLASS
const unsigned audit_class_count = ARRAY_COUNT(audit_classes);

const struct audit_class *audit_class_of(uint64_t address)
{
    uint64_t first;
    for (unsigned i = 0; i < audit_class_count; i++) {
        if (audit_classes[i].range(address, &first)) {
            return &audit_classes[i];
        }
    }
    return NULL;
}
