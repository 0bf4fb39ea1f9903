/* SPDX-License-Identifier: Apache-2.0 */
/* See shim.h. */
#include "shim.h"

#include "../../../posix/time/cpu.h"

#include <posix/event.h>
#include <posix/load.h>
#include <posix/thread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOST_MAP_FLAGS                                                                             \
    (0x02 | 0x20 | 0x4000 | 0x100000) /* private anonymous noreserve noreplace                     \
                                       */
#define HOST_MAP_FILE (0x02 | 0x100000)
#define HOST_DONTNEED 4

uint64_t shim_gate_calls;
uint64_t shim_fail_map;
uint64_t shim_free_frames = 30000;
uint32_t shim_core;
char shim_reports[4096];
int64_t shim_exit_status = -1;
void (*shim_at_exit)(void);

uint64_t shim_map_flags;
uint64_t posix_wall_base_ns;
static struct gate_info info;
extern const struct gate_info posix_info __attribute__((alias("info")));
static int image_file = -1;
static uint64_t random_state = 88172645463325252ull;

void shim_start(const struct test_image *image)
{
    image_file = (int)syscall(SYS_memfd_create, "image", 0);
    for (size_t done = 0; done < image->bytes;) {
        ssize_t part = write(image_file, image->payload + done, image->bytes - done);
        done += part > 0 ? (size_t)part : image->bytes;
    }
    info = (struct gate_info){.core_count = 2,
                              .shared_slot_count = 128,
                              .memory_bytes = 256 << 20,
                              .extended_bytes = 832,
                              /* so that the vDSO of the build machine is where load/ says */
                              .posix_base = getauxval(AT_SYSINFO_EHDR) - 0x2000,
                              .index_address = (uintptr_t)image->payload};
}

void shim_allow_write_execute(bool allow)
{
    info.write_execute = allow ? 1 : 0;
}

static bool is_one_slot(uint64_t address, uint64_t bytes)
{
    return address % 4096 == 0 && bytes % 4096 == 0 && bytes != 0 && address >= GATE_USER_FLOOR &&
           address / GATE_SLOT_BYTES == (address + bytes - 1) / GATE_SLOT_BYTES &&
           address / GATE_SLOT_BYTES < info.shared_slot_count;
}

int64_t gate_map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                 uint64_t offset)
{
    shim_gate_calls++;
    shim_map_flags = flags;
    if (!is_one_slot(address, bytes) || offset % 4096 != 0) {
        return -EINVAL;
    }
    if (shim_fail_map != 0 && --shim_fail_map == 0) {
        return -ENOMEM;
    }
    if ((protection & 6) == 6 && info.write_execute == 0) {
        return -EACCES;
    }
    bool is_image = (flags & GATE_MAP_IMAGE) != 0;
    long result =
        syscall(SYS_mmap, address, bytes, protection, is_image ? HOST_MAP_FILE : HOST_MAP_FLAGS,
                is_image ? image_file : -1, offset);
    return result == (long)address ? 0 : -EEXIST;
}

int64_t gate_unmap(uint64_t address, uint64_t bytes, uint64_t flags)
{
    shim_gate_calls++;
    if (!is_one_slot(address, bytes)) {
        return -EINVAL;
    }
    if ((flags & GATE_UNMAP_DISCARD) != 0) {
        return syscall(SYS_madvise, address, bytes, HOST_DONTNEED) == 0 ? 0 : -ENOMEM;
    }
    return syscall(SYS_munmap, address, bytes) == 0 ? 0 : -ENOMEM;
}

int64_t gate_protect(uint64_t address, uint64_t bytes, uint64_t protection)
{
    shim_gate_calls++;
    if (!is_one_slot(address, bytes)) {
        return -EINVAL;
    }
    return syscall(SYS_mprotect, address, bytes, protection) == 0 ? 0 : -ENOMEM;
}

int shim_protection_at(uint64_t address)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int found = -1;
    while (maps != NULL && found < 0 && fgets(line, sizeof(line), maps) != NULL) {
        unsigned long start;
        unsigned long end;
        char bits[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, bits) == 3 && address >= start &&
            address < end) {
            found = (bits[0] == 'r' ? 1 : 0) | (bits[1] == 'w' ? 2 : 0) | (bits[2] == 'x' ? 4 : 0);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

/* Copies go through the kernel below, which answers a bad address with EFAULT. */
static int64_t copy_with_pipe(const void *from, uint64_t to, size_t bytes)
{
    static int pipe_ends[2];
    if (pipe_ends[1] == 0 && pipe(pipe_ends) != 0) {
        return -EFAULT;
    }
    for (size_t done = 0; done < bytes;) {
        size_t part = bytes - done < 4096 ? bytes - done : 4096;
        if (write(pipe_ends[1], (const char *)from + done, part) != (ssize_t)part) {
            return -EFAULT;
        }
        ssize_t got = syscall(SYS_read, pipe_ends[0], to + done, part);
        if (got != (ssize_t)part) {
            char drain[4096];
            (void)!read(pipe_ends[0], drain, got < 0 ? part : part - (size_t)got);
            return -EFAULT;
        }
        done += part;
    }
    return 0;
}

int64_t posix_copy_in(void *to, uint64_t from, size_t bytes)
{
    return copy_with_pipe((const void *)from, (uintptr_t)to, bytes);
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    return copy_with_pipe(from, to, bytes);
}

int64_t posix_zero_out(uint64_t to, size_t bytes)
{
    static const char zeros[4096];
    for (size_t done = 0; done < bytes; done += sizeof(zeros)) {
        size_t part = bytes - done < sizeof(zeros) ? bytes - done : sizeof(zeros);
        if (copy_with_pipe(zeros, to + done, part) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max)
{
    for (size_t i = 0; i < bytes_max; i++) {
        if (posix_copy_in(to + i, from + i, 1) < 0) {
            return -EFAULT;
        }
        if (to[i] == '\0') {
            return (int64_t)i;
        }
    }
    return -ENAMETOOLONG;
}

void posix_lock_acquire(struct posix_lock *lock)
{
    if (lock->state++ != 0) {
        abort();
    }
}

void posix_lock_release(struct posix_lock *lock)
{
    if (--lock->state != 0) {
        abort();
    }
}

uint32_t posix_core(void)
{
    return shim_core;
}

int64_t cpu_clock_read(int32_t thread, uint64_t *ns)
{
    (void)thread;
    *ns = 0;
    return 0;
}

uint64_t posix_now_ns(void)
{
    return 1;
}

bool posix_signal_is_pending(void)
{
    return false;
}

uint32_t posix_thread_count(void);
uint32_t posix_thread_count(void)
{
    return 1;
}

/* Of load/, for the tests without it. */
__attribute__((weak)) const uint64_t *posix_auxiliary(size_t *bytes)
{
    *bytes = 0;
    return NULL;
}

static struct posix_thread only_thread = {.id = POSIX_PROCESS_ID};

int64_t posix_signal_send(struct posix_thread *target, const struct posix_signal_info *sent)
{
    (void)target, (void)sent;
    return 0;
}

struct posix_thread *posix_self(void)
{
    return &only_thread;
}

int32_t posix_thread_id(const struct posix_thread *thread)
{
    return thread->id;
}

bool posix_thread_visit(int32_t id, posix_thread_visitor visitor, void *context)
{
    return id == only_thread.id && visitor(&only_thread, context);
}

bool posix_thread_visit_all(posix_thread_visitor visitor, void *context)
{
    return visitor(&only_thread, context);
}

/* One thread: nobody would wake it. */
int64_t posix_wait(struct posix_wait_queue *queue, struct posix_lock *lock, uint64_t deadline)
{
    (void)queue, (void)deadline;
    posix_lock_release(lock);
    return -EINTR;
}

uint32_t posix_wake(struct posix_wait_queue *queue, uint32_t count)
{
    (void)queue, (void)count;
    return 0;
}

int64_t gate_park(uint64_t deadline, uint64_t flags)
{
    (void)deadline;
    (void)flags;
    return 0;
}

int64_t gate_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    (void)operation;
    (void)stream;
    (void)buffer;
    return (int64_t)bytes;
}

int64_t posix_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    return gate_console(operation, stream, buffer, bytes);
}

int64_t posix_console_start(uint64_t input_handle)
{
    (void)input_handle;
    return 0;
}

void posix_console_serve_input(void)
{
}

int64_t gate_information(uint64_t kind, uint64_t core, uint64_t count)
{
    (void)core;
    bool is_asked = kind == GATE_INFORMATION_CORE && count == GATE_COUNT(frames_free);
    return is_asked ? (int64_t)shim_free_frames : 0;
}

int64_t gate_random(uint64_t buffer, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        ((uint8_t *)buffer)[i] = (uint8_t)(random_state >> 32);
    }
    return 0;
}

void gate_exit(uint64_t status, uint64_t signal)
{
    (void)signal;
    shim_exit_status = (int64_t)status;
    if (shim_at_exit != NULL) {
        shim_at_exit();
    }
    exit((int)status);
}

void posix_report(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(shim_reports, sizeof(shim_reports), format, arguments);
    va_end(arguments);
}

void posix_panic(const char *reason)
{
    fprintf(stderr, "posix panic: %s\n", reason);
    abort();
}

/* No service thread runs: the console's watches hear of nothing. */
int64_t posix_service_start(uint32_t core, void (*serve)(void))
{
    (void)core, (void)serve;
    return 1;
}

int64_t gate_unpark(uint64_t thread, uint64_t flags)
{
    (void)thread, (void)flags;
    return 0;
}

/* Nor are there named pipes. */
const struct posix_file_operations pipe_operations;
void *posix_pipe_create_named(void)
{
    return NULL;
}

void posix_pipe_free_named(void *pipe)
{
    (void)pipe;
}

/* Nothing here is ever in an epoll instance. */
void posix_epoll_forget(struct posix_file *file)
{
    (void)file;
    abort();
}

/* Handles name cores; here is one. */
__attribute__((weak)) uint64_t posix_thread_handle(struct posix_thread *self)
{
    return self->handle;
}
