/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of IP multicast: who joins, and by which interface a datagram to a group leaves.
 *
 * A group that some socket has joined is joined on every core, for the port of a datagram, not its
 * group, says whose it is; the first core alone speaks of groups to routers (device.c). How many
 * sockets have joined is counted here; each core's lwIP is told whether any has. */
#include "multicast.h"

#include "abi.h"
#include "device.h"
#include "timers.h"

#include <lwip/igmp.h>
#include <lwip/mld6.h>

struct group {
    struct group *next;
    ip_addr_t address;
    uint32_t interface;
    uint32_t sockets;
};

static struct posix_lock lock; /* guards the list, and the sockets' lists of memberships */
static struct group *groups;

static bool is_same(const ip_addr_t *one, uint32_t interface, const ip_addr_t *other,
                    uint32_t other_interface)
{
    return interface == other_interface && ip_addr_eq(one, other);
}

static struct group **find(const ip_addr_t *address, uint32_t interface)
{
    struct group **place = &groups;
    while (*place != NULL &&
           !is_same(&(*place)->address, (*place)->interface, address, interface)) {
        place = &(*place)->next;
    }
    return place;
}

struct change {
    const ip_addr_t *address;
    uint32_t interface;
    bool is_failed;
};

static bool change_4(struct netif *netif, const ip4_addr_t *address, bool is_wanted)
{
    bool is_joined = igmp_lookfor_group(netif, address) != NULL;
    return is_joined == is_wanted || (is_wanted ? igmp_joingroup_netif(netif, address)
                                                : igmp_leavegroup_netif(netif, address)) == ERR_OK;
}

static bool change_6(struct netif *netif, const ip6_addr_t *address, bool is_wanted)
{
    ip6_addr_t group = *address;
    ip6_addr_assign_zone(&group, IP6_MULTICAST, netif);
    bool is_joined = mld6_lookfor_group(netif, &group) != NULL;
    return is_joined == is_wanted || (is_wanted ? mld6_joingroup_netif(netif, &group)
                                                : mld6_leavegroup_netif(netif, &group)) == ERR_OK;
}

/* Makes this core's lwIP have what the list says now. */
static void change_in_stack(void *argument)
{
    struct change *change = argument;
    struct netif *netif = netif_get_by_index((uint8_t)change->interface);
    posix_lock_acquire(&lock);
    bool is_wanted = *find(change->address, change->interface) != NULL;
    posix_lock_release(&lock);
    bool is_done = IP_IS_V4(change->address)
                       ? change_4(netif, ip_2_ip4(change->address), is_wanted)
                       : change_6(netif, ip_2_ip6(change->address), is_wanted);
    change->is_failed = change->is_failed || !is_done;
    timers_groups_needed();
}

/* -ENOBUFS: not every core has joined. */
static int64_t change_everywhere(const ip_addr_t *address, uint32_t interface)
{
    struct change change = {.address = address, .interface = interface};
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        if (net_stack_start(core) < 0) {
            change.is_failed = true;
        } else {
            net_call(core, change_in_stack, &change);
        }
    }
    return change.is_failed ? -ENOBUFS : 0;
}

/* Locked. -ENOBUFS */
static int64_t count_in(const ip_addr_t *address, uint32_t interface)
{
    struct group **place = find(address, interface);
    if (*place == NULL) {
        *place = net_memory_allocate(sizeof(**place));
        if (*place == NULL) {
            return -ENOBUFS;
        }
        **place = (struct group){.address = *address, .interface = interface};
    }
    (*place)->sockets++;
    return 0;
}

/* Locked. */
static void count_out(const ip_addr_t *address, uint32_t interface)
{
    struct group **place = find(address, interface);
    struct group *group = *place;
    if (--group->sockets == 0) {
        *place = group->next;
        net_memory_free(group);
    }
}

/* Locked. */
static struct inet_membership **find_membership(struct inet_socket *socket,
                                                const struct inet_membership *wanted)
{
    struct inet_membership **place = &socket->memberships;
    while (*place != NULL &&
           !is_same(&(*place)->group, (*place)->interface, &wanted->group, wanted->interface)) {
        place = &(*place)->next;
    }
    return place;
}

/* @impl ATL-LLR-NET-0863~1 */
static int64_t join(struct inet_socket *socket, const struct inet_membership *wanted)
{
    struct inet_membership *made = net_memory_allocate(sizeof(*made));
    if (made == NULL) {
        return -ENOBUFS;
    }
    *made = *wanted;
    posix_lock_acquire(&lock);
    struct inet_membership **place = find_membership(socket, wanted);
    int64_t result = *place != NULL ? -EADDRINUSE : count_in(&wanted->group, wanted->interface);
    if (result == 0) {
        *place = made;
    }
    posix_lock_release(&lock);
    if (result < 0) {
        net_memory_free(made);
        return result;
    }
    result = change_everywhere(&wanted->group, wanted->interface);
    if (result < 0) {
        (void)inet_multicast_leave(socket, wanted);
    }
    return result;
}

int64_t inet_multicast_leave(struct inet_socket *socket, const struct inet_membership *wanted)
{
    posix_lock_acquire(&lock);
    struct inet_membership **place = find_membership(socket, wanted);
    struct inet_membership *found = *place;
    if (found != NULL) {
        *place = found->next;
        count_out(&found->group, found->interface);
    }
    posix_lock_release(&lock);
    if (found == NULL) {
        return -EADDRNOTAVAIL;
    }
    (void)change_everywhere(&found->group, found->interface);
    net_memory_free(found);
    return 0;
}

void inet_multicast_leave_all(struct inet_socket *socket)
{
    while (socket->memberships != NULL) {
        struct inet_membership first = *socket->memberships;
        (void)inet_multicast_leave(socket, &first);
    }
}

/* The interface that a number or an address names; neither: the first device's. -ENODEV */
static int64_t interface_for(uint32_t address, int32_t index)
{
    uint32_t loopback = lwip_htonl(IPADDR_LOOPBACK);
    if (index == INET_LOOPBACK || (index == 0 && address == loopback)) {
        return INET_LOOPBACK;
    }
    for (uint32_t device = 0; device < NET_DEVICES; device++) {
        int32_t own = (int32_t)device + INET_NETWORK;
        if (device_is_there(device) &&
            (index == own ||
             (index == 0 && (address == 0 || device_has_address(device, address))))) {
            return own;
        }
    }
    return -ENODEV;
}

struct linux_ip_mreqn {
    uint32_t group, address;
    int32_t index;
};

/* struct ip_mreqn, struct ip_mreq or a group's address alone. -EINVAL | -ENODEV */
static int64_t load_4(const void *value, uint32_t bytes, uint32_t least,
                      struct linux_ip_mreqn *found)
{
    *found = (struct linux_ip_mreqn){0};
    if (bytes < least) {
        return -EINVAL;
    }
    if (bytes >= sizeof(*found)) {
        __builtin_memcpy(found, value, sizeof(*found));
    } else if (bytes >= IP_MREQ_BYTES) {
        __builtin_memcpy(found, value, IP_MREQ_BYTES);
    } else {
        __builtin_memcpy(&found->address, value, sizeof(found->address));
    }
    return 0;
}

static int64_t membership_4(const void *value, uint32_t bytes, struct inet_membership *wanted)
{
    struct linux_ip_mreqn request;
    int64_t result = load_4(value, bytes, IP_MREQ_BYTES, &request);
    if (result < 0) {
        return result;
    }
    ip_addr_set_ip4_u32(&wanted->group, request.group);
    if (!ip_addr_ismulticast(&wanted->group)) {
        return -EINVAL;
    }
    result = interface_for(request.address, request.index);
    wanted->interface = (uint32_t)result;
    return result < 0 ? result : 0;
}

static int64_t membership_6(const void *value, uint32_t bytes, struct inet_membership *wanted)
{
    struct {
        uint32_t group[4];
        int32_t index;
    } request;
    if (bytes < sizeof(request)) {
        return -EINVAL;
    }
    __builtin_memcpy(&request, value, sizeof(request));
    ip_addr_t group =
        IPADDR6_INIT(request.group[0], request.group[1], request.group[2], request.group[3]);
    wanted->group = group;
    if (!ip_addr_ismulticast(&group)) {
        return -EINVAL;
    }
    int64_t result = interface_for(0, request.index);
    wanted->interface = (uint32_t)result;
    return result < 0 ? result : 0;
}

static int64_t change_membership(struct inet_socket *socket, int64_t loaded,
                                 const struct inet_membership *wanted, bool is_join)
{
    if (socket->base.type == SOCK_STREAM) {
        return -EPROTO;
    }
    return loaded < 0 ? loaded
           : is_join  ? join(socket, wanted)
                      : inet_multicast_leave(socket, wanted);
}

/* By which interface it sends to groups. */
static int64_t set_interface_4(struct inet_socket *socket, const void *value, uint32_t bytes)
{
    struct linux_ip_mreqn request;
    int64_t result = load_4(value, bytes, sizeof(request.address), &request);
    if (result < 0) {
        return result;
    }
    int64_t found = request.address == 0 && request.index == 0
                        ? 0
                        : interface_for(request.address, request.index);
    if (found < 0) {
        return request.index == 0 ? -EADDRNOTAVAIL : found;
    }
    posix_lock_acquire(&socket->base.lock);
    socket->settings.multicast_interface = (int32_t)found;
    socket->settings.multicast_address = (int32_t)request.address;
    posix_lock_release(&socket->base.lock);
    return 0;
}

static int64_t set_interface_6(struct inet_socket *socket, const void *value, uint32_t bytes)
{
    int32_t index;
    if (bytes < sizeof(index)) {
        return -EINVAL;
    }
    __builtin_memcpy(&index, value, sizeof(index));
    int64_t found = index == 0 ? 0 : interface_for(0, index);
    if (found < 0) {
        return found;
    }
    posix_lock_acquire(&socket->base.lock);
    socket->settings.multicast_interface_6 = (int32_t)found;
    posix_lock_release(&socket->base.lock);
    return 0;
}

int64_t inet_multicast_set(struct inet_socket *socket, int32_t level, uint32_t number,
                           const void *value, uint32_t bytes)
{
    struct inet_membership wanted = {0};
    if (level == IPPROTO_IP && (number == IP_ADD_MEMBERSHIP || number == IP_DROP_MEMBERSHIP)) {
        return change_membership(socket, membership_4(value, bytes, &wanted), &wanted,
                                 number == IP_ADD_MEMBERSHIP);
    }
    if (level == IPPROTO_IP && number == IP_MULTICAST_IF) {
        return socket->base.type == SOCK_STREAM ? -EINVAL : set_interface_4(socket, value, bytes);
    }
    if (level != IPPROTO_IPV6 || socket->base.domain != AF_INET6) {
        return -ENOPROTOOPT;
    }
    if (number == IPV6_JOIN_GROUP || number == IPV6_LEAVE_GROUP) {
        return change_membership(socket, membership_6(value, bytes, &wanted), &wanted,
                                 number == IPV6_JOIN_GROUP);
    }
    return number != IPV6_MULTICAST_IF        ? -ENOPROTOOPT
           : socket->base.type == SOCK_STREAM ? -ENOPROTOOPT
                                              : set_interface_6(socket, value, bytes);
}

int64_t inet_multicast_get(const struct inet_socket *socket, int32_t level, uint32_t number,
                           int32_t *value)
{
    if (level == IPPROTO_IP && number == IP_MULTICAST_IF) {
        *value = socket->settings.multicast_address;
        return 0;
    }
    if (level == IPPROTO_IPV6 && number == IPV6_MULTICAST_IF && socket->base.domain == AF_INET6) {
        *value = socket->settings.multicast_interface_6;
        return 0;
    }
    return -ENOPROTOOPT;
}

/* lwIP gives a copy to this machine's own members if the flag is set: device.c.
 * @impl ATL-LLR-NET-0863~1 ATL-LLR-NET-1381~1 */
bool inet_multicast_apply(const struct inet_socket *socket, const ip_addr_t *to,
                          struct udp_pcb *pcb)
{
    const struct inet_settings *settings = &socket->settings;
    bool is_4 = IP_IS_V4(to);
    int32_t interface = is_4 ? settings->multicast_interface : settings->multicast_interface_6;
    int32_t hops = is_4 ? settings->multicast_hops : settings->multicast_hops_6;
    bool is_looped = (is_4 ? settings->multicast_loop : settings->multicast_loop_6) != 0;
    const ip_addr_t *own = &pcb->local_ip;
    bool has_own = is_4 && IP_IS_V4(own) && !ip_addr_ismulticast(own);
    int64_t found =
        interface != 0 ? interface : interface_for(has_own ? ip_2_ip4(own)->addr : 0, 0);
    pcb->mcast_ifindex = (uint8_t)found;
    pcb->mcast_ttl = (uint8_t)(hops < 0 ? 1 : hops);
    udp_clear_flags(pcb, UDP_FLAGS_MULTICAST_LOOP);
    udp_set_flags(pcb, is_looped && found >= INET_NETWORK ? UDP_FLAGS_MULTICAST_LOOP : 0);
    return found > 0;
}

static bool is_waiting(struct netif *netif)
{
    for (const struct igmp_group *group = netif_igmp_data(netif); group != NULL;
         group = group->next) {
        if (group->timer != 0) {
            return true;
        }
    }
    for (const struct mld_group *group = netif_mld6_data(netif); group != NULL;
         group = group->next) {
        if (group->timer != 0) {
            return true;
        }
    }
    return false;
}

bool inet_multicast_is_waiting(void)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        if (is_waiting(netif)) {
            return true;
        }
    }
    return false;
}
