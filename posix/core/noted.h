/* SPDX-License-Identifier: Apache-2.0 */
/* Between noted.S and noted.c, which note system calls in debug images. */
#ifndef POSIX_CORE_NOTED_H
#define POSIX_CORE_NOTED_H

/* struct noted_call on the stack of noted.S */
#define NOTED_NUMBER 48
#define NOTED_SESSION 56
#define NOTED_BYTES 72

#ifndef __ASSEMBLER__
#include <posix/signal.h>
#include <stdint.h>

#define NOTED_CREDIT (1ull << 32) /* of session: its end has a place */
#define NOTED_BEGUN (1ull << 33)  /* of session: its beginning was noted or lost */

struct noted_call {
    uint64_t arguments[6];
    uint64_t number;  /* SYSCALL_COUNT: of all that Linux does not have */
    uint64_t session; /* in which it began, and more; 0: nobody looked */
    uint64_t alignment;
};

/* Around a handler. Returns result. */
void posix_note_enter(struct noted_call *call);
int64_t posix_note_leave(const struct noted_call *call, int64_t result);
/* A signal is about to be delivered to the calling thread. */
void posix_note_signal(const struct posix_signal_info *info);
#endif

#endif
