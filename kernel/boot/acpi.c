/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that lead to others: RSDP, RSDT, XSDT, FADT; and what is looked for in the
 * DSDT's byte code: the sleep types, and virtio-mmio devices. */
#include "bytes.h"
#include "tables.h"

#include <cpu/string.h>

#define RSDP_BYTES_OLD 20u
#define RSDP_REVISION 15u
#define FADT_BYTES_MIN 116u /* ACPI 1.0 */
#define FADT_DSDT 40u
#define FADT_PM1A 64u
#define FADT_PM1B 68u
#define FADT_FLAGS 112u
#define FADT_WIDE_DSDT 140u
#define FADT_SLEEP_CONTROL 244u
#define FADT_HARDWARE_REDUCED (1u << 20)
#define ADDRESS_BYTES 12u /* generic address structure */
#define ADDRESS_MEMORY 0u
#define ADDRESS_PORT 1u
#define PORT_MAX 0xffffu
#define REGISTER_END (4ull << 30) /* what the boot tables show of devices */

/* @impl ATL-LLR-BOOT-0006~1 */
enum result acpi_parse_rsdp(const uint8_t *bytes, struct acpi_root *root)
{
    if (memcmp(bytes, "RSD PTR ", 8) != 0 || bytes_sum(bytes, RSDP_BYTES_OLD) != 0) {
        return RESULT_FORMAT;
    }
    *root = (struct acpi_root){bytes_u32(bytes + 16), false};
    if (bytes[RSDP_REVISION] >= 2 && bytes_u32(bytes + 20) == ACPI_RSDP_BYTES) {
        if (bytes_sum(bytes, ACPI_RSDP_BYTES) != 0) {
            return RESULT_FORMAT;
        }
        uint64_t wide = bytes_u64(bytes + 24);
        if (wide != 0) {
            *root = (struct acpi_root){wide, true};
        }
    }
    return root->physical == 0 ? RESULT_FORMAT : RESULT_OK;
}

/* @impl ATL-LLR-BOOT-0006~1 */
enum result acpi_check_table(const uint8_t *table, uint32_t bytes, const char *signature)
{
    bool is_good = bytes >= ACPI_HEADER_BYTES && memcmp(table, signature, 4) == 0 &&
                   bytes_u32(table + 4) == bytes && bytes_sum(table, bytes) == 0;
    return is_good ? RESULT_OK : RESULT_FORMAT;
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

static uint16_t port_at(const uint8_t *field)
{
    uint32_t port = bytes_u32(field);
    return port <= PORT_MAX ? (uint16_t)port : 0;
}

/* @impl ATL-LLR-BOOT-0007~1 */
uint64_t acpi_parse_fadt(const uint8_t *table, uint32_t bytes, struct facts *facts)
{
    if (bytes < FADT_BYTES_MIN) {
        return 0;
    }
    if ((bytes_u32(table + FADT_FLAGS) & FADT_HARDWARE_REDUCED) == 0) {
        facts->acpi_pm1a_control = port_at(table + FADT_PM1A);
        facts->acpi_pm1b_control = port_at(table + FADT_PM1B);
    } else if (bytes >= FADT_SLEEP_CONTROL + ADDRESS_BYTES) {
        uint8_t space = table[FADT_SLEEP_CONTROL];
        uint64_t address = bytes_u64(table + FADT_SLEEP_CONTROL + 4);
        if ((space == ADDRESS_MEMORY && address < REGISTER_END) ||
            (space == ADDRESS_PORT && address <= PORT_MAX)) {
            facts->acpi_sleep_control = address;
            facts->acpi_sleep_is_memory = space == ADDRESS_MEMORY;
        }
    }
    uint64_t wide = bytes >= FADT_WIDE_DSDT + 8 ? bytes_u64(table + FADT_WIDE_DSDT) : 0;
    return wide != 0 ? wide : bytes_u32(table + FADT_DSDT);
}

/* AML (ACPI specification, chapter 20): Name(_S5_, Package { a, b, ... }) is NameOp, an optional
 * root character, the name, PackageOp, PkgLength (1 to 4 bytes), the element count, the elements.
 */
#define AML_NAME 0x08u
#define AML_ONE 0x01u
#define AML_BYTE 0x0au
#define SLEEP_TYPE_MAX 7u
/* From behind the PackageOp to the end of the second element, at most. */
#define PACKAGE_BYTES_MAX 9u

/* Takes Zero, One or a byte from *at; more than SLEEP_TYPE_MAX: it is none of these. */
static uint8_t small_constant(const uint8_t **at)
{
    uint8_t code = *(*at)++;
    return code == AML_BYTE ? *(*at)++ : code <= AML_ONE ? code : UINT8_MAX;
}

/* @impl ATL-LLR-BOOT-0007~1 */
enum result acpi_parse_s5(const uint8_t *code, size_t bytes, struct facts *facts)
{
    for (size_t i = 1; i + 5 <= bytes; i++) {
        const uint8_t *name = code + i;
        if (*name != '_' || memcmp(name, "_S5_\x12", 5) != 0 ||
            name[i >= 2 && name[-1] == '\\' ? -2 : -1] != AML_NAME) {
            continue;
        }
        /* What the code does not have of it reads as something that is no constant. */
        uint8_t package[PACKAGE_BYTES_MAX];
        memset(package, UINT8_MAX, sizeof(package));
        memcpy(package, name + 5, MIN(sizeof(package), bytes - i - 5));
        const uint8_t *at = package + 1 + (package[0] >> 6); /* how many bytes of length follow */
        uint8_t elements = *at++;
        uint8_t a = small_constant(&at), b = small_constant(&at);
        if (elements >= 2 && a <= SLEEP_TYPE_MAX && b <= SLEEP_TYPE_MAX) {
            facts->acpi_s5_a = a;
            facts->acpi_s5_b = b;
            return RESULT_OK;
        }
    }
    return RESULT_INVALID;
}

/* A device with _HID "LNRO0005" and, soon behind that, a _CRS of a Memory32Fixed and an Interrupt
 * with one number (ACPI specification, "Resource data types"). */
#define SLOT_NAME "LNRO0005"
#define SLOT_MEMORY "\x86\x09"    /* and a zero */
#define SLOT_INTERRUPT "\x89\x06" /* and a zero */
#define SLOT_CODE_BYTES_MAX 128u
#define SLOT_RESOURCE_BYTES 21u
#define INTERRUPT_EDGE 2u
#define INTERRUPT_ACTIVE_LOW 4u

/* @impl ATL-LLR-VIRTIO-0001~1 */
void acpi_parse_slots(const uint8_t *code, size_t bytes, struct facts *facts)
{
    size_t until = 0;
    for (size_t i = 0; i + SLOT_RESOURCE_BYTES <= bytes; i++) {
        const uint8_t *at = code + i;
        if (*at == *SLOT_NAME && memcmp(at, SLOT_NAME, 8) == 0) {
            until = i + SLOT_CODE_BYTES_MAX;
        } else if (i < until && facts->slot_count < FACTS_SLOTS_MAX &&
                   memcmp(at, SLOT_MEMORY, 3) == 0 && memcmp(at + 12, SLOT_INTERRUPT, 3) == 0) {
            facts->slots[facts->slot_count++] = (struct facts_virtio){
                .registers = bytes_u32(at + 4),
                .interrupt = {bytes_u32(at + 17), (at[15] & INTERRUPT_EDGE) == 0,
                              (at[15] & INTERRUPT_ACTIVE_LOW) != 0}};
            until = 0;
        }
    }
}
