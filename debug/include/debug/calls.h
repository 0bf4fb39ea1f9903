/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that the posix/ of a debug image notes, for ./atoll live PORT strace: one ring
 * for each core, in posix/'s per-core data (posix/core/noted.c). The stub says which calls are
 * noted, takes what has been noted, and believes none of it (debug/calls.c). Depends on nothing
 * else.
 *
 * Positions count slots since boot. A record is one slot or several in a row. Its writer claims
 * them, fills them, and stores each slot's sequence, position + 1; the first slot's is stored last.
 * So threads that take turns on a core never wait for each other, and the reader takes slots in
 * their order as far as their sequences go. A call is noted only if there is room for its end too,
 * which is set aside as a credit: a call is there as a whole or counted as lost. */
#ifndef DEBUG_CALLS_H
#define DEBUG_CALLS_H

#include <stdint.h>

#define DEBUG_CALL_SLOTS 1024u
#define DEBUG_CALL_SLOT_BYTES 160u
#define DEBUG_CALL_NUMBERS 512u /* larger ones are noted as the number behind Linux's last */
#define DEBUG_CALL_NAME_BYTES 16u
#define DEBUG_CALL_RECORD_SLOTS_MAX 7u
#define DEBUG_CALL_POSITION_BITS 48u /* of claimed; above: slots set aside for ends of calls */

enum debug_call_kind {
    DEBUG_CALL_ENTER = 1, /* what the call points to that it reads */
    DEBUG_CALL_LEAVE = 2, /* its result, and what it points to that it has written */
    DEBUG_CALL_SIGNAL = 3 /* number: of a signal that is delivered; data: its siginfo_t */
};

/* Of a record's first slot. Behind it: items, each a struct debug_call_item and its bytes. */
struct debug_call_head {
    uint64_t time_ns, number;
    int64_t result;
    uint64_t arguments[6];
    uint32_t session;
    int32_t thread;
    uint16_t data_bytes;
    uint8_t kind, slots;
    uint32_t reserved;
    char name[DEBUG_CALL_NAME_BYTES];
};

struct debug_call_item {
    uint8_t argument; /* from 0 on */
    uint8_t part;     /* 0: what it points to; from 1 on: what that points to, in order */
    uint16_t bytes;
};

struct debug_call_slot {
    _Atomic uint64_t sequence;
    uint8_t content[DEBUG_CALL_SLOT_BYTES - sizeof(uint64_t)];
};
_Static_assert(sizeof(struct debug_call_slot) == DEBUG_CALL_SLOT_BYTES, "tools/atoll/live");
_Static_assert(sizeof(struct debug_call_head) == 104, "tools/atoll/live");

struct debug_calls {
    uint64_t selected[DEBUG_CALL_NUMBERS / 64]; /* the stub's: which numbers are noted */
    uint64_t session;                           /* the stub's; 0: nobody looks */
    _Atomic uint64_t taken;                     /* the stub's */
    _Atomic uint64_t claimed;                   /* with credits */
    _Atomic uint64_t lost;                      /* calls and signals, in this session */
    struct debug_call_slot slots[DEBUG_CALL_SLOTS];
};

#endif
