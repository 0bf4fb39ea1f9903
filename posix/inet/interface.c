/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback of the machine: a packet to one of its own addresses goes to the core that has its
 * port, this one or another, and arrives there on that core's loopback. */
#include "abi.h"
#include "device.h"
#include "inet.h"
#include "lwip_hooks.h"
#include "traffic.h"

#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/tcp.h>

static PERCORE struct netif loopback;

static void free_packet(struct pbuf *buffer)
{
    net_memory_free(buffer); /* the packet's first field */
}

struct net_packet *net_packet_copy(const struct pbuf *chain, enum net_packet_kind kind)
{
    struct net_packet *packet = net_memory_allocate_buffer(sizeof(*packet) + chain->tot_len);
    if (packet != NULL) {
        packet->kind = kind;
        packet->passes = 0;
        packet->device = 0;
        packet->bytes = chain->tot_len;
        pbuf_copy_partial(chain, packet->data, chain->tot_len, 0);
    }
    return packet;
}

struct pbuf *net_packet_wrap(struct net_packet *packet)
{
    packet->pbuf.custom_free_function = free_packet;
    return pbuf_alloced_custom(PBUF_RAW, (uint16_t)packet->bytes, PBUF_REF, &packet->pbuf,
                               packet->data, (uint16_t)packet->bytes);
}

/* What leaves by the loopback. A packet without memory is lost, as on any wire. */
static err_t send(struct pbuf *chain)
{
    struct net_packet *packet = net_packet_copy(chain, NET_PACKET_LOOPBACK);
    if (packet == NULL) {
        net_stack_note(NET_COUNT_DROPPED);
        traffic_note_dropped(traffic_of(TRAFFIC_LOOPBACK), TRAFFIC_SENT);
        return ERR_MEM;
    }
    traffic_note(traffic_of(TRAFFIC_LOOPBACK), TRAFFIC_SENT, packet->bytes);
    net_stack_post(net_port_steer(packet->data, packet->bytes, posix_core()), packet);
    return ERR_OK;
}

static err_t send_4(struct netif *interface, struct pbuf *chain, const ip4_addr_t *to)
{
    (void)interface;
    (void)to;
    return send(chain);
}

static err_t send_6(struct netif *interface, struct pbuf *chain, const ip6_addr_t *to)
{
    (void)interface;
    (void)to;
    return send(chain);
}

static err_t initialize(struct netif *interface)
{
    interface->name[0] = 'l';
    interface->name[1] = 'o';
    interface->output = send_4;
    interface->output_ip6 = send_6;
    interface->mtu = LOOPBACK_MTU;
    interface->mtu6 = LOOPBACK_MTU;
    interface->flags = NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    /* Memory does not garble. */
    NETIF_SET_CHECKSUM_CTRL(interface, NETIF_CHECKSUM_DISABLE_ALL);
    return ERR_OK;
}

void net_interface_start(void)
{
    ip4_addr_t address, mask, gateway;
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    ip4_addr_set_zero(&gateway);
    netif_add(&loopback, &address, &mask, &gateway, NULL, initialize, ip_input);
    ip6_addr_t six = {.addr = {0, 0, 0, PP_HTONL(1)}};
    netif_ip6_addr_set(&loopback, 0, &six);
    netif_ip6_addr_set_state(&loopback, 0, IP6_ADDR_VALID);
    netif_set_link_up(&loopback);
    netif_set_up(&loopback);
    device_start();
}

void net_port_hear(const uint8_t *packet, size_t bytes)
{
    struct net_segment segment;
    struct net_unreachable error;
    if (net_port_segment(packet, bytes, &segment)) {
        inet_tcp_bring_forward(&segment);
    } else if (net_port_unreachable(packet, bytes, &error)) {
        inet_udp_refused(&error);
    }
}

static void input(struct net_packet *packet)
{
    uint32_t core = net_group_pass_on(packet->data, packet->bytes, packet->passes);
    if (core != posix_core()) {
        packet->passes++;
        net_stack_post(core, packet);
        return;
    }
    net_stack_note(NET_COUNT_PROCESSED);
    traffic_note(traffic_of(TRAFFIC_LOOPBACK), TRAFFIC_RECEIVED, packet->bytes);
    net_port_hear(packet->data, packet->bytes);
    struct pbuf *buffer = net_packet_wrap(packet);
    if (loopback.input(buffer, &loopback) != ERR_OK) {
        pbuf_free(buffer);
    }
}

void net_packet_serve(struct net_packet *packet)
{
    switch (packet->kind) {
    case NET_PACKET_LOOPBACK:
        input(packet);
        break;
    case NET_PACKET_FRAME:
        device_input(packet);
        break;
    case NET_PACKET_WHOLE:
        device_input_whole(packet);
        break;
    case NET_PACKET_TRANSMIT:
        device_transmit(packet);
        break;
    case NET_PACKET_CONFIGURE:
        lease_configure(&net_devices[packet->device]);
        net_memory_free(packet);
        break;
    }
}

static bool is_of_interface(const ip_addr_t *address)
{
    const struct netif *interface;
    NETIF_FOREACH(interface)
    {
        if (IP_IS_V4(address)) {
            if (ip4_addr_eq(ip_2_ip4(address), netif_ip4_addr(interface))) {
                return true;
            }
        } else if (netif_get_ip6_addr_match((struct netif *)interface, ip_2_ip6(address)) >= 0) {
            return true;
        }
    }
    return false;
}

bool inet_address_is_own(const ip_addr_t *address)
{
    return ip_addr_isany(address) || is_of_interface(address);
}

/* @impl ATL-LLR-NET-1380~1 */
bool inet_may_leave(const ip_addr_t *source, const ip_addr_t *to)
{
    if (!IP_IS_V4(source) || !IP_IS_V4(to) || !ip4_addr_isloopback(ip_2_ip4(source)) ||
        ip4_addr_isloopback(ip_2_ip4(to))) {
        return true;
    }
    const struct netif *interface = ip_route(source, to);
    return interface == NULL || interface == &loopback;
}

/* @impl ATL-LLR-POSIX-0903~1 */
struct netif *net_route_4(const ip4_addr_t *source, const ip4_addr_t *destination)
{
    ip_addr_t address;
    ip_addr_copy_from_ip4(address, *destination);
    return ip4_addr_isloopback(destination) || is_of_interface(&address)
               ? &loopback
               : route_4(source, destination);
}

struct netif *net_route_6(const ip6_addr_t *source, const ip6_addr_t *destination)
{
    (void)source;
    ip_addr_t address;
    ip_addr_copy_from_ip6(address, *destination);
    return ip6_addr_isloopback(destination) || is_of_interface(&address) ? &loopback
                                                                         : route_6(destination);
}
