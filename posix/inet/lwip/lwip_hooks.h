/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP asks of posix/inet (interface.c). */
#ifndef POSIX_INET_LWIP_HOOKS_H
#define POSIX_INET_LWIP_HOOKS_H

#include <lwip/err.h>
#include <lwip/ip4_addr.h>
#include <lwip/ip6_addr.h>
#include <lwip/ip_addr.h>

struct netif;
struct pbuf;
struct tcp_hdr;
struct tcp_pcb;

/* The loopback for addresses of the machine itself, else as route.c says; NULL: as lwIP does. */
struct netif *net_route_4(const ip4_addr_t *source, const ip4_addr_t *destination);
struct netif *net_route_6(const ip6_addr_t *source, const ip6_addr_t *destination);

/* The router that the image names for other networks of an interface (route.c); NULL: one that
 * tells of itself. */
const ip6_addr_t *net_gateway_6(const struct netif *netif);

/* A segment has reached a pcb that listens (tcp_port.c). */
err_t net_listener_reached(struct tcp_pcb *listening);

/* A segment has reached a connection that both have closed. Not ERR_OK: lwIP need not look at it
 * (tcp_port.c). */
err_t net_ended_reached(struct tcp_pcb *pcb, struct tcp_hdr *header, uint16_t option_bytes,
                        struct pbuf *packet);

/* Where the sequence numbers of a connection start (support.c). */
uint32_t net_initial_sequence(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                              uint16_t remote_port);

#endif
