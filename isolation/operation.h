/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on the tables of this core's slots that may take more than one entry of the kernel: a
 * range too long for one piece, or a round of invalidations on other cores. Private to isolation/.
 *
 * A piece changes a bounded number of entries and notes which frames and tables it took out. Then a
 * round: this core drops its translations, and every core that may hold some of the cell is asked
 * to and answers. Only then are the frames reused. An operation without a round gives way between
 * two pieces: the thread goes through the run queue (its call is repeated and finds the operation
 * in work[0]); a remote requester is sent an empty invalidation, whose answer continues the
 * operation.
 *
 * Interleaving: between two pieces, and while a round is under way, any other operation or fault
 * may run on the same range. That is safe because nothing is kept across pieces but addresses: each
 * piece looks at the entries anew, takes out only what it finds, and what it took out belongs to
 * the record alone. Whoever takes a frame or a table out starts a round of its own, whatever the
 * entry's history, so that no unfinished round of another operation is relied upon. A program that
 * maps and unmaps one range from two threads gets some mixture of the two; posix/ holds a lock per
 * slot.
 *
 * Records are few; they always come free, because a round needs nothing but invalidation and return
 * messages, which a receiver answers at once. Local threads queue for one; a remote requester is
 * told RESULT_AGAIN and repeats its request. */
#ifndef ISOLATION_OPERATION_H
#define ISOLATION_OPERATION_H

#include "table.h"

#include <isolation/space.h>
#include <percpu/channel.h>

#define OPERATIONS_MAX 16u
#define PIECE_ENTRIES_MAX 64u /* entries that a piece takes out or fills */
#define PIECE_STEPS_MAX 1024u /* entries that a piece looks at */
#define PIECE_FRAMES_MAX (PIECE_ENTRIES_MAX + 16u)
#define PIECE_FRAMES_SLACK 3u /* one leaf and the tables that it may empty */

/* A request has the kind of the message that carries it from another core. */
enum operation_kind {
    OPERATION_FREE = PERCPU_MESSAGE_NONE,
    OPERATION_MAP = PERCPU_MESSAGE_MAP,
    OPERATION_UNMAP = PERCPU_MESSAGE_UNMAP,
    OPERATION_PROTECT = PERCPU_MESSAGE_PROTECT,
    OPERATION_FAULT = PERCPU_MESSAGE_FAULT,
};

enum operation_state {
    OPERATION_RUN,   /* the next piece */
    OPERATION_ROUND, /* waits for answers, or for credits to ask */
    OPERATION_GIVE,  /* sends foreign frames home; may wait for credits */
};

struct operation {
    uint8_t kind, state; /* enum operation_kind, enum operation_state */
    uint8_t asked_kind;  /* a map that fails goes on as an unmap */
    bool is_finished;    /* no piece is left */
    bool is_done;        /* finished while the thread that asks was running */
    bool is_prepared;    /* what precedes the first change is done (lazy entries, edges, copy) */
    enum result result;

    struct cell *cell;
    struct table_root root;
    struct thread *thread; /* local requester, or NULL: */
    core_id_t from;
    uint64_t token; /* of the reply */

    uint64_t start, end, cursor;
    uint32_t protection, flags;
    uint64_t offset;
    paddr_t donated; /* fault: the remote requester's frame, a copy of the image page `offset` */
    uint32_t used;   /* fault: how many of its frames were taken */

    /* of the current piece */
    uint64_t stale_start, stale_end; /* translations to drop; start == end: none */
    bool has_left;                   /* other cores must drop them too */
    uint64_t unasked;                /* cores to ask, a bit each */
    uint32_t unanswered;
    uint32_t frame_count; /* taken out: operation_frames */
};
_Static_assert(CORE_COUNT_MAX <= 64, "unasked has a bit for each core");

/* The arguments of a request: it is the message that carries it to the owner of a slot, also when
 * that is this core. */
enum space_argument {
    SPACE_CELL,
    SPACE_ADDRESS,
    SPACE_BYTES,
    SPACE_PROTECTION,
    SPACE_FLAGS,
    SPACE_OFFSET,
};

/* Who asks: a thread of this core, or, with NULL, another core. */
struct space_origin {
    struct thread *thread;
    core_id_t from;
};

/* A record for the request. RESULT_AGAIN: none is free, and a core asked; SPACE_PENDING: a thread
 * asked, which repeats what it did when one may be free. */
enum result operation_begin(struct cell *cell, const struct percpu_message *request,
                            struct space_origin origin, struct operation **operation);
/* Drives the operation. Returns its result to a thread, or SPACE_PENDING: it answers by itself. */
enum result operation_start(struct operation *operation);
/* The thread's call is repeated: goes on with its operation. */
enum result operation_resume(struct thread *thread);

/* For pieces: notes a page that translations may exist of; if has_left, on other cores too. */
void operation_stale(struct operation *operation, uint64_t address, bool has_left);
/* For pieces: takes ownership of a frame that was taken out; its reuse waits for the round. */
void operation_take_frame(struct operation *operation, paddr_t frame, enum entry_frame kind);

/* The pieces: each does bounded work, moves operation->cursor, sets is_finished at the end or on
 * failure (result). */
void range_populate_piece(struct operation *operation); /* of a map */
void range_change_piece(struct operation *operation);   /* of an unmap or a protect */
void fault_piece(struct operation *operation);

void operation_register_handlers(void);

#endif
