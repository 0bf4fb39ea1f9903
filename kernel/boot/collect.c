/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader and the firmware tell, in the order in which it is asked: what the loader left,
 * which memory is usable, and, from the firmware's tables, which cores, which interrupt controller,
 * how to power off. */
#include "bytes.h"
#include "handover.h"
#include "tables.h"

#include <boot/boot.h>
#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/features.h>
#include <cpu/string.h>
#include <driver/power.h>
#include <kernel/entry.h>

SHARED struct facts shared_facts;

/* ---- the loader */

#define PHYSICAL_READ_END (4ull << 30)
#define BOOT_BUFFER_BYTES 65536u

/* A buffer for one table at a time; later the stacks on which the other cores start (entry.S). */
extern uint8_t boot_buffer[BOOT_BUFFER_BYTES];
BOOT_BSS alignas(16) uint8_t boot_buffer[BOOT_BUFFER_BYTES];
_Static_assert(BOOT_BUFFER_BYTES >= MULTIBOOT2_BYTES_MAX, "the whole of it is copied");
_Static_assert(BOOT_BUFFER_BYTES >= MEMORY_ENTRIES_MAX * MEMORY_ENTRY_BYTES,
               "the whole map is copied");
_Static_assert(BOOT_BUFFER_BYTES >= CORE_COUNT_MAX * BOOT_OTHER_STACK_BYTES,
               "a stack for each core");

/* Everything that describes memory outside the kernel is read through this: the validator of
 * physical addresses that came from a loader or from firmware. Copies once.
 * Errors: RESULT_FAULT not all of it lies in the first 4 GiB, or at address 0 */
static enum result boot_physical_read(void *to, uint64_t physical, uint64_t bytes)
{
    if (physical == 0 || physical >= PHYSICAL_READ_END || bytes > PHYSICAL_READ_END - physical) {
        return RESULT_FAULT;
    }
    memcpy(to, (const void *)physical, bytes);
    return RESULT_OK;
}

static enum result read_pvh(uint64_t info, struct handover *handover)
{
    uint8_t bytes[PVH_INFO_BYTES];
    struct memory_map *map = &handover->map;
    TRY(boot_physical_read(bytes, info, sizeof(bytes)));
    TRY(handover_parse_pvh(bytes, handover));
    TRY(boot_physical_read(boot_buffer, handover->entries, map->count * MEMORY_ENTRY_BYTES));
    for (uint32_t i = 0; i < map->count; i++) {
        map->entries[i] = handover_parse_entry(boot_buffer + i * MEMORY_ENTRY_BYTES);
    }
    return RESULT_OK;
}

static enum result read_multiboot2(uint64_t info, struct handover *handover)
{
    uint8_t header[MULTIBOOT2_HEADER_BYTES];
    TRY(boot_physical_read(header, info, sizeof(header)));
    uint32_t bytes = bytes_u32(header);
    if (bytes > MULTIBOOT2_BYTES_MAX) {
        return RESULT_RANGE;
    }
    TRY(boot_physical_read(boot_buffer, info, bytes));
    return handover_parse_multiboot2(boot_buffer, bytes, info, handover);
}

/* What the loader told, or refuses to boot. */
static void read_loader(uint64_t info, struct handover *handover)
{
    enum result result = read_pvh(info, handover);
    shared_facts.loader = "pvh";
    if (result == RESULT_FORMAT) { /* no magic: multiboot2's begins with its size */
        result = read_multiboot2(info, handover);
        shared_facts.loader = "multiboot2";
    }
    if (result != RESULT_OK) {
        boot_refuse("what the loader (%s) left at 0x%lx is not valid: %s", shared_facts.loader,
                    info,
                    result == RESULT_FAULT     ? "out of reach"
                    : result == RESULT_NO_CALL ? "version 0 has no memory map"
                    : result == RESULT_FORMAT  ? "malformed"
                                               : "size");
    }
}

/* ---- memory, and the boot tables' view of what lies above 4 GiB */

#define MAPPED_AT_ENTRY_GIB 4ull

extern const uint8_t kernel_physical_end[]; /* its address is the value */
extern uint64_t boot_pdpt_low[];

#define KERNEL_PHYSICAL_START 0x100000ull

/* What the packer wrote into the kernel: it fills the other fields. By its flags also a refusal
 * before the payload is validated reaches who made the image. */
__attribute__((
    section(".image_location"))) static const volatile struct image_location boot_image_location = {
    .magic = IMAGE_LOCATION_MAGIC, .version = IMAGE_VERSION};

/* Validator of the packer's numbers: where the payload is, if there is one. */
static void take_image_location(const struct memory_map *map)
{
    uint64_t physical = boot_image_location.physical;
    uint64_t bytes = boot_image_location.bytes;
    if (physical == 0) {
        return;
    }
    if (!IS_ALIGNED(physical, PAGE_BYTES) || physical < (uint64_t)kernel_physical_end ||
        bytes == 0 || bytes > BOOT_MEMORY_LIMIT || physical > BOOT_MEMORY_LIMIT - bytes) {
        boot_refuse("the image lies at 0x%lx with 0x%lx bytes: pack it again", physical, bytes);
    }
    if (!memory_map_is_ram(map, physical, physical + bytes)) {
        boot_refuse("the image ends at %lu MiB, where this machine has no memory: give it more",
                    (physical + bytes) >> 20);
    }
    shared_facts.image_physical = physical;
    shared_facts.image_bytes = bytes;
}

/* Memory ranges into shared_facts; maps what lies above 4 GiB; picks the low page. Or refuses.
 * @map of the loader; the kernel and the image are added to it. @impl ATL-LLR-BOOT-0021~1 */
static void collect_memory(struct memory_map *map)
{
    if (memory_map_check(map) != RESULT_OK) {
        boot_refuse("the loader's memory map of %u entries is not valid", map->count);
    }
    shared_facts.low_page = memory_map_low_page(map);
    if (shared_facts.low_page == 0) {
        boot_refuse("no page of memory below 640 KiB");
    }
    take_image_location(map);
    map->entries[map->count++] = (struct memory_entry){
        KERNEL_PHYSICAL_START, (uint64_t)kernel_physical_end - KERNEL_PHYSICAL_START,
        MEMORY_TYPE_USED};
    map->entries[map->count++] = (struct memory_entry){shared_facts.image_physical,
                                                       shared_facts.image_bytes, MEMORY_TYPE_USED};
    uint64_t limit =
        shared_facts.has_1g_pages ? BOOT_MEMORY_LIMIT : MAPPED_AT_ENTRY_GIB * HUGE_PAGE_BYTES;
    limit = MIN(limit, 1ull << shared_facts.physical_address_bits);
    memory_map_build(map, limit, &shared_facts);
    if (shared_facts.memory_range_count == 0) {
        boot_refuse("no memory is left beside the image");
    }
    shared_facts.memory_limit = shared_facts.memory[shared_facts.memory_range_count - 1].end;
    /* Entries go from absent to present only: no flush is needed. */
    for (uint64_t gib = MAPPED_AT_ENTRY_GIB; gib * HUGE_PAGE_BYTES < shared_facts.memory_limit;
         gib++) {
        boot_pdpt_low[gib] = gib * HUGE_PAGE_BYTES | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_LARGE;
    }
}

/* ---- the firmware's tables */

#define ROOT_BYTES_MAX 4096u

static BOOT_BSS uint8_t root_table[ROOT_BYTES_MAX];

/* Validator of whole tables: copies one into boot_buffer and checks it. */
static enum result read_table(uint64_t physical, const char *signature, uint32_t *bytes)
{
    uint8_t header[ACPI_HEADER_BYTES];
    TRY(boot_physical_read(header, physical, sizeof(header)));
    *bytes = bytes_u32(header + 4);
    if (memcmp(header, signature, 4) != 0 || *bytes > BOOT_BUFFER_BYTES) {
        return RESULT_FORMAT;
    }
    TRY(boot_physical_read(boot_buffer, physical, *bytes));
    return acpi_check_table(boot_buffer, *bytes, signature);
}

/* What the DSDT tells. A machine without sleep types is switched off by a reset. */
static void read_dsdt(uint32_t fadt_bytes)
{
    uint32_t bytes;
    uint64_t dsdt = acpi_parse_fadt(boot_buffer, fadt_bytes, &shared_facts);
    if (read_table(dsdt, "DSDT", &bytes) == RESULT_OK) {
        (void)!acpi_parse_s5(boot_buffer, bytes, &shared_facts);
        acpi_parse_slots(boot_buffer, bytes, &shared_facts);
    }
}

/* RESULT_OK if the MADT told the cores. */
static enum result read_acpi(uint64_t rsdp)
{
    uint8_t pointer[ACPI_RSDP_BYTES];
    struct acpi_root root;
    uint32_t root_bytes, bytes;
    enum result cores = RESULT_INVALID;
    TRY(boot_physical_read(pointer, rsdp, sizeof(pointer)));
    TRY(acpi_parse_rsdp(pointer, &root));
    TRY(read_table(root.physical, root.is_wide ? "XSDT" : "RSDT", &root_bytes));
    root_bytes = MIN(root_bytes, sizeof(root_table)); /* more tables than that are not looked at */
    memcpy(root_table, boot_buffer, root_bytes);
    for (uint32_t i = 0;; i++) {
        uint64_t table = acpi_root_entry(root_table, root_bytes, root.is_wide, i);
        if (table == 0) {
            return cores;
        }
        if (read_table(table, "APIC", &bytes) == RESULT_OK) {
            cores = acpi_parse_madt(boot_buffer, bytes, cpu_apic_id(), &shared_facts);
        } else if (read_table(table, "FACP", &bytes) == RESULT_OK) {
            read_dsdt(bytes);
        }
    }
}

/* The pointer lies on a 16-byte boundary where a BIOS puts it. */
static uint64_t find_mp_table(void)
{
    static const struct memory_range places[] = {{0x9fc00, 0xa0000}, {0xf0000, 0x100000}};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        for (uint64_t at = places[i].start; at < places[i].end; at += MP_POINTER_BYTES) {
            uint8_t bytes[MP_POINTER_BYTES];
            if (boot_physical_read(bytes, at, sizeof(bytes)) == RESULT_OK &&
                mp_parse_pointer(bytes) != 0) {
                return mp_parse_pointer(bytes);
            }
        }
    }
    return 0;
}

static enum result read_mp(void)
{
    uint8_t header[MP_HEADER_BYTES];
    uint64_t table = find_mp_table();
    TRY(boot_physical_read(header, table, sizeof(header)));
    uint32_t bytes = bytes_u16(header + 4);
    TRY(boot_physical_read(boot_buffer, table, bytes));
    return mp_parse_table(boot_buffer, bytes, cpu_apic_id(), &shared_facts);
}

/* Cores, interrupt routing and power-off into shared_facts, from ACPI or the MP table; a machine
 * without either has one core. @rsdp physical, 0: none. @impl ATL-LLR-BOOT-0022~1 */
static void collect_machine(uint64_t rsdp)
{
    if (read_acpi(rsdp) != RESULT_OK && read_mp() != RESULT_OK) {
        console_log(CONSOLE_ERROR, "atoll: no valid ACPI or MP table: one core\n");
        machine_cores_start(cpu_apic_id(), &shared_facts);
    }
}

/* ---- all of it */

static BOOT_BSS struct handover handover;

noreturn void boot_end(void)
{
    console_exit_record(CONSOLE_EXIT_REFUSED, 0, 0);
    power_off(true);
}

static void report_missing(const char *feature)
{
    console_log(CONSOLE_ERROR, "atoll: this processor has no %s\n", feature);
}

extern const uint8_t boot_trampoline_start[], boot_trampoline_end[];

/* Until entropy replaces it; a zero byte stops string overruns. */
#define BOOT_CANARY 0x8f3a61d2c4b7e500u

/* @impl ATL-LLR-BOOT-0012~2 ATL-LLR-BOOT-0033~1 */
__attribute__((no_stack_protector)) void boot_collect(uint64_t info, uint64_t tsc)
{
    __stack_chk_guard = BOOT_CANARY; /* no caller or callee is protected by the old value */
    shared_facts.info.tsc_base = tsc;
    cpu_core_early_exceptions();
    console_discover();
    console_set_mode(boot_image_location.flags);
    uint32_t missing = cpu_features_decode(report_missing);
    if (missing != 0) {
        boot_refuse("the processor lacks %u required features", missing);
    }
    cpu_apic_discover();
    read_loader(info, &handover);
    collect_memory(&handover.map);
    collect_machine(handover.rsdp);
    memcpy((void *)shared_facts.low_page, boot_trampoline_start,
           (size_t)(boot_trampoline_end - boot_trampoline_start));
}
