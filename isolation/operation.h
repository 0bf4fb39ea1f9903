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

/* A request, to this core, which owns the slot, and who made it. */
struct space_asked {
    struct cell *cell;
    struct thread *thread;         /* of this core, or NULL: */
    core_id_t from;                /* another core */
    struct percpu_message message; /* its answer, in the end */
};
/* Answers another core. */
void space_answer(struct space_asked *asked, enum result result);

struct operation {
    uint16_t kind;    /* enum percpu_message_kind; NONE: free. A map that fails becomes an unmap */
    bool is_finished; /* no piece is left */
    bool is_prepared; /* what precedes the first change is done (lazy entries, edges, copy) */
    enum result result;
    struct space_asked asked;

    struct table_root root;
    uint64_t start, end, cursor, flags; /* flags, rights: of the request */
    uint32_t rights;

    /* of the current piece */
    uint64_t stale_start, stale_end; /* translations to drop; stale_end 0: none */
    bool has_left;                   /* other cores must drop them too */
    uint64_t unasked;                /* cores to ask, a bit each */
    uint32_t unanswered;
    uint32_t frame_count;
    uint64_t frames[PIECE_FRAMES_MAX]; /* taken out: address | enum entry_frame */
};
_Static_assert(CORE_COUNT_MAX <= 64, "unasked has a bit for each core");

/* Makes a record for the request and drives it. Returns the result to a thread; SPACE_PENDING: it
 * answers by itself, or no record is free and the thread repeats what it did when one may be.
 * RESULT_AGAIN: none is free, and a core asked. */
enum result operation_run(const struct space_asked *asked);
/* The thread's call is repeated: goes on with its operation. */
enum result operation_resume(struct thread *thread);

/* For pieces: notes a page that translations may exist of; if has_left, on other cores too. */
void operation_stale(struct operation *operation, uint64_t address, bool has_left);
/* For pieces: takes ownership of a frame that was taken out; its reuse waits for the round. */
void operation_take_frame(struct operation *operation, paddr_t frame, enum entry_frame kind);

/* The pieces: each does bounded work, moves operation->cursor, sets is_finished at the end or on
 * failure (result). */
void range_piece(struct operation *operation); /* of a map, an unmap or a protect */
void fault_piece(struct operation *operation);

void operation_register_handlers(void);

#endif
