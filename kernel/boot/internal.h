/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the boot core's collection. */
#ifndef KERNEL_BOOT_INTERNAL_H
#define KERNEL_BOOT_INTERNAL_H

#include "handover.h"

#include <boot/boot.h>

/* Everything that describes memory outside the kernel is read through this: the validator of
 * physical addresses that came from a loader or from firmware. Copies once.
 * Errors: RESULT_FAULT not all of it lies in the first 4 GiB, or at address 0 */
enum result boot_physical_read(void *to, uint64_t physical, uint64_t bytes);

/* A buffer for one table at a time; later the stacks on which the other cores start (entry.S). */
#define BOOT_BUFFER_BYTES 65536u
extern uint8_t boot_buffer[BOOT_BUFFER_BYTES];

/* What the loader told, or refuses to boot. */
void boot_loader_read(uint64_t info, struct handover *handover);

/* What the packer wrote into the kernel. By its flags also a refusal before the payload is
 * validated reaches who made the image. */
extern const volatile struct image_location boot_image_location;

/* Memory ranges into shared_facts; maps what lies above 4 GiB; picks the low page. Or refuses.
 * @map of the loader; the kernel and the image are added to it */
void boot_memory_collect(struct memory_map *map);

/* Cores, interrupt routing and power-off into shared_facts, from ACPI or the MP table; a machine
 * without either has one core. @rsdp physical, 0: none */
void boot_machine_collect(uint64_t rsdp);

#endif
