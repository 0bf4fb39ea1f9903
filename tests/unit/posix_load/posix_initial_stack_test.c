/* SPDX-License-Identifier: Apache-2.0 */
/* The initial stack, read back as a C library does. */
#include "../check.h"

#include <posix/load.h>

#define TOP 0x7000000ull

static uint8_t *buffer;
static size_t buffer_bytes;

/* The bytes at an address of the new stack. */
static const void *at(uint64_t address)
{
    CHECK(address <= TOP && TOP - address <= buffer_bytes);
    return buffer + buffer_bytes - (TOP - address);
}

static uint64_t word_at(uint64_t address)
{
    uint64_t word;
    memcpy(&word, at(address), sizeof(word));
    return word;
}

/* Reads NULL-terminated pointers; returns the address behind them. */
static uint64_t check_strings(uint64_t address, const char *strings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        CHECK_STRING((const char *)at(word_at(address)), strings);
        strings += strlen(strings) + 1;
        address += 8;
    }
    CHECK_EQUAL(word_at(address), 0);
    return address + 8;
}

static uint64_t find_auxiliary(uint64_t address, uint64_t type)
{
    while (word_at(address) != 0) {
        if (word_at(address) == type) {
            return word_at(address + 8);
        }
        address += 16;
    }
    return UINT64_MAX;
}

static void check_layout(const struct posix_initial_stack *content)
{
    buffer_bytes = posix_initial_stack_bytes(content);
    buffer = malloc(buffer_bytes);
    size_t used = posix_initial_stack_build(content, buffer, buffer_bytes, TOP);
    CHECK(used <= buffer_bytes);
    CHECK_EQUAL(used % 16, 0);
    uint64_t stack = TOP - used;
    CHECK_EQUAL(word_at(stack), content->argument_count);
    uint64_t next = check_strings(stack + 8, content->arguments, content->argument_count);
    next = check_strings(next, content->environment, content->environment_count);
    for (uint32_t i = 0; i < content->auxiliary_count; i++) {
        CHECK_EQUAL(word_at(next + 16 * i), content->auxiliary[i].type);
        CHECK_EQUAL(word_at(next + 16 * i + 8), content->auxiliary[i].value);
    }
    CHECK_BYTES(at(find_auxiliary(next, 25)), content->random, 16);
    CHECK_STRING((const char *)at(find_auxiliary(next, 31)), content->executable);
    CHECK_STRING((const char *)at(find_auxiliary(next, 15)), "x86_64");
    CHECK_EQUAL(word_at(TOP - 8), 0);
    free(buffer);
}

/* @verifies ATL-LLR-LOAD-0002~1 */
TEST(every_shape_of_arguments_and_environment_reads_back)
{
    static char strings[4096];
    size_t length = 0;
    for (int i = 0; i < 40; i++) {
        length += (size_t)snprintf(strings + length, sizeof(strings) - length, "%.*s", i,
                                   "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq") +
                  1;
    }
    struct posix_initial_stack content = {.arguments = strings,
                                          .environment = strings,
                                          .executable = "/program",
                                          .random = "0123456789abcde",
                                          .auxiliary = {{6, 4096}, {9, 0x401000}, {33, 7}}};
    for (content.argument_count = 0; content.argument_count < 40; content.argument_count++) {
        for (content.environment_count = 0; content.environment_count < 40;
             content.environment_count += 3) {
            content.auxiliary_count = content.argument_count % 4;
            check_layout(&content);
        }
    }
}

CHECK_MAIN()
