/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of signal/ share. */
#ifndef POSIX_SIGNAL_INTERNAL_H
#define POSIX_SIGNAL_INTERNAL_H

#include <posix/signal.h>
#include <posix/thread.h>

/* Reads the action and, with action not NULL, replaces it; pending signals that are now ignored go.
 */
struct posix_signal_action posix_signal_action_exchange(int signal,
                                                        const struct posix_signal_action *action);
void posix_signal_default(int signal);

#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM ((int32_t)(1u << 31))

static inline bool posix_is_on_signal_stack(const struct posix_signal_stack *stack, uint64_t rsp)
{
    if ((stack->flags & SS_AUTODISARM) != 0) {
        return false;
    }
    return rsp > stack->address && rsp - stack->address <= stack->bytes;
}

#endif
