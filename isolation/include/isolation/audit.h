/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: each core walks its own tables and judges every mapping by frame against one table of
 * mapping classes (isolation/mapping_classes.toml, also used by certification/). */
#ifndef ISOLATION_AUDIT_H
#define ISOLATION_AUDIT_H

#include <percpu/base.h>

struct audit_report {
    uint64_t frames_judged;
    uint64_t mappings_judged;
    uint64_t violations;
    uint64_t first_address; /* of the first violation */
    uint64_t first_entry;
    const char *first_rule; /* name of the broken rule */
};

/* Judges this core's live tables. RESULT_PERMISSION: at least one violation. Work is proportional
 * to the tables; runs at seal and on demand inside a stop-all. */
enum result isolation_audit(struct audit_report *report);

#endif
