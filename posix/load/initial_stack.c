/* SPDX-License-Identifier: Apache-2.0 */
/* The initial stack. From the top down: executable path, environment strings, argument strings,
 * platform, 16 random bytes, padding; then, ending 16-aligned at rsp, the auxiliary vector, envp,
 * argv and argc. Source: System V ABI AMD64 supplement, "Initial Stack and Register State". */
#include <posix/load.h>

enum {
    AUXILIARY_NULL = 0,
    AUXILIARY_PLATFORM = 15,
    AUXILIARY_RANDOM = 25,
    AUXILIARY_EXECUTABLE = 31,
};

#define WORD sizeof(uint64_t)
static const char platform[] = "x86_64";

/* Where the next thing goes; bytes count down from the buffer's end. */
#define AUXILIARY_MAX 40u

struct writer {
    uint8_t *end;
    uint64_t top;
    size_t used;
};

static size_t strings_bytes(const char *strings, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += __builtin_strlen(strings + bytes) + 1;
    }
    return bytes;
}

static size_t words_count(const struct posix_initial_stack *content)
{
    /* argc; argv and NULL; envp and NULL; auxiliary entries, three added ones and the end */
    return 1 + content->argument_count + 1 + content->environment_count + 1 +
           2 * ((size_t)content->auxiliary_count + 4);
}

size_t posix_initial_stack_bytes(const struct posix_initial_stack *content)
{
    return strings_bytes(content->arguments, content->argument_count) +
           strings_bytes(content->environment, content->environment_count) +
           __builtin_strlen(content->executable) + 1 + sizeof(platform) + sizeof(content->random) +
           words_count(content) * WORD + 64;
}

/* Puts bytes below what is there; returns their address. */
static uint64_t put(struct writer *writer, const void *bytes, size_t count)
{
    writer->used += count;
    __builtin_memcpy(writer->end - writer->used, bytes, count);
    return writer->top - writer->used;
}

static void put_word(uint8_t **at, uint64_t value)
{
    __builtin_memcpy(*at, &value, WORD);
    *at += WORD;
}

/* Pointers to strings that lie one after the other from first on, then NULL. */
static void put_pointers(uint8_t **at, const char *strings, uint32_t count, uint64_t first)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < count; i++) {
        put_word(at, first + offset);
        offset += __builtin_strlen(strings + offset) + 1;
    }
    put_word(at, 0);
}

/* As it was given to the program, for /proc/self/auxv. */
static uint64_t auxiliary_given[2 * AUXILIARY_MAX];
static size_t auxiliary_words;

static void put_auxiliary(uint8_t **at, uint64_t type, uint64_t value)
{
    put_word(at, type);
    put_word(at, value);
    if (auxiliary_words + 2 <= 2 * AUXILIARY_MAX) {
        auxiliary_given[auxiliary_words++] = type;
        auxiliary_given[auxiliary_words++] = value;
    }
}

const uint64_t *posix_auxiliary(size_t *bytes)
{
    *bytes = auxiliary_words * sizeof(auxiliary_given[0]);
    return auxiliary_given;
}

/* @impl ATL-LLR-LOAD-0002~1 */
size_t posix_initial_stack_build(const struct posix_initial_stack *content, uint8_t *buffer,
                                 size_t buffer_bytes, uint64_t top)
{
    struct writer writer = {.end = buffer + buffer_bytes, .top = top};
    static const uint64_t zero;
    (void)put(&writer, &zero, WORD); /* Linux ends the stack with a null word */
    uint64_t executable =
        put(&writer, content->executable, __builtin_strlen(content->executable) + 1);
    uint64_t environment = put(&writer, content->environment,
                               strings_bytes(content->environment, content->environment_count));
    uint64_t arguments = put(&writer, content->arguments,
                             strings_bytes(content->arguments, content->argument_count));
    uint64_t platform_at = put(&writer, platform, sizeof(platform));
    writer.used = (writer.used + 15) & ~(size_t)15; /* top is 16-aligned */
    uint64_t random = put(&writer, content->random, sizeof(content->random));

    writer.used += words_count(content) * WORD;
    writer.used = (writer.used + 15) & ~(size_t)15;
    uint8_t *at = writer.end - writer.used;
    auxiliary_words = 0;
    put_word(&at, content->argument_count);
    put_pointers(&at, content->arguments, content->argument_count, arguments);
    put_pointers(&at, content->environment, content->environment_count, environment);
    for (uint32_t i = 0; i < content->auxiliary_count; i++) {
        put_auxiliary(&at, content->auxiliary[i].type, content->auxiliary[i].value);
    }
    put_auxiliary(&at, AUXILIARY_RANDOM, random);
    put_auxiliary(&at, AUXILIARY_EXECUTABLE, executable);
    put_auxiliary(&at, AUXILIARY_PLATFORM, platform_at);
    put_auxiliary(&at, AUXILIARY_NULL, 0);
    return writer.used;
}
