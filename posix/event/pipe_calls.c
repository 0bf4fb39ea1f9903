/* SPDX-License-Identifier: Apache-2.0 */
/* Making pipes and changing their size. */
#include "../file/abi.h"
#include "pipe.h"

#include <posix/syscalls.h>

static _Atomic uint64_t last_number;

static uint8_t **make_pages(uint64_t bytes)
{
    return posix_allocate(bytes / PIPE_PAGE_BYTES * sizeof(uint8_t *));
}

struct pipe *pipe_create(void)
{
    struct pipe *pipe = posix_allocate(sizeof(*pipe));
    uint8_t **pages = make_pages(PIPE_BYTES_START);
    if (pipe == NULL || pages == NULL) {
        posix_free(pipe);
        posix_free(pages);
        return NULL;
    }
    pipe->pages = pages;
    pipe->bytes_max = PIPE_BYTES_START;
    pipe->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 2;
    return pipe;
}

void pipe_add(struct pipe *pipe, struct pipe_opening *opening)
{
    opening->next = pipe->openings;
    pipe->openings = opening;
    for (enum pipe_end end = PIPE_READ; end < PIPE_ENDS; end++) {
        pipe->open_count[end] += opening->has[end] ? 1 : 0;
        pipe->opened[end] += opening->has[end] ? 1 : 0;
    }
}

/* Both ends, each with one reference; releasing both frees the pipe. */
static int64_t open_pipe(struct posix_file *ends[PIPE_ENDS], uint32_t flags)
{
    struct pipe *pipe = pipe_create();
    if (pipe == NULL) {
        return -ENOMEM;
    }
    ends[PIPE_READ] = posix_file_create(&pipe_operations, flags | POSIX_O_RDONLY, pipe);
    ends[PIPE_WRITE] = posix_file_create(&pipe_operations, flags | POSIX_O_WRONLY, pipe);
    if (ends[PIPE_READ] == NULL || ends[PIPE_WRITE] == NULL) {
        posix_free(ends[PIPE_READ]);
        posix_free(ends[PIPE_WRITE]);
        pipe_free(pipe);
        return -ENOMEM;
    }
    for (enum pipe_end end = PIPE_READ; end < PIPE_ENDS; end++) {
        pipe->unnamed[end].file = ends[end];
        pipe->unnamed[end].has[end] = true;
        pipe_add(pipe, &pipe->unnamed[end]);
    }
    return 0;
}

/* Gives both ends descriptors and stores them; on failure nothing stays open. */
static int64_t install_pipe(struct posix_file *ends[PIPE_ENDS], bool close_on_exec, uint64_t to)
{
    int32_t descriptors[PIPE_ENDS];
    for (uint32_t end = 0; end < PIPE_ENDS; end++) {
        int64_t result = posix_descriptor_install(ends[end], close_on_exec, 0);
        if (result < 0) {
            if (end == PIPE_WRITE) {
                (void)posix_close((uint64_t)descriptors[PIPE_READ]);
            } else {
                posix_file_put(ends[PIPE_READ]);
            }
            posix_file_put(ends[PIPE_WRITE]);
            return result;
        }
        descriptors[end] = (int32_t)result;
    }
    if (posix_copy_out(to, descriptors, sizeof(descriptors)) != 0) {
        (void)posix_close((uint64_t)descriptors[PIPE_READ]);
        (void)posix_close((uint64_t)descriptors[PIPE_WRITE]);
        return -EFAULT;
    }
    return 0;
}

/* Packets (O_DIRECT) are not offered: EINVAL, as of a Linux that does not know them.
 * @impl ATL-LLR-EVENT-0002~1 */
int64_t posix_pipe2(uint64_t to, uint64_t wanted)
{
    uint32_t flags = (uint32_t)wanted;
    struct posix_file *ends[PIPE_ENDS];
    if ((flags & ~(POSIX_O_NONBLOCK | POSIX_O_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    int64_t result = open_pipe(ends, flags & POSIX_O_NONBLOCK);
    return result < 0 ? result : install_pipe(ends, (flags & POSIX_O_CLOEXEC) != 0, to);
}

int64_t posix_pipe(uint64_t to)
{
    return posix_pipe2(to, 0);
}

/* With both turns, and the lock. Whole pages move: the first byte keeps its place in its page, so
 * what is used must fit beside what lies before it there. */
static int64_t move_pages(struct pipe *pipe, uint8_t **pages, uint64_t bytes)
{
    uint64_t offset = pipe->tail % PIPE_PAGE_BYTES;
    uint64_t used = pipe->head - pipe->tail;
    if (offset + used > bytes) {
        return -EBUSY;
    }
    uint64_t old_count = pipe->bytes_max / PIPE_PAGE_BYTES;
    uint64_t count = bytes / PIPE_PAGE_BYTES;
    uint64_t first = pipe->tail / PIPE_PAGE_BYTES;
    for (uint64_t i = 0; i < old_count; i++) {
        uint8_t *page = pipe->pages[(first + i) % old_count];
        if (i < count) {
            pages[i] = page;
        } else if (page != NULL) {
            posix_free(page);
            pipe->page_count--;
        }
    }
    pipe->pages = pages;
    pipe->bytes_max = bytes;
    pipe->tail = offset;
    pipe->head = offset + used;
    return 0;
}

static uint64_t round_up(uint64_t bytes)
{
    uint64_t rounded = PIPE_PAGE_BYTES;
    while (rounded < bytes) {
        rounded *= 2;
    }
    return rounded;
}

/* Waits for the end's turn; the lock is held before and after.
 *
 * Errors:     -ERESTARTSYS: a signal came; the lock is not held */
static int64_t take_turn(struct pipe *pipe, enum pipe_end end)
{
    while (pipe->has_turn[end]) {
        if (posix_wait(&pipe->turn[end], &pipe->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&pipe->lock);
    }
    pipe->has_turn[end] = true;
    return 0;
}

/* @impl ATL-LLR-EVENT-0005~1 */
int64_t pipe_resize(struct posix_file *file, uint64_t bytes)
{
    struct pipe *pipe = file->context;
    if (bytes > INT32_MAX) {
        return -EINVAL;
    }
    if (bytes > PIPE_BYTES_MAX) {
        return -EPERM;
    }
    uint64_t rounded = round_up(bytes);
    uint8_t **pages = make_pages(rounded);
    if (pages == NULL) {
        return -ENOMEM;
    }
    posix_lock_acquire(&pipe->lock);
    int64_t result = take_turn(pipe, PIPE_READ);
    if (result == 0) {
        result = take_turn(pipe, PIPE_WRITE);
        if (result != 0) {
            posix_lock_acquire(&pipe->lock);
            pipe_give_turn(pipe, PIPE_READ);
            posix_lock_release(&pipe->lock);
        }
    }
    if (result != 0) {
        posix_free(pages);
        return result;
    }
    uint8_t **old = pipe->pages;
    result = move_pages(pipe, pages, rounded);
    if (result == 0) {
        posix_wake(&pipe->waiting[PIPE_WRITE], UINT32_MAX);
        pipe_notify(pipe, PIPE_WRITE, POSIX_POLL_WRITABLE);
    }
    pipe_give_turn(pipe, PIPE_READ);
    pipe_give_turn(pipe, PIPE_WRITE);
    posix_lock_release(&pipe->lock);
    posix_free(result == 0 ? old : pages);
    return result == 0 ? (int64_t)rounded : result;
}
