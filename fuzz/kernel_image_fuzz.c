/* SPDX-License-Identifier: Apache-2.0 */
/* The image's validators, the kernel's and posix/'s, against arbitrary indexes. The input is the
 * front of a payload; the rest is zero up to the size that its header claims (a small one).
 * Checksums are switched off, so that the fuzzer reaches what is behind them;
 * tests/unit/kernel_image covers them. What they let pass must be usable without a further check:
 * this target uses all of it.
 * @verifies ATL-LLR-IMAGE-0001~1 ATL-LLR-IMAGE-0003~1 ATL-LLR-IMAGE-0004~1 @robust
 * @verifies ATL-LLR-IMAGE-0005~1 ATL-LLR-IMAGE-0006~3 @robust */
#include "fuzz.h"
#include <kernel/image.h>
#include <posix/load.h>

#define PAYLOAD_BYTES_MAX (256u << 10)

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

static uint32_t no_crc(uint32_t state, const void *bytes, uint64_t bytes_count)
{
    (void)state;
    const uint8_t *at = bytes;
    if (bytes_count > 0) { /* the range must be readable */
        volatile uint8_t ends = (uint8_t)(at[0] ^ at[bytes_count - 1]);
        (void)ends;
    }
    return UINT32_MAX;
}

static size_t use_strings(const uint8_t *bytes, uint32_t offset, uint32_t count)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += strlen((const char *)bytes + offset + total) + 1;
    }
    return total;
}

static void use_posix(const struct image_header *header, const uint8_t *bytes)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        const struct image_section *section = &header->posix[i];
        FUZZ_REQUIRE(section->address >= end);
        end = section->address + section->memory_bytes;
        FUZZ_REQUIRE(end <= IMAGE_POSIX_SPAN_MAX);
        FUZZ_REQUIRE(section->offset + section->file_bytes <= header->image_bytes);
        FUZZ_REQUIRE(section->offset >= header->index_bytes);
    }
    const uint32_t *relocations = (const void *)(bytes + header->relocation_offset);
    for (uint32_t i = 0; i < header->relocation_count; i++) {
        FUZZ_REQUIRE(relocations[i] + sizeof(uint64_t) <= end);
    }
}

static void use_files(const struct image_header *header, const uint8_t *bytes)
{
    const struct image_file *files = (const void *)(bytes + header->file_offset);
    const uint32_t *digest = (const void *)(bytes + header->digest_offset);
    for (uint32_t i = 0; i < header->file_count; i++) {
        const char *path = (const char *)bytes + files[i].path_offset;
        FUZZ_REQUIRE(path[0] == '/' && strstr(path, "//") == NULL && strstr(path, "/../") == NULL);
        FUZZ_REQUIRE(i == 0 || strcmp((const char *)bytes + files[i - 1].path_offset, path) < 0);
        FUZZ_REQUIRE(files[i].bytes == 0 ||
                     files[i].offset + files[i].bytes <= header->image_bytes);
        digest += (files[i].bytes + IMAGE_BLOCK_BYTES - 1) / IMAGE_BLOCK_BYTES;
        FUZZ_REQUIRE((const uint8_t *)digest <= bytes + header->index_bytes);
    }
}

static void use(const struct image_header *header, const uint8_t *bytes)
{
    use_files(header, bytes);
    FUZZ_REQUIRE(bytes[header->program_path_offset] == '/');
    FUZZ_REQUIRE(bytes[header->working_directory_offset] == '/');
    FUZZ_REQUIRE(strlen((const char *)bytes + header->host_name_offset) <
                 IMAGE_HOST_NAME_BYTES_MAX);
    size_t total = use_strings(bytes, header->argument_offset, header->argument_count);
    total += use_strings(bytes, header->environment_offset, header->environment_count);
    FUZZ_REQUIRE(total <= IMAGE_ARGUMENT_BYTES_MAX);
}

void fuzz_one(const uint8_t *input, size_t bytes)
{
    size_t count = bytes;
    if (bytes >= sizeof(struct image_header)) {
        struct image_header header;
        memcpy(&header, input, sizeof(header));
        if (header.image_bytes >= bytes && header.image_bytes <= PAYLOAD_BYTES_MAX) {
            count = header.image_bytes;
        }
    }
    /* exactly this size: the sanitizer watches its end */
    uint8_t *payload = malloc(count > 0 ? count : 1);
    FUZZ_REQUIRE(payload != NULL);
    memset(payload, 0, count);
    memcpy(payload, input, bytes);
    if (bytes >= sizeof(struct image_header)) {
        struct image_header *header = (void *)payload;
        header->crc_index = 0;
        header->crc_posix = 0;
    }
    const struct image_header *found = NULL;
    const char *reason = NULL;
    if (image_validate(no_crc, payload, count, &found, &reason) == RESULT_OK) {
        FUZZ_REQUIRE((const void *)found == payload && reason == NULL);
        use_posix(found, payload);
        if (posix_index_validate(found, &reason) == RESULT_OK) {
            FUZZ_REQUIRE(reason == NULL);
            use(found, payload);
        } else {
            FUZZ_REQUIRE(reason != NULL);
        }
    } else {
        FUZZ_REQUIRE(found == NULL && reason != NULL);
    }
    free(payload);
}
