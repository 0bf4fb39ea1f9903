/* SPDX-License-Identifier: Apache-2.0 */
/* The Ethernet interfaces of a core, and whose a frame is: see device.h. queue.c moves frames. */
#include "device.h"

#include "packet.h"
#include "queue.h"
#include "timers.h"
#include "transmit.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/ip.h>
#include <netif/ethernet.h>

#define MTU_MAX 1500u
#define ETHERNET_BYTES 14u
#define MAC_GROUP 1u /* in a frame's first byte */
#define IP4_HEADER_BYTES 20u
#define IP6_HEADER_BYTES 40u
#define IP6_ADDRESS_BYTES 16u
#define TYPE_IP4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_IP6 0x86ddu
#define ARP_REPLY 2u
#define NEXT_OPTIONS 0u /* what IPv6 has before it speaks of groups */
#define NEXT_IGMP 2u
#define NEXT_ICMP6 58u
#define ROUTER_ADVERTISEMENT 134u
#define NEIGHBOUR_ADVERTISEMENT 136u

PERCORE struct net_device net_devices[NET_DEVICES];
PERCORE uint32_t net_device_end;

uint32_t device_end(void)
{
    uint32_t count = NET_DEVICES;
    while (count != 0 && !device_is_there(count - 1)) {
        count--;
    }
    return count;
}

static uint32_t type_of(const uint8_t *frame)
{
    return (uint32_t)frame[12] << 8 | frame[13];
}

/* What tells where neighbours are: each core keeps that for itself; and datagrams to many, of which
 * each socket gets one. */
static bool is_for_all(const uint8_t *frame, size_t bytes)
{
    const uint8_t *packet = frame + ETHERNET_BYTES;
    size_t packet_bytes = bytes - ETHERNET_BYTES;
    if (type_of(frame) == TYPE_ARP) {
        return packet_bytes >= 8 && packet[7] == ARP_REPLY;
    }
    if ((frame[0] & MAC_GROUP) != 0 && net_port_is_shared_datagram(packet, packet_bytes)) {
        return true;
    }
    return type_of(frame) == TYPE_IP6 && packet_bytes > 40 && packet[6] == NEXT_ICMP6 &&
           (packet[40] == ROUTER_ADVERTISEMENT || packet[40] == NEIGHBOUR_ADVERTISEMENT);
}

/* What routers and hosts say of groups; the first core speaks for the machine. */
static bool is_of_groups(const uint8_t *packet, size_t bytes)
{
    return bytes >= IP4_HEADER_BYTES &&
           (packet[0] >> 4 == 4 ? packet[9] == NEXT_IGMP : packet[6] == NEXT_OPTIONS);
}

static uint32_t steer(const uint8_t *frame, size_t bytes)
{
    const uint8_t *packet = frame + ETHERNET_BYTES;
    size_t packet_bytes = bytes - ETHERNET_BYTES;
    uint32_t type = type_of(frame);
    if (type != TYPE_IP4 && type != TYPE_IP6) {
        return posix_core();
    }
    return is_of_groups(packet, packet_bytes) ? 0
                                              : net_port_steer(packet, packet_bytes, posix_core());
}

static bool is_kept(uint32_t device, const uint8_t *frame, size_t bytes)
{
    uint32_t type = type_of(frame);
    return (type == TYPE_IP4 || type == TYPE_IP6) &&
           net_group_keeps(device, frame + ETHERNET_BYTES, bytes - ETHERNET_BYTES);
}

/* Another core for a frame that this core was to have; this one: it is here. */
static uint32_t elsewhere(const uint8_t *frame, size_t bytes, uint32_t passes)
{
    uint32_t type = type_of(frame);
    return type == TYPE_IP4 || type == TYPE_IP6
               ? net_group_pass_on(frame + ETHERNET_BYTES, bytes - ETHERNET_BYTES, passes)
               : posix_core();
}

/* @impl ATL-LLR-POSIX-0975~1 */
static void post_copy(uint32_t core, const struct queue_frame *frame, uint8_t passes)
{
    size_t bytes = frame->chain != NULL ? frame->chain->tot_len : frame->bytes;
    struct net_packet *packet =
        net_stack_takes_frames(core) ? net_memory_allocate_buffer(sizeof(*packet) + bytes) : NULL;
    if (packet == NULL) {
        net_stack_note(NET_COUNT_DROPPED);
        return;
    }
    packet->kind = NET_PACKET_FRAME;
    packet->device = (uint8_t)frame->device;
    packet->bytes = (uint32_t)bytes;
    packet->is_checked = frame->is_checked;
    packet->passes = passes;
    if (frame->chain != NULL) {
        pbuf_copy_partial(frame->chain, packet->data, (uint16_t)bytes, 0);
    } else {
        __builtin_memcpy(packet->data, frame->data, bytes);
    }
    net_stack_post(core, packet);
}

static bool is_own_4(const uint8_t *address)
{
    for (uint32_t i = 0; i < net_device_end; i++) {
        const ip4_addr_t *own = netif_ip4_addr(&net_devices[i].netif);
        if (!ip4_addr_isany(own) && __builtin_memcmp(address, own, sizeof(*own)) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_own_6(const uint8_t *address)
{
    for (uint32_t i = 0; i < net_device_end * LWIP_IPV6_NUM_ADDRESSES; i++) {
        const struct netif *netif = &net_devices[i / LWIP_IPV6_NUM_ADDRESSES].netif;
        uint32_t place = i % LWIP_IPV6_NUM_ADDRESSES;
        if (ip6_addr_isvalid(netif_ip6_addr_state(netif, place)) &&
            __builtin_memcmp(netif_ip6_addr(netif, place)->addr, address, IP6_ADDRESS_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a packet claims to be of this machine itself, which nobody on the network is: what
 * answers it would answer itself, for ever. Who has our address of IPv6 by mistake may say so.
 *
 * @impl ATL-LLR-NET-0867~1 */
static bool is_forged(const uint8_t *frame, size_t bytes)
{
    static const uint8_t loopback_6[IP6_ADDRESS_BYTES] = {[IP6_ADDRESS_BYTES - 1] = 1};
    const uint8_t *packet = frame + ETHERNET_BYTES;
    size_t packet_bytes = bytes - ETHERNET_BYTES;
    if (type_of(frame) == TYPE_IP4 && packet_bytes >= IP4_HEADER_BYTES) {
        return packet[12] == IP_LOOPBACKNET || packet[16] == IP_LOOPBACKNET ||
               is_own_4(packet + 12);
    }
    return type_of(frame) == TYPE_IP6 && packet_bytes >= IP6_HEADER_BYTES &&
           (__builtin_memcmp(packet + 8, loopback_6, sizeof(loopback_6)) == 0 ||
            __builtin_memcmp(packet + 24, loopback_6, sizeof(loopback_6)) == 0 ||
            (packet[6] != NEXT_ICMP6 && is_own_6(packet + 8)));
}

/* @impl ATL-LLR-POSIX-0911~1 @impl ATL-LLR-NET-0866~1 */
bool device_passes_on(const struct queue_frame *frame)
{
    const uint8_t *data = frame->data;
    size_t bytes = frame->bytes;
    uint32_t here = posix_core();
    if (bytes <= ETHERNET_BYTES || is_forged(data, bytes)) {
        return true; /* and nobody hears of it */
    }
    if (posix_info.core_count == 1) {
        return false;
    }
    if (is_for_all(data, bytes)) {
        for (uint32_t core = 0; core < posix_info.core_count; core++) {
            if (core != here) {
                post_copy(core, frame, 0);
            }
        }
        return false;
    }
    if (is_kept(frame->device, data, bytes)) {
        return false;
    }
    uint32_t core = steer(data, bytes);
    bool is_passed = core == here;
    core = is_passed ? elsewhere(data, bytes, 0) : core;
    if (core != here) {
        post_copy(core, frame, is_passed);
    }
    return core != here;
}

/* What the device has checked is not checked again. */
static void set_checks(struct netif *netif, bool is_checked)
{
    uint16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    uint16_t others = netif->chksum_flags & (uint16_t)~checks;
    NETIF_SET_CHECKSUM_CTRL(netif, is_checked ? others : others | checks);
}

void device_deliver(uint32_t device, struct pbuf *frame, bool is_checked)
{
    struct netif *netif = &net_devices[device].netif;
    const uint8_t *data = frame->payload;
    uint32_t type = type_of(data);
    net_stack_note(NET_COUNT_PROCESSED);
    set_checks(netif, is_checked);
    bool is_ip = type == TYPE_IP4 || type == TYPE_IP6;
    bool is_query = is_ip && is_of_groups(data + ETHERNET_BYTES, frame->len - ETHERNET_BYTES);
    if (is_ip) {
        net_port_hear(data + ETHERNET_BYTES, frame->len - ETHERNET_BYTES);
    }
    if (netif->input(frame, netif) != ERR_OK) {
        pbuf_free(frame);
    }
    if (is_query) {
        timers_groups_needed();
    }
}

void device_input_whole(struct net_packet *packet)
{
    struct netif *netif = &net_devices[packet->device].netif;
    net_stack_note(NET_COUNT_PROCESSED);
    set_checks(netif, false);
    struct pbuf *buffer = net_packet_wrap(packet);
    if (ip_input(buffer, netif) != ERR_OK) {
        pbuf_free(buffer);
    }
}

void device_input(struct net_packet *packet)
{
    bool is_checked = packet->is_checked;
    uint32_t device = packet->device;
    uint32_t core = elsewhere(packet->data, packet->bytes, packet->passes);
    if (core != posix_core()) {
        packet->passes++;
        net_stack_post(core, packet);
        return;
    }
    device_deliver(device, net_packet_wrap(packet), is_checked);
}

static err_t send(struct netif *interface, struct pbuf *chain)
{
    const struct net_device *device = (const struct net_device *)interface;
    packet_hear_chain(device->number, chain, true);
    if (queue_is_here(device->number)) {
        return transmit_frame(device->number, chain) ? ERR_OK : ERR_MEM;
    }
    struct net_packet *packet = net_packet_copy(chain, NET_PACKET_TRANSMIT);
    if (packet == NULL) {
        return ERR_MEM;
    }
    packet->device = (uint8_t)device->number;
    net_stack_post(posix_core() % device->facts->queues, packet);
    return ERR_OK;
}

void device_transmit(struct net_packet *packet)
{
    uint32_t device = packet->device;
    struct pbuf *frame = net_packet_wrap(packet);
    (void)transmit_frame(device, frame); /* without room it is lost, as on any wire */
    pbuf_free(frame);
}

/* What goes to a group may go to this machine's own members of it as well. False: the packet is not
 * to leave, as the first core speaks of groups for all. */
static bool leaves(const struct netif *interface, const struct pbuf *chain)
{
    if ((chain->flags & PBUF_FLAG_MCASTLOOP) != 0) {
        struct net_packet *copy = net_packet_copy(chain, NET_PACKET_WHOLE);
        if (copy != NULL) {
            copy->device = (uint8_t)((const struct net_device *)interface)->number;
            net_stack_post(net_port_steer(copy->data, copy->bytes, posix_core()), copy);
        }
    }
    return posix_core() == 0 || !is_of_groups(chain->payload, chain->len);
}

static err_t output_4(struct netif *interface, struct pbuf *chain, const ip4_addr_t *to)
{
    return leaves(interface, chain) ? etharp_output(interface, chain, to) : ERR_OK;
}

static err_t output_6(struct netif *interface, struct pbuf *chain, const ip6_addr_t *to)
{
    return leaves(interface, chain) ? ethip6_output(interface, chain, to) : ERR_OK;
}

static err_t initialize(struct netif *interface)
{
    interface->name[0] = 'e';
    interface->name[1] = 'n';
    interface->output = output_4;
    interface->output_ip6 = output_6;
    interface->linkoutput = send;
    const struct gate_network *facts = ((const struct net_device *)interface)->facts;
    interface->mtu = facts->mtu < MTU_MAX ? facts->mtu : MTU_MAX;
    interface->mtu6 = interface->mtu;
    interface->hwaddr_len = ETH_HWADDR_LEN;
    __builtin_memcpy(interface->hwaddr, facts->mac, ETH_HWADDR_LEN);
    interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                       NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    uint16_t checksums = NETIF_CHECKSUM_ENABLE_ALL;
    if ((facts->features & GATE_PORT_CHECKSUM) != 0) {
        checksums &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP; /* queue.c leaves it to the device */
    }
    NETIF_SET_CHECKSUM_CTRL(interface, checksums);
    return ERR_OK;
}

/* @impl ATL-LLR-NET-1152~1 */
void device_link_changes(uint32_t device)
{
    lease_configure(&net_devices[device]);
    lease_tell_all(&net_devices[device]);
}

/* @impl ATL-LLR-NET-0941~1 */
void device_fails(uint32_t device, bool is_off)
{
    bool is_news = !net_devices[device].is_off;
    if (is_off) {
        is_news = lease_ends(&net_devices[device]);
    }
    if (is_news) {
        posix_report(is_off ? "eth%u broke the rules of virtio too often: it is off"
                            : "eth%u broke a rule of virtio and was started again",
                     device);
    }
}

static void start(struct net_device *device)
{
    struct netif *netif = &device->netif;
    /* Once: the next look tells of what changes. */
    bool is_link_up = queue_link_is_up(device->number);
    queue_start(device->number, is_link_up);
    netif_add(netif, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, initialize, ethernet_input);
    netif->num = (uint8_t)(device->number + NET_INDEX_FIRST - 1);
    if (netif_default == NULL) {
        netif_set_default(netif);
    }
    if (is_link_up) {
        netif_set_link_up(netif);
    }
    netif_set_up(netif);
    netif_create_ip6_linklocal_address(netif, 1);
    netif->ip6_autoconfig_enabled = 1;
    lease_start(device);
}

/* @impl ATL-LLR-POSIX-0909~1 @impl ATL-LLR-NET-0865~1 @impl ATL-LLR-NET-1292~1 */
void device_start(void)
{
    net_device_end = device_end();
    for (uint32_t i = 0; i < net_device_end; i++) {
        net_devices[i].number = i;
        net_devices[i].facts = &posix_info.networks[i];
        if (device_is_there(i)) {
            start(&net_devices[i]);
        }
    }
}
