/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that answer packets. Core 0, stopped. */
#ifndef DEBUG_SERVER_H
#define DEBUG_SERVER_H

#include "internal.h"

/* The thread that the debugger looks at (packet Hg), or the one that stopped, or any; NULL: there
 * is no thread at all. */
const struct debug_listed *debug_selected(void);

/* What the thread that the debugger looks at stopped for; NULL: it did not stop for anything. */
const struct debug_event *debug_told(void);
/* A stop reply. @thread NULL: unknown */
void debug_stop_put(struct debug_reply *reply, const struct debug_event *event,
                    const struct debug_listed *thread);
#define DEBUG_FOOTER_BYTES 3u
/* What ends a packet. */
void debug_reply_footer(struct debug_reply *reply, uint8_t footer[DEBUG_FOOTER_BYTES]);

/* nonstop.c */
void debug_nonstop_begin(void);
/* All threads go on. */
void debug_nonstop_end(void);
/* Lists the threads whose cores have events. False: there is none. */
bool debug_nonstop_collect(void);
const struct debug_event *debug_nonstop_event(uint64_t id); /* NULL: it runs */
bool debug_nonstop_is_service(const struct debug_listed *thread);
/* False: a breakpoint of this kind of packet Z is refused there. */
bool debug_nonstop_may_break(uint32_t kind, uint64_t address);
/* One that does not stand still yet does now. False: too many do. */
bool debug_nonstop_stop(const struct debug_listed *thread, uint32_t signal);
void debug_nonstop_interrupt(void);
/* Its stop has been told: it may be let go. */
bool debug_nonstop_can_go(const struct debug_listed *thread);
void debug_nonstop_go(const struct debug_listed *thread, const struct debug_action *action);
void debug_nonstop_next(struct debug_reply *reply);  /* vStopped */
void debug_nonstop_again(struct debug_reply *reply); /* ? */
/* What goes over the line when the machine runs again: a packet's answer; then a notification, if
 * there is something to tell. */
void debug_nonstop_reply(struct debug_reply *reply);
void debug_nonstop_notify(void);
void debug_nonstop_send(void);
/* The machine ends, and with it the session. */
void debug_nonstop_ended(struct debug_reply *end, struct debug_receiver *receiver);

/* The machine ends when the packet is answered. */
void debug_server_exit(void);

/* restart.c: extended mode */
enum debug_end { DEBUG_END_NONE, DEBUG_END_STATUS, DEBUG_END_SIGNAL };
/* What the debugger has agreed on with this stub, and does not say again. */
struct debug_agreement {
    bool has_acknowledgement_off;
    uint64_t passed_signals[DEBUG_SIGNAL_WORDS];
};
void debug_extended_set(bool is_on);
/* The program has ended so. True: the machine stands still with it. */
bool debug_extended_keep(enum debug_end how, uint8_t code);
enum debug_end debug_extended_ended(void);
/* W or X; of what was kept. */
void debug_end_put(struct debug_reply *reply, enum debug_end how, uint8_t code);
void debug_extended_put(struct debug_reply *reply);
/* Behind vRun: resets the machine; false: it is not this program, or that has not ended. */
bool debug_extended_run(struct debug_text *text, const struct debug_agreement *agreement);
/* At boot: the machine was reset for that. */
bool debug_extended_resume(struct debug_agreement *agreement);

/* signal.c: siginfo_t of an event; false: posix/ shows none. */
struct debug_siginfo {
    int32_t signal, error, code, padding;
    uint8_t rest[112];
};
bool debug_signal_information(const struct debug_event *event, struct debug_siginfo *out);

/* vcont.c: behind "vCont;". True: the plan is made and the machine goes on. */
bool debug_plan_parse(struct debug_text *text);
/* The same, in non-stop mode: what it names is done. False: nothing is. */
bool debug_plan_apply(struct debug_text text);
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
