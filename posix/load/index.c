/* SPDX-License-Identifier: Apache-2.0 */
/* The validator of the part of an image's index that only posix/ uses: strings and files. Pure:
 * reads the index, writes nothing else. */
#include <kernel/image_check.h>
#include <posix/load.h>

#define MODE_TYPE 0170000u /* Linux S_IFMT and its three types that an image may hold */
#define MODE_DIRECTORY 0040000u
#define MODE_REGULAR 0100000u
#define MODE_LINK 0120000u
#define MODE_MAX 0177777u

/* Bytes of count strings that follow each other, with their NULs; 0: one does not end inside the
 * index and within bytes_max. */
static uint64_t strings_bytes(const struct image_header *header, uint64_t offset, uint32_t count,
                              uint64_t bytes_max)
{
    const char *text = image_at(header, offset);
    uint64_t bytes = 0;
    while (count > 0 && bytes < bytes_max && image_within_index(header, offset + bytes, 1)) {
        count -= text[bytes] == '\0';
        bytes++;
    }
    return count == 0 ? bytes : 0;
}

/* Absolute, no component empty, "." or "..", NUL-terminated; "/" alone is the root. */
static bool path_is_normal(const char *path)
{
    if (path[0] != '/' || path[1] == '\0') {
        return path[0] == '/';
    }
    const char *begin = path + 1; /* of the component */
    for (const char *end = begin;; end++) {
        if (*end == '/' || *end == '\0') {
            bool is_dots = end - begin <= 2 && begin[0] == '.' && end[-1] == '.';
            if (end == begin || is_dots || *end == '\0') {
                return end != begin && !is_dots;
            }
            begin = end + 1;
        }
    }
}

static enum result check_strings(const struct image_header *header, const char **reason)
{
    IMAGE_REQUIRE(strings_bytes(header, header->program_path_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
                  "program path does not end inside the index");
    IMAGE_REQUIRE(path_is_normal(image_at(header, header->program_path_offset)),
                  "program path is not absolute and normal");
    IMAGE_REQUIRE(
        strings_bytes(header, header->working_directory_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
        "working directory does not end inside the index");
    IMAGE_REQUIRE(path_is_normal(image_at(header, header->working_directory_offset)),
                  "working directory is not absolute and normal");
    IMAGE_REQUIRE(strings_bytes(header, header->host_name_offset, 1, IMAGE_HOST_NAME_BYTES_MAX) !=
                      0,
                  "host name does not end in time");
    uint64_t arguments = strings_bytes(header, header->argument_offset, header->argument_count,
                                       IMAGE_ARGUMENT_BYTES_MAX);
    uint64_t environment = strings_bytes(header, header->environment_offset,
                                         header->environment_count, IMAGE_ARGUMENT_BYTES_MAX);
    IMAGE_REQUIRE(arguments != 0 || header->argument_count == 0, "arguments do not end in time");
    IMAGE_REQUIRE(environment != 0 || header->environment_count == 0,
                  "environment does not end in time");
    IMAGE_REQUIRE(arguments + environment <= IMAGE_ARGUMENT_BYTES_MAX,
                  "arguments and environment are too long");
    return RESULT_OK;
}

static enum result check_content(const struct image_header *header, const struct image_file *file,
                                 const char **reason)
{
    uint32_t type = file->mode & MODE_TYPE;
    IMAGE_REQUIRE(type == MODE_DIRECTORY || type == MODE_REGULAR || type == MODE_LINK,
                  "file has a type that an image cannot hold");
    IMAGE_REQUIRE(file->mode <= MODE_MAX, "file mode has unknown bits");
    IMAGE_REQUIRE(type != MODE_DIRECTORY || (file->bytes == 0 && file->offset == 0),
                  "directory has content");
    IMAGE_REQUIRE(type != MODE_LINK || (file->bytes > 0 && file->bytes < IMAGE_PATH_BYTES_MAX),
                  "symbolic link has a bad length");
    IMAGE_REQUIRE(image_in_pages(file->offset), "file offset is not in pages");
    IMAGE_REQUIRE(file->bytes == 0 || image_within(file->offset, file->bytes, header->posix_end,
                                                   header->image_bytes),
                  "file content is outside of the image");
    return RESULT_OK;
}

static enum result check_files(const struct image_header *header, const char **reason)
{
    IMAGE_REQUIRE(header->file_count > 0 && header->file_count <= IMAGE_FILES_MAX,
                  "no file or too many files");
    IMAGE_REQUIRE(IS_ALIGNED(header->file_offset, alignof(struct image_file)),
                  "file table is not aligned");
    IMAGE_REQUIRE(image_within_index(header, header->file_offset,
                                     (uint64_t)header->file_count * sizeof(struct image_file)),
                  "file table is outside of the index");
    uint64_t blocks = 0;
    const struct image_file *files = image_at(header, header->file_offset);
    for (uint32_t i = 0; i < header->file_count; i++) {
        IMAGE_REQUIRE(strings_bytes(header, files[i].path_offset, 1, IMAGE_PATH_BYTES_MAX) != 0,
                      "file path does not end inside the index");
        const char *path = image_at(header, files[i].path_offset);
        IMAGE_REQUIRE(path_is_normal(path), "file path is not absolute and normal");
        IMAGE_REQUIRE(i == 0 ||
                          __builtin_strcmp(image_at(header, files[i - 1].path_offset), path) < 0,
                      "file table is not sorted");
        TRY(check_content(header, &files[i], reason));
        blocks += (files[i].bytes + IMAGE_BLOCK_BYTES - 1) / IMAGE_BLOCK_BYTES;
    }
    IMAGE_REQUIRE(blocks == header->digest_count, "digests are not as many as blocks of files");
    IMAGE_REQUIRE(IS_ALIGNED(header->digest_offset, sizeof(uint32_t)),
                  "digest table is not aligned");
    IMAGE_REQUIRE(image_within_index(header, header->digest_offset, blocks * sizeof(uint32_t)),
                  "digest table is outside of the index");
    return RESULT_OK;
}

/* @impl ATL-LLR-IMAGE-0006~3 */
enum result posix_index_validate(const struct image_header *header, const char **reason)
{
    TRY(check_strings(header, reason));
    return check_files(header, reason);
}
