/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and file table of an image's payload. */
#include "internal.h"

#define MODE_TYPE 0170000u /* Linux S_IFMT and its three types that an image may hold */
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u
#define MODE_LINK 0120000u

/* Bytes of a string with its NUL, or 0: it does not end inside the index or within bytes_max. */
static uint64_t string_bytes(const struct image_check *check, uint64_t offset, uint64_t bytes_max)
{
    if (!image_index_holds(check, offset, 1)) {
        return 0;
    }
    uint64_t limit = MIN(check->header->index_bytes - offset, bytes_max);
    for (uint64_t i = 0; i < limit; i++) {
        if (check->bytes[offset + i] == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Bytes of count strings that follow each other; false: one does not end in time. */
static bool strings_bytes(const struct image_check *check, uint64_t offset, uint32_t count,
                          uint64_t *bytes)
{
    uint64_t end = offset;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t one = string_bytes(check, end, IMAGE_ARGUMENT_BYTES_MAX);
        if (one == 0 || end + one - offset > IMAGE_ARGUMENT_BYTES_MAX) {
            return false;
        }
        end += one;
    }
    *bytes = end - offset;
    return true;
}

/* A component of a path that ends at `end` (its '/' or NUL) is neither empty, "." nor "..". */
static bool component_is_plain(const uint8_t *begin, const uint8_t *end)
{
    if (end == begin) {
        return false;
    }
    bool is_dots = end - begin <= 2 && begin[0] == '.' && end[-1] == '.';
    return !is_dots;
}

/* Absolute, normal form, NUL-terminated; "/" alone is the root. */
static bool path_is_normal(const uint8_t *path)
{
    if (path[0] != '/') {
        return false;
    }
    if (path[1] == 0) {
        return true;
    }
    const uint8_t *begin = path + 1;
    for (const uint8_t *at = begin;; at++) {
        if (*at == '/' || *at == 0) {
            if (!component_is_plain(begin, at)) {
                return false;
            }
            if (*at == 0) {
                return true;
            }
            begin = at + 1;
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
enum result image_check_strings(const struct image_check *check)
{
    const struct image_header *header = check->header;
    const uint8_t *bytes = check->bytes;
    uint64_t arguments = 0;
    uint64_t environment = 0;
    IMAGE_REQUIRE(check,
                  string_bytes(check, header->program_path_offset, IMAGE_PATH_BYTES_MAX) != 0,
                  "program path does not end inside the index");
    IMAGE_REQUIRE(check, path_is_normal(bytes + header->program_path_offset),
                  "program path is not absolute and normal");
    IMAGE_REQUIRE(check,
                  string_bytes(check, header->working_directory_offset, IMAGE_PATH_BYTES_MAX) != 0,
                  "working directory does not end inside the index");
    IMAGE_REQUIRE(check, path_is_normal(bytes + header->working_directory_offset),
                  "working directory is not absolute and normal");
    IMAGE_REQUIRE(check,
                  string_bytes(check, header->host_name_offset, IMAGE_HOST_NAME_BYTES_MAX) != 0,
                  "host name does not end in time");
    IMAGE_REQUIRE(check,
                  strings_bytes(check, header->argument_offset, header->argument_count, &arguments),
                  "arguments do not end in time");
    IMAGE_REQUIRE(
        check,
        strings_bytes(check, header->environment_offset, header->environment_count, &environment),
        "environment does not end in time");
    IMAGE_REQUIRE(check, arguments + environment <= IMAGE_ARGUMENT_BYTES_MAX,
                  "arguments and environment are too long");
    return RESULT_OK;
}

static enum result check_content(const struct image_check *check, const struct image_file *file)
{
    const struct image_header *header = check->header;
    uint32_t type = file->mode & MODE_TYPE;
    IMAGE_REQUIRE(check, type == MODE_DIRECTORY || type == MODE_REGULAR || type == MODE_LINK,
                  "file has a type that an image cannot hold");
    IMAGE_REQUIRE(check, file->mode <= 0177777u, "file mode has unknown bits");
    IMAGE_REQUIRE(check, type != MODE_DIRECTORY || (file->bytes == 0 && file->offset == 0),
                  "directory has content");
    IMAGE_REQUIRE(check,
                  type != MODE_LINK || (file->bytes > 0 && file->bytes < IMAGE_PATH_BYTES_MAX),
                  "symbolic link has a bad length");
    IMAGE_REQUIRE(check, IS_ALIGNED(file->offset, PAGE_BYTES), "file offset is not in pages");
    IMAGE_REQUIRE(check,
                  file->bytes == 0 ||
                      (file->offset >= header->posix_end && file->offset <= header->image_bytes &&
                       file->bytes <= header->image_bytes - file->offset),
                  "file content is outside of the image");
    IMAGE_REQUIRE(check, file->reserved == 0, "reserved field of a file is not zero");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0006~1 */
enum result image_check_files(const struct image_check *check)
{
    const struct image_header *header = check->header;
    IMAGE_REQUIRE(check, header->file_count > 0 && header->file_count <= IMAGE_FILES_MAX,
                  "no file or too many files");
    IMAGE_REQUIRE(check, IS_ALIGNED(header->file_offset, alignof(struct image_file)),
                  "file table is not aligned");
    IMAGE_REQUIRE(check,
                  image_index_holds(check, header->file_offset,
                                    (uint64_t)header->file_count * sizeof(struct image_file)),
                  "file table is outside of the index");
    const struct image_file *files =
        (const struct image_file *)(const void *)(check->bytes + header->file_offset);
    for (uint32_t i = 0; i < header->file_count; i++) {
        IMAGE_REQUIRE(check, string_bytes(check, files[i].path_offset, IMAGE_PATH_BYTES_MAX) != 0,
                      "file path does not end inside the index");
        const uint8_t *path = check->bytes + files[i].path_offset;
        IMAGE_REQUIRE(check, path_is_normal(path), "file path is not absolute and normal");
        IMAGE_REQUIRE(check, i == 0 || path_precedes(check->bytes + files[i - 1].path_offset, path),
                      "file table is not sorted");
        TRY(check_content(check, &files[i]));
    }
    return RESULT_OK;
}
