/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing pipes: see pipe.h. */
#include "pipe.h"

#include "../file/abi.h"

#define PAGES_KEPT 4u    /* of an empty pipe */
#define BRIEF_BYTES 128u /* are moved with the lock held */

/* Kept apart, so that the frequent ways save no registers for it. */
#define SELDOM __attribute__((noinline, cold))

static uint64_t used(const struct pipe *pipe)
{
    return pipe->head - pipe->tail;
}

static uint64_t room(const struct pipe *pipe)
{
    return pipe->bytes_max - used(pipe);
}

void pipe_give_turn(struct pipe *pipe, enum pipe_end end)
{
    pipe->has_turn[end] = false;
    if (pipe->turn[end].first != NULL) {
        posix_wake(&pipe->turn[end], UINT32_MAX);
    }
}

void pipe_notify(struct pipe *pipe, enum pipe_end end, uint32_t events)
{
    for (struct pipe_opening *opening = pipe->openings; opening != NULL; opening = opening->next) {
        if (opening->has[end]) {
            posix_file_notify(opening->file, events);
        }
    }
}

static struct pipe_opening *opening_of(const struct pipe *pipe, const struct posix_file *file)
{
    struct pipe_opening *opening = pipe->openings;
    while (opening != NULL && opening->file != file) {
        opening = opening->next;
    }
    return opening;
}

/* The other end may go on. One waiter is enough: it passes the rest on. Returns whom to unpark. */
static uint64_t tell(struct pipe *pipe, enum pipe_end end, uint32_t events)
{
    bool is_awaited = pipe->waiting[end].first != NULL;
    uint64_t handle = is_awaited ? posix_wake_first(&pipe->waiting[end]) : 0;
    pipe_notify(pipe, end, events);
    return handle;
}

/* The bytes that an end may move now, its turn aside; 0: none. */
static inline uint64_t movable(const struct pipe *pipe, enum pipe_end end, uint64_t needed)
{
    if (end == PIPE_READ) {
        return used(pipe);
    }
    uint64_t bytes = room(pipe);
    return bytes >= needed && pipe->open_count[PIPE_READ] != 0 ? bytes : 0;
}

/* Locked: what begin does where no bytes can be moved at once. */
SELDOM static int64_t begin_later(struct pipe *pipe, const struct posix_file *file,
                                  enum pipe_end end, uint64_t needed)
{
    for (;;) {
        bool is_busy = pipe->has_turn[end];
        uint64_t bytes = is_busy ? 0 : movable(pipe, end, needed);
        bool is_alone = pipe->open_count[PIPE_ENDS - 1 - end] == 0;
        if (bytes != 0) {
            return (int64_t)bytes;
        }
        if (!is_busy && (is_alone || event_is_nonblocking(file))) {
            posix_lock_release(&pipe->lock);
            return !is_alone ? -EAGAIN : end == PIPE_READ ? 0 : -EPIPE;
        }
        struct posix_wait_queue *queue = is_busy ? &pipe->turn[end] : &pipe->waiting[end];
        if (posix_wait(queue, &pipe->lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
        posix_lock_acquire(&pipe->lock);
    }
}

/* Waits until the end may move bytes and nobody has its turn.
 *
 * @needed     PIPE_WRITE: bytes of room
 * Returns the bytes there are, or the room, with the lock held; 0: end of file, without
 * Errors:     -EAGAIN | -EPIPE | -ERESTARTSYS, without the lock */
static inline int64_t begin(struct pipe *pipe, const struct posix_file *file, enum pipe_end end,
                            uint64_t needed)
{
    posix_lock_acquire(&pipe->lock);
    uint64_t bytes = pipe->has_turn[end] ? 0 : movable(pipe, end, needed);
    return bytes != 0 ? (int64_t)bytes : begin_later(pipe, file, end, needed);
}

/* Nothing is in the ring and nobody writes: it starts at its first page again, which stays. */
static void rewind_ring(struct pipe *pipe)
{
    pipe->head = 0;
    pipe->tail = 0;
    for (uint64_t i = PAGES_KEPT; pipe->page_count > PAGES_KEPT; i++) {
        if (pipe->pages[i] != NULL) {
            posix_free(pipe->pages[i]);
            pipe->pages[i] = NULL;
            pipe->page_count--;
        }
    }
}

/* Locked; releases the lock. */
static void end_read(struct pipe *pipe, uint64_t bytes)
{
    bool was_full = room(pipe) < PIPE_BYTES_ATOMIC;
    pipe->tail += bytes;
    if (used(pipe) == 0) {
        if (!pipe->has_turn[PIPE_WRITE]) {
            rewind_ring(pipe);
        }
    } else if (pipe->waiting[PIPE_READ].first != NULL) {
        posix_wake(&pipe->waiting[PIPE_READ], 1);
    }
    bool has_room = was_full && room(pipe) >= PIPE_BYTES_ATOMIC;
    uint64_t handle = has_room ? tell(pipe, PIPE_WRITE, POSIX_POLL_WRITABLE) : 0;
    posix_release_and_unpark(&pipe->lock, handle);
}

/* Locked; releases the lock. */
static void end_write(struct pipe *pipe, uint64_t bytes)
{
    pipe->head += bytes;
    if (pipe->waiting[PIPE_WRITE].first != NULL && room(pipe) >= PIPE_BYTES_ATOMIC) {
        posix_wake(&pipe->waiting[PIPE_WRITE], 1);
    }
    uint64_t handle = bytes != 0 ? tell(pipe, PIPE_READ, POSIX_POLL_READABLE) : 0;
    posix_release_and_unpark(&pipe->lock, handle);
}

/* The page at a place of the ring, which only the thread with the turn touches. */
static uint8_t *page_at(const struct pipe *pipe, uint64_t place)
{
    return pipe->pages[(place & (pipe->bytes_max - 1)) / PIPE_PAGE_BYTES];
}

static uint64_t part_of_page(uint64_t place, uint64_t bytes)
{
    uint64_t rest = PIPE_PAGE_BYTES - place % PIPE_PAGE_BYTES;
    return rest < bytes ? rest : bytes;
}

/* Most calls move a few bytes of one piece in one page: these move with the lock held, which costs
 * less than to take a turn and to give it back. Who brings a page of the application that is not
 * there, the kernel or posix_shared_fault, takes no lock under which a pipe's is taken; a true
 * violation ends the copy, not the thread. */
static bool is_brief(uint64_t place, struct posix_vector front, uint64_t bytes)
{
    return bytes <= BRIEF_BYTES && bytes <= front.bytes &&
           bytes <= PIPE_PAGE_BYTES - place % PIPE_PAGE_BYTES;
}

/* Locked before and after, but not meanwhile. */
SELDOM static int64_t read_in_turn(struct pipe *pipe, struct posix_transfer *to, uint64_t wanted)
{
    uint64_t done = 0;
    int64_t result = 0;
    pipe->has_turn[PIPE_READ] = true;
    posix_lock_release(&pipe->lock);
    while (done < wanted && result >= 0) {
        uint64_t place = pipe->tail + done;
        uint64_t part = part_of_page(place, wanted - done);
        result = posix_transfer_out(to, page_at(pipe, place) + place % PIPE_PAGE_BYTES, part);
        done += result > 0 ? (uint64_t)result : 0;
        if (result >= 0 && (uint64_t)result < part) {
            result = -EFAULT;
        }
    }
    posix_lock_acquire(&pipe->lock);
    pipe_give_turn(pipe, PIPE_READ);
    return done != 0 ? (int64_t)done : result;
}

/* @impl ATL-LLR-EVENT-0002~1 */
static int64_t pipe_read(struct posix_file *file, struct posix_transfer *to)
{
    struct pipe *pipe = file->context;
    if (to->remaining == 0) {
        return 0;
    }
    int64_t result = begin(pipe, file, PIPE_READ, 0);
    if (result <= 0) {
        return result;
    }
    uint64_t wanted = (uint64_t)result < to->remaining ? (uint64_t)result : to->remaining;
    struct posix_vector front = posix_transfer_front(to);
    if (is_brief(pipe->tail, front, wanted)) {
        const uint8_t *from = page_at(pipe, pipe->tail) + pipe->tail % PIPE_PAGE_BYTES;
        result = posix_copy_out(front.address, from, wanted);
        result = result == 0 ? (int64_t)wanted : result;
    } else {
        result = read_in_turn(pipe, to, wanted);
    }
    end_read(pipe, result > 0 ? (uint64_t)result : 0);
    return result;
}

/* With the turn: the pages of a range of the ring. Returns how far they reach. */
static uint64_t need_pages(struct pipe *pipe, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t index = ((pipe->head + done) & (pipe->bytes_max - 1)) / PIPE_PAGE_BYTES;
        if (pipe->pages[index] == NULL) {
            pipe->pages[index] = posix_allocate_buffer(PIPE_PAGE_BYTES);
            if (pipe->pages[index] == NULL) {
                break;
            }
            pipe->page_count++;
        }
        done += part_of_page(pipe->head + done, bytes - done);
    }
    return done;
}

/* Locked before and after, but not meanwhile. */
SELDOM static int64_t write_in_turn(struct pipe *pipe, struct posix_transfer *from, uint64_t wanted,
                                    bool is_atomic)
{
    pipe->has_turn[PIPE_WRITE] = true;
    posix_lock_release(&pipe->lock);
    uint64_t there = need_pages(pipe, wanted);
    int64_t result = there == 0 || (is_atomic && there < wanted) ? -ENOMEM : 0;
    uint64_t done = 0;
    while (done < there && result >= 0) {
        uint64_t place = pipe->head + done;
        uint64_t part = part_of_page(place, there - done);
        result = posix_transfer_in(from, page_at(pipe, place) + place % PIPE_PAGE_BYTES, part);
        done += result > 0 ? (uint64_t)result : 0;
        if (result >= 0 && (uint64_t)result < part) {
            result = -EFAULT;
        }
    }
    posix_lock_acquire(&pipe->lock);
    pipe_give_turn(pipe, PIPE_WRITE);
    return done != 0 ? (int64_t)done : result;
}

/* What fits now. */
static int64_t write_part(struct posix_file *file, struct posix_transfer *from)
{
    struct pipe *pipe = file->context;
    bool is_atomic = from->remaining <= PIPE_BYTES_ATOMIC;
    int64_t result = begin(pipe, file, PIPE_WRITE, is_atomic ? from->remaining : 1);
    if (result < 0) {
        return result;
    }
    uint64_t wanted = (uint64_t)result < from->remaining ? (uint64_t)result : from->remaining;
    struct posix_vector front = posix_transfer_front(from);
    uint8_t *page = page_at(pipe, pipe->head);
    if (page != NULL && is_brief(pipe->head, front, wanted)) {
        result = posix_copy_in(page + pipe->head % PIPE_PAGE_BYTES, front.address, wanted);
        result = result == 0 ? (int64_t)wanted : result;
        posix_transfer_advance(from, result > 0 ? wanted : 0);
    } else {
        result = write_in_turn(pipe, from, wanted, is_atomic);
    }
    end_write(pipe, result > 0 ? (uint64_t)result : 0);
    return result;
}

SELDOM static void signal_broken_pipe(void)
{
    struct posix_signal_info info = {.signal = SIGPIPE, .code = SI_USER};
    info.sender.process = POSIX_PROCESS_ID;
    (void)posix_signal_send(posix_self(), &info);
}

/* @impl ATL-LLR-EVENT-0003~1 */
static int64_t pipe_write(struct posix_file *file, struct posix_transfer *from)
{
    int64_t done = 0;
    int64_t result = 0;
    while (from->remaining != 0 && result >= 0) {
        result = write_part(file, from);
        done += result > 0 ? result : 0;
    }
    if (result == -EPIPE) {
        signal_broken_pipe();
    }
    return done != 0 ? done : result;
}

static uint32_t pipe_poll(struct posix_file *file)
{
    struct pipe *pipe = file->context;
    uint32_t ready = 0;
    posix_lock_acquire(&pipe->lock);
    const struct pipe_opening *opening = opening_of(pipe, file);
    if (opening->has[PIPE_READ]) {
        bool was_written = opening->writers_before != pipe->opened[PIPE_WRITE];
        ready |= used(pipe) != 0 ? POSIX_POLL_READABLE : 0;
        ready |= pipe->open_count[PIPE_WRITE] == 0 && was_written ? POSIX_POLL_HUP : 0;
    }
    if (opening->has[PIPE_WRITE]) {
        ready |= room(pipe) >= PIPE_BYTES_ATOMIC ? POSIX_POLL_WRITABLE : 0;
        ready |= pipe->open_count[PIPE_READ] == 0 ? POSIX_POLL_ERR : 0;
    }
    posix_lock_release(&pipe->lock);
    return ready;
}

void pipe_free(struct pipe *pipe)
{
    for (uint64_t i = 0; i < pipe->bytes_max / PIPE_PAGE_BYTES; i++) {
        posix_free(pipe->pages[i]);
    }
    posix_free(pipe->pages);
    posix_free(pipe);
}

/* Locked. The file's opening is none any more; NULL: it was none. */
static struct pipe_opening *take_out(struct pipe *pipe, const struct posix_file *file)
{
    struct pipe_opening **place = &pipe->openings;
    while (*place != NULL && (*place)->file != file) {
        place = &(*place)->next;
    }
    struct pipe_opening *opening = *place;
    if (opening != NULL) {
        *place = opening->next;
    }
    return opening;
}

/* @impl ATL-LLR-EVENT-0004~1 */
static void pipe_release(struct posix_file *file)
{
    struct pipe *pipe = file->context;
    posix_lock_acquire(&pipe->lock);
    struct pipe_opening *opening = take_out(pipe, file);
    for (enum pipe_end end = PIPE_READ; opening != NULL && end < PIPE_ENDS; end++) {
        if (opening->has[end] && --pipe->open_count[end] == 0) {
            enum pipe_end other = PIPE_ENDS - 1 - end;
            posix_wake(&pipe->waiting[other], UINT32_MAX);
            pipe_notify(pipe, other, POSIX_POLL_ANY);
        }
    }
    bool is_named = pipe->is_named;
    bool is_last = pipe->openings == NULL;
    if (is_last) {
        rewind_ring(pipe); /* what nobody has read is gone */
    }
    posix_lock_release(&pipe->lock);
    if (is_named) {
        posix_free(opening);
        posix_file_release_node(file);
    } else if (is_last) {
        pipe_free(pipe);
    }
}

static int64_t pipe_stat(struct posix_file *file, struct posix_stat *stat)
{
    const struct pipe *pipe = file->context;
    if (pipe->is_named) {
        posix_file_stat_node(file, stat);
    } else {
        event_stat(stat, S_IFIFO | 0600, pipe->number);
    }
    return 0;
}

static int64_t pipe_ioctl(struct posix_file *file, uint64_t request, uint64_t argument)
{
    struct pipe *pipe = file->context;
    if (request != FIONREAD) {
        return -ENOTTY;
    }
    posix_lock_acquire(&pipe->lock);
    int32_t bytes = (int32_t)used(pipe);
    posix_lock_release(&pipe->lock);
    return posix_copy_out(argument, &bytes, sizeof(bytes));
}

static int64_t pipe_control(struct posix_file *file, uint32_t command, uint64_t argument)
{
    struct pipe *pipe = file->context;
    if (command == F_SETPIPE_SZ) {
        return pipe_resize(file, (uint32_t)argument);
    }
    if (command != F_GETPIPE_SZ) {
        return -EINVAL;
    }
    posix_lock_acquire(&pipe->lock);
    int64_t bytes = (int64_t)pipe->bytes_max;
    posix_lock_release(&pipe->lock);
    return bytes;
}

const struct posix_file_operations pipe_operations = {
    .open = pipe_open,
    .read = pipe_read,
    .write = pipe_write,
    .stat = pipe_stat,
    .ioctl = pipe_ioctl,
    .control = pipe_control,
    .poll = pipe_poll,
    .release = pipe_release,
};
