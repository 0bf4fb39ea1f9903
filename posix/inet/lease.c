/* SPDX-License-Identifier: Apache-2.0 */
/* The address of each device: out of the image's setting, or by DHCP, which the first core asks for
 * and tells the others. */
#include "device.h"
#include "lwip_hooks.h"
#include "multicast.h"
#include "queue.h"
#include "setting.h"

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/nd6.h>

/* What the first core writes and the others copy. */
static struct lease {
    struct posix_lock lock;
    struct posix_wait_queue waiting;
    bool is_known, is_off;
    ip4_addr_t address, mask, gateway;
    ip_addr_t servers[DNS_MAX_SERVERS];
} leases[NET_DEVICES];

/* That of IPv6 is used when nobody else claims it.
 *
 * @impl ATL-LLR-POSIX-0970~1 @impl ATL-LLR-NET-1292~1 */
static void set_addresses(struct net_device *device, const struct net_setting *setting)
{
    struct netif *netif = &device->netif;
    if (setting->prefix_4 != 0) {
        ip4_addr_t address, gateway;
        ip4_addr_t mask = {.addr = lwip_htonl(UINT32_MAX << (32u - setting->prefix_4))};
        __builtin_memcpy(&address, setting->address_4, sizeof(setting->address_4));
        __builtin_memcpy(&gateway, setting->gateway_4, sizeof(setting->gateway_4));
        netif_set_addr(netif, &address, &mask, &gateway);
    }
    if (setting->prefix_6 != 0) {
        ip6_addr_t address = {0};
        __builtin_memcpy(address.addr, setting->address_6, sizeof(setting->address_6));
        __builtin_memcpy(device->gateway_6.addr, setting->gateway_6, sizeof(setting->gateway_6));
        ip6_addr_assign_zone(&device->gateway_6, IP6_UNICAST, netif);
        netif_add_ip6_address(netif, &address, NULL);
    }
}

/* Whether the device has what it is to have: the addresses of its setting, else one of IPv4. */
static bool has_addresses(struct netif *interface)
{
    const struct net_setting *setting = net_setting(((struct net_device *)interface)->number);
    bool has_4 = !ip4_addr_isany_val(*netif_ip4_addr(interface));
    bool has_6 = false;
    for (uint32_t i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        has_6 = has_6 || (ip6_addr_isvalid(netif_ip6_addr_state(interface, i)) &&
                          netif_ip6_addr_isstatic(interface, i));
    }
    return setting == NULL ? has_4
                           : (has_4 || setting->prefix_4 == 0) && (has_6 || setting->prefix_6 == 0);
}

void lease_tell_all(const struct net_device *device)
{
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        struct net_packet *packet =
            core != posix_core() ? net_memory_allocate(sizeof(*packet)) : NULL;
        if (packet != NULL) {
            packet->kind = NET_PACKET_CONFIGURE;
            packet->device = (uint8_t)device->number;
            net_stack_post(core, packet);
        }
    }
}

/* The first core's address has changed: everybody is to have it. */
static void on_status(struct netif *interface)
{
    const struct net_device *device = (const struct net_device *)interface;
    struct lease *lease = &leases[device->number];
    if (!has_addresses(interface)) {
        return;
    }
    posix_lock_acquire(&lease->lock);
    lease->is_known = true;
    lease->address = *netif_ip4_addr(interface);
    lease->mask = *netif_ip4_netmask(interface);
    lease->gateway = *netif_ip4_gw(interface);
    for (uint8_t i = 0; i < DNS_MAX_SERVERS; i++) {
        lease->servers[i] = *dns_getserver(i);
    }
    posix_wake(&lease->waiting, UINT32_MAX);
    posix_lock_release(&lease->lock);
    lease_tell_all(device);
}

void lease_configure(struct net_device *device)
{
    struct lease *lease = &leases[device->number];
    struct netif *netif = &device->netif;
    posix_lock_acquire(&lease->lock);
    bool is_known = lease->is_known;
    ip4_addr_t address = lease->address;
    ip4_addr_t mask = lease->mask;
    ip4_addr_t gateway = lease->gateway;
    device->is_off = lease->is_off;
    posix_lock_release(&lease->lock);
    if (is_known && posix_core() != 0) { /* the first core has the lease itself, or has lost it */
        netif_set_addr(netif, &address, &mask, &gateway);
    }
    if (device->is_off) {
        nd6_clear_destination_cache(); /* others may reach them */
    }
    if (device->is_off || !queue_link_is_up(device->number)) {
        netif_set_link_down(netif);
    } else {
        netif_set_link_up(netif); /* and says on it who is here */
    }
}

bool lease_ends(struct net_device *device)
{
    struct lease *lease = &leases[device->number];
    posix_lock_acquire(&lease->lock);
    bool is_first = !lease->is_off;
    lease->is_off = true;
    posix_lock_release(&lease->lock);
    lease_configure(device);
    lease_tell_all(device);
    return is_first;
}

void lease_start(struct net_device *device)
{
    const struct net_setting *setting = net_setting(device->number);
    if (posix_core() == 0) {
        netif_set_status_callback(&device->netif, on_status);
    }
    if (setting != NULL) {
        set_addresses(device, setting);
    } else if (posix_core() == 0) {
        dhcp_start(&device->netif);
    } else {
        lease_configure(device);
    }
}

bool device_has_address(uint32_t device, uint32_t address)
{
    struct lease *lease = &leases[device];
    posix_lock_acquire(&lease->lock);
    bool is_ours = lease->is_known && lease->address.addr == address;
    posix_lock_release(&lease->lock);
    return is_ours;
}

bool lease_wait(uint32_t device, uint64_t deadline_ns)
{
    int64_t result = 0;
    struct lease *lease = &leases[device];
    posix_lock_acquire(&lease->lock);
    while (device_is_there(device) && !lease->is_known && result == 0) {
        result = posix_wait(&lease->waiting, &lease->lock, deadline_ns);
        posix_lock_acquire(&lease->lock);
    }
    posix_lock_release(&lease->lock);
    return result == 0;
}

/* One line; 0: it has no room, or is there. */
static size_t name_server(char *text, size_t bytes_max, const ip_addr_t *server, size_t at)
{
    static const char prefix[] = "nameserver ";
    char line[sizeof(prefix) + IPADDR_STRLEN_MAX + 1];
    __builtin_memcpy(line, prefix, sizeof(prefix));
    ipaddr_ntoa_r(server, line + sizeof(prefix) - 1, IPADDR_STRLEN_MAX);
    size_t bytes = __builtin_strlen(line);
    line[bytes++] = '\n';
    for (size_t i = 0; i + bytes <= at; i++) {
        if (__builtin_memcmp(text + i, line, bytes) == 0) {
            return 0;
        }
    }
    if (bytes > bytes_max - at) {
        return 0;
    }
    __builtin_memcpy(text + at, line, bytes);
    return bytes;
}

size_t lease_name_servers(char *text, size_t bytes_max)
{
    size_t bytes = 0;
    for (uint32_t device = 0; device < NET_DEVICES; device++) {
        struct lease *lease = &leases[device];
        posix_lock_acquire(&lease->lock);
        for (uint32_t i = 0; i < DNS_MAX_SERVERS && lease->is_known; i++) {
            if (!ip_addr_isany_val(lease->servers[i])) {
                bytes += name_server(text, bytes_max, &lease->servers[i], bytes);
            }
        }
        posix_lock_release(&lease->lock);
    }
    return bytes;
}
