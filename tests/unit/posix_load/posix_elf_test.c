/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of program files: one good file, then every field wrong by itself; and random
 * bytes. */
#include "../check.h"

#include <elf.h>
#include <posix/load.h>

struct file {
    Elf64_Ehdr header;
    Elf64_Phdr program[5];
    uint8_t rest[0x3000 - sizeof(Elf64_Ehdr) - 5 * sizeof(Elf64_Phdr)];
};

static const struct posix_elf_limits limits = {
    .floor = 0x10000, .slot_bytes = 1ull << 39, .end = 128ull << 39, .allow_write_execute = false};

static struct file good(void)
{
    struct file file = {.header = {.e_type = ET_EXEC,
                                   .e_machine = EM_X86_64,
                                   .e_version = 1,
                                   .e_entry = 0x401010,
                                   .e_phoff = sizeof(Elf64_Ehdr),
                                   .e_ehsize = sizeof(Elf64_Ehdr),
                                   .e_phentsize = sizeof(Elf64_Phdr),
                                   .e_phnum = 5}};
    memcpy(file.header.e_ident, "\177ELF\2\1\1\0", 8);
    file.program[0] = (Elf64_Phdr){PT_LOAD, PF_R, 0, 0x400000, 0x400000, 0x500, 0x500, 0x1000};
    file.program[1] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0x401000, 0x1000, 0x1000, 0x1000};
    file.program[2] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x2010, 0x403010, 0x403010, 0x800, 0x2000, 0x1000};
    file.program[3] = (Elf64_Phdr){PT_TLS, PF_R, 0x2010, 0x403010, 0x403010, 0x10, 0x20, 8};
    file.program[4] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    return file;
}

static bool validate(const struct file *file, struct posix_elf *elf, const char **reason)
{
    return posix_elf_validate(file, sizeof(*file), &limits, elf, reason);
}

/* @verifies ATL-LLR-LOAD-0001~1 */
TEST(a_good_file_is_described)
{
    struct file file = good();
    struct posix_elf elf;
    const char *reason = "";
    CHECK(validate(&file, &elf, &reason));
    CHECK(reason == NULL);
    CHECK(!elf.is_position_independent);
    CHECK_EQUAL(elf.segment_count, 3);
    CHECK_EQUAL(elf.entry, 0x401010);
    CHECK_EQUAL(elf.headers_address, 0x400040);
    CHECK_EQUAL(elf.header_count, 5);
    CHECK_EQUAL(elf.low, 0x400000);
    CHECK_EQUAL(elf.high, 0x406000);
    CHECK_EQUAL(elf.segments[2].protection, 3);
    CHECK_EQUAL(elf.segments[1].protection, 5);
    CHECK_EQUAL(elf.segments[2].memory_bytes, 0x2000);
    file.header.e_type = ET_DYN; /* static PIE: addresses from 0 on */
    for (int i = 0; i < 4; i++) {
        file.program[i].p_vaddr -= 0x400000;
    }
    file.header.e_entry -= 0x400000;
    CHECK(validate(&file, &elf, &reason));
    CHECK(elf.is_position_independent);
    CHECK_EQUAL(elf.low, 0);
}

static struct file changed;
static const char *reason_of(void)
{
    struct posix_elf elf = {.entry = 77};
    const char *reason = "";
    bool is_valid = validate(&changed, &elf, &reason);
    CHECK(!is_valid);
    CHECK_EQUAL(elf.entry, 77); /* nothing is written */
    changed = good();
    return reason;
}

/* Sets one field of the good file and expects the reason. */
#define REJECTS(assignment_, reason_)                                                              \
    do {                                                                                           \
        changed = good();                                                                          \
        assignment_;                                                                               \
        CHECK_STRING(reason_of(), reason_);                                                        \
    } while (0)

/* @verifies ATL-LLR-LOAD-0001~1 @robust */
TEST(headers_are_rejected_field_by_field)
{
    REJECTS(changed.header.e_ident[0] = 0, "it is not an ELF file");
    REJECTS(changed.header.e_ident[4] = 1, "it is a 32-bit program");
    REJECTS(changed.header.e_ident[5] = 2, "it is not little-endian");
    REJECTS(changed.header.e_ident[6] = 2, "its ELF version is unknown");
    REJECTS(changed.header.e_version = 0, "its ELF version is unknown");
    REJECTS(changed.header.e_ident[7] = 9, "it is for another operating system than Linux");
    REJECTS(changed.header.e_machine = 183, "it is not an x86-64 program");
    REJECTS(changed.header.e_type = ET_REL,
            "it is neither an executable nor a position-independent executable");
    REJECTS(changed.header.e_phentsize = 32, "its program headers have a wrong size");
    REJECTS(changed.header.e_phnum = 0, "it has no program headers");
    REJECTS(changed.header.e_phnum = 65, "it has too many program headers");
    REJECTS(changed.header.e_phoff = sizeof(struct file) - 5 * sizeof(Elf64_Phdr) + 1,
            "its program headers lie outside the file");
    REJECTS(changed.header.e_phoff = UINT64_MAX, "its program headers lie outside the file");
    REJECTS(changed.header.e_entry = 0x400010, "its entry point is in no executable segment");
    REJECTS(changed.header.e_entry = 0x402000, "its entry point is in no executable segment");
}

/* @verifies ATL-LLR-LOAD-0001~1 @robust */
TEST(segments_are_rejected_field_by_field)
{
    REJECTS(changed.program[3].p_type = PT_INTERP,
            "it is dynamically linked (link it with -static)");
    REJECTS(changed.program[2].p_filesz = 0x2001,
            "a segment has more bytes in the file than in memory");
    REJECTS((changed.program[2].p_filesz = 0xff1, changed.program[2].p_memsz = 0xff1),
            "a segment lies outside the file (is it truncated?)");
    REJECTS(changed.program[2].p_offset = UINT64_MAX - 0xfef,
            "a segment lies outside the file (is it truncated?)");
    REJECTS(changed.program[2].p_vaddr = 0x403020,
            "a segment's offset and address do not match modulo a page");
    REJECTS(changed.program[2].p_align = 3, "a segment's alignment is no power of two");
    REJECTS(changed.program[2].p_memsz = UINT64_MAX, "a segment is too large");
    REJECTS(changed.program[2].p_memsz = (1ull << 39) + 1, "a segment is too large");
    REJECTS(changed.program[2].p_vaddr = UINT64_MAX - 0xfef,
            "a segment wraps around the address space");
    REJECTS(changed.program[2].p_flags = 7,
            "a segment is writable and executable, which the manifest does not allow");
    REJECTS(changed.program[0].p_vaddr = 0xf000,
            "a segment lies below the lowest address that can be mapped");
    REJECTS(changed.program[2].p_vaddr = (128ull << 39) + 0x10,
            "a segment lies above the highest address that can be mapped");
    REJECTS(changed.program[2].p_vaddr = (1ull << 39) - 0xff0,
            "a segment crosses a multiple of 512 GiB");
    REJECTS(changed.program[0].p_vaddr = 0x500000, "its segments are not in ascending order");
    REJECTS(changed.program[2].p_vaddr = 0x401010, "two of its segments overlap");
    REJECTS(changed.program[4].p_flags = 7,
            "it wants an executable stack, which the manifest does not allow");
    REJECTS(changed.program[0].p_type = changed.program[1].p_type = changed.program[2].p_type =
                PT_NULL,
            "it has nothing to load");
    REJECTS((changed.header.e_type = ET_DYN, changed.program[2].p_vaddr = (1ull << 38) + 0x402010),
            "it is too large");
}

/* @verifies ATL-LLR-LOAD-0001~1 @robust */
TEST(truncated_files_are_rejected)
{
    struct file file = good();
    struct posix_elf elf;
    for (size_t bytes = 0; bytes < 0x2810; bytes++) {
        uint8_t *copy = malloc(bytes + 1); /* a guarded end under the sanitizer */
        memcpy(copy, &file, bytes);
        const char *reason = NULL;
        CHECK(!posix_elf_validate(copy, bytes, &limits, &elf, &reason));
        CHECK(reason != NULL);
        free(copy);
    }
    const char *reason = NULL;
    CHECK(posix_elf_validate(&file, 0x2810, &limits, &elf, &reason));
}

/* @verifies ATL-LLR-LOAD-0001~1 @robust */
TEST(random_changes_never_give_a_segment_outside)
{
    srand(1);
    for (int i = 0; i < 200000; i++) {
        struct file file = good();
        for (int changes = 1 + rand() % 4; changes != 0; changes--) {
            ((uint8_t *)&file)[rand() % (sizeof(Elf64_Ehdr) + 5 * sizeof(Elf64_Phdr))] =
                (uint8_t)rand();
        }
        struct posix_elf elf;
        const char *reason = NULL;
        if (!validate(&file, &elf, &reason)) {
            continue;
        }
        uint64_t end = elf.low;
        for (uint32_t s = 0; s < elf.segment_count; s++) {
            const struct posix_elf_segment *segment = &elf.segments[s];
            CHECK(segment->address >= end);
            CHECK(segment->file_bytes <= segment->memory_bytes);
            CHECK(segment->offset + segment->file_bytes <= sizeof(file));
            CHECK((segment->protection & 6) != 6);
            end = segment->address + segment->memory_bytes;
        }
        CHECK(elf.is_position_independent || (elf.low >= limits.floor && end <= limits.end));
    }
}

CHECK_MAIN()
