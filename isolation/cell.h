/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that build a cell: the private slot and what of it all cores share. Boot only.
 */
#ifndef ISOLATION_CELL_INTERNAL_H
#define ISOLATION_CELL_INTERNAL_H

#include "entry.h"

#include <isolation/cell.h>
#include <kernel/image.h>
#include <percpu/frames.h>

#define PLAN_RUNS_MAX 48u

/* Frames of a section that is copied once and mapped by every core. */
struct plan_section {
    uint32_t run_count;
    struct {
        paddr_t first;
        uint32_t count;
    } runs[PLAN_RUNS_MAX];
};

/* What core 0 decides and makes, and every core maps. */
struct plan {
    uint64_t posix_base, index_address;
    struct plan_section relro, data;
    paddr_t gate_page, info_page;
};
extern struct plan shared_plan;

/* The tables of the shared slots: each core writes its own before seal, all read them then. */
#define CELL_SLOTS_PER_CORE 3u
extern paddr_t shared_slot_tables[CORE_COUNT_MAX][CELL_SLOTS_PER_CORE];

const struct image_header *cell_image(void);
const struct gate_posix_header *cell_posix_header(void);

/* Core 0: chooses addresses, copies and relocates, fills the gate and information pages.
 * RESULT_NO_MEMORY, RESULT_FORMAT. */
enum result plan_make(void);
/* The frame of the n-th page of a section. */
paddr_t plan_frame(const struct plan_section *section, uint64_t page);

/* Checks posix's own header against its sections. RESULT_FORMAT. */
enum result posix_header_validate(const struct image_header *image,
                                  const struct gate_posix_header *header);

/* Maps posix/ and its pages under cell->root with tables of this core. RESULT_NO_MEMORY,
 * RESULT_FORMAT (sections overlap). */
enum result private_slot_build(struct cell *cell);

/* A zeroed frame of this core. */
enum result cell_frame(paddr_t *frame);

/* Makes sure that this core's direct map has tables for every block that may be granted to it. */
enum result direct_prepare(paddr_t root);

#endif
