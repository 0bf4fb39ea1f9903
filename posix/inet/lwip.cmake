# SPDX-License-Identifier: Apache-2.0
# lwIP, whose source is at ATOLL_LWIP_SOURCE: ./atoll gives Debian's source package, which apt fetches
# and checks once (tools/atoll/debian.py). Sets LWIP_SOURCE, empty without one, and LWIP_FILES: what
# posix/ builds of it.
set(ATOLL_LWIP_SOURCE "" CACHE PATH "lwIP 2.2's source; empty: nothing that needs it is built")
set(LWIP_SOURCE "${ATOLL_LWIP_SOURCE}")
if(NOT LWIP_SOURCE)
    return()
endif()
file(STRINGS ${LWIP_SOURCE}/src/include/lwip/init.h LWIP_VERSION
    REGEX "LWIP_VERSION_M(AJ|IN)OR +[0-9]")
string(REGEX REPLACE "[^0-9;]" "" LWIP_VERSION "${LWIP_VERSION}")
if(NOT LWIP_VERSION STREQUAL "2;2")
    message(FATAL_ERROR "ATOLL_LWIP_SOURCE: ${LWIP_SOURCE} is not lwIP 2.2 but ${LWIP_VERSION}")
endif()

set(LWIP_FILES)
foreach(name
        core/init core/def core/dns core/inet_chksum core/ip core/mem core/memp core/netif core/pbuf
        core/tcp core/tcp_in core/tcp_out core/udp
        core/ipv4/dhcp core/ipv4/etharp core/ipv4/icmp core/ipv4/ip4 core/ipv4/ip4_addr
        core/ipv4/igmp
        core/ipv4/ip4_frag core/ipv6/mld6 core/ipv6/ethip6 core/ipv6/icmp6 core/ipv6/inet6 core/ipv6/ip6
        core/ipv6/ip6_addr core/ipv6/ip6_frag core/ipv6/nd6 netif/ethernet)
    list(APPEND LWIP_FILES ${LWIP_SOURCE}/src/${name}.c)
endforeach()
