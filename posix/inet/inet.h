/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of AF_INET and AF_INET6 over a core's stack (stack.h): what TCP and UDP share. A socket
 * belongs to the core whose stack has it from its first bind, listen, connect or send on; calls on
 * it are made on any core.
 *
 * Locks: the socket's lock guards what its readers, writers and pollers look at. Callbacks of lwIP
 * take it in the stack; who holds it never waits for the stack. */
#ifndef POSIX_INET_INET_H
#define POSIX_INET_INET_H

#include "../net/socket.h"
#include "families.h"
#include "stack.h"

#include <lwip/ip_addr.h>

/* One end of a socket as lwIP has it. */
struct inet_end {
    ip_addr_t address;
    uint16_t port;
};

/* One thread at a time moves bytes in a direction, with no lock held; the others wait. */
struct inet_turn {
    bool is_taken;
    struct posix_wait_queue waiting;
};

/* Options of the protocols' levels, as they are given and taken: option.c. */
struct inet_settings {
    int32_t no_delay, max_segment, cork, keep_idle_s, keep_interval_s, keep_count, defer_accept,
        quick_ack, user_timeout_ms;
    int32_t service, time_to_live, path_mtu, receives_errors;
    int32_t is_only_6, hops, traffic_class, receives_errors_6;
    int32_t packet_info, packet_info_6;
    int32_t multicast_hops, multicast_loop, multicast_all, multicast_hops_6, multicast_loop_6;
    int32_t multicast_interface, multicast_address, multicast_interface_6; /* multicast.c */
};

struct inet_socket {
    struct socket base; /* first */
    uint32_t core;      /* whose stack has it; valid if has_core */
    bool has_core, is_bound;
    struct inet_settings settings;
    struct inet_end own, peer;
    _Atomic uint32_t references; /* the file's or the accept queue's, and the stack's */
    struct posix_wait_queue readers, writers;
    struct inet_turn reading, writing;
    struct inet_membership *memberships; /* multicast.c */
};

/* -EINVAL too short | -EAFNOSUPPORT. IPv4 in IPv6 becomes IPv4. */
int64_t inet_address_load(const struct inet_socket *socket, const struct socket_address *name,
                          struct inet_end *end);
void inet_address_store(const struct inet_socket *socket, const struct inet_end *end,
                        struct socket_address *name);
/* To nobody's address means, as on Linux, to the machine itself. */
void inet_end_complete(struct inet_end *end);
/* Whether some packet could be for sockets that are bound to one and to the other. */
bool inet_overlap(const ip_addr_t *one, const ip_addr_t *other);
/* The operation of either protocol. */
int64_t inet_name(struct socket *base, enum socket_end end, struct socket_address *name);

/* Gives the socket to the calling core, or to that of the port (0: any), once, and starts the stack
 * there. -EAGAIN */
int64_t inet_settle(struct inet_socket *socket, enum net_protocol protocol, uint16_t port);

/* What every new socket of IP has. */
void inet_initialize(struct inet_socket *socket, const struct socket_operations *operations,
                     uint32_t domain, uint32_t type);

/* ---- option.c: the operations of both protocols. -ENOPROTOOPT | -EINVAL */
extern const struct inet_settings inet_settings_default;
int64_t inet_set_option(struct socket *socket, int32_t level, uint32_t option, const void *value,
                        uint32_t bytes);
int64_t inet_get_option(struct socket *socket, int32_t level, uint32_t option, void *value,
                        uint32_t *bytes);

/* The two that every packet of a pcb carries. In the stack. */
void inet_apply(const struct inet_socket *socket, uint8_t *service, uint8_t *time_to_live);

/* Waits until the direction is free and takes it. The socket is locked, before and after; on an
 * error it is not. */
int64_t inet_turn_take(struct inet_socket *socket, struct inet_turn *turn, uint64_t deadline_ns);
/* The socket is locked. */
void inet_turn_give(struct inet_turn *turn);
/* Wakes who waits and tells who watches. The socket is locked. */
void inet_tell(struct inet_socket *socket, uint32_t events);

/* Whether an address is one of the machine's, or of its loopback. In the stack. */
bool inet_address_is_own(const ip_addr_t *address);

/* Whether a packet with this source may go there: one of 127.0.0.0/8 does not leave the machine.
 * In the stack. */
bool inet_may_leave(const ip_addr_t *source, const ip_addr_t *to);

/* Tells the connected UDP socket that sent a packet that nobody takes it. In the stack. */
void inet_udp_refused(const struct net_unreachable *error);
/* lwIP compares a segment with one connection after the other, at length: its own becomes the first
 * (tcp_index.c). In the stack, not below a call of lwIP's. */
void inet_tcp_bring_forward(const struct net_segment *segment);

int64_t inet_tcp_create(uint32_t domain, struct socket **socket);
int64_t inet_udp_create(uint32_t domain, struct socket **socket);

#endif
