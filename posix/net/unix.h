/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: sockets of one cell that are connected in memory. A message is a packet in the queue of
 * its receiver; what it takes counts against the sender's SO_SNDBUF until it is read.
 *
 * Locks: no thread holds the locks of two sockets; that of names (unix_name.c) and that of peers
 * (unix_datagram.c) come before a socket's. Bytes move with no lock held: packets are filled before
 * they are queued, and who reads from a queue has its turn. References: the open file, a connected
 * peer, and each packet of a sender hold one on a socket. */
#ifndef POSIX_NET_UNIX_H
#define POSIX_NET_UNIX_H

#include "socket.h"

#define UNIX_CHUNK_BYTES 32768u /* at most in a packet of a stream: a class of the heap */
#define UNIX_POLL_WRITABLE (POSIX_POLL_WRITABLE | POSIX_POLL_WRBAND)
#define UNIX_QUEUE_MAX 10u /* datagrams of strangers that wait: Linux's max_dgram_qlen */

enum unix_state { UNIX_OPEN, UNIX_CONNECTING, UNIX_CONNECTED, UNIX_LISTENING };

struct unix_socket;
struct unix_packet {
    struct unix_packet *next;
    struct unix_socket *sender; /* referenced */
    uint64_t bytes, offset;     /* offset: of a stream, what was read */
    uint64_t charge;            /* on the sender's account */
    bool is_dropped;            /* who looks at it takes it out */
    struct socket_rights *rights;
    struct socket_credentials credentials;
    uint8_t data[];
};

/* A name never changes, and outlives its owner in the sockets that it accepted. */
struct unix_name {
    _Atomic uint32_t references;
    struct unix_name *next;    /* in its bucket, if abstract; names' lock */
    struct unix_socket *owner; /* names' lock; NULL: closed */
    struct posix_node *node;   /* of a path, until the owner closes */
    uint32_t type;
    struct socket_address address;
};

struct unix_socket {
    struct socket socket; /* first; its lock guards the rest */
    _Atomic uint32_t references;
    enum unix_state state;
    bool is_closed;
    bool has_reader;                  /* a thread has the turn of the queue */
    struct unix_socket *peer;         /* referenced */
    _Atomic(struct unix_name *) name; /* set once, under names' lock */
    struct unix_packet *first, *last; /* packets; removed by who has the turn only */
    uint32_t packet_count;
    uint64_t sent_bytes;             /* charges of packets that nobody took yet */
    struct posix_wait_queue readers; /* for a packet, or for somebody to accept */
    struct posix_wait_queue turn;
    struct posix_wait_queue room;    /* of my account */
    struct posix_wait_queue senders; /* for a place in this queue, or in the backlog */
    struct unix_socket *first_pending, *last_pending, *next_pending; /* not accepted yet */
    uint32_t pending_count, backlog;
    struct unix_socket *first_connected, *next_connected; /* datagram sockets whose peer I am */
};

static inline struct unix_socket *unix_of(struct socket *socket)
{
    return (struct unix_socket *)socket;
}
_Static_assert(offsetof(struct unix_socket, socket) == 0, "unix_of");

static inline bool unix_is_connected_kind(const struct unix_socket *self)
{
    return self->socket.type != SOCK_DGRAM;
}

static inline void unix_lock(struct unix_socket *self)
{
    posix_lock_acquire(&self->socket.lock);
}

static inline void unix_unlock(struct unix_socket *self)
{
    posix_lock_release(&self->socket.lock);
}

static inline struct unix_socket *unix_get(struct unix_socket *self)
{
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    return self;
}

/* The watches of the socket's file hear of the events. The lock is held. */
static inline void unix_notify(struct unix_socket *self, uint32_t events)
{
    if (self->socket.file != NULL) {
        posix_file_notify(self->socket.file, events);
    }
}

static inline bool unix_is_connected(struct unix_socket *self)
{
    unix_lock(self);
    bool is = self->state == UNIX_CONNECTED;
    unix_unlock(self);
    return is;
}

/* ---- unix.c */
int64_t unix_create(uint32_t type, uint32_t protocol, struct socket **socket);
/* One reference, no file. NULL: no memory. */
struct unix_socket *unix_make(uint32_t type);
void unix_put(struct unix_socket *self);
/* Whether a poll shows room on the account. The lock is held. */
static inline bool unix_is_writable(const struct unix_socket *self)
{
    return !self->socket.is_listening && self->sent_bytes * 4 <= self->socket.send_bytes_max;
}

/* ---- unix_name.c */
/* Whether it may name an AF_UNIX socket. */
bool unix_address_is_valid(const struct socket_address *address);
int64_t unix_bind(struct socket *socket, const struct socket_address *address);
/* A name of its own for a socket that has none. */
int64_t unix_name_choose(struct unix_socket *self);
/* The socket that an address names, referenced. -EINVAL | -ECONNREFUSED | -EPROTOTYPE and those of
 * paths */
int64_t unix_find(const struct socket_address *address, uint32_t type, struct unix_socket **found);
int64_t unix_name(struct socket *socket, enum socket_end end, struct socket_address *address);
/* The address of a socket; bytes == 0: it has none. */
void unix_name_show(const struct unix_socket *self, struct socket_address *address);
/* Another socket gets the name as well: one that was accepted. */
void unix_name_share(struct unix_socket *self, const struct unix_socket *from);
/* The owner closes: nobody finds it any more. */
void unix_name_drop(struct unix_socket *self);
void unix_name_put(struct unix_name *name);

/* ---- unix_connect.c */
int64_t unix_listen(struct socket *socket, uint32_t backlog);
int64_t unix_connect_stream(struct unix_socket *self, const struct socket_address *address,
                            uint64_t deadline_ns);
int64_t unix_accept(struct socket *socket, uint64_t deadline_ns, struct socket **accepted);

/* ---- unix_queue.c */
/* A packet with the front of a message, charged to the sender, when its account has room.
 *
 * @bytes      of the message; they leave it
 * Errors:     -EAGAIN -EINTR -ERESTARTSYS -EPIPE -ENOBUFS -EFAULT, a pending error */
int64_t unix_packet_make(struct unix_socket *sender, struct socket_message *message, uint64_t bytes,
                         struct unix_packet **packet);
/* Gives back all that the packet holds. No lock is held. NULL is allowed. */
void unix_packet_free(struct unix_packet *packet);
/* The same for packets that are linked. */
void unix_packets_free(struct unix_packet *packets);
/* Puts the packet at the end and tells who waits. The lock is held. */
void unix_packet_append(struct unix_socket *to, struct unix_packet *packet);
/* Waits until there is a packet and takes the queue's turn.
 *
 * Returns the first packet, with the turn; NULL: *result is 0 at the end, or the error */
struct unix_packet *unix_turn_take(struct unix_socket *self, uint64_t deadline_ns, int64_t *result);
/* Takes the turn if that is free and there is a packet: the first one, or NULL. It neither waits
 * nor looks for an error. */
struct unix_packet *unix_turn_try(struct unix_socket *self);
void unix_turn_give(struct unix_socket *self);
/* Gives the turn back and takes the first packet out, unless that was only looked at: whether it is
 * to be freed. */
bool unix_turn_end(struct unix_socket *self, bool is_peek);
/* With the turn: takes the first packet out of the queue; the next one. */
struct unix_packet *unix_packet_remove(struct unix_socket *self);
/* Takes all packets out, linked, but for one that a reader of messages is at: unix_turn_end does
 * that. The lock is held. */
struct unix_packet *unix_packets_take(struct unix_socket *self);
/* What a message tells besides its bytes, from a packet. -ENOMEM: rights could not be copied */
int64_t unix_packet_extras(struct unix_packet *packet, struct socket_message *message);

/* ---- unix_stream.c, unix_datagram.c */
int64_t unix_stream_send(struct unix_socket *self, struct socket_message *message);
int64_t unix_stream_receive(struct unix_socket *self, struct socket_message *message);
int64_t unix_datagram_send(struct unix_socket *self, struct socket_message *message);
int64_t unix_datagram_receive(struct unix_socket *self, struct socket_message *message);
int64_t unix_datagram_connect(struct unix_socket *self, const struct socket_address *address);
/* Makes peer (NULL: nobody) what self is connected to and takes over the reference. What came from
 * others before is dropped. -EPERM: peer is connected to another; nothing has changed */
int64_t unix_datagram_set_peer(struct unix_socket *self, struct unix_socket *peer);
/* A socket that closes is connected to nobody any more. */
void unix_datagram_leave(struct unix_socket *self);
/* Whether the queue of a peer has no place for self. */
bool unix_datagram_is_full(struct unix_socket *peer, const struct unix_socket *self);

#endif
