/* SPDX-License-Identifier: Apache-2.0 */
/* The network policy of an image: which frames may leave the machine, and which may reach the
 * program. It stands below the gate, where the program and its library OS cannot change it.
 *
 * Pure and stateless: each frame is judged alone, by its first bytes. So fragments, packets with
 * options or extension headers, tags (802.1Q) and everything that is not ARP, IPv4 or IPv6 are
 * refused. What is allowed is named by rules, in any order; without rules nothing is.
 *
 * Context of every function: any core. Bounded: each rule is looked at three times at most. */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <kernel/image.h>

/* So much of a frame tells all that is judged: Ethernet, IPv6, and the target of a neighbour
 * advertisement, or the flags of TCP. */
#define POLICY_HEAD_BYTES 80u
#define POLICY_MAC_BYTES 6u
#define POLICY_ADDRESS_BYTES 16u

enum policy_kind {
    POLICY_SOURCE, /* an address that the machine may call itself */
    POLICY_IN,     /* a port of the machine that peers may reach */
    POLICY_OUT,    /* a port of peers that the machine may reach */
};

/* As the packer writes it (tools/atoll/policy.py). Any value is safe: one without meaning allows
 * nothing. */
struct policy_rule {
    uint8_t kind;                /* enum policy_kind */
    uint8_t version;             /* of the address: 4 or 6 */
    uint8_t protocol;            /* TCP 6, UDP 17, ICMP 1, ICMPv6 58; nothing of POLICY_SOURCE */
    uint8_t prefix;              /* so many bits of the address count */
    uint16_t port_min, port_max; /* ICMP has port 0 */
    uint8_t address[POLICY_ADDRESS_BYTES]; /* of POLICY_SOURCE the machine's, else the peer's;
                                              IPv4 in the first 4 */
};
_Static_assert(sizeof(struct policy_rule) == IMAGE_POLICY_RULE_BYTES, "image_validate counts them");

struct policy {
    const struct policy_rule *rules;
    uint32_t count;
    uint8_t mac[POLICY_MAC_BYTES]; /* the machine's */
};

/* Judges a frame.
 *
 * Out: source MAC is the machine's; ARP's sender and IP's source are POLICY_SOURCE, or the
 * link-local address of the MAC; a TCP segment that opens a connection and an echo request need
 * POLICY_OUT, everything else that or POLICY_IN of its own port. In: the same with the sides
 * exchanged, but MAC and source are the sender's affair. Of ICMP pass echoes and errors alone.
 * Neighbour discovery (RFC 4861) needs no rule and obeys none: out solicitations, and
 * advertisements of the machine's own addresses; in those, and advertisements of routers.
 *
 * @head       the first `bytes` of the frame, POLICY_HEAD_BYTES of longer ones; nobody changes it
 *             before the frame is sent
 * @is_out     from the program to the network
 * Source:     RFC 826, 791, 793, 8200, 4861 */
bool policy_allows(const struct policy *policy, const uint8_t *head, uint32_t bytes, bool is_out);

#endif
