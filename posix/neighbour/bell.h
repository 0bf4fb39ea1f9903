/* SPDX-License-Identifier: Apache-2.0 */
/* The doorbell beside the memory shared with a neighbour: a port of the gate, which is core 0's. A
 * thread of posix/'s own there waits for rings, and rings for threads of other cores. */
#ifndef POSIX_NEIGHBOUR_BELL_H
#define POSIX_NEIGHBOUR_BELL_H

#include <posix/posix.h>

/* What happened since the start; written by whoever does it, to be shown (counts.c). */
struct bell_counts {
    _Atomic uint64_t timer_looks; /* at the shared words, because a time was over */
    _Atomic uint64_t bell_looks;  /* because of a ring */
    _Atomic uint64_t rings;       /* of the peer's bell */
};
extern struct bell_counts bell_counts;

/* Starts that thread if it does not run; returns the number by which others ring this machine, or
 * -ENODEV: there is no doorbell, or nobody who could wait for it: a timer has to look.
 *
 * Context:    a thread of the program, no locks; may wait for the thread on core 0 */
int64_t bell_start(void);

/* Rings a machine, at once or, from another core than 0, soon. Not behind a -ENODEV.
 *
 * @side       of this machine; one ring of each side is under way
 * Context:    any thread, under locks */
void bell_ring(uint32_t side, uint32_t number);

/* Returns when all is rung that was to be: the program ends. Context: as bell_start */
void bell_finish(void);

/* device.c: looks at all that is open, tells who waits, and asks the peers again. Called on core 0
 * when the bell has rung; false: it brought nothing. */
bool device_look(void);

#endif
