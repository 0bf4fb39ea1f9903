/* SPDX-License-Identifier: Apache-2.0 */
/* ACPI tables with each field that is checked made wrong once. */
#include <check.h>
#include <tables.h>

static uint8_t rsdp[ACPI_RSDP_BYTES];
static uint8_t table[512];

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, 8);
}

static void seal(uint8_t *at, size_t bytes, size_t field)
{
    uint8_t sum = 0;
    at[field] = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + at[i]);
    }
    at[field] = (uint8_t)-sum;
}

static void make_rsdp(uint8_t revision, uint32_t narrow, uint64_t wide)
{
    memset(rsdp, 0, sizeof(rsdp));
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = revision;
    put32(rsdp + 16, narrow);
    put32(rsdp + 20, ACPI_RSDP_BYTES);
    put64(rsdp + 24, wide);
    seal(rsdp, 20, 8);
    seal(rsdp, ACPI_RSDP_BYTES, 32);
}

static void make_table(const char *signature, uint32_t bytes)
{
    memset(table, 0, sizeof(table));
    memcpy(table, signature, 4);
    put32(table + 4, bytes);
}

/* @verifies ATL-LLR-BOOT-0006~1 */
TEST(rsdp_prefers_the_wide_list)
{
    struct acpi_root root;
    make_rsdp(2, 0x1000, 0x2000);
    CHECK_EQUAL(acpi_parse_rsdp(rsdp, &root), RESULT_OK);
    CHECK(root.physical == 0x2000 && root.is_wide);
    make_rsdp(2, 0x1000, 0);
    CHECK_EQUAL(acpi_parse_rsdp(rsdp, &root), RESULT_OK);
    CHECK(root.physical == 0x1000 && !root.is_wide);
    make_rsdp(0, 0x1000, 0x2000);
    CHECK_EQUAL(acpi_parse_rsdp(rsdp, &root), RESULT_OK);
    CHECK(root.physical == 0x1000 && !root.is_wide);
}

/* @verifies ATL-LLR-BOOT-0006~1 @robust */
TEST(rsdp_with_a_wrong_byte_is_refused)
{
    struct acpi_root root;
    for (size_t i = 0; i < ACPI_RSDP_BYTES; i++) {
        make_rsdp(2, 0x1000, 0x2000);
        rsdp[i] ^= 0x40;
        enum result result = acpi_parse_rsdp(rsdp, &root);
        /* A wrong length of the wide part leaves the narrow one, whose sum holds. */
        CHECK(result == RESULT_FORMAT || (i >= 20 && i < 24 && !root.is_wide));
    }
    make_rsdp(0, 0, 0);
    CHECK_EQUAL(acpi_parse_rsdp(rsdp, &root), RESULT_FORMAT);
}

/* @verifies ATL-LLR-BOOT-0006~1 @robust */
TEST(tables_are_checked_whole)
{
    make_table("APIC", 100);
    seal(table, 100, 9);
    CHECK_EQUAL(acpi_check_table(table, 100, "APIC"), RESULT_OK);
    CHECK_EQUAL(acpi_check_table(table, 99, "APIC"), RESULT_FORMAT);
    CHECK_EQUAL(acpi_check_table(table, 100, "FACP"), RESULT_FORMAT);
    table[60] ^= 1;
    CHECK_EQUAL(acpi_check_table(table, 100, "APIC"), RESULT_FORMAT);
    make_table("APIC", ACPI_HEADER_BYTES - 1);
    seal(table, ACPI_HEADER_BYTES - 1, 9);
    CHECK_EQUAL(acpi_check_table(table, ACPI_HEADER_BYTES - 1, "APIC"), RESULT_FORMAT);
}

/* @verifies ATL-LLR-BOOT-0006~1 */
TEST(root_entries_end_with_the_table)
{
    make_table("XSDT", ACPI_HEADER_BYTES + 20);
    put64(table + ACPI_HEADER_BYTES, 0x1122334455667788);
    put64(table + ACPI_HEADER_BYTES + 8, 0x99);
    put64(table + ACPI_HEADER_BYTES + 16, 0x77);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES + 20, true, 0), 0x1122334455667788);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES + 20, true, 1), 0x99);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES + 20, true, 2), 0);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES + 20, false, 1), 0x11223344);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES + 20, false, 5), 0);
    CHECK_EQUAL(acpi_root_entry(table, ACPI_HEADER_BYTES, true, 0), 0);
}

static struct facts facts;

static uint64_t parse_fadt(uint32_t bytes)
{
    facts = (struct facts){0};
    return acpi_parse_fadt(table, bytes, &facts);
}

static void put_register(uint8_t *at, uint8_t space, uint64_t address)
{
    at[0] = space;
    put64(at + 4, address);
}

/* @verifies ATL-LLR-BOOT-0007~1 */
TEST(fadt_gives_the_ports_of_a_pc)
{
    make_table("FACP", 244);
    put32(table + 40, 0x7000);
    put32(table + 64, 0x604);
    put32(table + 68, 0x704);
    CHECK_EQUAL(parse_fadt(244), 0x7000);
    CHECK_EQUAL(facts.acpi_pm1a_control, 0x604);
    CHECK_EQUAL(facts.acpi_pm1b_control, 0x704);
    CHECK_EQUAL(facts.acpi_sleep_control, 0);
    put64(table + 140, 0x8000);
    CHECK_EQUAL(parse_fadt(244), 0x8000);
    CHECK_EQUAL(parse_fadt(116), 0x7000);
    CHECK_EQUAL(facts.acpi_pm1a_control, 0x604);
}

/* @verifies ATL-LLR-BOOT-0007~1 */
TEST(fadt_gives_the_register_of_reduced_hardware)
{
    make_table("FACP", 268);
    put32(table + 40, 0x7000);
    put32(table + 64, 0x604);
    put32(table + 112, 1u << 20);
    put_register(table + 244, 0, 0xfea00200);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK_EQUAL(facts.acpi_pm1a_control, 0);
    CHECK_EQUAL(facts.acpi_sleep_control, 0xfea00200);
    CHECK(facts.acpi_sleep_is_memory);
    put_register(table + 244, 1, 0x608);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK(facts.acpi_sleep_control == 0x608 && !facts.acpi_sleep_is_memory);
}

/* @verifies ATL-LLR-BOOT-0007~1 @robust */
TEST(fadt_refuses_what_is_no_port_or_register)
{
    make_table("FACP", 268);
    put32(table + 40, 0x7000);
    CHECK_EQUAL(parse_fadt(115), 0);
    put32(table + 64, 0x10000);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK_EQUAL(facts.acpi_pm1a_control, 0);
    put32(table + 112, 1u << 20);
    put_register(table + 244, 1, 0x10000);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK_EQUAL(facts.acpi_sleep_control, 0);
    put_register(table + 244, 0, 4ull << 30);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK_EQUAL(facts.acpi_sleep_control, 0);
    put_register(table + 244, 2, 0x608);
    CHECK_EQUAL(parse_fadt(268), 0x7000);
    CHECK_EQUAL(facts.acpi_sleep_control, 0);
    put_register(table + 244, 1, 0x608);
    CHECK_EQUAL(parse_fadt(255), 0x7000);
    CHECK_EQUAL(facts.acpi_sleep_control, 0);
}

struct code {
    const char *bytes;
    size_t count;
    int a, b; /* -1: refused */
};
#define CODE(text, a, b)                                                                           \
    {                                                                                              \
        text, sizeof(text) - 1, a, b                                                               \
    }

/* @verifies ATL-LLR-BOOT-0007~1 @robust */
TEST(sleep_types_are_found_in_byte_code)
{
    const struct code codes[] = {
        CODE("\x10\x20\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 0, 0),
        CODE("\x08_S5_\x12\x07\x04\x0a\x05\x00\x00\x00", 5, 0),
        CODE("\x08\\_S5_\x12\x07\x04\x01\x0a\x07\x00\x00", 1, 7),
        CODE("_S5_\x08_S5_\x12\x47\x00\x02\x0a\x02\x01", 2, 1), /* PkgLength of two bytes */
        CODE("\x08_S5_\x12\xc7\x00\x00\x00\x02\x01\x01", 1, 1), /* of four */
        CODE("_S5_\x12\x06\x04\x00\x00", -1, 0),                /* no NameOp */
        CODE("\x08_S5_\x11\x06\x04\x00\x00", -1, 0),            /* no package */
        CODE("\x08_S5_\x12\x06\x01\x00\x00", -1, 0),            /* one element */
        CODE("\x08_S5_\x12\x06\x02\x0b\x05\x00\x00", -1, 0),    /* a word */
        CODE("\x08_S5_\x12\x06\x02\x0a\x08\x00", -1, 0),        /* more than three bits */
        CODE("\x08_S5_", -1, 0),
        CODE("\x08_S5_\x12", -1, 0),
        CODE("\x08_S5_\x12\xc6\x01", -1, 0),
        CODE("\x08_S5_\x12\x06\x04\x0a", -1, 0),
        CODE("\x08_S5_\x12\x06\x04\x00", -1, 0),
        CODE("", -1, 0),
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        facts.acpi_s5_a = facts.acpi_s5_b = 99;
        /* An exact copy on the heap: the sanitizer sees a read behind the end. */
        uint8_t *copy = malloc(codes[i].count + 1);
        memcpy(copy + 1, codes[i].bytes, codes[i].count);
        uint8_t *exact = realloc(copy, codes[i].count + 1);
        enum result result = acpi_parse_s5(exact + 1, codes[i].count, &facts);
        free(exact);
        CHECK_EQUAL(result, codes[i].a < 0 ? RESULT_INVALID : RESULT_OK);
        CHECK_EQUAL(facts.acpi_s5_a, codes[i].a < 0 ? 99 : codes[i].a);
        CHECK_EQUAL(facts.acpi_s5_b, codes[i].a < 0 ? 99 : codes[i].b);
    }
}

/* A device as firmware writes it: its name, then its resources. Returns where the next may begin.
 */
static size_t put_slot(size_t at, uint32_t physical, uint8_t flags, uint32_t gsi)
{
    static const uint8_t name[] = "\x08_HID\x0dLNRO0005";
    memcpy(table + at, name, sizeof(name));
    at += sizeof(name) + 20;
    memcpy(table + at, "\x86\x09\x00\x01", 4);
    put32(table + at + 4, physical);
    put32(table + at + 8, 512);
    memcpy(table + at + 12, "\x89\x06\x00", 3);
    table[at + 15] = flags;
    table[at + 16] = 1;
    put32(table + at + 17, gsi);
    return at + 21;
}

/* @verifies ATL-LLR-VIRTIO-0001~1 */
TEST(virtio_slots_are_found)
{
    memset(table, 0, sizeof(table));
    facts.slot_count = 0;
    size_t at = put_slot(40, 0xfeb02e00, 1, 47);
    at = put_slot(at + 3, 0xfeb02c00, 7, 46);
    acpi_parse_slots(table, at, &facts);
    CHECK_EQUAL(facts.slot_count, 2);
    CHECK_EQUAL(facts.slots[0].registers, 0xfeb02e00);
    CHECK(facts.slots[0].interrupt.gsi == 47 && facts.slots[0].interrupt.is_level &&
          !facts.slots[0].interrupt.is_active_low);
    CHECK_EQUAL(facts.slots[1].registers, 0xfeb02c00);
    CHECK(facts.slots[1].interrupt.gsi == 46 && !facts.slots[1].interrupt.is_level &&
          facts.slots[1].interrupt.is_active_low);
}

/* @verifies ATL-LLR-VIRTIO-0001~1 @robust */
TEST(incomplete_virtio_slots_are_not_taken)
{
    memset(table, 0, sizeof(table));
    facts.slot_count = 0;
    size_t end = put_slot(0, 0xfeb02e00, 1, 47);
    acpi_parse_slots(table, end - 1, &facts);
    CHECK_EQUAL(facts.slot_count, 0);
    table[end - 9] ^= 1; /* another kind of resource behind the memory */
    acpi_parse_slots(table, end, &facts);
    CHECK_EQUAL(facts.slot_count, 0);
    table[end - 9] ^= 1;
    table[6] ^= 1; /* another name */
    acpi_parse_slots(table, end, &facts);
    CHECK_EQUAL(facts.slot_count, 0);
    memset(table, 0, sizeof(table));
    put_slot(0, 1, 1, 1);
    memset(table + 20, 0, sizeof(table) - 20);
    put_slot(200, 0xfeb02e00, 1, 47);
    memset(table + 200, 0, 20); /* resources, but far from any name */
    acpi_parse_slots(table, sizeof(table), &facts);
    CHECK_EQUAL(facts.slot_count, 0);
}

/* @verifies ATL-LLR-VIRTIO-0001~1 @robust */
TEST(more_virtio_slots_than_places_are_left_out)
{
    static uint8_t many[FACTS_SLOTS_MAX * 2 * 64];
    facts.slot_count = 0;
    for (size_t i = 0; i < sizeof(many); i += 64) {
        memset(table, 0, sizeof(table));
        put_slot(0, 0xfeb00000 + (uint32_t)i, 1, 40);
        memcpy(many + i, table, 64);
    }
    acpi_parse_slots(many, sizeof(many), &facts);
    CHECK_EQUAL(facts.slot_count, FACTS_SLOTS_MAX);
}

CHECK_MAIN()
