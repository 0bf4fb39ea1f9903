/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of SOCK_STREAM. */
#include "unix.h"

/* The other end, referenced. */
static int64_t find_peer(struct unix_socket *self, const struct socket_message *message,
                         struct unix_socket **peer)
{
    int64_t result = 0;
    unix_lock(self);
    bool is_connected = self->state == UNIX_CONNECTED;
    if (message->name->bytes != 0) {
        result = is_connected ? -EISCONN : -EOPNOTSUPP;
    } else if (!is_connected) {
        result = -ENOTCONN;
    } else if ((self->socket.shut & SOCKET_SHUT_SEND) != 0) {
        result = -EPIPE;
    } else {
        *peer = unix_get(self->peer);
    }
    unix_unlock(self);
    return result;
}

/* As much as goes into one packet. */
static uint64_t chunk_of(const struct unix_socket *self, const struct socket_message *message)
{
    uint64_t bytes = UNIX_CHUNK_BYTES - sizeof(struct unix_packet);
    uint64_t share = self->socket.send_bytes_max / 2 - 64;
    bytes = share < bytes ? share : bytes;
    return message->data.remaining < bytes ? message->data.remaining : bytes;
}

static int64_t send_chunk(struct unix_socket *self, struct unix_socket *peer,
                          struct socket_message *message, bool *is_broken)
{
    struct unix_packet *packet;
    uint64_t bytes = chunk_of(self, message);
    int64_t result = unix_packet_make(self, message, bytes, &packet);
    if (result < 0) {
        return result;
    }
    unix_lock(peer);
    *is_broken = (peer->socket.shut & SOCKET_SHUT_RECEIVE) != 0;
    if (!*is_broken) {
        unix_packet_append(peer, packet);
    }
    unix_unlock(peer);
    if (*is_broken) {
        unix_packet_free(packet);
        return -EPIPE;
    }
    return (int64_t)bytes;
}

/* The signal comes if nobody reads when bytes are to be sent, not if that ends a wait for room: as
 * Linux does.
 * @impl ATL-LLR-NET-0704~1 */
int64_t unix_stream_send(struct unix_socket *self, struct socket_message *message)
{
    struct unix_socket *peer = NULL;
    int64_t done = 0;
    int64_t result = find_peer(self, message, &peer);
    bool is_broken = result == -EPIPE;
    while (result >= 0 && message->data.remaining != 0) {
        result = send_chunk(self, peer, message, &is_broken);
        done += result > 0 ? result : 0;
    }
    if (peer != NULL) {
        unix_put(peer);
    }
    if (is_broken && done == 0 && (message->flags & MSG_NOSIGNAL) == 0) {
        socket_signal_pipe();
    }
    return done != 0 || result >= 0 ? done : result;
}

/* Whether the packet's bytes may be shown behind those of others: not those of another writer to
 * somebody who asks who writes. */
static bool is_same_writer(const struct unix_socket *self, const struct unix_packet *packet,
                           const struct socket_message *message)
{
    return !message->has_credentials || !socket_has(&self->socket, SO_PASSCRED) ||
           __builtin_memcmp(&packet->credentials, &message->credentials,
                            sizeof(packet->credentials)) == 0;
}

struct progress {
    int64_t done;
    bool is_over; /* what comes next is for another call */
};

/* With the turn: the packet was read up to its offset. The next one, or NULL. */
static struct unix_packet *consume(struct unix_socket *self, struct unix_packet *packet,
                                   uint64_t bytes)
{
    unix_lock(self);
    packet->offset += bytes;
    unix_unlock(self);
    if (packet->offset < packet->bytes) {
        return NULL;
    }
    struct unix_packet *next = unix_packet_remove(self);
    unix_packet_free(packet);
    return next;
}

static struct unix_packet *next_of(struct unix_socket *self, const struct unix_packet *packet)
{
    unix_lock(self);
    struct unix_packet *next = packet->next;
    unix_unlock(self);
    return next;
}

/* With the turn: moves what is in the queue, up to files that came with it. */
static int64_t read_packets(struct unix_socket *self, struct unix_packet *packet,
                            struct socket_message *message, struct progress *progress)
{
    bool is_peek = (message->flags & MSG_PEEK) != 0;
    do {
        if (!is_same_writer(self, packet, message)) {
            progress->is_over = true;
            return 0;
        }
        uint64_t rest = packet->bytes - packet->offset;
        uint64_t part = rest < message->data.remaining ? rest : message->data.remaining;
        const uint8_t *from = packet->data + packet->offset;
        if (posix_transfer_out(&message->data, from, part) != (int64_t)part) {
            progress->is_over = true;
            return -EFAULT;
        }
        int64_t result = unix_packet_extras(packet, message);
        if (result < 0) {
            progress->is_over = true;
            return result;
        }
        progress->done += (int64_t)part;
        packet = is_peek ? next_of(self, packet) : consume(self, packet, part);
        progress->is_over = message->rights != NULL;
    } while (packet != NULL && message->data.remaining != 0 && !progress->is_over);
    progress->is_over |= is_peek;
    return 0;
}

/* An error that comes behind bytes is for the next call, unless this one waits for more.
 * @impl ATL-LLR-NET-0704~1
 * @impl ATL-LLR-NET-0800~1 */
int64_t unix_stream_receive(struct unix_socket *self, struct socket_message *message)
{
    if (!unix_is_connected(self)) {
        return -EINVAL;
    }
    int64_t least = self->socket.receive_low;
    int64_t wanted = (int64_t)message->data.remaining;
    int64_t target = (message->flags & MSG_WAITALL) != 0 || least > wanted ? wanted : least;
    target = target != 0 ? target : 1; /* even for no bytes there must be some */
    struct progress progress = {0, false};
    int64_t result = 0;
    do {
        bool is_enough = progress.done >= target;
        struct unix_packet *packet =
            is_enough ? unix_turn_try(self) : unix_turn_take(self, message->deadline_ns, &result);
        if (packet == NULL) {
            break;
        }
        result = read_packets(self, packet, message, &progress);
        unix_turn_give(self);
    } while (result == 0 && !progress.is_over && message->data.remaining != 0);
    return progress.done != 0 ? progress.done : result;
}
