/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the watches of console files, and readers, that input has come. For a pipe: the gate tells
 * one thread; here that is one of posix/'s own on the core that has the console, started for the
 * first thread that waits or is on another core, or when a console file is watched first. It asks
 * once for each time that it is armed: by whoever looked and found no input, and after each read.
 */
#include "console.h"

#include <posix/thread.h>

#define CAPACITY_START 4u

static struct posix_lock lock; /* guards the watched files, the readers and handle */
static struct posix_file **files;
static _Atomic uint32_t file_count;
static uint32_t capacity;
static struct posix_wait_queue readers;
static _Atomic uint64_t handle; /* of the service thread; 0: none */
static _Atomic uint32_t is_armed;

void console_tell(uint32_t events)
{
    posix_lock_acquire(&lock);
    for (uint32_t i = 0; i < file_count; i++) {
        posix_file_notify(files[i], events);
    }
    posix_wake(&readers, UINT32_MAX);
    posix_lock_release(&lock);
}

static void serve(void)
{
    for (;;) {
        posix_console_serve_input();
        if (is_armed == 0 || gate_console(GATE_CONSOLE_LISTEN, 0, 0, 0) == -EAGAIN) {
            gate_park(GATE_NEVER, 0); /* until we are asked or armed, or there is input */
        } else {
            is_armed = 0; /* before the watches are told: who looks then arms again */
            console_tell(POSIX_POLL_READABLE | POSIX_POLL_HUP);
        }
    }
}

static void arm(void)
{
    if (handle != 0 && atomic_exchange(&is_armed, 1) == 0) {
        gate_unpark(handle, 0);
    }
}

void console_arm(void)
{
    if (file_count != 0) {
        arm();
    }
}

/* Locked. */
static int64_t start(void)
{
    int64_t started = handle != 0 ? 0 : posix_service_start(POSIX_CONSOLE_CORE, serve);
    if (started > 0) {
        handle = (uint64_t)started;
    }
    return started < 0 ? started : 0;
}

/* Armed under the lock: whoever tells waits for it until we are in the queue. */
int64_t console_await_input(void)
{
    posix_lock_acquire(&lock);
    int64_t started = start();
    if (started < 0) {
        posix_lock_release(&lock);
        return started;
    }
    arm();
    return posix_wait(&readers, &lock, GATE_NEVER) == 0 ? 0 : -ERESTARTSYS;
}

int64_t posix_console_serve_cores(void)
{
    static _Atomic bool is_done;
    int64_t result = 0;
    if (!is_done) {
        posix_lock_acquire(&lock);
        result = start();
        if (result == 0) {
            result = posix_console_start(handle);
        }
        is_done = result == 0;
        posix_lock_release(&lock);
    }
    return result;
}

/* Locked. */
static bool remember(struct posix_file *file)
{
    for (uint32_t i = 0; i < file_count; i++) {
        if (files[i] == file) {
            return true;
        }
    }
    if (file_count == capacity) {
        uint32_t wanted = capacity != 0 ? 2 * capacity : CAPACITY_START;
        struct posix_file **larger = posix_allocate(wanted * sizeof(struct posix_file *));
        if (larger == NULL) {
            return false;
        }
        __builtin_memcpy(larger, files, file_count * sizeof(struct posix_file *));
        posix_free(files);
        files = larger;
        capacity = wanted;
    }
    files[file_count++] = file;
    return true;
}

bool console_remember(struct posix_file *file)
{
    posix_lock_acquire(&lock);
    bool is_good = remember(file);
    posix_lock_release(&lock);
    return is_good;
}

/* @impl ATL-LLR-EVENT-0011~2 */
bool console_watch(struct posix_file *file)
{
    posix_lock_acquire(&lock);
    bool is_good = remember(file);
    is_good = is_good && start() == 0;
    posix_lock_release(&lock);
    if (is_good) {
        console_arm();
    }
    return is_good;
}

void console_forget(const struct posix_file *file)
{
    posix_lock_acquire(&lock);
    for (uint32_t i = 0; i < file_count; i++) {
        if (files[i] == file) {
            files[i] = files[--file_count];
            break;
        }
    }
    posix_lock_release(&lock);
}
