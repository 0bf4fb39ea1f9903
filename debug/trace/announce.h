/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DEBUG_TRACE_ANNOUNCE_H
#define DEBUG_TRACE_ANNOUNCE_H

/* Tells on the console where the rings lie. Core 0, once, before seal. */
void trace_announce(void);

#endif
