/* SPDX-License-Identifier: Apache-2.0 */
/* An image's table of system-call sites, arbitrary, for a program whose bytes are arbitrary. What
 * is not refused rewrites whole sites of executable bytes and nothing else, and each instruction of
 * a trampoline has its place in the program.
 * @verifies ATL-LLR-LOAD-0010~1 ATL-LLR-LOAD-0011~1 ATL-LLR-LOAD-0013~1 @robust */
#include "fuzz.h"
#include <kernel/image.h>
#include <posix/detour.h>
#include <posix/file.h>
#include <posix/memory.h>

#define PAGE 4096ull
#define LOW 0x400000ull
#define CODE_BYTES_MAX 4096u
#define ROWS_MAX 32u
#define SPAN_BYTES 0x8000u /* of the program and its trampolines */
#define SYSCALL_BYTES 2u
#define JUMP 0xe9u
#define MOV_EAX 0xb8u

static struct posix_detour_site table[ROWS_MAX];
static struct image_file table_file;
static uint8_t memory[SPAN_BYTES]; /* what the program has at LOW */
static uint64_t trampolines, trampolines_end;
static const struct posix_elf_segment *code; /* of the program */

/* ---- what detour.c needs of posix/ */
const struct image_file *posix_image_exact(const char *path)
{
    return path != NULL ? &table_file : NULL;
}

int64_t posix_image_verify(const struct image_file *file, uint64_t offset, uint64_t bytes)
{
    FUZZ_REQUIRE(offset == 0 && bytes == file->bytes);
    return 0;
}

const uint8_t *posix_image_window(const struct image_file *file)
{
    FUZZ_REQUIRE(file == &table_file);
    return (const uint8_t *)table;
}

int64_t posix_memory_map_at(const struct posix_map_request *request)
{
    trampolines = request->address;
    trampolines_end = request->address + request->bytes;
    FUZZ_REQUIRE(trampolines % PAGE == 0 && trampolines_end <= LOW + SPAN_BYTES);
    return 0;
}

int64_t posix_mprotect(uint64_t start, uint64_t bytes, uint64_t protection); /* posix/syscalls.h */
int64_t posix_mprotect(uint64_t start, uint64_t bytes, uint64_t protection)
{
    FUZZ_REQUIRE(start % PAGE == 0 && bytes % PAGE == 0 && (protection & 6) != 6);
    return 0;
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    bool is_code = to >= code->address && to - code->address + bytes <= code->file_bytes;
    FUZZ_REQUIRE(is_code || (to >= trampolines && to + bytes <= trampolines_end));
    memcpy(memory + (to - LOW), from, bytes);
    return 0;
}

void posix_detour_entry(void)
{
    abort(); /* nothing runs here */
}

static uint64_t target_of(uint64_t place) /* of four bytes relative to what is behind them */
{
    int32_t distance;
    memcpy(&distance, memory + (place - LOW), sizeof(distance));
    return place + sizeof(distance) + (uint64_t)(int64_t)distance;
}

/* The answer of a site that sets the number of a call whose answer never changes; -1: it has none.
 */
static int64_t answer_of(const struct posix_detour_site *site, const uint8_t *before)
{
    uint32_t number;
    memcpy(&number, before + site->offset + 1, sizeof(number));
    if (site->bytes != 5 || before[site->offset] != MOV_EAX) {
        return -1;
    }
#define SYSCALL_ANSWER(number_, name, value)                                                       \
    if (number == (number_)) {                                                                     \
        return (value);                                                                            \
    }
#include <posix_answers.inc>
    return -1;
}

/* Behind `lea %rcx`: the answer and a jump by rcx, or a jump by the word at the trampolines' start.
 */
static void check_end(const struct posix_detour_site *site, uint64_t to, int64_t answer)
{
    const uint8_t *end = memory + (to - LOW) + site->bytes + 7;
    if (answer < 0) {
        FUZZ_REQUIRE(target_of(to + site->bytes + 9) == trampolines);
        return;
    }
    uint8_t expected[7] = {MOV_EAX, (uint8_t)answer, 0, 0, 0, 0xff, 0xe1};
    FUZZ_REQUIRE(answer <= UINT8_MAX && memcmp(end, expected, sizeof(expected)) == 0);
    FUZZ_REQUIRE(posix_detour_shown(to + site->bytes + 12, 0) ==
                 LOW + site->offset + site->bytes + SYSCALL_BYTES);
}

/* A site that was rewritten: a jump to its trampoline, whose places are the site's. */
static void check_site(const struct posix_detour_site *site, const uint8_t *before)
{
    uint64_t at = LOW + site->offset;
    FUZZ_REQUIRE(memory[site->offset] == JUMP);
    uint64_t to = target_of(at + 1);
    FUZZ_REQUIRE(to > trampolines && to + POSIX_DETOUR_TRAMPOLINE_BYTES <= trampolines_end);
    for (uint32_t i = 0; i < site->bytes; i++) {
        bool is_fixed = site->fixup != 0 && i >= site->fixup && i < site->fixup + sizeof(int32_t);
        FUZZ_REQUIRE(is_fixed || memory[to - LOW + i] == before[site->offset + i]);
        FUZZ_REQUIRE(posix_detour_shown(to + i, 0) == at + i);
        FUZZ_REQUIRE(i == 0 || posix_detour_taken(at + i) == to + i);
    }
    FUZZ_REQUIRE(target_of(to + site->bytes + 3) == at + site->bytes + SYSCALL_BYTES);
    check_end(site, to, answer_of(site, before));
}

/* A byte says how many rows the table has; they follow, then the program, half of it executable. */
void fuzz_one(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    uint64_t rows = fuzz_take(&input, 1) % ROWS_MAX + 1;
    for (uint64_t i = 0; i < rows; i++) {
        uint64_t row = fuzz_take(&input, sizeof(row));
        memcpy(&table[i], &row, sizeof(row));
    }
    table_file.bytes = rows * sizeof(table[0]);
    static uint8_t before[SPAN_BYTES];
    uint64_t file_bytes = input.left < CODE_BYTES_MAX ? input.left : CODE_BYTES_MAX;
    uint64_t half = file_bytes / 2;
    const struct posix_elf elf = {
        .segment_count = 2,
        .low = LOW,
        .high = LOW + 4 * PAGE,
        .segments = {{LOW, half, PAGE, 0, 5},
                     {LOW + 2 * PAGE + half, file_bytes - half, PAGE, half, 4}},
    };
    code = &elf.segments[0];
    memset(memory, 0, sizeof(memory));
    memcpy(memory, input.at, half);
    memcpy(before, memory, sizeof(before));
    uint64_t end = 0;
    if (posix_detour_install(input.at, &elf, 0, &end) != NULL) {
        return;
    }
    FUZZ_REQUIRE(end == trampolines_end && trampolines == elf.high);
    for (uint64_t i = 0; i < rows; i++) {
        FUZZ_REQUIRE(table[i].offset + table[i].bytes + SYSCALL_BYTES <= half);
        FUZZ_REQUIRE(before[table[i].offset + table[i].bytes] == 0x0f);
        check_site(&table[i], before);
    }
}
