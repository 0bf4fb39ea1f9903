/* SPDX-License-Identifier: Apache-2.0 */
/* A small valid payload for tests and fuzz seeds: one page of index, four posix sections, one file
 * of three blocks.
 * Tests change a field, seal it again and look at the validator's answer. */
#ifndef TESTS_UNIT_KERNEL_IMAGE_SAMPLE_H
#define TESTS_UNIT_KERNEL_IMAGE_SAMPLE_H

#include <kernel/image.h>
#include <string.h>

#define SAMPLE_INDEX_BYTES 4096u
#define SAMPLE_POSIX_END (5u * 4096u)
#define SAMPLE_FILE_BYTES (2u * IMAGE_BLOCK_BYTES + 100u)
#define SAMPLE_BYTES (SAMPLE_POSIX_END + 33u * 4096u)

struct sample {
    alignas(4096) uint8_t bytes[SAMPLE_BYTES];
    uint32_t end; /* of what is in use of the index */
};

static inline struct image_header *sample_header(struct sample *sample)
{
    return (struct image_header *)(void *)sample->bytes;
}

static inline struct image_file *sample_files(struct sample *sample)
{
    return (struct image_file *)(void *)(sample->bytes + sample_header(sample)->file_offset);
}

static inline uint32_t *sample_relocations(struct sample *sample)
{
    return (uint32_t *)(void *)(sample->bytes + sample_header(sample)->relocation_offset);
}

static inline char *sample_text(struct sample *sample, uint32_t offset)
{
    return (char *)sample->bytes + offset;
}

static inline uint32_t sample_append(struct sample *sample, const void *data, uint32_t bytes)
{
    uint32_t offset = sample->end;
    memcpy(sample->bytes + offset, data, bytes);
    sample->end += bytes;
    return offset;
}

/* CRC-32C bit by bit, for hosts without the instruction. */
static inline uint32_t sample_crc32c(uint32_t state, const void *bytes, uint64_t bytes_count)
{
    const uint8_t *at = bytes;
    for (uint64_t i = 0; i < bytes_count * 8; i++) {
        uint32_t bit = (state ^ (uint32_t)at[i / 8] >> i % 8) & 1;
        state = state >> 1 ^ (bit != 0 ? 0x82f63b78u : 0);
    }
    return state;
}

/* Writes both checksums. */
static inline void sample_seal(struct sample *sample)
{
    struct image_header *header = sample_header(sample);
    header->crc_posix = ~sample_crc32c(UINT32_MAX, sample->bytes + SAMPLE_INDEX_BYTES,
                                       SAMPLE_POSIX_END - SAMPLE_INDEX_BYTES);
    header->crc_index = 0;
    header->crc_index = ~sample_crc32c(UINT32_MAX, sample->bytes, SAMPLE_INDEX_BYTES);
}

static inline void sample_build_posix(struct image_header *header)
{
    static const struct image_section sections[IMAGE_POSIX_SECTION_COUNT] = {
        [IMAGE_POSIX_TEXT] = {1 * 4096, 0, 4000, 4096},
        [IMAGE_POSIX_RODATA] = {2 * 4096, 4096, 4096, 4096},
        [IMAGE_POSIX_RELRO] = {3 * 4096, 2 * 4096, 64, 4096},
        [IMAGE_POSIX_DATA] = {4 * 4096, 3 * 4096, 128, 8192},
        [IMAGE_POSIX_PERCORE] = {5 * 4096, 6 * 4096, 0, 4096},
    };
    memcpy(header->posix, sections, sizeof(sections));
}

static inline void sample_build_files(struct sample *sample)
{
    static const uint32_t digests[3]; /* the validator leaves the contents to posix/ */
    struct image_header *header = sample_header(sample);
    struct image_file files[3] = {
        {.mode = 0040755, .path_offset = sample_append(sample, "/bin", 5)},
        {.mode = 0100755,
         .offset = SAMPLE_POSIX_END,
         .bytes = SAMPLE_FILE_BYTES,
         .path_offset = sample_append(sample, "/bin/program", 13)},
        {.mode = 0100644, .path_offset = sample_append(sample, "/empty", 7)},
    };
    sample->end = (sample->end + 7) & ~7u;
    header->file_count = 3;
    header->file_offset = sample_append(sample, files, sizeof(files));
    header->digest_count = 3;
    header->digest_offset = sample_append(sample, digests, sizeof(digests));
}

static inline void sample_build(struct sample *sample)
{
    static const uint32_t relocations[3] = {2 * 4096, 2 * 4096 + 56, 3 * 4096 + 120};
    memset(sample, 0, sizeof(*sample));
    struct image_header *header = sample_header(sample);
    sample->end = sizeof(*header);
    *header = (struct image_header){.magic = IMAGE_MAGIC,
                                    .version = IMAGE_VERSION,
                                    .header_bytes = sizeof(*header),
                                    .image_bytes = SAMPLE_BYTES,
                                    .index_bytes = SAMPLE_INDEX_BYTES,
                                    .posix_end = SAMPLE_POSIX_END,
                                    .ring = 3,
                                    .quantum_us = 10000,
                                    .gate_calls = 1};
    sample_build_posix(header);
    header->relocation_count = 3;
    header->relocation_offset = sample_append(sample, relocations, sizeof(relocations));
    sample_build_files(sample);
    header->program_path_offset = sample_append(sample, "/bin/program", 13);
    header->argument_count = 2;
    header->argument_offset = sample_append(sample, "program\0-x", 11);
    header->environment_count = 1;
    header->environment_offset = sample_append(sample, "HOME=/", 7);
    header->working_directory_offset = sample_append(sample, "/", 2);
    header->host_name_offset = sample_append(sample, "atoll", 6);
    sample_seal(sample);
}

#endif
