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
#define TCP_QUICKACK 12u
#define TCP_USER_TIMEOUT 18u
#define IP_TOS 1u
#define IP_TTL 2u
#define IP_MTU_DISCOVER 10u
#define IP_RECVERR 11u
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
#define IPV6_TCLASS 67u

#define FIONREAD 0x541bu
#define TIOCOUTQ 0x5411u

#endif
