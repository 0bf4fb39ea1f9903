/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of SOCK_DGRAM and SOCK_SEQPACKET, and what a datagram socket is connected to. */
#include "unix.h"

#define OVERHEAD_BYTES 32u /* that Linux keeps of SO_SNDBUF */

/* Guards the lists of connected sockets together with the lock of whom they are connected to. */
static struct posix_lock peers_lock;

/* The lock of to, or peers_lock, is held. */
static bool may_send(const struct unix_socket *self, const struct unix_socket *to)
{
    return to->peer == NULL || to->peer == self;
}

/* The lock of to is held. */
static bool is_full(const struct unix_socket *to, const struct unix_socket *self)
{
    return to != self && to->peer != self && to->packet_count > UNIX_QUEUE_MAX;
}

bool unix_datagram_is_full(struct unix_socket *peer, const struct unix_socket *self)
{
    unix_lock(peer);
    bool is = is_full(peer, self);
    unix_unlock(peer);
    return is;
}

/* peers_lock is held. */
static void join(struct unix_socket *self, struct unix_socket *peer)
{
    unix_lock(peer);
    self->next_connected = peer->first_connected;
    peer->first_connected = self;
    unix_unlock(peer);
}

/* peers_lock is held. */
static void leave(const struct unix_socket *self, struct unix_socket *peer)
{
    unix_lock(peer);
    struct unix_socket **place = &peer->first_connected;
    while (*place != self) {
        place = &(*place)->next_connected;
    }
    *place = self->next_connected;
    unix_unlock(peer);
}

/* What strangers sent before is of no use to a socket that changes its peer; the peer learns of it
 * if it was connected to this one. An error of the socket stays.
 * @impl ATL-LLR-NET-0802~1 */
static void drop_messages(struct unix_socket *self, struct unix_socket *old)
{
    unix_lock(self);
    struct unix_packet *packets = unix_packets_take(self);
    unix_unlock(self);
    unix_lock(old);
    if (packets != NULL && !old->is_closed && old->peer == self) {
        old->socket.error = -ECONNRESET;
        unix_notify(old, POSIX_POLL_ANY);
    }
    unix_unlock(old);
    unix_packets_free(packets);
}

/* The old peer, whose reference is the caller's. peers_lock is held. */
static struct unix_socket *change_peer(struct unix_socket *self, struct unix_socket *peer)
{
    struct unix_socket *old = self->peer;
    if (old != NULL) {
        leave(self, old);
    }
    if (peer != NULL) {
        join(self, peer);
    }
    unix_lock(self);
    self->peer = peer;
    unix_notify(self, POSIX_POLL_ANY);
    unix_unlock(self);
    return old;
}

/* Peers change under peers_lock only: what is allowed stays so until it is done.
 * @impl ATL-LLR-NET-0720~1 */
int64_t unix_datagram_set_peer(struct unix_socket *self, struct unix_socket *peer)
{
    posix_lock_acquire(&peers_lock);
    if (peer != NULL && !may_send(self, peer)) {
        posix_lock_release(&peers_lock);
        unix_put(peer);
        return -EPERM;
    }
    struct unix_socket *old = change_peer(self, peer);
    posix_lock_release(&peers_lock);
    if (old != NULL) {
        if (old != peer) {
            drop_messages(self, old);
        }
        unix_put(old);
    }
    return 0;
}

/* @impl ATL-LLR-NET-0803~1 */
void unix_datagram_leave(struct unix_socket *self)
{
    posix_lock_acquire(&peers_lock);
    struct unix_socket *old = change_peer(self, NULL);
    posix_lock_release(&peers_lock);
    if (old != NULL) {
        unix_put(old);
    }
}

/* The peer turned out to be closed; another one by now stays, and the error tells that, as Linux's.
 * @impl ATL-LLR-NET-0804~1 */
static int64_t lose_peer(struct unix_socket *self, struct unix_socket *closed)
{
    posix_lock_acquire(&peers_lock);
    bool is_peer = self->peer == closed;
    if (is_peer) {
        (void)change_peer(self, NULL);
    }
    posix_lock_release(&peers_lock);
    if (!is_peer) {
        return -ECONNRESET;
    }
    drop_messages(self, closed);
    unix_put(closed);
    return -ECONNREFUSED;
}

/* @impl ATL-LLR-NET-0720~1 */
int64_t unix_datagram_connect(struct unix_socket *self, const struct socket_address *address)
{
    struct unix_socket *peer = NULL;
    if (address->bytes < sizeof(address->family)) {
        return -EINVAL;
    }
    if (address->family != AF_UNSPEC) {
        int64_t result = unix_find(address, SOCK_DGRAM, &peer);
        if (result == 0 && socket_has(&self->socket, SO_PASSCRED)) {
            result = unix_name_choose(self);
        }
        if (result < 0) {
            if (peer != NULL) {
                unix_put(peer);
            }
            return result;
        }
    }
    return unix_datagram_set_peer(self, peer);
}

/* Puts the packet into the queue of to, or returns why not; the packet is the caller's then. */
static int64_t deliver(struct unix_socket *self, struct unix_socket *to, struct unix_packet *packet,
                       uint64_t deadline_ns)
{
    bool is_stream = unix_is_connected_kind(self);
    for (;;) {
        int64_t result = 0;
        unix_lock(to);
        if (to->is_closed) {
            result = is_stream ? -EPIPE : -ECONNREFUSED;
        } else if (!may_send(self, to)) {
            result = -EPERM;
        } else if ((to->socket.shut & SOCKET_SHUT_RECEIVE) != 0) {
            result = -EPIPE;
        } else if (is_full(to, self)) {
            result = socket_wait(&to->senders, &to->socket, deadline_ns);
            if (result == 0) {
                continue;
            }
            return result;
        } else {
            unix_packet_append(to, packet);
        }
        unix_unlock(to);
        return result;
    }
}

/* Whom a message goes to, referenced. */
static int64_t find_receiver(struct unix_socket *self, const struct socket_message *message,
                             bool has_name, struct unix_socket **to)
{
    if (has_name) {
        return unix_find(message->name, SOCK_DGRAM, to);
    }
    unix_lock(self);
    *to = self->peer != NULL ? unix_get(self->peer) : NULL;
    unix_unlock(self);
    return *to != NULL ? 0 : -ENOTCONN;
}

static int64_t check_message(struct unix_socket *self, const struct socket_message *message,
                             bool has_name)
{
    if (has_name && !unix_address_is_valid(message->name)) {
        return -EINVAL;
    }
    int64_t result = 0;
    if (!has_name && socket_has(&self->socket, SO_PASSCRED)) {
        result = unix_name_choose(self);
    }
    uint64_t most = self->socket.send_bytes_max - OVERHEAD_BYTES;
    return result == 0 && message->data.remaining > most ? -EMSGSIZE : result;
}

/* @impl ATL-LLR-NET-0721~1 */
int64_t unix_datagram_send(struct unix_socket *self, struct socket_message *message)
{
    bool has_name = message->name->bytes != 0 && !unix_is_connected_kind(self);
    int64_t bytes = (int64_t)message->data.remaining;
    struct unix_packet *packet = NULL;
    struct unix_socket *to = NULL;
    int64_t result = check_message(self, message, has_name);
    if (result == 0) {
        result = unix_packet_make(self, message, (uint64_t)bytes, &packet);
    }
    if (result == 0) {
        result = find_receiver(self, message, has_name, &to);
    }
    if (result == 0) {
        result = deliver(self, to, packet, message->deadline_ns);
        packet = result == 0 ? NULL : packet;
    }
    if (result == -ECONNREFUSED && !has_name) {
        result = lose_peer(self, to);
    }
    unix_packet_free(packet);
    if (to != NULL) {
        unix_put(to);
    }
    return result == 0 ? bytes : result;
}

static int64_t take_message(struct unix_packet *packet, struct socket_message *message)
{
    bool is_cut = message->data.remaining < packet->bytes;
    uint64_t part = is_cut ? message->data.remaining : packet->bytes;
    if (posix_transfer_out(&message->data, packet->data, part) != (int64_t)part) {
        return -EFAULT;
    }
    int64_t result = unix_packet_extras(packet, message);
    message->result_flags |= is_cut ? MSG_TRUNC : 0;
    uint64_t shown = (message->flags & MSG_TRUNC) != 0 ? packet->bytes : part;
    return result < 0 ? result : (int64_t)shown;
}

/* A message that could not be stored is lost, as it is on Linux.
 * @impl ATL-LLR-NET-0721~1 */
int64_t unix_datagram_receive(struct unix_socket *self, struct socket_message *message)
{
    if (unix_is_connected_kind(self) && !unix_is_connected(self)) {
        return -ENOTCONN;
    }
    int64_t result = 0;
    struct unix_packet *packet = unix_turn_take(self, message->deadline_ns, &result);
    if (packet == NULL) {
        return result;
    }
    result = take_message(packet, message);
    bool is_peek = (message->flags & MSG_PEEK) != 0;
    if (unix_turn_end(self, is_peek)) {
        unix_packet_free(packet);
    }
    return result;
}
