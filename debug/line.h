/* SPDX-License-Identifier: Apache-2.0 */
/* The line to the debugger: the port atoll.debug of a virtio console where the image uses one, else
 * the second serial port. Core 0. */
#ifndef DEBUG_LINE_H
#define DEBUG_LINE_H

#include <percpu/base.h>

#define DEBUG_LINE_VECTOR 0xfc

/* Sets the line up, with an interrupt for what is received. What a user may call it; NULL: there is
 * none, and it takes and gives nothing. */
const char *debug_line_initialize(void);
/* False: nothing has come. The next byte interrupts if this was asked until it said so. */
bool debug_line_receive(uint8_t *byte);
/* Sends bytes, which stay the caller's, piece by piece: one for each call of debug_line_service,
 * which belongs to each interrupt of the line. Nothing else may be under way. */
void debug_line_queue(const uint8_t *bytes, uint32_t count);
void debug_line_service(void);
bool debug_line_is_sending(void);
/* Where the line's interrupt is waited for next: what has come, or can be sent, interrupts anew.
 * The interrupt is an edge, and there is none where the line of one cause stays up for another. Not
 * while bytes are left unread on purpose: they would interrupt for ever. */
void debug_line_settle(void);
/* The rest at once, polled. */
void debug_line_flush(void);
/* Polled; gives up on a line that takes nothing for ten seconds, and then waits for it no more
 * until it takes something. */
void debug_line_send(const uint8_t *bytes, uint32_t count);

/* ---- uart.c, port.c: what carries the bytes */

struct debug_carrier {
    const char *name;
    uint32_t (*send)(const uint8_t *bytes, uint32_t count); /* how many it took; 0: none now */
    bool (*receive)(uint8_t *byte);
    void (*arm)(bool is_sending); /* what has come, or with is_sending can be sent, interrupts */
};

/* NULL: there is none. */
const struct debug_carrier *debug_uart_initialize(void);
const struct debug_carrier *debug_port_initialize(void);
/* An interrupt of the line: ends what the UART tells of sending; gives the kernel's console its
 * own, which the whole device shares with the port. */
void debug_uart_acknowledge(void);
void debug_port_acknowledge(void);

#endif
