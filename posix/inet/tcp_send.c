/* SPDX-License-Identifier: Apache-2.0 */
/* Sending by TCP: see tcp.h. A thread that has the turn fills the newest chunk; the stack hands
 * chunks to lwIP and frees them when they are acknowledged. */
#include "tcp.h"

#define CHUNK_BYTES_MIN 2000u /* with its head and the heap's, a class of the heap */
#define CHUNK_BYTES_MAX 32700u
#define WRITE_BYTES_MAX 65535u /* of one tcp_write */
#define CORK_MS_MAX 200u       /* tcp(7) */

bool tcp_has_room(const struct tcp_socket *socket)
{
    uint32_t limit = socket->inet.base.send_bytes_max;
    return socket->queued_bytes <= limit - limit / 3;
}

static uint32_t room_of(const struct tcp_socket *socket)
{
    uint32_t limit = socket->inet.base.send_bytes_max;
    return socket->queued_bytes < limit ? limit - socket->queued_bytes : 0;
}

void tcp_acknowledge(struct tcp_socket *socket, uint32_t bytes)
{
    bool had_room = tcp_has_room(socket);
    while (bytes != 0 && socket->oldest != NULL) {
        struct tcp_chunk *chunk = socket->oldest;
        uint32_t left = chunk->handed - chunk->acknowledged;
        uint32_t part = bytes < left ? bytes : left;
        chunk->acknowledged += part;
        socket->queued_bytes -= part;
        bytes -= part;
        if (chunk->acknowledged != chunk->filled) {
            break;
        }
        if (chunk->next == NULL) {
            /* A thread may be filling it. It serves again. */
            if (!socket->inet.writing.is_taken) {
                chunk->filled = 0;
                chunk->handed = 0;
                chunk->acknowledged = 0;
            }
            break;
        }
        socket->oldest = chunk->next;
        net_memory_free(chunk);
    }
    bool is_lingering = socket->is_closed && socket->queued_bytes == 0;
    if ((!had_room && tcp_has_room(socket)) || is_lingering) {
        inet_tell(&socket->inet, POSIX_POLL_WRITABLE);
    }
}

void tcp_drop_unsent(struct tcp_socket *socket)
{
    struct tcp_chunk *chunk = socket->oldest;
    if (socket->inet.writing.is_taken) {
        return; /* the writer finds the connection gone, and the last reference frees them */
    }
    while (chunk != NULL) {
        struct tcp_chunk *next = chunk->next;
        net_memory_free(chunk);
        chunk = next;
    }
    socket->oldest = NULL;
    socket->newest = NULL;
    socket->queued_bytes = 0;
}

/* What may be handed over: with TCP_CORK, or before more of MSG_MORE, whole segments alone, but
 * nothing waits longer than Linux lets it. Locked.
 * @impl ATL-LLR-NET-0832~1 */
static uint32_t let_out(struct tcp_socket *socket)
{
    uint32_t bytes = 0;
    bool is_corked = socket->inet.settings.cork != 0 || socket->has_more;
    for (const struct tcp_chunk *chunk = socket->oldest; is_corked && chunk != NULL;
         chunk = chunk->next) {
        bytes += chunk->filled - chunk->handed;
    }
    uint32_t held = bytes % tcp_mss(socket->pcb);
    if (held == 0 || socket->is_finishing) {
        socket->held_since_ms = 0;
        return UINT32_MAX;
    }
    if (socket->held_since_ms == 0) {
        socket->held_since_ms = net_now_ms();
    }
    return net_now_ms() - socket->held_since_ms < CORK_MS_MAX ? bytes - held : UINT32_MAX;
}

/* So many bytes fit into lwIP's queue of packets, which takes two for a segment; what is tried in
 * vain has been allocated for nothing. */
static uint32_t queue_room(struct tcp_pcb *pcb)
{
    uint32_t used = tcp_sndqueuelen(pcb);
    return used < TCP_SND_QUEUELEN ? (TCP_SND_QUEUELEN - used) / 2 * tcp_mss(pcb) : 0;
}

/* Locked. Bytes; 0: lwIP takes no more now, or there is none. */
static uint32_t hand_over_piece(struct tcp_socket *socket, uint32_t bytes_max)
{
    struct tcp_chunk *chunk = socket->oldest;
    while (chunk != NULL && chunk->handed == chunk->filled) {
        chunk = chunk->next;
    }
    uint32_t bytes = chunk != NULL ? chunk->filled - chunk->handed : 0;
    uint32_t window = tcp_sndbuf(socket->pcb);
    bytes = bytes < bytes_max ? bytes : bytes_max;
    bytes = bytes < window ? bytes : window;
    bytes = bytes < WRITE_BYTES_MAX ? bytes : WRITE_BYTES_MAX;
    uint32_t room = queue_room(socket->pcb);
    bytes = room == 0 || bytes < room ? bytes : room;
    /* Its queue of packets may be full before its bytes are: then less is tried. */
    while (bytes != 0) {
        if (tcp_write(socket->pcb, chunk->data + chunk->handed, (uint16_t)bytes, 0) == ERR_OK) {
            chunk->handed += bytes;
            return bytes;
        }
        bytes = bytes > tcp_mss(socket->pcb) ? bytes / 2 : 0;
    }
    return 0;
}

static bool is_all_handed(const struct tcp_socket *socket)
{
    const struct tcp_chunk *chunk = socket->oldest;
    while (chunk != NULL && chunk->handed == chunk->filled) {
        chunk = chunk->next;
    }
    return chunk == NULL;
}

/* Sends the FIN; a closed socket lets lwIP do the rest, which may be done at once. */
static void finish(struct tcp_socket *socket)
{
    if (!socket->is_closed) {
        socket->is_finished = socket->is_finished || tcp_shutdown(socket->pcb, 0, 1) == ERR_OK;
    } else {
        socket->is_let_go = socket->is_let_go || tcp_close(socket->pcb) == ERR_OK;
    }
}

/* The caller has a reference besides the pcb's, which may end here. */
static void pump_held(struct tcp_socket *socket)
{
    if (socket->pcb == NULL || socket->pcb->state == LISTEN) {
        return;
    }
    tcp_lock(socket);
    bool is_connected = socket->phase == TCP_CONNECTED;
    bool has_handed = false;
    uint32_t left = is_connected ? let_out(socket) : 0;
    for (uint32_t bytes = 1; left != 0 && bytes != 0; left -= bytes) {
        bytes = hand_over_piece(socket, left);
        has_handed = has_handed || bytes != 0;
    }
    bool is_to_finish = socket->is_finishing && is_all_handed(socket);
    bool is_delivered = socket->is_closed && socket->queued_bytes == 0;
    tcp_unlock(socket);
    if (has_handed) {
        socket->is_talking = socket->is_talking || socket->is_asked;
        socket->is_asked = false;
        tcp_output(socket->pcb);
    }
    if (is_to_finish) {
        finish(socket);
    }
    if (is_delivered && socket->is_let_go && socket->pcb != NULL) {
        tcp_detach(socket);
    }
}

void tcp_pump(struct tcp_socket *socket)
{
    atomic_fetch_add_explicit(&socket->inet.references, 1, memory_order_relaxed);
    pump_held(socket);
    tcp_socket_put(socket);
}

static void pump(void *socket)
{
    tcp_pump(socket);
}

/* Why nothing can be sent; 0: something can. Locked. */
static int64_t failure(struct tcp_socket *socket)
{
    if (socket->phase == TCP_CONNECTED && (socket->inet.base.shut & SOCKET_SHUT_SEND) == 0 &&
        socket->inet.base.error == 0) {
        return 0;
    }
    if (socket->phase == TCP_CONNECTING && socket->inet.base.error == 0) {
        return 0;
    }
    int64_t error = socket_take_error(&socket->inet.base);
    return error != 0 ? error : -EPIPE;
}

/* Waits for the turn and for room. Returns the room, with the turn, locked; or an error. */
static int64_t begin(struct tcp_socket *socket, uint64_t deadline_ns)
{
    for (;;) {
        tcp_lock(socket);
        int64_t result = failure(socket);
        if (result < 0) {
            tcp_unlock(socket);
            return result;
        }
        bool is_busy = socket->inet.writing.is_taken;
        if (!is_busy && socket->phase == TCP_CONNECTED && room_of(socket) != 0) {
            socket->inet.writing.is_taken = true;
            return room_of(socket);
        }
        result = socket_wait(is_busy ? &socket->inet.writing.waiting : &socket->inet.writers,
                             &socket->inet.base, deadline_ns);
        if (result < 0) {
            return result;
        }
    }
}

/* With the turn: a chunk with room. NULL: no memory. */
static struct tcp_chunk *need_chunk(struct tcp_socket *socket, uint64_t bytes)
{
    struct tcp_chunk *chunk = socket->newest;
    if (chunk != NULL && chunk->filled < chunk->room) {
        return chunk;
    }
    bytes = bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : bytes;
    bytes = bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : bytes;
    chunk = net_memory_allocate_buffer(sizeof(*chunk) + bytes);
    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct tcp_chunk){.room = (uint32_t)bytes};
    tcp_lock(socket);
    if (socket->newest != NULL) {
        socket->newest->next = chunk;
    } else {
        socket->oldest = chunk;
    }
    socket->newest = chunk;
    tcp_unlock(socket);
    return chunk;
}

/* With the turn, not locked: copies a piece into a chunk. Bytes, or an error. */
static int64_t fill(struct tcp_socket *socket, struct posix_transfer *data, uint64_t room)
{
    uint64_t bytes = data->remaining < room ? data->remaining : room;
    struct tcp_chunk *chunk = need_chunk(socket, bytes);
    int64_t copied = -ENOBUFS;
    if (chunk != NULL) {
        uint32_t left = chunk->room - chunk->filled;
        copied = posix_transfer_in(data, chunk->data + chunk->filled, bytes < left ? bytes : left);
    }
    tcp_lock(socket);
    if (copied > 0) {
        chunk->filled += (uint32_t)copied;
        socket->queued_bytes += (uint32_t)copied;
    }
    inet_turn_give(&socket->inet.writing);
    tcp_unlock(socket);
    return copied;
}

/* @impl ATL-LLR-POSIX-0905~1 */
int64_t tcp_op_send(struct socket *base, struct socket_message *message)
{
    struct tcp_socket *socket = tcp_of(base);
    int64_t done = 0;
    int64_t result = 0;
    if ((message->flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    do {
        result = begin(socket, message->deadline_ns);
        if (result < 0) {
            break;
        }
        socket->has_more = (message->flags & MSG_MORE) != 0;
        tcp_unlock(socket);
        result = fill(socket, &message->data, (uint64_t)result);
        if (result > 0) {
            done += result;
            net_call(socket->inet.core, pump, socket);
        }
    } while (result >= 0 && message->data.remaining != 0);
    if (done != 0 || result >= 0) {
        return done;
    }
    if (result == -EPIPE && (message->flags & MSG_NOSIGNAL) == 0) {
        socket_signal_pipe();
    }
    return result;
}
