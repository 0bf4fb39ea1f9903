/* SPDX-License-Identifier: Apache-2.0 */
/* Detours without a program: the check of the table, the bytes of a trampoline, and the way between
 * addresses of the program and of trampolines. tests/tool/test_detour_run.py runs rewritten code.
 */
#include "../check.h"

#include <posix/detour.h>
#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>

#define LOW 0x400000ull
#define CODE_OFFSET 0x1000u /* in the file and above LOW */
#define PAGE 4096u

static uint8_t file[2 * PAGE];
static struct posix_detour_site table[2];
static struct image_file table_file;
static bool has_table, is_damaged;

/* Memory of the program, from LOW on, as the loader writes it. */
static uint8_t memory[4 * PAGE];
static uint32_t protections[4];
static bool no_memory;

const struct image_file *posix_image_exact(const char *path)
{
    CHECK_STRING(path, "/proc/.atoll/detours");
    return has_table ? &table_file : NULL;
}

int64_t posix_image_verify(const struct image_file *of, uint64_t offset, uint64_t bytes)
{
    CHECK(of == &table_file && offset == 0 && bytes == of->bytes);
    return is_damaged ? -EIO : 0;
}

const uint8_t *posix_image_window(const struct image_file *of)
{
    CHECK(of == &table_file);
    return (const uint8_t *)table;
}

int64_t posix_memory_map_at(const struct posix_map_request *request)
{
    CHECK_EQUAL(request->protection, 3);
    return no_memory ? -ENOMEM : posix_mprotect(request->address, request->bytes, 3);
}

int64_t posix_mprotect(uint64_t start, uint64_t bytes, uint64_t protection)
{
    CHECK(start % PAGE == 0 && bytes % PAGE == 0);
    CHECK((protection & 6) != 6);
    for (uint64_t page = (start - LOW) / PAGE; page < (start - LOW + bytes) / PAGE; page++) {
        protections[page] = (uint32_t)protection;
    }
    return 0;
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    CHECK((protections[(to - LOW) / PAGE] & 2) != 0);
    memcpy(memory + (to - LOW), from, bytes);
    return 0;
}

void posix_detour_entry(void)
{
}

/* mov $39, %eax; syscall at 0x20 and mov word(%rip), %rax; syscall at 0x30. */
static const struct posix_detour_site good[2] = {{CODE_OFFSET + 0x20, 5, 0, 0},
                                                 {CODE_OFFSET + 0x30, 7, 3, 0}};

static struct posix_elf prepare(void)
{
    memset(file, 0x90, sizeof(file));
    memcpy(file + CODE_OFFSET + 0x20, "\xb8\x27\0\0\0\x0f\x05", 7);
    memcpy(file + CODE_OFFSET + 0x30, "\x48\x8b\x05\x10\0\0\0\x0f\x05", 9);
    memcpy(table, good, sizeof(table));
    table_file = (struct image_file){.bytes = sizeof(table)};
    has_table = true;
    is_damaged = no_memory = false;
    memset(memory, 0, sizeof(memory));
    memset(protections, 0, sizeof(protections));
    return (struct posix_elf){
        .segment_count = 2,
        .low = LOW,
        .high = LOW + 2 * PAGE,
        .segments = {{.address = LOW, .file_bytes = PAGE, .memory_bytes = PAGE, .protection = 1},
                     {.address = LOW + PAGE,
                      .file_bytes = PAGE,
                      .memory_bytes = PAGE,
                      .offset = CODE_OFFSET,
                      .protection = 5}}};
}

static bool is_valid_with(struct posix_detour_site first, struct posix_detour_site second)
{
    struct posix_elf elf = prepare();
    const struct posix_detour_site sites[2] = {first, second};
    return posix_detour_validate(sites, 2, file, &elf);
}

/* @verifies ATL-LLR-LOAD-0010~1 @robust */
TEST(a_table_that_does_not_fit_is_refused)
{
    CHECK(is_valid_with(good[0], good[1]));
    CHECK(!is_valid_with(good[1], good[0]));
    CHECK(!is_valid_with(good[0], good[0]));
    struct posix_detour_site bad = good[0];
    bad.offset++;
    CHECK(!is_valid_with(bad, good[1])); /* no syscall behind it */
    bad = good[0];
    bad.bytes = 4;
    CHECK(!is_valid_with(bad, good[1]));
    bad = good[0];
    bad.offset += 3, bad.bytes = 2; /* too short for the jump */
    CHECK(!is_valid_with(bad, good[1]));
    bad = good[0];
    bad.offset -= 15, bad.bytes = 20; /* too long for a trampoline */
    CHECK(!is_valid_with(bad, good[1]));
    bad = good[0];
    bad.fixup = 2; /* four bytes from there on reach into the call */
    CHECK(!is_valid_with(bad, good[1]));
    bad = good[0];
    bad.reserved = 1;
    CHECK(!is_valid_with(bad, good[1]));
    bad = good[1];
    bad.offset = UINT32_MAX;
    CHECK(!is_valid_with(good[0], bad));
    bad.offset = CODE_OFFSET + PAGE - 8; /* ends behind the segment */
    CHECK(!is_valid_with(good[0], bad));
    bad = good[0];
    bad.offset = 0x20; /* not executable */
    CHECK(!is_valid_with(bad, good[1]));
}

/* @verifies ATL-LLR-LOAD-0010~1 @robust */
/* @verifies ATL-LLR-LOAD-0012~1 */
TEST(a_damaged_table_or_no_memory_refuses_the_program)
{
    struct posix_elf elf = prepare();
    uint64_t end;
    is_damaged = true;
    CHECK(posix_detour_install(file, &elf, 0, &end) != NULL);
    elf = prepare();
    table_file.bytes--;
    CHECK(posix_detour_install(file, &elf, 0, &end) != NULL);
    elf = prepare();
    table[1].reserved = 1;
    CHECK(posix_detour_install(file, &elf, 0, &end) != NULL);
    elf = prepare();
    has_table = false;
    CHECK(posix_detour_install(file, &elf, 0, &end) == NULL);
    CHECK_EQUAL(end, elf.high);
    CHECK_EQUAL(posix_detour_taken(LOW + CODE_OFFSET + 0x22), LOW + CODE_OFFSET + 0x22);
    elf = prepare();
    no_memory = true;
    CHECK(posix_detour_install(file, &elf, 0, &end) != NULL);
}

static uint64_t target(const uint8_t *bytes, uint64_t address)
{
    int32_t distance;
    memcpy(&distance, bytes, sizeof(distance));
    return address + 4 + (uint64_t)(int64_t)distance;
}

/* @verifies ATL-LLR-LOAD-0011~1 */
TEST(a_trampoline_is_what_the_header_says)
{
    uint8_t built[POSIX_DETOUR_TRAMPOLINE_BYTES];
    const uint64_t from = 0x401030, to = 0x500040, word = 0x500000;
    const uint8_t *code = (const uint8_t *)"\x48\x8b\x05\x10\0\0\0";
    CHECK(posix_detour_build(built, &good[1], code, from, to, word));
    CHECK(memcmp(built, code, 3) == 0);
    CHECK_EQUAL(target(built + 3, to + 3), from + 7 + 0x10);
    CHECK(memcmp(built + 7, "\x48\x8d\x0d", 3) == 0);
    CHECK_EQUAL(target(built + 10, to + 10), from + 9);
    CHECK(memcmp(built + 14, "\xff\x25", 2) == 0);
    CHECK_EQUAL(target(built + 16, to + 16), word);
    CHECK(built[20] == 0xcc && built[31] == 0xcc);
    CHECK(!posix_detour_build(built, &good[1], code, from, from + (1ull << 31), word));
    CHECK(
        !posix_detour_build(built, &good[0], code, from, from + (1ull << 32), from + (1ull << 32)));
    CHECK(!posix_detour_build(built, &good[0], code, from, to, to + (1ull << 32)));
}

/* @verifies ATL-LLR-LOAD-0840~1 */
TEST(a_call_whose_answer_never_changes_is_answered_in_place)
{
    static const struct {
        uint32_t number, answer;
    } answered[] = {{39, 1}, {110, 0}, {102, 0}, {111, 1}};
    uint8_t built[POSIX_DETOUR_TRAMPOLINE_BYTES], code[] = {0xb8, 0, 0, 0, 0};
    const uint64_t from = 0x401020, to = 0x500020, word = 0x500000;
    for (size_t i = 0; i < sizeof(answered) / sizeof(answered[0]); i++) {
        memcpy(code + 1, &answered[i].number, 4);
        CHECK(posix_detour_build(built, &good[0], code, from, to, word));
        CHECK(memcmp(built, code, 5) == 0 && memcmp(built + 5, "\x48\x8d\x0d", 3) == 0);
        CHECK_EQUAL(target(built + 8, to + 8), from + 7);
        CHECK(built[12] == 0xb8 && memcmp(built + 13, &answered[i].answer, 4) == 0);
        CHECK(memcmp(built + 17, "\xff\xe1\xcc", 3) == 0);
    }
    const uint8_t others[][5] = {{0xb8, 39, 1}, {0xb8, 186}, {0xbf, 39}}; /* number, gettid, edi */
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK(posix_detour_build(built, &good[0], others[i], from, to, word));
        CHECK(memcmp(built + 12, "\xff\x25", 2) == 0);
    }
    struct posix_detour_site longer = good[0];
    longer.bytes = 7;
    CHECK(posix_detour_build(built, &longer, (const uint8_t *)"\xb8\x27\0\0\0\x89\xd7", from, to,
                             word));
    CHECK(memcmp(built + 14, "\xff\x25", 2) == 0);
}

/* @verifies ATL-LLR-LOAD-0012~1 ATL-LLR-LOAD-0013~1 */
/* @verifies ATL-LLR-LOAD-0014~1 ATL-LLR-LOAD-0015~1 */
TEST(every_place_is_shown_as_the_programs_own_and_taken_back)
{
    struct posix_elf elf = prepare();
    uint64_t end;
    CHECK(posix_detour_install(file, &elf, 0, &end) == NULL);
    CHECK_EQUAL(end, elf.high + PAGE);
    CHECK_EQUAL(protections[1], 5);
    CHECK_EQUAL(protections[2], 5);
    const uint64_t site = LOW + CODE_OFFSET + 0x30;
    const uint8_t *jump = memory + (site - LOW);
    CHECK_EQUAL(jump[0], 0xe9);
    const uint64_t trampoline = target(jump + 1, site + 1);
    CHECK_EQUAL(trampoline, elf.high + 2 * POSIX_DETOUR_TRAMPOLINE_BYTES);
    for (uint64_t inside = 0; inside < POSIX_DETOUR_TRAMPOLINE_BYTES; inside++) {
        if (inside == 19) {
            continue; /* in no trampoline of 7 displaced bytes an instruction begins there */
        }
        uint64_t shown = site + (inside < 7 ? inside : 7);
        CHECK_EQUAL(posix_detour_shown(trampoline + inside, 0), shown);
        CHECK_EQUAL(posix_detour_is_step(trampoline + inside), inside != 0 && inside <= 7);
        CHECK_EQUAL(posix_detour_taken(shown),
                    inside == 0 ? site : trampoline + (inside < 7 ? inside : 7));
    }
    const uint64_t place = LOW + CODE_OFFSET + 0x20,
                   answer = elf.high + POSIX_DETOUR_TRAMPOLINE_BYTES;
    CHECK_EQUAL(posix_detour_shown(answer + 12, 0), place + 5);
    CHECK_EQUAL(posix_detour_shown(answer + 17, 0), place + 7); /* it is there */
    CHECK_EQUAL(posix_detour_taken(place + 7), place + 7);
    CHECK(!posix_detour_is_step(answer + 12) && !posix_detour_is_step(answer + 17));
    const uint64_t entry = (uint64_t)(uintptr_t)posix_detour_entry;
    CHECK_EQUAL(posix_detour_shown(entry, site + 9), site + 7);
    CHECK(!posix_detour_is_step(entry));
    const uint64_t outside[] = {0, LOW, site - 1, site + 8, site + 9, end, UINT64_MAX};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        CHECK_EQUAL(posix_detour_shown(outside[i], 0), outside[i]);
        CHECK_EQUAL(posix_detour_taken(outside[i]), outside[i]);
        CHECK(posix_detour_is_step(outside[i]));
    }
}

CHECK_MAIN()
