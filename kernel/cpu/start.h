/* SPDX-License-Identifier: Apache-2.0 */
/* For assembly. */
#ifndef KERNEL_CPU_START_H
#define KERNEL_CPU_START_H

/* Places in struct facts and struct region; core.c locks them by static_assert. */
#define FACTS_CORE_COUNT 1056
#define FACTS_APIC_ID 1064
#define REGION_BYTES 104
#define REGION_ROOT 32

#endif
