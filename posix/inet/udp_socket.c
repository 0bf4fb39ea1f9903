/* SPDX-License-Identifier: Apache-2.0 */
/* UDP sockets: names, connecting, and what poll shows. */
#include "udp.h"

#include "abi.h"
#include "multicast.h"

#define EPHEMERAL_TRIES 28233u /* the ports that there are */

struct udp_request {
    struct udp_socket *socket;
    struct inet_end end;
    bool is_sharing;
    int64_t result;
};

/* Both protocols for an IPv6 socket that names neither's address. */
static ip_addr_t local_address(const struct udp_socket *socket, const struct inet_end *end)
{
    ip_addr_t any = IPADDR_ANY_TYPE_INIT;
    bool is_dual = socket->inet.base.domain == AF_INET6 && socket->inet.settings.is_only_6 == 0;
    return is_dual && IP_IS_V6(&end->address) && ip_addr_isany_val(end->address) ? any
                                                                                 : end->address;
}

/* Whether both have said that they share the port. */
static bool is_shared(const struct udp_socket *one, const struct udp_socket *other)
{
    return (socket_has(&one->inet.base, SO_REUSEADDR) &&
            socket_has(&other->inet.base, SO_REUSEADDR)) ||
           (one->is_sharing && other->is_sharing);
}

/* Who may have a port beside whom is judged here: lwIP knows no SO_REUSEPORT, so every pcb tells it
 * that it shares. */
static bool is_taken(const struct udp_socket *socket, const ip_addr_t *address, uint16_t port,
                     bool may_share)
{
    for (const struct udp_pcb *other = udp_pcbs; other != NULL; other = other->next) {
        if (other != socket->pcb && other->local_port == port &&
            inet_overlap(address, &other->local_ip) &&
            !(may_share && other->recv == udp_on_receive && is_shared(socket, other->recv_arg))) {
            return true;
        }
    }
    return !socket->is_sharing && net_group_is_elsewhere(NET_UDP, port, socket->inet.core);
}

static int64_t bind_pcb(struct udp_socket *socket, struct udp_pcb *pcb, const ip_addr_t *address,
                        uint16_t port)
{
    if (port != 0) {
        return is_taken(socket, address, port, true) ? -EADDRINUSE
                                                     : net_error(udp_bind(pcb, address, port));
    }
    for (uint32_t i = 0; i < EPHEMERAL_TRIES; i++) {
        port = net_port_ephemeral(NET_UDP, socket->inet.core);
        if (!is_taken(socket, address, port, false)) {
            return net_error(udp_bind(pcb, address, port));
        }
    }
    return -EADDRINUSE;
}

static void apply(struct udp_socket *socket, struct udp_pcb *pcb)
{
    pcb->so_options |= SOF_REUSEADDR;
    inet_apply(&socket->inet, &pcb->tos, &pcb->ttl);
}

static int64_t make_pcb(struct udp_socket *socket, const struct inet_end *end)
{
    ip_addr_t address = local_address(socket, end);
    struct udp_pcb *pcb = udp_new_ip_type(IP_GET_TYPE(&address));
    if (pcb == NULL) {
        return -ENOBUFS;
    }
    apply(socket, pcb);
    int64_t result = bind_pcb(socket, pcb, &address, end->port);
    if (result < 0) {
        udp_remove(pcb);
        return result;
    }
    udp_recv(pcb, udp_on_receive, socket);
    socket->pcb = pcb;
    posix_lock_acquire(&socket->inet.base.lock);
    socket->inet.own = (struct inet_end){address, pcb->local_port};
    posix_lock_release(&socket->inet.base.lock);
    return 0;
}

int64_t udp_need_pcb(struct udp_socket *socket)
{
    struct inet_end any = {.address = IPADDR4_INIT(0)};
    if (socket->inet.base.domain == AF_INET6) {
        ip_addr_set_any(true, &any.address);
    }
    return socket->pcb != NULL ? 0 : make_pcb(socket, &any);
}

static void bind_in_stack(void *argument)
{
    struct udp_request *request = argument;
    struct udp_socket *socket = request->socket;
    if (socket->pcb != NULL) {
        request->result = -EINVAL;
    } else if (!inet_address_is_own(&request->end.address) &&
               !ip_addr_ismulticast(&request->end.address)) {
        request->result = -EADDRNOTAVAIL;
    } else {
        socket->is_sharing = request->is_sharing;
        request->result = make_pcb(socket, &request->end);
    }
}

/* In the stack of the port's home: whose sockets are there alone. */
static void join_in_stack(void *argument)
{
    struct udp_request *request = argument;
    struct udp_socket *socket = request->socket;
    uint16_t port = request->end.port;
    if (socket->inet.core != posix_core() &&
        is_taken(socket, &socket->inet.own.address, port, true)) {
        request->result = -EADDRINUSE;
        return;
    }
    socket->has_joined = net_group_join(NET_UDP, port, posix_core(), socket->inet.core);
    request->result = socket->has_joined ? 0 : -ENOBUFS; /* too many ports are shared */
}

static void unbind_in_stack(void *argument)
{
    struct udp_socket *socket = argument;
    udp_remove(socket->pcb);
    socket->pcb = NULL;
    posix_lock_acquire(&socket->inet.base.lock);
    socket->inet.own = (struct inet_end){0};
    posix_lock_release(&socket->inet.base.lock);
}

/* A port that sockets of several cores share: this one has a part of the peers on its own core.
 *
 * @impl ATL-LLR-NET-0864~1 */
static int64_t join_port(struct udp_request *request)
{
    uint32_t home = net_port_claim(NET_UDP, request->end.port, posix_core());
    int64_t result = net_stack_start(home);
    if (result == 0) {
        net_group_make_room();
        net_call(home, join_in_stack, request);
        result = request->result;
    }
    if (result < 0) {
        net_call(request->socket->inet.core, unbind_in_stack, request->socket);
    }
    return result;
}

/* @impl ATL-LLR-POSIX-0907~1 */
static int64_t udp_op_bind(struct socket *base, const struct socket_address *name)
{
    struct udp_request request = {.socket = udp_of(base)};
    struct udp_socket *socket = request.socket;
    int64_t result = inet_address_load(&socket->inet, name, &request.end);
    bool is_sharing = socket_has(base, SO_REUSEPORT);
    if (result == 0) {
        result = inet_settle(&socket->inet, NET_UDP, is_sharing ? 0 : request.end.port);
    }
    if (result == 0) {
        request.is_sharing = is_sharing;
        net_call(socket->inet.core, bind_in_stack, &request);
        result = request.result;
    }
    request.end.port = socket->inet.own.port;
    return result == 0 && is_sharing && posix_info.core_count > 1 ? join_port(&request) : result;
}

static void connect_in_stack(void *argument)
{
    struct udp_request *request = argument;
    struct udp_socket *socket = request->socket;
    struct inet_end *end = &request->end;
    request->result = udp_need_pcb(socket);
    if (request->result < 0) {
        return;
    }
    if (end->port == 0) {
        udp_disconnect(socket->pcb);
    } else {
        inet_end_complete(end);
        request->result = inet_may_leave(&socket->pcb->local_ip, &end->address)
                              ? net_error(udp_connect(socket->pcb, &end->address, end->port))
                              : -EINVAL;
    }
    if (request->result == 0) {
        posix_lock_acquire(&socket->inet.base.lock);
        socket->inet.peer = *end;
        socket->inet.own.address = socket->pcb->local_ip;
        if (end->port != 0 && ip_addr_isany_val(socket->pcb->local_ip)) {
            struct netif *interface = ip_route(&socket->pcb->local_ip, &end->address);
            const ip_addr_t *source =
                interface != NULL ? ip_netif_get_local_ip(interface, &end->address) : NULL;
            socket->inet.own.address = source != NULL ? *source : socket->pcb->local_ip;
        }
        posix_lock_release(&socket->inet.base.lock);
    }
}

/* @impl ATL-LLR-POSIX-0907~1 */
static int64_t udp_op_connect(struct socket *base, const struct socket_address *name,
                              uint64_t deadline_ns)
{
    struct udp_request request = {.socket = udp_of(base)};
    int64_t result = 0;
    (void)deadline_ns;
    if (name->bytes < sizeof(name->family) || name->family != AF_UNSPEC) {
        result = inet_address_load(&request.socket->inet, name, &request.end);
    }
    if (result == 0) {
        result = inet_settle(&request.socket->inet, NET_UDP, 0);
    }
    if (result == 0) {
        net_call(request.socket->inet.core, connect_in_stack, &request);
        result = request.result;
    }
    return result;
}

/* @impl ATL-LLR-POSIX-0907~1 */
static int64_t udp_op_shutdown(struct socket *base, enum socket_shut ends)
{
    struct inet_socket *socket = (struct inet_socket *)base;
    posix_lock_acquire(&base->lock);
    base->shut |= ends;
    bool is_connected = socket->peer.port != 0;
    inet_tell(socket, POSIX_POLL_ANY);
    posix_lock_release(&base->lock);
    return is_connected ? 0 : -ENOTCONN;
}

static void close_in_stack(void *argument)
{
    struct udp_socket *socket = argument;
    if (socket->pcb != NULL) {
        udp_remove(socket->pcb);
    }
    udp_drop_received(socket);
}

static void udp_op_release(struct socket *base)
{
    struct udp_socket *socket = udp_of(base);
    posix_lock_acquire(&base->lock);
    base->file = NULL;
    posix_lock_release(&base->lock);
    inet_multicast_leave_all(&socket->inet);
    if (socket->has_joined) {
        net_group_leave(NET_UDP, socket->inet.own.port, socket->inet.core);
    }
    if (socket->inet.has_core) {
        net_call(socket->inet.core, close_in_stack, socket);
    }
    net_memory_free(socket);
}

/* @impl ATL-LLR-POSIX-0907~1 */
static uint32_t udp_op_poll(struct socket *base)
{
    const struct udp_socket *socket = udp_of(base);
    uint32_t ready = POSIX_POLL_WRITABLE;
    posix_lock_acquire(&base->lock);
    if (base->shut == SOCKET_SHUT_BOTH) {
        ready |= POSIX_POLL_HUP;
    }
    if ((base->shut & SOCKET_SHUT_RECEIVE) != 0) {
        ready |= POSIX_POLL_READABLE | POSIX_POLL_RDHUP;
    }
    ready |= socket->first != NULL ? POSIX_POLL_READABLE : 0;
    ready |= base->error != 0 ? POSIX_POLL_ERR : 0;
    posix_lock_release(&base->lock);
    return ready;
}

static int64_t udp_op_ioctl(struct socket *base, uint64_t request, uint64_t argument)
{
    const struct udp_socket *socket = udp_of(base);
    if (request != FIONREAD && request != TIOCOUTQ) {
        return -ENOTTY;
    }
    posix_lock_acquire(&base->lock);
    bool has_datagram = request == FIONREAD && socket->first != NULL;
    int32_t bytes = has_datagram ? socket->first->packet->tot_len : 0;
    posix_lock_release(&base->lock);
    return posix_copy_out(argument, &bytes, sizeof(bytes));
}

static void apply_in_stack(void *argument)
{
    struct udp_socket *socket = argument;
    if (socket->pcb != NULL) {
        apply(socket, socket->pcb);
    }
}

static void udp_op_settings_changed(struct socket *base)
{
    struct udp_socket *socket = udp_of(base);
    if (socket->inet.has_core) {
        net_call(socket->inet.core, apply_in_stack, socket);
    }
}

static const struct socket_operations udp_operations = {
    .bind = udp_op_bind,
    .connect = udp_op_connect,
    .name = inet_name,
    .send = udp_op_send,
    .receive = udp_op_receive,
    .shutdown = udp_op_shutdown,
    .ioctl = udp_op_ioctl,
    .poll = udp_op_poll,
    .set_option = inet_set_option,
    .get_option = inet_get_option,
    .settings_changed = udp_op_settings_changed,
    .release = udp_op_release,
};

int64_t inet_udp_create(uint32_t domain, struct socket **socket)
{
    struct udp_socket *made = net_memory_allocate(sizeof(*made));
    if (made == NULL) {
        return -ENOBUFS;
    }
    inet_initialize(&made->inet, &udp_operations, domain, SOCK_DGRAM);
    *socket = &made->inet.base;
    return 0;
}
