/* SPDX-License-Identifier: Apache-2.0 */
/* Each field of posix's header, wrong once. */
#include "cell.h"

#include "check.h"

static struct image_header image;
static struct gate_posix_header header;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

static void prepare(void)
{
    image = (struct image_header){0};
    for (unsigned i = 0; i < IMAGE_POSIX_SECTION_COUNT; i++) {
        image.posix[i] = (struct image_section){
            .address = i * 0x10000ull, .file_bytes = 0x3000, .memory_bytes = 0x4000};
    }
    uint64_t data = image.posix[IMAGE_POSIX_DATA].address;
    header = (struct gate_posix_header){.magic = GATE_POSIX_MAGIC,
                                        .version = GATE_ABI_VERSION,
                                        .bytes = sizeof(header),
                                        .offsets.start = 0x10,
                                        .offsets.first_stack = data + 0x4000,
                                        .offsets.syscall_entry = 0x20,
                                        .offsets.upcall_entry = 0x30,
                                        .offsets.text_begin = 0,
                                        .offsets.text_end = 0x3000,
                                        .offsets.exit_call_begin = 0x100,
                                        .offsets.exit_call_swapped = 0x108,
                                        .offsets.exit_call_end = 0x110,
                                        .offsets.exit_frame_begin = 0x200,
                                        .offsets.exit_frame_last = 0x210,
                                        .offsets.exit_frame_end = 0x212,
                                        .offsets.words = image.posix[IMAGE_POSIX_PERCORE].address,
                                        .offsets.gate_page = 0x80000,
                                        .offsets.info_page = 0x81000};
}

#define REFUSED(change_)                                                                           \
    do {                                                                                           \
        prepare();                                                                                 \
        change_;                                                                                   \
        CHECK_EQUAL(posix_header_validate(&image, &header), RESULT_FORMAT);                        \
    } while (0)

/* @verifies ATL-LLR-ISOL-0022~1 */
TEST(a_good_header_passes)
{
    prepare();
    CHECK_EQUAL(posix_header_validate(&image, &header), RESULT_OK);
}

/* @verifies ATL-LLR-ISOL-0022~1 */
TEST(every_wrong_field_is_refused)
{
    REFUSED(header.magic++);
    REFUSED(header.version++);
    REFUSED(header.bytes--);
    REFUSED(image.posix[IMAGE_POSIX_RODATA].file_bytes = 8);
    REFUSED(header.offsets.start = 0x4000);
    REFUSED(header.offsets.syscall_entry = 0x10000);
    REFUSED(header.offsets.upcall_entry = UINT64_MAX);
    REFUSED(header.offsets.text_begin = 0x3000);
    REFUSED(header.offsets.text_end = 0x4001);
    REFUSED(header.offsets.exit_call_begin = 0x108);
    REFUSED(header.offsets.exit_call_swapped = 0x110);
    REFUSED(header.offsets.exit_call_end = 0x5000);
    REFUSED(header.offsets.exit_frame_begin = 0x210);
    REFUSED(header.offsets.exit_frame_last = 0x212);
    REFUSED(header.offsets.exit_frame_end = UINT64_MAX);
    REFUSED(header.offsets.first_stack += 8);
    REFUSED(header.offsets.first_stack = 0);
    REFUSED(header.offsets.first_stack += 16);
    REFUSED(header.offsets.words += 8);
    REFUSED(image.posix[IMAGE_POSIX_PERCORE].memory_bytes = 0);
    REFUSED(header.offsets.gate_page = 0x81000);
    REFUSED(header.offsets.gate_page = 0x80010);
    REFUSED(header.offsets.gate_page = 0x3000);
    REFUSED(header.offsets.info_page = 0x10000);
    REFUSED(header.offsets.info_page = 0x100000000000ull);
}

CHECK_MAIN()
