/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of program files against arbitrary bytes. What it lets pass must be mappable
 * without a further check: ascending, apart, inside the file and inside the limits.
 * @verifies ATL-LLR-LOAD-0001~1 @robust */
#include "fuzz.h"
#include <posix/load.h>

#define PAGE 4096ull
#define SLOT (1ull << 39)

static void check_segment(const struct posix_elf *elf, const struct posix_elf_segment *segment,
                          size_t bytes_count, const struct posix_elf_limits *limits)
{
    FUZZ_REQUIRE(segment->memory_bytes > 0 && segment->file_bytes <= segment->memory_bytes);
    FUZZ_REQUIRE(segment->offset <= bytes_count);
    FUZZ_REQUIRE(segment->file_bytes <= bytes_count - segment->offset);
    FUZZ_REQUIRE(segment->offset % PAGE == segment->address % PAGE);
    FUZZ_REQUIRE(segment->address >= elf->low);
    FUZZ_REQUIRE(segment->address + segment->memory_bytes <= elf->high);
    FUZZ_REQUIRE(segment->address + segment->memory_bytes > segment->address);
    FUZZ_REQUIRE((segment->protection & 6) != 6 || limits->allow_write_execute);
    if (!elf->is_position_independent) {
        uint64_t last = segment->address + segment->memory_bytes - 1;
        FUZZ_REQUIRE(segment->address >= limits->floor && last < limits->end);
        FUZZ_REQUIRE(segment->address / SLOT == last / SLOT);
    }
}

static void check_program(const struct posix_elf *elf, size_t bytes_count,
                          const struct posix_elf_limits *limits)
{
    bool entry_is_code = false;
    uint64_t page_end = 0;
    FUZZ_REQUIRE(elf->segment_count > 0 && elf->segment_count <= POSIX_ELF_SEGMENTS_MAX);
    FUZZ_REQUIRE(elf->low % PAGE == 0 && elf->high % PAGE == 0 && elf->low < elf->high);
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct posix_elf_segment *segment = &elf->segments[i];
        check_segment(elf, segment, bytes_count, limits);
        FUZZ_REQUIRE(i == 0 || segment->address / PAGE * PAGE >= page_end);
        page_end = (segment->address + segment->memory_bytes + PAGE - 1) / PAGE * PAGE;
        entry_is_code |= (segment->protection & 4) != 0 && elf->entry >= segment->address &&
                         elf->entry < segment->address + segment->file_bytes;
    }
    FUZZ_REQUIRE(entry_is_code);
    FUZZ_REQUIRE(!elf->wants_executable_stack || limits->allow_write_execute);
}

void fuzz_one(const uint8_t *bytes, size_t count)
{
    for (int allow = 0; allow < 2; allow++) {
        const struct posix_elf_limits limits = {
            .floor = 0x10000,
            .slot_bytes = SLOT,
            .end = 4 * SLOT,
            .allow_write_execute = allow == 1,
        };
        struct posix_elf elf;
        const char *reason = NULL;
        if (posix_elf_validate(bytes, count, &limits, &elf, &reason)) {
            check_program(&elf, count, &limits);
        } else {
            FUZZ_REQUIRE(reason != NULL && reason[0] != 0);
        }
    }
}
