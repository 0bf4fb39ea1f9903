/* SPDX-License-Identifier: Apache-2.0 */
/* lwIP's periodic work. lwIP's own timers take memory each time they are set and stop the machine
 * without it; these are a table. All in the stack. */
#ifndef POSIX_INET_TIMERS_H
#define POSIX_INET_TIMERS_H

#include <stdint.h>

/* Runs what is due at the instant that sys_now has. */
void timers_run(uint64_t now_ms);
/* When something is due next, in the milliseconds of timers_run. */
uint64_t timers_next(void);

/* lwIP may have to speak of a group soon (multicast.c). In the stack. */
void timers_groups_needed(void);

#endif
