/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the terminal share. */
#ifndef POSIX_FILE_TERMINAL_STATE_H
#define POSIX_FILE_TERMINAL_STATE_H

#include "discipline.h"
#include "terminal.h"

struct terminal {
    /* constant after terminal_initialize */
    uint32_t streams; /* bit s: stream s is a terminal */
    uint64_t screen;  /* the stream of echo and of /dev/tty */
    bool has_escapes; /* in the input */
    uint64_t handle;  /* of the service thread; 0: there is no input */
    struct posix_lock lock;
    /* guarded by lock; the echo is the service thread's alone */
    struct discipline discipline;
    struct linux_winsize window;
    struct posix_wait_queue readers, writers;
    bool is_writing; /* a thread has the turn to write */
    bool is_ended;   /* no more input */
    bool is_full;    /* the service thread waits for a reader */
};
extern struct terminal terminal;

/* What the service thread does: takes the input that there is, again and again. */
noreturn void terminal_serve(void);
/* The service thread looks again: there is room, or output goes on. */
void terminal_call_service(void);
/* The window has this size now. Locked. Returns the signals that this asks for. */
uint64_t terminal_resize(const struct linux_winsize *size);
void terminal_send_signals(uint64_t set);
/* The ioctl operation. */
int64_t terminal_ioctl(struct posix_file *file, uint64_t request, uint64_t argument);

#endif
