/* SPDX-License-Identifier: Apache-2.0 */
/* From the loader's hand-over to shared_facts. Runs on the boot core alone, on the boot tables: the
 * first 4 GiB and all usable RAM are visible at their physical addresses, the kernel also at
 * LAYOUT_KERNEL_BASE; PERCORE variables are not there.
 *
 * Error policy: what the machine lacks or tells wrongly ends the boot with a line that names it. */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include <driver/console.h>
#include <kernel/facts.h>
#include <kernel/image.h>
#include <kernel/layout.h>
#include <percpu/base.h>

/* Zero at start, used during boot only, behind the kernel's last section. */
#define BOOT_BSS __attribute__((section(".bss.boot")))

/* The most memory that is used: what one PML4 entry of the boot tables shows. Without 1 GiB pages
 * it is 4 GiB. */
#define BOOT_MEMORY_LIMIT (512ull << 30)

/* Called by the entry code. Fills shared_facts, prepares the console and the start of other cores.
 * @info physical address of the loader's structure; @tsc at the first instruction */
void boot_collect(uint64_t info, uint64_t tsc);

/* kernel/main defines it; called after boot_collect. */
noreturn void kernel_main(void);

/* Says why on the console, as console_log does, and ends the boot. @format a literal */
#define boot_refuse(format, ...)                                                                   \
    (console_log(CONSOLE_ERROR, "atoll: cannot start: " format "\n" __VA_OPT__(, ) __VA_ARGS__),   \
     boot_end())

/* Sends the exit record of a refusal and powers off. */
noreturn void boot_end(void);

/* The header of the payload as every core maps it. Own root only, after it was validated. */
static inline const struct image_header *boot_image(void)
{
    return (const struct image_header *)(LAYOUT_IMAGE_BASE + shared_facts.image_physical);
}

#endif
