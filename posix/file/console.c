/* SPDX-License-Identifier: Apache-2.0 */
/* The program's standard streams on the console gate, where they are the tool's pipes. */
#include "console.h"
#include "node.h"
#include <posix/memory.h>

#define GATHER_BYTES 1024u

static uint64_t stream_of(const struct posix_file *file)
{
    return (uintptr_t)file->context;
}

static bool is_nonblocking(const struct posix_file *file)
{
    return (file->flags & POSIX_O_NONBLOCK) != 0;
}

/* The kernel copies from and to the application and does not know pages of shared mappings that
 * nobody has touched yet (shared.h): here they are touched. What faults is the kernel's to say. */
static void touch_shared(uint64_t buffer, uint64_t bytes)
{
    uint8_t byte;
    for (uint64_t at = buffer; posix_shared_exists() && at < buffer + bytes;
         at = POSIX_PAGE_DOWN(at) + POSIX_PAGE_BYTES) {
        (void)posix_copy_in(&byte, at, 1);
    }
}

int64_t console_put(uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t part =
            bytes - done < GATE_CONSOLE_BYTES_MAX ? bytes - done : GATE_CONSOLE_BYTES_MAX;
        touch_shared(buffer + done, part);
        int64_t result =
            posix_console(GATE_CONSOLE_WRITE, stream == 2 ? 2 : 1, buffer + done, part);
        if (result < 0) {
            return done != 0 ? (int64_t)done : result;
        }
        done += (uint64_t)result;
    }
    return (int64_t)done;
}

/* Gathers small pieces, so that one line of output is one call. */
static int64_t write_gathered(struct posix_file *file, struct posix_transfer *from)
{
    char buffer[GATHER_BYTES];
    size_t bytes = from->remaining < sizeof(buffer) ? from->remaining : sizeof(buffer);
    int64_t got = posix_transfer_in(from, buffer, bytes);
    return got > 0 ? console_put(stream_of(file), (uintptr_t)buffer, (uint64_t)got) : got;
}

/* @impl ATL-LLR-FILE-0006~1 */
static int64_t console_write(struct posix_file *file, struct posix_transfer *from)
{
    uint64_t done = 0;
    while (from->remaining != 0) {
        struct posix_vector front = posix_transfer_front(from);
        int64_t result;
        if (front.bytes < from->remaining && front.bytes < GATHER_BYTES) {
            result = write_gathered(file, from);
        } else {
            result = console_put(stream_of(file), front.address, front.bytes);
            if (result > 0) {
                posix_transfer_advance(from, (uint64_t)result);
            }
        }
        if (result < 0) {
            return done != 0 ? (int64_t)done : result;
        }
        done += (uint64_t)result;
        if (result == 0) {
            break;
        }
    }
    return (int64_t)done;
}

/* @impl ATL-LLR-FILE-0006~1 */
static int64_t console_read(struct posix_file *file, struct posix_transfer *to)
{
    struct posix_vector front = posix_transfer_front(to);
    if (front.bytes == 0) {
        return 0;
    }
    uint64_t bytes = front.bytes < GATE_CONSOLE_BYTES_MAX ? front.bytes : GATE_CONSOLE_BYTES_MAX;
    for (;;) {
        touch_shared(front.address, bytes);
        int64_t result = posix_console(GATE_CONSOLE_READ, 0, front.address, bytes);
        console_arm();
        if (result != -EAGAIN) {
            if (result > 0) {
                posix_transfer_advance(to, (uint64_t)result);
            }
            return result;
        }
        int64_t wait = is_nonblocking(file) ? -EAGAIN : console_await_input();
        if (wait < 0) {
            return wait;
        }
    }
}

static int64_t console_stat(struct posix_file *file, struct posix_stat *stat)
{
    node_stat(file->node, stat);
    return 0;
}

static int64_t get_readable(uint64_t argument)
{
    int64_t ready = posix_console(GATE_CONSOLE_POLL, 0, 0, 0);
    if (ready < 0 && ready != -EAGAIN) {
        return ready;
    }
    int32_t count = ready > 0 ? (int32_t)ready : 0;
    return posix_copy_out(argument, &count, sizeof(count));
}

static int64_t console_ioctl(struct posix_file *file, uint64_t request, uint64_t argument)
{
    (void)file;
    return request == FIONREAD ? get_readable(argument) : -ENOTTY;
}

/* What input makes ready; its end hangs up. */
static uint32_t poll_input(struct posix_file *file)
{
    int64_t bytes = posix_console(GATE_CONSOLE_POLL, 0, 0, 0);
    if (bytes == -EAGAIN) {
        bool is_heard = file->first_watch == NULL || console_watch(file);
        return is_heard ? 0 : POSIX_POLL_ERR;
    }
    return bytes == 0 ? POSIX_POLL_HUP : POSIX_POLL_READABLE;
}

/* @impl ATL-LLR-EVENT-0011~2 */
static uint32_t console_poll(struct posix_file *file)
{
    return stream_of(file) == 0 ? poll_input(file) : POSIX_POLL_WRITABLE;
}

static void console_release(struct posix_file *file)
{
    console_forget(file);
    node_put(file->node);
}

/* What standard streams do that are pipes, and /dev/console where no terminal is; context is the
 * stream. */
const struct posix_file_operations console_operations = {
    .read = console_read,
    .write = console_write,
    .stat = console_stat,
    .ioctl = console_ioctl,
    .poll = console_poll,
    .release = console_release,
};

struct posix_node *console_node(uint64_t stream)
{
    struct posix_node *node = node_create(NODE_DEVICE, S_IFIFO | 0600);
    if (node != NULL) {
        node->device_file.operations = &console_operations;
        node->device_file.stream = stream;
        node->device += stream; /* as unlike as two pipes are */
    }
    return node;
}
