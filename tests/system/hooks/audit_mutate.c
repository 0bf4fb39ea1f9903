/* SPDX-License-Identifier: Apache-2.0 */
/* Part of isolation/ in the build with hooks alone: breaks the audit's rules one at a time, so that
 * test_audit.py sees it find each. */
#include "audit_internal.h"
#include "cell.h"
#include "physical.h"
#include "space.h"

#include <kernel/region.h>
#include <percpu/scheduler.h>

#define NO_INDEX UINT64_MAX
#define SLOT_TEST_OFFSET (1ull << 30) /* in this core's first slot: free at boot */

/* The entry of a page of this core's cell, with tables where there were none. NULL: inside a larger
 * page, a table of another core, or no memory. */
static uint64_t *page_entry(uint64_t address)
{
    uint64_t *table = physical_own(space_cell->root);
    uint64_t user = address < LAYOUT_USER_END && space_cell->ring == 3 ? ENTRY_USER : 0;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[(address >> shift) % TABLE_ENTRIES];
        if (*entry == 0) {
            paddr_t frame;
            if (cell_frame(&frame) != RESULT_OK) {
                return NULL;
            }
            *entry = entry_make_table(frame, 0, user);
        }
        if (!entry_is_table(*entry)) {
            return entry; /* a large page: its entry will do */
        }
        if (!percpu_frame_is_own(entry_address(*entry))) {
            return NULL;
        }
        table = physical_own(entry_address(*entry));
    }
    return &table[(address >> 12) % TABLE_ENTRIES];
}

/* In this core's slot, with right counts; elsewhere there are none. */
static bool put(uint64_t address, uint64_t value)
{
    if (isolation_is_shared(space_cell, address)) {
        struct table_root table = space_root(space_cell, address);
        struct table_cursor cursor;
        table_find(&table, address, &cursor);
        if (range_split_to_page(&cursor) != RESULT_OK) {
            return false;
        }
        table_set(&cursor, value);
        return true;
    }
    uint64_t *entry = page_entry(address);
    if (entry == NULL) {
        return false;
    }
    *entry = value;
    return true;
}

static uint64_t user_bit(void)
{
    return space_cell->ring == 3 ? ENTRY_USER : 0;
}

/* Gives the first page of a class rights that the class does not have. */
static bool break_class(const struct audit_class *class)
{
    const struct audit_range *range = audit_ranges;
    audit_ranges_build();
    while (range->class != class) {
        range++;
    }
    uint64_t *entry = page_entry(range->start);
    if (entry == NULL) {
        return false;
    }
    if (*entry == 0) {
        paddr_t frame;
        if (cell_frame(&frame) != RESULT_OK) {
            return false;
        }
        *entry = entry_make_page(frame, ENTRY_FRAME_OWN, GATE_READ | GATE_WRITE | GATE_EXECUTE,
                                 class->is_user ? user_bit() : 0);
    } else if ((*entry & ENTRY_WRITE) != 0) {
        *entry &= ~ENTRY_NO_EXECUTE;
    } else {
        *entry |= ENTRY_WRITE | ENTRY_DIRTY;
    }
    return true;
}

static uint64_t slot_address(void)
{
    return percpu_self.value * GATE_SLOT_BYTES + SLOT_TEST_OFFSET;
}

static uint64_t slot_page(paddr_t frame, uint32_t rights)
{
    return entry_make_page(frame, ENTRY_FRAME_OWN, rights, user_bit());
}

static bool break_kernel_frame_in_user_half(void)
{
    return put(slot_address(), slot_page(space_cell->root, GATE_READ));
}

static bool break_region_in_user_half(void)
{
    return put(slot_address(), slot_page(shared_regions[percpu_self.value].percore, GATE_READ));
}

static bool break_single_mapping(void)
{
    paddr_t frame;
    return cell_frame(&frame) == RESULT_OK && put(slot_address(), slot_page(frame, GATE_READ)) &&
           put(slot_address() + PAGE_BYTES, slot_page(frame, GATE_READ));
}

static bool break_port_alias(void)
{
    return put(slot_address(), slot_page(shared_regions[percpu_self.value].port, GATE_READ));
}

static bool break_write_execute_alias(void)
{
    paddr_t frame;
    return cell_frame(&frame) == RESULT_OK &&
           put(slot_address(), slot_page(frame, GATE_READ | GATE_WRITE)) &&
           put(slot_address() + PAGE_BYTES, slot_page(frame, GATE_READ | GATE_EXECUTE));
}

static bool break_no_class(void)
{
    paddr_t frame;
    return cell_frame(&frame) == RESULT_OK &&
           put(LAYOUT_DEVICE_BASE + LARGE_PAGE_BYTES,
               entry_make_page(frame, ENTRY_FRAME_NONE, GATE_READ | GATE_WRITE, 0));
}

static bool break_lazy_outside(void)
{
    return put(shared_plan.posix_base - PAGE_BYTES, entry_make_lazy(ENTRY_LAZY_ZERO, GATE_READ));
}

static bool break_foreign_slot(void)
{
    paddr_t frame;
    if (percpu_core_count == 1 || cell_frame(&frame) != RESULT_OK) {
        return false;
    }
    uint64_t *root = physical_own(space_cell->root);
    root[(percpu_self.value + 1u) % percpu_core_count] = entry_make_table(frame, 0, user_bit());
    return true;
}

static bool break_idle_root(void)
{
    uint64_t *idle = physical_own(shared_regions[percpu_self.value].root);
    const uint64_t *root = physical_own(space_cell->root);
    idle[GATE_PRIVATE_SLOT] = root[GATE_PRIVATE_SLOT];
    return true;
}

static bool break_table_count(void)
{
    paddr_t frame;
    if (cell_frame(&frame) != RESULT_OK || !put(slot_address(), slot_page(frame, GATE_READ))) {
        return false;
    }
    uint64_t *entry = page_entry(slot_address() + PAGE_BYTES);
    *entry = entry_make_lazy(ENTRY_LAZY_ZERO, GATE_READ); /* not through table_set */
    return true;
}

static bool break_table_entry(void)
{
    uint64_t *root = physical_own(space_cell->root);
    root[GATE_PRIVATE_SLOT] ^= ENTRY_ACCESSED;
    return true;
}

static bool break_accessed(void)
{
    uint64_t *entry = page_entry(LAYOUT_PERCORE_BASE);
    *entry &= ~ENTRY_ACCESSED;
    return true;
}

static bool break_user_bit(void)
{
    uint64_t *entry = page_entry(shared_plan.posix_base);
    *entry ^= ENTRY_USER;
    return true;
}

/* Breaks one rule in this core's tables: those of the class with that index in
 * mapping_classes.toml, or behind the classes, a rule of the frames and tables. False: there is no
 * such rule. Nothing else may run afterwards. */
static bool mutate(unsigned index)
{
    static bool (*const others[])(void) = {
        break_kernel_frame_in_user_half,
        break_region_in_user_half,
        break_single_mapping,
        break_port_alias,
        break_write_execute_alias,
        break_no_class,
        break_lazy_outside,
        break_foreign_slot,
        break_idle_root,
        break_accessed,
        break_user_bit,
        break_table_count,
        break_table_entry,
    };
    if (index < AUDIT_CLASS_COUNT) {
        return break_class(&audit_classes[index]);
    }
    index -= AUDIT_CLASS_COUNT;
    return index < ARRAY_COUNT(others) && others[index]();
}

extern const char shared_command_line[]; /* command_line.c */

static const char *behind(const char *at, const char *word)
{
    while (*word != 0 && *at == *word) {
        at++;
        word++;
    }
    return *word == 0 ? at : NULL;
}

/* "audit_mutate=N" on the command line, for core 0; with "audit_mutate_core=C" for core C. */
static uint64_t number_after(const char *word, uint64_t otherwise)
{
    for (const char *at = shared_command_line; *at != 0; at++) {
        const char *digit = behind(at, word);
        if (digit != NULL && *digit != 0) {
            uint64_t value = 0;
            for (; *digit >= '0' && *digit <= '9'; digit++) {
                value = value * 10 + (uint64_t)(*digit - '0');
            }
            return value;
        }
    }
    return otherwise;
}

void __real_isolation_seal(void);
void __wrap_isolation_seal(void);

/* Before the audit that follows. */
void __wrap_isolation_seal(void)
{
    __real_isolation_seal();
    uint64_t index = number_after("audit_mutate=", NO_INDEX);
    if (index != NO_INDEX && number_after("audit_mutate_core=", 0) == percpu_self.value) {
        (void)mutate((unsigned)index);
    }
}
