/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP/IP stack of a core: one instance of lwIP, at the same addresses on each core, which one
 * thread of that core runs at a time. Who finds it taken, or is on another core, leaves a request;
 * the holder does what was left before it lets go. A thread of posix/'s own on each core runs it
 * for packets, timers and other cores.
 *
 * Contexts: "in the stack" means called by lwIP or from a function given to net_call: on the
 * stack's core, by its holder. Nothing there waits or touches application memory; it may take the
 * locks of sockets and what those may take.
 * Error policy: Linux errno, negated. */
#ifndef POSIX_INET_STACK_H
#define POSIX_INET_STACK_H

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>
#include <posix/posix.h>

#define NET_CORES_MAX 64u
#define NET_GROUPS_MAX 64u /* ports that cores share at once */

/* Makes sure that a core has a stack.
 *
 * Context:    any thread, no lock held
 * Errors:     -EAGAIN: no memory or no kernel thread for its service thread */
int64_t net_stack_start(uint32_t core);

/* The time in milliseconds, the same from the moment that a thread took the stack. In the stack. */
uint64_t net_now_ms(void);

/* Runs a function in a core's stack, which was started, and returns when it is done.
 *
 * Context:    any thread of the program, no lock held */
void net_call(uint32_t core, void (*run)(void *argument), void *argument);

/* ---- packets between cores (interface.c) */
enum net_packet_kind {
    NET_PACKET_LOOPBACK,  /* an IP packet to the machine itself */
    NET_PACKET_FRAME,     /* what a device gave to another core */
    NET_PACKET_WHOLE,     /* an IP packet of a device's interface, as a whole */
    NET_PACKET_TRANSMIT,  /* a frame to send, of a core without queues */
    NET_PACKET_CONFIGURE, /* no data: a device's address has changed */
};

/* Under way to a core's stack; its memory belongs to the pbuf that it becomes. */
struct net_packet {
    struct pbuf_custom pbuf; /* first */
    struct net_packet *next;
    enum net_packet_kind kind;
    bool is_checked; /* a frame whose checksum the device has looked at */
    bool is_message; /* from another core */
    uint8_t passes;  /* cores that did not know its connection (groups.c) */
    uint8_t device;  /* whose frame or packet it is; of a packet of the loopback 0 */
    uint32_t bytes;
    uint8_t data[];
};

/* A packet with the bytes of a chain; NULL: no memory. */
struct net_packet *net_packet_copy(const struct pbuf *chain, enum net_packet_kind kind);
/* A buffer of lwIP that is the packet, and frees it. */
struct pbuf *net_packet_wrap(struct net_packet *packet);

/* Hands a packet over to a core's stack, which takes its memory; a core that has none yet has no
 * sockets either, and this core answers for it.
 *
 * Context:    in a stack */
void net_stack_post(uint32_t core, struct net_packet *packet);

/* Whether a core's stack may be left one more frame of the device: who sends faster than it works
 * must not have all memory. */
bool net_stack_takes_frames(uint32_t core);

/* ---- what each core's stack has had to do (/proc/net/softnet_stat: statistics.c) */
enum net_count {
    NET_COUNT_PROCESSED, /* packets handed to lwIP */
    NET_COUNT_DROPPED,   /* packets for which there was no memory, or no room */
    NET_COUNT_MESSAGES,  /* packets and requests that other cores left */
    NET_COUNTS
};
/* Counts one on the calling core. In the stack. */
void net_stack_note(enum net_count count);
/* Any context; wraps around as Linux's. */
uint32_t net_stack_count(uint32_t core, enum net_count count);
/* Makes the file. Before the program. */
void net_statistics_start(void);

/* Adds the interfaces to the calling core's lwIP, once. In the stack. */
void net_interface_start(void);
/* Takes a packet's memory. In the stack. */
void net_packet_serve(struct net_packet *packet);

/* ---- ports (ports.c): which core has what is sent to a port of the machine */
enum net_protocol { NET_TCP, NET_UDP, NET_PROTOCOLS };

/* The core of a port; a port that nobody named belongs to the one it hashes to. */
uint32_t net_port_core(enum net_protocol protocol, uint16_t port);
/* The core of a port that a socket of the calling core wants to bind: the caller's, unless the port
 * was another's before. A port stays with its core, so all that it ever meant to one stack, and the
 * stack alone judges who may bind it. */
uint32_t net_port_claim(enum net_protocol protocol, uint16_t port, uint32_t core);
/* The next port to try for a socket without one, out of those that hash to the core. */
uint16_t net_port_ephemeral(enum net_protocol protocol, uint32_t core);
/* The core that an IP packet is for, out of its first bytes; here: what has no port. */
uint32_t net_port_steer(const uint8_t *packet, size_t bytes, uint32_t here);

/* The group of a port, which cores share; NULL: it is one core's. Who looks with no lock may see
 * one that is another port's by now. */
struct net_group *net_port_group(enum net_protocol protocol, uint16_t port);
/* From here on the port is a group's, and from there on its home's again. */
void net_port_share(enum net_protocol protocol, uint16_t port, uint32_t number);
void net_port_return(enum net_protocol protocol, uint16_t port, uint32_t home);

/* ---- ports that several cores share (groups.c): each has peers of its own */

/* One end of a connection, as a packet names it. */
struct net_peer {
    const uint8_t *address; /* as on the wire */
    uint32_t address_bytes;
    uint16_t port;
};

/* Makes the port one that cores may share, if it is none yet; so far all of it is home's. False:
 * there are too many. In home's stack, which knows whether it has connections. */
bool net_group_make(enum net_protocol protocol, uint16_t port, uint32_t home, bool has_connections);
/* If there is no room for one more: those that have neither sockets nor connections are no more.
 * Not in the stack. */
void net_group_make_room(void);
/* From here on the core has a part of the peers, among all who listen; and the other way round.
 * Once for each socket that listens, on a port that home had. Any thread. False: there are too
 * many. */
bool net_group_join(enum net_protocol protocol, uint16_t port, uint32_t home, uint32_t core);
void net_group_leave(enum net_protocol protocol, uint16_t port, uint32_t core);
/* Whether another core than this one has joined the port's group, if there is one. Any thread. */
bool net_group_is_elsewhere(enum net_protocol protocol, uint16_t port, uint32_t core);
/* A socket of the port connects by itself: its peer may be one of another core's. */
void net_group_connects(uint16_t port);
/* The core of a port that has or had a group. */
uint32_t net_group_home(enum net_protocol protocol, uint16_t port);
struct net_group *net_group_numbered(uint32_t number);
/* Whose a peer is. */
uint32_t net_group_core(struct net_group *group, const struct net_peer *peer);
/* Whether this core has an IP packet that came by its queue of a device, of a port that it shares:
 * where each core has a queue, a new connection belongs where the device has put its first packet,
 * as the device does with the next ones. In the stack. */
bool net_group_keeps(uint32_t device, const uint8_t *packet, size_t bytes);
/* Where else an IP packet for this core has to be looked at, which so many cores have had in vain;
 * this core: nowhere. In the stack. */
uint32_t net_group_pass_on(const uint8_t *packet, size_t bytes, uint32_t passes);

/* A packet of TCP; false: it is none. */
struct net_segment {
    struct net_peer peer;
    const uint8_t *own; /* the machine's address, of as many bytes */
    uint16_t port;      /* the machine's */
    bool is_opening;    /* SYN without ACK */
};
bool net_port_segment(const uint8_t *packet, size_t bytes, struct net_segment *segment);

/* Whether a packet is a whole datagram of UDP to a port that cores share. */
bool net_port_is_shared_datagram(const uint8_t *packet, size_t bytes);

/* What an ICMP error says of a packet that was sent. */
struct net_unreachable {
    uint8_t protocol; /* as IP numbers it */
    bool is_port;     /* nobody has the port */
    uint16_t source_port, destination_port;
    const uint8_t *destination; /* address_bytes of it, in the packet */
    uint32_t address_bytes;
};
/* False: the packet is no such error. */
bool net_port_unreachable(const uint8_t *packet, size_t bytes, struct net_unreachable *error);
/* Looks into a packet before lwIP does: an error is told to the socket that it is about, the
 * connection of a segment is made easy to find. In the stack. */
void net_port_hear(const uint8_t *packet, size_t bytes);

/* The negated errno of one of lwIP's errors. */
int64_t net_error(err_t error);

#endif
