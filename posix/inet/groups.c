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

#define BUCKETS 64u
#define BUCKET_SHIFT 58
#define HASH_FACTOR 0x9e3779b97f4a7c15ull

struct net_group {
    bool is_made;
    enum net_protocol protocol;
    uint16_t port;
    uint32_t home;                  /* where the port was before and will be again */
    uint64_t seed;                  /* nobody outside knows whose he will be */
    _Atomic uint8_t cores[BUCKETS]; /* of the peers in a bucket */
    uint16_t listeners[NET_CORES_MAX];
    uint32_t sockets;      /* all listeners */
    uint64_t kept_in;      /* the last look for room in which it was of use */
    _Atomic bool is_used;  /* a peer was looked up */
    _Atomic bool is_mixed; /* and who has it may have changed since */
};

static struct net_group groups[NET_GROUPS_MAX];
static _Atomic uint32_t group_count; /* of most programs 0 */
static uint64_t looks;               /* for room */
static struct posix_lock lock;       /* guards what is not atomic */

struct net_group *net_group_numbered(uint32_t number)
{
    return &groups[number];
}

/* The port's group, which is made if there is none. NULL: there are too many. Locked. */
static struct net_group *need(enum net_protocol protocol, uint16_t port, uint32_t home,
                              bool has_connections)
{
    struct net_group *group = net_port_group(protocol, port);
    if (group != NULL || group_count == NET_GROUPS_MAX) {
        return group;
    }
    for (group = groups; group->is_made; group++) {
    }
    group_count++;
    group->is_made = true;
    group->protocol = protocol;
    group->port = port;
    group->home = home;
    group->kept_in = looks;
    group->seed = posix_memory_random();
    for (uint32_t i = 0; i < BUCKETS; i++) {
        group->cores[i] = (uint8_t)home;
    }
    group->is_used = has_connections;
    group->is_mixed = false;
    net_port_share(protocol, port, (uint32_t)(group - groups));
    return group;
}

bool net_group_make(enum net_protocol protocol, uint16_t port, uint32_t home, bool has_connections)
{
    posix_lock_acquire(&lock);
    bool is_there = need(protocol, port, home, has_connections) != NULL;
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

bool net_group_join(enum net_protocol protocol, uint16_t port, uint32_t home, uint32_t core)
{
    posix_lock_acquire(&lock);
    struct net_group *group = need(protocol, port, home, true);
    if (group != NULL) {
        group->sockets++;
        group->kept_in = looks;
        if (group->listeners[core]++ == 0) {
            deal(group);
        }
    }
    posix_lock_release(&lock);
    return group != NULL;
}

void net_group_leave(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    posix_lock_acquire(&lock);
    struct net_group *group = net_port_group(protocol, port);
    if (--group->listeners[core] == 0) {
        deal(group);
    }
    group->sockets--;
    group->kept_in = looks; /* a look that is under way may not have seen its last connections */
    posix_lock_release(&lock);
}

/* Its home finds its connections without the group. */
static void keep_of_list(const struct tcp_pcb *pcb)
{
    for (; pcb != NULL; pcb = pcb->next) {
        struct net_group *group = net_port_group(NET_TCP, pcb->local_port);
        if (group != NULL && group->home != posix_core()) {
            group->kept_in = looks;
        }
    }
}

static void keep_in_stack(void *unused)
{
    (void)unused;
    posix_lock_acquire(&lock);
    keep_of_list(tcp_active_pcbs);
    keep_of_list(tcp_tw_pcbs);
    posix_lock_release(&lock);
}

/* No core gets a connection of a port but by a listener of its own: a port that nobody joined or
 * left during a look, and of which none of the cores, one after the other, has a connection, has
 * none.
 *
 * @impl ATL-LLR-NET-1410~1 */
void net_group_make_room(void)
{
    if (atomic_load_explicit(&group_count, memory_order_relaxed) < NET_GROUPS_MAX) {
        return;
    }
    posix_lock_acquire(&lock);
    uint64_t look = ++looks;
    posix_lock_release(&lock);
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        if (net_stack_start(core) == 0) { /* else it never was, and has none */
            net_call(core, keep_in_stack, NULL);
        }
    }
    posix_lock_acquire(&lock);
    for (struct net_group *group = groups; group < groups + NET_GROUPS_MAX; group++) {
        if (group->is_made && group->sockets == 0 && group->kept_in < look) {
            net_port_return(group->protocol, group->port, group->home);
            group->is_made = false;
            group_count--;
        }
    }
    posix_lock_release(&lock);
}

bool net_group_is_elsewhere(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    uint32_t count = 0;
    posix_lock_acquire(&lock);
    const struct net_group *group = net_port_group(protocol, port);
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

uint32_t net_group_home(enum net_protocol protocol, uint16_t port)
{
    posix_lock_acquire(&lock);
    const struct net_group *group = net_port_group(protocol, port);
    uint32_t home = group != NULL ? group->home : net_port_core(protocol, port);
    posix_lock_release(&lock);
    return home;
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
