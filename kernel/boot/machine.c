/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the firmware's tables: which cores, which interrupt controller, how to power off. */
#include "internal.h"

#include <cpu/instructions.h>
#include <cpu/string.h>
#include <driver/console.h>
#include <kernel/facts.h>

#define UART_IRQ 4u /* of the first serial port of a PC */
#define ROOT_ENTRIES_MAX 256u
#define DSDT_BYTES_MAX (1u << 20)
#define DSDT_PIECE_BYTES 16384u
#define BIOS_START 0xe0000ull
#define BIOS_END 0x100000ull
#define EBDA_START 0x9fc00ull
#define EBDA_END 0xa0000ull
#define SCAN_STEP 16u

static BOOT_BSS struct machine_cores cores;
static BOOT_BSS uint8_t root_table[ACPI_TABLE_BYTES_MAX];

static uint32_t own_apic_id(void)
{
    if (cpu_cpuid(0, 0).eax >= 0xb) {
        struct cpu_id topology = cpu_cpuid(0xb, 0);
        if (topology.ebx != 0) {
            return topology.edx;
        }
    }
    return cpu_cpuid(1, 0).ebx >> 24;
}

/* Validator of whole tables: copies a table that is at most bytes_max long and checks its sum. */
static enum result read_table(uint64_t physical, const char *signature, uint8_t *to,
                              uint32_t *bytes)
{
    uint8_t header[ACPI_HEADER_BYTES];
    TRY(boot_physical_read(header, physical, sizeof(header)));
    if (!acpi_signature_is(header, signature)) {
        return RESULT_INVALID;
    }
    TRY(acpi_parse_header(header, ACPI_TABLE_BYTES_MAX, bytes));
    TRY(boot_physical_read(to, physical, *bytes));
    return acpi_check_table(to, *bytes, signature);
}

/* The tables of the second kind lie where a BIOS puts them: on 16-byte boundaries. */
static uint64_t scan(uint64_t start, uint64_t end, bool (*is_it)(uint64_t physical))
{
    for (uint64_t at = start; at < end; at += SCAN_STEP) {
        if (is_it(at)) {
            return at;
        }
    }
    return 0;
}

static bool is_rsdp(uint64_t physical)
{
    uint8_t bytes[ACPI_RSDP_BYTES_OLD];
    struct acpi_root root;
    return boot_physical_read(bytes, physical, 8) == RESULT_OK && bytes[0] == 'R' &&
           boot_physical_read(bytes, physical, sizeof(bytes)) == RESULT_OK &&
           acpi_parse_rsdp(bytes, sizeof(bytes), &root) == RESULT_OK;
}

static bool is_mp_pointer(uint64_t physical)
{
    uint8_t bytes[MP_POINTER_BYTES];
    uint64_t table;
    return boot_physical_read(bytes, physical, sizeof(bytes)) == RESULT_OK && bytes[0] == '_' &&
           mp_parse_pointer(bytes, &table) == RESULT_OK;
}

static bool find_root(const struct boot_loader_report *report, struct acpi_root *root)
{
    if (report->rsdp_copy_bytes != 0) {
        return acpi_parse_rsdp(report->rsdp_copy, report->rsdp_copy_bytes, root) == RESULT_OK;
    }
    uint64_t rsdp = report->rsdp != 0 ? report->rsdp : scan(BIOS_START, BIOS_END, is_rsdp);
    uint8_t bytes[ACPI_RSDP_BYTES];
    if (rsdp == 0 || boot_physical_read(bytes, rsdp, sizeof(bytes)) != RESULT_OK) {
        return false;
    }
    shared_facts.rsdp = rsdp;
    return acpi_parse_rsdp(bytes, sizeof(bytes), root) == RESULT_OK;
}

static void find_sleep_types(uint64_t dsdt)
{
    uint8_t header[ACPI_HEADER_BYTES];
    uint32_t bytes;
    if (boot_physical_read(header, dsdt, sizeof(header)) != RESULT_OK ||
        !acpi_signature_is(header, "DSDT") ||
        acpi_parse_header(header, DSDT_BYTES_MAX, &bytes) != RESULT_OK) {
        return;
    }
    /* In pieces, each with the end of the one before: what we look for is short. */
    for (uint32_t at = 0; at < bytes; at += DSDT_PIECE_BYTES - ACPI_S5_BYTES_MAX) {
        uint32_t piece = MIN(bytes - at, DSDT_PIECE_BYTES);
        uint8_t a, b;
        if (boot_physical_read(boot_buffer, dsdt + at, piece) != RESULT_OK) {
            return;
        }
        if (acpi_find_s5(boot_buffer, piece, &a, &b) == RESULT_OK) {
            shared_facts.acpi_s5_a = a;
            shared_facts.acpi_s5_b = b;
            return;
        }
    }
}

static void take_power(uint32_t bytes)
{
    struct acpi_power power;
    if (acpi_parse_fadt(boot_buffer, bytes, &power) != RESULT_OK) {
        return;
    }
    shared_facts.acpi_pm1a_control = power.pm1a;
    shared_facts.acpi_pm1b_control = power.pm1b;
    shared_facts.acpi_sleep_control = power.sleep_control;
    shared_facts.acpi_sleep_is_memory = power.sleep_is_memory;
    find_sleep_types(power.dsdt);
}

/* True if the MADT told the cores. */
static bool read_acpi(const struct boot_loader_report *report)
{
    struct acpi_root root;
    uint32_t root_bytes, bytes;
    bool has_cores = false;
    if (!find_root(report, &root) || read_table(root.physical, root.is_wide ? "XSDT" : "RSDT",
                                                root_table, &root_bytes) != RESULT_OK) {
        return false;
    }
    for (uint32_t i = 0; i < ROOT_ENTRIES_MAX; i++) {
        uint64_t table = acpi_root_entry(root_table, root_bytes, root.is_wide, i);
        if (table == 0) {
            break;
        }
        if (!has_cores && read_table(table, "APIC", boot_buffer, &bytes) == RESULT_OK) {
            has_cores =
                acpi_parse_madt(boot_buffer, bytes, own_apic_id(), UART_IRQ, &cores) == RESULT_OK;
        } else if (read_table(table, "FACP", boot_buffer, &bytes) == RESULT_OK) {
            take_power(bytes);
        }
    }
    return has_cores;
}

static bool read_mp(void)
{
    uint64_t pointer = scan(EBDA_START, EBDA_END, is_mp_pointer);
    if (pointer == 0) {
        pointer = scan(BIOS_START, BIOS_END, is_mp_pointer);
    }
    uint8_t header[MP_HEADER_BYTES];
    uint64_t table;
    uint32_t bytes;
    return pointer != 0 && boot_physical_read(header, pointer, MP_POINTER_BYTES) == RESULT_OK &&
           mp_parse_pointer(header, &table) == RESULT_OK &&
           boot_physical_read(header, table, sizeof(header)) == RESULT_OK &&
           mp_parse_header(header, &bytes) == RESULT_OK &&
           boot_physical_read(boot_buffer, table, bytes) == RESULT_OK &&
           mp_parse_table(boot_buffer, bytes, own_apic_id(), UART_IRQ, &cores) == RESULT_OK;
}

/* @impl ATL-LLR-BOOT-0022~1 */
void boot_machine_collect(const struct boot_loader_report *report)
{
    if (!read_acpi(report) && !read_mp()) {
        console_log(CONSOLE_ERROR, "atoll: no valid ACPI or MP table: one core\n");
        machine_cores_start(&cores, own_apic_id(), UART_IRQ);
    }
    memcpy(shared_facts.apic_id, cores.apic_id, sizeof(cores.apic_id));
    shared_facts.core_count = cores.count;
    shared_facts.machine_core_count = cores.enabled_count;
    shared_facts.ioapic_physical = cores.ioapic_physical;
    shared_facts.ioapic_gsi_base = cores.ioapic_gsi_base;
    shared_facts.uart_gsi = cores.uart_gsi;
    shared_facts.uart_level = cores.uart_level;
    shared_facts.uart_active_low = cores.uart_active_low;
}
