/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that several cores share (SO_REUSEPORT): each core that listens, or has a socket of UDP
 * there, has a part of the peers, by a hash of their address and port, so that a connection is one
 * core's from its first packet on; where each core has a queue, the device says by the queue of a
 * connection's first packet whose it is. When who listens changes, or the device has said otherwise
 * than the hash, a packet of a connection that its core does not know is passed on from core to
 * core. */
#include "stack.h"

#include <lwip/priv/tcp_priv.h>
#include <posix/memory.h>

#define GROUPS_MAX 64u
#define BUCKETS 64u
#define BUCKET_SHIFT 58
#define HASH_FACTOR 0x9e3779b97f4a7c15ull

struct net_group {
    uint32_t home;
    uint64_t seed;                  /* nobody outside knows whose he will be */
    _Atomic uint8_t cores[BUCKETS]; /* of the peers in a bucket */
    uint16_t listeners[NET_CORES_MAX];
    _Atomic bool is_used;  /* a peer was looked up */
    _Atomic bool is_mixed; /* and who has it may have changed since */
};

static struct net_group groups[GROUPS_MAX];
static _Atomic uint32_t group_count; /* of most programs 0 */
static struct posix_lock lock;       /* guards what is not atomic */

bool net_group_make(enum net_protocol protocol, uint16_t port, uint32_t home, bool has_connections)
{
    posix_lock_acquire(&lock);
    bool is_there = net_port_group(protocol, port) != NULL;
    if (!is_there && group_count < GROUPS_MAX) {
        struct net_group *group = &groups[group_count++];
        group->home = home;
        group->seed = posix_memory_random();
        for (uint32_t i = 0; i < BUCKETS; i++) {
            group->cores[i] = (uint8_t)home;
        }
        group->is_used = has_connections;
        net_port_share(protocol, port, group);
        is_there = true;
    }
    posix_lock_release(&lock);
    return is_there;
}

/* Locked. */
static void deal(struct net_group *group)
{
    uint8_t members[NET_CORES_MAX];
    uint32_t count = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        if (group->listeners[core] != 0) {
            members[count++] = (uint8_t)core;
        }
    }
    if (group->is_used) {
        group->is_mixed = true;
    }
    for (uint32_t i = 0; i < BUCKETS; i++) {
        group->cores[i] = count != 0 ? members[i % count] : (uint8_t)group->home;
    }
}

void net_group_join(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    struct net_group *group = net_port_group(protocol, port);
    posix_lock_acquire(&lock);
    if (group->listeners[core]++ == 0) {
        deal(group);
    }
    posix_lock_release(&lock);
}

void net_group_leave(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    struct net_group *group = net_port_group(protocol, port);
    posix_lock_acquire(&lock);
    if (--group->listeners[core] == 0) {
        deal(group);
    }
    posix_lock_release(&lock);
}

bool net_group_is_elsewhere(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    const struct net_group *group = net_port_group(protocol, port);
    uint32_t count = 0;
    posix_lock_acquire(&lock);
    for (uint32_t i = 0; group != NULL && i < posix_info.core_count; i++) {
        count += i != core ? group->listeners[i] : 0;
    }
    posix_lock_release(&lock);
    return count != 0;
}

void net_group_connects(uint16_t port)
{
    struct net_group *group = net_port_group(NET_TCP, port);
    if (group != NULL) {
        atomic_store(&group->is_mixed, true);
    }
}

uint32_t net_group_home(const struct net_group *group)
{
    return group->home;
}

/* @impl ATL-LLR-POSIX-0980~1 */
uint32_t net_group_core(struct net_group *group, const struct net_peer *peer)
{
    uint64_t hash = (group->seed ^ peer->port) * HASH_FACTOR;
    for (uint32_t i = 0; i < peer->address_bytes; i += sizeof(uint32_t)) {
        uint32_t word;
        __builtin_memcpy(&word, peer->address + i, sizeof(word));
        hash = (hash ^ hash >> 32 ^ word) * HASH_FACTOR;
    }
    if (!atomic_load_explicit(&group->is_used, memory_order_relaxed)) {
        atomic_store(&group->is_used, true);
    }
    return atomic_load_explicit(&group->cores[hash >> BUCKET_SHIFT], memory_order_relaxed);
}

static bool is_address(const ip_addr_t *address, const uint8_t *bytes, uint32_t count)
{
    bool is_6 = count == sizeof(address->u_addr.ip6.addr);
    return IP_IS_V6_VAL(*address) == is_6 && __builtin_memcmp(&address->u_addr, bytes, count) == 0;
}

static bool is_connected(const struct net_segment *segment)
{
    const struct tcp_pcb *const lists[] = {tcp_active_pcbs, tcp_tw_pcbs};
    const struct net_peer *peer = &segment->peer;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (const struct tcp_pcb *pcb = lists[i]; pcb != NULL; pcb = pcb->next) {
            if (pcb->local_port == segment->port && pcb->remote_port == peer->port &&
                is_address(&pcb->remote_ip, peer->address, peer->address_bytes)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_listened_for(const struct net_segment *segment)
{
    const struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs;
    uint32_t bytes = segment->peer.address_bytes;
    uint8_t type = bytes == sizeof(ip4_addr_t) ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6;
    for (; pcb != NULL; pcb = pcb->next) {
        const ip_addr_t *own = &pcb->local_ip;
        if (pcb->local_port == segment->port &&
            (IP_IS_ANY_TYPE_VAL(*own) || (IP_GET_TYPE(own) == type && ip_addr_isany_val(*own)) ||
             is_address(own, segment->own, bytes))) {
            return true;
        }
    }
    return false;
}

/* Only a connection that did not go by the hash is looked for.
 *
 * @impl ATL-LLR-NET-0840~1 */
bool net_group_keeps(uint32_t device, const uint8_t *packet, size_t bytes)
{
    struct net_segment segment;
    if (atomic_load_explicit(&group_count, memory_order_relaxed) == 0 ||
        posix_info.networks[device].queues != posix_info.core_count ||
        !net_port_segment(packet, bytes, &segment)) {
        return false;
    }
    struct net_group *group = net_port_group(NET_TCP, segment.port);
    if (group == NULL || !segment.is_opening) {
        return group != NULL && group->is_mixed && is_connected(&segment);
    }
    bool keeps = is_listened_for(&segment);
    if (keeps && net_group_core(group, &segment.peer) != posix_core()) {
        atomic_store(&group->is_mixed, true);
    }
    return keeps;
}

/* Whose listener is of another family or address, or has gone, has connections of others.
 *
 * @impl ATL-LLR-POSIX-0982~1 */
uint32_t net_group_pass_on(const uint8_t *packet, size_t bytes, uint32_t passes)
{
    uint32_t here = posix_core();
    struct net_segment segment;
    if (atomic_load_explicit(&group_count, memory_order_relaxed) == 0 ||
        passes + 1 >= posix_info.core_count || !net_port_segment(packet, bytes, &segment)) {
        return here; /* at the last core it is refused */
    }
    struct net_group *group = net_port_group(NET_TCP, segment.port);
    if (group == NULL || (segment.is_opening ? is_listened_for(&segment)
                                             : !group->is_mixed || is_connected(&segment))) {
        return here;
    }
    atomic_store(&group->is_mixed, true);
    return (here + 1) % posix_info.core_count;
}
