/* SPDX-License-Identifier: Apache-2.0 */
/* Making connections by TCP: bind, listen, accept, connect. Each is decided in the stack. */
#include "tcp.h"

#include "abi.h"

#include <lwip/priv/tcp_priv.h>

#define BACKLOG_MAX 254u /* lwIP counts them in a byte; as on Linux one more may wait */

struct tcp_request {
    struct tcp_socket *socket;
    struct inet_end end;
    uint32_t backlog;
    uint32_t core; /* that listens */
    int64_t result;
};

static bool is_any(const struct inet_end *end)
{
    return ip_addr_isany_val(end->address);
}

/* Both protocols for an IPv6 socket that names neither's address. */
static ip_addr_t local_address(const struct tcp_socket *socket, const struct inet_end *end)
{
    ip_addr_t any = IPADDR_ANY_TYPE_INIT;
    bool is_dual = socket->inet.base.domain == AF_INET6 && socket->inet.settings.is_only_6 == 0;
    return is_dual && IP_IS_V6(&end->address) && is_any(end) ? any : end->address;
}

/* A pcb for the socket if it has none, of the kind that an address needs. */
static int64_t need_pcb(struct tcp_socket *socket, const ip_addr_t *address)
{
    if (socket->pcb == NULL) {
        struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(address));
        if (pcb == NULL) {
            return -ENOBUFS;
        }
        tcp_attach(socket, pcb);
    }
    return 0;
}

/* Frees the pcb of a socket that has no connection. */
static void drop_pcb(struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->pcb;
    if (pcb != NULL) {
        tcp_detach(socket);
        tcp_abort(pcb);
    }
}

static void bind_in_stack(void *argument)
{
    struct tcp_request *request = argument;
    struct tcp_socket *socket = request->socket;
    ip_addr_t address = local_address(socket, &request->end);
    if (socket->pcb != NULL || socket->inet.is_bound) {
        request->result = -EINVAL;
        return;
    }
    if (!inet_address_is_own(&address)) {
        request->result = -EADDRNOTAVAIL;
        return;
    }
    request->result = need_pcb(socket, &address);
    if (request->result == 0) {
        request->result = tcp_port_bind(socket, &address, request->end.port);
        if (request->result < 0) {
            drop_pcb(socket);
            return;
        }
        tcp_lock(socket);
        socket->inet.own = (struct inet_end){address, socket->pcb->local_port};
        socket->inet.is_bound = true;
        tcp_unlock(socket);
    }
}

/* @impl ATL-LLR-POSIX-0904~1 */
int64_t tcp_op_bind(struct socket *base, const struct socket_address *name)
{
    struct tcp_request request = {.socket = tcp_of(base)};
    int64_t result = inet_address_load(&request.socket->inet, name, &request.end);
    if (result == 0) {
        result = inet_settle(&request.socket->inet, NET_TCP, request.end.port);
    }
    if (result == 0) {
        net_call(request.socket->inet.core, bind_in_stack, &request);
        result = request.result;
    }
    return result;
}

/* A pcb that is bound, for a socket that has none yet. */
static int64_t prepare_listening(struct tcp_socket *socket)
{
    struct inet_end any = {.address = IPADDR4_INIT(0)};
    if (socket->inet.base.domain == AF_INET6) {
        ip_addr_set_any(true, &any.address);
    }
    ip_addr_t address =
        socket->inet.is_bound ? socket->inet.own.address : local_address(socket, &any);
    int64_t result = need_pcb(socket, &address);
    if (result == 0 && socket->pcb->local_port == 0) {
        result = tcp_port_bind(socket, &address, socket->inet.own.port);
    }
    if (result == 0) {
        tcp_lock(socket);
        socket->inet.own = (struct inet_end){address, socket->pcb->local_port};
        tcp_unlock(socket);
    }
    return result;
}

/* The socket's pcb listens. */
static int64_t listen_here(struct tcp_socket *socket, uint8_t backlog)
{
    struct tcp_pcb *pcb = socket->pcb;
    tcp_detach(socket); /* lwIP puts a smaller pcb in place of this one */
    err_t error = ERR_OK;
    struct tcp_pcb *listening = tcp_port_listen(pcb, backlog, &error);
    if (listening == NULL) {
        tcp_attach(socket, pcb);
        return net_error(error);
    }
    atomic_fetch_add_explicit(&socket->inet.references, 1, memory_order_relaxed);
    socket->pcb = listening;
    tcp_arg(listening, socket);
    tcp_accept(listening, tcp_on_accept);
    return 0;
}

static void listen_in_stack(void *argument)
{
    struct tcp_request *request = argument;
    struct tcp_socket *socket = request->socket;
    uint8_t backlog = (uint8_t)request->backlog;
    if (socket->phase == TCP_LISTENING) {
        if (socket->listens_at == socket->inet.core) {
            tcp_backlog_set(socket->pcb, backlog);
        }
        return;
    }
    request->result = socket->phase == TCP_FRESH ? prepare_listening(socket) : -EINVAL;
    if (request->result < 0) {
        return;
    }
    bool is_sharing = tcp_share_may(socket);
    uint32_t core = is_sharing ? request->core : socket->inet.core;
    if (core == socket->inet.core) {
        request->result = listen_here(socket, backlog);
    } else if (tcp_port_is_listened_on(socket->pcb)) {
        request->result = -EADDRINUSE;
    } else {
        tcp_port_lend(socket->pcb);
    }
    if (request->result == 0) {
        tcp_lock(socket);
        socket->phase = TCP_LISTENING;
        socket->is_sharing = is_sharing;
        socket->listens_at = core;
        socket->inet.base.is_listening = true;
        tcp_unlock(socket);
    }
}

/* @impl ATL-LLR-POSIX-0904~1 */
int64_t tcp_op_listen(struct socket *base, uint32_t backlog)
{
    struct tcp_request request = {.socket = tcp_of(base)};
    request.backlog = (backlog < BACKLOG_MAX ? backlog : BACKLOG_MAX) + 1;
    request.core = posix_core();
    int64_t result = inet_settle(&request.socket->inet, NET_TCP, 0);
    if (result == 0 && socket_has(base, SO_REUSEPORT)) {
        net_group_make_room();
        result = net_stack_start(request.core);
    }
    if (result == 0) {
        net_call(request.socket->inet.core, listen_in_stack, &request);
        result = request.result;
    }
    return result == 0 ? tcp_share_start(request.socket, (uint8_t)request.backlog) : result;
}

static void accepted_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    if (socket->pcb != NULL) {
        tcp_backlog_accepted(socket->pcb);
    }
}

/* @impl ATL-LLR-POSIX-0904~1 */
int64_t tcp_op_accept(struct socket *base, uint64_t deadline_ns, struct socket **accepted)
{
    struct tcp_socket *listener = tcp_of(base);
    tcp_lock(listener);
    while (listener->first_pending == NULL) {
        if (listener->phase != TCP_LISTENING) {
            tcp_unlock(listener);
            return -EINVAL;
        }
        int64_t result = socket_wait(&listener->inet.readers, base, deadline_ns);
        if (result < 0) {
            return result;
        }
        tcp_lock(listener);
    }
    struct tcp_socket *socket = listener->first_pending;
    listener->first_pending = socket->next_pending;
    if (listener->first_pending == NULL) {
        listener->last_pending = NULL;
    }
    listener->pending_count--;
    tcp_unlock(listener);
    net_call(socket->inet.core, accepted_in_stack, socket);
    *accepted = &socket->inet.base;
    return 0;
}

/* From where: an address of the machine is reached from itself, anything else as the route says. */
static ip_addr_t source_for(const ip_addr_t *to)
{
    ip_addr_t source = IP_IS_V6(to) ? *IP6_ADDR_ANY : *IP4_ADDR_ANY;
    if (inet_address_is_own(to)) {
        source = *to;
    }
    return source;
}

static void connect_in_stack(void *argument)
{
    struct tcp_request *request = argument;
    struct tcp_socket *socket = request->socket;
    struct inet_end *end = &request->end;
    if (socket->phase != TCP_FRESH) {
        request->result = -EALREADY; /* another thread was first */
        return;
    }
    inet_end_complete(end);
    if (socket->inet.is_bound && !inet_may_leave(&socket->inet.own.address, &end->address)) {
        request->result = -EINVAL;
        return;
    }
    if (socket->inet.is_bound) {
        net_group_connects(socket->inet.own.port);
    }
    const ip_addr_t *kind = socket->inet.is_bound ? &socket->inet.own.address : &end->address;
    request->result = need_pcb(socket, kind);
    if (request->result == 0 && socket->pcb->local_port == 0) {
        ip_addr_t source =
            socket->inet.is_bound ? socket->inet.own.address : source_for(&end->address);
        request->result = tcp_port_bind(socket, &source, socket->inet.own.port);
        request->result = request->result == -EADDRINUSE && !socket->inet.is_bound
                              ? -EADDRNOTAVAIL
                              : request->result;
    }
    if (request->result < 0) {
        return;
    }
    tcp_lock(socket);
    socket->phase = TCP_CONNECTING;
    socket->is_connect_told = false;
    socket->inet.peer = *end;
    socket->inet.own.port = socket->pcb->local_port;
    tcp_unlock(socket);
    err_t error = tcp_connect(socket->pcb, &end->address, end->port, tcp_on_connected);
    tcp_lock(socket);
    if (error != ERR_OK) {
        socket->phase = TCP_FRESH;
        socket->inet.peer = (struct inet_end){0};
        request->result = error == ERR_VAL   ? -EAFNOSUPPORT
                          : error == ERR_USE ? -EADDRNOTAVAIL /* there is such a connection */
                                             : net_error(error);
    } else if (socket->phase == TCP_CONNECTING) {
        socket->inet.own.address = socket->pcb->local_ip;
    }
    tcp_unlock(socket);
}

/* A socket whose connect failed can be used again. Locked. */
static int64_t recover(struct tcp_socket *socket)
{
    int64_t error = socket_take_error(&socket->inet.base);
    socket->phase = TCP_FRESH;
    socket->inet.peer = (struct inet_end){0};
    if (!socket->inet.is_bound) {
        socket->inet.own = (struct inet_end){0};
    }
    return error != 0 ? error : -ECONNABORTED;
}

/* What a connect on a socket returns that is no fresh one. Locked. 1: it is fresh.
 * @impl ATL-LLR-NET-0932~1 */
static int64_t judge(struct tcp_socket *socket, bool *is_waiting)
{
    *is_waiting = false;
    switch (socket->phase) {
    case TCP_FRESH:
        return 1;
    case TCP_CONNECTING:
        *is_waiting = true;
        return -EALREADY;
    case TCP_REFUSED:
        return recover(socket);
    case TCP_CONNECTED:
        if (!socket->is_connect_told) {
            socket->is_connect_told = true;
            return 0;
        }
        return -EISCONN;
    case TCP_ENDED: /* perhaps before connect could tell that it was there */
        if (!socket->is_connect_told) {
            int64_t error = socket_take_error(&socket->inet.base);
            socket->is_connect_told = true;
            return error != 0 ? error : -ECONNABORTED;
        }
        return -EISCONN;
    default:
        return -EISCONN;
    }
}

static int64_t wait_connected(struct tcp_socket *socket, uint64_t deadline_ns, int64_t at_once)
{
    for (;;) {
        bool is_waiting;
        tcp_lock(socket);
        int64_t result = judge(socket, &is_waiting);
        if (!is_waiting || deadline_ns == 0) {
            tcp_unlock(socket);
            return is_waiting ? at_once : result;
        }
        result = socket_wait(&socket->inet.writers, &socket->inet.base, deadline_ns);
        if (result == -EAGAIN) {
            return -EINPROGRESS; /* the time of SO_SNDTIMEO is over */
        }
        if (result < 0) {
            return result;
        }
    }
}

/* @impl ATL-LLR-POSIX-0904~1 */
int64_t tcp_op_connect(struct socket *base, const struct socket_address *name, uint64_t deadline_ns)
{
    struct tcp_request request = {.socket = tcp_of(base)};
    struct tcp_socket *socket = request.socket;
    bool is_waiting;
    int64_t result = inet_address_load(&socket->inet, name, &request.end);
    if (result < 0) {
        return result;
    }
    tcp_lock(socket);
    result = judge(socket, &is_waiting);
    tcp_unlock(socket);
    if (is_waiting) {
        return wait_connected(socket, deadline_ns, -EALREADY);
    }
    if (result <= 0) {
        return result;
    }
    result = inet_settle(&socket->inet, NET_TCP, 0);
    if (result == 0) {
        net_call(socket->inet.core, connect_in_stack, &request);
        result = request.result;
    }
    if (result == 0 && deadline_ns == 0) {
        return -EINPROGRESS; /* as Linux, which answers before the peer can */
    }
    return result < 0 ? result : wait_connected(socket, deadline_ns, -EINPROGRESS);
}
