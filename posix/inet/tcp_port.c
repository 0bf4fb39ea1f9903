/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have a port beside whom: as Linux judges it. lwIP's own check knows neither families nor
 * SO_REUSEPORT, so every pcb tells it that it shares, and it is asked for nothing. */
#include "tcp.h"

#include "lwip_hooks.h"

#include <lwip/ip.h>
#include <lwip/priv/tcp_priv.h>

/* Connections of a core that wait because both have closed them. lwIP looks at each when somebody
 * opens one. */
#define ENDED_MAX 1024u
#define EPHEMERAL_TRIES 28233u /* the ports that there are */

/* Bits of so_options that lwIP does not use: what the socket's options say. */
#define SHARES_ADDRESS 0x01u
#define SHARES_PORT 0x10u
#define LENT 0x02u /* it is bound here, and another core listens */
#define SHARING (SHARES_ADDRESS | SHARES_PORT | SOF_REUSEADDR)
_Static_assert(((SHARES_ADDRESS | SHARES_PORT | LENT) &
                (SOF_REUSEADDR | SOF_KEEPALIVE | SOF_BROADCAST)) == 0,
               "bits of our own");

void tcp_port_share(const struct tcp_socket *socket, struct tcp_pcb *pcb)
{
    const struct socket *base = &socket->inet.base;
    pcb->so_options &= (uint8_t)~SHARING;
    pcb->so_options |= SOF_REUSEADDR;
    pcb->so_options |= socket_has(base, SO_REUSEADDR) ? SHARES_ADDRESS : 0;
    pcb->so_options |= socket_has(base, SO_REUSEPORT) ? SHARES_PORT : 0;
}

/* Whether both have said that they share the port. What listens shares by SO_REUSEPORT alone. */
static bool is_shared(const struct tcp_pcb *pcb, const struct tcp_pcb *other, bool is_listening)
{
    uint8_t both = pcb->so_options & other->so_options;
    return ((both & SHARES_ADDRESS) != 0 && !is_listening) || (both & SHARES_PORT) != 0;
}

static bool listens(const struct tcp_pcb *pcb)
{
    return pcb->state == LISTEN || (pcb->so_options & LENT) != 0;
}

/* A connection whose handshake is under way is its listener's still. */
static bool is_taken_in(const struct tcp_pcb *list, const struct tcp_pcb *pcb,
                        const ip_addr_t *address, uint16_t port, bool may_share)
{
    for (const struct tcp_pcb *other = list; other != NULL; other = other->next) {
        if (other != pcb && other->local_port == port && other->state != SYN_RCVD &&
            inet_overlap(address, &other->local_ip) &&
            !(may_share && is_shared(pcb, other, listens(other)))) {
            return true;
        }
    }
    return false;
}

static bool is_taken(const struct tcp_pcb *pcb, const ip_addr_t *address, uint16_t port,
                     bool may_share)
{
    for (size_t i = 0; i < NUM_TCP_PCB_LISTS; i++) {
        if (is_taken_in(*tcp_pcb_lists[i], pcb, address, port, may_share)) {
            return true;
        }
    }
    return false;
}

/* @impl ATL-LLR-POSIX-0950~1 */
int64_t tcp_port_bind(struct tcp_socket *socket, const ip_addr_t *address, uint16_t port)
{
    struct tcp_pcb *pcb = socket->pcb;
    if (port != 0) {
        return is_taken(pcb, address, port, true) ? -EADDRINUSE
                                                  : net_error(tcp_bind(pcb, address, port));
    }
    for (uint32_t i = 0; i < EPHEMERAL_TRIES; i++) {
        port = net_port_ephemeral(NET_TCP, socket->inet.core);
        if (!is_taken(pcb, address, port, false)) {
            return net_error(tcp_bind(pcb, address, port));
        }
    }
    return -EADDRINUSE;
}

bool tcp_port_is_listened_on(const struct tcp_pcb *pcb)
{
    return is_taken(pcb, &pcb->local_ip, pcb->local_port, true);
}

void tcp_port_lend(struct tcp_pcb *pcb)
{
    pcb->so_options |= LENT;
}

/* @impl ATL-LLR-POSIX-0950~1 */
struct tcp_pcb *tcp_port_listen(struct tcp_pcb *pcb, uint8_t backlog, err_t *error)
{
    uint8_t options = pcb->so_options;
    *error = ERR_USE;
    if (tcp_port_is_listened_on(pcb)) {
        return NULL;
    }
    pcb->so_options &= (uint8_t)~SOF_REUSEADDR; /* lwIP has no two that listen and share */
    struct tcp_pcb *listening = tcp_listen_with_backlog_and_err(pcb, backlog, error);
    if (listening == NULL) {
        pcb->so_options = options;
    } else {
        listening->so_options = options;
    }
    return listening;
}

/* Those that share its port come before it from now on, also if its line is full. lwIP takes the
 * last of those that listen on any address, and puts it first; of those on one address it takes the
 * first.
 * @impl ATL-LLR-POSIX-0951~1 */
err_t net_listener_reached(struct tcp_pcb *listening)
{
    struct tcp_pcb_listen **place = &tcp_listen_pcbs.listen_pcbs;
    struct tcp_pcb_listen *moved = (struct tcp_pcb_listen *)listening;
    if ((listening->so_options & SHARES_PORT) == 0 || ip_addr_isany_val(listening->local_ip)) {
        return ERR_OK;
    }
    while (*place != NULL && *place != moved) {
        place = &(*place)->next;
    }
    if (*place == moved) {
        *place = moved->next;
    }
    while (*place != NULL) {
        place = &(*place)->next;
    }
    *place = moved;
    moved->next = NULL;
    return ERR_OK;
}

/* @impl ATL-LLR-NET-0905~1 */
void tcp_port_timer(void)
{
    tcp_tmr();
    struct tcp_pcb *newest = tcp_tw_pcbs, *last = newest;
    for (uint32_t count = 1; last != NULL && count < ENDED_MAX; count++) {
        last = last->next;
    }
    if (last == NULL || last->next == NULL) {
        return;
    }
    /* What goes is the whole list for as long: lwIP looks for each from its front. */
    tcp_tw_pcbs = last->next;
    last->next = NULL;
    while (tcp_tw_pcbs != NULL) {
        tcp_abort(tcp_tw_pcbs);
    }
    tcp_tw_pcbs = newest;
}

bool tcp_port_has_listener(uint16_t port)
{
    const struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs;
    while (pcb != NULL && pcb->local_port != port) {
        pcb = pcb->next;
    }
    return pcb != NULL;
}

/* A peer that opens a connection anew from the same port need not wait until the time of the old
 * one is over, if nothing of that can be taken for the new one's (RFC 9293, section 3.6.1). lwIP
 * has taken the header from the packet and has turned its words: it gets the packet again as it
 * was, now for who listens.
 * @impl ATL-LLR-NET-0900~1 */
err_t net_ended_reached(struct tcp_pcb *pcb, struct tcp_hdr *header, uint16_t option_bytes,
                        struct pbuf *packet)
{
    if ((TCPH_FLAGS(header) & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN ||
        !TCP_SEQ_GT(header->seqno, pcb->rcv_nxt) || !tcp_port_has_listener(pcb->local_port) ||
        packet->next != NULL || /* it may be in pieces */
        pbuf_add_header_force(packet, TCP_HLEN + (size_t)option_bytes) != 0) {
        return ERR_OK;
    }
    header->src = lwip_htons(header->src);
    header->dest = lwip_htons(header->dest);
    header->seqno = lwip_htonl(header->seqno);
    header->ackno = lwip_htonl(header->ackno);
    header->wnd = lwip_htons(header->wnd);
    tcp_abort(pcb); /* of one that waits nobody hears */
    pbuf_ref(packet);
    tcp_input(packet, ip_current_input_netif());
    return ERR_USE;
}
