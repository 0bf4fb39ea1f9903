/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of an image's payload: header, checksums, posix sections and relocations. Strings
 * and the file table are in files.c. Pure: reads the payload, writes nothing else. */
#include "internal.h"

#define SECTION(check_, which_) (&(check_)->header->posix[IMAGE_POSIX_##which_])

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

bool image_index_holds(const struct image_check *check, uint64_t offset, uint64_t bytes)
{
    uint64_t index_bytes = check->header->index_bytes;
    return offset >= sizeof(struct image_header) && offset <= index_bytes &&
           bytes <= index_bytes - offset;
}

static enum result check_layout(const struct image_check *check, uint64_t bytes_count)
{
    const struct image_header *header = check->header;
    IMAGE_REQUIRE(check, header->magic == IMAGE_MAGIC, "magic is not ALIMAGE1");
    IMAGE_REQUIRE(check, header->version == IMAGE_VERSION, "version is not known");
    IMAGE_REQUIRE(check, header->header_bytes == sizeof(*header), "header size differs");
    IMAGE_REQUIRE(check, header->image_bytes == bytes_count,
                  "image size differs from the location");
    IMAGE_REQUIRE(check, IS_ALIGNED(header->image_bytes, PAGE_BYTES), "image size is not in pages");
    IMAGE_REQUIRE(check, IS_ALIGNED(header->index_bytes, PAGE_BYTES) && header->index_bytes > 0,
                  "index size is not in pages");
    IMAGE_REQUIRE(check, header->index_bytes <= header->image_bytes, "index exceeds the image");
    IMAGE_REQUIRE(check, IS_ALIGNED(header->posix_end, PAGE_BYTES), "posix end is not in pages");
    IMAGE_REQUIRE(
        check, header->posix_end >= header->index_bytes && header->posix_end <= header->image_bytes,
        "posix end is outside of the image");
    return RESULT_OK;
}

/* The index counts with its own checksum field as zero.
 * @impl ATL-LLR-IMAGE-0002~1 */
static enum result check_sums(const struct image_check *check, image_crc32c_update crc)
{
    static const uint32_t zero = 0;
    const struct image_header *header = check->header;
    uint64_t field = offsetof(struct image_header, crc_index);
    uint64_t behind = field + sizeof(header->crc_index);
    uint32_t state = crc(UINT32_MAX, check->bytes, field);
    state = crc(state, &zero, sizeof(zero));
    state = crc(state, check->bytes + behind, header->index_bytes - behind);
    IMAGE_REQUIRE(check, ~state == header->crc_index, "checksum of the index differs");
    state = crc(UINT32_MAX, check->bytes + header->index_bytes,
                header->posix_end - header->index_bytes);
    IMAGE_REQUIRE(check, ~state == header->crc_posix, "checksum of posix differs");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0003~1 */
static enum result check_manifest(const struct image_check *check)
{
    const struct image_header *header = check->header;
    const uint32_t known =
        IMAGE_FLAG_WRITE_EXECUTE | IMAGE_FLAG_VERBOSE | IMAGE_FLAG_FRAMED | IMAGE_FLAG_FIXED_SEED;
    IMAGE_REQUIRE(check, header->ring == 0 || header->ring == 3, "ring is not 0 or 3");
    IMAGE_REQUIRE(check, header->cores <= CORE_COUNT_MAX, "too many cores");
    IMAGE_REQUIRE(check, (header->flags & ~known) == 0, "flag is not known");
    IMAGE_REQUIRE(check, header->quantum_us >= 100 && header->quantum_us <= 1000000,
                  "quantum is outside of 100..1000000 us");
    IMAGE_REQUIRE(check, header->reserved == 0, "reserved field of the header is not zero");
    return RESULT_OK;
}

static enum result check_section(const struct image_check *check,
                                 const struct image_section *section)
{
    const struct image_header *header = check->header;
    IMAGE_REQUIRE(check, IS_ALIGNED(section->offset, PAGE_BYTES), "section offset is not in pages");
    IMAGE_REQUIRE(check, IS_ALIGNED(section->address, PAGE_BYTES),
                  "section address is not in pages");
    IMAGE_REQUIRE(check, IS_ALIGNED(section->memory_bytes, PAGE_BYTES),
                  "section memory size is not in pages");
    IMAGE_REQUIRE(check, section->file_bytes <= section->memory_bytes,
                  "section content exceeds its memory");
    IMAGE_REQUIRE(check,
                  section->offset >= header->index_bytes && section->offset <= header->posix_end &&
                      section->file_bytes <= header->posix_end - section->offset,
                  "section content is outside of posix");
    IMAGE_REQUIRE(check,
                  section->address <= IMAGE_POSIX_SPAN_MAX &&
                      section->memory_bytes <= IMAGE_POSIX_SPAN_MAX - section->address,
                  "section address is too high");
    return RESULT_OK;
}

/* Sections ascend in the payload and in memory, so none overlaps another. Text and rodata are
 * mapped from the payload: their last page must be theirs alone.
 * @impl ATL-LLR-IMAGE-0004~1 */
static enum result check_sections(const struct image_check *check)
{
    uint64_t offset_end = 0;
    uint64_t address_end = 0;
    for (uint32_t i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        const struct image_section *section = &check->header->posix[i];
        TRY(check_section(check, section));
        IMAGE_REQUIRE(check, section->offset >= offset_end, "section contents overlap");
        IMAGE_REQUIRE(check, section->address >= address_end, "section addresses overlap");
        offset_end = section->offset + ALIGN_UP(section->file_bytes, PAGE_BYTES);
        address_end = section->address + section->memory_bytes;
    }
    const struct image_section *text = SECTION(check, TEXT);
    const struct image_section *rodata = SECTION(check, RODATA);
    const struct image_section *percore = SECTION(check, PERCORE);
    IMAGE_REQUIRE(
        check, text->file_bytes > 0 && text->memory_bytes == ALIGN_UP(text->file_bytes, PAGE_BYTES),
        "text is empty or not wholly in the image");
    IMAGE_REQUIRE(check,
                  rodata->file_bytes > 0 &&
                      rodata->memory_bytes == ALIGN_UP(rodata->file_bytes, PAGE_BYTES),
                  "rodata is empty or not wholly in the image");
    IMAGE_REQUIRE(check, percore->file_bytes == 0, "per-core section has content");
    IMAGE_REQUIRE(check, percore->memory_bytes > 0, "per-core section is empty");
    return RESULT_OK;
}

static bool section_holds_word(const struct image_section *section, uint64_t address)
{
    return address >= section->address && section->file_bytes >= sizeof(uint64_t) &&
           address - section->address <= section->file_bytes - sizeof(uint64_t);
}

/* Strictly ascending: a word that is named twice would get the base twice.
 * @impl ATL-LLR-IMAGE-0005~1 */
static enum result check_relocations(const struct image_check *check)
{
    const struct image_header *header = check->header;
    IMAGE_REQUIRE(check, IS_ALIGNED(header->relocation_offset, sizeof(uint32_t)),
                  "relocation table is not aligned");
    IMAGE_REQUIRE(check,
                  image_index_holds(check, header->relocation_offset,
                                    (uint64_t)header->relocation_count * sizeof(uint32_t)),
                  "relocation table is outside of the index");
    const uint32_t *table =
        (const uint32_t *)(const void *)(check->bytes + header->relocation_offset);
    for (uint32_t i = 0; i < header->relocation_count; i++) {
        IMAGE_REQUIRE(check, IS_ALIGNED(table[i], sizeof(uint64_t)), "relocation is not aligned");
        IMAGE_REQUIRE(check, i == 0 || table[i] > table[i - 1], "relocations do not ascend");
        IMAGE_REQUIRE(check,
                      section_holds_word(SECTION(check, RELRO), table[i]) ||
                          section_holds_word(SECTION(check, DATA), table[i]),
                      "relocation is outside of relro and data");
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0001~1 */
enum result image_validate_with(image_crc32c_update crc, const void *bytes, uint64_t bytes_count,
                                const struct image_header **header, const char **reason)
{
    ASSERT(crc != NULL && header != NULL && reason != NULL);
    struct image_check check = {.header = bytes, .bytes = bytes, .reason = reason};
    IMAGE_REQUIRE(&check, bytes_count >= sizeof(struct image_header), "image is too short");
    IMAGE_REQUIRE(&check, IS_ALIGNED((uintptr_t)bytes, alignof(struct image_header)),
                  "image is not aligned");
    TRY(check_layout(&check, bytes_count));
    TRY(check_sums(&check, crc));
    TRY(check_manifest(&check));
    TRY(check_sections(&check));
    TRY(check_relocations(&check));
    TRY(image_check_strings(&check));
    TRY(image_check_files(&check));
    *header = check.header;
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0001~1 */
enum result image_validate(const void *bytes, uint64_t bytes_count,
                           const struct image_header **header, const char **reason)
{
    return image_validate_with(image_crc32c_by_table, bytes, bytes_count, header, reason);
}
