/* SPDX-License-Identifier: Apache-2.0 */
#include <policy/policy.h>

/* Ethernet: two addresses and a type. */
#define ETHERNET_BYTES 14u
#define ETHERNET_SOURCE 6u
#define ETHERNET_TYPE 12u
#define TYPE_IPV4 0x0800u
#define TYPE_ARP 0x0806u
#define TYPE_IPV6 0x86ddu

#define ARP_BYTES 28u
#define ARP_SENDER_MAC 8u
#define ARP_SENDER 14u

#define IPV4_BYTES 20u
#define IPV4_FIRST 0x45u      /* version 4, no options */
#define IPV4_FRAGMENT 0x3fffu /* more of them, or an offset */
#define IPV6_BYTES 40u

#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define PROTOCOL_ICMPV6 58u
#define ICMP_ECHO 8u
#define ICMPV6_ECHO 128u
#define UDP_PORTS_BYTES 4u
#define TCP_FLAGS 13u
#define TCP_SYN 2u
#define TCP_ACK 16u

#define DISCOVERY_HOPS 255u /* RFC 4861, section 7.1: what comes from afar has fewer */
#define DISCOVERY_TARGET 8u
#define ROUTER_SOLICITATION 133u
#define ROUTER_ADVERTISEMENT 134u
#define NEIGHBOUR_SOLICITATION 135u
#define NEIGHBOUR_ADVERTISEMENT 136u
#define REDIRECT 137u

/* What is judged of an IP packet. */
struct packet {
    uint8_t version, protocol, hops;
    const uint8_t *source, *destination;
    const uint8_t *content; /* behind the IP header */
    uint32_t bytes;         /* of the content, as far as the head goes */
};

static uint16_t word_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static bool is_equal(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
    for (; bits >= 8; bits -= 8, a++, b++) {
        if (*a != *b) {
            return false;
        }
    }
    return bits == 0 || (*a ^ *b) >> (8 - bits) == 0;
}

static bool has_rule(const struct policy *policy, enum policy_kind kind,
                     const struct packet *packet, const uint8_t *address, uint16_t port)
{
    uint8_t protocol = kind == POLICY_SOURCE ? 0 : packet->protocol;
    uint32_t address_bits = packet->version == 4 ? 32 : 8 * POLICY_ADDRESS_BYTES;
    for (uint32_t i = 0; i < policy->count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (rule->kind == kind && rule->version == packet->version && rule->protocol == protocol &&
            port >= rule->port_min && port <= rule->port_max && rule->prefix <= address_bits &&
            is_equal(rule->address, address, rule->prefix)) {
            return true;
        }
    }
    return false;
}

/* The address of an interface on its link (RFC 4291, appendix A): nobody configures it. */
static bool is_link_local(const struct policy *policy, const uint8_t *address)
{
    const uint8_t *mac = policy->mac;
    const uint8_t own[POLICY_ADDRESS_BYTES] = {0xfe, 0x80,   0,          0,      0,      0,
                                               0,    0,      mac[0] ^ 2, mac[1], mac[2], 0xff,
                                               0xfe, mac[3], mac[4],     mac[5]};
    return is_equal(own, address, 8 * sizeof(own));
}

static bool is_own(const struct policy *policy, const struct packet *packet, const uint8_t *address)
{
    return has_rule(policy, POLICY_SOURCE, packet, address, 0) ||
           (packet->version == 6 && is_link_local(policy, address));
}

/* @impl ATL-LLR-POLICY-0002~1 */
static bool is_arp_allowed(const struct policy *policy, const uint8_t *arp, uint32_t bytes,
                           bool is_out)
{
    static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};
    static const struct packet sender = {.version = 4};
    return bytes >= ARP_BYTES && is_equal(arp, ethernet_ipv4, 8 * sizeof(ethernet_ipv4)) &&
           (!is_out || (is_equal(arp + ARP_SENDER_MAC, policy->mac, 8 * POLICY_MAC_BYTES) &&
                        has_rule(policy, POLICY_SOURCE, &sender, arp + ARP_SENDER, 0)));
}

static bool is_discovery(const struct packet *packet)
{
    return packet->protocol == PROTOCOL_ICMPV6 && packet->bytes > 0 &&
           packet->content[0] >= ROUTER_SOLICITATION && packet->content[0] <= REDIRECT;
}

/* Neighbour discovery, which no rule is about: nobody may tell where another's address is, nor
 * route. A machine that tests an address has none yet.
 *
 * @impl ATL-LLR-POLICY-0005~2 */
static bool is_discovery_allowed(const struct policy *policy, const struct packet *packet,
                                 bool is_out)
{
    static const uint8_t nobody[POLICY_ADDRESS_BYTES];
    uint8_t type = packet->content[0];
    bool is_asking = type == NEIGHBOUR_SOLICITATION || type == ROUTER_SOLICITATION;
    if (packet->version != 6 || packet->hops != DISCOVERY_HOPS) {
        return false;
    }
    if (!is_out) {
        return type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT ||
               type == ROUTER_ADVERTISEMENT;
    }
    if (is_asking && is_equal(packet->source, nobody, 8 * sizeof(nobody))) {
        return true;
    }
    return is_own(policy, packet, packet->source) &&
           (is_asking || (type == NEIGHBOUR_ADVERTISEMENT &&
                          packet->bytes >= DISCOVERY_TARGET + POLICY_ADDRESS_BYTES &&
                          is_own(policy, packet, packet->content + DISCOVERY_TARGET)));
}

/* What a rule for ICMP is about: echoes, and errors (RFC 792, 4443). */
static bool is_echo_or_error(const struct packet *packet)
{
    uint8_t type = packet->bytes > 0 ? packet->content[0] : UINT8_MAX;
    return packet->protocol == PROTOCOL_ICMP
               ? type == 0 || type == 3 || type == ICMP_ECHO || type == 11 || type == 12
               : (type >= 1 && type <= 4) || type == ICMPV6_ECHO || type == ICMPV6_ECHO + 1;
}

/* Whether it begins something: then it passes in the direction of its rule alone. What ends before
 * that can be told is refused. */
static bool is_whole(const struct packet *packet, bool *is_opening)
{
    switch (packet->protocol) {
    case PROTOCOL_TCP:
        *is_opening = packet->bytes > TCP_FLAGS &&
                      (packet->content[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
        return packet->bytes > TCP_FLAGS;
    case PROTOCOL_UDP:
        return packet->bytes >= UDP_PORTS_BYTES;
    case PROTOCOL_ICMP:
        *is_opening = packet->bytes > 0 && packet->content[0] == ICMP_ECHO;
        return is_echo_or_error(packet);
    case PROTOCOL_ICMPV6:
        *is_opening = packet->bytes > 0 && packet->content[0] == ICMPV6_ECHO;
        return is_echo_or_error(packet);
    default:
        return false;
    }
}

/* @impl ATL-LLR-POLICY-0003~1 ATL-LLR-POLICY-0004~2 */
static bool is_packet_allowed(const struct policy *policy, const struct packet *packet, bool is_out)
{
    bool has_ports = packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP;
    bool is_opening = false;
    if (is_discovery(packet)) {
        return is_discovery_allowed(policy, packet, is_out);
    }
    if ((is_out && !is_own(policy, packet, packet->source)) || !is_whole(packet, &is_opening)) {
        return false;
    }
    uint16_t source_port = has_ports ? word_at(packet->content) : 0;
    uint16_t destination_port = has_ports ? word_at(packet->content + 2) : 0;
    if (is_out) {
        return has_rule(policy, POLICY_OUT, packet, packet->destination, destination_port) ||
               (!is_opening &&
                has_rule(policy, POLICY_IN, packet, packet->destination, source_port));
    }
    return has_rule(policy, POLICY_IN, packet, packet->source, destination_port) ||
           (!is_opening && has_rule(policy, POLICY_OUT, packet, packet->source, source_port));
}

/* @impl ATL-LLR-POLICY-0001~1 */
bool policy_allows(const struct policy *policy, const uint8_t *head, uint32_t bytes, bool is_out)
{
    if (bytes < ETHERNET_BYTES ||
        (is_out && !is_equal(head + ETHERNET_SOURCE, policy->mac, 8 * POLICY_MAC_BYTES))) {
        return false;
    }
    const uint8_t *at = head + ETHERNET_BYTES;
    uint16_t type = word_at(head + ETHERNET_TYPE);
    bytes -= ETHERNET_BYTES;
    if (type == TYPE_IPV4 && bytes >= IPV4_BYTES && at[0] == IPV4_FIRST &&
        (word_at(at + 6) & IPV4_FRAGMENT) == 0) {
        const struct packet packet = {
            4, at[9], at[8], at + 12, at + 16, at + IPV4_BYTES, bytes - IPV4_BYTES};
        return is_packet_allowed(policy, &packet, is_out);
    }
    if (type == TYPE_IPV6 && bytes >= IPV6_BYTES && at[0] >> 4 == 6) {
        const struct packet packet = {
            6, at[6], at[7], at + 8, at + 24, at + IPV6_BYTES, bytes - IPV6_BYTES};
        return is_packet_allowed(policy, &packet, is_out);
    }
    return type == TYPE_ARP && is_arp_allowed(policy, at, bytes, is_out);
}
