/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that lead to others: RSDP, RSDT, XSDT, FADT, and the sleep types in the DSDT. */
#include "bytes.h"
#include "tables.h"

#define RSDP_LENGTH 20u
#define RSDP_WIDE 24u
#define FADT_BYTES_MIN 116u /* ACPI 1.0 */
#define FADT_DSDT 40u
#define FADT_PM1A 64u
#define FADT_PM1B 68u
#define FADT_FLAGS 112u
#define FADT_WIDE_DSDT 140u
#define FADT_WIDE_PM1A 172u
#define FADT_WIDE_PM1B 184u
#define FADT_SLEEP_CONTROL 244u
#define FADT_HARDWARE_REDUCED (1u << 20)
#define ADDRESS_BYTES 12u /* generic address structure */
#define ADDRESS_MEMORY 0u
#define ADDRESS_PORT 1u
#define PORT_MAX 0xffffu
#define REGISTER_END (4ull << 30) /* what the boot tables show of devices */

static bool equal(const uint8_t *bytes, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != (uint8_t)text[i]) {
            return false;
        }
    }
    return true;
}

/* @impl ATL-LLR-BOOT-0006~1 */
enum result acpi_parse_rsdp(const uint8_t *bytes, size_t bytes_count, struct acpi_root *root)
{
    if (bytes_count < ACPI_RSDP_BYTES_OLD || !equal(bytes, "RSD PTR ", 8) ||
        bytes_sum(bytes, ACPI_RSDP_BYTES_OLD) != 0) {
        return RESULT_FORMAT;
    }
    *root = (struct acpi_root){bytes_u32(bytes + 16), false};
    bool has_wide = bytes[15] >= 2;
    if (has_wide && bytes_count >= ACPI_RSDP_BYTES &&
        bytes_u32(bytes + RSDP_LENGTH) == ACPI_RSDP_BYTES) {
        if (bytes_sum(bytes, ACPI_RSDP_BYTES) != 0) {
            return RESULT_FORMAT;
        }
        uint64_t wide = bytes_u64(bytes + RSDP_WIDE);
        if (wide != 0) {
            *root = (struct acpi_root){wide, true};
        }
    }
    return root->physical == 0 ? RESULT_FORMAT : RESULT_OK;
}

enum result acpi_parse_header(const uint8_t *header, uint32_t bytes_max, uint32_t *bytes)
{
    *bytes = bytes_u32(header + 4);
    return *bytes < ACPI_HEADER_BYTES || *bytes > bytes_max ? RESULT_FORMAT : RESULT_OK;
}

bool acpi_signature_is(const uint8_t *table, const char *signature)
{
    return equal(table, signature, 4);
}

/* @impl ATL-LLR-BOOT-0006~1 */
enum result acpi_check_table(const uint8_t *table, uint32_t bytes, const char *signature)
{
    if (bytes < ACPI_HEADER_BYTES || bytes_u32(table + 4) != bytes ||
        !acpi_signature_is(table, signature) || bytes_sum(table, bytes) != 0) {
        return RESULT_FORMAT;
    }
    return RESULT_OK;
}

uint64_t acpi_root_entry(const uint8_t *table, uint32_t bytes, bool is_wide, uint32_t index)
{
    uint32_t stride = is_wide ? 8 : 4;
    if (index >= (bytes - ACPI_HEADER_BYTES) / stride) {
        return 0;
    }
    const uint8_t *at = table + ACPI_HEADER_BYTES + (size_t)index * stride;
    return is_wide ? bytes_u64(at) : bytes_u32(at);
}

/* The port of a wide register field, or else of its narrow one; 0: none. */
static uint16_t port_of(const uint8_t *table, uint32_t bytes, uint32_t narrow, uint32_t wide)
{
    uint64_t port = bytes_u32(table + narrow);
    if (bytes >= wide + ADDRESS_BYTES && bytes_u64(table + wide + 4) != 0) {
        if (table[wide] != ADDRESS_PORT) {
            return 0;
        }
        port = bytes_u64(table + wide + 4);
    }
    return port <= PORT_MAX ? (uint16_t)port : 0;
}

/* @impl ATL-LLR-BOOT-0007~1 */
enum result acpi_parse_fadt(const uint8_t *table, uint32_t bytes, struct acpi_power *power)
{
    *power = (struct acpi_power){0};
    if (bytes < FADT_BYTES_MIN) {
        return RESULT_FORMAT;
    }
    power->dsdt = bytes_u32(table + FADT_DSDT);
    if (bytes >= FADT_WIDE_DSDT + 8 && bytes_u64(table + FADT_WIDE_DSDT) != 0) {
        power->dsdt = bytes_u64(table + FADT_WIDE_DSDT);
    }
    if ((bytes_u32(table + FADT_FLAGS) & FADT_HARDWARE_REDUCED) == 0) {
        power->pm1a = port_of(table, bytes, FADT_PM1A, FADT_WIDE_PM1A);
        power->pm1b = port_of(table, bytes, FADT_PM1B, FADT_WIDE_PM1B);
        return RESULT_OK;
    }
    if (bytes >= FADT_SLEEP_CONTROL + ADDRESS_BYTES) {
        uint8_t space = table[FADT_SLEEP_CONTROL];
        uint64_t address = bytes_u64(table + FADT_SLEEP_CONTROL + 4);
        if ((space == ADDRESS_MEMORY && address < REGISTER_END) ||
            (space == ADDRESS_PORT && address <= PORT_MAX)) {
            power->sleep_control = address;
            power->sleep_is_memory = space == ADDRESS_MEMORY;
        }
    }
    return RESULT_OK;
}

/* AML (ACPI specification, chapter 20): Name(_S5_, Package { a, b, ... }) is NameOp, an optional
 * root character, the name, PackageOp, PkgLength (1 to 4 bytes), the element count, the elements.
 */
#define AML_NAME 0x08u
#define AML_PACKAGE 0x12u
#define AML_ZERO 0x00u
#define AML_ONE 0x01u
#define AML_BYTE 0x0au
#define SLEEP_TYPE_MAX 7u

struct cursor {
    const uint8_t *at, *end;
};

static bool next(struct cursor *cursor, uint8_t *value)
{
    if (cursor->at == cursor->end) {
        return false;
    }
    *value = *cursor->at++;
    return true;
}

static bool small_constant(struct cursor *cursor, uint8_t *value)
{
    uint8_t code;
    if (!next(cursor, &code)) {
        return false;
    }
    if (code == AML_ZERO || code == AML_ONE) {
        *value = code;
        return true;
    }
    return code == AML_BYTE && next(cursor, value) && *value <= SLEEP_TYPE_MAX;
}

static bool parse_package(struct cursor cursor, uint8_t *type_a, uint8_t *type_b)
{
    uint8_t code, length, ignored;
    if (!next(&cursor, &code) || code != AML_PACKAGE || !next(&cursor, &length)) {
        return false;
    }
    for (uint8_t more = length >> 6; more > 0; more--) {
        if (!next(&cursor, &ignored)) {
            return false;
        }
    }
    uint8_t elements;
    return next(&cursor, &elements) && elements >= 2 && small_constant(&cursor, type_a) &&
           small_constant(&cursor, type_b);
}

/* @impl ATL-LLR-BOOT-0007~1 */
enum result acpi_find_s5(const uint8_t *code, size_t bytes, uint8_t *type_a, uint8_t *type_b)
{
    for (size_t i = 1; i + 4 <= bytes; i++) {
        if (code[i] != '_' || !equal(code + i, "_S5_", 4)) {
            continue;
        }
        bool is_name =
            code[i - 1] == AML_NAME || (i >= 2 && code[i - 1] == '\\' && code[i - 2] == AML_NAME);
        struct cursor cursor = {code + i + 4, code + bytes};
        if (is_name && parse_package(cursor, type_a, type_b)) {
            return RESULT_OK;
        }
    }
    return RESULT_INVALID;
}
