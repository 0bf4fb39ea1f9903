/* SPDX-License-Identifier: Apache-2.0 */
/* Where the mapping classes lie on this core, and on which physical memory. What they are is
 * generated from mapping_classes.toml. */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"

#include <kernel/stacks.h>
#include <percpu/scheduler.h>

#define AUDIT_CLASS(name_, is_user_, frames_, rights_) {#name_, is_user_, frames_, rights_},
const struct audit_class audit_classes[] = {
#include <mapping_classes.inc>
};
#undef AUDIT_CLASS

PERCORE struct audit_range audit_ranges[AUDIT_RANGES_MAX];
static PERCORE unsigned audit_range_count;

static void add(enum audit_class_index class, uint64_t start, uint64_t bytes, uint64_t physical)
{
    ASSERT(audit_range_count < AUDIT_RANGES_MAX);
    audit_ranges[audit_range_count++] =
        (struct audit_range){&audit_classes[class], start, start + bytes, physical};
}

static void add_image(enum audit_class_index class, const uint8_t *start, const uint8_t *end)
{
    add(class, (uint64_t)start, (uint64_t)(end - start), (uint64_t)start - LAYOUT_KERNEL_BASE);
}

static void add_devices(void)
{
    for (uint32_t i = 0; i < shared_facts.device_page_count; i++) {
        if (facts_device_is_of(i, percpu_self.value)) {
            add(AUDIT_CLASS_device, LAYOUT_DEVICE_BASE + i * PAGE_BYTES, PAGE_BYTES,
                shared_facts.device_pages[i]);
        }
    }
}

static void add_kernel_half(void)
{
    const struct region *region = &shared_regions[percpu_self.value];
    add_image(AUDIT_CLASS_kernel_text, kernel_text_start, kernel_text_end);
    add_image(AUDIT_CLASS_kernel_rodata, kernel_rodata_start, kernel_rodata_end);
    add_image(AUDIT_CLASS_boot_facts, boot_facts_start, boot_facts_end);
    for (unsigned i = 0; i <= LAYOUT_IST_COUNT; i++) {
        add(AUDIT_CLASS_guard_page, (uint64_t)kernel_stacks + i * STACKS_IST_STRIDE, PAGE_BYTES, 0);
    }
    add(AUDIT_CLASS_percore, LAYOUT_PERCORE_BASE, region->percore_bytes, region->percore.value);
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        add(core == percpu_self.value ? AUDIT_CLASS_outbox_own : AUDIT_CLASS_outbox_other,
            region_outbox(core), shared_regions[core].outbox_bytes,
            shared_regions[core].outbox.value);
    }
    add_devices();
    add(AUDIT_CLASS_image, LAYOUT_IMAGE_BASE + shared_facts.image_physical,
        ALIGN_UP(shared_facts.image_bytes, PAGE_BYTES), shared_facts.image_physical);
    add(AUDIT_CLASS_direct_map, LAYOUT_DIRECT_BASE,
        ALIGN_UP(shared_facts.memory_limit, LARGE_PAGE_BYTES), 0);
}

static void add_user_half(void)
{
    const struct image_section *percore = &boot_image()->posix[IMAGE_POSIX_PERCORE];
    for (unsigned i = 0; i < PLAN_PLACES; i++) {
        const struct plan_place *place = &shared_plan.places[i];
        add(AUDIT_CLASS_posix_text + i, place->address, place->bytes, place->physical.value);
    }
    add(AUDIT_CLASS_posix_percore, shared_plan.posix_base + percore->address, percore->memory_bytes,
        0);
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        struct plan_place port = plan_port(core);
        add(core == percpu_self.value ? AUDIT_CLASS_port_own : AUDIT_CLASS_port_other, port.address,
            port.bytes, port.physical.value);
    }
    add(AUDIT_CLASS_null_pages, 0, GATE_USER_FLOOR, 0);
    add(AUDIT_CLASS_last_page, USER_END, PAGE_BYTES, 0);
    for (uint32_t i = 0; i < cell_slots_per_core(); i++) {
        uint64_t start = (percpu_self.value + i * percpu_core_count) * GATE_SLOT_BYTES;
        uint64_t floor = MAX(start, GATE_USER_FLOOR);
        add(AUDIT_CLASS_shared_slot, floor, start + GATE_SLOT_BYTES - floor, 0);
    }
}

/* @impl ATL-LLR-ISOL-0032~1 */
void audit_ranges_build(void)
{
    audit_range_count = 0;
    add_kernel_half();
    add_user_half();
}

/* A guard page lies inside the range of .percore: it is found first.
 * @impl ATL-LLR-ISOL-0032~1 */
const struct audit_range *audit_range_of(uint64_t address)
{
    for (unsigned i = 0; i < audit_range_count; i++) {
        if (address >= audit_ranges[i].start && address < audit_ranges[i].end) {
            return &audit_ranges[i];
        }
    }
    return NULL;
}
