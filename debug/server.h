/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that answer packets. Core 0, stopped. */
#ifndef DEBUG_SERVER_H
#define DEBUG_SERVER_H

#include "internal.h"

/* The thread that the debugger looks at (packet Hg), or the one that stopped, or any; NULL: there
 * is no thread at all. */
const struct debug_listed *debug_selected(void);

/* The event that was told last, and its thread's id. */
const struct debug_event *debug_told(uint64_t *id);

/* signal.c: siginfo_t of an event; false: posix/ shows none. */
struct debug_siginfo {
    int32_t signal, error, code, padding;
    uint8_t rest[112];
};
bool debug_signal_information(const struct debug_event *event, struct debug_siginfo *out);

/* vcont.c: behind "vCont;". True: the plan is made and the machine goes on. */
bool debug_plan_parse(struct debug_text *text);
/* One action for one thread (NULL: none) and another for the rest. */
void debug_plan_simple(const struct debug_listed *thread, enum debug_action_kind kind,
                       enum debug_action_kind others, uint32_t signal);

/* access.c: registers and memory. Each answers its packet. */
void debug_registers_get(struct debug_reply *reply); /* g */
/* All of a thread's, as packet g has them. */
void debug_registers_put_all(struct debug_reply *reply, const struct debug_registers *registers);
void debug_registers_put(struct debug_text *text, struct debug_reply *reply); /* G */
void debug_register_get(struct debug_text *text, struct debug_reply *reply);  /* p */
void debug_register_put(struct debug_text *text, struct debug_reply *reply);  /* P */
void debug_memory_get(struct debug_text *text, struct debug_reply *reply, bool is_binary);
void debug_memory_put(struct debug_text *text, struct debug_reply *reply, bool is_binary);
void debug_tls_get(struct debug_text *text, struct debug_reply *reply); /* qGetTLSAddr: */

/* core.c: behind qAtollMap: and qAtollFrame: */
void debug_core_map(struct debug_text *text, struct debug_reply *reply);
void debug_core_frame(struct debug_text *text, struct debug_reply *reply);

#endif
