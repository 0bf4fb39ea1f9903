/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's formatter against the C library's. */
#include <check.h>
#include <format.h>

static char text[256];

/* The text that fits into room bytes. */
__attribute__((format(printf, 2, 3))) static const char *format(size_t room, const char *form, ...)
{
    memset(text, '#', sizeof(text));
    va_list arguments;
    va_start(arguments, form);
    size_t used = format_text(text, room, form, arguments);
    va_end(arguments);
    CHECK(used <= room && text[room] == '#');
    text[used] = '\0';
    return text;
}

#define SAME(...)                                                                                  \
    do {                                                                                           \
        char wanted_[256];                                                                         \
        snprintf(wanted_, sizeof(wanted_), __VA_ARGS__);                                           \
        CHECK_STRING(format(sizeof(text) - 1, __VA_ARGS__), wanted_);                              \
    } while (0)

/* @verifies ATL-LLR-BOOT-0023~1 */
TEST(conversions_are_those_of_the_c_library)
{
    SAME("plain %% text\n");
    SAME("%u %u %x %x", 0u, UINT32_MAX, 0u, 0xdeadbeefu);
    SAME("%lu %lx %lu", UINT64_MAX, UINT64_MAX, 0ul);
    SAME("%s|%s|", "text", "");
}

/* @verifies ATL-LLR-BOOT-0023~1 @robust */
TEST(what_does_not_fit_is_left_out)
{
    CHECK_STRING(format(5, "%u and more", 1234u), "1234 ");
    CHECK_STRING(format(3, "%u", 123456u), "123");
    CHECK_STRING(format(3, "%s", "abcdef"), "abc");
    CHECK_STRING(format(0, "abc"), "");
}

/* @verifies ATL-LLR-BOOT-0023~1 @robust */
TEST(odd_formats_do_no_harm)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#pragma GCC diagnostic ignored "-Wformat-overflow"
    CHECK_STRING(format(200, "%s", (const char *)NULL), "(null)");
    CHECK_STRING(format(200, "%q %y"), "q y");
    CHECK_STRING(format(200, "end%"), "end%");
    CHECK_STRING(format(200, "end%l"), "endl");
#pragma GCC diagnostic pop
}

CHECK_MAIN()
