/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and structures of Linux's IP sockets, x86-64. */
#ifndef POSIX_INET_ABI_H
#define POSIX_INET_ABI_H

#include <stdint.h>

#define IPPROTO_IP 0u
#define IPPROTO_TCP 6u
#define IPPROTO_UDP 17u
#define IPPROTO_IPV6 41u

struct linux_sockaddr_in {
    uint16_t family, port;
    uint32_t address;
    uint64_t zero;
};
_Static_assert(sizeof(struct linux_sockaddr_in) == 16, "struct sockaddr_in");

struct linux_sockaddr_in6 {
    uint16_t family, port;
    uint32_t flow;
    uint32_t address[4];
    uint32_t scope;
};
_Static_assert(sizeof(struct linux_sockaddr_in6) == 28, "struct sockaddr_in6");
#define SOCKADDR_IN6_BYTES_MIN 24u                /* without the scope, as RFC 2133 had it */
#define IN6_MAPPED __builtin_bswap32(0x0000ffffu) /* third word of ::ffff:a.b.c.d */

#define TCP_NODELAY 1u
#define TCP_MAXSEG 2u
#define TCP_CORK 3u
#define TCP_KEEPIDLE 4u
#define TCP_KEEPINTVL 5u
#define TCP_KEEPCNT 6u
#define TCP_DEFER_ACCEPT 9u
#define TCP_INFO 11u
#define TCP_QUICKACK 12u
#define TCP_CONGESTION 13u
#define TCP_USER_TIMEOUT 18u
#define IP_TOS 1u
#define IP_TTL 2u
#define IP_MTU_DISCOVER 10u
#define IP_RECVERR 11u
#define IP_PKTINFO 8u
#define IP_MULTICAST_IF 32u
#define IP_MULTICAST_TTL 33u
#define IP_MULTICAST_LOOP 34u
#define IP_ADD_MEMBERSHIP 35u
#define IP_DROP_MEMBERSHIP 36u
#define IP_MULTICAST_ALL 49u
#define IP_MREQ_BYTES 8u /* struct ip_mreq */
#define IPV6_UNICAST_HOPS 16u
#define IPV6_MULTICAST_IF 17u
#define IPV6_MULTICAST_HOPS 18u
#define IPV6_MULTICAST_LOOP 19u
#define IPV6_JOIN_GROUP 20u
#define IPV6_LEAVE_GROUP 21u
#define IPV6_RECVERR 25u
#define IPV6_V6ONLY 26u
#define IPV6_RECVPKTINFO 49u
#define IPV6_PKTINFO 50u
#define IPV6_TCLASS 67u

#define TCPI_OPT_SACK 2u
#define TCPI_OPT_WSCALE 4u
struct linux_tcp_info {
    uint8_t state, congestion_state, retransmits, probes, backoff, options, window_scales, limits;
    uint32_t rto_us, ato_us, send_mss, receive_mss;
    uint32_t unacknowledged, sacked, lost, retransmitted, forward_acknowledged;
    uint32_t last_data_sent_ms, last_ack_sent_ms, last_data_received_ms, last_ack_received_ms;
    uint32_t path_mtu, receive_threshold, rtt_us, rtt_variance_us, slow_start_threshold;
    uint32_t congestion_window, advertised_mss, reordering;
    uint32_t receive_rtt_us, receive_space, total_retransmitted;
    uint64_t pacing_rate, pacing_rate_max, bytes_acknowledged, bytes_received;
    uint32_t segments_sent, segments_received, unsent_bytes, rtt_us_min;
    uint32_t data_segments_received, data_segments_sent;
    uint64_t delivery_rate, busy_us, window_limited_us, buffer_limited_us;
    uint32_t delivered, delivered_marked;
    uint64_t bytes_sent, bytes_retransmitted;
    uint32_t duplicates, reorderings, out_of_order, send_window;
};
_Static_assert(sizeof(struct linux_tcp_info) == 232, "struct tcp_info");

/* AF_PACKET */
#define SOL_PACKET 263
#define PACKET_ADD_MEMBERSHIP 1u
#define PACKET_DROP_MEMBERSHIP 2u
#define PACKET_STATISTICS 6u
#define PACKET_IGNORE_OUTGOING 23u
#define PACKET_HOST 0u
#define PACKET_BROADCAST 1u
#define PACKET_MULTICAST 2u
#define PACKET_OTHERHOST 3u
#define PACKET_OUTGOING 4u
#define ETH_P_ALL 3u
#define ARPHRD_ETHER 1u
#define ARPHRD_LOOPBACK 772u
#define ETHERNET_ADDRESS_BYTES 6u
#define ETHERNET_HEADER_BYTES 14u
#define ETHERNET_MTU 1500u

struct linux_sockaddr_ll {
    uint16_t family, protocol;
    int32_t device;
    uint16_t hardware;
    uint8_t kind, address_bytes;
    uint8_t address[8];
};
_Static_assert(sizeof(struct linux_sockaddr_ll) == 20, "struct sockaddr_ll");

struct linux_packet_mreq {
    int32_t device;
    uint16_t kind, address_bytes;
    uint8_t address[8];
};
_Static_assert(sizeof(struct linux_packet_mreq) == 16, "struct packet_mreq");

struct linux_tpacket_stats {
    uint32_t packets, drops;
};

/* Questions to an interface */
#define SIOCGIFNAME 0x8910u
#define SIOCGIFFLAGS 0x8913u
#define SIOCGIFMTU 0x8921u
#define SIOCGIFHWADDR 0x8927u
#define SIOCGIFINDEX 0x8933u
#define INTERFACE_NAME_BYTES 16u
#define INTERFACE_FLAG_RUNNING 0x0040u
#define INTERFACE_FLAGS_LOOPBACK 0x0049u /* up, loopback, running */
#define INTERFACE_FLAGS_ETHERNET 0x1043u /* up, broadcast, running, multicast */
#define LOOPBACK_MTU 65535

struct linux_ifreq {
    char name[INTERFACE_NAME_BYTES];
    union {
        int32_t number;
        uint16_t flags;
        struct {
            uint16_t family;
            uint8_t address[14];
        } hardware;
        uint64_t rest[3];
    };
};
_Static_assert(sizeof(struct linux_ifreq) == 40, "struct ifreq");

#define FIONREAD 0x541bu
#define TIOCOUTQ 0x5411u

#endif
