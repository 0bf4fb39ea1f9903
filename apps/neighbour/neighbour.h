/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a channel to another machine through shared memory: docs/NEIGHBOUR.md is the format.
 * C99 without any library, for posix/ and for an RTOS alike; needs 32-bit accesses that are atomic,
 * in memory that both machines see coherently. A compiler without GCC's __atomic built-ins defines
 * NEIGHBOUR_LOAD, NEIGHBOUR_STORE and NEIGHBOUR_FENCE itself.
 *
 * Error policy: the peer is hostile. What it writes is read once into a local copy and checked; an
 * index that lies is NEIGHBOUR_BROKEN, which like NEIGHBOUR_RESET ends this life for good: leave
 * and join again. Nothing that it can write makes a function loop, wait or touch other memory.
 * Non-goals: secrecy of what both see; noticing that a machine died (it says nothing any more).
 * Context: one caller at a time for each struct neighbour; bounded work, nothing waits. */
#ifndef NEIGHBOUR_H
#define NEIGHBOUR_H

#include <stdint.h>

#define NEIGHBOUR_BYTES 65536u /* of the shared memory; what lies behind is not used */
#define NEIGHBOUR_SLOTS 256u   /* of each direction */
#define NEIGHBOUR_SLOT_BYTES 64u
#define NEIGHBOUR_PAYLOAD_BYTES 48u
#define NEIGHBOUR_MESSAGE_SLOTS_MAX 64u
#define NEIGHBOUR_MESSAGE_BYTES_MAX (NEIGHBOUR_MESSAGE_SLOTS_MAX * NEIGHBOUR_PAYLOAD_BYTES)
#define NEIGHBOUR_BELL_MAX 0xffffu /* largest number of a doorbell */

enum neighbour_status {
    NEIGHBOUR_OK,
    NEIGHBOUR_AGAIN,   /* nobody is there yet, or no message, or no room: later */
    NEIGHBOUR_CLOSED,  /* the peer has left, and everything that it sent was received */
    NEIGHBOUR_RESET,   /* the peer began a new life: what was under way is lost */
    NEIGHBOUR_BROKEN,  /* the peer broke a rule */
    NEIGHBOUR_INVALID, /* the caller's argument; nothing was done */
};

/* What neighbour_look finds, bits. */
#define NEIGHBOUR_READABLE                                                                         \
    1u                        /* neighbour_receive has a message or tells why there will be none   \
                               */
#define NEIGHBOUR_WRITABLE 2u /* neighbour_send takes a message of any size, or tells why not */
#define NEIGHBOUR_LEFT 4u     /* the peer takes no more messages */
#define NEIGHBOUR_FAILED 8u   /* reset or broken */

/* One life of one side. Private memory, never shared with the peer. */
struct neighbour {
    volatile uint32_t *own;        /* this side's area: written by this side alone */
    volatile uint32_t *peer;       /* the other's: only read */
    uint32_t generation;           /* of this life; not 0 */
    uint32_t met;                  /* the peer's generation that was greeted; 0: none yet */
    uint32_t is_linked;            /* both have greeted each other */
    uint32_t head, tail;           /* positions that this side writes: sent, received */
    uint32_t peer_head, peer_tail; /* the last positions of the peer that were accepted */
    enum neighbour_status end;     /* NEIGHBOUR_OK; else why this life has ended */
    uint32_t has_bell;
    uint32_t is_changed;           /* generation, met or left was written since the last ring */
    uint32_t rung_head, rung_tail; /* positions at that time */
};

/* Begins a life of one side: what an earlier life of it left in the memory is void.
 *
 * @memory     64-byte-aligned, mapped writable, @bytes at least NEIGHBOUR_BYTES
 * @side       0 or 1; the peer is the other one
 * Errors:     NEIGHBOUR_INVALID */
enum neighbour_status neighbour_join(struct neighbour *side, void *memory, uint64_t bytes,
                                     uint32_t number);
/* Sends one message, whole or not at all.
 *
 * @bytes      1..NEIGHBOUR_MESSAGE_BYTES_MAX
 * Errors:     AGAIN | CLOSED | RESET | BROKEN | INVALID */
enum neighbour_status neighbour_send(struct neighbour *side, const void *message, uint32_t bytes);
/* Receives one message.
 *
 * @buffer     of @capacity bytes; what is longer is cut. Undefined unless OK is returned
 * @bytes      on OK the message's whole length
 * Errors:     AGAIN | CLOSED | RESET | BROKEN */
enum neighbour_status neighbour_receive(struct neighbour *side, void *buffer, uint32_t capacity,
                                        uint32_t *bytes);
/* What would not be AGAIN: NEIGHBOUR_READABLE and so on. */
uint32_t neighbour_look(struct neighbour *side);
/* Ends this life in good order: the peer still receives what was sent. */
void neighbour_leave(struct neighbour *side);

/* A doorbell, where the machines have one. Right behind neighbour_join: the peer may ring this
 * life. From then on each call above is followed by neighbour_ring.
 *
 * @number     of this machine's doorbell, 0..NEIGHBOUR_BELL_MAX */
void neighbour_bell(struct neighbour *side, uint32_t number);
/* Not 0: what was written since the last call is something that the peer waits for: the caller
 * rings the doorbell *number. */
uint32_t neighbour_ring(struct neighbour *side, uint32_t *number);
/* Asks the peer to ring once there is what was missing: NEIGHBOUR_READABLE, NEIGHBOUR_WRITABLE.
 * Not 0: it will ring, and there was nothing yet; 0: the caller looks again by itself, soon.
 * Context:    behind a call that said AGAIN, or neighbour_look */
uint32_t neighbour_ask(struct neighbour *side, uint32_t missing);

#endif
