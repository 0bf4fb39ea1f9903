/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made field by field before the judge of the network policy. */
#include <check.h>
#include <policy/policy.h>

#define ETHERNET 14u
#define IPV4 20u
#define IPV6 40u
#define SYN 2u
#define ACK 16u
#define TCP 6u
#define UDP 17u
#define ICMP 1u
#define ICMPV6 58u

static const uint8_t mac[] = {0x52, 0x54, 0, 0, 0, 7}, other_mac[] = {0x52, 0x54, 0, 0, 0, 8};
static const uint8_t own4[] = {10, 0, 2, 15}, peer4[] = {192, 168, 1, 9}, other4[] = {10, 0, 2, 16};
static const uint8_t own6[16] = {0xfd, [15] = 2}, peer6[16] = {0xfd, 1, [15] = 9};

static struct policy_rule rules[16];
static struct policy policy;
static uint8_t frame[POLICY_HEAD_BYTES];
static uint32_t frame_bytes;

static void rule(enum policy_kind kind, uint8_t version, uint8_t protocol, uint8_t prefix,
                 const uint8_t *address, uint16_t port_min, uint16_t port_max)
{
    struct policy_rule *new = &rules[policy.count++];
    *new = (struct policy_rule){(uint8_t)kind, version, protocol, prefix, port_min, port_max, {0}};
    memcpy(new->address, address, version == 4 ? 4 : 16);
}

/* 10.0.2.15 and fd00::2, which serve TCP port 80 to 192.168.0.0/16 and fd01::/16, and ask UDP port
 * 53 of 192.168.1.9. */
static void begin(void)
{
    policy = (struct policy){.rules = rules};
    memcpy(policy.mac, mac, sizeof(mac));
    rule(POLICY_SOURCE, 4, 0, 32, own4, 0, 0);
    rule(POLICY_SOURCE, 6, 0, 128, own6, 0, 0);
    rule(POLICY_IN, 4, TCP, 16, peer4, 80, 80);
    rule(POLICY_IN, 6, TCP, 16, peer6, 80, 80);
    rule(POLICY_OUT, 4, UDP, 32, peer4, 53, 53);
}

static void ethernet(const uint8_t *source, uint16_t type)
{
    memset(frame, 0, sizeof(frame));
    memcpy(frame, other_mac, 6);
    memcpy(frame + 6, source, 6);
    frame[12] = (uint8_t)(type >> 8);
    frame[13] = (uint8_t)type;
}

static void ipv4(const uint8_t *source, const uint8_t *destination, uint8_t protocol)
{
    ethernet(mac, 0x0800);
    frame[ETHERNET] = 0x45;
    frame[ETHERNET + 9] = protocol;
    memcpy(frame + ETHERNET + 12, source, 4);
    memcpy(frame + ETHERNET + 16, destination, 4);
    frame_bytes = ETHERNET + IPV4 + 20;
}

static void ipv6(const uint8_t *source, const uint8_t *destination, uint8_t protocol)
{
    ethernet(mac, 0x86dd);
    frame[ETHERNET] = 0x60;
    frame[ETHERNET + 6] = protocol;
    frame[ETHERNET + 7] = 255;
    memcpy(frame + ETHERNET + 8, source, 16);
    memcpy(frame + ETHERNET + 24, destination, 16);
    frame_bytes = POLICY_HEAD_BYTES;
}

static void ports(uint32_t at, uint16_t source, uint16_t destination, uint8_t flags)
{
    frame[at] = (uint8_t)(source >> 8);
    frame[at + 1] = (uint8_t)source;
    frame[at + 2] = (uint8_t)(destination >> 8);
    frame[at + 3] = (uint8_t)destination;
    frame[at + 13] = flags;
}

static bool tcp4(bool is_out, uint16_t own_port, uint16_t peer_port, uint8_t flags)
{
    ipv4(is_out ? own4 : peer4, is_out ? peer4 : own4, TCP);
    ports(ETHERNET + IPV4, is_out ? own_port : peer_port, is_out ? peer_port : own_port, flags);
    return policy_allows(&policy, frame, frame_bytes, is_out);
}

static bool udp4(bool is_out, const uint8_t *peer, uint16_t own_port, uint16_t peer_port)
{
    ipv4(is_out ? own4 : peer, is_out ? peer : own4, UDP);
    ports(ETHERNET + IPV4, is_out ? own_port : peer_port, is_out ? peer_port : own_port, 0);
    return policy_allows(&policy, frame, frame_bytes, is_out);
}

static bool judged(bool is_out)
{
    return policy_allows(&policy, frame, frame_bytes, is_out);
}

/* @verifies ATL-LLR-POLICY-0001~1 */
TEST(nothing_passes_without_rules)
{
    begin();
    policy.count = 0;
    CHECK(!tcp4(true, 80, 5000, ACK));
    CHECK(!tcp4(false, 80, 5000, SYN));
    CHECK(!udp4(true, peer4, 5000, 53));
}

/* @verifies ATL-LLR-POLICY-0003~1 ATL-LLR-POLICY-0004~2 */
TEST(a_connection_is_opened_by_the_side_that_the_rule_names)
{
    begin();
    CHECK(tcp4(false, 80, 5000, SYN));
    CHECK(tcp4(true, 80, 5000, SYN | ACK));
    CHECK(tcp4(false, 80, 5000, ACK));
    CHECK(tcp4(true, 80, 5000, ACK));
    CHECK(!tcp4(true, 80, 5000, SYN));
    CHECK(!tcp4(true, 81, 5000, ACK));
    CHECK(!tcp4(false, 79, 5000, SYN));
    CHECK(!tcp4(true, 5000, 80, SYN));
    rule(POLICY_OUT, 4, TCP, 0, peer4, 443, 445);
    CHECK(tcp4(true, 5000, 443, SYN));
    CHECK(tcp4(true, 5000, 445, SYN));
    CHECK(!tcp4(true, 5000, 446, SYN));
    CHECK(tcp4(false, 5000, 444, SYN | ACK));
    CHECK(!tcp4(false, 5000, 444, SYN));
}

/* @verifies ATL-LLR-POLICY-0003~1 */
TEST(only_peers_of_the_rule_are_reached)
{
    static const uint8_t near[] = {192, 168, 1, 8}, far[] = {192, 169, 1, 9};
    begin();
    CHECK(udp4(true, peer4, 5000, 53));
    CHECK(udp4(false, peer4, 5000, 53));
    CHECK(!udp4(true, near, 5000, 53));
    CHECK(!udp4(false, near, 5000, 53));
    CHECK(!udp4(true, peer4, 5000, 54));
    CHECK(tcp4(true, 80, 5000, ACK));
    ipv4(own4, far, TCP);
    ports(ETHERNET + IPV4, 80, 5000, ACK);
    CHECK(!judged(true));
    rules[2].prefix = 15; /* 192.168.0.0/15: the odd neighbour, too */
    CHECK(judged(true));
}

/* @verifies ATL-LLR-POLICY-0001~1 ATL-LLR-POLICY-0003~1 @robust */
TEST(the_machine_cannot_pretend_to_be_another)
{
    begin();
    CHECK(tcp4(true, 80, 5000, ACK));
    memcpy(frame + 6, other_mac, 6);
    CHECK(!judged(true));
    CHECK(tcp4(true, 80, 5000, ACK));
    memcpy(frame + ETHERNET + 12, other4, 4);
    CHECK(!judged(true));
    ipv6(peer6, peer6, TCP);
    ports(ETHERNET + IPV6, 80, 5000, ACK);
    CHECK(!judged(true));
    memcpy(frame + ETHERNET + 8, own6, 16);
    CHECK(judged(true));
}

/* @verifies ATL-LLR-POLICY-0002~1 @robust */
TEST(arp_tells_own_addresses_only)
{
    static const uint8_t kind[] = {0, 1, 8, 0, 6, 4, 0, 2};
    begin();
    ethernet(mac, 0x0806);
    memcpy(frame + ETHERNET, kind, sizeof(kind));
    memcpy(frame + ETHERNET + 8, mac, 6);
    memcpy(frame + ETHERNET + 14, own4, 4);
    frame_bytes = ETHERNET + 28;
    CHECK(judged(true));
    frame_bytes--;
    CHECK(!judged(true) && !judged(false));
    frame_bytes++;
    memcpy(frame + ETHERNET + 14, other4, 4);
    CHECK(!judged(true) && judged(false));
    memcpy(frame + ETHERNET + 14, own4, 4);
    memcpy(frame + ETHERNET + 8, other_mac, 6);
    CHECK(!judged(true) && judged(false));
    memcpy(frame + ETHERNET + 8, mac, 6);
    frame[ETHERNET + 4] = 8; /* addresses of another length stand elsewhere */
    CHECK(!judged(true) && !judged(false));
}

/* @verifies ATL-LLR-POLICY-0005~2 @robust */
TEST(neighbour_discovery_needs_no_rule_and_advertises_own_addresses_only)
{
    begin();
    const struct {
        uint8_t type;
        bool out, in;
    } rows[] = {{133, true, false},  {134, false, true},  {135, true, true},  {136, true, true},
                {137, false, false}, {128, false, false}, {129, false, false}};
    for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ipv6(own6, peer6, ICMPV6);
        frame[ETHERNET + IPV6] = rows[i].type;
        memcpy(frame + ETHERNET + IPV6 + 8, own6, 16);
        CHECK_EQUAL(judged(true), rows[i].out);
        CHECK_EQUAL(judged(false), rows[i].in);
        frame[ETHERNET + 7] = 254; /* it came over a router */
        CHECK(!judged(true) && !judged(false));
    }
    ipv6(own6, peer6, ICMPV6);
    frame[ETHERNET + IPV6] = 136;
    memcpy(frame + ETHERNET + IPV6 + 8, peer6, 16);
    CHECK(!judged(true) && judged(false));
    memcpy(frame + ETHERNET + IPV6 + 8, own6, 16);
    frame_bytes = ETHERNET + IPV6 + 23;
    CHECK(!judged(true));
    frame_bytes++;
    CHECK(judged(true));
    frame_bytes = ETHERNET + IPV6;
    CHECK(!judged(true) && !judged(false));
    rule(POLICY_IN, 6, ICMPV6, 0, peer6, 0, 0);
    ipv6(own6, peer6, ICMPV6);
    frame[ETHERNET + IPV6] = 129;
    CHECK(judged(true) && judged(false));
}

/* A message of neighbour discovery from an address, about a target. */
static bool discovery(bool is_out, const uint8_t *source, uint8_t type, const uint8_t *target)
{
    ipv6(source, peer6, ICMPV6);
    frame[ETHERNET + IPV6] = type;
    memcpy(frame + ETHERNET + IPV6 + 8, target, 16);
    return judged(is_out);
}

/* @verifies ATL-LLR-POLICY-0005~2 @robust */
TEST(no_rule_lets_the_machine_route_or_speak_for_others)
{
    static const uint8_t link_local[16] = {0xfe, 0x80, [8] = 0x50, 0x54, 0, 0xff, 0xfe, 0, 0, 7};
    static const uint8_t router[16] = {0xfe, 0x80, [15] = 1}, nobody[16];
    begin();
    for (int round = 0; round < 2; round++) {
        CHECK(!discovery(true, own6, 136, peer6));
        CHECK(!discovery(true, own6, 136, router));
        CHECK(!discovery(true, router, 135, peer6));
        CHECK(!discovery(true, router, 136, own6));
        CHECK(!discovery(true, own6, 134, own6));
        CHECK(!discovery(true, link_local, 134, own6));
        CHECK(!discovery(true, own6, 137, router));
        CHECK(!discovery(true, nobody, 136, own6));
        CHECK(discovery(true, nobody, 135, own6));
        CHECK(discovery(true, nobody, 133, own6));
        CHECK(discovery(true, link_local, 136, link_local));
        CHECK(discovery(true, link_local, 135, peer6));
        CHECK(!discovery(false, router, 137, peer6));
        CHECK(discovery(false, router, 134, peer6));
        rule(POLICY_IN, 6, ICMPV6, 0, peer6, 0, 0);
        rule(POLICY_OUT, 6, ICMPV6, 0, peer6, 0, 0);
    }
}

/* @verifies ATL-LLR-POLICY-0004~2 @robust */
TEST(of_icmp_echoes_and_errors_pass)
{
    begin();
    rule(POLICY_IN, 4, ICMP, 0, peer4, 0, 0);
    rule(POLICY_IN, 6, ICMPV6, 0, peer6, 0, 0);
    for (unsigned type = 0; type < 256; type++) {
        bool is_named = type == 0 || type == 3 || type == 8 || type == 11 || type == 12;
        ipv4(own4, peer4, ICMP);
        frame[ETHERNET + IPV4] = (uint8_t)type;
        CHECK_EQUAL(judged(true), is_named && type != 8); /* it does not ping */
        CHECK_EQUAL(judged(false), is_named);
    }
    ipv6(own6, peer6, ICMPV6);
    frame[ETHERNET + IPV6] = 128;
    CHECK(!judged(true) && judged(false));
    frame[ETHERNET + IPV6] = 2;
    CHECK(judged(true) && judged(false));
    frame[ETHERNET + IPV6] = 143;
    CHECK(!judged(true) && !judged(false));
    rule(POLICY_OUT, 4, ICMP, 0, peer4, 0, 0);
    ipv4(own4, peer4, ICMP);
    frame[ETHERNET + IPV4] = 8;
    CHECK(judged(true));
    frame_bytes = ETHERNET + IPV4;
    CHECK(!judged(true) && !judged(false));
}

/* @verifies ATL-LLR-POLICY-0001~1 @robust */
TEST(what_hides_its_ports_is_refused)
{
    begin();
    CHECK(tcp4(false, 80, 5000, SYN));
    frame[ETHERNET] = 0x46; /* options */
    CHECK(!judged(false));
    frame[ETHERNET] = 0x55;
    CHECK(!judged(false));
    frame[ETHERNET] = 0x45;
    frame[ETHERNET + 6] = 0x20; /* a fragment that others follow */
    CHECK(!judged(false));
    frame[ETHERNET + 6] = 0;
    frame[ETHERNET + 7] = 1; /* one that follows */
    CHECK(!judged(false));
    frame[ETHERNET + 7] = 0;
    frame[ETHERNET + 6] = 0x40; /* "do not fragment" */
    CHECK(judged(false));
    frame_bytes = ETHERNET + IPV4 + 13; /* no flags */
    CHECK(!judged(false));
    frame_bytes++;
    CHECK(judged(false));
    frame_bytes = ETHERNET + IPV4 - 1;
    CHECK(!judged(false));
    frame_bytes = ETHERNET + IPV4 + 20;
    frame[12] = 0x81; /* a VLAN tag */
    CHECK(!judged(false));
    ipv6(peer6, own6, TCP);
    ports(ETHERNET + IPV6, 5000, 80, SYN);
    CHECK(judged(false));
    frame[ETHERNET + 6] = 44; /* a fragment header stands before TCP's */
    CHECK(!judged(false));
    frame[ETHERNET + 6] = TCP;
    frame[ETHERNET] = 0x40;
    CHECK(!judged(false));
    CHECK(udp4(true, peer4, 5000, 53));
    frame_bytes = ETHERNET + IPV4 + 3;
    CHECK(!judged(true));
    for (frame_bytes = 0; frame_bytes < ETHERNET + IPV4; frame_bytes++) {
        CHECK(!judged(true) && !judged(false));
    }
}

/* @verifies ATL-LLR-POLICY-0001~1 @robust */
TEST(a_rule_without_meaning_allows_nothing)
{
    begin();
    rules[2].prefix = 33;
    CHECK(!tcp4(false, 80, 5000, SYN));
    begin();
    rules[2].version = 5;
    CHECK(!tcp4(false, 80, 5000, SYN));
    begin();
    rules[2].kind = 3;
    CHECK(!tcp4(false, 80, 5000, SYN));
    begin();
    rules[2].port_min = 81;
    CHECK(!tcp4(false, 80, 5000, SYN));
    begin();
    rules[0].protocol = TCP; /* addresses have none */
    CHECK(!tcp4(true, 80, 5000, ACK));
}

/* @verifies ATL-LLR-POLICY-0004~2 */
TEST(icmp_passes_by_a_rule_of_its_own)
{
    begin();
    ipv4(peer4, own4, ICMP);
    CHECK(!judged(false));
    rule(POLICY_IN, 4, ICMP, 0, peer4, 0, 0);
    CHECK(judged(false));
    ipv4(own4, peer4, ICMP);
    CHECK(judged(true));
    ipv4(own4, peer4, 132);
    CHECK(!judged(true));
}

CHECK_MAIN()
