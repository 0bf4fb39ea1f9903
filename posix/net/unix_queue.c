/* SPDX-License-Identifier: Apache-2.0 */
/* Packets, the account that a sender has of them, and the queue that they wait in. */
#include "unix.h"

static int64_t charge_account(struct unix_socket *sender, uint64_t charge, uint64_t deadline_ns)
{
    for (;;) {
        unix_lock(sender);
        int64_t result = socket_take_error(&sender->socket);
        if (result == 0 && (sender->socket.shut & SOCKET_SHUT_SEND) != 0) {
            result = -EPIPE;
        }
        bool has_room = sender->sent_bytes < sender->socket.send_bytes_max;
        if (result == 0 && has_room) {
            sender->sent_bytes += charge;
        }
        if (result != 0 || has_room) {
            unix_unlock(sender);
            return result;
        }
        result = socket_wait(&sender->room, &sender->socket, deadline_ns);
        if (result != 0) {
            return result;
        }
    }
}

/* Who waits is told when a quarter is used at most, as Linux does. */
static void refund_account(struct unix_socket *sender, uint64_t charge)
{
    unix_lock(sender);
    sender->sent_bytes -= charge;
    if (unix_is_writable(sender)) {
        posix_wake(&sender->room, UINT32_MAX);
        unix_notify(sender, UNIX_POLL_WRITABLE);
    }
    unix_unlock(sender);
}

/* @impl ATL-LLR-NET-0718~1
 * @impl ATL-LLR-NET-0807~1 */
int64_t unix_packet_make(struct unix_socket *sender, struct socket_message *message, uint64_t bytes,
                         struct unix_packet **made)
{
    uint64_t packet_bytes = sizeof(struct unix_packet) + bytes;
    uint64_t charge = packet_bytes + socket_rights_bytes(message->rights);
    int64_t result = charge_account(sender, charge, message->deadline_ns);
    if (result < 0) {
        return result;
    }
    struct unix_packet *packet = posix_allocate(packet_bytes);
    if (packet == NULL) {
        refund_account(sender, charge);
        return -ENOBUFS;
    }
    if (posix_transfer_in(&message->data, packet->data, bytes) != (int64_t)bytes) {
        posix_free(packet);
        refund_account(sender, charge);
        return -EFAULT;
    }
    packet->sender = unix_get(sender);
    packet->bytes = bytes;
    packet->charge = charge;
    packet->rights = message->rights;
    packet->credentials = message->has_credentials ? message->credentials : SOCKET_CREDENTIALS_OWN;
    message->rights = NULL;
    *made = packet;
    return 0;
}

void unix_packet_free(struct unix_packet *packet)
{
    if (packet != NULL) {
        socket_rights_discard(packet->rights);
        refund_account(packet->sender, packet->charge);
        unix_put(packet->sender);
        posix_free(packet);
    }
}

void unix_packets_free(struct unix_packet *packets)
{
    while (packets != NULL) {
        struct unix_packet *packet = packets;
        packets = packet->next;
        unix_packet_free(packet);
    }
}

void unix_packet_append(struct unix_socket *to, struct unix_packet *packet)
{
    if (to->last != NULL) {
        to->last->next = packet;
    } else {
        to->first = packet;
    }
    to->last = packet;
    to->packet_count++;
    posix_wake(&to->readers, 1);
    unix_notify(to, POSIX_POLL_READABLE);
}

/* What a reader finds who finds nothing; locked. 1: it may wait. */
static int64_t look_at_end(struct unix_socket *self, uint64_t deadline_ns)
{
    int64_t error = socket_take_error(&self->socket);
    if (error != 0) {
        return error;
    }
    if ((self->socket.shut & SOCKET_SHUT_RECEIVE) != 0) {
        /* Linux looks for the end of datagrams only after it has waited. */
        return self->socket.type == SOCK_DGRAM && deadline_ns == 0 ? -EAGAIN : 0;
    }
    return deadline_ns == 0 ? -EAGAIN : 1;
}

/* @impl ATL-LLR-NET-0719~1 */
struct unix_packet *unix_turn_take(struct unix_socket *self, uint64_t deadline_ns, int64_t *result)
{
    for (;;) {
        unix_lock(self);
        bool is_busy = self->has_reader;
        /* An error is told behind the bytes of a stream, but before messages. */
        bool has_error = self->socket.error != 0 && self->socket.type != SOCK_STREAM;
        struct unix_packet *packet = has_error ? NULL : self->first;
        if (!is_busy && packet != NULL) {
            self->has_reader = true;
            unix_unlock(self);
            return packet;
        }
        *result = is_busy ? 1 : look_at_end(self, deadline_ns);
        if (*result != 1) {
            unix_unlock(self);
            return NULL;
        }
        /* Who has the turn moves bytes and gives it back: for that everybody waits. */
        *result = is_busy ? socket_wait(&self->turn, &self->socket, GATE_NEVER)
                          : socket_wait(&self->readers, &self->socket, deadline_ns);
        if (*result != 0) {
            return NULL;
        }
    }
}

/* @impl ATL-LLR-NET-0800~1 */
struct unix_packet *unix_turn_try(struct unix_socket *self)
{
    unix_lock(self);
    struct unix_packet *packet = self->has_reader ? NULL : self->first;
    if (packet != NULL) {
        self->has_reader = true;
    }
    unix_unlock(self);
    return packet;
}

/* The lock is held. */
static void give_turn(struct unix_socket *self)
{
    self->has_reader = false;
    posix_wake(&self->turn, UINT32_MAX);
    if (self->first != NULL) {
        posix_wake(&self->readers, 1); /* it was woken for us, and there is more */
    }
}

void unix_turn_give(struct unix_socket *self)
{
    unix_lock(self);
    give_turn(self);
    unix_unlock(self);
}

/* The queue has so many packets less: who waits for a place is told. The lock is held. */
static void count_down(struct unix_socket *self, uint32_t packets)
{
    bool was_full = self->packet_count > UNIX_QUEUE_MAX;
    self->packet_count -= packets;
    if (was_full) {
        posix_wake(&self->senders, UINT32_MAX);
        for (struct unix_socket *at = self->first_connected; at != NULL; at = at->next_connected) {
            unix_notify(at, UNIX_POLL_WRITABLE);
        }
    }
}

/* The lock is held. */
static struct unix_packet *remove_first(struct unix_socket *self)
{
    self->first = self->first->next;
    if (self->first == NULL) {
        self->last = NULL;
    }
    count_down(self, 1);
    return self->first;
}

struct unix_packet *unix_packet_remove(struct unix_socket *self)
{
    unix_lock(self);
    struct unix_packet *next = remove_first(self);
    unix_unlock(self);
    return next;
}

bool unix_turn_end(struct unix_socket *self, bool is_peek)
{
    unix_lock(self);
    bool is_over = !is_peek || self->first->is_dropped;
    if (is_over) {
        (void)remove_first(self);
    }
    give_turn(self);
    unix_unlock(self);
    return is_over;
}

/* @impl ATL-LLR-NET-0801~1 */
struct unix_packet *unix_packets_take(struct unix_socket *self)
{
    struct unix_packet *kept = self->has_reader ? self->first : NULL;
    struct unix_packet *taken = self->first;
    if (kept != NULL) {
        taken = kept->next;
        kept->next = NULL;
        kept->is_dropped = true;
    }
    self->first = kept;
    self->last = kept;
    count_down(self, self->packet_count - (kept != NULL ? 1 : 0));
    return taken;
}

int64_t unix_packet_extras(struct unix_packet *packet, struct socket_message *message)
{
    if (packet->rights != NULL && (message->flags & MSG_PEEK) != 0) {
        message->rights = socket_rights_copy(packet->rights);
        if (message->rights == NULL) {
            return -ENOMEM;
        }
    } else if (packet->rights != NULL) {
        message->rights = packet->rights;
        packet->rights = NULL;
    }
    if (!message->has_credentials) {
        message->has_credentials = true;
        message->credentials = packet->credentials;
        if (message->name != NULL) {
            unix_name_show(packet->sender, message->name);
        }
    }
    return 0;
}
