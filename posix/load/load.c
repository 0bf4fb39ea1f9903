/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the program of the image and makes its first stack. Runs once, on the first thread, before
 * any application code; ends the cell with one clear line if the program cannot be run. */
#include <posix/detour.h>
#include <posix/file.h>
#include <posix/instructions.h>
#include <posix/load.h>
#include <posix/memory.h>

#define STATUS_NOT_LOADABLE 126u
#define STATUS_NOT_FOUND 127u
#define PROT_READ_WRITE 3u
#define GUARD_BYTES (1ull << 20) /* unmapped below the stack */
#define VDSO_OFFSET 0x2000ull    /* from posix's base */
#define CLOCK_TICKS 100u
/* Room kept behind a position-independent program for its heap. */
#define HEAP_ROOM_BYTES (16ull << 30)

enum {
    AT_PHDR = 3,
    AT_PHENT = 4,
    AT_PHNUM = 5,
    AT_PAGESZ = 6,
    AT_BASE = 7,
    AT_FLAGS = 8,
    AT_ENTRY = 9,
    AT_UID = 11,
    AT_EUID = 12,
    AT_GID = 13,
    AT_EGID = 14,
    AT_HWCAP = 16,
    AT_CLKTCK = 17,
    AT_SECURE = 23,
    AT_HWCAP2 = 26,
    AT_SYSINFO_EHDR = 33,
    AT_MINSIGSTKSZ = 51,
};
#define HWCAP2_FSGSBASE 2u
/* siginfo, ucontext and alignment around the extended state, as Linux computes it */
#define SIGNAL_FRAME_BYTES 1024u

/* @impl ATL-LLR-LOAD-0004~1 */
static noreturn void refuse(const char *path, const char *reason, uint64_t status)
{
    posix_report("cannot run %s: %s", path, reason);
    gate_exit(status, 0);
}

static const struct image_file *find_program(const char *path)
{
    int64_t error = 0;
    const struct image_file *file = posix_image_find(path, &error);
    if (file == NULL) {
        if (error == -EACCES) {
            refuse(path, "it is not a regular file", STATUS_NOT_LOADABLE);
        }
        refuse(path, "there is no such file in the image", STATUS_NOT_FOUND);
    }
    if (posix_image_verify(file, 0, file->bytes) < 0) {
        refuse(path, "its content does not match its checksum", STATUS_NOT_LOADABLE);
    }
    return file;
}

static struct posix_elf validate(const char *path, const struct image_file *file)
{
    const uint8_t *bytes = posix_image_window(file);
    if (bytes == NULL) {
        refuse(path, "there is not enough memory to look at it", STATUS_NOT_LOADABLE);
    }
    const struct posix_elf_limits limits = {
        .floor = GATE_USER_FLOOR,
        .slot_bytes = GATE_SLOT_BYTES,
        .end = posix_info.shared_slot_count * GATE_SLOT_BYTES,
        .allow_write_execute = posix_info.write_execute != 0,
    };
    struct posix_elf elf;
    const char *reason = NULL;
    if (!posix_elf_validate(bytes, file->bytes, &limits, &elf, &reason)) {
        refuse(path, reason, STATUS_NOT_LOADABLE);
    }
    return elf;
}

static int64_t map_file_part(const struct posix_elf_segment *segment, const struct image_file *file,
                             uint64_t start, uint64_t end)
{
    struct posix_map_request request = {
        .address = start,
        .bytes = end - start,
        .protection = segment->protection,
        .kind = POSIX_REGION_IMAGE,
        .file = file,
        .offset = POSIX_PAGE_DOWN(segment->offset),
    };
    return posix_memory_map_at(&request);
}

/* Maps one segment: pages of the file, then zero-filled ones. The rest of the file's last page is
 * cleared, as bss must be; a segment that is not writable keeps it, as Linux does. */
static int64_t map_segment(const struct posix_elf_segment *segment, const struct image_file *file,
                           uint64_t bias)
{
    uint64_t start = segment->address + bias;
    uint64_t file_end = start + segment->file_bytes;
    uint64_t end = POSIX_PAGE_UP(start + segment->memory_bytes);
    uint64_t zero_start = POSIX_PAGE_DOWN(start);
    int64_t result = 0;
    if (segment->file_bytes != 0) {
        zero_start = POSIX_PAGE_UP(file_end);
        result = map_file_part(segment, file, POSIX_PAGE_DOWN(start), zero_start);
        bool is_writable = (segment->protection & GATE_WRITE) != 0;
        if (result == 0 && is_writable && segment->memory_bytes > segment->file_bytes &&
            zero_start != file_end) {
            result = posix_zero_out(file_end, zero_start - file_end);
        }
    }
    if (result == 0 && end > zero_start) {
        struct posix_map_request request = {.address = zero_start,
                                            .bytes = end - zero_start,
                                            .protection = segment->protection,
                                            .kind = POSIX_REGION_ANONYMOUS};
        result = posix_memory_map_at(&request);
    }
    return result;
}

/* What is added to the addresses in the file. */
static uint64_t choose_bias(const char *path, const struct posix_elf *elf)
{
    if (!elf->is_position_independent) {
        return 0;
    }
    uint64_t place = posix_memory_place(elf->high - elf->low + HEAP_ROOM_BYTES, false);
    if (place == 0) {
        refuse(path, "there is no room for it", STATUS_NOT_LOADABLE);
    }
    return place - elf->low;
}

static void map_program(const char *path, const struct posix_elf *elf,
                        const struct image_file *file, uint64_t bias)
{
    for (uint32_t i = 0; i < elf->segment_count; i++) {
        int64_t result = map_segment(&elf->segments[i], file, bias);
        if (result == -EEXIST) {
            refuse(path, "a segment lies where something else is", STATUS_NOT_LOADABLE);
        }
        if (result < 0) {
            refuse(path, "there is not enough memory for it", STATUS_NOT_LOADABLE);
        }
    }
    uint64_t end = 0;
    const char *reason = posix_detour_install(posix_image_window(file), elf, bias, &end);
    if (reason != NULL) {
        refuse(path, reason, STATUS_NOT_LOADABLE);
    }
    posix_memory_set_heap(end);
}

/* The lazy region of the first thread's stack; returns its top. */
static uint64_t map_stack(const char *path)
{
    uint64_t place = posix_memory_place(GUARD_BYTES + POSIX_STACK_LIMIT_BYTES + GUARD_BYTES, true);
    struct posix_map_request request = {.address = place + GUARD_BYTES,
                                        .bytes = POSIX_STACK_LIMIT_BYTES,
                                        .protection = PROT_READ_WRITE,
                                        .kind = POSIX_REGION_STACK};
    if (place == 0 || posix_memory_map_at(&request) < 0) {
        refuse(path, "there is not enough memory for its stack", STATUS_NOT_LOADABLE);
    }
    return request.address + request.bytes;
}

static void add(struct posix_initial_stack *content, uint64_t type, uint64_t value)
{
    content->auxiliary[content->auxiliary_count++] = (struct posix_auxiliary){type, value};
}

/* The auxiliary vector in Linux's order. */
static void fill_auxiliary(struct posix_initial_stack *content, const struct posix_elf *elf,
                           uint64_t bias)
{
    add(content, AT_SYSINFO_EHDR, posix_info.posix_base + VDSO_OFFSET);
    add(content, AT_HWCAP, instruction_cpuid(1, 0).edx);
    add(content, AT_PAGESZ, POSIX_PAGE_BYTES);
    add(content, AT_CLKTCK, CLOCK_TICKS);
    add(content, AT_PHDR, elf->headers_address != 0 ? elf->headers_address + bias : 0);
    add(content, AT_PHENT, 56);
    add(content, AT_PHNUM, elf->headers_address != 0 ? elf->header_count : 0);
    add(content, AT_BASE, 0);
    add(content, AT_FLAGS, 0);
    add(content, AT_ENTRY, elf->entry + bias);
    add(content, AT_UID, 0);
    add(content, AT_EUID, 0);
    add(content, AT_GID, 0);
    add(content, AT_EGID, 0);
    add(content, AT_SECURE, 0);
    add(content, AT_HWCAP2, HWCAP2_FSGSBASE);
    add(content, AT_MINSIGSTKSZ, posix_info.extended_bytes + SIGNAL_FRAME_BYTES);
}

static uint64_t build_stack(const char *path, struct posix_initial_stack *content, uint64_t top)
{
    size_t bytes = posix_initial_stack_bytes(content);
    if (bytes > POSIX_STACK_LIMIT_BYTES / 4) { /* as Linux: E2BIG */
        refuse(path, "its arguments and environment are too long", STATUS_NOT_LOADABLE);
    }
    uint8_t *buffer = posix_allocate(bytes);
    if (buffer == NULL) {
        refuse(path, "there is not enough memory for its arguments", STATUS_NOT_LOADABLE);
    }
    size_t used = posix_initial_stack_build(content, buffer, bytes, top);
    int64_t result = posix_copy_out(top - used, buffer + bytes - used, used);
    posix_free(buffer);
    if (result < 0) {
        refuse(path, "there is not enough memory for its stack", STATUS_NOT_LOADABLE);
    }
    return top - used;
}

/* @impl ATL-LLR-LOAD-0003~1 */
void posix_program_load(struct posix_program *program)
{
    const struct image_header *image = posix_image();
    const char *path = posix_image_string(image->program_path_offset);
    const struct image_file *file = find_program(path);
    struct posix_elf elf = validate(path, file);
    uint64_t bias = choose_bias(path, &elf);
    map_program(path, &elf, file, bias);
    struct posix_initial_stack content = {
        .arguments = posix_image_string(image->argument_offset),
        .environment = posix_image_string(image->environment_offset),
        .argument_count = image->argument_count,
        .environment_count = image->environment_count,
        .executable = path,
    };
    for (size_t i = 0; i < sizeof(content.random); i += sizeof(uint64_t)) {
        uint64_t word = posix_memory_random();
        __builtin_memcpy(content.random + i, &word, sizeof(word));
    }
    fill_auxiliary(&content, &elf, bias);
    uint64_t top = map_stack(path);
    top -= posix_memory_random() % POSIX_PAGE_BYTES & ~15ull; /* random below a page, as Linux */
    program->entry = elf.entry + bias;
    program->stack = build_stack(path, &content, top);
}
