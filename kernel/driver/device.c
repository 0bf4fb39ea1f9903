/* SPDX-License-Identifier: Apache-2.0 */
#include <driver/device.h>

#include <kernel/layout.h>

/* @impl ATL-LLR-VIRTIO-0003~1 */
bool device_may_be_at(uint64_t physical, uint64_t bytes)
{
    const struct facts *facts = &shared_facts;
    if (physical < facts->image_physical + facts->image_bytes ||
        physical > (1ull << facts->physical_address_bits) - FACTS_NEIGHBOUR_BYTES) {
        return false;
    }
    uint64_t start = ALIGN_DOWN(physical, PAGE_BYTES);
    for (uint32_t i = 0; i < facts->memory_range_count; i++) {
        if (start < facts->memory[i].end && facts->memory[i].start < physical + bytes) {
            return false;
        }
    }
    return true;
}

/* @impl ATL-LLR-VIRTIO-0003~1 */
uint64_t device_show(uint64_t physical, uint64_t bytes)
{
    struct facts *facts = &shared_facts;
    if (bytes == 0 || bytes > DEVICE_BYTES_MAX || !device_may_be_at(physical, bytes)) {
        return 0;
    }
    uint64_t start = ALIGN_DOWN(physical, PAGE_BYTES);
    uint64_t end = ALIGN_UP(physical + bytes, PAGE_BYTES);
    uint32_t first = facts->device_page_count;
    if ((end - start) / PAGE_BYTES > FACTS_DEVICE_PAGES_MAX - first) {
        return 0;
    }
    for (uint64_t page = start; page < end; page += PAGE_BYTES) {
        facts->device_pages[facts->device_page_count++] = page;
    }
    return LAYOUT_DEVICE_BASE + first * PAGE_BYTES + (physical - start);
}
