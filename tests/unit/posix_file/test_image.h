/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a payload in memory as tools/image.py does: index pages, then files on pages. */
#ifndef TESTS_UNIT_TEST_IMAGE_H
#define TESTS_UNIT_TEST_IMAGE_H

#include <kernel/image.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct test_file {
    const char *path; /* the caller keeps them sorted */
    uint32_t mode;
    const void *content;
    size_t bytes;
};

struct test_image {
    uint8_t *payload;
    size_t bytes, index_bytes;
};

static inline uint32_t test_crc32c(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static inline size_t test_page_up(size_t value)
{
    return (value + 4095) & ~(size_t)4095;
}

static inline uint32_t test_put_string(struct test_image *image, size_t *at, const char *string,
                                       size_t bytes)
{
    uint32_t offset = (uint32_t)*at;
    memcpy(image->payload + *at, string, bytes);
    *at += bytes;
    return offset;
}

/* arguments and environment: strings, each NUL-terminated, in one array. */
struct test_strings {
    const char *bytes;
    size_t length;
    uint32_t count;
};

static inline struct test_image test_image_build(const struct test_file *files, uint32_t count,
                                                 const char *program, struct test_strings arguments,
                                                 struct test_strings environment)
{
    struct test_image image = {0};
    size_t total = 65536;
    for (uint32_t i = 0; i < count; i++) {
        total += test_page_up(files[i].bytes) + strlen(files[i].path) + 4096;
    }
    image.payload = aligned_alloc(4096, test_page_up(total));
    memset(image.payload, 0, test_page_up(total));
    struct image_header *header = (struct image_header *)image.payload;
    struct image_file *table = (struct image_file *)(header + 1);
    size_t at = sizeof(*header) + count * sizeof(*table);
    header->magic = IMAGE_MAGIC;
    header->version = IMAGE_VERSION;
    header->header_bytes = sizeof(*header);
    header->flags = IMAGE_FLAG_FIXED_SEED;
    header->seed = 12345;
    header->file_offset = sizeof(*header);
    header->file_count = count;
    header->program_path_offset = test_put_string(&image, &at, program, strlen(program) + 1);
    header->working_directory_offset = test_put_string(&image, &at, "/", 2);
    header->host_name_offset = test_put_string(&image, &at, "host", 5);
    header->argument_offset = test_put_string(&image, &at, arguments.bytes, arguments.length);
    header->argument_count = arguments.count;
    header->environment_offset =
        test_put_string(&image, &at, environment.bytes, environment.length);
    header->environment_count = environment.count;
    for (uint32_t i = 0; i < count; i++) {
        table[i].path_offset =
            test_put_string(&image, &at, files[i].path, strlen(files[i].path) + 1);
        table[i].mode = files[i].mode;
        table[i].bytes = files[i].bytes;
        table[i].modified_s = 1000000000 + i;
    }
    at = (at + 3) & ~3ul;
    header->digest_offset = (uint32_t)at;
    for (uint32_t i = 0; i < count; i++) {
        for (size_t from = 0; from < files[i].bytes; from += IMAGE_BLOCK_BYTES) {
            size_t rest = files[i].bytes - from;
            uint32_t digest = test_crc32c((const uint8_t *)files[i].content + from,
                                          rest < IMAGE_BLOCK_BYTES ? rest : IMAGE_BLOCK_BYTES);
            test_put_string(&image, &at, (const char *)&digest, sizeof(digest));
            header->digest_count++;
        }
    }
    at = test_page_up(at);
    image.index_bytes = at;
    header->index_bytes = at;
    for (uint32_t i = 0; i < count; i++) {
        if (files[i].bytes != 0) {
            table[i].offset = at;
            memcpy(image.payload + at, files[i].content, files[i].bytes);
            at = test_page_up(at + files[i].bytes);
        }
    }
    image.bytes = at;
    header->image_bytes = at;
    return image;
}

#endif
