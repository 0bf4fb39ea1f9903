/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets. Bytes to send wait in chunks, which lwIP refers to until they are acknowledged, so
 * that they are copied out of the application once; received packets wait as they came. A socket
 * that is closed lives on without a file until its bytes are delivered. */
#ifndef POSIX_INET_TCP_H
#define POSIX_INET_TCP_H

#include "inet.h"

#include <lwip/tcp.h>

enum tcp_phase {
    TCP_FRESH, /* bound or not */
    TCP_LISTENING,
    TCP_CONNECTING,
    TCP_CONNECTED,
    TCP_REFUSED, /* connect failed, which the next connect tells */
    TCP_ENDED,   /* was connected; the connection is gone */
};

struct tcp_chunk {
    struct tcp_chunk *next;
    uint32_t room, filled, handed, acknowledged; /* bytes; each at most the one before */
    uint8_t data[];
};

struct tcp_socket {
    struct inet_socket inet; /* first */
    /* in the stack only */
    struct tcp_pcb *pcb; /* NULL: none, or gone */
    uint32_t listens_at; /* the core, if it listens: its own but for tcp_share.c */
    bool is_sharing;     /* and the port is one that cores share */
    /* in the stack of listens_at only */
    struct tcp_pcb *shadow; /* what listens there for a socket of another core */
    bool has_joined;        /* the port's group */
    bool is_finishing;      /* FIN once all is handed to lwIP */
    bool is_finished;       /* and it was */
    bool is_let_go;         /* closed, and lwIP knows */
    uint64_t held_since_ms; /* since when TCP_CORK holds bytes back; 0: none */
    bool is_talking;        /* its answers take acknowledgements along, which then may wait */
    bool is_asked;          /* something was read and nothing sent since */
    uint64_t index_key;     /* in tcp_index.c's table; 0: not there */
    struct tcp_socket *next_in_bucket;
    struct tcp_socket *newer, *older; /* in that table, by their last segments */
    /* guarded by the lock */
    enum tcp_phase phase;
    bool is_connect_told;      /* connect has returned 0 */
    bool has_end;              /* the peer's FIN */
    bool is_closed;            /* no file will come back */
    struct pbuf *first, *last; /* received; linked by next alone */
    uint32_t first_skip;       /* bytes of the first that are read */
    uint32_t received_bytes;
    struct tcp_chunk *oldest, *newest;
    uint32_t queued_bytes; /* not yet acknowledged */
    bool has_more;         /* the last send said that more follows: MSG_MORE */
    struct tcp_socket *first_pending, *last_pending, *next_pending; /* to be accepted */
    uint32_t pending_count;
};

static inline struct tcp_socket *tcp_of(struct socket *socket)
{
    return (struct tcp_socket *)socket;
}
_Static_assert(offsetof(struct inet_socket, base) == 0, "tcp_of");

static inline void tcp_lock(struct tcp_socket *socket)
{
    posix_lock_acquire(&socket->inet.base.lock);
}
static inline void tcp_unlock(struct tcp_socket *socket)
{
    posix_lock_release(&socket->inet.base.lock);
}

/* ---- tcp_socket.c */
/* Nobody listens any more: ends the connections that nobody will accept. Not in the stack. */
void tcp_drop_pending(struct tcp_socket *listener);
extern const struct socket_operations tcp_operations;
struct tcp_socket *tcp_socket_make(uint32_t domain);
void tcp_socket_put(struct tcp_socket *socket);

/* It listens no more; who might have accepted is told. In the stack. */
void tcp_stop_listening(struct tcp_socket *socket);

/* ---- tcp_connect.c: operations */
int64_t tcp_op_bind(struct socket *socket, const struct socket_address *name);
int64_t tcp_op_connect(struct socket *socket, const struct socket_address *name,
                       uint64_t deadline_ns);
int64_t tcp_op_listen(struct socket *socket, uint32_t backlog);
int64_t tcp_op_accept(struct socket *socket, uint64_t deadline_ns, struct socket **accepted);

/* ---- tcp_share.c: listening on a port that cores share (groups.c) */
/* Whether the port of the socket's pcb is one that cores may share. In the stack. */
bool tcp_share_may(const struct tcp_socket *socket);
/* Has listens_at listen for the socket, if that shares. Not in the stack. -ENOBUFS: it listens no
 * more */
int64_t tcp_share_start(struct tcp_socket *socket, uint8_t backlog);
/* Has it listen no more. Not in the stack. */
void tcp_share_stop(struct tcp_socket *socket);

/* ---- tcp_port.c: all in the stack */
/* What the options of the socket let its pcb have together with others. */
void tcp_port_share(const struct tcp_socket *socket, struct tcp_pcb *pcb);
/* Gives the socket's pcb an address and a port; 0: one that nobody has. -EADDRINUSE */
int64_t tcp_port_bind(struct tcp_socket *socket, const ip_addr_t *address, uint16_t port);
/* Whether somebody listens where the pcb is bound, who does not share with it. */
bool tcp_port_is_listened_on(const struct tcp_pcb *pcb);
/* Another core listens for the bound pcb. */
void tcp_port_lend(struct tcp_pcb *pcb);
/* As tcp_listen_with_backlog_and_err. ERR_USE: somebody listens there. */
struct tcp_pcb *tcp_port_listen(struct tcp_pcb *pcb, uint8_t backlog, err_t *error);
/* Whether anybody listens on a port, sharing or not. */
bool tcp_port_has_listener(uint16_t port);
/* lwIP's timer of TCP; and of the connections that both have closed, those beyond a number go. */
void tcp_port_timer(void);

/* ---- tcp_index.c: which connection a segment is of */
/* The socket's pcb goes, or parts from it. In the stack. */
void tcp_index_remove(struct tcp_socket *socket);

/* ---- tcp_send.c */
int64_t tcp_op_send(struct socket *socket, struct socket_message *message);
/* Whether poll shows room: a third of the buffer, as on Linux. Locked. */
bool tcp_has_room(const struct tcp_socket *socket);
/* Hands to lwIP what it takes, and the FIN behind it. In the stack, not locked. */
void tcp_pump(struct tcp_socket *socket);
/* So many bytes are acknowledged. In the stack, locked. */
void tcp_acknowledge(struct tcp_socket *socket, uint32_t bytes);
/* Frees all that was to be sent. Locked, in the stack. */
void tcp_drop_unsent(struct tcp_socket *socket);

/* ---- tcp_receive.c */
int64_t tcp_op_receive(struct socket *socket, struct socket_message *message);
/* Frees what nobody will read. Locked, in the stack. */
void tcp_drop_received(struct tcp_socket *socket);

/* ---- tcp_info.c: as inet_set_option and inet_get_option */
int64_t tcp_op_set_option(struct socket *socket, int32_t level, uint32_t option, const void *value,
                          uint32_t bytes);
int64_t tcp_op_get_option(struct socket *socket, int32_t level, uint32_t option, void *value,
                          uint32_t *bytes);

/* ---- tcp_event.c: what lwIP tells; all in the stack */
/* Binds a pcb and the socket to each other; the pcb takes a reference. */
void tcp_attach(struct tcp_socket *socket, struct tcp_pcb *pcb);
/* Parts them; the pcb goes on alone. */
void tcp_detach(struct tcp_socket *socket);
void tcp_apply_settings(struct tcp_socket *socket);
err_t tcp_on_connected(void *argument, struct tcp_pcb *pcb, err_t error);
err_t tcp_on_accept(void *argument, struct tcp_pcb *pcb, err_t error);

#endif
