/* SPDX-License-Identifier: Apache-2.0 */
/* Which core has a port: see stack.h. What is sent to any of the machine's addresses finds its
 * core by the port alone, the same on the loopback and from a device. */
#include "stack.h"

#include <posix/memory.h>

#define PORT_COUNT 65536u
#define EPHEMERAL_FIRST 32768u /* as Linux's ip_local_port_range */
#define EPHEMERAL_END 61000u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define PROTOCOL_ICMP6 58u
#define PORTS_BYTES 4u
#define TCP_FLAGS 13u
#define FLAG_SYN 2u
#define FLAG_ACK 16u
#define ICMP_HEADER_BYTES 8u
#define ICMP_UNREACHABLE 3u
#define ICMP_PORT 3u
#define ICMP6_UNREACHABLE 1u
#define ICMP6_PORT 4u

/* Core + 1; above them: a group; 0: nobody named it. */
static _Atomic uint8_t named[NET_PROTOCOLS][PORT_COUNT];
_Static_assert(NET_CORES_MAX + NET_GROUPS_MAX <= UINT8_MAX, "names");
static PERCORE uint32_t next_ephemeral[NET_PROTOCOLS]; /* 0: draw where to begin */

uint32_t net_port_core(enum net_protocol protocol, uint16_t port)
{
    uint8_t name = atomic_load_explicit(&named[protocol][port], memory_order_acquire);
    if (name > NET_CORES_MAX) {
        return net_group_home(protocol, port);
    }
    return name != 0 ? name - 1u : port % posix_info.core_count;
}

struct net_group *net_port_group(enum net_protocol protocol, uint16_t port)
{
    uint8_t name = atomic_load_explicit(&named[protocol][port], memory_order_acquire);
    return name > NET_CORES_MAX ? net_group_numbered(name - NET_CORES_MAX - 1u) : NULL;
}

void net_port_share(enum net_protocol protocol, uint16_t port, uint32_t number)
{
    atomic_store_explicit(&named[protocol][port], (uint8_t)(NET_CORES_MAX + 1u + number),
                          memory_order_release);
}

void net_port_return(enum net_protocol protocol, uint16_t port, uint32_t home)
{
    atomic_store_explicit(&named[protocol][port], (uint8_t)(home + 1), memory_order_release);
}

/* @impl ATL-LLR-POSIX-0903~1 */
uint32_t net_port_claim(enum net_protocol protocol, uint16_t port, uint32_t core)
{
    uint8_t expected = 0;
    return atomic_compare_exchange_strong(&named[protocol][port], &expected, (uint8_t)(core + 1))
               ? core
               : net_port_core(protocol, port);
}

/* @impl ATL-LLR-POSIX-0903~1 */
uint16_t net_port_ephemeral(enum net_protocol protocol, uint32_t core)
{
    uint32_t port = next_ephemeral[protocol];
    if (port == 0) {
        port =
            EPHEMERAL_FIRST + (uint32_t)(posix_memory_random() % (EPHEMERAL_END - EPHEMERAL_FIRST));
    }
    do {
        port = port + 1 < EPHEMERAL_END ? port + 1 : EPHEMERAL_FIRST;
    } while (net_port_core(protocol, (uint16_t)port) != core);
    next_ephemeral[protocol] = port;
    return (uint16_t)port;
}

/* Of the packet inside an ICMP error, the source is who hears of it. */
struct transport {
    uint8_t protocol;
    const uint8_t *source, *destination;
    uint32_t address_bytes;
    const uint8_t *header;
    size_t bytes;
};

/* Finds what is behind the IP header. False: a fragment, or none. */
static bool find_transport(const uint8_t *packet, size_t bytes, struct transport *transport)
{
    size_t header_bytes = 0;
    if (bytes >= 20 && packet[0] >> 4 == 4) {
        header_bytes = (packet[0] & 15u) * 4u;
        *transport = (struct transport){packet[9], packet + 12, packet + 16, 4, NULL, 0};
        if (((packet[6] & 0x3fu) | packet[7]) != 0) {
            return false;
        }
    } else if (bytes >= 40 && packet[0] >> 4 == 6) {
        header_bytes = 40;
        *transport = (struct transport){packet[6], packet + 8, packet + 24, 16, NULL, 0};
    }
    if (header_bytes == 0 || header_bytes + PORTS_BYTES > bytes) {
        return false;
    }
    transport->header = packet + header_bytes;
    transport->bytes = bytes - header_bytes;
    return true;
}

/* As net_port_unreachable, of a packet of which this is known. */
static bool is_unreachable(const struct transport *outer, struct net_unreachable *error)
{
    struct transport inner;
    bool is_4 = outer->protocol == PROTOCOL_ICMP;
    if ((!is_4 && outer->protocol != PROTOCOL_ICMP6) || outer->bytes < ICMP_HEADER_BYTES ||
        outer->header[0] != (is_4 ? ICMP_UNREACHABLE : ICMP6_UNREACHABLE) ||
        !find_transport(outer->header + ICMP_HEADER_BYTES, outer->bytes - ICMP_HEADER_BYTES,
                        &inner)) {
        return false;
    }
    error->protocol = inner.protocol;
    error->is_port = outer->header[1] == (is_4 ? ICMP_PORT : ICMP6_PORT);
    error->source_port = (uint16_t)(inner.header[0] << 8 | inner.header[1]);
    error->destination_port = (uint16_t)(inner.header[2] << 8 | inner.header[3]);
    error->destination = inner.destination;
    error->address_bytes = inner.address_bytes;
    return true;
}

bool net_port_unreachable(const uint8_t *packet, size_t bytes, struct net_unreachable *error)
{
    struct transport outer;
    return find_transport(packet, bytes, &outer) && is_unreachable(&outer, error);
}

bool net_port_segment(const uint8_t *packet, size_t bytes, struct net_segment *segment)
{
    struct transport transport;
    if (!find_transport(packet, bytes, &transport) || transport.protocol != PROTOCOL_TCP ||
        transport.bytes <= TCP_FLAGS) {
        return false;
    }
    const uint8_t *header = transport.header;
    *segment = (struct net_segment){
        .peer = {transport.source, transport.address_bytes, (uint16_t)(header[0] << 8 | header[1])},
        .own = transport.destination,
        .port = (uint16_t)(header[2] << 8 | header[3]),
        .is_opening = (header[TCP_FLAGS] & (FLAG_SYN | FLAG_ACK)) == FLAG_SYN,
    };
    return true;
}

/* @impl ATL-LLR-NET-0942~1 */
bool net_port_is_shared_datagram(const uint8_t *packet, size_t bytes)
{
    struct transport transport;
    if (!find_transport(packet, bytes, &transport) || transport.protocol != PROTOCOL_UDP) {
        return false;
    }
    uint16_t port = (uint16_t)(transport.header[2] << 8 | transport.header[3]);
    return net_port_group(NET_UDP, port) != NULL;
}

static uint32_t core_of(uint8_t protocol, uint16_t port, const struct net_peer *peer, uint32_t here)
{
    if (protocol != PROTOCOL_UDP && protocol != PROTOCOL_TCP) {
        return here;
    }
    enum net_protocol kind = protocol == PROTOCOL_UDP ? NET_UDP : NET_TCP;
    struct net_group *group = net_port_group(kind, port);
    uint32_t core = group != NULL ? net_group_core(group, peer) : here;
    atomic_thread_fence(memory_order_acquire);
    bool is_of_group = group != NULL && group == net_port_group(kind, port); /* still */
    return is_of_group ? core : net_port_core(kind, port);
}

/* @impl ATL-LLR-POSIX-0903~1 */
uint32_t net_port_steer(const uint8_t *packet, size_t bytes, uint32_t here)
{
    struct net_unreachable error;
    struct transport transport;
    if (!find_transport(packet, bytes, &transport)) {
        return 0; /* all pieces of a packet meet there */
    }
    if (is_unreachable(&transport, &error)) {
        struct net_peer peer = {error.destination, error.address_bytes, error.destination_port};
        return core_of(error.protocol, error.source_port, &peer, here);
    }
    const uint8_t *header = transport.header;
    struct net_peer peer = {transport.source, transport.address_bytes,
                            (uint16_t)(header[0] << 8 | header[1])};
    return core_of(transport.protocol, (uint16_t)(header[2] << 8 | header[3]), &peer, here);
}
