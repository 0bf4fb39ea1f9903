/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of AF_UNIX sockets of all types: life, pairs, readiness, shutdown. */
#include "unix.h"

#include "../file/abi.h"

static int64_t unix_pair(struct socket *one, struct socket *other)
{
    struct unix_socket *ends[2] = {unix_of(one), unix_of(other)};
    for (uint32_t i = 0; i < 2; i++) {
        struct unix_socket *self = ends[i];
        struct unix_socket *peer = ends[1 - i];
        self->socket.peer = SOCKET_CREDENTIALS_OWN;
        if (unix_is_connected_kind(self)) {
            self->state = UNIX_CONNECTED;
            self->peer = unix_get(peer);
        } else {
            (void)unix_datagram_set_peer(self, unix_get(peer)); /* new sockets: nobody minds */
        }
    }
    return 0;
}

static int64_t unix_connect(struct socket *socket, const struct socket_address *address,
                            uint64_t deadline_ns)
{
    struct unix_socket *self = unix_of(socket);
    return unix_is_connected_kind(self) ? unix_connect_stream(self, address, deadline_ns)
                                        : unix_datagram_connect(self, address);
}

/* Of SOCK_SEQPACKET, before anything of a message is looked at. */
static int64_t check_packet_sender(struct unix_socket *self)
{
    unix_lock(self);
    int64_t error = socket_take_error(&self->socket);
    bool is_connected = self->state == UNIX_CONNECTED;
    unix_unlock(self);
    return error != 0 || is_connected ? error : -ENOTCONN;
}

static int64_t unix_send(struct socket *socket, struct socket_message *message)
{
    struct unix_socket *self = unix_of(socket);
    int64_t result = socket->type == SOCK_SEQPACKET ? check_packet_sender(self) : 0;
    if (result == 0) {
        result = control_parse(message);
    }
    if (result == 0 && (message->flags & MSG_OOB) != 0) {
        result = -EOPNOTSUPP;
    }
    if (result < 0) {
        return result;
    }
    return socket->type == SOCK_STREAM ? unix_stream_send(self, message)
                                       : unix_datagram_send(self, message);
}

static int64_t unix_receive(struct socket *socket, struct socket_message *message)
{
    if ((message->flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    return socket->type == SOCK_STREAM ? unix_stream_receive(unix_of(socket), message)
                                       : unix_datagram_receive(unix_of(socket), message);
}

/* Everybody who waits for the socket looks again. The lock is held. */
static void wake_all(struct unix_socket *self)
{
    posix_wake(&self->readers, UINT32_MAX);
    posix_wake(&self->room, UINT32_MAX);
    posix_wake(&self->senders, UINT32_MAX);
    unix_notify(self, POSIX_POLL_ANY);
}

/* @impl ATL-LLR-NET-0709~1 */
static int64_t unix_shutdown(struct socket *socket, enum socket_shut ends)
{
    struct unix_socket *self = unix_of(socket);
    unix_lock(self);
    self->socket.shut |= ends;
    struct unix_socket *peer = NULL;
    if (unix_is_connected_kind(self) && self->peer != NULL) {
        peer = unix_get(self->peer);
    }
    wake_all(self);
    unix_unlock(self);
    if (peer != NULL) {
        unix_lock(peer);
        peer->socket.shut |= (ends & SOCKET_SHUT_RECEIVE) != 0 ? SOCKET_SHUT_SEND : 0;
        peer->socket.shut |= (ends & SOCKET_SHUT_SEND) != 0 ? SOCKET_SHUT_RECEIVE : 0;
        wake_all(peer);
        unix_unlock(peer);
        unix_put(peer);
    }
    return 0;
}

/* The lock is held. Of a stream, all bytes; else those of the first message. */
static uint64_t bytes_to_read(const struct unix_socket *self)
{
    uint64_t bytes = 0;
    for (const struct unix_packet *packet = self->first; packet != NULL; packet = packet->next) {
        bytes += packet->bytes - packet->offset;
        if (self->socket.type == SOCK_DGRAM) {
            break;
        }
    }
    return bytes;
}

static int64_t unix_ioctl(struct socket *socket, uint64_t request, uint64_t argument)
{
    struct unix_socket *self = unix_of(socket);
    if (request != FIONREAD && request != TIOCOUTQ) {
        return -ENOTTY;
    }
    unix_lock(self);
    bool is_listening = self->socket.is_listening;
    uint64_t bytes = request == FIONREAD ? bytes_to_read(self) : self->sent_bytes;
    unix_unlock(self);
    if (request == FIONREAD && is_listening) {
        return -EINVAL;
    }
    return posix_store_u32(argument, (uint32_t)bytes);
}

/* @impl ATL-LLR-NET-0716~1 */
static uint32_t unix_poll(struct socket *socket)
{
    struct unix_socket *self = unix_of(socket);
    struct unix_socket *peer = NULL;
    unix_lock(self);
    uint32_t shut = self->socket.shut;
    uint32_t ready = self->socket.error != 0 ? POSIX_POLL_ERR : 0;
    ready |= shut == SOCKET_SHUT_BOTH ? POSIX_POLL_HUP : 0;
    ready |= (shut & SOCKET_SHUT_RECEIVE) != 0 ? POSIX_POLL_RDHUP | POSIX_POLL_READABLE : 0;
    ready |= self->first != NULL || self->first_pending != NULL ? POSIX_POLL_READABLE : 0;
    bool is_writable = unix_is_writable(self);
    if (!unix_is_connected_kind(self)) {
        peer = self->peer != NULL ? unix_get(self->peer) : NULL;
    } else if (self->state == UNIX_OPEN || self->state == UNIX_CONNECTING) {
        ready |= POSIX_POLL_HUP;
    }
    unix_unlock(self);
    if (peer != NULL) {
        is_writable = is_writable && !unix_datagram_is_full(peer, self);
        unix_put(peer);
    }
    return ready | (is_writable ? UNIX_POLL_WRITABLE : 0);
}

static void unix_room_changed(struct socket *socket)
{
    struct unix_socket *self = unix_of(socket);
    unix_lock(self);
    posix_wake(&self->room, UINT32_MAX);
    unix_notify(self, POSIX_POLL_ANY);
    unix_unlock(self);
}

/* The other end of a connection is gone; what it did not read is lost. */
static void hang_up(struct unix_socket *self, bool is_reset)
{
    unix_lock(self);
    self->socket.shut = SOCKET_SHUT_BOTH;
    if (is_reset) {
        self->socket.error = -ECONNRESET;
    }
    wake_all(self);
    unix_unlock(self);
}

/* What a socket that closes leaves behind: taken under the lock, given back without it. */
struct remains {
    bool is_unread;
    struct unix_packet *packets;
    struct unix_socket *pending, *peer;
};

/* Whether the peer learns that something was not read: Linux passes over an empty first message.
 * The lock is held. */
static bool is_unread(const struct unix_socket *self)
{
    const struct unix_packet *first = self->first;
    return first != NULL && (first->bytes != 0 || first->next != NULL);
}

static struct remains take_remains(struct unix_socket *self)
{
    unix_lock(self);
    struct remains remains = {is_unread(self), NULL, self->first_pending, self->peer};
    remains.packets = unix_packets_take(self);
    self->socket.file = NULL;
    self->socket.shut = SOCKET_SHUT_BOTH;
    self->first_pending = NULL;
    self->last_pending = NULL;
    self->peer = NULL;
    wake_all(self);
    for (struct unix_socket *at = self->first_connected; at != NULL; at = at->next_connected) {
        unix_notify(at, POSIX_POLL_ANY);
    }
    unix_unlock(self);
    return remains;
}

/* @impl ATL-LLR-NET-0717~1 */
static void close_one(struct unix_socket *self, bool was_pending)
{
    unix_name_drop(self);
    unix_lock(self);
    self->is_closed = true;
    unix_unlock(self);
    if (!unix_is_connected_kind(self)) {
        unix_datagram_leave(self);
    }
    struct remains remains = take_remains(self);
    if (remains.peer != NULL) {
        hang_up(remains.peer, remains.is_unread || was_pending);
        unix_put(remains.peer);
    }
    unix_packets_free(remains.packets);
    while (remains.pending != NULL) {
        struct unix_socket *pending = remains.pending;
        remains.pending = pending->next_pending;
        close_one(pending, true); /* never listens: this goes no deeper */
    }
    unix_put(self);
}

static void unix_close(struct socket *socket)
{
    close_one(unix_of(socket), false);
}

void unix_put(struct unix_socket *self)
{
    if (atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) == 1) {
        unix_name_put(self->name);
        posix_free(self);
    }
}

static const struct socket_operations unix_operations = {
    .bind = unix_bind,
    .connect = unix_connect,
    .pair = unix_pair,
    .listen = unix_listen,
    .accept = unix_accept,
    .name = unix_name,
    .send = unix_send,
    .receive = unix_receive,
    .shutdown = unix_shutdown,
    .ioctl = unix_ioctl,
    .poll = unix_poll,
    .settings_changed = unix_room_changed,
    .release = unix_close,
};

struct unix_socket *unix_make(uint32_t type)
{
    struct unix_socket *self = posix_allocate(sizeof(*self));
    if (self != NULL) {
        socket_initialize(&self->socket, &unix_operations, AF_UNIX, type);
        self->references = 1;
    }
    return self;
}

/* @impl ATL-LLR-NET-0700~1 */
int64_t unix_create(uint32_t type, uint32_t protocol, struct socket **socket)
{
    if (protocol != 0 && protocol != AF_UNIX) {
        return -EPROTONOSUPPORT;
    }
    type = type == SOCK_RAW ? SOCK_DGRAM : type;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET) {
        return -ESOCKTNOSUPPORT;
    }
    struct unix_socket *self = unix_make(type);
    if (self == NULL) {
        return -ENOMEM;
    }
    *socket = &self->socket;
    return 0;
}
