/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that start cores; also read by assembly. */
#ifndef KERNEL_CPU_START_H
#define KERNEL_CPU_START_H

/* Places in struct facts and struct region; smp.c locks them by static_assert. */
#define FACTS_CORE_COUNT 1056
#define FACTS_APIC_ID 1064
#define REGION_BYTES 128
#define REGION_ROOT 32

#ifndef __ASSEMBLER__
#include <percpu/base.h>

/* This core runs: cpu_smp_start stops waiting for it. */
void start_report(core_id_t core);
#endif

#endif
