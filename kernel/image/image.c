/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of an image's payload. Pure: reads the payload, writes nothing else. */
#include <kernel/image.h>

#define MODE_TYPE 0170000u /* Linux S_IFMT and its three types that an image may hold */
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u
#define MODE_LINK 0120000u
#define MODE_MAX 0177777u

/* A payload under judgement. The header is valid as memory; its fields are checked in order. */
struct check {
    const struct image_header *header;
    const uint8_t *bytes;
    const char **reason;
};

/* Fails with the text if the condition does not hold; for functions that have `check`. */
#define REQUIRE(condition_, text_)                                                                 \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            *check->reason = (text_);                                                              \
            return RESULT_FORMAT;                                                                  \
        }                                                                                          \
    } while (0)

/* Remainders of the 16 values of a nibble modulo the reflected polynomial 0x82f63b78. */
static const uint32_t crc_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

/* @impl ATL-LLR-IMAGE-0002~1 */
uint32_t image_crc32c_by_table(uint32_t state, const void *bytes, uint64_t bytes_count)
{
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < bytes_count; i++) {
        state ^= at[i];
        state = (state >> 4) ^ crc_table[state & 0xf];
        state = (state >> 4) ^ crc_table[state & 0xf];
    }
    return state;
}

static bool in_pages(uint64_t bytes)
{
    return IS_ALIGNED(bytes, PAGE_BYTES);
}

/* True if [offset, offset + bytes) lies in [start, end). */
static bool within(uint64_t offset, uint64_t bytes, uint64_t start, uint64_t end)
{
    return offset >= start && offset <= end && bytes <= end - offset;
}

/* True if it lies in the index, behind the header. */
static bool within_index(const struct check *check, uint64_t offset, uint64_t bytes)
{
    return within(offset, bytes, sizeof(struct image_header), check->header->index_bytes);
}

static enum result check_layout(const struct check *check, uint64_t bytes_count)
{
    const struct image_header *header = check->header;
    REQUIRE(header->magic == IMAGE_MAGIC, "magic is not ALIMAGE1");
    REQUIRE(header->version == IMAGE_VERSION, "version is not known");
    REQUIRE(header->header_bytes == sizeof(*header), "header size differs");
    REQUIRE(header->image_bytes == bytes_count, "image size differs from the location");
    REQUIRE(in_pages(header->image_bytes), "image size is not in pages");
    REQUIRE(in_pages(header->index_bytes) && header->index_bytes > 0, "index size is not in pages");
    REQUIRE(header->index_bytes <= header->image_bytes, "index exceeds the image");
    REQUIRE(in_pages(header->posix_end), "posix end is not in pages");
    REQUIRE(within(header->posix_end, 0, header->index_bytes, header->image_bytes),
            "posix end is outside of the image");
    return RESULT_OK;
}

/* The index counts with its own checksum field as zero.
 * @impl ATL-LLR-IMAGE-0002~1 */
static enum result check_sums(const struct check *check, image_crc32c_update crc)
{
    static const uint32_t zero = 0;
    const struct image_header *header = check->header;
    uint64_t field = offsetof(struct image_header, crc_index);
    uint64_t behind = field + sizeof(header->crc_index);
    uint32_t state = crc(UINT32_MAX, check->bytes, field);
    state = crc(state, &zero, sizeof(zero));
    state = crc(state, check->bytes + behind, header->index_bytes - behind);
    REQUIRE(~state == header->crc_index, "checksum of the index differs");
    state = crc(UINT32_MAX, check->bytes + header->index_bytes,
                header->posix_end - header->index_bytes);
    REQUIRE(~state == header->crc_posix, "checksum of posix differs");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0003~1 */
static enum result check_manifest(const struct check *check)
{
    const struct image_header *header = check->header;
    const uint32_t known = IMAGE_FLAG_WRITE_EXECUTE | IMAGE_FLAG_VERBOSE | IMAGE_FLAG_FRAMED |
                           IMAGE_FLAG_FIXED_SEED | IMAGE_FLAG_BALANCED;
    REQUIRE(header->ring == 0 || header->ring == 3, "ring is not 0 or 3");
    REQUIRE(header->cores <= CORE_COUNT_MAX, "too many cores");
    REQUIRE((header->flags & ~known) == 0, "flag is not known");
    REQUIRE(header->quantum_us >= 100 && header->quantum_us <= 1000000,
            "quantum is outside of 100..1000000 us");
    REQUIRE(header->reserved == 0, "reserved field of the header is not zero");
    return RESULT_OK;
}

static enum result check_section(const struct check *check, const struct image_section *section)
{
    const struct image_header *header = check->header;
    REQUIRE(in_pages(section->offset), "section offset is not in pages");
    REQUIRE(in_pages(section->address), "section address is not in pages");
    REQUIRE(in_pages(section->memory_bytes), "section memory size is not in pages");
    REQUIRE(section->file_bytes <= section->memory_bytes, "section content exceeds its memory");
    REQUIRE(within(section->offset, section->file_bytes, header->index_bytes, header->posix_end),
            "section content is outside of posix");
    REQUIRE(within(section->address, section->memory_bytes, 0, IMAGE_POSIX_SPAN_MAX),
            "section address is too high");
    return RESULT_OK;
}

static bool is_wholly_there(const struct image_section *section)
{
    return section->file_bytes > 0 &&
           section->memory_bytes == ALIGN_UP(section->file_bytes, PAGE_BYTES);
}

/* Sections ascend in the payload and in memory, so none overlaps another. Text and rodata are
 * mapped from the payload: their last page must be theirs alone.
 * @impl ATL-LLR-IMAGE-0004~1 */
static enum result check_sections(const struct check *check)
{
    const struct image_section *sections = check->header->posix;
    uint64_t offset_end = 0, address_end = 0;
    for (uint32_t i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        TRY(check_section(check, &sections[i]));
        REQUIRE(sections[i].offset >= offset_end, "section contents overlap");
        REQUIRE(sections[i].address >= address_end, "section addresses overlap");
        offset_end = sections[i].offset + ALIGN_UP(sections[i].file_bytes, PAGE_BYTES);
        address_end = sections[i].address + sections[i].memory_bytes;
    }
    REQUIRE(is_wholly_there(&sections[IMAGE_POSIX_TEXT]),
            "text is empty or not wholly in the image");
    REQUIRE(is_wholly_there(&sections[IMAGE_POSIX_RODATA]),
            "rodata is empty or not wholly in the image");
    REQUIRE(sections[IMAGE_POSIX_PERCORE].file_bytes == 0, "per-core section has content");
    REQUIRE(sections[IMAGE_POSIX_PERCORE].memory_bytes > 0, "per-core section is empty");
    return RESULT_OK;
}

static bool holds_word(const struct image_section *section, uint64_t address)
{
    return within(address, sizeof(uint64_t), section->address,
                  section->address + section->file_bytes);
}

/* Strictly ascending: a word that is named twice would get the base twice.
 * @impl ATL-LLR-IMAGE-0005~1 */
static enum result check_relocations(const struct check *check)
{
    const struct image_header *header = check->header;
    REQUIRE(IS_ALIGNED(header->relocation_offset, sizeof(uint32_t)),
            "relocation table is not aligned");
    REQUIRE(within_index(check, header->relocation_offset,
                         (uint64_t)header->relocation_count * sizeof(uint32_t)),
            "relocation table is outside of the index");
    const uint32_t *table = (const void *)(check->bytes + header->relocation_offset);
    for (uint32_t i = 0; i < header->relocation_count; i++) {
        REQUIRE(IS_ALIGNED(table[i], sizeof(uint64_t)), "relocation is not aligned");
        REQUIRE(i == 0 || table[i] > table[i - 1], "relocations do not ascend");
        REQUIRE(holds_word(&header->posix[IMAGE_POSIX_RELRO], table[i]) ||
                    holds_word(&header->posix[IMAGE_POSIX_DATA], table[i]),
                "relocation is outside of relro and data");
    }
    return RESULT_OK;
}

/* Bytes of count strings that follow each other, with their NULs; 0: one does not end inside the
 * index and within bytes_max. */
static uint64_t strings_bytes(const struct check *check, uint64_t offset, uint32_t count,
                              uint64_t bytes_max)
{
    uint64_t bytes = 0;
    while (count > 0 && bytes < bytes_max && within_index(check, offset + bytes, 1)) {
        count -= check->bytes[offset + bytes] == 0;
        bytes++;
    }
    return count == 0 ? bytes : 0;
}

/* Absolute, no component empty, "." or "..", NUL-terminated; "/" alone is the root. */
static bool path_is_normal(const uint8_t *path)
{
    if (path[0] != '/' || path[1] == 0) {
        return path[0] == '/';
    }
    const uint8_t *begin = path + 1; /* of the component */
    for (const uint8_t *end = begin;; end++) {
        if (*end == '/' || *end == 0) {
            bool is_dots = end - begin <= 2 && begin[0] == '.' && end[-1] == '.';
            if (end == begin || is_dots || *end == 0) {
                return end != begin && !is_dots;
            }
            begin = end + 1;
        }
    }
}

static bool path_precedes(const uint8_t *left, const uint8_t *right)
{
    while (*left != 0 && *left == *right) {
        left++;
        right++;
    }
    return *left < *right;
}

/* @impl ATL-LLR-IMAGE-0006~1 */
static enum result check_strings(const struct check *check)
{
    const struct image_header *header = check->header;
    REQUIRE(strings_bytes(check, header->program_path_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
            "program path does not end inside the index");
    REQUIRE(path_is_normal(check->bytes + header->program_path_offset),
            "program path is not absolute and normal");
    REQUIRE(strings_bytes(check, header->working_directory_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
            "working directory does not end inside the index");
    REQUIRE(path_is_normal(check->bytes + header->working_directory_offset),
            "working directory is not absolute and normal");
    REQUIRE(strings_bytes(check, header->host_name_offset, 1, IMAGE_HOST_NAME_BYTES_MAX) != 0,
            "host name does not end in time");
    uint64_t arguments = strings_bytes(check, header->argument_offset, header->argument_count,
                                       IMAGE_ARGUMENT_BYTES_MAX);
    uint64_t environment = strings_bytes(check, header->environment_offset,
                                         header->environment_count, IMAGE_ARGUMENT_BYTES_MAX);
    REQUIRE(arguments != 0 || header->argument_count == 0, "arguments do not end in time");
    REQUIRE(environment != 0 || header->environment_count == 0, "environment does not end in time");
    REQUIRE(arguments + environment <= IMAGE_ARGUMENT_BYTES_MAX,
            "arguments and environment are too long");
    return RESULT_OK;
}

static enum result check_content(const struct check *check, const struct image_file *file)
{
    const struct image_header *header = check->header;
    uint32_t type = file->mode & MODE_TYPE;
    REQUIRE(type == MODE_DIRECTORY || type == MODE_REGULAR || type == MODE_LINK,
            "file has a type that an image cannot hold");
    REQUIRE(file->mode <= MODE_MAX, "file mode has unknown bits");
    REQUIRE(type != MODE_DIRECTORY || (file->bytes == 0 && file->offset == 0),
            "directory has content");
    REQUIRE(type != MODE_LINK || (file->bytes > 0 && file->bytes < IMAGE_PATH_BYTES_MAX),
            "symbolic link has a bad length");
    REQUIRE(in_pages(file->offset), "file offset is not in pages");
    REQUIRE(file->bytes == 0 ||
                within(file->offset, file->bytes, header->posix_end, header->image_bytes),
            "file content is outside of the image");
    REQUIRE(file->reserved == 0, "reserved field of a file is not zero");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0006~1 */
static enum result check_files(const struct check *check)
{
    const struct image_header *header = check->header;
    REQUIRE(header->file_count > 0 && header->file_count <= IMAGE_FILES_MAX,
            "no file or too many files");
    REQUIRE(IS_ALIGNED(header->file_offset, alignof(struct image_file)),
            "file table is not aligned");
    REQUIRE(within_index(check, header->file_offset,
                         (uint64_t)header->file_count * sizeof(struct image_file)),
            "file table is outside of the index");
    const struct image_file *files = (const void *)(check->bytes + header->file_offset);
    for (uint32_t i = 0; i < header->file_count; i++) {
        REQUIRE(strings_bytes(check, files[i].path_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
                "file path does not end inside the index");
        const uint8_t *path = check->bytes + files[i].path_offset;
        REQUIRE(path_is_normal(path), "file path is not absolute and normal");
        REQUIRE(i == 0 || path_precedes(check->bytes + files[i - 1].path_offset, path),
                "file table is not sorted");
        TRY(check_content(check, &files[i]));
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0001~1 */
enum result image_validate(image_crc32c_update crc, const void *bytes, uint64_t bytes_count,
                           const struct image_header **header, const char **reason)
{
    ASSERT(crc != NULL && header != NULL && reason != NULL);
    const struct check *check = &(struct check){bytes, bytes, reason};
    REQUIRE(bytes_count >= sizeof(struct image_header), "image is too short");
    REQUIRE(IS_ALIGNED((uintptr_t)bytes, alignof(struct image_header)), "image is not aligned");
    TRY(check_layout(check, bytes_count));
    TRY(check_sums(check, crc));
    TRY(check_manifest(check));
    TRY(check_sections(check));
    TRY(check_relocations(check));
    TRY(check_strings(check));
    TRY(check_files(check));
    *header = check->header;
    return RESULT_OK;
}
