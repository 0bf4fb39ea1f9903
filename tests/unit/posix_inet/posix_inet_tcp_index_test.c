/* SPDX-License-Identifier: Apache-2.0 */
/* A segment's connection becomes the first of lwIP's list. Each pcb has a page of its own, so that
 * a look at one that need not be looked at is a fault. */
#include "check.h"
#include "tcp.h"

#include <lwip/priv/tcp_priv.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define CONNECTIONS 5u
#define OWN_PORT 80u
#define PEER_PORT 5000u
_Static_assert(sizeof(struct tcp_pcb) <= PAGE, "a page for each");

struct tcp_pcb *tcp_active_pcbs;
static struct tcp_pcb *pcbs[CONNECTIONS];
static struct tcp_socket sockets[CONNECTIONS];
static const uint8_t peer_4[4] = {10, 0, 0, 2}, other_4[4] = {10, 0, 0, 3};
static const uint8_t peer_6[16] = {0xfd, [15] = 2};

static void put_in_front(uint32_t i)
{
    pcbs[i]->next = tcp_active_pcbs;
    tcp_active_pcbs = pcbs[i];
}

/* What lwIP knows of a connection of the first peer, established, in front of its list. */
static void connect(uint32_t i)
{
    memset(&sockets[i], 0, sizeof(sockets[i]));
    memset(pcbs[i], 0, sizeof(*pcbs[i]));
    sockets[i].pcb = pcbs[i];
    pcbs[i]->callback_arg = &sockets[i];
    pcbs[i]->state = ESTABLISHED;
    pcbs[i]->local_port = OWN_PORT;
    pcbs[i]->remote_port = (uint16_t)(PEER_PORT + i);
    memcpy(&ip_2_ip4(&pcbs[i]->remote_ip)->addr, peer_4, sizeof(peer_4));
    put_in_front(i);
}

static void hear_of(const uint8_t *peer, uint32_t bytes, uint32_t i, bool is_opening)
{
    struct net_segment segment = {.peer = {peer, bytes, (uint16_t)(PEER_PORT + i)},
                                  .port = OWN_PORT,
                                  .is_opening = is_opening};
    inet_tcp_bring_forward(&segment);
}

static void hear(uint32_t i)
{
    hear_of(peer_4, sizeof(peer_4), i, false);
}

/* All connections, whose segments came in this order: so 4 is the first, 0 the last. */
static void start(void)
{
    tcp_active_pcbs = NULL;
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        pcbs[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pcbs[i] != MAP_FAILED);
        connect(i);
    }
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        hear(i);
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        tcp_index_remove(&sockets[i]);
        munmap(pcbs[i], PAGE);
    }
}

static void protect(uint32_t i, int protection)
{
    CHECK_EQUAL(mprotect(pcbs[i], PAGE, protection), 0);
}

/* The list is these, as digits, and nothing else. */
static void check_order(const char *order)
{
    char found[CONNECTIONS + 1] = "";
    uint32_t count = 0;
    for (const struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL && count < CONNECTIONS;
         pcb = pcb->next) {
        found[count++] = (char)('0' + pcb->remote_port - PEER_PORT);
    }
    CHECK_STRING(found, order);
}

/* @verifies ATL-LLR-NET-1400~1 */
TEST(those_in_between_are_not_looked_at)
{
    start();
    check_order("43210");
    protect(3, PROT_NONE);
    protect(2, PROT_NONE);
    hear(0);
    protect(2, PROT_READ | PROT_WRITE);
    protect(0, PROT_NONE); /* the first one now, which only the segment itself is compared with */
    protect(4, PROT_NONE);
    protect(0, PROT_READ | PROT_WRITE);
    hear(1);
    protect(3, PROT_READ | PROT_WRITE);
    protect(4, PROT_READ | PROT_WRITE);
    check_order("10432");
    hear(1);
    check_order("10432");
    end();
}

/* @verifies ATL-LLR-NET-1400~1 @robust */
TEST(what_lwip_has_changed_in_its_list_counts)
{
    start();
    pcbs[2]->next = pcbs[0]; /* 1 goes, which was before 0 */
    tcp_index_remove(&sockets[1]);
    hear(0);
    check_order("0432");
    pcbs[0]->next = pcbs[2]; /* 4 and 3 wait after their ends, and still have their sockets */
    pcbs[4]->state = TIME_WAIT;
    pcbs[3]->state = TIME_WAIT;
    pcbs[3]->next = NULL;
    hear(3);
    check_order("02");
    hear(2);
    check_order("20");
    connect(1);
    check_order("120");
    hear(2);
    check_order("210");
    hear(1);
    check_order("120");
    end();
}

/* @verifies ATL-LLR-NET-1400~1 @robust */
TEST(a_pcb_without_a_socket_is_found_too)
{
    start();
    tcp_index_remove(&sockets[0]);
    pcbs[0]->callback_arg = NULL;
    hear(0);
    check_order("04321");
    pcbs[1]->state = SYN_RCVD; /* its argument is who listens */
    tcp_index_remove(&sockets[1]);
    hear(1);
    check_order("10432");
    CHECK_EQUAL(sockets[1].index_key, 0);
    hear_of(peer_4, sizeof(peer_4), CONNECTIONS, false);
    check_order("10432");
    end();
}

/* @verifies ATL-LLR-NET-1400~1 @robust */
TEST(a_segment_that_opens_a_connection_is_of_none)
{
    start();
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        protect(i, PROT_NONE);
    }
    hear_of(peer_4, sizeof(peer_4), CONNECTIONS, true);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        protect(i, PROT_READ | PROT_WRITE);
    }
    check_order("43210");
    end();
}

/* @verifies ATL-LLR-NET-1400~1 */
TEST(peers_with_the_same_port_are_told_apart)
{
    start();
    hear_of(other_4, sizeof(other_4), 0, false);
    check_order("43210");
    memcpy(&ip_2_ip4(&pcbs[1]->remote_ip)->addr, other_4, sizeof(other_4));
    IP_SET_TYPE_VAL(pcbs[2]->remote_ip, IPADDR_TYPE_V6);
    memcpy(ip_2_ip6(&pcbs[2]->remote_ip)->addr, peer_6, sizeof(peer_6));
    tcp_index_remove(&sockets[1]);
    tcp_index_remove(&sockets[2]);
    hear(1);
    check_order("43210");
    hear_of(other_4, sizeof(other_4), 1, false);
    hear_of(peer_6, sizeof(peer_6), 2, false);
    check_order("21430");
    hear_of(other_4, sizeof(other_4), 1, false);
    hear_of(peer_6, sizeof(peer_6), 2, false);
    check_order("21430");
    end();
}

CHECK_MAIN()
