/* SPDX-License-Identifier: Apache-2.0 */
/* Which core has a port, and packets of any kind and length on the way to it. */
#include "check.h"
#include "machine.h"
#include "stack.h"

#include <lwip/priv/tcp_priv.h>

#include <posix/memory.h>
#include <stdlib.h>
#include <string.h>

#define HERE 1u
#define PACKET_BYTES 128

uint64_t posix_memory_random(void)
{
    return 0x1234567890abcdefull;
}

/* The connections and listeners of the one core that is looked at, and which one that is. */
struct tcp_pcb *tcp_active_pcbs, *tcp_tw_pcbs;
union tcp_listen_pcbs_t tcp_listen_pcbs;
static uint32_t here = HERE;

uint32_t posix_core(void)
{
    return here;
}

void posix_lock_acquire(struct posix_lock *lock)
{
    (void)lock;
}

void posix_lock_release(struct posix_lock *lock)
{
    (void)lock;
}

static struct tcp_pcb *connections_of[CORES];

int64_t net_stack_start(uint32_t core)
{
    return core < CORES ? 0 : -1;
}

void net_call(uint32_t core, void (*run)(void *argument), void *argument)
{
    uint32_t caller = here;
    here = core;
    tcp_active_pcbs = connections_of[core];
    run(argument);
    tcp_active_pcbs = NULL;
    here = caller;
}

/* Heap memory of exactly the packet: what lies behind it is a sanitizer's finding. */
static uint32_t steer(const uint8_t *packet, size_t bytes)
{
    uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
    struct net_unreachable error;
    memcpy(copy, packet, bytes);
    uint32_t core = net_port_steer(copy, bytes, HERE);
    (void)net_port_unreachable(copy, bytes, &error);
    (void)net_group_pass_on(copy, bytes, 0);
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

/* ---- a port that cores share */

#define SHARED_PORT 9000
#define PEERS 3000u

/* A segment of a peer to the port. */
static void make_segment(uint8_t *packet, uint32_t peer, uint8_t flags)
{
    make_4(packet, 6, (uint16_t)(1024 + peer % 50000), SHARED_PORT);
    packet[12] = 10;
    packet[15] = (uint8_t)peer;
    packet[16] = 10;
    packet[33] = flags;
}

static void count(uint32_t *of, uint8_t *cores)
{
    uint8_t packet[PACKET_BYTES];
    memset(of, 0, CORES * sizeof(*of));
    for (uint32_t peer = 0; peer < PEERS; peer++) {
        make_segment(packet, peer, 16);
        uint32_t core = net_port_steer(packet, 40, HERE);
        of[core]++;
        cores[peer] = (uint8_t)core;
    }
}

// @verifies ATL-LLR-POSIX-0980~1
TEST(peers_are_dealt_among_who_listens)
{
    uint32_t of[CORES];
    static uint8_t first[PEERS], second[PEERS];
    CHECK(net_port_claim(NET_TCP, SHARED_PORT, 2) == 2);
    CHECK(net_port_group(NET_TCP, SHARED_PORT) == NULL);
    CHECK(net_group_make(NET_TCP, SHARED_PORT, 2, false) &&
          net_group_make(NET_TCP, SHARED_PORT, 2, false));
    count(of, first);
    CHECK(of[2] == PEERS && net_port_core(NET_TCP, SHARED_PORT) == 2);
    CHECK(net_port_claim(NET_TCP, SHARED_PORT, 0) == 2);
    for (uint32_t core = 0; core < CORES; core++) {
        CHECK(net_group_join(NET_TCP, SHARED_PORT, 2, core));
    }
    count(of, first);
    for (uint32_t core = 0; core < CORES; core++) {
        CHECK(of[core] > PEERS / CORES / 2 && of[core] < PEERS / CORES * 2);
    }
    count(of, second);
    CHECK(memcmp(first, second, sizeof(first)) == 0);
    CHECK(net_group_join(NET_TCP, SHARED_PORT, 2, 1));
    net_group_leave(NET_TCP, SHARED_PORT, 1); /* it has another */
    count(of, second);
    CHECK(memcmp(first, second, sizeof(first)) == 0);
    net_group_leave(NET_TCP, SHARED_PORT, 1);
    count(of, second);
    CHECK(of[1] == 0 && of[0] > 0 && of[2] > 0);
    net_group_leave(NET_TCP, SHARED_PORT, 0);
    net_group_leave(NET_TCP, SHARED_PORT, 2);
    count(of, second);
    CHECK(of[2] == PEERS);
}

// @verifies ATL-LLR-POSIX-0980~1
/* An error about what was sent to a peer goes where the peer's segments go. */
TEST(errors_find_the_core_of_their_peer)
{
    uint8_t packet[PACKET_BYTES], error[PACKET_BYTES];
    CHECK(net_group_join(NET_TCP, SHARED_PORT, 2, 0));
    CHECK(net_group_join(NET_TCP, SHARED_PORT, 2, 1));
    for (uint32_t peer = 0; peer < 100; peer++) {
        make_segment(packet, peer, 16);
        make_4(error, 1, 0, 0);
        error[20] = 3;
        make_4(error + 28, 6, SHARED_PORT, (uint16_t)(1024 + peer));
        memcpy(error + 28 + 16, packet + 12, 4);
        CHECK(steer(error, 56) == steer(packet, 40));
    }
    net_group_leave(NET_TCP, SHARED_PORT, 0);
    net_group_leave(NET_TCP, SHARED_PORT, 1);
}

// @verifies ATL-LLR-POSIX-0982~1 @robust
TEST(what_a_core_does_not_know_is_passed_on)
{
    struct tcp_pcb_listen listening = {.local_port = SHARED_PORT, .state = LISTEN};
    struct tcp_pcb connection = {.local_port = SHARED_PORT, .remote_port = 1031};
    uint8_t opening[PACKET_BYTES], later[PACKET_BYTES];
    CHECK(net_port_claim(NET_TCP, SHARED_PORT + 1, 0) == 0 &&
          net_group_make(NET_TCP, SHARED_PORT + 1, 0, false));
    make_segment(opening, 7, 2);
    make_segment(later, 7, 16);
    put_port(opening + 22, SHARED_PORT + 1);
    put_port(later + 22, SHARED_PORT + 1);
    listening.local_port = connection.local_port = SHARED_PORT + 1;
    here = HERE;
    CHECK(net_group_pass_on(later, 40, 0) == HERE); /* nobody has moved */
    ip_addr_set_ip4_u32(&listening.local_ip, 0);
    tcp_listen_pcbs.listen_pcbs = &listening;
    CHECK(net_group_pass_on(opening, 40, 0) == HERE);
    ip_addr_set_ip4_u32(&listening.local_ip, PP_HTONL(0x7f000001)); /* another address */
    CHECK(net_group_pass_on(opening, 40, 0) == HERE + 1);
    CHECK(net_group_pass_on(opening, 40, CORES - 1) == HERE);
    CHECK(net_group_pass_on(later, 40, 0) == HERE + 1); /* now it may be there */
    here = CORES - 1;
    CHECK(net_group_pass_on(later, 40, 0) == 0);
    here = HERE;
    ip_addr_set_ip4_u32(&connection.remote_ip, PP_HTONL(0x0a000007));
    tcp_active_pcbs = &connection;
    CHECK(net_group_pass_on(later, 40, 0) == HERE);
    tcp_active_pcbs = NULL;
    tcp_tw_pcbs = &connection;
    CHECK(net_group_pass_on(later, 40, 0) == HERE);
    connection.remote_port++;
    CHECK(net_group_pass_on(later, 40, 0) == HERE + 1);
    tcp_tw_pcbs = NULL;
    tcp_listen_pcbs.listen_pcbs = NULL;
    put_port(later + 22, SHARED_PORT + 2); /* a port of one core */
    CHECK(net_group_pass_on(later, 40, 0) == HERE);
}

// @verifies ATL-LLR-NET-0840~1
TEST(a_connection_is_where_its_first_packet_came)
{
    const uint16_t port = SHARED_PORT + 3;
    struct tcp_pcb_listen listening = {.local_port = port, .state = LISTEN};
    struct tcp_pcb connection = {.local_port = port, .remote_port = 1024 + 7};
    uint8_t opening[PACKET_BYTES], later[PACKET_BYTES];
    CHECK(net_port_claim(NET_TCP, port, 0) == 0 && net_group_make(NET_TCP, port, 0, false));
    make_segment(opening, 7, 2);
    make_segment(later, 7, 16);
    put_port(opening + 22, port);
    put_port(later + 22, port);
    ip_addr_set_ip4_u32(&connection.remote_ip, PP_HTONL(0x0a000007));
    here = HERE;
    CHECK(!net_group_keeps(0, opening, 40)); /* nobody listens here */
    tcp_listen_pcbs.listen_pcbs = &listening;
    machine_has_queues(CORES - 1);
    CHECK(!net_group_keeps(0, opening, 40)); /* not each core has a queue */
    machine_has_queues(CORES);
    CHECK(!net_group_keeps(0, later, 40));
    CHECK(net_group_keeps(0, opening, 40)); /* though its hash says core 0 */
    CHECK(!net_group_keeps(0, later, 40) && net_group_pass_on(later, 40, 0) == HERE + 1);
    tcp_active_pcbs = &connection;
    CHECK(net_group_keeps(0, later, 40) && net_group_pass_on(later, 40, 0) == HERE);
    tcp_active_pcbs = NULL;
    tcp_listen_pcbs.listen_pcbs = NULL;
    put_port(opening + 22, SHARED_PORT + 2); /* a port of one core */
    CHECK(!net_group_keeps(0, opening, 40) && !net_group_keeps(0, opening, 10));
    machine_has_queues(0);
}

// @verifies ATL-LLR-POSIX-0980~1 @robust
TEST(there_are_only_so_many)
{
    uint16_t port = 20000;
    while (net_group_make(NET_TCP, port, 0, false)) {
        port++;
        CHECK(port < 21000);
    }
    CHECK(net_port_group(NET_TCP, port) == NULL && net_port_core(NET_TCP, port) == port % CORES);
    CHECK(net_port_core(NET_TCP, 20000) == 0 && net_group_make(NET_TCP, 20000, 0, false));
}

/* Follows the test before: all places are taken.
 * @verifies ATL-LLR-NET-1410~1 @robust */
TEST(those_of_no_use_make_room)
{
    struct tcp_pcb elsewhere = {.local_port = 20001, .state = ESTABLISHED};
    struct tcp_pcb at_home = {.local_port = 20002, .state = ESTABLISHED};
    CHECK(!net_group_join(NET_UDP, 19999, 0, 1));
    CHECK(net_group_join(NET_TCP, 20000, 0, 1));
    connections_of[HERE] = &elsewhere;
    connections_of[0] = &at_home;
    net_group_make_room();
    CHECK(net_port_group(NET_TCP, 20000) != NULL && net_port_group(NET_TCP, 20001) != NULL);
    CHECK(net_port_group(NET_TCP, 20002) == NULL && net_port_group(NET_TCP, 20003) == NULL);
    CHECK(net_port_core(NET_TCP, 20002) == 0 && net_port_claim(NET_TCP, 20002, 1) == 0);
    CHECK(net_group_join(NET_UDP, 19999, 0, 1)); /* also one that was not made before */
    CHECK(net_group_is_elsewhere(NET_UDP, 19999, 0));
    for (uint16_t port = 20000; net_group_make(NET_TCP, port, 0, false); port++) {
        CHECK(port < 21000);
    }
    connections_of[HERE] = connections_of[0] = NULL;
    net_group_leave(NET_TCP, 20000, 1);
    net_group_make_room();
    CHECK(net_port_group(NET_UDP, 19999) != NULL && net_port_group(NET_TCP, 20000) == NULL);
    CHECK(net_port_group(NET_TCP, 20001) == NULL);
    net_group_leave(NET_UDP, 19999, 1);
    net_group_make_room(); /* there is room */
    CHECK(net_port_group(NET_UDP, 19999) != NULL);
}

CHECK_MAIN()
