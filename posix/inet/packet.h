/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of AF_PACKET: frames as they are on the wires of the network devices, eth0 and so on. A
 * socket is no core's: each frame that any core's queue receives is copied to all sockets that hear
 * its protocol, and goes on to lwIP as if nobody had heard it; what waits is guarded by the
 * socket's lock. A frame that is sent goes out by the calling core's queue, or if it has none by
 * another's.
 */
#ifndef POSIX_INET_PACKET_H
#define POSIX_INET_PACKET_H

#include "../net/socket.h"
#include "families.h"

#include <lwip/pbuf.h>

struct packet_frame {
    struct packet_frame *next;
    uint32_t bytes;
    uint8_t kind; /* sll_pkttype */
    uint8_t device;
    uint8_t data[];
};

struct packet_socket {
    struct socket base; /* first */
    /* guarded by the lock */
    uint32_t index;    /* of the interface; 0: any */
    uint16_t protocol; /* as on the wire; 0: hears nothing */
    bool is_deaf_to_sent;
    struct posix_wait_queue readers;
    struct packet_frame *first, *last;
    uint32_t received_bytes; /* with what frames cost */
    uint32_t heard, dropped; /* since they were asked for */
    /* Frames of sendmmsg that are not with the device yet. */
    struct net_packet *pending, *last_pending;
    uint32_t pending_count;
    /* guarded by the lock of the list */
    struct packet_socket *next;
    bool is_listed;
};

/* Sockets that hear, so far: most programs have none. */
extern _Atomic uint32_t packet_hearers;

/* Copies a frame to who hears it. @sender  who sends it; NULL: not sent by a socket of AF_PACKET.
 * In the stack. */
struct packet_seen {
    const uint8_t *frame;
    size_t bytes;
    uint32_t device;
    bool is_sent;
};
void packet_note(const struct packet_seen *seen, const struct packet_socket *sender);
/* A frame that was received. In the stack. */
void packet_note_received(uint32_t device, const uint8_t *frame, size_t bytes);
static inline void packet_hear(uint32_t device, const uint8_t *frame, size_t bytes)
{
    if (atomic_load_explicit(&packet_hearers, memory_order_relaxed) != 0) {
        packet_note_received(device, frame, bytes);
    }
}

/* The same of a frame in several pieces, or one that lwIP sends. In the stack. */
void packet_note_chain(uint32_t device, const struct pbuf *chain, bool is_sent);
static inline void packet_hear_chain(uint32_t device, const struct pbuf *chain, bool is_sent)
{
    if (atomic_load_explicit(&packet_hearers, memory_order_relaxed) != 0) {
        packet_note_chain(device, chain, is_sent);
    }
}

/* Bytes of a frame of a device behind its header, at most. */
uint32_t packet_mtu(uint32_t device);
/* Of an index: lo, eth0 and so on. */
const char *packet_name(uint32_t index);

/* ---- packet_data.c */
/* Hears from now on what its protocol and device say, or nothing more. No lock held. */
void packet_listen(struct packet_socket *socket);
void packet_stop_listening(struct packet_socket *socket);
void packet_drop_received(struct packet_socket *socket);
int64_t packet_op_send(struct socket *base, struct socket_message *message);
void packet_op_flush(struct socket *base);
int64_t packet_op_receive(struct socket *base, struct socket_message *message);

#endif
