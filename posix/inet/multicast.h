/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of IP multicast (multicast.c). Interfaces are numbered as Linux would number them, and as
 * lwIP does. */
#ifndef POSIX_INET_MULTICAST_H
#define POSIX_INET_MULTICAST_H

#include "inet.h"

#include <lwip/udp.h>

#define INET_LOOPBACK 1
#define INET_NETWORK 2 /* of the first device; the others follow */

struct inet_membership {
    struct inet_membership *next;
    ip_addr_t group;
    uint32_t interface;
};

/* The options that are no plain numbers; -ENOPROTOOPT: it is none of them. No lock held. */
int64_t inet_multicast_set(struct inet_socket *socket, int32_t level, uint32_t number,
                           const void *value, uint32_t bytes);
int64_t inet_multicast_get(const struct inet_socket *socket, int32_t level, uint32_t number,
                           int32_t *value);
/* -EADDRNOTAVAIL: it has not joined. No lock held. */
int64_t inet_multicast_leave(struct inet_socket *socket, const struct inet_membership *wanted);
/* Of a socket that is closed. No lock held. */
void inet_multicast_leave_all(struct inet_socket *socket);

/* How the pcb's next datagram to a group leaves. In the stack. False: by no interface. */
bool inet_multicast_apply(const struct inet_socket *socket, const ip_addr_t *to,
                          struct udp_pcb *pcb);
/* Whether lwIP still has to speak of a group. In the stack. */
bool inet_multicast_is_waiting(void);

/* Whether a device has an address of IPv4 (lease.c). No lock held. */
bool device_has_address(uint32_t device, uint32_t address);

#endif
