/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware tables: ACPI (specification 6.5, chapter 5) and the older MP table (MultiProcessor
 * Specification 1.4, chapter 4). Every function is pure: bytes in, numbers out; whoever calls has
 * copied the bytes, and nothing is believed before it was checked. */
#ifndef KERNEL_BOOT_TABLES_H
#define KERNEL_BOOT_TABLES_H

#include <percpu/base.h>

#define ACPI_HEADER_BYTES 36u
#define ACPI_TABLE_BYTES_MAX 16384u /* of RSDT, XSDT, MADT, FADT */
#define ACPI_RSDP_BYTES 36u
#define ACPI_RSDP_BYTES_OLD 20u

/* Where the list of tables is. */
struct acpi_root {
    uint64_t physical;
    bool is_wide; /* XSDT: 64-bit entries */
};
/* @bytes_count at least ACPI_RSDP_BYTES_OLD. Errors: RESULT_FORMAT signature, checksum or length */
enum result acpi_parse_rsdp(const uint8_t *bytes, size_t bytes_count, struct acpi_root *root);

/* Length of a table from its header, if it can be one of ours.
 * Errors: RESULT_FORMAT length outside ACPI_HEADER_BYTES..bytes_max */
enum result acpi_parse_header(const uint8_t *header, uint32_t bytes_max, uint32_t *bytes);
bool acpi_signature_is(const uint8_t *table, const char *signature);
/* Signature and checksum of a whole table. Errors: RESULT_FORMAT */
enum result acpi_check_table(const uint8_t *table, uint32_t bytes, const char *signature);

/* Physical address of table `index` in the list; 0: there is none. */
uint64_t acpi_root_entry(const uint8_t *table, uint32_t bytes, bool is_wide, uint32_t index);

/* Cores and interrupt controllers, from the MADT or the MP table. */
struct machine_cores {
    uint32_t apic_id[CORE_COUNT_MAX]; /* the boot core's first */
    uint32_t count;                   /* entries of apic_id */
    uint32_t enabled_count;           /* that the table names, also beyond CORE_COUNT_MAX */
    uint64_t ioapic_physical;         /* 0: none serves uart_gsi */
    uint32_t ioapic_gsi_base;
    uint32_t uart_gsi;
    bool uart_level, uart_active_low;
};

/* @table    checked by acpi_check_table
 * @uart_irq legacy interrupt number of the serial port
 * Errors: RESULT_FORMAT an entry is too short or leaves the table */
enum result acpi_parse_madt(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                            uint32_t uart_irq, struct machine_cores *cores);

/* Ways to power off. */
struct acpi_power {
    uint64_t dsdt;          /* physical; 0: none */
    uint16_t pm1a, pm1b;    /* I/O ports; 0: none */
    uint64_t sleep_control; /* hardware-reduced: register; 0: none */
    bool sleep_is_memory;
};
/* @table checked by acpi_check_table. Errors: RESULT_FORMAT shorter than ACPI 1.0's */
enum result acpi_parse_fadt(const uint8_t *table, uint32_t bytes, struct acpi_power *power);

/* Sleep types of the soft-off state, from the byte code of a DSDT or a piece of one.
 * Errors: RESULT_INVALID not found in here, or not two small constants */
enum result acpi_find_s5(const uint8_t *code, size_t bytes, uint8_t *type_a, uint8_t *type_b);
#define ACPI_S5_BYTES_MAX 32u /* from _S5_ to the end of its values: overlap of pieces */

/* The MP floating pointer structure: 16 bytes. *physical is that of the table.
 * Errors: RESULT_FORMAT */
#define MP_POINTER_BYTES 16u
#define MP_HEADER_BYTES 44u
enum result mp_parse_pointer(const uint8_t *bytes, uint64_t *physical);
/* Length of the table from its header. Errors: RESULT_FORMAT */
enum result mp_parse_header(const uint8_t *header, uint32_t *bytes);
/* @table all of it. Errors: RESULT_FORMAT */
enum result mp_parse_table(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                           uint32_t uart_irq, struct machine_cores *cores);

/* Adds a core unless it is there. */
void machine_cores_start(struct machine_cores *cores, uint32_t boot_apic_id, uint32_t uart_irq);
void machine_cores_add(struct machine_cores *cores, uint32_t apic_id);

#endif
