/* SPDX-License-Identifier: Apache-2.0 */
/* A machine for the tests of address spaces: flat physical memory, an image, a cell, and for each
 * core a page walker with a TLB that forgets only what it is told to forget. */
#ifndef TESTS_UNIT_ISOLATION_MACHINE_H
#define TESTS_UNIT_ISOLATION_MACHINE_H

#include "space.h"

#include <host.h>
#include <percpu/frames.h>

#define MACHINE_START (2ull << 20) /* first physical byte of the partitions */
#define MACHINE_IMAGE_PAGES 64u
#define MACHINE_CELL 1u

extern struct cell machine_cell; /* the same on every core */

/* Before host_start or host_enter: memory for the cores' partitions and, behind, the image. */
void machine_create(uint16_t cores, uint64_t partition_bytes);
void machine_destroy(void);
/* A request to the address space, as a test writes it down. */
struct space_range {
    uint64_t address, bytes;
};
struct space_request {
    enum percpu_message_kind kind;
    struct space_range range;
    uint64_t protection, flags, offset;
};
enum result machine_request(struct thread *thread, const struct space_request *request);

/* On each core, core 0 first: tables of its slots, message handlers. */
void machine_core_start(void);

/* One access as the hardware makes it, on this core: through its TLB, else by a walk that fills it.
 * NULL: page fault. */
uint64_t *machine_access(uint64_t address, enum space_access access);
/* As machine_access, but without the TLB: what a walk finds. */
uint64_t *machine_walk(uint64_t address, enum space_access access);

/* First word of an image page. */
uint64_t machine_image_tag(uint64_t page);
/* Frames of this core that are not in use. */
uint64_t machine_free_frames(void);

#endif
