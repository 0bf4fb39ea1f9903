/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets. A datagram to send is copied out of the application into the packet that goes out;
 * received ones wait as they came. */
#ifndef POSIX_INET_UDP_H
#define POSIX_INET_UDP_H

#include "inet.h"
#include "packet_info.h"

#include <lwip/udp.h>

struct udp_datagram {
    struct udp_datagram *next;
    struct pbuf *packet;
    struct inet_end from;
    struct packet_info info;
};

struct udp_socket {
    struct inet_socket inet; /* first */
    struct udp_pcb *pcb;     /* in the stack only */
    bool is_sharing;         /* SO_REUSEPORT, when it was bound */
    bool has_joined;         /* the port's group */
    /* guarded by the lock */
    struct udp_datagram *first, *last;
    uint32_t received_bytes; /* with what datagrams cost */
};

static inline struct udp_socket *udp_of(struct socket *socket)
{
    return (struct udp_socket *)socket;
}

/* ---- udp_data.c */
int64_t udp_op_send(struct socket *socket, struct socket_message *message);
int64_t udp_op_receive(struct socket *socket, struct socket_message *message);
/* What lwIP calls with a datagram. In the stack. */
void udp_on_receive(void *argument, struct udp_pcb *pcb, struct pbuf *packet,
                    const ip_addr_t *address, uint16_t port);
/* Frees what was not received. In the stack. */
void udp_drop_received(struct udp_socket *socket);

/* ---- udp_socket.c: a pcb with a port for the socket. In the stack. -ENOBUFS | -EADDRINUSE */
int64_t udp_need_pcb(struct udp_socket *socket);

#endif
