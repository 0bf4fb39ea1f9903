/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's networks as a core's stack has them: for each device an Ethernet interface on every
 * core, all with the device's one address. A core with queues of a device moves its frames itself;
 * the others send through one that has. What a device gives to the wrong core goes to the right
 * one. Devices are numbered as the ports of the gate are; their interfaces are eth0, eth1 and so
 * on, of index 2, 3 and so on. device.c has the frames, lease.c the addresses, route.c the ways.
 *
 * All functions: in the stack, but for those that say otherwise. */
#ifndef POSIX_INET_DEVICE_H
#define POSIX_INET_DEVICE_H

#include "stack.h"

#include <isolation/gate_abi.h>
#include <lwip/netif.h>

#define NET_DEVICES GATE_NETWORKS
#define NET_INDEX_FIRST 2u /* of a device; 1 is the loopback's */

struct net_device {
    struct netif netif; /* first */
    uint32_t number;
    const struct gate_network *facts;
    ip6_addr_t gateway_6; /* of the image's setting; zero: routers tell of themselves */
    bool is_off;          /* for good */
};
/* This core's; of one that the machine does not have the interface is down. */
extern PERCORE struct net_device net_devices[NET_DEVICES];

extern PERCORE uint32_t net_device_end; /* device_end(), once the stack runs */

/* Whether the machine has the device. Any thread. */
static inline bool device_is_there(uint32_t device)
{
    return device < NET_DEVICES && posix_info.networks[device].queues != 0;
}
/* One more than the number of the last device; 0: the machine has none. Any thread. */
uint32_t device_end(void);

/* Adds the interfaces to the calling core's lwIP. The first core asks for addresses by DHCP. */
void device_start(void);

/* Gives the devices what was put into the queues. */
void device_flush(void);

/* Hands to lwIP what the devices have received. For the stack's own thread, before it parks: it is
 * woken by the next frame if there was none. True: there may be more. */
bool device_serve(void);

/* Whether the devices still wake the stack's own thread, which has served them and may have sent
 * since. */
bool device_is_watched(void);

/* A frame that a device gave to another core, or that a core without queues sends. Takes the
 * packet's memory. */
void device_input(struct net_packet *packet);
void device_transmit(struct net_packet *packet);
/* A packet of a device's without its frame: one that came in pieces, or to a group from here. */
void device_input_whole(struct net_packet *packet);

/* ---- lease.c */
/* The device has an interface now: it gets the addresses of its setting, or asks for some. */
void lease_start(struct net_device *device);
/* The device's address as the first core has it now, and whether there is a link. */
void lease_configure(struct net_device *device);
/* The device is off for good: says so to all cores. False: another one has done so. */
bool lease_ends(struct net_device *device);
/* Every core is to call lease_configure. */
void lease_tell_all(const struct net_device *device);
/* Waits, at most so long, until the device has an address; true at once if there is no such device.
 * Any thread. */
bool lease_wait(uint32_t device, uint64_t deadline_ns);
/* The servers that DHCP named, as text of /etc/resolv.conf. Returns its bytes. Any thread. */
size_t lease_name_servers(char *text, size_t bytes_max);

/* ---- route.c */
/* By which device a packet to others leaves; NULL: as lwIP's own rules say. */
struct netif *route_4(const ip4_addr_t *source, const ip4_addr_t *destination);
struct netif *route_6(const ip6_addr_t *destination);

#endif
