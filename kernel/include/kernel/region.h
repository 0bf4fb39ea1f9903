/* SPDX-License-Identifier: Apache-2.0 */
/* What the boot core prepares for each core before the core runs: its share of memory, its tables,
 * its pools. Read-only after seal. Built by kernel/memory. */
#ifndef KERNEL_REGION_H
#define KERNEL_REGION_H

#include <kernel/layout.h>
#include <percpu/base.h>

struct region {
    paddr_t start,
        end; /* partition: the RAM in it is this core's; page multiples; may span holes */
    paddr_t own_start,
        own_end;     /* within it: holds what follows; the other RAM goes to percpu/frames */
    paddr_t port;    /* port memory, right before own_start: the cell's, not the kernel's */
    paddr_t root;    /* PML4 with the kernel half, for boot and idle */
    paddr_t percore; /* .percore instance */
    paddr_t outbox;  /* this core's outbox */
    paddr_t threads, extended, frame_tables;
    paddr_t audit_marks; /* half a byte for each frame of the machine (isolation/audit.c) */
    uint64_t percore_bytes, outbox_bytes, audit_marks_bytes;
    uint32_t thread_count;
};

/* At the end of the outbox lie the gate's staging pages, and before them a line for what a core
 * says when it cannot go on (kernel/main/stop.c). */
#define REGION_STAGING_PAGES 2u
#ifdef ATOLL_DEBUG
#define REGION_DEBUG_PAGES 6u /* behind them */
#define IF_DEBUG(...) __VA_ARGS__
#else
#define REGION_DEBUG_PAGES 0u
#define IF_DEBUG(...)
#endif
#define REGION_LAST_WORDS_BYTES 64u

extern struct region shared_regions[CORE_COUNT_MAX];

/* The parts of the kernel's own image, in whole pages (kernel.ld). */
extern const uint8_t kernel_text_start[], kernel_text_end[];
extern const uint8_t kernel_rodata_start[], kernel_rodata_end[];
extern const uint8_t boot_facts_start[], boot_facts_end[];
extern const uint8_t percore_start[], percore_end[];

/* Where a core's outbox lies on every core's own root, and its staging pages there. */
static inline uint64_t region_outbox(uint32_t core)
{
    return LAYOUT_OUTBOX_BASE + core * (uint64_t)LAYOUT_OUTBOX_STRIDE;
}

static inline uint8_t *region_staging(uint32_t core)
{
    uint64_t end = region_outbox(core) + shared_regions[core].outbox_bytes;
    return (uint8_t *)(end - (REGION_STAGING_PAGES + REGION_DEBUG_PAGES) * PAGE_BYTES);
}

/* Splits memory among shared_facts.core_count cores and builds every core's region and kernel-half
 * page tables. Boot core, boot tables, once. RESULT_NO_MEMORY: the report names what is missing. */
enum result memory_regions_build(void);

/* Calls use(start, end) for each piece of RAM of a core's partition, without what the region itself
 * occupies. Any time; reads boot facts only. */
void memory_region_free_ranges(core_id_t core, void (*use)(paddr_t start, paddr_t end));

/* Of a core's instance of a PERCORE variable: its address for devices. */
static inline uint64_t region_percore_physical(uint32_t core, const void *variable)
{
    return shared_regions[core].percore.value + ((uint64_t)variable - LAYOUT_PERCORE_BASE);
}

#endif
