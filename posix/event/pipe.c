/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing pipes: see pipe.h. */
#include "pipe.h"

#include "../file/abi.h"

#define PAGES_KEPT 4u    /* of an empty pipe */
#define SMALL_BYTES 128u /* a write that is copied to the stack first */

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

/* Waits until the end may move bytes and takes its turn.
 *
 * @needed     PIPE_WRITE: bytes of room
 * Returns the bytes there are, or the room; 0: end of file, no turn taken
 * Errors:     -EAGAIN | -EPIPE | -ERESTARTSYS */
static int64_t begin(struct pipe *pipe, const struct posix_file *file, enum pipe_end end,
                     uint64_t needed)
{
    for (;;) {
        posix_lock_acquire(&pipe->lock);
        bool is_busy = pipe->has_turn[end];
        uint64_t bytes = is_busy ? 0 : movable(pipe, end, needed);
        bool is_alone = pipe->open_count[PIPE_ENDS - 1 - end] == 0;
        if (bytes != 0) {
            pipe->has_turn[end] = true;
            posix_lock_release(&pipe->lock);
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
    }
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

static void end_read(struct pipe *pipe, uint64_t bytes)
{
    posix_lock_acquire(&pipe->lock);
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
    pipe_give_turn(pipe, PIPE_READ);
    posix_release_and_unpark(&pipe->lock, handle);
}

static void end_write(struct pipe *pipe, uint64_t bytes)
{
    posix_lock_acquire(&pipe->lock);
    pipe->head += bytes;
    if (pipe->waiting[PIPE_WRITE].first != NULL && room(pipe) >= PIPE_BYTES_ATOMIC) {
        posix_wake(&pipe->waiting[PIPE_WRITE], 1);
    }
    uint64_t handle = bytes != 0 ? tell(pipe, PIPE_READ, POSIX_POLL_READABLE) : 0;
    pipe_give_turn(pipe, PIPE_WRITE);
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

/* @impl ATL-LLR-EVENT-0002~1 */
static int64_t pipe_read(struct posix_file *file, struct posix_transfer *to)
{
    struct pipe *pipe = file->context;
    if (to->remaining == 0) {
        return 0;
    }
    int64_t available = begin(pipe, file, PIPE_READ, 0);
    if (available <= 0) {
        return available;
    }
    uint64_t wanted = (uint64_t)available < to->remaining ? (uint64_t)available : to->remaining;
    uint64_t done = 0;
    int64_t result = 0;
    while (done < wanted && result >= 0) {
        uint64_t place = pipe->tail + done;
        uint64_t part = part_of_page(place, wanted - done);
        result = posix_transfer_out(to, page_at(pipe, place) + place % PIPE_PAGE_BYTES, part);
        done += result > 0 ? (uint64_t)result : 0;
        if (result >= 0 && (uint64_t)result < part) {
            result = -EFAULT;
        }
    }
    end_read(pipe, done);
    return done != 0 ? (int64_t)done : result;
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

/* What fits now. */
static int64_t write_part(struct posix_file *file, struct posix_transfer *from)
{
    struct pipe *pipe = file->context;
    bool is_atomic = from->remaining <= PIPE_BYTES_ATOMIC;
    int64_t room_bytes = begin(pipe, file, PIPE_WRITE, is_atomic ? from->remaining : 1);
    if (room_bytes < 0) {
        return room_bytes;
    }
    uint64_t wanted =
        (uint64_t)room_bytes < from->remaining ? (uint64_t)room_bytes : from->remaining;
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
    end_write(pipe, done);
    return done != 0 ? (int64_t)done : result;
}

/* The way of most writes: a few bytes, of one piece, that fit into a page that is there. They are
 * copied before the lock is taken, which is taken only once then. 0: nothing was done. */
static int64_t write_small(struct pipe *pipe, struct posix_transfer *from)
{
    uint8_t bytes[SMALL_BYTES];
    struct posix_vector front = posix_transfer_front(from);
    if (front.bytes == 0 || front.bytes != from->remaining || front.bytes > sizeof(bytes) ||
        posix_copy_in(bytes, front.address, front.bytes) != 0) {
        return 0;
    }
    posix_lock_acquire(&pipe->lock);
    uint8_t *page = page_at(pipe, pipe->head);
    uint64_t offset = pipe->head % PIPE_PAGE_BYTES;
    bool fits = !pipe->has_turn[PIPE_WRITE] && movable(pipe, PIPE_WRITE, front.bytes) != 0 &&
                page != NULL && front.bytes <= PIPE_PAGE_BYTES - offset;
    uint64_t handle = 0;
    if (fits) {
        __builtin_memcpy(page + offset, bytes, front.bytes);
        pipe->head += front.bytes;
        handle = tell(pipe, PIPE_READ, POSIX_POLL_READABLE);
        posix_transfer_advance(from, front.bytes);
    }
    posix_release_and_unpark(&pipe->lock, handle);
    return fits ? (int64_t)front.bytes : 0;
}

/* @impl ATL-LLR-EVENT-0003~1 */
static int64_t pipe_write(struct posix_file *file, struct posix_transfer *from)
{
    int64_t done = write_small(file->context, from);
    int64_t result = 0;
    while (from->remaining != 0 && result >= 0) {
        result = write_part(file, from);
        done += result > 0 ? result : 0;
    }
    if (result == -EPIPE) {
        struct posix_signal_info info = {.signal = SIGPIPE, .code = SI_USER};
        info.sender.process = POSIX_PROCESS_ID;
        (void)posix_signal_send(posix_self(), &info);
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
