/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's network as a core's stack has it: an Ethernet interface on every core, all with the
 * machine's one address. A core with queues of the port moves its frames itself; the others send
 * through one that has. What the device gives to the wrong core goes to the right one.
 *
 * All functions: in the stack, but for device_wait. */
#ifndef POSIX_INET_DEVICE_H
#define POSIX_INET_DEVICE_H

#include "stack.h"

/* Adds the interface to the calling core's lwIP, if the machine has a network. The first core asks
 * for an address by DHCP. */
void device_start(void);

/* Gives the device what was put into the queues. */
void device_flush(void);

/* Hands to lwIP what the device has received. For the stack's own thread, before it parks: it is
 * woken at the next completion if there was none. True: there may be more. */
bool device_serve(void);

/* Whether the device still wakes the stack's own thread, which has served it and may have sent
 * since. */
bool device_is_watched(void);

/* The interface, if its link is down and it is not off; NULL: as the routes say. */
struct netif *device_route_without_link(bool is_6);

/* The machine's address as the first core has it now, and whether there is a link. */
void device_configure(void);
/* A frame that the device gave to another core, or that a core without queues sends. Takes the
 * packet's memory. */
void device_input(struct net_packet *packet);
void device_transmit(struct net_packet *packet);
/* A packet of the device's without its frame: one that came in pieces, or to a group from here. */
void device_input_whole(struct net_packet *packet);

/* Waits, at most so long, until the machine has an address; true at once if it has no network. */
bool device_wait(uint64_t deadline_ns);
/* The servers that DHCP named, as text of /etc/resolv.conf. Returns its bytes. */
size_t device_name_servers(char *text, size_t bytes_max);

#endif
