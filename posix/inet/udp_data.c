/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams: see udp.h. */
#include "udp.h"

#include "abi.h"
#include "multicast.h"

#define DATAGRAM_BYTES_MAX 65507u
#define HASH_FACTOR 0x9e3779b97f4a7c15ull
#define DATAGRAM_COST 512u /* of one against SO_RCVBUF, besides its bytes */

/* Of the sockets of this core that share a port: a peer's datagrams are one socket's, whichever
 * lwIP finds first, and as many peers the others'. */
static struct udp_socket *choose(struct udp_socket *found, const struct udp_pcb *pcb,
                                 const ip_addr_t *address, uint16_t port)
{
    uint64_t best = 0;
    uint64_t peer = port;
    uint32_t words[4] = {0};
    if (!found->is_sharing || (pcb->flags & UDP_FLAGS_CONNECTED) != 0 ||
        ip_addr_ismulticast(ip_current_dest_addr()) ||
        ip_addr_isbroadcast(ip_current_dest_addr(), ip_current_netif())) {
        return found;
    }
    __builtin_memcpy(words, address, IP_IS_V6(address) ? sizeof(words) : sizeof(words[0]));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        peer = (peer ^ words[i]) * HASH_FACTOR;
    }
    for (struct udp_pcb *other = udp_pcbs; other != NULL; other = other->next) {
        struct udp_socket *socket = other->recv_arg;
        if (other->recv == udp_on_receive && other->local_port == pcb->local_port &&
            socket->is_sharing && (other->flags & UDP_FLAGS_CONNECTED) == 0 &&
            ip_addr_eq(&other->local_ip, &pcb->local_ip)) {
            uint64_t weight = (peer ^ peer >> 32 ^ socket->inet.base.number) * HASH_FACTOR;
            weight ^= weight >> 32;
            found = weight >= best ? socket : found;
            best = weight >= best ? weight : best;
        }
    }
    return found;
}

void udp_on_receive(void *argument, struct udp_pcb *pcb, struct pbuf *packet,
                    const ip_addr_t *address, uint16_t port)
{
    struct udp_socket *socket = choose(argument, pcb, address, port);
    struct udp_datagram *datagram = net_memory_allocate(sizeof(*datagram));
    if (datagram == NULL) {
        pbuf_free(packet);
        return;
    }
    *datagram = (struct udp_datagram){.packet = packet, .from = {*address, port}};
    packet_info_note(&datagram->info);
    posix_lock_acquire(&socket->inet.base.lock);
    uint32_t cost = packet->tot_len + DATAGRAM_COST;
    bool fits = socket->received_bytes + cost <= socket->inet.base.receive_bytes_max &&
                (socket->inet.base.shut & SOCKET_SHUT_RECEIVE) == 0;
    if (fits) {
        socket->received_bytes += cost;
        if (socket->last != NULL) {
            socket->last->next = datagram;
        } else {
            socket->first = datagram;
        }
        socket->last = datagram;
        inet_tell(&socket->inet, POSIX_POLL_READABLE);
    }
    posix_lock_release(&socket->inet.base.lock);
    if (!fits) {
        pbuf_free(packet);
        net_memory_free(datagram);
    }
}

/* @impl ATL-LLR-POSIX-0907~1 */
void inet_udp_refused(const struct net_unreachable *error)
{
    if (error->protocol != IPPROTO_UDP || !error->is_port) {
        return;
    }
    for (struct udp_pcb *pcb = udp_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->recv == udp_on_receive && (pcb->flags & UDP_FLAGS_CONNECTED) != 0 &&
            pcb->local_port == error->source_port && pcb->remote_port == error->destination_port) {
            struct udp_socket *socket = pcb->recv_arg;
            posix_lock_acquire(&socket->inet.base.lock);
            socket->inet.base.error = -ECONNREFUSED;
            inet_tell(&socket->inet, POSIX_POLL_ERR);
            posix_lock_release(&socket->inet.base.lock);
        }
    }
}

void udp_drop_received(struct udp_socket *socket)
{
    struct udp_datagram *datagram = socket->first;
    socket->first = NULL;
    socket->last = NULL;
    while (datagram != NULL) {
        struct udp_datagram *next = datagram->next;
        pbuf_free(datagram->packet);
        net_memory_free(datagram);
        datagram = next;
    }
}

static void free_packet(void *packet)
{
    pbuf_free(packet);
}

/* Waits for a datagram. Returns it, with the reading turn; NULL: *result is what the call returns.
 * Not locked afterwards. */
static struct udp_datagram *begin(struct udp_socket *socket, uint64_t deadline_ns, int64_t *result)
{
    struct socket *base = &socket->inet.base;
    for (;;) {
        posix_lock_acquire(&base->lock);
        bool is_busy = socket->inet.reading.is_taken;
        *result = is_busy ? 0 : socket_take_error(base);
        if (*result < 0) {
            posix_lock_release(&base->lock);
            return NULL;
        }
        if (!is_busy && socket->first != NULL) {
            socket->inet.reading.is_taken = true;
            posix_lock_release(&base->lock);
            return socket->first;
        }
        if (!is_busy && (base->shut & SOCKET_SHUT_RECEIVE) != 0) {
            posix_lock_release(&base->lock);
            return NULL;
        }
        *result = socket_wait(is_busy ? &socket->inet.reading.waiting : &socket->inet.readers, base,
                              deadline_ns);
        if (*result < 0) {
            return NULL;
        }
    }
}

/* Copies the front of a datagram out. Bytes, or -EFAULT. */
static int64_t copy_out(const struct pbuf *packet, struct posix_transfer *to)
{
    int64_t done = 0;
    while (packet != NULL && to->remaining != 0) {
        uint64_t part = packet->len < to->remaining ? packet->len : to->remaining;
        int64_t result = part != 0 ? posix_transfer_out(to, packet->payload, part) : 0;
        if (result < 0 || (uint64_t)result < part) {
            return -EFAULT;
        }
        done += result;
        packet = packet->next;
    }
    return done;
}

static void end(struct udp_socket *socket, struct udp_datagram *datagram, bool is_taken)
{
    posix_lock_acquire(&socket->inet.base.lock);
    if (is_taken) {
        socket->first = datagram->next;
        if (socket->first == NULL) {
            socket->last = NULL;
        }
        socket->received_bytes -= datagram->packet->tot_len + DATAGRAM_COST;
    }
    inet_turn_give(&socket->inet.reading);
    posix_lock_release(&socket->inet.base.lock);
    if (is_taken) {
        net_call(socket->inet.core, free_packet, datagram->packet);
        net_memory_free(datagram);
    }
}

/* @impl ATL-LLR-POSIX-0907~1 */
int64_t udp_op_receive(struct socket *base, struct socket_message *message)
{
    struct udp_socket *socket = udp_of(base);
    int64_t result;
    if ((message->flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    struct udp_datagram *datagram = begin(socket, message->deadline_ns, &result);
    if (datagram == NULL) {
        return result;
    }
    uint32_t bytes = datagram->packet->tot_len;
    result = copy_out(datagram->packet, &message->data);
    if (result >= 0 && (uint32_t)result < bytes) {
        message->result_flags |= MSG_TRUNC;
        result = (message->flags & MSG_TRUNC) != 0 ? bytes : result;
    }
    if (result >= 0 && message->name != NULL) {
        inet_address_store(&socket->inet, &datagram->from, message->name);
    }
    packet_info_store(&socket->inet, &datagram->info, message);
    end(socket, datagram, (message->flags & MSG_PEEK) == 0);
    return result;
}

struct send_request {
    struct udp_socket *socket;
    struct pbuf *packet;
    struct inet_end to;
    ip_addr_t source; /* any: the machine's */
    int64_t result;
};

/* From an address that the message names, or that the socket is bound to, by whichever interface
 * leads there: lwIP by itself sends only by the one that has the address.
 *
 * @impl ATL-LLR-NET-1297~1 */
static int64_t send_from(struct send_request *request)
{
    const struct inet_end *to = &request->to;
    struct netif *interface = ip_route(&request->source, &to->address);
    if (IP_GET_TYPE(&request->source) != IP_GET_TYPE(&to->address) ||
        !inet_may_leave(&request->source, &to->address)) {
        return -EINVAL;
    }
    bool is_own = inet_address_is_own(&request->source);
    return interface == NULL || !is_own
               ? -ENETUNREACH
               : net_error(udp_sendto_if_src(request->socket->pcb, request->packet, &to->address,
                                             to->port, interface, &request->source));
}

static void send_in_stack(void *argument)
{
    struct send_request *request = argument;
    request->result = udp_need_pcb(request->socket);
    if (request->result == 0) {
        struct inet_end *to = &request->to;
        inet_end_complete(to);
        if (ip_addr_ismulticast(&to->address) &&
            !inet_multicast_apply(&request->socket->inet, &to->address, request->socket->pcb)) {
            request->result = -ENETUNREACH;
        }
    }
    if (request->result == 0) {
        const struct inet_end *to = &request->to;
        if (ip_addr_isany_val(request->source)) {
            request->source = request->socket->pcb->local_ip;
        }
        bool is_any = ip_addr_isany_val(request->source) || ip_addr_ismulticast(&to->address) ||
                      ip_addr_ismulticast(&request->source);
        request->result = is_any ? net_error(udp_sendto(request->socket->pcb, request->packet,
                                                        &to->address, to->port))
                                 : send_from(request);
    }
    pbuf_free(request->packet);
}

/* To whom: the name, or whom the socket is connected to. */
static int64_t choose_peer(struct udp_socket *socket, const struct socket_message *message,
                           struct inet_end *to)
{
    if (message->name != NULL && message->name->bytes != 0) {
        int64_t result = inet_address_load(&socket->inet, message->name, to);
        return result == 0 && to->port == 0 ? -EINVAL : result;
    }
    posix_lock_acquire(&socket->inet.base.lock);
    *to = socket->inet.peer;
    posix_lock_release(&socket->inet.base.lock);
    return to->port != 0 ? 0 : -EDESTADDRREQ;
}

/* A pending error, or that the socket is shut. */
static int64_t failure(struct socket *base)
{
    posix_lock_acquire(&base->lock);
    int64_t result = socket_take_error(base);
    if (result == 0 && (base->shut & SOCKET_SHUT_SEND) != 0) {
        result = -EPIPE;
    }
    posix_lock_release(&base->lock);
    return result;
}

/* @impl ATL-LLR-POSIX-0907~1 */
int64_t udp_op_send(struct socket *base, struct socket_message *message)
{
    struct send_request request = {.socket = udp_of(base)};
    uint64_t bytes = message->data.remaining;
    if (bytes > DATAGRAM_BYTES_MAX) {
        return -EMSGSIZE;
    }
    if ((message->flags & MSG_OOB) != 0) {
        return -EOPNOTSUPP;
    }
    int64_t result = packet_info_load(message, &request.source);
    if (result == 0) {
        result = choose_peer(request.socket, message, &request.to);
    }
    if (result == 0) {
        result = failure(base);
    }
    if (result == 0) {
        result = inet_settle(&request.socket->inet, NET_UDP, 0);
    }
    if (result < 0) {
        if (result == -EPIPE && (message->flags & MSG_NOSIGNAL) == 0) {
            socket_signal_pipe();
        }
        return result;
    }
    request.packet = pbuf_alloc(PBUF_TRANSPORT, (uint16_t)bytes, PBUF_RAM);
    if (request.packet == NULL) {
        return -ENOBUFS;
    }
    result = bytes != 0 ? posix_transfer_in(&message->data, request.packet->payload, bytes) : 0;
    if (result < 0 || (uint64_t)result < bytes) {
        pbuf_free(request.packet);
        return -EFAULT;
    }
    net_call(request.socket->inet.core, send_in_stack, &request);
    return request.result < 0 ? request.result : (int64_t)bytes;
}
