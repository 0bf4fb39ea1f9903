/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: a ring of bytes between two open files. Bytes move between the ring and the application
 * with no lock held: the thread that moves them has its end's turn, and the others wait for it. So
 * a write of up to PIPE_BYTES_ATOMIC bytes is never mixed with another, and a fault loses nothing.
 */
#ifndef POSIX_EVENT_PIPE_H
#define POSIX_EVENT_PIPE_H

#include "event.h"

#define PIPE_PAGE_BYTES 4096ull
#define PIPE_BYTES_ATOMIC 4096ull /* PIPE_BUF */
#define PIPE_BYTES_START 65536ull
#define PIPE_BYTES_MAX (1ull << 20)

enum pipe_end { PIPE_READ, PIPE_WRITE, PIPE_ENDS };

struct pipe {
    struct posix_lock lock;
    struct posix_file *ends[PIPE_ENDS];         /* NULL: closed */
    bool has_turn[PIPE_ENDS];                   /* a thread moves bytes at this end */
    struct posix_wait_queue waiting[PIPE_ENDS]; /* for data, for room */
    struct posix_wait_queue turn[PIPE_ENDS];
    uint64_t head, tail; /* bytes written and read since the ring was empty last */
    uint64_t bytes_max;  /* a power of two, at least a page */
    uint64_t page_count; /* that are there */
    uint8_t **pages;     /* bytes_max / PIPE_PAGE_BYTES; NULL: not there */
    uint64_t number;     /* st_ino */
};

extern const struct posix_file_operations pipe_read_operations, pipe_write_operations;

/* F_SETPIPE_SZ. Returns the new size. */
int64_t pipe_resize(struct posix_file *file, uint64_t bytes);
/* Lets the next one move bytes at the end; the lock is held. */
void pipe_give_turn(struct pipe *pipe, enum pipe_end end);

#endif
