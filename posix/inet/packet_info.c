/* SPDX-License-Identifier: Apache-2.0 */
/* IP_PKTINFO and IPV6_PKTINFO: to which of the machine's addresses a datagram came, and from which
 * one is to leave. */
#include "packet_info.h"

#include "abi.h"

#include <lwip/ip.h>
#include <lwip/netif.h>

struct linux_in_pktinfo {
    int32_t interface;
    uint32_t own, address; /* own: where an answer comes from; address: of the packet */
};

struct linux_in6_pktinfo {
    uint32_t address[4];
    int32_t interface;
};
_Static_assert(sizeof(struct linux_in6_pktinfo) <= SOCKET_ENTRY_BYTES_MAX, "one entry");

void packet_info_note(struct packet_info *info)
{
    info->to = *ip_current_dest_addr();
    info->interface = netif_get_index(ip_current_input_netif());
    info->own = 0;
    if (IP_IS_V4(&info->to)) {
        bool is_group = ip_addr_ismulticast(&info->to);
        info->own =
            is_group ? netif_ip4_addr(ip_current_input_netif())->addr : ip_2_ip4(&info->to)->addr;
    }
}

/* @impl ATL-LLR-POSIX-1033~1 */
void packet_info_store(const struct inet_socket *socket, const struct packet_info *info,
                       struct socket_message *message)
{
    const struct inet_settings *settings = &socket->settings;
    struct socket_entry *entry = &message->entry;
    bool is_4 = IP_IS_V4(&info->to);
    if (settings->packet_info_6 != 0) {
        struct linux_in6_pktinfo six = {.interface = info->interface};
        if (is_4) {
            six.address[2] = IN6_MAPPED;
            six.address[3] = ip_2_ip4(&info->to)->addr;
        } else {
            __builtin_memcpy(six.address, ip_2_ip6(&info->to)->addr, sizeof(six.address));
        }
        *entry = (struct socket_entry){
            .level = IPPROTO_IPV6, .type = IPV6_PKTINFO, .bytes = sizeof(six)};
        __builtin_memcpy(entry->data, &six, sizeof(six));
    } else if (settings->packet_info != 0 && is_4) {
        struct linux_in_pktinfo four = {info->interface, info->own, ip_2_ip4(&info->to)->addr};
        *entry =
            (struct socket_entry){.level = IPPROTO_IP, .type = IP_PKTINFO, .bytes = sizeof(four)};
        __builtin_memcpy(entry->data, &four, sizeof(four));
    }
}

/* The source that one entry names; none: left as it is. */
static int64_t load_entry(const struct linux_cmsghdr *header, const uint8_t *data,
                          ip_addr_t *source)
{
    uint64_t bytes = header->bytes - sizeof(*header);
    if (header->level == (int32_t)IPPROTO_IP && header->type == (int32_t)IP_PKTINFO) {
        struct linux_in_pktinfo four;
        if (bytes != sizeof(four)) {
            return -EINVAL;
        }
        __builtin_memcpy(&four, data, sizeof(four));
        ip_addr_set_ip4_u32(source, four.own);
    } else if (header->level == (int32_t)IPPROTO_IPV6 && header->type == (int32_t)IPV6_PKTINFO) {
        struct linux_in6_pktinfo six;
        if (bytes < sizeof(six)) {
            return -EINVAL;
        }
        __builtin_memcpy(&six, data, sizeof(six));
        bool is_4 = six.address[0] == 0 && six.address[1] == 0 && six.address[2] == IN6_MAPPED;
        ip_addr_t address =
            IPADDR6_INIT(six.address[0], six.address[1], six.address[2], six.address[3]);
        if (is_4) {
            ip_addr_set_ip4_u32(source, six.address[3]);
        } else {
            *source = address;
        }
    } else {
        return header->level == SOL_SOCKET ? 0 : -EINVAL;
    }
    return 0;
}

/* @impl ATL-LLR-POSIX-1033~1 */
int64_t packet_info_load(const struct socket_message *message, ip_addr_t *source)
{
    uint64_t at = 0;
    ip_addr_set_zero_ip4(source);
    while (message->control_bytes - at >= sizeof(struct linux_cmsghdr)) {
        struct linux_cmsghdr header;
        __builtin_memcpy(&header, message->control + at, sizeof(header));
        if (header.bytes < sizeof(header) || header.bytes > message->control_bytes - at) {
            return -EINVAL;
        }
        int64_t result = load_entry(&header, message->control + at + sizeof(header), source);
        if (result < 0) {
            return result;
        }
        uint64_t left = message->control_bytes - at;
        at += CMSG_ALIGN(header.bytes) < left ? CMSG_ALIGN(header.bytes) : left;
    }
    return 0;
}
