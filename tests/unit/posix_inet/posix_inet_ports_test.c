/* SPDX-License-Identifier: Apache-2.0 */
/* Which core has a port, and packets of any kind and length on the way to it. */
#include "check.h"
#include "stack.h"

#include <posix/memory.h>
#include <stdlib.h>
#include <string.h>

#define CORES 3u
#define HERE 1u
#define PACKET_BYTES 128

const struct gate_info posix_info = {.core_count = CORES};

uint64_t posix_memory_random(void)
{
    return 0x1234567890abcdefull;
}

/* Heap memory of exactly the packet: what lies behind it is a sanitizer's finding. */
static uint32_t steer(const uint8_t *packet, size_t bytes)
{
    uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
    struct net_unreachable error;
    memcpy(copy, packet, bytes);
    uint32_t core = net_port_steer(copy, bytes, HERE);
    (void)net_port_unreachable(copy, bytes, &error);
    free(copy);
    return core;
}

static void put_port(uint8_t *place, uint16_t port)
{
    place[0] = (uint8_t)(port >> 8);
    place[1] = (uint8_t)port;
}

/* A packet of IPv4 with 20 bytes of header. */
static void make_4(uint8_t *packet, uint8_t protocol, uint16_t from, uint16_t to)
{
    memset(packet, 0, 64);
    packet[0] = 0x45;
    packet[9] = protocol;
    put_port(packet + 20, from);
    put_port(packet + 22, to);
}

static void make_6(uint8_t *packet, uint8_t next, uint16_t from, uint16_t to)
{
    memset(packet, 0, 64);
    packet[0] = 0x60;
    packet[6] = next;
    put_port(packet + 40, from);
    put_port(packet + 42, to);
}

// @verifies ATL-LLR-POSIX-0903~1
TEST(ports_stay)
{
    CHECK(net_port_core(NET_TCP, 8081) == 8081 % CORES);
    CHECK(net_port_claim(NET_TCP, 8080, 2) == 2);
    CHECK(net_port_claim(NET_TCP, 8080, 0) == 2);
    CHECK(net_port_core(NET_TCP, 8080) == 2);
    CHECK(net_port_core(NET_UDP, 8080) == 8080 % CORES); /* another protocol's ports are others */
    for (uint32_t core = 0; core < CORES; core++) {
        for (uint32_t i = 0; i < 30000; i++) { /* once around and further */
            uint16_t port = net_port_ephemeral(NET_UDP, core);
            CHECK(port >= 32768 && port < 61000 && net_port_core(NET_UDP, port) == core);
        }
    }
    CHECK(net_port_claim(NET_UDP, 40000, (40000 + 1) % CORES) == (40000 + 1) % CORES);
    uint16_t first = net_port_ephemeral(NET_UDP, 40000 % CORES);
    uint16_t port = first;
    do { /* a port that another core has is not chosen */
        CHECK(port != 40000);
        port = net_port_ephemeral(NET_UDP, 40000 % CORES);
    } while (port != first);
}

// @verifies ATL-LLR-POSIX-0903~1
TEST(packets)
{
    uint8_t packet[PACKET_BYTES];
    make_4(packet, 6, 1, 8080);
    CHECK(steer(packet, 40) == 2);
    make_4(packet, 17, 1, 5);
    CHECK(steer(packet, 28) == 5 % CORES);
    make_4(packet, 47, 1, 8080); /* a protocol without ports */
    CHECK(steer(packet, 40) == HERE);
    make_4(packet, 6, 1, 8080);
    packet[0] = 0x46; /* with an option */
    put_port(packet + 26, 9);
    CHECK(steer(packet, 44) == 9 % CORES);
    make_4(packet, 17, 1, 5);
    packet[6] = 0x20; /* the first fragment of several */
    CHECK(steer(packet, 40) == 0);
    make_6(packet, 6, 1, 8080);
    CHECK(steer(packet, 60) == 2);
    make_6(packet, 58, 1, 8080);
    CHECK(steer(packet, 60) == HERE);
}

// @verifies ATL-LLR-POSIX-0903~1
/* An ICMP error goes to who sent what it is about. */
TEST(errors)
{
    uint8_t packet[PACKET_BYTES];
    struct net_unreachable error;
    make_4(packet, 1, 0, 0);
    packet[20] = 3; /* destination unreachable */
    packet[21] = 3; /* port */
    make_4(packet + 28, 17, 40001, 53);
    CHECK(net_port_unreachable(packet, 56, &error));
    CHECK(error.protocol == 17 && error.is_port);
    CHECK(error.source_port == 40001 && error.destination_port == 53);
    CHECK(steer(packet, 56) == net_port_core(NET_UDP, 40001));
    packet[21] = 1; /* host */
    CHECK(net_port_unreachable(packet, 56, &error) && !error.is_port);
    packet[20] = 8; /* an echo */
    CHECK(!net_port_unreachable(packet, 56, &error));
    make_6(packet, 58, 0, 0);
    packet[40] = 1;
    packet[41] = 4;
    make_6(packet + 48, 17, 7, 9);
    CHECK(net_port_unreachable(packet, 92, &error) && error.is_port && error.source_port == 7);
}

// @verifies ATL-LLR-POSIX-0903~1 @robust
TEST(any_bytes)
{
    uint8_t packet[PACKET_BYTES];
    make_4(packet, 1, 0, 0);
    packet[20] = 3;
    make_4(packet + 28, 6, 1, 2);
    for (size_t bytes = 0; bytes < 64; bytes++) {
        CHECK(steer(packet, bytes) < CORES);
    }
    srand(1);
    for (uint32_t round = 0; round < 200000; round++) {
        for (size_t i = 0; i < sizeof(packet); i++) {
            packet[i] = (uint8_t)rand();
        }
        packet[0] = (uint8_t)(rand() % 2 != 0 ? 0x40 | (packet[0] & 15) : 0x60);
        CHECK(steer(packet, (size_t)rand() % sizeof(packet)) < CORES);
    }
}

CHECK_MAIN()
