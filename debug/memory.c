/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as page tables show it. The stub never uses the address itself: it walks the tables and
 * looks at each frame through a window, one page of this core's address space that is mapped only
 * while the stub copies. So nothing here can fault, whatever the address is. */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/physical.h"
#include "../isolation/space.h"
#include "../isolation/table.h"

#include <cpu/instructions.h>
#include <gate/gate.h>
#include <percpu/frames.h>

/* The last page below the 2 MiB that .percore may take. */
#define WINDOW (LAYOUT_PERCORE_BASE + LARGE_PAGE_BYTES - PAGE_BYTES)
#define SPARE_FRAMES 32u
#define LEVEL_ROOT 4u
#define KERNEL_PHYSICAL_START 0x100000ull

static PERCORE uint64_t *window_entry;
static PERCORE paddr_t spare[SPARE_FRAMES];
static PERCORE uint32_t spare_count;

void debug_memory_prepare(void)
{
    paddr_t frame;
    while (spare_count < SPARE_FRAMES && percpu_frame_allocate(&frame) == RESULT_OK) {
        spare[spare_count++] = frame;
    }
}

void debug_memory_initialize(void)
{
    ASSERT((uint64_t)percore_end < WINDOW);
    enum result found =
        cell_entry(shared_regions[percpu_self.value].root, WINDOW, 1, &window_entry);
    ASSERT(found == RESULT_OK && *window_entry == 0);
    debug_memory_prepare();
}

bool debug_memory_is_ready(void)
{
    return window_entry != NULL;
}

/* RAM, the image or the kernel: a look at a device register may change it. */
static bool is_memory(uint64_t physical)
{
    for (uint32_t i = 0; i < shared_facts.memory_range_count; i++) {
        if (physical >= shared_facts.memory[i].start && physical < shared_facts.memory[i].end) {
            return true;
        }
    }
    uint64_t kernel_end = (uint64_t)boot_facts_end - LAYOUT_KERNEL_BASE;
    return physical_is_image((paddr_t){physical}) ||
           (physical >= KERNEL_PHYSICAL_START && physical < kernel_end);
}

static uint8_t *window_open(uint64_t physical)
{
    *window_entry = (physical & ENTRY_ADDRESS) | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_ACCESSED |
                    ENTRY_DIRTY | ENTRY_NO_EXECUTE;
    cpu_invlpg(WINDOW);
    return (uint8_t *)WINDOW + (physical & (PAGE_BYTES - 1));
}

static void window_close(void)
{
    *window_entry = 0;
    cpu_invlpg(WINDOW);
}

void debug_memory_physical(uint64_t physical, void *copy, uint32_t bytes, bool is_write)
{
    uint8_t *there = window_open(physical);
    memcpy(is_write ? there : copy, is_write ? copy : there, bytes);
    window_close();
}

static uint64_t word_at(uint64_t physical)
{
    uint64_t value = is_memory(physical) ? *(uint64_t *)window_open(physical) : 0;
    window_close();
    return value;
}

struct place {
    uint64_t entry;    /* 0: nothing */
    uint64_t physical; /* of the address, if the entry is present */
};

static struct place walk(uint64_t root, uint64_t address)
{
    uint64_t table = root & ENTRY_ADDRESS;
    for (unsigned level = LEVEL_ROOT;; level--) {
        uint64_t index = address / table_span(level) % TABLE_ENTRIES;
        uint64_t entry = word_at(table + index * sizeof(entry));
        bool is_leaf = level == 1 || (entry & ENTRY_LARGE) != 0 || !entry_is_present(entry);
        if (is_leaf) {
            uint64_t offset = address & (table_span(level) - 1);
            return (struct place){entry,
                                  (entry & ENTRY_ADDRESS & ~(table_span(level) - 1)) + offset};
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* @impl ATL-LLR-DEBUG-0701~1 */
uint64_t debug_memory_table(uint64_t root, uint64_t address, uint64_t entries[TABLE_ENTRIES])
{
    uint64_t table = root & ENTRY_ADDRESS;
    for (unsigned level = LEVEL_ROOT;; level--) {
        uint64_t index = address / table_span(level) % TABLE_ENTRIES;
        uint64_t entry = word_at(table + index * sizeof(entry));
        if (level == 1 || !entry_is_table(entry)) {
            memset(entries, 0, PAGE_BYTES);
            if (is_memory(table)) {
                memcpy(entries, window_open(table), PAGE_BYTES);
                window_close();
            }
            return table_span(level);
        }
        table = entry & ENTRY_ADDRESS;
    }
}

/* A page that no access has reached yet, or that nobody may access now. */
static void read_absent(uint64_t entry, uint64_t offset, uint8_t *to, uint32_t bytes)
{
    memset(to, 0, bytes);
    if (entry_lazy(entry) == ENTRY_LAZY_RETAINED && is_memory(entry_address(entry).value)) {
        memcpy(to, window_open(entry_address(entry).value + offset), bytes);
        window_close();
    }
}

/* @impl ATL-LLR-DEBUG-0005~1 */
uint32_t debug_memory_read(uint64_t root, uint64_t address, void *to, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        uint64_t at = address + done, offset = at % PAGE_BYTES;
        uint32_t piece = (uint32_t)MIN(bytes - done, PAGE_BYTES - offset);
        struct place place = walk(root, at);
        if (entry_is_present(place.entry) && is_memory(place.physical)) {
            memcpy((uint8_t *)to + done, window_open(place.physical), piece);
            window_close();
        } else if (at < LAYOUT_USER_END && entry_lazy(place.entry) != ENTRY_LAZY_NONE) {
            read_absent(place.entry, offset, (uint8_t *)to + done, piece);
        } else {
            break;
        }
        done += piece;
    }
    return done;
}

static bool is_shared_slot(uint64_t address)
{
    return address / GATE_SLOT_BYTES < gate_cell.shared_slot_count;
}

/* Text of posix/ and of the kernel is changed in place, as it is the same for all cores; a
 * program's page of the image gets a frame of its own first. @impl ATL-LLR-DEBUG-0005~1 */
uint32_t debug_memory_write(uint64_t root, uint64_t address, const void *from, uint32_t bytes)
{
    uint32_t done = 0;
    while (done < bytes) {
        uint64_t at = address + done;
        uint32_t piece = (uint32_t)MIN(bytes - done, PAGE_BYTES - at % PAGE_BYTES);
        struct place place = walk(root, at);
        bool is_image = is_shared_slot(at) && entry_frame(place.entry) == ENTRY_FRAME_IMAGE;
        if (!entry_is_present(place.entry) || !is_memory(place.physical) || is_image) {
            break;
        }
        memcpy(window_open(place.physical), (const uint8_t *)from + done, piece);
        window_close();
        done += piece;
    }
    return done;
}

/* @impl ATL-LLR-DEBUG-0006~1 */
enum result debug_memory_fill(uint64_t address)
{
    if (!isolation_is_shared(&gate_cell, address) ||
        isolation_slot_owner(address).value != percpu_self.value) {
        return RESULT_FAULT;
    }
    struct table_root root = space_root(&gate_cell, address);
    struct table_cursor cursor;
    table_find(&root, address, &cursor);
    uint64_t entry = table_value(&cursor);
    bool is_image = entry_is_present(entry) && entry_frame(entry) == ENTRY_FRAME_IMAGE;
    if (cursor.level != 1 || spare_count == 0 ||
        (!is_image && entry_lazy(entry) != ENTRY_LAZY_ZERO)) {
        return RESULT_FAULT;
    }
    paddr_t frame = spare[--spare_count];
    if (is_image) {
        physical_page_copy(frame, entry_address(entry));
    } else {
        physical_page_zero(frame);
    }
    table_set(&cursor, entry_make_page(frame, ENTRY_FRAME_OWN, entry_rights(entry), cursor.user));
    return RESULT_OK;
}
