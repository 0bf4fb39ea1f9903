/* SPDX-License-Identifier: Apache-2.0 */
/* The boot core's way from the loader's tables to its own: the image, memory, then core.c. */
#include <boot/boot.h>
#include <cpu/core.h>
#include <cpu/instructions.h>
#include <driver/console.h>
#include <driver/device.h>
#include <kernel/facts.h>
#include <kernel/image.h>
#include <kernel/region.h>
#include <virtio/virtio.h>

/* @impl ATL-LLR-IMAGE-0002~1 */
static uint32_t crc_by_instruction(uint32_t state, const void *bytes, uint64_t count)
{
    const uint64_t *words = bytes;
    uint64_t crc = state;
    for (uint64_t i = 0; i < count / sizeof(*words); i++) {
        crc = cpu_crc32q(crc, words[i]);
    }
    return (uint32_t)crc;
}

static const struct image_header *image_check(void)
{
    const struct image_header *image = NULL;
    const char *reason = NULL;
    if (shared_facts.image_bytes == 0) {
        boot_refuse("this kernel carries no program; make an image with ./atoll pack");
    }
    if (image_validate(crc_by_instruction, (const void *)shared_facts.image_physical,
                       shared_facts.image_bytes, &image, &reason) != RESULT_OK) {
        boot_refuse("the image is damaged: %s", reason);
    }
    return image;
}

/* @impl ATL-LLR-BOOT-0031~1 */
static void cores_choose(const struct image_header *image)
{
    uint32_t there = shared_facts.core_count;
    if (image->cores > there) {
        boot_refuse("the image wants %u cores, the machine has %u", image->cores, there);
    }
    shared_facts.core_count = image->cores != 0 ? image->cores : there;
}

noreturn void kernel_main(void)
{
    const struct image_header *image = image_check();
    cores_choose(image);
    shared_facts.info.port_bytes = image->port_bytes;
    if (shared_facts.meltdown_possible) {
        console_log(CONSOLE_ERROR, "atoll: this processor may leak kernel memory (Meltdown)\n");
    }
    if (image->ring == 0) {
        console_log(CONSOLE_LOG, "atoll: ring 0: no isolation between program and kernel\n");
    }
    ioapic_discover();
    virtio_discover();
    console_discover_xen();
    if (memory_regions_build() != RESULT_OK) {
        boot_refuse("too little memory: %lu KiB for %u cores; give the machine more with -m, or "
                    "fewer cores",
                    shared_facts.info.memory_bytes >> 10, shared_facts.core_count);
    }
    cpu_core_enter((core_id_t){0}, shared_regions[0].root);
}
