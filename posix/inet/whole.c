/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that came in pieces: all pieces go to the first core, for only the first of them tells
 * the port. Whole again, a packet goes on to the core of its port. lwIP shows each packet to
 * raw_input before its protocol gets it. */
#include "device.h"
#include "queue.h"
#include "stack.h"

#include <lwip/ip6.h>
#include <lwip/priv/raw_priv.h>

/* The header of a whole packet of IPv6 says 8 bytes too few, the header of a piece; lwIP itself
 * does not look at it again. */
static void set_length(struct net_packet *packet)
{
    if (packet->data[0] >> 4 == 6) {
        uint32_t bytes = packet->bytes - IP6_HLEN;
        packet->data[4] = (uint8_t)(bytes >> 8);
        packet->data[5] = (uint8_t)bytes;
    }
}

/* @impl ATL-LLR-NET-0862~1 */
raw_input_state_t raw_input(struct pbuf *packet, struct netif *interface)
{
    if (packet->next == NULL || (packet->flags & QUEUE_FLAG_ONE_FRAME) != 0) {
        return RAW_INPUT_NONE; /* it came at once */
    }
    uint32_t core = net_port_steer(packet->payload, packet->len, posix_core());
    if (core == posix_core()) {
        return RAW_INPUT_NONE;
    }
    struct net_packet *copy = net_packet_copy(packet, NET_PACKET_WHOLE);
    uint8_t index = netif_get_index(interface);
    if (copy != NULL) {
        copy->device = index >= NET_INDEX_FIRST ? (uint8_t)(index - NET_INDEX_FIRST) : 0;
        set_length(copy);
        net_stack_post(core, copy);
    } else {
        net_stack_note(NET_COUNT_DROPPED);
    }
    pbuf_free(packet);
    return RAW_INPUT_EATEN;
}

/* No raw socket is bound to an address. */
void raw_netif_ip_addr_changed(const ip_addr_t *before, const ip_addr_t *now)
{
    (void)before;
    (void)now;
}
