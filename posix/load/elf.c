/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of program files: ELF-64, x86-64, static (fixed or position-independent). Every
 * field that is used later is checked here; what is not used is not looked at. Source: System V
 * ABI, gABI chapters 4 and 5, and the AMD64 supplement. */
#include <posix/load.h>

#define PAGE 4096ull

enum {
    ELF_CLASS_64 = 2,
    ELF_DATA_LITTLE = 1,
    ELF_VERSION = 1,
    ELF_ABI_SYSTEM_V = 0,
    ELF_ABI_GNU = 3,
    ELF_TYPE_EXECUTABLE = 2,
    ELF_TYPE_SHARED = 3,
    ELF_MACHINE_X86_64 = 62,
    ELF_SEGMENT_LOAD = 1,
    ELF_SEGMENT_INTERPRETER = 3,
    ELF_SEGMENT_GNU_STACK = 0x6474e551,
    ELF_FLAG_EXECUTE = 1,
    ELF_FLAG_WRITE = 2,
    ELF_FLAG_READ = 4,
};

struct elf_header {
    uint8_t identification[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_bytes, program_entry_bytes, program_count;
    uint16_t section_entry_bytes, section_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_bytes, memory_bytes, alignment;
};
_Static_assert(sizeof(struct elf_program_header) == 56, "Elf64_Phdr");

/* One check; the first one that fails gives the reason. */
#define REQUIRE(condition, text)                                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return (text);                                                                         \
        }                                                                                          \
    } while (0)

/* Each check returns NULL or the reason. */
static const char *check_identification(const struct elf_header *header, size_t bytes_count)
{
    static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};
    REQUIRE(__builtin_memcmp(header->identification, magic, sizeof(magic)) == 0,
            "it is not an ELF file");
    REQUIRE(header->identification[4] == ELF_CLASS_64, "it is a 32-bit program");
    REQUIRE(header->identification[5] == ELF_DATA_LITTLE, "it is not little-endian");
    REQUIRE(header->identification[6] == ELF_VERSION && header->version == ELF_VERSION,
            "its ELF version is unknown");
    REQUIRE(header->identification[7] == ELF_ABI_SYSTEM_V ||
                header->identification[7] == ELF_ABI_GNU,
            "it is for another operating system than Linux");
    REQUIRE(header->machine == ELF_MACHINE_X86_64, "it is not an x86-64 program");
    REQUIRE(header->type == ELF_TYPE_EXECUTABLE || header->type == ELF_TYPE_SHARED,
            "it is neither an executable nor a position-independent executable");
    REQUIRE(header->program_entry_bytes == sizeof(struct elf_program_header),
            "its program headers have a wrong size");
    REQUIRE(header->program_count != 0, "it has no program headers");
    REQUIRE(header->program_count <= POSIX_ELF_HEADERS_MAX, "it has too many program headers");
    uint64_t table_bytes = header->program_count * sizeof(struct elf_program_header);
    REQUIRE(header->program_offset <= bytes_count &&
                table_bytes <= bytes_count - header->program_offset,
            "its program headers lie outside the file");
    return NULL;
}

static uint32_t protection_of(uint32_t flags)
{
    return ((flags & ELF_FLAG_READ) != 0 ? 1u : 0u) | ((flags & ELF_FLAG_WRITE) != 0 ? 2u : 0u) |
           ((flags & ELF_FLAG_EXECUTE) != 0 ? 4u : 0u);
}

static const char *check_segment_bounds(const struct elf_program_header *header, size_t bytes_count,
                                        const struct posix_elf_limits *limits)
{
    REQUIRE(header->file_bytes <= header->memory_bytes,
            "a segment has more bytes in the file than in memory");
    REQUIRE(header->offset <= bytes_count && header->file_bytes <= bytes_count - header->offset,
            "a segment lies outside the file (is it truncated?)");
    REQUIRE(header->offset % PAGE == header->address % PAGE,
            "a segment's offset and address do not match modulo a page");
    REQUIRE((header->alignment & (header->alignment - 1)) == 0 || header->alignment == 0,
            "a segment's alignment is no power of two");
    REQUIRE(header->memory_bytes <= limits->slot_bytes, "a segment is too large");
    REQUIRE(header->address <= UINT64_MAX - header->memory_bytes - PAGE,
            "a segment wraps around the address space");
    bool is_write_execute = (header->flags & (ELF_FLAG_WRITE | ELF_FLAG_EXECUTE)) ==
                            (ELF_FLAG_WRITE | ELF_FLAG_EXECUTE);
    REQUIRE(!is_write_execute || limits->allow_write_execute,
            "a segment is writable and executable, which the manifest does not allow");
    return NULL;
}

/* A fixed program's addresses are final; a position-independent one's only relative. */
static const char *check_segment_place(const struct elf_program_header *header, bool is_fixed,
                                       const struct posix_elf_limits *limits)
{
    uint64_t low = header->address & ~(PAGE - 1);
    uint64_t high = (header->address + header->memory_bytes + PAGE - 1) & ~(PAGE - 1);
    if (is_fixed) {
        REQUIRE(low >= limits->floor, "a segment lies below the lowest address that can be mapped");
        REQUIRE(high <= limits->end, "a segment lies above the highest address that can be mapped");
        REQUIRE(low / limits->slot_bytes == (high - 1) / limits->slot_bytes,
                "a segment crosses a multiple of 512 GiB");
    }
    return NULL;
}

static const char *add_segment(struct posix_elf *elf, const struct elf_program_header *header)
{
    REQUIRE(elf->segment_count < POSIX_ELF_SEGMENTS_MAX, "it has too many segments");
    uint64_t low = header->address & ~(PAGE - 1);
    uint64_t high = (header->address + header->memory_bytes + PAGE - 1) & ~(PAGE - 1);
    if (elf->segment_count == 0) {
        elf->low = low;
    }
    REQUIRE(elf->segment_count == 0 ||
                header->address >= elf->segments[elf->segment_count - 1].address,
            "its segments are not in ascending order");
    REQUIRE(elf->segment_count == 0 || low >= elf->high, "two of its segments overlap");
    elf->high = high;
    elf->segments[elf->segment_count++] = (struct posix_elf_segment){
        .address = header->address,
        .file_bytes = header->file_bytes,
        .memory_bytes = header->memory_bytes,
        .offset = header->offset,
        .protection = protection_of(header->flags),
    };
    return NULL;
}

static const char *read_headers(const uint8_t *bytes, size_t bytes_count,
                                const struct elf_header *file,
                                const struct posix_elf_limits *limits, struct posix_elf *elf)
{
    for (uint32_t i = 0; i < file->program_count; i++) {
        struct elf_program_header header;
        __builtin_memcpy(&header, bytes + file->program_offset + i * sizeof(header),
                         sizeof(header));
        REQUIRE(header.type != ELF_SEGMENT_INTERPRETER,
                "it is dynamically linked (link it with -static)");
        if (header.type == ELF_SEGMENT_GNU_STACK) {
            elf->wants_executable_stack = (header.flags & ELF_FLAG_EXECUTE) != 0;
        }
        if (header.type != ELF_SEGMENT_LOAD || header.memory_bytes == 0) {
            continue;
        }
        const char *reason = check_segment_bounds(&header, bytes_count, limits);
        if (reason == NULL) {
            reason = check_segment_place(&header, !elf->is_position_independent, limits);
        }
        if (reason == NULL) {
            reason = add_segment(elf, &header);
        }
        if (reason != NULL) {
            return reason;
        }
    }
    return NULL;
}

static const char *check_whole(const struct elf_header *file, struct posix_elf *elf,
                               const struct posix_elf_limits *limits)
{
    REQUIRE(elf->segment_count != 0, "it has nothing to load");
    REQUIRE(elf->high - elf->low <= limits->slot_bytes / 2 || !elf->is_position_independent,
            "it is too large");
    REQUIRE(!elf->wants_executable_stack || limits->allow_write_execute,
            "it wants an executable stack, which the manifest does not allow");
    bool entry_is_code = false;
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        const struct posix_elf_segment *segment = &elf->segments[i];
        if ((segment->protection & 4) != 0 && file->entry >= segment->address &&
            file->entry - segment->address < segment->file_bytes) {
            entry_is_code = true;
        }
        uint64_t table_bytes = file->program_count * sizeof(struct elf_program_header);
        if (file->program_offset >= segment->offset &&
            file->program_offset - segment->offset <= segment->file_bytes &&
            table_bytes <= segment->file_bytes - (file->program_offset - segment->offset)) {
            elf->headers_address = segment->address + (file->program_offset - segment->offset);
        }
    }
    REQUIRE(entry_is_code, "its entry point is in no executable segment");
    return NULL;
}

/* @impl ATL-LLR-LOAD-0001~1 */
bool posix_elf_validate(const void *bytes, size_t bytes_count,
                        const struct posix_elf_limits *limits, struct posix_elf *elf,
                        const char **reason)
{
    struct elf_header header;
    if (bytes_count < sizeof(header)) {
        *reason = "it is too short for an ELF file";
        return false;
    }
    __builtin_memcpy(&header, bytes, sizeof(header));
    *reason = check_identification(&header, bytes_count);
    if (*reason != NULL) {
        return false;
    }
    struct posix_elf found = {
        .is_position_independent = header.type == ELF_TYPE_SHARED,
        .header_count = header.program_count,
        .entry = header.entry,
    };
    *reason = read_headers(bytes, bytes_count, &header, limits, &found);
    if (*reason == NULL) {
        *reason = check_whole(&header, &found, limits);
    }
    if (*reason == NULL) {
        *elf = found;
    }
    return *reason == NULL;
}
