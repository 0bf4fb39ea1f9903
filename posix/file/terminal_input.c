/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's input. A thread of posix/'s own takes it as it comes, so that a key that is a
 * signal is one even when nobody reads. With a framed console the byte 255 begins an escape in it:
 *
 *     255 255                                a byte 255
 *     255 1 rows columns (LE, 2 bytes each)  the window has this size now */
#include "console.h"
#include "terminal_state.h"

#define ESCAPE 255u
#define ESCAPE_SIZE 1u
#define ESCAPE_BYTES 6u
#define INPUT_BYTES 256u

/* The service thread's own: bytes that have left the gate, and an escape that has begun. */
static uint8_t input[INPUT_BYTES];
static uint32_t input_begin, input_end;
static uint8_t escape[ESCAPE_BYTES];
static uint32_t escape_bytes;

static uint16_t from_little_endian(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* Locked. Takes one byte of what the tool sent. */
static void take(uint8_t byte)
{
    if (!terminal.has_escapes || (escape_bytes == 0 && byte != ESCAPE)) {
        discipline_take(&terminal.discipline, byte);
        return;
    }
    escape[escape_bytes++] = byte;
    if (escape_bytes == 2 && byte != ESCAPE_SIZE) {
        escape_bytes = 0;
        discipline_take(&terminal.discipline, byte);
    } else if (escape_bytes == ESCAPE_BYTES) {
        escape_bytes = 0;
        const struct linux_winsize size = {.rows = from_little_endian(escape + 2),
                                           .columns = from_little_endian(escape + 4)};
        terminal.discipline.signals |= terminal_resize(&size);
    }
}

enum arrival { ARRIVED_NOTHING, ARRIVED, ARRIVED_END };

static void show_echo(void)
{
    if (terminal.discipline.echo_count != 0) {
        (void)console_put(terminal.screen, (uintptr_t)terminal.discipline.echo,
                          terminal.discipline.echo_count);
        terminal.discipline.echo_count = 0;
    }
}

/* Fills the input from the gate, which unparks us when there is some. */
static enum arrival fetch(void)
{
    int64_t got = gate_console(GATE_CONSOLE_LISTEN, 0, 0, 0);
    if (got > 0) {
        got = gate_console(GATE_CONSOLE_READ, 0, (uintptr_t)input, sizeof(input));
    }
    input_begin = 0;
    input_end = got > 0 ? (uint32_t)got : 0;
    return got > 0 ? ARRIVED : got == -EAGAIN ? ARRIVED_NOTHING : ARRIVED_END;
}

/* Locked. Gives what has arrived to the discipline; true: there may be more. */
static bool take_all(enum arrival arrival)
{
    while (input_begin != input_end && discipline_has_room(&terminal.discipline)) {
        take(input[input_begin++]);
    }
    terminal.is_full = input_begin != input_end;
    if (arrival == ARRIVED_END) {
        terminal.is_ended = true;
        discipline_end(&terminal.discipline);
    }
    return arrival == ARRIVED && !terminal.is_full;
}

/* What was typed is shown before anybody acts on it. @impl ATL-LLR-FILE-0064~1 */
bool terminal_receive(void)
{
    enum arrival arrival = input_begin != input_end ? ARRIVED
                           : terminal.is_ended      ? ARRIVED_NOTHING
                                                    : fetch();
    posix_lock_acquire(&terminal.lock);
    bool has_more = take_all(arrival);
    uint64_t signals = terminal.discipline.signals;
    terminal.discipline.signals = 0;
    bool is_stopped = terminal.discipline.is_stopped;
    posix_lock_release(&terminal.lock);
    if (!is_stopped) {
        show_echo();
    }
    terminal_send_signals(signals);
    posix_lock_acquire(&terminal.lock);
    posix_wake(&terminal.readers, UINT32_MAX);
    posix_wake(&terminal.writers, UINT32_MAX);
    posix_lock_release(&terminal.lock);
    console_tell(POSIX_POLL_ANY);
    return has_more;
}

void terminal_serve(void)
{
    for (;;) {
        if (!terminal_receive()) {
            gate_park(GATE_NEVER, 0); /* until input comes, or room for it, or output goes on */
        }
    }
}
