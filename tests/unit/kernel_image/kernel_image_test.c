/* SPDX-License-Identifier: Apache-2.0 */
/* The image's validators, the kernel's and posix/'s: one accepted sample, and for each field one
 * that must be refused with the field's own reason. */
#include "sample.h"
#include <check.h>
#include <posix/load.h>

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

static struct sample sample;
static struct image_header *header;
static struct image_file *files;

static enum result validate(uint64_t bytes, const char **reason)
{
    const struct image_header *found = NULL;
    enum result result = image_validate(sample_crc32c, sample.bytes, bytes, &found, reason);
    CHECK((result == RESULT_OK) == (found == header && found != NULL));
    return result == RESULT_OK ? posix_index_validate(found, reason) : result;
}

static void begin(void)
{
    sample_build(&sample);
    header = sample_header(&sample);
    files = sample_files(&sample);
}

static void expect_reason(const char *expected)
{
    const char *reason = NULL;
    CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_FORMAT);
    CHECK_STRING(reason, expected);
}

/* A test that changes the sample, seals it, and expects a reason. */
#define REFUSES(name_, reason_, ...)                                                               \
    TEST(refuses_##name_)                                                                          \
    {                                                                                              \
        begin();                                                                                   \
        __VA_ARGS__;                                                                               \
        sample_seal(&sample);                                                                      \
        expect_reason(reason_);                                                                    \
    }

/* @verifies ATL-LLR-IMAGE-0001~1 */
TEST(accepts_the_sample)
{
    const char *reason = NULL;
    begin();
    CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_OK);
    CHECK(reason == NULL);
}

/* @verifies ATL-LLR-IMAGE-0002~1 */
TEST(crc_has_the_standard_check_value)
{
    CHECK_EQUAL(~sample_crc32c(UINT32_MAX, "123456789", 9), 0xe3069283u);
}

/* @verifies ATL-LLR-IMAGE-0001~1 @robust */
TEST(refuses_every_length_but_its_own)
{
    const char *reason = NULL;
    begin();
    CHECK_EQUAL(validate(0, &reason), RESULT_FORMAT);
    CHECK_STRING(reason, "image is too short");
    CHECK_EQUAL(validate(sizeof(struct image_header) - 1, &reason), RESULT_FORMAT);
    CHECK_STRING(reason, "image is too short");
    CHECK_EQUAL(validate(SAMPLE_BYTES - 4096, &reason), RESULT_FORMAT);
    CHECK_STRING(reason, "image size differs from the location");
}

/* @verifies ATL-LLR-IMAGE-0001~1 @robust */
TEST(refuses_an_unaligned_image)
{
    const struct image_header *found = NULL;
    const char *reason = NULL;
    begin();
    CHECK_EQUAL(image_validate(sample_crc32c, sample.bytes + 4, SAMPLE_BYTES - 4, &found, &reason),
                RESULT_FORMAT);
    CHECK_STRING(reason, "image is not aligned");
}

/* @verifies ATL-LLR-IMAGE-0001~1 @robust */
REFUSES(magic, "magic is not ALIMAGE1", header->magic++)
REFUSES(version, "version is not known", header->version++)
REFUSES(header_bytes, "header size differs", header->header_bytes -= 4)
REFUSES(image_bytes, "image size differs from the location", header->image_bytes += 4096)
REFUSES(index_in_pages, "index size is not in pages", header->index_bytes -= 8)
REFUSES(index_empty, "index size is not in pages", header->index_bytes = 0)
REFUSES(index_too_long, "index exceeds the image", header->index_bytes = SAMPLE_BYTES + 4096)
REFUSES(posix_end_in_pages, "posix end is not in pages", header->posix_end++)
REFUSES(posix_end_low, "posix end is outside of the image", header->posix_end = 0)
REFUSES(posix_end_high, "posix end is outside of the image",
        header->posix_end = SAMPLE_BYTES + 4096)

TEST(refuses_a_size_that_is_not_in_pages)
{
    const char *reason = NULL;
    begin();
    header->image_bytes -= 8;
    CHECK_EQUAL(validate(SAMPLE_BYTES - 8, &reason), RESULT_FORMAT);
    CHECK_STRING(reason, "image size is not in pages");
}

/* @verifies ATL-LLR-IMAGE-0002~1 @robust */
TEST(refuses_every_flipped_bit_of_the_index_and_of_posix)
{
    const char *reason = NULL;
    begin();
    for (uint32_t bit = 0; bit < SAMPLE_POSIX_END * 8; bit += 61) {
        sample.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_FORMAT);
        sample.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    sample.bytes[SAMPLE_INDEX_BYTES - 1] ^= 1;
    expect_reason("checksum of the index differs");
    sample.bytes[SAMPLE_INDEX_BYTES - 1] ^= 1;
    sample.bytes[SAMPLE_POSIX_END - 1] ^= 1;
    expect_reason("checksum of posix differs");
}

/* @verifies ATL-LLR-IMAGE-0003~1 @robust */
REFUSES(ring, "ring is not 0 or 3", header->ring = 1)
REFUSES(cores, "too many cores", header->cores = CORE_COUNT_MAX + 1)
REFUSES(flags, "flag is not known", header->flags = 128)
REFUSES(quantum_low, "quantum is outside of 100..1000000 us", header->quantum_us = 99)
REFUSES(quantum_high, "quantum is outside of 100..1000000 us", header->quantum_us = 1000001)
REFUSES(no_gate_calls, "gate calls are no set with exit in it", header->gate_calls = 0)
REFUSES(gate_calls_without_exit, "gate calls are no set with exit in it", header->gate_calls = 2)
REFUSES(port_memory_in_part_of_a_page, "port memory is not in pages, too small or too large",
        header->port_bytes = 0x8001)
REFUSES(port_memory_too_small, "port memory is not in pages, too small or too large",
        header->port_bytes = IMAGE_PORT_BYTES_MIN - 0x1000)
REFUSES(port_memory_too_large, "port memory is not in pages, too small or too large",
        header->port_bytes = IMAGE_PORT_BYTES_MAX + 0x1000)
REFUSES(policy_behind_the_index, "network policy is outside of the index",
        (header->policy_offset = SAMPLE_INDEX_BYTES - 8, header->policy_count = 1))
REFUSES(policy_unaligned, "network policy is outside of the index",
        (header->policy_offset = 4, header->policy_count = 1))
REFUSES(policy_with_too_many_rules, "network policy is outside of the index",
        (header->policy_offset = 0, header->policy_count = IMAGE_POLICY_RULES_MAX + 1))
REFUSES(policy_that_wraps, "network policy is outside of the index",
        (header->policy_offset = UINT32_MAX - 7, header->policy_count = 0))
REFUSES(too_many_gate_calls, "gate calls are no set with exit in it", header->gate_calls = 0x10001)

TEST(accepts_both_rings_and_the_ends_of_each_range)
{
    const char *reason = NULL;
    begin();
    header->ring = 0;
    header->cores = CORE_COUNT_MAX;
    header->quantum_us = 100;
    header->flags = 127 | IMAGE_FLAG_NEIGHBOUR;
    sample_seal(&sample);
    CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_OK);
    header->quantum_us = 1000000;
    sample_seal(&sample);
    CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_OK);
}

/* @verifies ATL-LLR-IMAGE-0004~1 @robust */
REFUSES(section_offset, "section offset is not in pages", header->posix[1].offset++)
REFUSES(section_address, "section address is not in pages", header->posix[1].address++)
REFUSES(section_memory, "section memory size is not in pages", header->posix[1].memory_bytes++)
REFUSES(section_content, "section content exceeds its memory", header->posix[1].file_bytes = 8192)
REFUSES(section_in_index, "section content is outside of posix", header->posix[0].offset = 0)
REFUSES(section_behind, "section content is outside of posix",
        header->posix[3].offset = SAMPLE_POSIX_END)
REFUSES(section_wraps, "section content is outside of posix",
        header->posix[3].offset = UINT64_MAX - 4095)
REFUSES(section_high, "section address is too high",
        header->posix[4].address = IMAGE_POSIX_SPAN_MAX)
REFUSES(section_long, "section address is too high", header->posix[4].memory_bytes = 0ull - 4096)
REFUSES(section_order, "section contents overlap", header->posix[2].offset = 2 * 4096)
REFUSES(section_overlap, "section addresses overlap", header->posix[2].address = 4096)
REFUSES(text_empty, "text is empty or not wholly in the image", header->posix[0].file_bytes = 0)
REFUSES(rodata_partial, "rodata is empty or not wholly in the image",
        header->posix[1].file_bytes = 0)
REFUSES(percore_content, "per-core section has content",
        (header->posix[4].offset = 4 * 4096, header->posix[3].file_bytes = 0,
         header->posix[4].file_bytes = 8))
REFUSES(percore_empty, "per-core section is empty", header->posix[4].memory_bytes = 0)

TEST(refuses_text_that_is_longer_than_its_content)
{
    begin();
    for (uint32_t i = 1; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        header->posix[i].address += 4096;
    }
    header->posix[0].memory_bytes += 4096;
    sample_seal(&sample);
    expect_reason("text is empty or not wholly in the image");
}

/* @verifies ATL-LLR-IMAGE-0005~1 @robust */
REFUSES(relocation_table, "relocation table is not aligned", header->relocation_offset++)
REFUSES(relocation_count, "relocation table is outside of the index",
        header->relocation_count = UINT32_MAX)
REFUSES(relocation_offset, "relocation table is outside of the index",
        header->relocation_offset = SAMPLE_INDEX_BYTES)
REFUSES(relocation_in_header, "relocation table is outside of the index",
        header->relocation_offset = 0)
REFUSES(relocation_alignment, "relocation is not aligned", sample_relocations (&sample)[1]++)
REFUSES(relocation_twice, "relocations do not ascend",
        sample_relocations (&sample)[1] = sample_relocations(&sample)[0])
REFUSES(relocation_of_text, "relocation is outside of relro and data",
        sample_relocations (&sample)[0] = 8)
REFUSES(relocation_behind_relro, "relocation is outside of relro and data",
        sample_relocations (&sample)[1] = 2 * 4096 + 64)
REFUSES(relocation_behind_data, "relocation is outside of relro and data",
        sample_relocations (&sample)[2] = 3 * 4096 + 128)

/* @verifies ATL-LLR-IMAGE-0006~3 @robust */
REFUSES(program_path_offset, "program path does not end inside the index",
        header->program_path_offset = SAMPLE_INDEX_BYTES)
REFUSES(program_path, "program path is not absolute and normal",
        sample_text(&sample, header->program_path_offset)[0] = 'x')
REFUSES(directory_offset, "working directory does not end inside the index",
        header->working_directory_offset = UINT32_MAX)
REFUSES(directory, "working directory is not absolute and normal",
        sample_text(&sample, header->working_directory_offset)[0] = 'x')
REFUSES(host_name_offset, "host name does not end in time", header->host_name_offset = UINT32_MAX)
REFUSES(argument_count, "arguments do not end in time", header->argument_count = UINT32_MAX)
REFUSES(environment_count, "environment does not end in time",
        header->environment_count = UINT32_MAX)
REFUSES(no_file, "no file or too many files", header->file_count = 0)
REFUSES(many_files, "no file or too many files", header->file_count = IMAGE_FILES_MAX + 1)
REFUSES(file_table_alignment, "file table is not aligned", header->file_offset++)
REFUSES(file_table, "file table is outside of the index", header->file_count = 100)
REFUSES(file_path_offset, "file path does not end inside the index", files[0].path_offset = 0)
REFUSES(file_path, "file path is not absolute and normal",
        sample_text(&sample, files[0].path_offset)[0] = 'x')
REFUSES(file_order, "file table is not sorted", files[2].path_offset = files[1].path_offset)
REFUSES(file_type, "file has a type that an image cannot hold", files[0].mode = 0020644)
REFUSES(file_mode, "file mode has unknown bits", files[1].mode |= 0x10000)
REFUSES(directory_content, "directory has content", files[0].bytes = 1)
REFUSES(empty_link, "symbolic link has a bad length", files[2].mode = 0120777)
REFUSES(file_offset, "file offset is not in pages", files[1].offset++)
REFUSES(file_in_posix, "file content is outside of the image", files[1].offset = 4096)
REFUSES(file_length, "file content is outside of the image", files[1].bytes = 33 * 4096 + 1)
REFUSES(file_wraps, "file content is outside of the image", files[1].bytes = UINT64_MAX)
REFUSES(digest_count, "digests are not as many as blocks of files", header->digest_count++)
REFUSES(digest_missing, "digests are not as many as blocks of files",
        files[1].bytes = IMAGE_BLOCK_BYTES)
REFUSES(digest_alignment, "digest table is not aligned", header->digest_offset++)
REFUSES(digest_table, "digest table is outside of the index",
        header->digest_offset = SAMPLE_INDEX_BYTES - 8)
REFUSES(digest_table_in_header, "digest table is outside of the index", header->digest_offset = 8)

static void refuse_program_path(const char *path)
{
    begin();
    header->program_path_offset = sample_append(&sample, path, (uint32_t)strlen(path) + 1);
    sample_seal(&sample);
    expect_reason("program path is not absolute and normal");
}

/* @verifies ATL-LLR-IMAGE-0006~3 @robust */
TEST(refuses_paths_that_are_not_normal)
{
    refuse_program_path("");
    refuse_program_path("relative");
    refuse_program_path("//double");
    refuse_program_path("/a//b");
    refuse_program_path("/a/");
    refuse_program_path("/.");
    refuse_program_path("/a/./b");
    refuse_program_path("/..");
    refuse_program_path("/a/../b");
}

TEST(accepts_dots_inside_of_names)
{
    static const char *const paths[] = {"/.a", "/..a", "/a.", "/a..", "/...", "/a/.b/c"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        const char *reason = NULL;
        begin();
        header->program_path_offset =
            sample_append(&sample, paths[i], (uint32_t)strlen(paths[i]) + 1);
        sample_seal(&sample);
        CHECK_EQUAL(validate(SAMPLE_BYTES, &reason), RESULT_OK);
    }
}

TEST(refuses_a_string_that_runs_to_the_end_of_the_index)
{
    begin();
    memset(sample.bytes + sample.end, 'x', SAMPLE_INDEX_BYTES - sample.end);
    header->host_name_offset = sample.end;
    header->program_path_offset = SAMPLE_INDEX_BYTES - 4;
    sample_seal(&sample);
    expect_reason("program path does not end inside the index");
}

TEST(refuses_a_host_name_of_65_bytes)
{
    char name[66];
    memset(name, 'h', sizeof(name));
    name[65] = 0;
    begin();
    header->host_name_offset = sample_append(&sample, name, sizeof(name));
    sample_seal(&sample);
    expect_reason("host name does not end in time");
}

CHECK_MAIN()
