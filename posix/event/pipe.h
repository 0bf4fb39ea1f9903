/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes: a ring of bytes between two open files. Bytes move between the ring and the application
 * with no lock held, but for a few: the thread that moves them has its end's turn, and the others
 * wait for it. So a write of up to PIPE_BYTES_ATOMIC bytes is never mixed with another, and a fault
 * loses nothing. */
#ifndef POSIX_EVENT_PIPE_H
#define POSIX_EVENT_PIPE_H

#include "event.h"
#include <posix/event.h>

#define PIPE_PAGE_BYTES 4096ull
#define PIPE_BYTES_ATOMIC 4096ull /* PIPE_BUF */
#define PIPE_BYTES_START 65536ull
#define PIPE_BYTES_MAX (1ull << 20)

enum pipe_end { PIPE_READ, PIPE_WRITE, PIPE_ENDS };

/* An open file on a pipe; a named one has any number. */
struct pipe_opening {
    struct pipe_opening *next;
    struct posix_file *file;
    bool has[PIPE_ENDS];
    uint64_t writers_before; /* opened[PIPE_WRITE] when it found no writer: none has hung up yet */
};

struct pipe {
    struct posix_lock lock;
    struct pipe_opening *openings;
    struct pipe_opening unnamed[PIPE_ENDS];     /* those of a pipe without a name */
    bool is_named;                              /* it lives as long as its node */
    uint32_t open_count[PIPE_ENDS];             /* 0: closed */
    uint64_t opened[PIPE_ENDS];                 /* how often, ever */
    struct posix_wait_queue opening;            /* for the other end to be opened */
    bool has_turn[PIPE_ENDS];                   /* a thread moves bytes at this end */
    struct posix_wait_queue waiting[PIPE_ENDS]; /* for data, for room */
    struct posix_wait_queue turn[PIPE_ENDS];
    uint64_t head, tail; /* bytes written and read since the ring was empty last */
    uint64_t bytes_max;  /* a power of two, at least a page */
    uint64_t page_count; /* that are there */
    uint8_t **pages;     /* bytes_max / PIPE_PAGE_BYTES; NULL: not there */
    uint64_t number;     /* st_ino */
};

/* Closed at both ends; NULL: no memory. */
struct pipe *pipe_create(void);
void pipe_free(struct pipe *pipe);
/* Opens the ends that the opening has for its file. The lock is held. */
void pipe_add(struct pipe *pipe, struct pipe_opening *opening);
/* What open does with a named pipe besides: waits for the other end as Linux does.
 *
 * Errors:     -ENXIO | -ENOMEM | -ERESTARTSYS; release follows on any */
int64_t pipe_open(struct posix_file *file);

/* F_SETPIPE_SZ. Returns the new size. */
int64_t pipe_resize(struct posix_file *file, uint64_t bytes);
/* The watches of the end's files hear of the events; the lock is held. */
void pipe_notify(struct pipe *pipe, enum pipe_end end, uint32_t events);
/* Lets the next one move bytes at the end; the lock is held. */
void pipe_give_turn(struct pipe *pipe, enum pipe_end end);

#endif
