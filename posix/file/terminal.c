/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's open files: a line discipline (discipline.h) on the console gate. With a framed
 * console a file that the program cannot see says which streams are the tool's terminal. */
#include "console.h"
#include "image.h"
#include "node.h"
#include "terminal_state.h"
#include <posix/memory.h>
#include <posix/thread.h>

#define SETTING_PATH "/proc/.atoll/terminal"
#define STREAMS_ALL 7u
#define ROWS_START 24u
#define COLUMNS_START 80u
#define LINE_PIECE_BYTES 256u /* that are read or written in one go */
#define TENTH_NS 100000000ull
#define TERMINAL_CORE 0u /* which has the console */

/* What the tool writes, little-endian. */
struct terminal_setting {
    uint16_t streams; /* bit s: stream s is a terminal */
    uint16_t rows, columns;
    uint16_t is_utf8; /* 1: erasing takes characters of UTF-8 */
};

struct terminal terminal;

void terminal_call_service(void)
{
    if (terminal.handle != 0) {
        gate_unpark(terminal.handle, 0);
    }
}

/* ---- reading */

/* How long a read in the mode of bytes waits: see termios(3) about MIN and TIME. */
struct patience {
    uint64_t minimum, between_ns; /* between_ns != 0: the time starts anew with every piece */
    uint64_t deadline_ns;         /* 0: it does not wait */
};

/* Locked. */
static struct patience patience_of(void)
{
    const struct linux_termios *termios = &terminal.discipline.termios;
    uint64_t time_ns = termios->characters[VTIME] * TENTH_NS;
    uint64_t minimum = termios->characters[VMIN];
    if (discipline_has(termios->local, ICANON)) {
        return (struct patience){1, 0, GATE_NEVER};
    }
    if (minimum != 0) {
        return (struct patience){minimum, time_ns, GATE_NEVER};
    }
    return (struct patience){1, 0, time_ns != 0 ? posix_now_ns() + time_ns : 0};
}

/* Locked; not on return. 1: look again; 0: what was read is all; or an error. */
static int64_t wait_for_input(const struct posix_file *file, const struct patience *patience,
                              uint64_t done)
{
    bool is_over = terminal.is_ended || patience->deadline_ns == 0 || done >= patience->minimum;
    bool is_nonblocking = (file->flags & POSIX_O_NONBLOCK) != 0;
    if (is_over || is_nonblocking) {
        posix_lock_release(&terminal.lock);
        return is_over ? 0 : -EAGAIN;
    }
    int64_t result = posix_wait(&terminal.readers, &terminal.lock, patience->deadline_ns);
    return result == 0 ? 1 : result == -ETIMEDOUT ? 0 : -ERESTARTSYS;
}

/* Takes a piece and gives it to the reader. 1: go on; 0: no more; or an error. */
static int64_t read_piece(struct posix_transfer *to, bool *is_over)
{
    uint8_t piece[LINE_PIECE_BYTES];
    size_t bytes = to->remaining < sizeof(piece) ? to->remaining : sizeof(piece);
    size_t count = discipline_read(&terminal.discipline, piece, bytes, is_over);
    bool has_room = terminal.is_full && discipline_has_room(&terminal.discipline);
    posix_lock_release(&terminal.lock);
    if (has_room) {
        terminal_call_service();
    }
    int64_t moved = posix_transfer_out(to, piece, count);
    return moved < 0 ? moved : (size_t)moved < count ? -EFAULT : 1;
}

/* @impl ATL-LLR-FILE-0060~1 */
static int64_t terminal_read(struct posix_file *file, struct posix_transfer *to)
{
    uint64_t wanted = to->remaining;
    if (wanted == 0) {
        return 0;
    }
    posix_lock_acquire(&terminal.lock);
    struct patience patience = patience_of();
    posix_lock_release(&terminal.lock);
    int64_t result = 1;
    bool is_over = false;
    while (result > 0 && to->remaining != 0 && !is_over) {
        posix_lock_acquire(&terminal.lock);
        if (discipline_is_ready(&terminal.discipline, 1)) {
            result = read_piece(to, &is_over);
            if (patience.between_ns != 0) {
                patience.deadline_ns = posix_now_ns() + patience.between_ns;
            }
        } else {
            result = wait_for_input(file, &patience, wanted - to->remaining);
        }
    }
    uint64_t done = wanted - to->remaining;
    return done != 0 || result > 0 ? (int64_t)done : result;
}

/* ---- writing */

/* Waits while output is stopped or another thread writes, and takes the turn. */
static int64_t begin_write(const struct posix_file *file)
{
    for (;;) {
        posix_lock_acquire(&terminal.lock);
        if (!terminal.is_writing && !terminal.discipline.is_stopped) {
            terminal.is_writing = true;
            posix_lock_release(&terminal.lock);
            return 0;
        }
        if ((file->flags & POSIX_O_NONBLOCK) != 0) {
            posix_lock_release(&terminal.lock);
            return -EAGAIN;
        }
        if (posix_wait(&terminal.writers, &terminal.lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
    }
}

static void end_write(void)
{
    posix_lock_acquire(&terminal.lock);
    terminal.is_writing = false;
    posix_wake(&terminal.writers, 1);
    posix_lock_release(&terminal.lock);
}

/* With the turn. */
static int64_t write_processed(uint64_t stream, struct posix_transfer *from)
{
    uint8_t piece[LINE_PIECE_BYTES];
    uint8_t output[LINE_PIECE_BYTES * DISCIPLINE_EXPANSION];
    size_t bytes = from->remaining < sizeof(piece) ? from->remaining : sizeof(piece);
    int64_t got = posix_transfer_in(from, piece, bytes);
    if (got <= 0) {
        return got;
    }
    posix_lock_acquire(&terminal.lock);
    size_t count = discipline_output(&terminal.discipline, piece, (size_t)got, output);
    posix_lock_release(&terminal.lock);
    int64_t result = count != 0 ? console_put(stream, (uintptr_t)output, count) : 0;
    return result < 0 ? result : got;
}

/* With the turn: as the bytes are. */
static int64_t write_raw(uint64_t stream, struct posix_transfer *from)
{
    struct posix_vector front = posix_transfer_front(from);
    int64_t result = console_put(stream, front.address, front.bytes);
    if (result > 0) {
        posix_transfer_advance(from, (uint64_t)result);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0063~1 */
static int64_t terminal_write(struct posix_file *file, struct posix_transfer *from)
{
    uint64_t stream = (uintptr_t)file->context;
    int64_t done = 0;
    int64_t result = 1;
    while (from->remaining != 0 && result > 0) {
        result = begin_write(file);
        if (result == 0) {
            bool is_raw = !discipline_has(terminal.discipline.termios.output, OPOST);
            result = is_raw ? write_raw(stream, from) : write_processed(stream, from);
            done += result > 0 ? result : 0;
            end_write();
        }
    }
    return done != 0 ? done : result < 0 ? result : 0;
}

/* @impl ATL-LLR-EVENT-0011~2 */
static uint32_t terminal_poll(struct posix_file *file)
{
    if (file->first_watch != NULL && !console_remember(file)) {
        return POSIX_POLL_ERR;
    }
    posix_lock_acquire(&terminal.lock);
    const uint8_t *characters = terminal.discipline.termios.characters;
    bool counts = characters[VTIME] == 0 && characters[VMIN] != 0;
    bool is_ready = terminal.is_ended ||
                    discipline_is_ready(&terminal.discipline, counts ? characters[VMIN] : 1);
    uint32_t ready = (is_ready ? POSIX_POLL_READABLE : 0) |
                     (terminal.discipline.is_stopped ? 0 : POSIX_POLL_WRITABLE);
    posix_lock_release(&terminal.lock);
    return ready;
}

static int64_t terminal_stat(struct posix_file *file, struct posix_stat *stat)
{
    node_stat(file->node, stat);
    return 0;
}

static void terminal_release(struct posix_file *file)
{
    console_forget(file);
    node_put(file->node);
}

const struct posix_file_operations terminal_operations = {
    .read = terminal_read,
    .write = terminal_write,
    .stat = terminal_stat,
    .ioctl = terminal_ioctl,
    .poll = terminal_poll,
    .release = terminal_release,
};

/* ---- start */

static int64_t load_setting(struct terminal_setting *setting)
{
    const struct image_file *file = posix_image_exact(SETTING_PATH);
    if (file == NULL) {
        setting->streams = 0;
        return 0;
    }
    const uint8_t *bytes =
        file->bytes == sizeof(*setting) && posix_image_verify(file, 0, file->bytes) == 0
            ? posix_image_window(file)
            : NULL;
    if (bytes == NULL) {
        return -EIO;
    }
    __builtin_memcpy(setting, bytes, sizeof(*setting));
    return 0;
}

/* @impl ATL-LLR-FILE-0032~2 */
int64_t terminal_initialize(void)
{
    struct terminal_setting setting = {STREAMS_ALL, ROWS_START, COLUMNS_START, 0};
    terminal.has_escapes = (posix_image()->flags & IMAGE_FLAG_FRAMED) != 0;
    int64_t result = terminal.has_escapes ? load_setting(&setting) : 0;
    if (result < 0) {
        return result;
    }
    terminal.streams = setting.streams & STREAMS_ALL;
    terminal.screen = posix_terminal_has_stream(1) || !posix_terminal_has_stream(2) ? 1 : 2;
    terminal.window = (struct linux_winsize){.rows = setting.rows, .columns = setting.columns};
    discipline_initialize(&terminal.discipline);
    terminal.discipline.termios.input |= setting.is_utf8 != 0 ? IUTF8 : 0;
    terminal.is_ended = !posix_terminal_has_stream(0);
    if (!terminal.is_ended) {
        int64_t started = posix_service_start(TERMINAL_CORE, terminal_serve);
        terminal.handle = started > 0 ? (uint64_t)started : 0;
        return started < 0 ? started : 0;
    }
    return 0;
}

bool posix_terminal_has_stream(uint64_t stream)
{
    return (terminal.streams >> stream & 1) != 0;
}

uint64_t terminal_screen(void)
{
    return terminal.screen;
}

bool terminal_exists(void)
{
    return terminal.streams != 0;
}
