/* SPDX-License-Identifier: Apache-2.0 */
/* For ../physical.h in hosted tests: memory is a flat array. */
#ifndef ISOLATION_HOST_PHYSICAL_H
#define ISOLATION_HOST_PHYSICAL_H

#include <percpu/base.h>
#include <string.h>

extern uint8_t *isolation_hosted_memory; /* byte 0 is physical address 0 */

static inline void *physical_own(paddr_t address)
{
    return isolation_hosted_memory + address.value;
}

static inline const void *physical_image(paddr_t address)
{
    return isolation_hosted_memory + address.value;
}

#define cpu_page_zero(page) memset(page, 0, PAGE_BYTES)
#define cpu_page_copy(to, from) memcpy(to, from, PAGE_BYTES)

#endif
