/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc/self: the format is Linux's, proc(5). */
#include "image.h"
#include "synthetic.h"
#include <posix/memory.h>
#include <posix/thread.h>

#define TICK_NS 10000000u /* a hundredth of a second, USER_HZ */
#define MAPS_PATH_COLUMN 73u

static uint64_t resident_pages(void)
{
    struct machine_counts counts;
    machine_count(&counts);
    return counts.frames_total - counts.frames_free;
}

static const char *program_path(void)
{
    return posix_image_string(posix_image()->program_path_offset);
}

/* The last component of the program's path, at most 15 characters as a thread's name has. */
static void append_name(struct text *text)
{
    const char *path = program_path();
    const char *name = path;
    for (const char *at = path; *at != '\0'; at++) {
        name = *at == '/' ? at + 1 : name;
    }
    size_t bytes = __builtin_strlen(name);
    text_append(text, name, bytes < 15 ? bytes : 15);
}

static const char *region_name(const struct posix_region_info *region)
{
    switch (region->kind) {
    case POSIX_REGION_HEAP:
        return "[heap]";
    case POSIX_REGION_STACK:
        return "[stack]";
    default:
        return region->file != NULL ? posix_image_string(region->file->path_offset) : NULL;
    }
}

static void append_region(struct text *text, const struct posix_region_info *region)
{
    size_t start = text->used;
    text_hexadecimal(text, region->start, 8);
    text_string(text, "-");
    text_hexadecimal(text, region->end, 8);
    bool is_open = region->kind != POSIX_REGION_BEYOND_END;
    const char bits[5] = {' ', is_open && (region->protection & GATE_READ) != 0 ? 'r' : '-',
                          is_open && (region->protection & GATE_WRITE) != 0 ? 'w' : '-',
                          is_open && (region->protection & GATE_EXECUTE) != 0 ? 'x' : '-',
                          (region->flags & POSIX_REGION_SHARED) != 0 ? 's' : 'p'};
    text_append(text, bits, sizeof(bits));
    text_string(text, " ");
    text_hexadecimal(text, region->offset, 8);
    text_string(text, region->file != NULL ? " 00:02 " : " 00:00 ");
    text_number(text,
                region->file != NULL ? image_file_index(region->file) + IMAGE_FIRST_NUMBER : 0);
    text_string(text, " ");
    const char *name = region_name(region);
    if (name != NULL) {
        while (!text->is_full && text->used - start < MAPS_PATH_COLUMN) {
            text_string(text, " ");
        }
        text_string(text, name);
    }
    text_string(text, "\n");
}

/* @impl ATL-LLR-FILE-0030~1 */
int64_t text_maps(struct text *text, uint64_t argument)
{
    (void)argument;
    struct posix_region_info region = {.end = 0};
    while (posix_memory_find(region.end, true, &region)) {
        if (region.kind != POSIX_REGION_POSIX) {
            append_region(text, &region);
        }
    }
    return 0;
}

int64_t text_process_stat(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "1 (");
    append_name(text);
    text_string(text, ") R 0 1 1 0 -1 4194304 0 0 0 0 ");
    struct machine_counts counts;
    machine_count(&counts);
    uint64_t busy_ns = posix_now_ns() * posix_info.core_count - counts.idle_ns;
    text_number(text, busy_ns / TICK_NS); /* utime */
    text_string(text, " 0 0 0 20 0 ");
    text_number(text, posix_thread_count());
    text_string(text, " 0 0 "); /* itrealvalue, starttime */
    text_number(text, posix_memory_mapped_bytes());
    text_string(text, " ");
    text_number(text, resident_pages());
    text_string(text, " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 ");
    text_number(text, posix_core());
    text_string(text, " 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    return 0;
}

int64_t text_process_statm(struct text *text, uint64_t argument)
{
    (void)argument;
    text_number(text, posix_memory_mapped_bytes() / POSIX_PAGE_BYTES);
    text_string(text, " ");
    text_number(text, resident_pages());
    text_string(text, " 0 0 0 0 0\n");
    return 0;
}

static void append_kilobytes(struct text *text, const char *name, uint64_t bytes)
{
    text_string(text, name);
    text_number_padded(text, bytes / 1024, 8);
    text_string(text, " kB\n");
}

int64_t text_process_status(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "Name:\t");
    append_name(text);
    text_string(text,
                "\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t1\nPPid:\t0\n"
                "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t\n");
    append_kilobytes(text, "VmPeak:\t", posix_memory_mapped_bytes());
    append_kilobytes(text, "VmSize:\t", posix_memory_mapped_bytes());
    append_kilobytes(text, "VmLck:\t", 0);
    append_kilobytes(text, "VmHWM:\t", resident_pages() * POSIX_PAGE_BYTES);
    append_kilobytes(text, "VmRSS:\t", resident_pages() * POSIX_PAGE_BYTES);
    append_kilobytes(text, "VmSwap:\t", 0);
    text_string(text, "Threads:\t");
    text_number(text, posix_thread_count());
    text_string(text, "\nNoNewPrivs:\t0\nSeccomp:\t0\nCpus_allowed_list:\t");
    return text_cpu_range(text, 0);
}

/* Strings of the image with their NULs. */
static void append_strings(struct text *text, const char *strings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = __builtin_strlen(strings) + 1;
        text_append(text, strings, bytes);
        strings += bytes;
    }
}

int64_t text_command_line(struct text *text, uint64_t argument)
{
    (void)argument;
    append_strings(text, posix_image_string(posix_image()->argument_offset),
                   posix_image()->argument_count);
    return 0;
}

int64_t text_environment(struct text *text, uint64_t argument)
{
    (void)argument;
    append_strings(text, posix_image_string(posix_image()->environment_offset),
                   posix_image()->environment_count);
    return 0;
}

int64_t text_command_name(struct text *text, uint64_t argument)
{
    (void)argument;
    append_name(text);
    text_string(text, "\n");
    return 0;
}

int64_t text_limits(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text,
                "Limit                     Soft Limit           Hard Limit           Units     \n"
                "Max stack size            8388608              unlimited            bytes     \n"
                "Max open files            ");
    size_t start = text->used;
    text_number(text, posix_descriptor_limit());
    while (!text->is_full && text->used - start < 21) {
        text_string(text, " ");
    }
    text_string(text,
                "4096                 files     \n"
                "Max address space         unlimited            unlimited            bytes     \n");
    return 0;
}
