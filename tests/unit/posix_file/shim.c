/* SPDX-License-Identifier: Apache-2.0 */
/* See shim.h. */
#include "shim.h"

#include "../../../posix/time/cpu.h"

#include <posix/event.h>
#include <posix/load.h>
#include <posix/memory.h>
#include <posix/thread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t shim_fault_start, shim_fault_end;
uint64_t shim_fail_allocation;
uint64_t shim_allocations;
uint64_t shim_allocation_calls;
char shim_console[1 << 16];
size_t shim_console_used;
uint64_t shim_console_calls;
uint64_t shim_console_room = UINT64_MAX;
const char *shim_input = "";
const char *shim_input_while_parked = "";
bool shim_input_ended;
char shim_reports[4096];
bool shim_signal_pending;
uint64_t shim_signals;

uint64_t posix_wall_base_ns = 1700000000ull * 1000000000;
static struct gate_info info;
extern const struct gate_info posix_info __attribute__((alias("info")));
static const struct test_image *current;
static int locks_held;

void shim_start(const struct test_image *image, uint32_t flags)
{
    current = image;
    ((struct image_header *)image->payload)->flags |= flags;
    info = (struct gate_info){.core_count = 2,
                              .shared_slot_count = 8,
                              .memory_bytes = 256 << 20,
                              .tsc_hz = 2000000000,
                              .index_address = (uintptr_t)image->payload};
}

void shim_neighbour(void *memory, uint64_t bytes)
{
    info.neighbour_address = (uintptr_t)memory;
    info.neighbour_bytes = bytes;
}

static bool faults(uint64_t address, size_t bytes)
{
    return bytes != 0 && (address < 65536 || address + bytes < address ||
                          (address < shim_fault_end && address + bytes > shim_fault_start));
}

static void expect_no_lock(const char *where)
{
    if (locks_held != 0) {
        fprintf(stderr, "%s with a lock held\n", where);
        abort();
    }
}

int64_t posix_copy_in(void *to, uint64_t from, size_t bytes)
{
    expect_no_lock("copy in");
    if (faults(from, bytes)) {
        return -EFAULT;
    }
    memcpy(to, (const void *)from, bytes);
    return 0;
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    expect_no_lock("copy out");
    if (faults(to, bytes)) {
        return -EFAULT;
    }
    memcpy((void *)to, from, bytes);
    return 0;
}

int64_t posix_zero_out(uint64_t to, size_t bytes)
{
    expect_no_lock("zero out");
    if (faults(to, bytes)) {
        return -EFAULT;
    }
    memset((void *)to, 0, bytes);
    return 0;
}

int64_t posix_copy_in_string(char *to, uint64_t from, size_t bytes_max)
{
    expect_no_lock("copy in string");
    for (size_t i = 0; i < bytes_max; i++) {
        if (faults(from + i, 1)) {
            return -EFAULT;
        }
        to[i] = *(const char *)(from + i);
        if (to[i] == '\0') {
            return (int64_t)i;
        }
    }
    return -ENAMETOOLONG;
}

void posix_lock_acquire(struct posix_lock *lock)
{
    if (lock->state != 0) {
        fprintf(stderr, "a lock is taken twice\n");
        abort();
    }
    lock->state = 1;
    locks_held++;
}

void posix_lock_release(struct posix_lock *lock)
{
    if (lock->state == 0) {
        fprintf(stderr, "a lock is released twice\n");
        abort();
    }
    lock->state = 0;
    locks_held--;
}

void *posix_allocate(size_t bytes)
{
    shim_allocation_calls++;
    if (shim_fail_allocation != 0 && --shim_fail_allocation == 0) {
        return NULL;
    }
    shim_allocations++;
    return calloc(1, bytes != 0 ? bytes : 1);
}

/* Filled, as what was freed is. */
void *posix_allocate_buffer(size_t bytes)
{
    void *memory = posix_allocate(bytes);
    return memory != NULL ? memset(memory, 0xa5, bytes) : NULL;
}

void posix_free(void *memory)
{
    shim_allocations -= memory != NULL ? 1 : 0;
    free(memory);
}

void *posix_page_allocate(void)
{
    return posix_allocate(POSIX_PAGE_BYTES);
}

void posix_page_free(void *page)
{
    posix_free(page);
}

uint64_t posix_page_available(void)
{
    return 1000;
}

const uint8_t *posix_memory_map_window(const struct image_file *file)
{
    return current->payload + file->offset;
}

bool posix_memory_find(uint64_t address, bool at_or_after, struct posix_region_info *region)
{
    (void)at_or_after;
    if (address > 0x400000) {
        return false;
    }
    *region = (struct posix_region_info){.start = 0x400000, .end = 0x401000, .protection = 5};
    return true;
}

/* Nothing is mapped in these tests: tests/unit/posix_memory has shared mappings. */
int64_t gate_map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                 uint64_t offset)
{
    (void)address, (void)bytes, (void)protection, (void)flags, (void)offset;
    return -ENOMEM;
}

int64_t gate_unmap(uint64_t address, uint64_t bytes, uint64_t flags)
{
    (void)address, (void)bytes, (void)flags;
    return -EINVAL;
}

int64_t gate_protect(uint64_t address, uint64_t bytes, uint64_t protection)
{
    (void)address, (void)bytes, (void)protection;
    return -EINVAL;
}

int64_t posix_memory_remove(uint64_t start, uint64_t end)
{
    (void)start, (void)end;
    return -ENOMEM;
}

const uint64_t *posix_auxiliary(size_t *bytes)
{
    static const uint64_t words[] = {6, 4096, 0, 0};
    *bytes = sizeof(words);
    return words;
}

uint64_t posix_memory_mapped_bytes(void)
{
    return 4096;
}

uint32_t posix_thread_count(void)
{
    return 1;
}

uint32_t posix_core(void)
{
    return 0;
}

int64_t cpu_clock_read(int32_t thread, uint64_t *ns)
{
    (void)thread;
    *ns = 0;
    return 0;
}

uint64_t posix_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool posix_signal_is_pending(void)
{
    return shim_signal_pending;
}

int64_t posix_signal_send(struct posix_thread *target, const struct posix_signal_info *sent)
{
    (void)target;
    shim_signals |= posix_signal_bit(sent->signal);
    return 0;
}

static struct posix_thread only_thread = {.id = POSIX_PROCESS_ID};

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
    bool has_come = shim_input_while_parked[0] != '\0';
    shim_input = has_come ? shim_input_while_parked : shim_input;
    shim_input_while_parked = "";
    return has_come ? 0 : -EINTR;
}

uint32_t posix_wake(struct posix_wait_queue *queue, uint32_t count)
{
    (void)queue, (void)count;
    return 0;
}

uint64_t posix_wake_first(struct posix_wait_queue *queue)
{
    (void)queue;
    return 0;
}

void posix_release_and_unpark(struct posix_lock *lock, uint64_t handle)
{
    (void)handle;
    posix_lock_release(lock);
}

int64_t gate_park(uint64_t deadline, uint64_t flags)
{
    (void)deadline;
    (void)flags;
    return 0;
}

int64_t gate_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    if (operation == GATE_CONSOLE_WRITE) {
        if (bytes > GATE_CONSOLE_BYTES_MAX || (stream != 1 && stream != 2)) {
            return -EINVAL;
        }
        if (faults(buffer, bytes)) {
            return -EFAULT;
        }
        shim_console_calls++;
        uint64_t part = bytes < shim_console_room ? bytes : shim_console_room;
        if (shim_console_used + part <= sizeof(shim_console)) {
            memcpy(shim_console + shim_console_used, (const void *)buffer, part);
            shim_console_used += part;
        }
        return (int64_t)part;
    }
    size_t left = strlen(shim_input);
    if (left == 0) {
        return shim_input_ended ? 0 : -EAGAIN;
    }
    if (operation != GATE_CONSOLE_READ) {
        return (int64_t)left;
    }
    size_t part = left < bytes ? left : bytes;
    memcpy((void *)buffer, shim_input, part);
    shim_input += part;
    return (int64_t)part;
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

int64_t gate_random(uint64_t buffer, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        ((uint8_t *)buffer)[i] = (uint8_t)rand();
    }
    return bytes <= 256 ? 0 : -EINVAL;
}

int64_t gate_information(uint64_t kind, uint64_t core, uint64_t count)
{
    (void)core;
    if (kind != GATE_INFORMATION_CORE) {
        return -EINVAL;
    }
    return count == GATE_COUNT(frames_free) ? 1000 : count == GATE_COUNT(frames_total) ? 2000 : 0;
}

void posix_report(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t used = strlen(shim_reports);
    vsnprintf(shim_reports + used, sizeof(shim_reports) - used, format, arguments);
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

/* Named pipes are tested with event/. */
__attribute__((weak)) const struct posix_file_operations pipe_operations;
__attribute__((weak)) void *posix_pipe_create_named(void)
{
    return NULL;
}

__attribute__((weak)) void posix_pipe_free_named(void *pipe)
{
    (void)pipe;
}

/* Nothing of file/ alone is ever in an epoll instance; tests of event/ have the real one. */
__attribute__((weak)) void posix_epoll_forget(struct posix_file *file)
{
    (void)file;
    abort();
}

/* Handles name cores; here is one. */
__attribute__((weak)) uint64_t posix_thread_handle(struct posix_thread *self)
{
    return self->handle;
}
