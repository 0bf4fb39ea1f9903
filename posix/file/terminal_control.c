/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's settings: ioctl. Output is with the gate when a write returns: to drain it there
 * is nothing to wait for. */
#include "console.h"
#include "terminal_state.h"

#include <posix/signal.h>
#include <posix/thread.h>

void terminal_send_signals(uint64_t set)
{
    for (; set != 0; set &= set - 1) {
        struct posix_signal_info info = {.signal = __builtin_ctzll(set) + 1, .code = SI_KERNEL};
        (void)posix_signal_send(NULL, &info);
    }
}

uint64_t terminal_resize(const struct linux_winsize *size)
{
    bool is_same = __builtin_memcmp(size, &terminal.window, sizeof(terminal.window)) == 0;
    terminal.window = *size;
    return is_same ? 0 : posix_signal_bit(SIGWINCH);
}

static int64_t get_termios(uint64_t argument)
{
    posix_lock_acquire(&terminal.lock);
    struct linux_termios termios = terminal.discipline.termios;
    posix_lock_release(&terminal.lock);
    return posix_copy_out(argument, &termios, sizeof(termios));
}

static int64_t set_termios(uint64_t argument, bool flushes)
{
    struct linux_termios termios;
    if (posix_copy_in(&termios, argument, sizeof(termios)) < 0) {
        return -EFAULT;
    }
    posix_lock_acquire(&terminal.lock);
    if (flushes) {
        discipline_flush(&terminal.discipline);
    }
    discipline_set(&terminal.discipline, &termios);
    posix_wake(&terminal.readers, UINT32_MAX); /* what they wait for may be another thing now */
    posix_wake(&terminal.writers, UINT32_MAX);
    posix_lock_release(&terminal.lock);
    terminal_call_service();
    return 0;
}

static int64_t get_window(uint64_t argument)
{
    posix_lock_acquire(&terminal.lock);
    struct linux_winsize size = terminal.window;
    posix_lock_release(&terminal.lock);
    return posix_copy_out(argument, &size, sizeof(size));
}

static int64_t set_window(uint64_t argument)
{
    struct linux_winsize size;
    if (posix_copy_in(&size, argument, sizeof(size)) < 0) {
        return -EFAULT;
    }
    posix_lock_acquire(&terminal.lock);
    uint64_t signals = terminal_resize(&size);
    posix_lock_release(&terminal.lock);
    terminal_send_signals(signals);
    return 0;
}

static int64_t put_number(uint64_t argument, int32_t number)
{
    return posix_copy_out(argument, &number, sizeof(number));
}

static int64_t get_readable(uint64_t argument)
{
    posix_lock_acquire(&terminal.lock);
    uint32_t count = discipline_count(&terminal.discipline);
    posix_lock_release(&terminal.lock);
    return put_number(argument, (int32_t)count);
}

/* There is one group, which is in the foreground. */
static int64_t set_group(uint64_t argument)
{
    int32_t group;
    if (posix_copy_in(&group, argument, sizeof(group)) < 0) {
        return -EFAULT;
    }
    return group < 0 ? -EINVAL : group == POSIX_PROCESS_ID ? 0 : -ESRCH;
}

static int64_t flush(uint64_t queue)
{
    if (queue > TCIOFLUSH) {
        return -EINVAL;
    }
    if (queue != TCOFLUSH) {
        posix_lock_acquire(&terminal.lock);
        discipline_flush(&terminal.discipline);
        posix_lock_release(&terminal.lock);
        terminal_call_service();
    }
    return 0;
}

/* tcflow: stops and starts our output, or asks the other side to. */
static int64_t flow(uint64_t action)
{
    if (action > TCION) {
        return -EINVAL;
    }
    posix_lock_acquire(&terminal.lock);
    uint8_t byte = terminal.discipline.termios.characters[action == TCIOFF ? VSTOP : VSTART];
    if (action == TCOOFF || action == TCOON) {
        terminal.discipline.is_stopped = action == TCOOFF;
        posix_wake(&terminal.writers, UINT32_MAX);
    }
    posix_lock_release(&terminal.lock);
    if (action == TCOON) {
        terminal_call_service(); /* echo may have waited */
    }
    if ((action == TCIOFF || action == TCION) && byte != 0) {
        int64_t result = console_put(terminal.screen, (uintptr_t)&byte, 1);
        return result < 0 ? result : 0;
    }
    return 0;
}

/* @impl ATL-LLR-FILE-0013~2 */
int64_t terminal_ioctl(struct posix_file *file, uint64_t request, uint64_t argument)
{
    (void)file;
    switch (request) {
    case TCGETS:
        return get_termios(argument);
    case TCSETS:
    case TCSETSW:
        return set_termios(argument, false);
    case TCSETSF:
        return set_termios(argument, true);
    case TIOCGWINSZ:
        return get_window(argument);
    case TIOCSWINSZ:
        return set_window(argument);
    case FIONREAD:
        return get_readable(argument);
    case TIOCOUTQ:
        return put_number(argument, 0);
    case TIOCGPGRP:
    case TIOCGSID:
        return put_number(argument, POSIX_PROCESS_ID);
    case TIOCSPGRP:
        return set_group(argument);
    case TCFLSH:
        return flush(argument);
    case TCXONC:
        return flow(argument);
    case TIOCSCTTY:
    case TCSBRK:
    case TCSBRKP:
        return 0;
    default:
        return -ENOTTY;
    }
}
