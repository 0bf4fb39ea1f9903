/* SPDX-License-Identifier: Apache-2.0 */
/* Streams onto the line. Three layers: where bytes go now (ring or polled), frames, text. */
#include "format.h"
#include "input.h"

#include <cpu/core.h>
#include <driver/console.h>
#include <kernel/image.h>

#define RING_BYTES 8192u /* power of two */
#define RECEIVE_RESUME_ROOM (RING_BYTES / 2)
#define HEADER_BYTES 4u
#define LINE_BYTES_MAX 256u
/* Seconds, on anything; what takes longer does not take bytes any more. */
#define ANSWER_CYCLES_MAX (1ull << 33)
#define PUMP_BURSTS_MAX 64u /* pieces that one entry sends */
#define INTERRUPT_ROUNDS_MAX 64u
#define WRITE_ROOM_MIN 1024u /* room worth waking a writer for */

/* A byte ring of one core: no sharing, no atomics. Counters run freely. */
struct ring {
    uint32_t head, tail; /* written, read */
    uint8_t bytes[RING_BYTES];
};

static uint32_t ring_used(const struct ring *ring)
{
    return ring->head - ring->tail;
}

static uint32_t ring_room(const struct ring *ring)
{
    return RING_BYTES - ring_used(ring);
}

/* @bytes at most ring_room */
static void ring_put(struct ring *ring, const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        ring->bytes[ring->head++ % RING_BYTES] = from[i];
    }
}

/* How many bytes lie in one piece from the oldest on, which is at *at. */
static uint32_t ring_piece(const struct ring *ring, const uint8_t **at)
{
    uint32_t offset = ring->tail % RING_BYTES;
    *at = ring->bytes + offset;
    return MIN(ring_used(ring), RING_BYTES - offset);
}

/* Set before seal: IMAGE_FLAG_FRAMED, IMAGE_FLAG_VERBOSE. */
static SHARED uint32_t shared_console_flags;
SHARED const struct console_line *shared_console_line;
SHARED const struct console_line *shared_console_log;
SHARED const struct console_line *shared_console_copy;
/* Core 0's, from console_start_interrupts on. */
static PERCORE bool has_interrupts;
static PERCORE bool is_dead, is_log_dead; /* the line took nothing for too long */
static PERCORE uint8_t enabled;
static PERCORE struct ring transmit, receive;
static PERCORE struct input input;

static bool is_framed(void)
{
    return (shared_console_flags & IMAGE_FLAG_FRAMED) != 0;
}

/* PERCORE variables exist on a core's own root only: look at that first. */
static bool is_buffered(void)
{
    return !cpu_is_on_boot_tables() && has_interrupts;
}

void console_set_mode(uint32_t image_flags)
{
    shared_console_flags = image_flags & (IMAGE_FLAG_FRAMED | IMAGE_FLAG_VERBOSE);
}

/* ---- output */

static void enable(uint8_t causes)
{
    if (causes != enabled) {
        enabled = causes;
        shared_console_line->enable(causes);
    }
}

/* Sends while the port takes bytes, within bounds; asks for an interrupt if something remains. */
static void pump(void)
{
    for (uint32_t i = 0; i < PUMP_BURSTS_MAX && ring_used(&transmit) > 0; i++) {
        const uint8_t *at;
        uint32_t piece = ring_piece(&transmit, &at);
        uint32_t sent = shared_console_line->send(at, piece);
        if (sent == 0) {
            break;
        }
        transmit.tail += sent;
    }
    enable((uint8_t)((enabled & CONSOLE_LINE_RECEIVE) |
                     (ring_used(&transmit) > 0 ? CONSOLE_LINE_TRANSMIT : 0)));
}

/* All of it, waiting a bounded time for each piece. False: gave up. */
static bool write_polled(const struct console_line *line, const uint8_t *bytes, uint64_t count)
{
    uint64_t begin = cpu_rdtsc();
    while (count > 0) {
        uint32_t sent = line->send(bytes, (uint32_t)count);
        if (sent > 0) {
            begin = cpu_rdtsc();
        } else if (cpu_rdtsc() - begin > ANSWER_CYCLES_MAX) {
            return false;
        }
        bytes += sent;
        count -= sent;
        cpu_pause();
    }
    return true;
}

static void flush_ring(void)
{
    const uint8_t *at;
    while (is_buffered() && ring_used(&transmit) > 0 && !is_dead) {
        uint32_t piece = ring_piece(&transmit, &at);
        is_dead = !write_polled(shared_console_line, at, piece);
        transmit.tail += piece;
    }
}

/* What stands before a payload: returns its length, 0 where nothing does. */
static uint32_t make_header(uint8_t *header, uint32_t stream, uint64_t bytes)
{
    header[0] = CONSOLE_FRAME_MARK;
    header[1] = (uint8_t)stream;
    header[2] = (uint8_t)bytes;
    header[3] = (uint8_t)(bytes >> 8);
    return is_framed() ? HEADER_BYTES : 0;
}

/* @impl ATL-LLR-BOOT-0027~1 */
int64_t console_write(uint32_t stream, const void *data, uint64_t bytes)
{
    if (!is_buffered()) {
        console_write_blocking(stream, data, bytes);
        return (int64_t)bytes;
    }
    uint8_t header[HEADER_BYTES];
    uint64_t taken = MIN(bytes, CONSOLE_PAYLOAD_BYTES_MAX);
    uint64_t wanted = MIN(taken + HEADER_BYTES, WRITE_ROOM_MIN);
    pump();
    if (ring_room(&transmit) < wanted) {
        return RESULT_AGAIN;
    }
    taken = MIN(taken, ring_room(&transmit) - HEADER_BYTES);
    ring_put(&transmit, header, make_header(header, stream, taken));
    ring_put(&transmit, data, (uint32_t)taken);
    pump();
    return (int64_t)taken;
}

static bool write_frames(const struct console_line *line, uint32_t stream, const uint8_t *from,
                         uint64_t bytes)
{
    uint8_t header[HEADER_BYTES];
    bool is_taken = true;
    while (bytes > 0 && is_taken) {
        uint64_t piece = MIN(bytes, CONSOLE_PAYLOAD_BYTES_MAX);
        is_taken = write_polled(line, header, make_header(header, stream, piece)) &&
                   write_polled(line, from, piece);
        from += piece;
        bytes -= piece;
    }
    return is_taken;
}

/* @impl ATL-LLR-BOOT-1121~1 ATL-LLR-BOOT-0048~2 */
void console_write_blocking(uint32_t stream, const void *data, uint64_t bytes)
{
    bool is_log = stream == CONSOLE_LOG || stream == CONSOLE_ERROR;
    if (is_log && shared_console_copy != NULL) {
        (void)!write_frames(shared_console_copy, stream, data, bytes);
    }
    if (is_log && shared_console_log != NULL && !is_log_dead) {
        is_log_dead = !write_frames(shared_console_log, stream, data, bytes);
        if (!is_log_dead) {
            return;
        }
    }
    flush_ring();
    if (!is_buffered() || !is_dead) {
        (void)!write_frames(shared_console_line, stream, data, bytes);
    }
}

/* @impl ATL-LLR-BOOT-0026~1 */
void console_panic_begin(void)
{
    if (is_buffered()) {
        flush_ring();
        has_interrupts = false;
    }
    uint64_t begin = cpu_rdtsc();
    while (!shared_console_line->is_idle() && cpu_rdtsc() - begin < ANSWER_CYCLES_MAX) {
        cpu_pause();
    }
}

/* ---- input */

/* Takes what has arrived while there is room; leaves the rest on the line, whose flow control then
 * reaches the sender. */
static void fetch(void)
{
    uint8_t byte;
    while (ring_room(&receive) > 0 && shared_console_line->receive(&byte)) {
        if (is_framed() ? input_take_framed(&input, byte) : input_take_plain(&input, byte)) {
            ring_put(&receive, &byte, 1);
        }
    }
    if (ring_room(&receive) == 0) {
        enable((uint8_t)(enabled & ~CONSOLE_LINE_RECEIVE));
    }
}

/* @impl ATL-LLR-BOOT-0028~1 */
int64_t console_input(const uint8_t **at)
{
    uint32_t piece = ring_piece(&receive, at);
    if (piece > 0) {
        return piece;
    }
    return input.is_ended || !has_interrupts ? 0 : (int64_t)RESULT_AGAIN;
}

/* @impl ATL-LLR-BOOT-0028~1 */
void console_input_take(uint64_t bytes)
{
    receive.tail += (uint32_t)bytes;
    if (has_interrupts && (enabled & CONSOLE_LINE_RECEIVE) == 0 &&
        ring_room(&receive) >= RECEIVE_RESUME_ROOM) {
        enable(enabled | CONSOLE_LINE_RECEIVE);
        fetch(); /* a line that has told of it already does not tell again */
    }
}

/* ---- interrupts */

void console_start_interrupts(void)
{
    if (shared_console_line->start != NULL && shared_console_line->start() != RESULT_OK) {
        return; /* output stays polled; there is no input */
    }
    has_interrupts = true;
    enable(CONSOLE_LINE_RECEIVE);
}

bool console_interrupt(void)
{
    uint32_t rounds = has_interrupts ? INTERRUPT_ROUNDS_MAX : 0;
    while (rounds > 0 && shared_console_line->pending()) {
        fetch();
        pump();
        rounds--;
    }
    if (rounds == 0 && has_interrupts) {
        /* An edge is only seen when the line was low: lower it, so that what remains raises it
         * again. */
        shared_console_line->enable(0);
        shared_console_line->enable(enabled);
    }
    return ring_room(&transmit) >= WRITE_ROOM_MIN;
}

/* ---- text */

/* Lines of level CONSOLE_LOG: framed: the other end sorts; plain: only when verbose. */
void console_log(enum console_stream level, const char *format, ...)
{
    if (level != CONSOLE_LOG || shared_console_flags != 0) {
        char line[LINE_BYTES_MAX];
        va_list arguments;
        va_start(arguments, format);
        console_write_blocking(level, line, format_text(line, sizeof(line), format, arguments));
        va_end(arguments);
    }
}

/* ---- how it ended */

/* @impl ATL-LLR-BOOT-0029~1 */
void console_exit_record(uint8_t kind, uint8_t status, uint8_t signal)
{
    if (is_framed()) {
        const uint8_t record[] = {kind, status, signal, 0};
        console_write_blocking(CONSOLE_STREAM_EXIT, record, sizeof(record));
    } else if (kind == CONSOLE_EXIT_SIGNAL) {
        console_log(CONSOLE_ERROR, "atoll: ended by signal %u\n", signal);
    } else if (kind == CONSOLE_EXIT_NORMAL && status != 0) {
        console_log(CONSOLE_ERROR, "atoll: exit status %u\n", status);
    }
}
