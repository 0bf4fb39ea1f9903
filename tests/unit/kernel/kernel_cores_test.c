/* SPDX-License-Identifier: Apache-2.0 */
/* MADT and MP tables: many cores, holes, duplicates, and every malformed entry. */
#include <check.h>
#include <tables.h>

#define UART_IRQ TABLES_UART_IRQ

static uint8_t table[8192];
static uint32_t used;
static struct facts facts;

static void start(uint32_t header)
{
    memset(table, 0, sizeof(table));
    memcpy(table, "PCMP", 4);
    used = header;
}

static void put(const uint8_t *bytes, uint32_t count)
{
    memcpy(table + used, bytes, count);
    used += count;
}

static void put_lapic(uint8_t id, uint8_t flags)
{
    const uint8_t entry[] = {0, 8, 0, id, flags, 0, 0, 0};
    put(entry, sizeof(entry));
}

static void put_x2apic(uint32_t id, uint8_t flags)
{
    uint8_t entry[16] = {9, 16, 0, 0, 0, 0, 0, 0, flags};
    memcpy(entry + 4, &id, 4);
    put(entry, sizeof(entry));
}

static void put_ioapic(uint32_t address, uint32_t base)
{
    uint8_t entry[12] = {1, 12};
    memcpy(entry + 4, &address, 4);
    memcpy(entry + 8, &base, 4);
    put(entry, sizeof(entry));
}

static enum result parse(uint32_t boot)
{
    return acpi_parse_madt(table, used, boot, &facts);
}

/* @verifies ATL-LLR-BOOT-0008~1 */
TEST(sixty_four_cores_boot_core_first)
{
    start(44);
    for (uint8_t i = 0; i < 64; i++) {
        put_lapic((uint8_t)(2 * i), 1);
    }
    CHECK_EQUAL(parse(6), RESULT_OK);
    CHECK_EQUAL(facts.core_count, 64);
    CHECK_EQUAL(facts.apic_id[0], 6);
    CHECK_EQUAL(facts.apic_id[1], 0);
    CHECK_EQUAL(facts.apic_id[3], 4);
    CHECK_EQUAL(facts.apic_id[4], 8);
    CHECK_EQUAL(facts.apic_id[63], 126);
}

/* @verifies ATL-LLR-BOOT-0008~1 @robust */
TEST(more_cores_than_we_run_are_counted_only)
{
    start(44);
    for (uint32_t i = 0; i < 200; i++) {
        put_x2apic(i * 3, 1);
    }
    CHECK_EQUAL(parse(0), RESULT_OK);
    CHECK_EQUAL(facts.core_count, CORE_COUNT_MAX);
    CHECK_EQUAL(facts.apic_id[CORE_COUNT_MAX - 1], (CORE_COUNT_MAX - 1) * 3);
}

/* @verifies ATL-LLR-BOOT-0008~1 @robust */
TEST(disabled_duplicate_and_broadcast_ids_are_left_out)
{
    start(44);
    put_lapic(0, 1);
    put_lapic(1, 0);
    put_lapic(2, 2); /* online capable, not enabled */
    put_lapic(0xff, 1);
    put_x2apic(0xffffffff, 1);
    put_x2apic(0, 1);
    put_x2apic(300, 1);
    CHECK_EQUAL(parse(0), RESULT_OK);
    CHECK_EQUAL(facts.core_count, 2);
    CHECK_EQUAL(facts.apic_id[1], 300);
}

/* @verifies ATL-LLR-BOOT-0008~1 */
TEST(interrupt_routing_of_the_serial_port)
{
    const uint8_t timer[] = {2, 10, 0, 0, 2, 0, 0, 0, 0, 0};
    const uint8_t uart[] = {2, 10, 0, UART_IRQ, 20, 0, 0, 0, 0x0f, 0};
    const uint8_t other_bus[] = {2, 10, 1, UART_IRQ, 9, 0, 0, 0, 0, 0};
    start(44);
    put_lapic(0, 1);
    put_ioapic(0xfec10000, 24);
    put_ioapic(0xfec00000, 0);
    put(timer, sizeof(timer));
    CHECK_EQUAL(parse(0), RESULT_OK);
    CHECK_EQUAL(facts.ioapic_count, 2);
    CHECK_EQUAL(facts.ioapics[0].physical, 0xfec10000);
    CHECK_EQUAL(facts.ioapics[0].gsi_base, 24);
    CHECK_EQUAL(facts.ioapics[1].physical, 0xfec00000);
    CHECK_EQUAL(facts.ioapics[1].gsi_base, 0);
    CHECK(facts.uart.gsi == UART_IRQ && !facts.uart.is_level && !facts.uart.is_active_low);
    put(uart, sizeof(uart));
    put(other_bus, sizeof(other_bus));
    CHECK_EQUAL(parse(0), RESULT_OK);
    CHECK(facts.uart.gsi == 20 && facts.uart.is_level && facts.uart.is_active_low);
}

/* @verifies ATL-LLR-BOOT-0008~1 @robust */
TEST(malformed_madt_entries_are_refused)
{
    const uint8_t lengths[][2] = {{0, 7}, {1, 11}, {2, 9}, {9, 15}, {5, 0}, {5, 1}, {5, 40}};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        start(44);
        put_lapic(0, 1);
        put(lengths[i], 2);
        used = 44 + 8 + 16;
        CHECK_EQUAL(parse(0), RESULT_FORMAT);
    }
    start(44);
    put_lapic(0, 1);
    used++; /* half a header */
    CHECK_EQUAL(parse(0), RESULT_FORMAT);
    used = 43;
    CHECK_EQUAL(parse(0), RESULT_FORMAT);
    used = 44;
    CHECK_EQUAL(parse(5), RESULT_OK);
    CHECK_EQUAL(facts.core_count, 1);
    CHECK_EQUAL(facts.apic_id[0], 5);
}

static void put_mp_processor(uint8_t id, uint8_t flags)
{
    uint8_t entry[20] = {0, id, 0, flags};
    put(entry, sizeof(entry));
}

static enum result parse_mp(void)
{
    uint8_t sum = 0;
    table[7] = 0;
    for (uint32_t i = 0; i < used; i++) {
        sum = (uint8_t)(sum + table[i]);
    }
    table[7] = (uint8_t)-sum;
    return mp_parse_table(table, used, 0, &facts);
}

/* @verifies ATL-LLR-BOOT-0009~1 */
TEST(mp_table_gives_cores_and_routing)
{
    const uint8_t bus[8] = {1, 0, 'I', 'S', 'A', ' ', ' ', ' '};
    const uint8_t ioapic[8] = {2, 8, 0x11, 1, 0, 0, 0xc0, 0xfe};
    const uint8_t interrupt[8] = {3, 0, 0x0d, 0, 0, UART_IRQ, 8, 21};
    const uint8_t local[8] = {4, 1, 0, 0, 0, 0, 0xff, 1};
    start(MP_HEADER_BYTES);
    for (uint8_t i = 0; i < 65; i++) {
        put_mp_processor(i, i == 3 ? 0 : 3);
    }
    put(bus, 8);
    put(ioapic, 8);
    put(interrupt, 8);
    put(local, 8);
    CHECK_EQUAL(parse_mp(), RESULT_OK);
    CHECK_EQUAL(facts.core_count, 64);
    CHECK_EQUAL(facts.apic_id[3], 4);
    CHECK_EQUAL(facts.ioapic_count, 1);
    CHECK_EQUAL(facts.ioapics[0].physical, 0xfec00000);
    CHECK(facts.uart.gsi == 21 && facts.uart.is_level && !facts.uart.is_active_low);
}

/* @verifies ATL-LLR-BOOT-0009~1 @robust */
TEST(malformed_mp_tables_are_refused)
{
    start(MP_HEADER_BYTES);
    put_mp_processor(0, 3);
    CHECK_EQUAL(parse_mp(), RESULT_OK);
    used--;
    CHECK_EQUAL(parse_mp(), RESULT_FORMAT);
    used++;
    table[used++] = 5; /* no such type */
    used += 7;
    CHECK_EQUAL(parse_mp(), RESULT_FORMAT);
    start(MP_HEADER_BYTES);
    CHECK_EQUAL(parse_mp(), RESULT_OK);
    table[0] ^= 1;
    CHECK_EQUAL(parse_mp(), RESULT_FORMAT); /* another signature, whose sum holds */
    table[0] ^= 1;
    CHECK_EQUAL(parse_mp(), RESULT_OK);
    table[9] ^= 1;
    CHECK_EQUAL(mp_parse_table(table, used, 0, &facts), RESULT_FORMAT);
    CHECK_EQUAL(mp_parse_table(table, MP_HEADER_BYTES - 1, 0, &facts), RESULT_FORMAT);
}

/* @verifies ATL-LLR-BOOT-0009~1 @robust */
TEST(mp_pointer_is_checked)
{
    uint8_t pointer[MP_POINTER_BYTES] = {'_', 'M', 'P', '_', 0, 0, 9, 0, 1, 4};
    uint8_t sum = 0;
    for (size_t i = 0; i < sizeof(pointer); i++) {
        sum = (uint8_t)(sum + pointer[i]);
    }
    pointer[10] = (uint8_t)-sum;
    CHECK_EQUAL(mp_parse_pointer(pointer), 0x90000);
    for (size_t i = 0; i < sizeof(pointer); i++) {
        pointer[i] ^= 0x20;
        CHECK_EQUAL(mp_parse_pointer(pointer), 0);
        pointer[i] ^= 0x20;
    }
}

CHECK_MAIN()
