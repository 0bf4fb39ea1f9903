/* SPDX-License-Identifier: Apache-2.0 */
/* Named pipes: a node of the tree with a pipe behind it, which each open joins. */
#include "pipe.h"

#include "../file/abi.h"
#include <posix/event.h>

void *posix_pipe_create_named(void)
{
    struct pipe *pipe = pipe_create();
    if (pipe != NULL) {
        pipe->is_named = true;
    }
    return pipe;
}

void posix_pipe_free_named(void *pipe)
{
    pipe_free(pipe);
}

/* Locked; not on return. Until the end has been opened, however briefly. */
static int64_t wait_for(struct pipe *pipe, enum pipe_end end)
{
    uint64_t before = pipe->opened[end];
    while (pipe->opened[end] == before) {
        if (posix_wait(&pipe->opening, &pipe->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&pipe->lock);
    }
    posix_lock_release(&pipe->lock);
    return 0;
}

/* @impl ATL-LLR-EVENT-0060~1 */
int64_t pipe_open(struct posix_file *file)
{
    struct pipe *pipe = file->context;
    uint32_t access = file->flags & POSIX_O_ACCESS;
    struct pipe_opening *opening = posix_allocate(sizeof(*opening));
    if (opening == NULL) {
        return -ENOMEM;
    }
    opening->file = file;
    opening->has[PIPE_READ] = access != POSIX_O_WRONLY;
    opening->has[PIPE_WRITE] = access != POSIX_O_RDONLY;
    posix_lock_acquire(&pipe->lock);
    enum pipe_end other = access == POSIX_O_RDONLY ? PIPE_WRITE : PIPE_READ;
    bool is_alone = access != POSIX_O_RDWR && pipe->open_count[other] == 0;
    if (is_alone && other == PIPE_READ && event_is_nonblocking(file)) {
        posix_lock_release(&pipe->lock);
        posix_free(opening);
        return -ENXIO;
    }
    if (is_alone && other == PIPE_WRITE) {
        opening->writers_before = pipe->opened[PIPE_WRITE];
    } else {
        opening->writers_before = UINT64_MAX;
    }
    pipe_add(pipe, opening);
    posix_wake(&pipe->opening, UINT32_MAX);
    if (is_alone && !event_is_nonblocking(file)) {
        return wait_for(pipe, other);
    }
    posix_lock_release(&pipe->lock);
    return 0;
}
