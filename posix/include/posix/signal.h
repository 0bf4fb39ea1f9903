/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: what is pending, who gets it, and delivery on the way out. One lock guards dispositions
 * and queues; the masks of pending signals are atomic, so that the way out of a call needs no lock
 * when nothing is there. Delivery happens only with the posix stack empty. */
#ifndef POSIX_SIGNAL_H
#define POSIX_SIGNAL_H

#include <isolation/gate_abi.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define SIGHUP 1
#define SIGINT 2
#define SIGQUIT 3
#define SIGILL 4
#define SIGTRAP 5
#define SIGABRT 6
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGUSR1 10
#define SIGSEGV 11
#define SIGUSR2 12
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGXCPU 24
#define SIGXFSZ 25
#define SIGVTALRM 26
#define SIGPROF 27
#define SIGWINCH 28
#define SIGSYS 31
#define POSIX_SIGNAL_REALTIME_MIN 32
#define POSIX_SIGNAL_COUNT 64 /* signals are 1..64 */

#define SI_USER 0
#define SI_KERNEL 0x80
#define SI_QUEUE (-1)
#define SI_TIMER (-2)
#define SI_TKILL (-6)

/* Bit of a signal in a set, as in Linux's 64-bit sigset. */
static inline uint64_t posix_signal_bit(int signal)
{
    return 1ull << (signal - 1);
}

/* Linux's siginfo_t on x86-64. */
struct posix_signal_info {
    int32_t signal, error, code, padding;
    union {
        uint8_t bytes[112];
        struct {
            int32_t process;
            uint32_t user;
            uint64_t value;
        } sender; /* SI_USER, SI_TKILL, SI_QUEUE */
        struct {
            int32_t id, overrun;
            uint64_t value;
        } timer; /* SI_TIMER */
        struct {
            uint64_t address;
        } fault;
    };
};
_Static_assert(sizeof(struct posix_signal_info) == 128, "siginfo_t");

struct posix_signal_node;
struct posix_signal_queue {
    _Atomic uint64_t pending; /* written under the lock */
    struct posix_signal_node *first, *last;
};

/* Linux's stack_t. */
struct posix_signal_stack {
    uint64_t address;
    int32_t flags, padding;
    uint64_t bytes;
};

/* The last fault of a thread, for ucontext and crash report. */
struct posix_signal_fault {
    uint64_t vector, error, address;
};

/* Linux's struct sigaction of the system call. */
struct posix_signal_action {
    uint64_t handler, flags, restorer, mask;
};
#define SIG_DFL 0ull
#define SIG_IGN 1ull
#define SA_SIGINFO 0x4ull
#define SA_RESTORER 0x04000000ull
#define SA_ONSTACK 0x08000000ull
#define SA_RESTART 0x10000000ull
#define SA_NODEFER 0x40000000ull
#define SA_RESETHAND 0x80000000ull

struct posix_thread;

/* Queues a signal for one thread or (target NULL) for the process, and gets a thread out to take
 * it.
 *
 * @info       copied; .signal in 1..64
 * Context:    the target is the caller or the table of threads is locked (NULL: it is not locked)
 * Errors:     -EAGAIN: no room for a real-time signal with a value */
int64_t posix_signal_send(struct posix_thread *target, const struct posix_signal_info *info);

/* ---- signals of timers: a place in the queue that is reserved, so that no signal is lost, and a
 * call when the signal leaves the queue to be delivered or waited for, without locks. The call may
 * change *info; its owner may have unreserved the place meanwhile and must know from the key. */
typedef void (*posix_signal_taken)(uint64_t key, struct posix_signal_info *info);
struct posix_signal_node;
/* NULL: as many are queued or reserved as RLIMIT_SIGPENDING allows. */
struct posix_signal_node *posix_signal_reserve(posix_signal_taken taken);
/* What is queued at the place stays, without a call. */
void posix_signal_unreserve(struct posix_signal_node *node);
/* Queues the signal at the place, as posix_signal_send; key is for the call. False: it is ignored,
 * or queued already. */
bool posix_signal_send_reserved(struct posix_thread *target, struct posix_signal_node *node,
                                const struct posix_signal_info *info, uint64_t key);

/* How many signals may be queued with what comes with them: RLIMIT_SIGPENDING. */
#define POSIX_SIGNAL_LIMIT_MAX 256u
uint64_t posix_signal_limit(void);
void posix_signal_set_limit(uint64_t limit);

/* Who is told of each signal that becomes pending, blocked or not, for any thread or the process
 * (descriptors that signals are read from). One function; called with the table of threads locked
 * or not: it may take locks below that and wake waiters. */
typedef void (*posix_signal_observer)(int signal);
void posix_signal_observe(posix_signal_observer observe);

/* A signal of the calling thread's own fault: delivered even if blocked or ignored, then by its
 * default action. */
void posix_signal_force(const struct posix_signal_info *info);

/* Takes the next signal of the set from the caller's or the process's queue; false: none. A timer's
 * signal lets the timer go on.
 *
 * Context:    no lock is held, or only such as no expire (posix/deadline.h) and no observer takes
 */
bool posix_signal_take(struct posix_thread *self, uint64_t set, struct posix_signal_info *info);
/* The same, to be delivered: a debug image asks the debugger first (core/debug_signal.c). */
bool posix_signal_take_to_deliver(struct posix_thread *self, uint64_t set,
                                  struct posix_signal_info *info);

/* The action; resets it as SA_RESETHAND says when it is taken for delivery. */
struct posix_signal_action posix_signal_action_take(int signal);

enum posix_signal_default {
    POSIX_DEFAULT_TERMINATE,
    POSIX_DEFAULT_CORE, /* terminate with a crash report */
    POSIX_DEFAULT_IGNORE,
};
enum posix_signal_default posix_signal_default_of(int signal);

/* Blocks exactly this set (KILL and STOP stay deliverable) and notices what that lets through. */
void posix_signal_set_blocked(struct posix_thread *self, uint64_t blocked);
/* All that is pending for the thread or for anybody, blocked or not; then what of it is not. */
uint64_t posix_signal_pending_set(const struct posix_thread *self);
uint64_t posix_signal_deliverable(const struct posix_thread *self);
/* Drops what a thread that ends has not taken. */
void posix_signal_drop(struct posix_thread *self);

/* Puts a handler's frame on the application's stack and points *frame at the handler.
 *
 * Errors:     -EFAULT: the stack is not writable; *frame is unchanged */
int64_t posix_signal_push(struct posix_thread *self, struct gate_frame *frame,
                          const struct posix_signal_action *action,
                          const struct posix_signal_info *info, uint64_t saved_mask);

/* Prints a report of one screen about the thread that a signal ends. */
void posix_crash_report(struct posix_thread *self, const struct gate_frame *frame,
                        const struct posix_signal_info *info);
const char *posix_signal_name(int signal);

/* The last stop before the application: handles all that is pending, ends the thread's call.
 *
 * @frame      what the thread leaves with; changed when a handler is to run
 * Returns the frame's new place, at the top of the posix stack. */
struct gate_frame *posix_leave(struct gate_frame *frame);

#endif
