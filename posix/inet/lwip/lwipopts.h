/* SPDX-License-Identifier: Apache-2.0 */
/* How lwIP is built for posix/: its core with the callback interface, one instance on each core,
 * whose memory comes from posix/'s heap. What is not named here is as lwIP's opt.h has it. */
#ifndef POSIX_INET_LWIPOPTS_H
#define POSIX_INET_LWIPOPTS_H

/* An instance runs on one core, by one thread at a time (inet/stack.c): nothing to protect. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_TIMERS_CUSTOM 1 /* timers.c */
#define LWIP_ASSERT_CORE_LOCKED() ((void)0)

/* Memory: nothing is set aside; sockets and packets take what they need. */
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEMP_OVERFLOW_CHECK 0
#define LWIP_SUPPORT_CUSTOM_PBUF 1

/* Protocols */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define LWIP_ICMP 1
#define LWIP_RAW 1 /* raw_input is whole.c's; there are no raw sockets */
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DHCP 1
#define LWIP_ACD 0
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DNS 1 /* keeps the servers that DHCP names; libraries of C ask them themselves */
#define DNS_MAX_SERVERS 3
#define LWIP_IGMP 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_FORWARD 0
#define IPV6_FRAG_COPYHEADER 1
#define IP_FORWARD 0
#define LWIP_ND6_ALLOW_RA_UPDATES 1
#define IP_DEFAULT_TTL 64
#define IP_REASS_MAX_PBUFS 128
/* Neighbours that a core knows at a time, nearly as many as Linux's gc_thresh1.
 * @impl ATL-LLR-NET-0861~1 */
#define ARP_TABLE_SIZE 120
#define LWIP_ND6_NUM_NEIGHBORS 120
#define LWIP_ND6_NUM_DESTINATIONS 120
#define ARP_QUEUEING 1
/* Packets until a neighbour's address is known, as many as Linux's.
 * @impl ATL-LLR-NET-0830~1 */
#define ARP_QUEUE_LEN 101
#define ETHARP_TRUST_IP_MAC 0
#define LWIP_MULTICAST_PING 0

/* TCP: windows of 256 KiB by window scaling, lost segments named by SACK. */
#define TCP_MSS 8960 /* at most; an interface has its own */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 3
#define TCP_WND (256 * 1024)
#define TCP_SND_BUF (256 * 1024)
#define TCP_SND_QUEUELEN (4 * TCP_SND_BUF / TCP_MSS)
#define TCP_SNDLOWAT 16384
#define LWIP_TCP_RTO_TIME 1000 /* RFC 6298 */
#define TCP_SNDQUEUELOWAT (TCP_SND_QUEUELEN / 2)
#define TCP_OVERSIZE 0 /* nothing is copied that could grow */
#define LWIP_TCP_SACK_OUT 1
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES TCP_WND
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1
#define TCP_TMR_INTERVAL 40 /* ms: how long an acknowledgement waits, as Linux's */
#define TCP_MSL 30000ul     /* a port waits a minute, as Linux's */
#define MEMP_NUM_TCP_PCB 65535
#define LWIP_TCP_PCB_NUM_EXT_ARGS 1 /* who is told that a connection is gone */
#define LWIP_MULTICAST_TX_OPTIONS 1

/* Interfaces: inet/interface.c has the loopback of all cores, so lwIP's own is not built. */
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_HAVE_LOOPIF 0
#define LWIP_SINGLE_NETIF 0
#define LWIP_NETIF_API 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM net_checksum
#define ETH_PAD_SIZE 0

#define MEM_CUSTOM_ALLOCATOR 1
#define MEM_CUSTOM_MALLOC net_memory_allocate_buffer
#define MEM_CUSTOM_CALLOC net_memory_allocate_zeroed
#define MEM_CUSTOM_FREE net_memory_free

#define LWIP_HOOK_FILENAME "lwip_hooks.h"
#define LWIP_HOOK_IP4_ROUTE_SRC(source, destination) net_route_4(source, destination)
#define LWIP_HOOK_IP6_ROUTE(source, destination) net_route_6(source, destination)
#define LWIP_HOOK_ND6_GET_GW(interface, destination) net_gateway_6(interface)
#define LWIP_HOOK_TCP_INPACKET_PCB(pcb, header, option_bytes, first_bytes, second, packet)         \
    ((pcb)->state == LISTEN      ? net_listener_reached(pcb)                                       \
     : (pcb)->state == TIME_WAIT ? net_ended_reached(pcb, header, option_bytes, packet)            \
                                 : ERR_OK)
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port)                                  \
    net_initial_sequence(local, local_port, remote, remote_port)

#endif
