/* SPDX-License-Identifier: Apache-2.0 */
/* The program: what its ELF file says, checked before anything is mapped, and the initial stack.
 * The functions here are pure: hosted tests and fuzz targets call them on any bytes. */
#ifndef POSIX_LOAD_H
#define POSIX_LOAD_H

#include <kernel/image.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of an image's index, where the kernel does not look: posix_index_validate. */
#define IMAGE_FILES_MAX 65536u
#define IMAGE_ARGUMENT_BYTES_MAX 131072u
#define IMAGE_PATH_BYTES_MAX 4096u    /* with NUL */
#define IMAGE_HOST_NAME_BYTES_MAX 65u /* with NUL */

#define POSIX_ELF_SEGMENTS_MAX 16u
#define POSIX_ELF_HEADERS_MAX 64u

struct posix_elf_segment {
    uint64_t address, file_bytes, memory_bytes; /* address as linked; memory_bytes >= file_bytes */
    uint64_t offset;                            /* in the file, congruent to address mod a page */
    uint32_t protection;                        /* PROT_* bits */
};

struct posix_elf {
    bool is_position_independent;
    bool wants_executable_stack;
    uint16_t header_count;
    uint32_t segment_count;
    uint64_t entry;           /* as linked */
    uint64_t headers_address; /* of the program headers as linked, 0 if no segment holds them */
    uint64_t low, high;       /* page multiples around all segments */
    struct posix_elf_segment segments[POSIX_ELF_SEGMENTS_MAX]; /* ascending */
};

/* Where segments may lie: addresses of a fixed program must be in one slot above the floor. */
struct posix_elf_limits {
    uint64_t floor;      /* lowest mappable address */
    uint64_t slot_bytes; /* a segment must not cross a multiple of it */
    uint64_t end;        /* behind the highest mappable address */
    bool allow_write_execute;
};

/* Checks a static x86-64 ELF program and tells what to map.
 *
 * @bytes      the whole file, @bytes_count of it; only headers are read
 * @elf        written only on success
 * @reason     on failure a static sentence about the first thing that is wrong
 * Errors:     false: not loadable */
bool posix_elf_validate(const void *bytes, size_t bytes_count,
                        const struct posix_elf_limits *limits, struct posix_elf *elf,
                        const char **reason);

/* Checks what the kernel left unjudged of the image's index, because it does not use it: the
 * strings and the table of files.
 *
 * @header     of a payload that image_validate took
 * @reason     on failure: text of the one field that is wrong, different for each field
 * Errors:     RESULT_FORMAT malformed */
enum result posix_index_validate(const struct image_header *header, const char **reason);

#define POSIX_AUXILIARY_MAX 24u
struct posix_auxiliary {
    uint64_t type, value;
};

/* What goes on the initial stack. Strings are NUL-terminated one after the other. */
struct posix_initial_stack {
    const char *arguments, *environment;
    uint32_t argument_count, environment_count;
    const char *executable; /* AT_EXECFN */
    uint8_t random[16];     /* AT_RANDOM */
    /* entries without AT_NULL; AT_RANDOM, AT_EXECFN and AT_PLATFORM are added */
    struct posix_auxiliary auxiliary[POSIX_AUXILIARY_MAX];
    uint32_t auxiliary_count;
};

/* Bytes that the initial stack takes at most, for the caller's buffer. */
size_t posix_initial_stack_bytes(const struct posix_initial_stack *content);

/* Lays the initial stack out as Linux does: argc, argv, NULL, envp, NULL, auxiliary vector,
 * strings.
 *
 * @buffer     its end corresponds to address @top; @buffer_bytes >= posix_initial_stack_bytes
 * Returns the bytes used at the end of the buffer: rsp = top - that, 16-aligned. */
size_t posix_initial_stack_build(const struct posix_initial_stack *content, uint8_t *buffer,
                                 size_t buffer_bytes, uint64_t top);

/* The auxiliary vector as the program got it, its end included. */
const uint64_t *posix_auxiliary(size_t *bytes);

#endif
