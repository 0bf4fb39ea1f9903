/* SPDX-License-Identifier: Apache-2.0 */
/* Listening, connecting and accepting, of SOCK_STREAM and SOCK_SEQPACKET. The socket that accept
 * gives is made by who connects, connected to it at once, and waits in the backlog. */
#include "unix.h"

/* @impl ATL-LLR-NET-0705~1 */
int64_t unix_listen(struct socket *socket, uint32_t backlog)
{
    struct unix_socket *self = unix_of(socket);
    if (!unix_is_connected_kind(self)) {
        return -EOPNOTSUPP;
    }
    unix_lock(self);
    bool is_possible =
        self->name != NULL && (self->state == UNIX_OPEN || self->state == UNIX_LISTENING);
    if (is_possible) {
        self->state = UNIX_LISTENING;
        self->socket.is_listening = true;
        self->socket.peer = SOCKET_CREDENTIALS_OWN;
        self->backlog = backlog;
        posix_wake(&self->senders, UINT32_MAX);
    }
    unix_unlock(self);
    return is_possible ? 0 : -EINVAL;
}

/* The listener's lock is held. */
static bool is_accepting(const struct unix_socket *listener)
{
    return listener->state == UNIX_LISTENING && !listener->is_closed &&
           (listener->socket.shut & SOCKET_SHUT_RECEIVE) == 0;
}

/* Waits for a place in the backlog and puts the socket there. */
static int64_t enqueue(struct unix_socket *listener, struct unix_socket *pending,
                       uint64_t deadline_ns)
{
    for (;;) {
        unix_lock(listener);
        if (!is_accepting(listener)) {
            unix_unlock(listener);
            return -ECONNREFUSED;
        }
        if (listener->pending_count <= listener->backlog) {
            break;
        }
        int64_t result = socket_wait(&listener->senders, &listener->socket, deadline_ns);
        if (result != 0) {
            return result;
        }
    }
    if (listener->last_pending != NULL) {
        listener->last_pending->next_pending = pending;
    } else {
        listener->first_pending = pending;
    }
    listener->last_pending = pending;
    listener->pending_count++;
    posix_wake(&listener->readers, 1);
    unix_notify(listener, POSIX_POLL_READABLE);
    unix_unlock(listener);
    return 0;
}

/* From here to commit nobody else connects the socket. */
static int64_t claim(struct unix_socket *self, struct unix_socket *other)
{
    int64_t result = 0;
    unix_lock(self);
    switch (self->state) {
    case UNIX_OPEN:
        self->state = UNIX_CONNECTING;
        self->peer = unix_get(other);
        break;
    case UNIX_CONNECTING:
        result = -EALREADY;
        break;
    case UNIX_CONNECTED:
        result = -EISCONN;
        break;
    case UNIX_LISTENING:
        result = -EINVAL;
        break;
    }
    unix_unlock(self);
    return result;
}

static void commit(struct unix_socket *self)
{
    unix_lock(self);
    self->state = UNIX_CONNECTED;
    self->socket.peer = SOCKET_CREDENTIALS_OWN;
    unix_notify(self, UNIX_POLL_WRITABLE);
    unix_unlock(self);
}

/* Nobody has seen the other end. */
static void give_up(struct unix_socket *self, struct unix_socket *other)
{
    unix_lock(self);
    self->state = UNIX_OPEN;
    self->peer = NULL;
    unix_unlock(self);
    unix_put(other); /* what claim took */
}

static int64_t connect_to(struct unix_socket *self, struct unix_socket *listener,
                          uint64_t deadline_ns)
{
    unix_lock(listener);
    bool is_possible = is_accepting(listener);
    unix_unlock(listener);
    if (!is_possible) {
        return -ECONNREFUSED;
    }
    struct unix_socket *other = unix_make(self->socket.type);
    if (other == NULL) {
        return -ENOMEM;
    }
    int64_t result = claim(self, other);
    if (result < 0) {
        unix_put(other);
        return result;
    }
    other->state = UNIX_CONNECTED;
    other->peer = unix_get(self);
    other->socket.peer = SOCKET_CREDENTIALS_OWN;
    other->socket.switches = listener->socket.switches & 1u << SO_PASSCRED;
    unix_name_share(other, listener);
    result = enqueue(listener, other, deadline_ns);
    if (result < 0) {
        give_up(self, other);
        unix_put(other->peer);
        unix_put(other);
        return result;
    }
    commit(self);
    return 0;
}

/* @impl ATL-LLR-NET-0705~1 */
int64_t unix_connect_stream(struct unix_socket *self, const struct socket_address *address,
                            uint64_t deadline_ns)
{
    struct unix_socket *listener;
    if (socket_has(&self->socket, SO_PASSCRED)) {
        int64_t named = unix_name_choose(self);
        if (named < 0) {
            return named;
        }
    }
    int64_t result = unix_find(address, self->socket.type, &listener);
    if (result < 0) {
        return result;
    }
    result = connect_to(self, listener, deadline_ns);
    unix_put(listener);
    return result;
}

/* The lock is held. */
static struct unix_socket *take_pending(struct unix_socket *self)
{
    struct unix_socket *pending = self->first_pending;
    if (pending != NULL) {
        self->first_pending = pending->next_pending;
        pending->next_pending = NULL;
        if (self->first_pending == NULL) {
            self->last_pending = NULL;
        }
        self->pending_count--;
        posix_wake(&self->senders, 1);
    }
    return pending;
}

/* @impl ATL-LLR-NET-0705~1 */
int64_t unix_accept(struct socket *socket, uint64_t deadline_ns, struct socket **accepted)
{
    struct unix_socket *self = unix_of(socket);
    if (!unix_is_connected_kind(self)) {
        return -EOPNOTSUPP;
    }
    for (;;) {
        unix_lock(self);
        if (self->state != UNIX_LISTENING) {
            unix_unlock(self);
            return -EINVAL;
        }
        struct unix_socket *pending = take_pending(self);
        if (pending != NULL) {
            unix_unlock(self);
            *accepted = &pending->socket;
            return 0;
        }
        /* Linux sees the shutdown only when it waits. */
        if ((self->socket.shut & SOCKET_SHUT_RECEIVE) != 0 && deadline_ns != 0) {
            unix_unlock(self);
            return -EINVAL;
        }
        int64_t result = socket_wait(&self->readers, &self->socket, deadline_ns);
        if (result != 0) {
            return result;
        }
    }
}
