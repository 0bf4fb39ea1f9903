/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of GDB's remote serial protocol (GDB manual, "Remote Protocol", "Overview"): bytes to
 * packets, and text to replies. Pure, bounded, no state but the caller's.
 *
 *     $ body # two hexadecimal digits: sum of the body's bytes modulo 256
 *
 * In a body } takes the next byte's meaning away: it stands for that byte ^ 0x20.
 *
 * Error policy: whatever arrives, a receiver is ready for the next packet; what is malformed, too
 * long, cut off or has a wrong sum is never handed over. A reply that does not fit becomes an error
 * reply. Non-goals: run-length encoding, notifications. */
#ifndef DEBUG_PACKET_H
#define DEBUG_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEBUG_PACKET_BYTES_MAX 16384u /* of a body, as PacketSize announces it */

enum debug_input {
    DEBUG_INPUT_NONE,      /* more is to come */
    DEBUG_INPUT_PACKET,    /* body, unescaped, with a NUL behind it */
    DEBUG_INPUT_DAMAGED,   /* a packet ended whose sum is wrong or that was too long */
    DEBUG_INPUT_BEGIN,     /* a packet has begun */
    DEBUG_INPUT_INTERRUPT, /* Ctrl-C, outside of a packet */
    DEBUG_INPUT_REPEAT,    /* the peer did not understand our last packet */
};

struct debug_receiver {
    uint32_t state; /* private; 0 at start */
    uint8_t sum, claimed;
    bool is_escaped, is_too_long;
    uint32_t bytes;
    uint8_t body[DEBUG_PACKET_BYTES_MAX + 1];
};

/* Takes one byte from the line. */
enum debug_input debug_receiver_take(struct debug_receiver *receiver, uint8_t byte);

/* A reply under construction: the body as it goes over the line, escaped. */
struct debug_reply {
    uint32_t bytes;
    bool is_too_long;
    uint8_t body[DEBUG_PACKET_BYTES_MAX];
};

void debug_reply_clear(struct debug_reply *reply);
/* Text without $ # } *, or any text: what needs it is escaped. */
void debug_reply_text(struct debug_reply *reply, const char *text);
void debug_reply_byte(struct debug_reply *reply, uint8_t byte);
/* A number in hexadecimal without leading zeros; in decimal; bytes as pairs of digits. */
void debug_reply_number(struct debug_reply *reply, uint64_t value);
void debug_reply_decimal(struct debug_reply *reply, uint64_t value);
void debug_reply_hex(struct debug_reply *reply, const void *from, size_t count);
/* Bytes as they are, escaped: as many as fit; how many. */
size_t debug_reply_binary(struct debug_reply *reply, const void *from, size_t count);
/* The sum that ends the reply; a reply that was too long has become E01. */
uint8_t debug_reply_finish(struct debug_reply *reply);

/* A packet's text, read from the front. */
struct debug_text {
    const uint8_t *at;
    uint32_t left;
};

/* True: the text began so, and the word is taken. */
bool debug_text_word(struct debug_text *text, const char *word);
/* A hexadecimal number of 1..16 digits; false: there is none, nothing is taken. */
bool debug_text_number(struct debug_text *text, uint64_t *value);
/* Pairs of digits into bytes: how many, at most count; stops at what is no pair. */
size_t debug_text_hex(struct debug_text *text, void *to, size_t count);

#endif
