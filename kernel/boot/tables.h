/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware tables: ACPI (specification 6.5, chapter 5) and the older MP table (MultiProcessor
 * Specification 1.4, chapter 4). Every function is pure: bytes in, facts out; whoever calls has
 * copied the bytes, and nothing is believed before it was checked. */
#ifndef KERNEL_BOOT_TABLES_H
#define KERNEL_BOOT_TABLES_H

#include <kernel/facts.h>
#include <percpu/base.h>

#define ACPI_HEADER_BYTES 36u
#define ACPI_RSDP_BYTES 36u
#define TABLES_UART_IRQ 4u /* of the first serial port of a PC */

/* Where the list of tables is. */
struct acpi_root {
    uint64_t physical;
    bool is_wide; /* XSDT: 64-bit entries */
};
/* @bytes ACPI_RSDP_BYTES of them; only 20 count in a table of ACPI 1.0
 * Errors: RESULT_FORMAT signature, checksum or length */
enum result acpi_parse_rsdp(const uint8_t *bytes, struct acpi_root *root);

/* Signature, length and checksum of a whole table. Errors: RESULT_FORMAT */
enum result acpi_check_table(const uint8_t *table, uint32_t bytes, const char *signature);

/* Physical address of table `index` in the list; 0: there is none. */
uint64_t acpi_root_entry(const uint8_t *table, uint32_t bytes, bool is_wide, uint32_t index);

/* Cores and interrupt routing of one core alone: what the two tables below begin with. */
void machine_cores_start(uint32_t boot_apic_id, struct facts *facts);

/* Fill apic_id (the boot core's first), the counts, ioapics and uart of facts.
 * Errors: RESULT_FORMAT an entry is too short or leaves the table; the MP table also: signature,
 *         checksum. What is in facts then is not to be used */
/* @table checked by acpi_check_table */
enum result acpi_parse_madt(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                            struct facts *facts);
/* @table as long as its header says */
enum result mp_parse_table(const uint8_t *table, uint32_t bytes, uint32_t boot_apic_id,
                           struct facts *facts);

/* The MP floating pointer structure: the table's physical address; 0: it is none. */
#define MP_POINTER_BYTES 16u
#define MP_HEADER_BYTES 44u
uint64_t mp_parse_pointer(const uint8_t *bytes);

/* The registers that power off, into the acpi_* of facts. Returns the DSDT's physical address; 0:
 * there is none, or the table is shorter than ACPI 1.0's. @table checked by acpi_check_table */
uint64_t acpi_parse_fadt(const uint8_t *table, uint32_t bytes, struct facts *facts);

/* Sleep types of the soft-off state, from a DSDT's byte code, into the acpi_s5_* of facts.
 * Errors: RESULT_INVALID not found, or not two small constants */
enum result acpi_parse_s5(const uint8_t *code, size_t bytes, struct facts *facts);

/* Where virtio-mmio devices are, from a DSDT's byte code, into the slots of facts. */
void acpi_parse_slots(const uint8_t *code, size_t bytes, struct facts *facts);

#endif
