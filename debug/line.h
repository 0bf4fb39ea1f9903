/* SPDX-License-Identifier: Apache-2.0 */
/* The second serial port, which belongs to the debugger: 16550 at 0x2f8, interrupt 3. Core 0. */
#ifndef DEBUG_LINE_H
#define DEBUG_LINE_H

#include <percpu/base.h>

#define DEBUG_LINE_VECTOR 0xfc

/* Sets the port up, with an interrupt for each received byte. False: there is none. */
bool debug_line_initialize(void);
/* False: nothing has come. The next byte interrupts if this was asked until it said so. */
bool debug_line_receive(uint8_t *byte);
/* Sends bytes, which stay the caller's, piece by piece: a FIFO for each call of debug_line_service,
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
/* Polled; gives up on a line that takes nothing for ten seconds. */
void debug_line_send(const uint8_t *bytes, uint32_t count);

#endif
