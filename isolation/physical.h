/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where isolation/ turns a physical address into a pointer: through this core's
 * direct map of its own memory, or, for the image, through its read-only alias. Hosted tests have a
 * flat array instead. Foreign frames are never translated. */
#ifndef ISOLATION_PHYSICAL_H
#define ISOLATION_PHYSICAL_H

#include <kernel/facts.h>
#include <kernel/layout.h>
#include <percpu/base.h>

#ifdef ATOLL_HOSTED
#include "host/physical.h"
#else
#include <cpu/string.h>

/* address lies in memory that this core owns. */
static inline void *physical_own(paddr_t address)
{
    return (void *)(LAYOUT_DIRECT_BASE + address.value);
}

/* address lies in the image. */
static inline const void *physical_image(paddr_t address)
{
    return (const void *)(LAYOUT_IMAGE_BASE + address.value);
}

#endif

static inline bool physical_is_image(paddr_t address)
{
    return address.value >= shared_facts.image_physical &&
           address.value - shared_facts.image_physical < shared_facts.image_bytes;
}

static inline void physical_page_zero(paddr_t page)
{
    cpu_page_zero(physical_own(page));
}

static inline void physical_page_copy(paddr_t to, paddr_t image)
{
    cpu_page_copy(physical_own(to), physical_image(image));
}
#endif
