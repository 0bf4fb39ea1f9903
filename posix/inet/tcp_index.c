/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection a segment is of: lwIP looks for it from the front of its list, which holds those
 * that had segments last. Here it is found by a table, and put in front before lwIP looks.
 *
 * lwIP's list is linked one way. So the sockets of the table are linked both ways, in the same
 * order; what others have put into lwIP's list or taken out is not known here, so the link is only
 * believed where lwIP's list says the same. */
#include "tcp.h"

#include <lwip/priv/tcp_priv.h>

#define BUCKET_BITS 10u

static PERCORE struct tcp_socket *buckets[1u << BUCKET_BITS];
static PERCORE struct tcp_socket *newest; /* had the last segment */

static uint64_t key_of(uint32_t address, uint16_t peer_port, uint16_t own_port)
{
    return (uint64_t)address << 32 | (uint32_t)peer_port << 16 | own_port;
}

static uint64_t key_of_pcb(const struct tcp_pcb *pcb)
{
    const ip_addr_t *peer = &pcb->remote_ip;
    return key_of(IP_IS_V4(peer) ? ip_2_ip4(peer)->addr : ip_2_ip6(peer)->addr[3], pcb->remote_port,
                  pcb->local_port);
}

/* Of an address the last word, of IPv6 too: connections that differ in nothing else are one here.
 */
static uint64_t key_of_segment(const struct net_segment *segment)
{
    const struct net_peer *peer = &segment->peer;
    uint32_t address;
    __builtin_memcpy(&address, peer->address + peer->address_bytes - sizeof(address),
                     sizeof(address));
    return key_of(address, peer->port, segment->port);
}

static struct tcp_socket **bucket_of(uint64_t key)
{
    return &buckets[key * 0x9e3779b97f4a7c15ull >> (64 - BUCKET_BITS)];
}

static void unlink_order(struct tcp_socket *socket)
{
    if (socket->newer != NULL) {
        socket->newer->older = socket->older;
    } else {
        newest = socket->older;
    }
    if (socket->older != NULL) {
        socket->older->newer = socket->newer;
    }
}

static void link_newest(struct tcp_socket *socket)
{
    socket->newer = NULL;
    socket->older = newest;
    if (newest != NULL) {
        newest->newer = socket;
    }
    newest = socket;
}

void tcp_index_remove(struct tcp_socket *socket)
{
    if (socket->index_key == 0) {
        return;
    }
    struct tcp_socket **place = bucket_of(socket->index_key);
    while (*place != socket) {
        place = &(*place)->next_in_bucket;
    }
    *place = socket->next_in_bucket;
    socket->index_key = 0;
    unlink_order(socket);
}

/* A connection in lwIP's list which has a socket, or has none any more. */
static void remember(struct tcp_pcb *pcb, uint64_t key)
{
    struct tcp_socket *socket = pcb->callback_arg;
    if (pcb->state < ESTABLISHED || socket == NULL) {
        return; /* before that the argument may be who listens */
    }
    struct tcp_socket **bucket = bucket_of(key);
    socket->index_key = key;
    socket->next_in_bucket = *bucket;
    *bucket = socket;
    link_newest(socket);
}

static struct tcp_socket *find(uint64_t key)
{
    struct tcp_socket *socket = *bucket_of(key);
    while (socket != NULL && socket->index_key != key) {
        socket = socket->next_in_bucket;
    }
    return socket;
}

static void put_first(struct tcp_pcb *before, struct tcp_pcb *pcb)
{
    before->next = pcb->next;
    pcb->next = tcp_active_pcbs;
    tcp_active_pcbs = pcb;
}

/* The pcb before that of a socket in lwIP's list, of which it is not the first; NULL: it is not on
 * the list. */
static struct tcp_pcb *before(const struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->newer != NULL ? socket->newer->pcb : NULL;
    if (pcb == NULL || pcb->next != socket->pcb) {
        pcb = tcp_active_pcbs;
        while (pcb != NULL && pcb->next != socket->pcb) {
            pcb = pcb->next;
        }
    }
    return pcb;
}

/* One that the table does not have yet, or that has no socket any more. */
static void search(uint64_t key)
{
    struct tcp_pcb *last = NULL, *pcb = tcp_active_pcbs;
    while (pcb != NULL && key_of_pcb(pcb) != key) {
        last = pcb;
        pcb = pcb->next;
    }
    if (pcb != NULL && last != NULL) {
        put_first(last, pcb);
    }
    if (pcb != NULL) {
        remember(pcb, key);
    }
}

/* @impl ATL-LLR-NET-1400~1 */
void inet_tcp_bring_forward(const struct net_segment *segment)
{
    uint64_t key = key_of_segment(segment);
    struct tcp_socket *socket = find(key);
    if (socket == NULL) {
        if (!segment->is_opening) {
            search(key);
        }
        return;
    }
    if (socket->pcb == tcp_active_pcbs || socket->pcb->state == TIME_WAIT) {
        return;
    }
    struct tcp_pcb *last = before(socket);
    if (last != NULL) {
        put_first(last, socket->pcb);
        unlink_order(socket);
        link_newest(socket);
    }
}
