/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving by TCP: see tcp.h. Bytes go from packets to the application with no lock held; who has
 * the turn alone takes packets out, and the stack only adds them. */
#include "tcp.h"

#include <lwip/priv/tcp_priv.h>

static void free_list(struct pbuf *first)
{
    while (first != NULL) {
        struct pbuf *next = first->next;
        first->next = NULL; /* linked by this list, not as a chain */
        pbuf_free(first);
        first = next;
    }
}

void tcp_drop_received(struct tcp_socket *socket)
{
    free_list(socket->first);
    socket->first = NULL;
    socket->last = NULL;
    socket->first_skip = 0;
    socket->received_bytes = 0;
}

struct consumed {
    struct tcp_socket *socket;
    struct pbuf *first;
    uint32_t bytes;
};

static void give_back(void *argument)
{
    struct consumed *consumed = argument;
    struct tcp_pcb *pcb = consumed->socket->pcb;
    free_list(consumed->first);
    while (pcb != NULL && consumed->bytes != 0) {
        uint16_t part = (uint16_t)(consumed->bytes < UINT16_MAX ? consumed->bytes : UINT16_MAX);
        tcp_recved(pcb, part);
        consumed->bytes -= part;
    }
    /* Who only listens acknowledges what was read: small packets of the peer may wait for it. */
    consumed->socket->is_talking = consumed->socket->is_talking && !consumed->socket->is_asked;
    consumed->socket->is_asked = true;
    if (pcb != NULL && (pcb->flags & TF_ACK_DELAY) != 0 && !consumed->socket->is_talking) {
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
}

/* Takes bytes off the front: their packets go to the list. Locked. */
static void consume(struct tcp_socket *socket, uint32_t bytes, struct consumed *consumed)
{
    struct pbuf **end = &consumed->first;
    consumed->bytes = bytes;
    socket->received_bytes -= bytes;
    while (bytes != 0) {
        struct pbuf *packet = socket->first;
        uint32_t left = packet->len - socket->first_skip;
        if (bytes < left) {
            socket->first_skip += bytes;
            break;
        }
        bytes -= left;
        socket->first_skip = 0;
        socket->first = packet->next;
        if (socket->first == NULL) {
            socket->last = NULL;
        }
        packet->next = NULL;
        *end = packet;
        end = &packet->next;
    }
}

/* With the turn, not locked: copies up to bytes that are there. Bytes, or -EFAULT. */
static int64_t copy_out(const struct tcp_socket *socket, struct posix_transfer *to, uint64_t bytes)
{
    const struct pbuf *packet = socket->first;
    uint64_t skip = socket->first_skip;
    uint64_t done = 0;
    int64_t result = 0;
    while (done < bytes) {
        uint64_t left = packet->len - skip;
        uint64_t part = left < bytes - done ? left : bytes - done;
        result =
            part != 0 ? posix_transfer_out(to, (const uint8_t *)packet->payload + skip, part) : 0;
        done += result > 0 ? (uint64_t)result : 0;
        if (result < 0 || (uint64_t)result < part) {
            break;
        }
        skip = 0;
        packet = done < bytes ? packet->next : NULL;
    }
    return done != 0 ? (int64_t)done : result;
}

/* What a call without data returns; 0 with *is_over: the end. Locked. */
static int64_t state_without_data(struct tcp_socket *socket, bool *is_over)
{
    *is_over = true;
    int64_t error = socket_take_error(&socket->inet.base);
    if (error != 0) {
        return error;
    }
    if (socket->has_end || socket->phase == TCP_ENDED ||
        (socket->inet.base.shut & SOCKET_SHUT_RECEIVE) != 0) {
        return 0;
    }
    if (socket->phase != TCP_CONNECTED && socket->phase != TCP_CONNECTING) {
        return -ENOTCONN;
    }
    *is_over = false;
    return 0;
}

/* Waits until wanted bytes are there, or all that will come. Returns how many, with the turn; 0 the
 * end, or an error, without. Not locked afterwards. */
static int64_t begin(struct tcp_socket *socket, uint64_t wanted, uint64_t deadline_ns)
{
    for (;;) {
        tcp_lock(socket);
        int64_t result = inet_turn_take(&socket->inet, &socket->inet.reading, deadline_ns);
        if (result < 0) {
            return result;
        }
        uint32_t bytes = socket->received_bytes;
        bool is_over = false;
        bool is_ending = socket->has_end || socket->inet.base.error != 0 ||
                         socket->phase == TCP_ENDED || deadline_ns == 0;
        if (bytes != 0 && (bytes >= wanted || is_ending)) {
            tcp_unlock(socket);
            return bytes;
        }
        inet_turn_give(&socket->inet.reading);
        result = bytes == 0 ? state_without_data(socket, &is_over) : 0;
        if (is_over) {
            tcp_unlock(socket);
            return result;
        }
        result = socket_wait(&socket->inet.readers, &socket->inet.base, deadline_ns);
        if (result < 0 && bytes == 0) {
            return result;
        }
        if (result < 0) {
            deadline_ns = 0; /* what is there is what there is */
        }
    }
}

/* With the turn: moves bytes and gives it back. */
static int64_t move(struct tcp_socket *socket, struct socket_message *message, uint64_t available)
{
    struct posix_transfer *data = &message->data;
    bool is_peek = (message->flags & MSG_PEEK) != 0;
    struct consumed consumed = {.socket = socket};
    uint64_t bytes = available < data->remaining ? available : data->remaining;
    int64_t result = copy_out(socket, data, bytes);
    tcp_lock(socket);
    if (result > 0 && !is_peek) {
        consume(socket, (uint32_t)result, &consumed);
    }
    inet_turn_give(&socket->inet.reading);
    tcp_unlock(socket);
    if (consumed.bytes != 0) {
        net_call(socket->inet.core, give_back, &consumed);
    }
    return result;
}

/* @impl ATL-LLR-POSIX-0905~1 */
int64_t tcp_op_receive(struct socket *base, struct socket_message *message)
{
    struct tcp_socket *socket = tcp_of(base);
    bool is_whole = (message->flags & MSG_WAITALL) != 0;
    int64_t done = 0;
    int64_t result = 0;
    if ((message->flags & MSG_OOB) != 0) {
        return -EINVAL;
    }
    if (message->name != NULL) {
        message->name->bytes = 0; /* a stream names nobody */
    }
    do {
        uint64_t low = is_whole ? UINT64_MAX : (uint32_t)base->receive_low;
        uint64_t wanted = message->data.remaining < low ? message->data.remaining : low;
        /* A peek looks at what is there once; the window bounds what can be there at all. */
        wanted = wanted < TCP_WND / 2 ? wanted : TCP_WND / 2;
        result = begin(socket, wanted, message->deadline_ns);
        if (result <= 0) {
            break;
        }
        result = move(socket, message, (uint64_t)result);
        done += result > 0 ? result : 0;
    } while (result > 0 && is_whole && message->data.remaining != 0 &&
             (message->flags & MSG_PEEK) == 0);
    return done != 0 ? done : result;
}
