/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of an image's payload, as far as the kernel uses it. Pure: reads the payload,
 * writes nothing else. */
#include <kernel/image_check.h>

static enum result check_layout(const struct image_header *header, uint64_t bytes_count,
                                const char **reason)
{
    IMAGE_REQUIRE(header->magic == IMAGE_MAGIC, "magic is not ALIMAGE1");
    IMAGE_REQUIRE(header->version == IMAGE_VERSION, "version is not known");
    IMAGE_REQUIRE(header->header_bytes == sizeof(*header), "header size differs");
    IMAGE_REQUIRE(header->image_bytes == bytes_count, "image size differs from the location");
    IMAGE_REQUIRE(image_in_pages(header->image_bytes), "image size is not in pages");
    IMAGE_REQUIRE(image_in_pages(header->index_bytes) && header->index_bytes > 0,
                  "index size is not in pages");
    IMAGE_REQUIRE(header->index_bytes <= header->image_bytes, "index exceeds the image");
    IMAGE_REQUIRE(image_in_pages(header->posix_end), "posix end is not in pages");
    IMAGE_REQUIRE(image_within(header->posix_end, 0, header->index_bytes, header->image_bytes),
                  "posix end is outside of the image");
    return RESULT_OK;
}

/* The index counts with its own checksum field, which the other one follows, as zero.
 * @impl ATL-LLR-IMAGE-0002~1 */
static enum result check_sums(const struct image_header *header, image_crc32c_update crc,
                              const char **reason)
{
    uint64_t field = offsetof(struct image_header, crc_index);
    uint64_t sums = (uint64_t)header->crc_posix << 32, behind = field + sizeof(sums);
    uint32_t state = crc(UINT32_MAX, header, field);
    state = crc(state, &sums, sizeof(sums));
    state = crc(state, image_at(header, behind), header->index_bytes - behind);
    IMAGE_REQUIRE(~state == header->crc_index, "checksum of the index differs");
    state = crc(UINT32_MAX, image_at(header, header->index_bytes),
                header->posix_end - header->index_bytes);
    IMAGE_REQUIRE(~state == header->crc_posix, "checksum of posix differs");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0003~1 */
static enum result check_manifest(const struct image_header *header, const char **reason)
{
    const uint32_t known = IMAGE_FLAG_WRITE_EXECUTE | IMAGE_FLAG_VERBOSE | IMAGE_FLAG_FRAMED |
                           IMAGE_FLAG_FIXED_SEED | IMAGE_FLAG_BALANCED | IMAGE_FLAG_DEBUG_WAIT |
                           IMAGE_FLAG_VIRTIO_CONSOLE | IMAGE_FLAG_NEIGHBOUR;
    IMAGE_REQUIRE(header->ring == 0 || header->ring == 3, "ring is not 0 or 3");
    IMAGE_REQUIRE(header->cores <= CORE_COUNT_MAX, "too many cores");
    IMAGE_REQUIRE((header->flags & ~known) == 0, "flag is not known");
    IMAGE_REQUIRE(header->quantum_us >= 100 && header->quantum_us <= 1000000,
                  "quantum is outside of 100..1000000 us");
    IMAGE_REQUIRE(header->gate_calls <= UINT16_MAX && (header->gate_calls & 1) != 0,
                  "gate calls are no set with exit in it");
    /* One less: none at all wraps, and is large enough. */
    IMAGE_REQUIRE(image_in_pages(header->port_bytes) &&
                      header->port_bytes - 1 >= IMAGE_PORT_BYTES_MIN - 1 &&
                      header->port_bytes <= IMAGE_PORT_BYTES_MAX,
                  "port memory is not in pages, too small or too large");
    IMAGE_REQUIRE(
        header->policy_count <= IMAGE_POLICY_RULES_MAX && header->policy_offset % 8 == 0 &&
            image_within(header->policy_offset, header->policy_count * IMAGE_POLICY_RULE_BYTES, 0,
                         header->index_bytes),
        "network policy is outside of the index");
    return RESULT_OK;
}

static enum result check_section(const struct image_header *header,
                                 const struct image_section *section, const char **reason)
{
    IMAGE_REQUIRE(image_in_pages(section->offset), "section offset is not in pages");
    IMAGE_REQUIRE(image_in_pages(section->address), "section address is not in pages");
    IMAGE_REQUIRE(image_in_pages(section->memory_bytes), "section memory size is not in pages");
    IMAGE_REQUIRE(section->file_bytes <= section->memory_bytes,
                  "section content exceeds its memory");
    IMAGE_REQUIRE(
        image_within(section->offset, section->file_bytes, header->index_bytes, header->posix_end),
        "section content is outside of posix");
    IMAGE_REQUIRE(image_within(section->address, section->memory_bytes, 0, IMAGE_POSIX_SPAN_MAX),
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
static enum result check_sections(const struct image_header *header, const char **reason)
{
    const struct image_section *sections = header->posix;
    uint64_t offset_end = 0, address_end = 0;
    for (uint32_t i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        TRY(check_section(header, &sections[i], reason));
        IMAGE_REQUIRE(sections[i].offset >= offset_end, "section contents overlap");
        IMAGE_REQUIRE(sections[i].address >= address_end, "section addresses overlap");
        offset_end = sections[i].offset + ALIGN_UP(sections[i].file_bytes, PAGE_BYTES);
        address_end = sections[i].address + sections[i].memory_bytes;
    }
    IMAGE_REQUIRE(is_wholly_there(&sections[IMAGE_POSIX_TEXT]),
                  "text is empty or not wholly in the image");
    IMAGE_REQUIRE(is_wholly_there(&sections[IMAGE_POSIX_RODATA]),
                  "rodata is empty or not wholly in the image");
    IMAGE_REQUIRE(sections[IMAGE_POSIX_PERCORE].file_bytes == 0, "per-core section has content");
    IMAGE_REQUIRE(sections[IMAGE_POSIX_PERCORE].memory_bytes > 0, "per-core section is empty");
    return RESULT_OK;
}

static bool holds_word(const struct image_section *section, uint64_t address)
{
    return image_within(address, sizeof(uint64_t), section->address,
                        section->address + section->file_bytes);
}

/* Strictly ascending: a word that is named twice would get the base twice.
 * @impl ATL-LLR-IMAGE-0005~1 */
static enum result check_relocations(const struct image_header *header, const char **reason)
{
    IMAGE_REQUIRE(IS_ALIGNED(header->relocation_offset, sizeof(uint32_t)),
                  "relocation table is not aligned");
    IMAGE_REQUIRE(image_within_index(header, header->relocation_offset,
                                     (uint64_t)header->relocation_count * sizeof(uint32_t)),
                  "relocation table is outside of the index");
    const uint32_t *table = image_at(header, header->relocation_offset);
    for (uint32_t i = 0; i < header->relocation_count; i++) {
        IMAGE_REQUIRE(IS_ALIGNED(table[i], sizeof(uint64_t)), "relocation is not aligned");
        IMAGE_REQUIRE(i == 0 || table[i] > table[i - 1], "relocations do not ascend");
        IMAGE_REQUIRE(holds_word(&header->posix[IMAGE_POSIX_RELRO], table[i]) ||
                          holds_word(&header->posix[IMAGE_POSIX_DATA], table[i]),
                      "relocation is outside of relro and data");
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0001~1 */
enum result image_validate(image_crc32c_update crc, const void *bytes, uint64_t bytes_count,
                           const struct image_header **header, const char **reason)
{
    ASSERT(crc != NULL && header != NULL && reason != NULL);
    IMAGE_REQUIRE(bytes_count >= sizeof(struct image_header), "image is too short");
    IMAGE_REQUIRE(IS_ALIGNED((uintptr_t)bytes, alignof(struct image_header)),
                  "image is not aligned");
    TRY(check_layout(bytes, bytes_count, reason));
    TRY(check_sums(bytes, crc, reason));
    TRY(check_manifest(bytes, reason));
    TRY(check_sections(bytes, reason));
    TRY(check_relocations(bytes, reason));
    *header = bytes;
    return RESULT_OK;
}
