/* SPDX-License-Identifier: Apache-2.0 */
/* The console: one serial line that carries the program's streams, the kernel's lines and how the
 * program ended.
 *
 * Plain (default): bytes as they are; log lines only when verbose; Ctrl-D (0x04) at the start of a
 * line ends the input.
 * Framed (IMAGE_FLAG_FRAMED), both directions:
 *
 *     0      1        2..3                4..
 *     0xA7   stream   length (LE, 1..4096) payload          guest to host
 *     0xA7   0        length (LE, 0..4096) payload          host to guest; length 0: end of input
 *
 * What is malformed in the input is skipped to the next 0xA7.
 *
 * Output is buffered and interrupt-driven on core 0 after console_start_interrupts; in any other
 * state (boot, other cores, after console_panic_begin) it is polled, with bounded waiting. The line
 * belongs to core 0; others use it only for their last words. The line is the serial port, or what
 * shared_console_line was set to.
 *
 * Error policy: output to a line that does not take it is dropped after a bounded wait. */
#ifndef DRIVER_CONSOLE_H
#define DRIVER_CONSOLE_H

#include <percpu/base.h>

#define CONSOLE_FRAME_MARK 0xa7u
#define CONSOLE_PAYLOAD_BYTES_MAX 4096u

enum console_stream {
    CONSOLE_STREAM_INPUT = 0,
    /* 1, 2 and 6: of programs */
    CONSOLE_LOG = 3, /* the kernel's lines */
    CONSOLE_STREAM_EXIT = 4,
    CONSOLE_ERROR = 5, /* those that a user must see */
    CONSOLE_STREAM_TRACE = 7,
};

enum console_exit {
    CONSOLE_EXIT_NORMAL = 0,
    CONSOLE_EXIT_SIGNAL = 1,
    CONSOLE_EXIT_PANIC = 2,
    CONSOLE_EXIT_REFUSED = 3,
};

/* What carries the bytes; the serial port unless another one is set. Nothing here waits. Any core
 * and state: send and is_idle; the others: core 0 after console_start_interrupts. */
struct console_line {
    /* Has its interrupt sent to VECTOR_UART; NULL: that is done. RESULT_INVALID: it has none. */
    enum result (*start)(void);
    /* Takes some of the bytes and returns how many; 0: none now, an interrupt comes when it may. */
    uint32_t (*send)(const uint8_t *bytes, uint32_t count);
    bool (*receive)(uint8_t *byte); /* false: nothing there */
    void (*enable)(uint8_t causes); /* which CONSOLE_LINE_* may interrupt */
    /* Acknowledges the interrupt; false: the line is quiet. */
    bool (*pending)(void);
    bool (*is_idle)(void); /* the last bit has left */
};
#define CONSOLE_LINE_RECEIVE 1u
#define CONSOLE_LINE_TRANSMIT 2u

/* The one in use. Written by core 0 before console_start_interrupts, read by all. */
extern const struct console_line *shared_console_line;
/* The same for the kernel's lines alone; only send is used. NULL: they go with all else. */
extern const struct console_line *shared_console_log;
/* The same for a second copy of the kernel's lines, with the last words of all cores. */
extern const struct console_line *shared_console_copy;

/* Looks for the serial port and sets it up. Boot core, first of all. */
void console_discover(void);
/* Looks for the console of a domain of Xen, where there is no serial port; has core 0's tables show
 * it. Boot core on boot tables, memory collected, before memory_regions_build. */
void console_discover_xen(void);
/* Core 0 on its own root, once: the line becomes that console, if there is one, and what was the
 * line before has the copy. */
void console_attach_xen(void);
/* Takes IMAGE_FLAG_FRAMED and IMAGE_FLAG_VERBOSE of an image. Before seal. */
void console_set_mode(uint32_t image_flags);
/* Core 0 on its own root, once: from here on the line is interrupt-driven (VECTOR_UART). */
void console_start_interrupts(void);
/* Core 0: VECTOR_UART arrived. Bounded work; the caller ends the interrupt. True: there is room
 * to try again what was refused with RESULT_AGAIN. */
bool console_interrupt(void);

/* Core 0: takes 1..bytes bytes of a stream and returns how many; never blocks. RESULT_AGAIN: full,
 * an interrupt will come when there is room again. @stream 1, 2 or 6 for programs; @bytes > 0 */
int64_t console_write(uint32_t stream, const void *data, uint64_t bytes);
/* Any core and state: all of it, polled. */
void console_write_blocking(uint32_t stream, const void *data, uint64_t bytes);

/* Core 0: how many bytes of input, at *at, can be taken now, perhaps not all that have come; 0 at
 * the input's end, RESULT_AGAIN if there are none yet (an interrupt will come). */
int64_t console_input(const uint8_t **at);
/* Core 0: takes the first of them. @bytes at most what console_input has just returned */
void console_input_take(uint64_t bytes);
/* One line or a part of one, of at most 256 bytes: %s %u %x %lu %lx %%. Any state. */
void console_log(enum console_stream level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How it ended: a frame of four bytes, or a line if it is not a plain success. */
void console_exit_record(uint8_t kind, uint8_t status, uint8_t signal);

/* From here on this core's output is polled; what core 0 has buffered goes out first. Waits,
 * bounded, until what was written has left. Any core and state, also again. */
void console_panic_begin(void);

#endif
