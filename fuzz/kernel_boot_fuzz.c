/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parsers of what loader and firmware hand over, against arbitrary bytes. The first byte
 * chooses the parser; the rest is its input, in memory of exactly that size. Checksums are mended
 * where a parser wants them, so that the fuzzer gets behind them.
 * @verifies ATL-LLR-BOOT-0002~2 ATL-LLR-BOOT-0003~1 ATL-LLR-BOOT-0004~1 @robust
 * @verifies ATL-LLR-BOOT-0005~1 ATL-LLR-BOOT-0006~1 ATL-LLR-BOOT-0007~1 @robust
 * @verifies ATL-LLR-BOOT-0008~1 ATL-LLR-BOOT-0009~1 @robust */
#include "fuzz.h"
#include "handover.h"
#include "tables.h"

#define LIMIT (1ull << 39)
#define RSDP_BYTES_OLD 20u
#define BOOT_APIC_ID 3u
#define TABLE_BYTES_MAX 16384u
#define PHYSICAL 0x100000ull

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

static struct handover info;

/* Sorted, disjoint, whole pages, inside the limits, and RAM by the entries they come from. */
static void check_map(void)
{
    static struct facts facts;
    if (memory_map_check(&info.map) != RESULT_OK) {
        return;
    }
    memory_map_build(&info.map, LIMIT, &facts);
    uint64_t end = MEMORY_LOW_END;
    FUZZ_REQUIRE(facts.memory_range_count <= info.map.count);
    for (uint32_t i = 0; i < facts.memory_range_count; i++) {
        const struct memory_range *range = &facts.memory[i];
        FUZZ_REQUIRE(range->start % PAGE_BYTES == 0 && range->end % PAGE_BYTES == 0);
        FUZZ_REQUIRE(range->start >= end && range->start < range->end && range->end <= LIMIT);
        FUZZ_REQUIRE(memory_map_is_ram(&info.map, range->start, range->end));
        end = range->end;
    }
    uint64_t page = memory_map_low_page(&info.map);
    if (page != 0) {
        FUZZ_REQUIRE(page % PAGE_BYTES == 0 && page >= 0x8000 && page + PAGE_BYTES <= 0xa0000);
        FUZZ_REQUIRE(memory_map_is_ram(&info.map, page, page + PAGE_BYTES));
    }
}

static void try_memory(const uint8_t *bytes, size_t count)
{
    struct memory_map *map = &info.map;
    map->count = 0;
    while (map->count < MEMORY_ENTRIES_MAX && (map->count + 1) * MEMORY_ENTRY_BYTES <= count) {
        map->entries[map->count] = handover_parse_entry(bytes + map->count * MEMORY_ENTRY_BYTES);
        map->count++;
    }
    check_map();
}

static void try_pvh(const uint8_t *bytes, size_t count)
{
    if (count >= PVH_INFO_BYTES && handover_parse_pvh(bytes, &info) == RESULT_OK) {
        FUZZ_REQUIRE(info.map.count >= 1 && info.map.count <= MEMORY_ENTRIES_MAX);
    }
}

static void try_multiboot2(uint8_t *bytes, size_t count)
{
    if (count < MULTIBOOT2_HEADER_BYTES || count > MULTIBOOT2_BYTES_MAX) {
        return;
    }
    uint32_t total = (uint32_t)count;
    memcpy(bytes, &total, sizeof(total));
    if (handover_parse_multiboot2(bytes, total, PHYSICAL, &info) != RESULT_OK) {
        return;
    }
    uint64_t end = PHYSICAL + count;
    FUZZ_REQUIRE(info.rsdp == 0 || (info.rsdp >= PHYSICAL && info.rsdp <= end));
    FUZZ_REQUIRE(info.map.count <= MEMORY_ENTRIES_MAX);
    check_map();
}

/* Makes the sum of all bytes 0 by the byte at `where`. */
static void mend_sum(uint8_t *bytes, size_t count, size_t where)
{
    uint8_t sum = 0;
    bytes[where] = 0;
    for (size_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[where] = (uint8_t)-sum;
}

static void check_cores(const struct facts *facts)
{
    FUZZ_REQUIRE(facts->core_count >= 1 && facts->core_count <= CORE_COUNT_MAX);
    FUZZ_REQUIRE(facts->apic_id[0] == BOOT_APIC_ID);
    for (uint32_t i = 1; i < facts->core_count; i++) {
        FUZZ_REQUIRE(facts->apic_id[i] != BOOT_APIC_ID);
    }
}

static void try_rsdp(uint8_t *bytes, size_t count)
{
    struct acpi_root root;
    if (count < ACPI_RSDP_BYTES) {
        return;
    }
    mend_sum(bytes, RSDP_BYTES_OLD, 8);
    mend_sum(bytes, ACPI_RSDP_BYTES, 32);
    (void)!acpi_parse_rsdp(bytes, &root);
}

static void try_table(uint8_t *bytes, size_t count)
{
    static struct facts facts;
    uint32_t length = (uint32_t)count;
    if (count < ACPI_HEADER_BYTES || count > TABLE_BYTES_MAX) {
        return;
    }
    memcpy(bytes + 4, &length, sizeof(length));
    mend_sum(bytes, count, 9);
    for (uint32_t index = 0; index <= length / 4; index++) {
        (void)acpi_root_entry(bytes, length, (index & 1) != 0, index);
    }
    if (acpi_check_table(bytes, length, "APIC") == RESULT_OK &&
        acpi_parse_madt(bytes, length, BOOT_APIC_ID, &facts) == RESULT_OK) {
        check_cores(&facts);
    }
    if (acpi_check_table(bytes, length, "FACP") == RESULT_OK) {
        (void)acpi_parse_fadt(bytes, length, &facts);
    }
}

static void try_soft_off(const uint8_t *bytes, size_t count)
{
    struct facts facts = {0};
    (void)!acpi_parse_s5(bytes, count, &facts);
    FUZZ_REQUIRE(facts.acpi_s5_a <= 7 && facts.acpi_s5_b <= 7);
}

static void try_mp(uint8_t *bytes, size_t count)
{
    static struct facts facts;
    if (count >= MP_POINTER_BYTES) {
        (void)mp_parse_pointer(bytes);
    }
    if (count < MP_HEADER_BYTES) {
        return;
    }
    mend_sum(bytes, count, 7);
    if (mp_parse_table(bytes, (uint32_t)count, BOOT_APIC_ID, &facts) == RESULT_OK) {
        check_cores(&facts);
    }
}

void fuzz_one(const uint8_t *input, size_t bytes)
{
    if (bytes < 2) {
        return;
    }
    size_t count = bytes - 1;
    uint8_t *copy = malloc(count);
    FUZZ_REQUIRE(copy != NULL);
    memcpy(copy, input + 1, count);
    switch (input[0] % 7) {
    case 0:
        try_memory(copy, count);
        break;
    case 1:
        try_pvh(copy, count);
        break;
    case 2:
        try_multiboot2(copy, count);
        break;
    case 3:
        try_rsdp(copy, count);
        break;
    case 4:
        try_table(copy, count);
        break;
    case 5:
        try_soft_off(copy, count);
        break;
    default:
        try_mp(copy, count);
        break;
    }
    free(copy);
}
