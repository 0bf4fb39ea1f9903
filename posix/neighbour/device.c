/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/neighbour0 and /dev/neighbour1: side 0 or 1 of the channel to another machine. Each open is
 * one life of the side (docs/NEIGHBOUR.md); a read takes one message, a write sends one.
 *
 * With a doorbell (bell.h) and a peer that rings, nobody looks until it has rung. Without, who
 * waits in a call looks again by itself; for those who watch the file a deadline looks, as long as
 * there are such and there is something that they may wait for. */
#include "../file/device.h"
#include "../event/event.h"
#include "../file/node.h"
#include "bell.h"

#include <neighbour.h>
#include <posix/deadline.h>
#include <posix/time.h>

#define MAJOR_LOCAL 240u /* Linux leaves it to local use; the minor number is the side */
#define PAUSE_NS_MIN 50000u
#define PAUSE_NS_MAX 1000000u
#define READY (NEIGHBOUR_READABLE | NEIGHBOUR_WRITABLE)

struct end {
    struct posix_deadline deadline; /* first: its expire finds the end */
    struct posix_lock lock;         /* guards all that follows */
    struct posix_wait_queue waiting;
    struct posix_file *file;
    struct neighbour side;
    uint32_t number;   /* of the side */
    uint32_t awaited;  /* NEIGHBOUR_* bits for which threads wait until the bell rings */
    uint32_t seen;     /* NEIGHBOUR_* bits that those who watch know of */
    uint32_t pause_ns; /* of the deadline, 0: it is not set */
};

static struct posix_lock ends_lock; /* before that of an end */
static struct end *ends[2];

static uint32_t events_of(uint32_t bits)
{
    return ((bits & NEIGHBOUR_READABLE) != 0 ? POSIX_POLL_READABLE : 0) |
           ((bits & NEIGHBOUR_WRITABLE) != 0 ? POSIX_POLL_WRITABLE : 0) |
           ((bits & NEIGHBOUR_LEFT) != 0 ? POSIX_POLL_HUP : 0) |
           ((bits & NEIGHBOUR_FAILED) != 0 ? POSIX_POLL_ERR : 0);
}

static uint64_t longer(uint64_t pause_ns)
{
    return pause_ns < PAUSE_NS_MAX / 2 ? 2 * pause_ns : PAUSE_NS_MAX;
}

/* Locked. What was written since the last time is rung, if the peer waits for it. */
static void ring(struct end *end)
{
    uint32_t whom;
    if (neighbour_ring(&end->side, &whom)) {
        bell_ring(end->number, whom);
    }
}

/* Locked. What is known to the watches has changed, or may have: soon, somebody looks for them. */
static void look_later(struct end *end, uint32_t pause_ns)
{
    end->pause_ns = pause_ns;
    posix_deadline_set(&end->deadline, posix_deadline_after(pause_ns));
}

/* Locked. True: those who watch got to know of something. If they wait for more, the peer rings, or
 * a deadline looks. */
static bool tell_watches(struct end *end, uint32_t bits, uint32_t pause_ns)
{
    uint32_t news = bits & ~end->seen;
    end->seen = bits;
    if (news != 0) {
        posix_file_notify(end->file, events_of(news));
    }
    if (atomic_load_explicit(&end->file->first_watch, memory_order_relaxed) != NULL &&
        (bits & READY) != READY && !neighbour_ask(&end->side, READY & ~bits)) {
        look_later(end, pause_ns);
    }
    return news != 0;
}

/* @impl ATL-LLR-NEIGHBOUR-1022~2 */
static void look_for_watches(struct posix_deadline *deadline)
{
    struct end *end = (struct end *)deadline;
    posix_lock_acquire(&end->lock);
    uint32_t pause_ns = end->pause_ns;
    atomic_fetch_add_explicit(&bell_counts.timer_looks, 1, memory_order_relaxed);
    end->pause_ns = 0;
    (void)tell_watches(end, neighbour_look(&end->side), (uint32_t)longer(pause_ns));
    ring(end);
    posix_lock_release(&end->lock);
}
_Static_assert(offsetof(struct end, deadline) == 0, "look_for_watches finds the end");

/* Locked. A ring: wakes who waited for what there is now. */
static bool look_when_rung(struct end *end)
{
    uint32_t tail = end->side.peer_tail;
    uint32_t bits = neighbour_look(&end->side);
    /* One message may need less room than NEIGHBOUR_WRITABLE tells of. */
    uint32_t there = bits | (tail != end->side.peer_tail ? NEIGHBOUR_WRITABLE : 0);
    bool has_news = (there & end->awaited) != 0;
    if (has_news) {
        end->awaited = 0;
        posix_wake(&end->waiting, UINT32_MAX);
    }
    has_news |= tell_watches(end, bits, PAUSE_NS_MIN);
    ring(end);
    return has_news;
}

/* @impl ATL-LLR-NEIGHBOUR-1046~1 */
bool device_look(void)
{
    bool has_news = false;
    posix_lock_acquire(&ends_lock);
    for (uint32_t i = 0; i < 2; i++) {
        if (ends[i] != NULL) {
            posix_lock_acquire(&ends[i]->lock);
            has_news |= look_when_rung(ends[i]);
            posix_lock_release(&ends[i]->lock);
        }
    }
    posix_lock_release(&ends_lock);
    return has_news;
}

/* @impl ATL-LLR-NEIGHBOUR-1022~2 */
static uint32_t neighbour_poll(struct posix_file *file)
{
    struct end *end = file->context;
    posix_lock_acquire(&end->lock);
    uint32_t bits = neighbour_look(&end->side);
    end->seen &= bits; /* what is new to this one may be new to others who watch */
    bool is_asked = bits == end->seen && neighbour_ask(&end->side, READY & ~bits);
    if (((bits & READY) != READY || bits != end->seen) && !is_asked && end->pause_ns == 0) {
        look_later(end, PAUSE_NS_MIN);
    }
    ring(end);
    posix_lock_release(&end->lock);
    return events_of(bits);
}

/* Locked; on an error not any more. Until it is worth while to look again for what is missing. */
static int64_t await(struct end *end, uint32_t missing, uint64_t *pause_ns)
{
    bool is_asked = neighbour_ask(&end->side, missing);
    ring(end); /* the peer may wait for what was found out meanwhile */
    if (event_is_nonblocking(end->file)) {
        end->seen &= ~missing;
        if (!is_asked && end->pause_ns == 0) {
            look_later(end, PAUSE_NS_MIN);
        }
        posix_lock_release(&end->lock);
        return -EAGAIN;
    }
    end->awaited |= missing;
    uint64_t until_ns = is_asked ? GATE_NEVER : posix_deadline_after(*pause_ns);
    int64_t result = posix_wait(&end->waiting, &end->lock, until_ns);
    if (result == -EINTR) {
        return -ERESTARTSYS;
    }
    if (result == -ETIMEDOUT) {
        atomic_fetch_add_explicit(&bell_counts.timer_looks, 1, memory_order_relaxed);
    }
    *pause_ns = longer(*pause_ns);
    posix_lock_acquire(&end->lock);
    return 0;
}

static int64_t error_of(enum neighbour_status status)
{
    return status == NEIGHBOUR_RESET    ? -ECONNRESET
           : status == NEIGHBOUR_BROKEN ? -EPROTO
           : status == NEIGHBOUR_CLOSED ? -EPIPE
                                        : 0;
}

/* One message into the buffer: its bytes there, 0: the peer has left, or an error. */
static int64_t receive(struct end *end, void *buffer, uint32_t capacity)
{
    uint64_t pause_ns = PAUSE_NS_MIN;
    uint32_t bytes = 0;
    enum neighbour_status status;
    posix_lock_acquire(&end->lock);
    while ((status = neighbour_receive(&end->side, buffer, capacity, &bytes)) == NEIGHBOUR_AGAIN) {
        int64_t result = await(end, NEIGHBOUR_READABLE, &pause_ns);
        if (result != 0) {
            return result;
        }
    }
    ring(end);
    posix_lock_release(&end->lock);
    if (status == NEIGHBOUR_OK) {
        return bytes < capacity ? bytes : capacity;
    }
    return status == NEIGHBOUR_CLOSED ? 0 : error_of(status);
}

static int64_t send(struct end *end, const void *message, uint32_t bytes)
{
    uint64_t pause_ns = PAUSE_NS_MIN;
    enum neighbour_status status;
    posix_lock_acquire(&end->lock);
    while ((status = neighbour_send(&end->side, message, bytes)) == NEIGHBOUR_AGAIN) {
        int64_t result = await(end, NEIGHBOUR_WRITABLE, &pause_ns);
        if (result != 0) {
            return result;
        }
    }
    ring(end);
    posix_lock_release(&end->lock);
    return error_of(status);
}

/* @impl ATL-LLR-NEIGHBOUR-1020~1 */
static int64_t neighbour_read(struct posix_file *file, struct posix_transfer *to)
{
    uint64_t capacity =
        to->remaining < NEIGHBOUR_MESSAGE_BYTES_MAX ? to->remaining : NEIGHBOUR_MESSAGE_BYTES_MAX;
    if (capacity == 0) {
        return 0;
    }
    void *buffer = posix_allocate(capacity); /* the message cannot wait for the program's memory */
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int64_t bytes = receive(file->context, buffer, (uint32_t)capacity);
    int64_t result = bytes > 0 ? posix_transfer_out(to, buffer, (uint64_t)bytes) : bytes;
    posix_free(buffer);
    return result >= 0 && result < bytes ? -EFAULT : result;
}

/* @impl ATL-LLR-NEIGHBOUR-1021~1 */
static int64_t neighbour_write(struct posix_file *file, struct posix_transfer *from)
{
    uint64_t bytes = from->remaining;
    if (bytes == 0 || bytes > NEIGHBOUR_MESSAGE_BYTES_MAX) {
        return bytes == 0 ? 0 : -EMSGSIZE;
    }
    void *buffer = posix_allocate(bytes);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int64_t result = posix_transfer_in(from, buffer, bytes);
    if (result >= 0) {
        result = (uint64_t)result < bytes ? -EFAULT : send(file->context, buffer, (uint32_t)bytes);
    }
    posix_free(buffer);
    return result == 0 ? (int64_t)bytes : result;
}

/* @impl ATL-LLR-NEIGHBOUR-1023~1 */
static int64_t neighbour_open(struct posix_file *file)
{
    uint32_t number = (uint32_t)file->node->special & 1;
    struct end *end = posix_allocate(sizeof(*end));
    file->context = NULL;
    if (end == NULL) {
        return -ENOMEM;
    }
    end->file = file;
    int64_t result = posix_info.neighbour_bytes == 0 ? -ENXIO : 0;
    if (result == 0) {
        result = posix_deadline_initialize(&end->deadline, look_for_watches);
    }
    int64_t bell = result == 0 ? bell_start() : -ENODEV;
    posix_lock_acquire(&ends_lock);
    if (result == 0 && ends[number] != NULL) {
        result = -EBUSY;
    }
    if (result == 0) {
        void *memory = (void *)(uintptr_t)posix_info.neighbour_address; // NOLINT: fixed address
        ends[number] = end;
        file->context = end;
        end->number = number;
        (void)neighbour_join(&end->side, memory, posix_info.neighbour_bytes, number);
        if (bell >= 0) {
            neighbour_bell(&end->side, (uint32_t)bell);
        }
        ring(end);
    }
    posix_lock_release(&ends_lock);
    if (result != 0) {
        posix_free(end);
    }
    return result;
}

/* @impl ATL-LLR-NEIGHBOUR-1023~1 */
static void neighbour_release(struct posix_file *file)
{
    struct end *end = file->context;
    if (end != NULL) {
        posix_deadline_cancel(&end->deadline);
        posix_lock_acquire(&ends_lock);
        neighbour_leave(&end->side);
        ring(end);
        ends[(uint32_t)file->node->special & 1] = NULL;
        posix_lock_release(&ends_lock);
        posix_free(end);
    }
    posix_file_release_node(file);
}

/* The program ends: what it has not closed is closed for the peer. */
static void leave_all(void)
{
    posix_lock_acquire(&ends_lock);
    for (uint32_t i = 0; i < 2; i++) {
        if (ends[i] != NULL) {
            posix_lock_acquire(&ends[i]->lock);
            neighbour_leave(&ends[i]->side);
            ring(ends[i]);
            posix_lock_release(&ends[i]->lock);
        }
    }
    posix_lock_release(&ends_lock);
    bell_finish();
}

static int64_t neighbour_stat(struct posix_file *file, struct posix_stat *stat)
{
    posix_file_stat_node(file, stat);
    return 0;
}

static const struct posix_file_operations neighbour_operations = {
    .open = neighbour_open,
    .read = neighbour_read,
    .write = neighbour_write,
    .stat = neighbour_stat,
    .poll = neighbour_poll,
    .release = neighbour_release,
};

POSIX_DEVICE(neighbour0, {"neighbour0", &neighbour_operations, MAJOR_LOCAL, 0, 0600, leave_all});
POSIX_DEVICE(neighbour1, {"neighbour1", &neighbour_operations, MAJOR_LOCAL, 1, 0600, NULL});
