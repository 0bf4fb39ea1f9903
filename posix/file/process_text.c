/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc/self: the format is Linux's, proc(5). */
#include "descriptor.h"
#include "image.h"
#include "shared.h"
#include "status.h"
#include "synthetic.h"
#include "tree.h"

#include "../time/cpu.h"

#include <posix/load.h>
#include <posix/memory.h>
#include <posix/thread.h>

#define OOM_ADJUSTMENT_MAX 1000
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

/* What a text says of one thread, or of the process by its first one. */
struct facts {
    uint64_t id;
    char name[POSIX_THREAD_NAME_BYTES + 1];
    uint64_t busy_ns, start_ns;
    uint32_t core;
    bool is_waiting;
};

static bool read_facts(struct posix_thread *thread, void *context)
{
    struct facts *facts = context;
    facts->id = (uint64_t)thread->id;
    facts->start_ns = thread->start_ns;
    facts->core = GATE_THREAD_CORE(posix_thread_handle(thread));
    facts->is_waiting = atomic_load_explicit(&thread->is_waiting, memory_order_relaxed);
    __builtin_memcpy(facts->name, thread->name, POSIX_THREAD_NAME_BYTES);
    return true;
}

/* argument: a thread's id, or 0 for the process. -ESRCH: the thread has ended. */
static int64_t find_facts(uint64_t argument, struct facts *facts)
{
    *facts = (struct facts){.id = POSIX_PROCESS_ID};
    int32_t id = argument != 0 ? (int32_t)argument : POSIX_PROCESS_ID;
    bool is_there = posix_thread_visit(id, read_facts, facts);
    cpu_clock_read((int32_t)argument, &facts->busy_ns);
    return is_there || argument == 0 ? 0 : -ESRCH;
}

static void append_thread_name(struct text *text, const struct facts *facts)
{
    if (facts->name[0] != '\0') {
        text_string(text, facts->name);
    } else {
        append_name(text);
    }
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
    char *path = NULL;
    uint64_t number =
        region->file != NULL ? image_file_index(region->file) + IMAGE_FIRST_NUMBER : 0;
    if (region->kind == POSIX_REGION_FILE) {
        number = shared_describe(region->start, &path);
    }
    text_string(text, number != 0 ? " 00:02 " : " 00:00 ");
    text_number(text, number);
    text_string(text, " ");
    const char *name = path != NULL ? path : region_name(region);
    if (name != NULL) {
        while (!text->is_full && text->used - start < MAPS_PATH_COLUMN) {
            text_string(text, " ");
        }
        text_string(text, name);
    }
    text_string(text, "\n");
    posix_free(path);
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

static void append_kilobytes(struct text *text, const char *name, uint64_t bytes)
{
    text_string(text, name);
    text_number_padded(text, bytes / 1024, 8);
    text_string(text, " kB\n");
}

/* What is resident of a region only the kernel knows: 0 is said of it. */
int64_t text_smaps(struct text *text, uint64_t argument)
{
    (void)argument;
    struct posix_region_info region = {.end = 0};
    while (posix_memory_find(region.end, true, &region)) {
        if (region.kind == POSIX_REGION_POSIX) {
            continue;
        }
        append_region(text, &region);
        append_kilobytes(text, "Size:           ", region.end - region.start);
        append_kilobytes(text, "KernelPageSize: ", POSIX_PAGE_BYTES);
        append_kilobytes(text, "MMUPageSize:    ", POSIX_PAGE_BYTES);
        static const char *const zeros[] = {
            "Rss:            ", "Pss:            ", "Shared_Clean:   ", "Shared_Dirty:   ",
            "Private_Clean:  ", "Private_Dirty:  ", "Referenced:     ", "Anonymous:      ",
            "AnonHugePages:  ", "Shared_Hugetlb: ", "Private_Hugetlb:", "Swap:           ",
            "Locked:         "};
        for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
            append_kilobytes(text, zeros[i], 0);
        }
    }
    return 0;
}

/* @impl ATL-LLR-FILE-0040~1 */
int64_t text_process_stat(struct text *text, uint64_t argument)
{
    struct facts facts;
    int64_t result = find_facts(argument, &facts);
    if (result < 0) {
        return result;
    }
    text_number(text, facts.id);
    text_string(text, " (");
    append_thread_name(text, &facts);
    text_string(text, facts.is_waiting ? ") S" : ") R");
    text_string(text, " 0 1 1 0 -1 4194304 0 0 0 0 ");
    text_number(text, facts.busy_ns / TICK_NS); /* utime */
    text_string(text, " 0 0 0 20 0 ");
    text_number(text, posix_thread_count());
    text_string(text, " 0 ");
    text_number(text, facts.start_ns / TICK_NS); /* after boot */
    text_string(text, " ");
    text_number(text, posix_memory_mapped_bytes());
    text_string(text, " ");
    text_number(text, resident_pages());
    text_string(text, " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 ");
    text_number(text, facts.core);
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

int64_t text_process_status(struct text *text, uint64_t argument)
{
    struct facts facts;
    int64_t result = find_facts(argument, &facts);
    if (result < 0) {
        return result;
    }
    text_string(text, "Name:\t");
    append_thread_name(text, &facts);
    text_string(text, "\nUmask:\t0");
    text_octal(text, open_mask(), 3);
    text_string(text, facts.is_waiting ? "\nState:\tS (sleeping)" : "\nState:\tR (running)");
    text_string(text, "\nTgid:\t1\nNgid:\t0\nPid:\t");
    text_number(text, facts.id);
    text_string(
        text,
        "\nPPid:\t0\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t\n");
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
    struct facts facts;
    int64_t result = find_facts(argument, &facts);
    if (result == 0) {
        append_thread_name(text, &facts);
        text_string(text, "\n");
    }
    return result;
}

int64_t text_auxiliary(struct text *text, uint64_t argument)
{
    (void)argument;
    size_t bytes = 0;
    const uint64_t *words = posix_auxiliary(&bytes);
    text_append(text, (const char *)words, bytes);
    return 0;
}

/* Nothing is read from or written to storage. */
int64_t text_io(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
                      "cancelled_write_bytes: 0\n");
    return 0;
}

static _Atomic int32_t oom_adjustment; /* kept, not used: there is one process */

int64_t text_oom_adjustment(struct text *text, uint64_t argument)
{
    (void)argument;
    int32_t value = oom_adjustment;
    text_string(text, value < 0 ? "-" : "");
    text_number(text, (uint64_t)(value < 0 ? -value : value));
    text_string(text, "\n");
    return 0;
}

int64_t take_oom_adjustment(const char *text, uint64_t argument)
{
    (void)argument;
    bool is_negative = text[0] == '-';
    int32_t value = 0;
    const char *at = text + (is_negative ? 1 : 0);
    const char *first = at;
    while (*at >= '0' && *at <= '9' && value <= OOM_ADJUSTMENT_MAX) {
        value = value * 10 + (*at++ - '0');
    }
    if (at == first || (*at != '\0' && *at != '\n') || value > OOM_ADJUSTMENT_MAX) {
        return -EINVAL;
    }
    oom_adjustment = is_negative ? -value : value;
    return 0;
}

int64_t text_descriptor(struct text *text, uint64_t argument)
{
    struct posix_file *file = descriptor_get_any(argument);
    if (file == NULL) {
        return -ENOENT;
    }
    posix_lock_acquire(&file->lock);
    uint64_t position = file->position;
    posix_lock_release(&file->lock);
    bool close_on_exec = descriptor_flags(argument) > 0;
    text_string(text, "pos:\t");
    text_number(text, position);
    text_string(text, "\nflags:\t0");
    text_octal(text, file->flags | (close_on_exec ? POSIX_O_CLOEXEC : 0), 0);
    text_string(text, "\nmnt_id:\t1\nino:\t");
    text_number(text, file->node != NULL ? file->node->number : 0);
    text_string(text, "\n");
    posix_file_put(file);
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
                "1048576              files     \n"
                "Max address space         unlimited            unlimited            bytes     \n");
    return 0;
}
