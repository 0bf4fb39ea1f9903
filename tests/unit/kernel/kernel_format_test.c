/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's formatter against the C library's. */
#include <check.h>
#include <format.h>

struct buffer {
    struct format_sink sink;
    size_t used;
    char text[256];
};

static void put(struct format_sink *sink, char character)
{
    struct buffer *buffer = (struct buffer *)sink;
    if (buffer->used < sizeof(buffer->text) - 1) {
        buffer->text[buffer->used++] = character;
    }
}

__attribute__((format(printf, 1, 2))) static const char *format(const char *text, ...)
{
    static struct buffer buffer;
    buffer = (struct buffer){.sink = {put}};
    va_list arguments;
    va_start(arguments, text);
    format_text(&buffer.sink, text, arguments);
    va_end(arguments);
    return buffer.text;
}

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char wanted_[256];                                                                         \
        snprintf(wanted_, sizeof(wanted_), __VA_ARGS__);                                           \
        CHECK_STRING(format(__VA_ARGS__), wanted_);                                                \
    } while (0)

/* @verifies ATL-LLR-BOOT-0023~1 */
TEST(conversions_are_those_of_the_c_library)
{
    SAME("plain %% text %c%c\n", 'a', 'b');
    SAME("%d %d %d %i", 0, -1, INT32_MIN, INT32_MAX);
    SAME("%u %u %x %x", 0u, UINT32_MAX, 0u, 0xdeadbeefu);
    SAME("%ld %ld %lu %lx", INT64_MIN, INT64_MAX, UINT64_MAX, UINT64_MAX);
    SAME("%zu %llu", (size_t)12345678901, 98765432109ull);
    SAME("%s|%s|", "text", "");
    SAME("%p", (void *)0x1234abcd);
}

/* @verifies ATL-LLR-BOOT-0023~1 */
TEST(widths_and_flags_are_those_of_the_c_library)
{
    SAME("%5d|%-5d|%05d|%05d", 42, 42, 42, -42);
    SAME("%8x|%08x|%-8x|%16lx|%016lx", 0xabcu, 0xabcu, 0xabcu, 0xabcul, 0xabcul);
    SAME("%10s|%-10s|%2s", "word", "word", "word");
    SAME("%3c|%-3c|", 'x', 'y');
    SAME("%20p|", (void *)0x10);
}

/* @verifies ATL-LLR-BOOT-0023~1 @robust */
TEST(odd_formats_do_no_harm)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    CHECK_STRING(format("%s", (const char *)NULL), "(null)");
    CHECK_STRING(format("%q %y"), "%q %y");
    CHECK_STRING(format("end%"), "end%");
    CHECK_STRING(format("end%-05l"), "end%-05l");
    CHECK_EQUAL(strlen(format("%99999999999d", 1)), FORMAT_WIDTH_MAX);
#pragma GCC diagnostic pop
}

CHECK_MAIN()
