/* SPDX-License-Identifier: Apache-2.0 */
/* By which device a packet leaves: see device.h. First the device in whose network its destination
 * is, in the order of the devices; then, of IPv4, the one whose address the packet has, if that
 * device knows a router: an answer leaves where the question came. Then the first one that knows a
 * router. What is for all of a link has no network: it leaves by the device whose address it has.
 * lwIP keeps one way to a destination of IPv6, whatever the source.
 *
 * A cable that is pulled changes no route, as on Linux: what is sent is lost, and may come through
 * when it is sent again. A device that is off has no routes. */
#include "device.h"
#include "lwip_hooks.h"

#include <lwip/priv/nd6_priv.h>

static bool is_usable(const struct net_device *device)
{
    return netif_is_up(&device->netif) && !device->is_off;
}

/* @impl ATL-LLR-NET-1293~1 ATL-LLR-NET-1381~1 */
struct netif *route_4(const ip4_addr_t *source, const ip4_addr_t *destination)
{
    struct netif *first = NULL, *by_gateway = NULL, *by_source = NULL;
    bool is_to_all = ip4_addr_eq(destination, IP4_ADDR_BROADCAST);
    for (uint32_t i = 0; i < net_device_end; i++) {
        struct netif *netif = &net_devices[i].netif;
        const ip4_addr_t *own = netif_ip4_addr(netif);
        if (!is_usable(&net_devices[i]) || ip4_addr_isany_val(*own)) {
            continue;
        }
        if (ip4_addr_net_eq(destination, own, netif_ip4_netmask(netif))) {
            return netif;
        }
        first = first == NULL ? netif : first;
        bool has_router = !ip4_addr_isany_val(*netif_ip4_gw(netif));
        by_gateway = has_router && by_gateway == NULL ? netif : by_gateway;
        if ((has_router || is_to_all) && source != NULL && ip4_addr_eq(source, own)) {
            by_source = netif;
        }
    }
    return by_source != NULL ? by_source : by_gateway != NULL ? by_gateway : first;
}

/* Whether it is in the network of an address of the image's setting, or in one that a router has
 * told of as the link's. */
static bool is_in_network(const struct netif *netif, const ip6_addr_t *destination)
{
    for (int8_t i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (netif_ip6_addr_isstatic(netif, i) && ip6_addr_isvalid(netif_ip6_addr_state(netif, i)) &&
            ip6_addr_net_eq(destination, netif_ip6_addr(netif, i))) {
            return true;
        }
    }
    for (int i = 0; i < LWIP_ND6_NUM_PREFIXES; i++) {
        if (prefix_list[i].netif == netif && ip6_addr_net_eq(&prefix_list[i].prefix, destination)) {
            return true;
        }
    }
    return false;
}

/* @impl ATL-LLR-NET-1293~1 ATL-LLR-NET-1382~1 */
struct netif *route_6(const ip6_addr_t *destination)
{
    struct netif *without_link = NULL, *by_gateway = NULL;
    bool has_link = false;
    for (uint32_t i = 0; i < net_device_end; i++) {
        struct netif *netif = &net_devices[i].netif;
        if (!is_usable(&net_devices[i])) {
            continue;
        }
        if (is_in_network(netif, destination)) {
            return netif;
        }
        if (by_gateway == NULL && !ip6_addr_isany(&net_devices[i].gateway_6)) {
            by_gateway = netif;
        }
        has_link = has_link || netif_is_link_up(netif);
        without_link = without_link == NULL ? netif : without_link;
    }
    return by_gateway != NULL ? by_gateway : has_link ? NULL : without_link;
}

const ip6_addr_t *net_gateway_6(const struct netif *netif)
{
    const ip6_addr_t *gateway = &((const struct net_device *)netif)->gateway_6;
    bool is_device = netif_get_index(netif) >= NET_INDEX_FIRST;
    return is_device && !ip6_addr_isany(gateway) ? gateway : NULL;
}
