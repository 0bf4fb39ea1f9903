/* SPDX-License-Identifier: Apache-2.0 */
/* The Ethernet interface of a core and the machine's address: see device.h. queue.c moves frames.
 */
#include "device.h"

#include "lwip_hooks.h"
#include "multicast.h"
#include "packet.h"
#include "queue.h"
#include "setting.h"
#include "timers.h"
#include "transmit.h"

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
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

static PERCORE struct netif ethernet;
static PERCORE ip6_addr_t gateway_6; /* of the image's setting; zero: routers tell of themselves */

/* The lease, which the first core writes and the others copy. */
static struct {
    struct posix_lock lock;
    struct posix_wait_queue waiting;
    bool is_known, is_off;
    ip4_addr_t address, mask, gateway;
    ip_addr_t servers[DNS_MAX_SERVERS];
} lease;

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

static bool is_kept(const uint8_t *frame, size_t bytes)
{
    uint32_t type = type_of(frame);
    return (type == TYPE_IP4 || type == TYPE_IP6) &&
           net_group_keeps(frame + ETHERNET_BYTES, bytes - ETHERNET_BYTES);
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

static bool is_own_6(const uint8_t *address)
{
    for (uint32_t i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(&ethernet, i)) &&
            __builtin_memcmp(netif_ip6_addr(&ethernet, i)->addr, address, IP6_ADDRESS_BYTES) == 0) {
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
    const ip4_addr_t *own = netif_ip4_addr(&ethernet);
    if (type_of(frame) == TYPE_IP4 && packet_bytes >= IP4_HEADER_BYTES) {
        return packet[12] == IP_LOOPBACKNET || packet[16] == IP_LOOPBACKNET ||
               (!ip4_addr_isany(own) && __builtin_memcmp(packet + 12, own, sizeof(*own)) == 0);
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
    if (is_kept(data, bytes)) {
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
static void set_checks(bool is_checked)
{
    uint16_t checks = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    uint16_t others = ethernet.chksum_flags & (uint16_t)~checks;
    NETIF_SET_CHECKSUM_CTRL(&ethernet, is_checked ? others : others | checks);
}

void device_deliver(struct pbuf *frame, bool is_checked)
{
    const uint8_t *data = frame->payload;
    uint32_t type = type_of(data);
    net_stack_note(NET_COUNT_PROCESSED);
    set_checks(is_checked);
    bool is_ip = type == TYPE_IP4 || type == TYPE_IP6;
    bool is_query = is_ip && is_of_groups(data + ETHERNET_BYTES, frame->len - ETHERNET_BYTES);
    if (is_ip) {
        net_port_hear(data + ETHERNET_BYTES, frame->len - ETHERNET_BYTES);
    }
    if (ethernet.input(frame, &ethernet) != ERR_OK) {
        pbuf_free(frame);
    }
    if (is_query) {
        timers_groups_needed();
    }
}

void device_input_whole(struct net_packet *packet)
{
    net_stack_note(NET_COUNT_PROCESSED);
    set_checks(false);
    struct pbuf *buffer = net_packet_wrap(packet);
    if (ip_input(buffer, &ethernet) != ERR_OK) {
        pbuf_free(buffer);
    }
}

void device_input(struct net_packet *packet)
{
    bool is_checked = packet->is_checked;
    uint32_t core = elsewhere(packet->data, packet->bytes, packet->passes);
    if (core != posix_core()) {
        packet->passes++;
        net_stack_post(core, packet);
        return;
    }
    device_deliver(net_packet_wrap(packet), is_checked);
}

static err_t send(struct netif *interface, struct pbuf *chain)
{
    (void)interface;
    packet_hear_chain(chain, true);
    if (queue_is_here()) {
        return transmit_frame(chain) ? ERR_OK : ERR_MEM;
    }
    struct net_packet *packet = net_packet_copy(chain, NET_PACKET_TRANSMIT);
    if (packet == NULL) {
        return ERR_MEM;
    }
    net_stack_post(posix_core() % posix_info.port_queues, packet);
    return ERR_OK;
}

void device_transmit(struct net_packet *packet)
{
    struct pbuf *frame = net_packet_wrap(packet);
    (void)transmit_frame(frame); /* without room it is lost, as on any wire */
    pbuf_free(frame);
}

/* What goes to a group may go to this machine's own members of it as well. False: the packet is not
 * to leave, as the first core speaks of groups for all. */
static bool leaves(const struct pbuf *chain)
{
    if ((chain->flags & PBUF_FLAG_MCASTLOOP) != 0) {
        struct net_packet *copy = net_packet_copy(chain, NET_PACKET_WHOLE);
        if (copy != NULL) {
            net_stack_post(net_port_steer(copy->data, copy->bytes, posix_core()), copy);
        }
    }
    return posix_core() == 0 || !is_of_groups(chain->payload, chain->len);
}

static err_t output_4(struct netif *interface, struct pbuf *chain, const ip4_addr_t *to)
{
    return leaves(chain) ? etharp_output(interface, chain, to) : ERR_OK;
}

static err_t output_6(struct netif *interface, struct pbuf *chain, const ip6_addr_t *to)
{
    return leaves(chain) ? ethip6_output(interface, chain, to) : ERR_OK;
}

static err_t initialize(struct netif *interface)
{
    interface->name[0] = 'e';
    interface->name[1] = 'n';
    interface->output = output_4;
    interface->output_ip6 = output_6;
    interface->linkoutput = send;
    interface->mtu = posix_info.port_mtu < MTU_MAX ? posix_info.port_mtu : MTU_MAX;
    interface->mtu6 = interface->mtu;
    interface->hwaddr_len = ETH_HWADDR_LEN;
    __builtin_memcpy(interface->hwaddr, posix_info.port_mac, ETH_HWADDR_LEN);
    interface->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                       NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    uint16_t checksums = NETIF_CHECKSUM_ENABLE_ALL;
    if ((posix_info.port_features & GATE_PORT_CHECKSUM) != 0) {
        checksums &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP; /* queue.c leaves it to the device */
    }
    NETIF_SET_CHECKSUM_CTRL(interface, checksums);
    return ERR_OK;
}

/* The addresses of the image's setting. That of IPv6 is used when nobody else claims it.
 *
 * @impl ATL-LLR-POSIX-0970~1 */
static void set_addresses(const struct net_setting *setting)
{
    if (setting->prefix_4 != 0) {
        ip4_addr_t address, gateway;
        ip4_addr_t mask = {.addr = lwip_htonl(UINT32_MAX << (32u - setting->prefix_4))};
        __builtin_memcpy(&address, setting->address_4, sizeof(setting->address_4));
        __builtin_memcpy(&gateway, setting->gateway_4, sizeof(setting->gateway_4));
        netif_set_addr(&ethernet, &address, &mask, &gateway);
    }
    if (setting->prefix_6 != 0) {
        ip6_addr_t address = {0};
        __builtin_memcpy(address.addr, setting->address_6, sizeof(setting->address_6));
        __builtin_memcpy(gateway_6.addr, setting->gateway_6, sizeof(setting->gateway_6));
        ip6_addr_assign_zone(&gateway_6, IP6_UNICAST, &ethernet);
        netif_add_ip6_address(&ethernet, &address, NULL);
    }
}

const ip6_addr_t *net_gateway_6(const ip6_addr_t *destination)
{
    (void)destination;
    return ip6_addr_isany(&gateway_6) ? NULL : &gateway_6;
}

/* Whether the machine has what it is to have: the addresses of its setting, else one of IPv4. */
static bool has_addresses(struct netif *interface)
{
    const struct net_setting *setting = net_setting();
    bool has_4 = !ip4_addr_isany_val(*netif_ip4_addr(interface));
    bool has_6 = false;
    for (uint32_t i = 1; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
        has_6 = has_6 || (ip6_addr_isvalid(netif_ip6_addr_state(interface, i)) &&
                          netif_ip6_addr_isstatic(interface, i));
    }
    return setting == NULL ? has_4
                           : (has_4 || setting->prefix_4 == 0) && (has_6 || setting->prefix_6 == 0);
}

/* Everybody is to look at the lease. */
static void tell_all(void)
{
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        struct net_packet *packet =
            core != posix_core() ? net_memory_allocate(sizeof(*packet)) : NULL;
        if (packet != NULL) {
            packet->kind = NET_PACKET_CONFIGURE;
            net_stack_post(core, packet);
        }
    }
}

/* The first core's address has changed: everybody is to have it. */
static void on_status(struct netif *interface)
{
    if (!has_addresses(interface)) {
        return;
    }
    posix_lock_acquire(&lease.lock);
    lease.is_known = true;
    lease.address = *netif_ip4_addr(interface);
    lease.mask = *netif_ip4_netmask(interface);
    lease.gateway = *netif_ip4_gw(interface);
    for (uint8_t i = 0; i < DNS_MAX_SERVERS; i++) {
        lease.servers[i] = *dns_getserver(i);
    }
    posix_wake(&lease.waiting, UINT32_MAX);
    posix_lock_release(&lease.lock);
    tell_all();
}

void device_configure(void)
{
    posix_lock_acquire(&lease.lock);
    bool is_known = lease.is_known;
    bool is_off = lease.is_off;
    ip4_addr_t address = lease.address;
    ip4_addr_t mask = lease.mask;
    ip4_addr_t gateway = lease.gateway;
    posix_lock_release(&lease.lock);
    if (is_known && posix_core() != 0) { /* the first core has the lease itself, or has lost it */
        netif_set_addr(&ethernet, &address, &mask, &gateway);
    }
    if (is_off || !queue_link_is_up()) {
        netif_set_link_down(&ethernet);
    } else {
        netif_set_link_up(&ethernet); /* and says on it who is here */
    }
}

/* @impl ATL-LLR-NET-1152~1 */
void device_link_changes(void)
{
    device_configure();
    tell_all();
}

/* A cable that is pulled changes no route, as on Linux: what is sent is lost, and may come through
 * when it is sent again. */
struct netif *device_route_without_link(bool is_6)
{
    if (netif_is_link_up(&ethernet) || !netif_is_up(&ethernet) ||
        (!is_6 && ip4_addr_isany_val(*netif_ip4_addr(&ethernet)))) {
        return NULL;
    }
    posix_lock_acquire(&lease.lock);
    bool is_off = lease.is_off;
    posix_lock_release(&lease.lock);
    return is_off ? NULL : &ethernet;
}

/* @impl ATL-LLR-NET-0941~1 */
void device_fails(bool is_off)
{
    posix_lock_acquire(&lease.lock);
    bool is_known = lease.is_off; /* another core has said so */
    lease.is_off |= is_off;
    posix_lock_release(&lease.lock);
    if (is_off) {
        netif_set_link_down(&ethernet);
        tell_all();
    }
    if (!is_known) {
        posix_report(is_off ? "the network device broke the rules of virtio too often: it is off"
                            : "the network device broke a rule of virtio and was started again");
    }
}

/* @impl ATL-LLR-POSIX-0909~1 @impl ATL-LLR-NET-0865~1 */
void device_start(void)
{
    if (posix_info.port_queues == 0) {
        return;
    }
    queue_start();
    netif_add(&ethernet, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4, NULL, initialize,
              ethernet_input);
    netif_set_default(&ethernet);
    if (queue_link_is_up()) {
        netif_set_link_up(&ethernet);
    }
    netif_set_up(&ethernet);
    netif_create_ip6_linklocal_address(&ethernet, 1);
    ethernet.ip6_autoconfig_enabled = 1;
    const struct net_setting *setting = net_setting();
    if (posix_core() == 0) {
        netif_set_status_callback(&ethernet, on_status);
    }
    if (setting != NULL) {
        set_addresses(setting);
    } else if (posix_core() == 0) {
        dhcp_start(&ethernet);
    } else {
        device_configure();
    }
}

bool device_has_address(uint32_t address)
{
    posix_lock_acquire(&lease.lock);
    bool is_ours = lease.is_known && lease.address.addr == address;
    posix_lock_release(&lease.lock);
    return is_ours;
}

bool device_wait(uint64_t deadline_ns)
{
    int64_t result = 0;
    posix_lock_acquire(&lease.lock);
    while (posix_info.port_queues != 0 && !lease.is_known && result == 0) {
        result = posix_wait(&lease.waiting, &lease.lock, deadline_ns);
        posix_lock_acquire(&lease.lock);
    }
    posix_lock_release(&lease.lock);
    return result == 0;
}

size_t device_name_servers(char *text, size_t bytes_max)
{
    static const char prefix[] = "nameserver ";
    size_t bytes = 0;
    posix_lock_acquire(&lease.lock);
    for (uint32_t i = 0; i < DNS_MAX_SERVERS && lease.is_known; i++) {
        size_t room = bytes_max - bytes;
        if (ip_addr_isany_val(lease.servers[i]) || room < sizeof(prefix) + IPADDR_STRLEN_MAX + 1) {
            continue;
        }
        __builtin_memcpy(text + bytes, prefix, sizeof(prefix) - 1);
        bytes += sizeof(prefix) - 1;
        ipaddr_ntoa_r(&lease.servers[i], text + bytes, IPADDR_STRLEN_MAX);
        bytes += __builtin_strlen(text + bytes);
        text[bytes++] = '\n';
    }
    posix_lock_release(&lease.lock);
    return bytes;
}
