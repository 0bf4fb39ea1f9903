/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the firmware's tables: which cores, which interrupt controller, how to power off. */
#include "bytes.h"
#include "internal.h"
#include "tables.h"

#include <cpu/apic.h>
#include <cpu/string.h>

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

/* @impl ATL-LLR-BOOT-0022~1 */
void boot_machine_collect(uint64_t rsdp)
{
    if (read_acpi(rsdp) != RESULT_OK && read_mp() != RESULT_OK) {
        console_log(CONSOLE_ERROR, "atoll: no valid ACPI or MP table: one core\n");
        machine_cores_start(cpu_apic_id(), &shared_facts);
    }
}
