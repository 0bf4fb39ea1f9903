/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the audit: the classes, and where they lie. */
#ifndef ISOLATION_AUDIT_INTERNAL_H
#define ISOLATION_AUDIT_INTERNAL_H

#include "entry.h"

#include <isolation/audit.h>
#include <isolation/cell.h>
#include <kernel/facts.h>

/* Rights of a class: GATE_READ and so on, or what the program asked for. */
#define AUDIT_AS_ASKED 8u

enum audit_frames {
    AUDIT_FRAMES_NONE,
    AUDIT_FRAMES_LINEAR, /* of the range's piece of physical memory */
    AUDIT_FRAMES_DIRECT, /* at its physical address, this core's own */
    AUDIT_FRAMES_OWN,    /* this core's own */
    AUDIT_FRAMES_SLOT,   /* the kind that the entry claims is true */
};

#define AUDIT_CLASS(name_, is_user_, frames_, rights_) AUDIT_CLASS_##name_,
enum audit_class_index {
#include <mapping_classes.inc>
    AUDIT_CLASS_COUNT
};
#undef AUDIT_CLASS

struct audit_class {
    const char *name;
    bool is_user;
    enum audit_frames frames;
    uint32_t rights;
};
extern const struct audit_class audit_classes[];

/* audit_ranges.c: where a class lies on this core; what comes first wins. */
struct audit_range {
    const struct audit_class *class;
    uint64_t start, end, physical; /* physical: of AUDIT_FRAMES_LINEAR */
};
#define AUDIT_RANGES_MAX (2 * CORE_COUNT_MAX + 40u + FACTS_DEVICE_PAGES_MAX)
extern PERCORE struct audit_range audit_ranges[AUDIT_RANGES_MAX];
void audit_ranges_build(void);
/* The range that holds the address; NULL: none. */
const struct audit_range *audit_range_of(uint64_t address);

#endif
