/* SPDX-License-Identifier: Apache-2.0 */
/* A socket that listens on a port that cores share. It is bound in the stack of the port's home,
 * which judges who may be beside whom; the core that called listen has a pcb of its own for it and
 * makes its connections. */
#include "tcp.h"

#include "abi.h"

#include <lwip/priv/tcp_priv.h>

static bool has_connections(uint16_t port)
{
    const struct tcp_pcb *const lists[] = {tcp_active_pcbs, tcp_tw_pcbs};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (const struct tcp_pcb *pcb = lists[i]; pcb != NULL; pcb = pcb->next) {
            if (pcb->local_port == port) {
                return true;
            }
        }
    }
    return false;
}

/* Who listens already and found no room for a group would not be in one that is made now. */
bool tcp_share_may(const struct tcp_socket *socket)
{
    uint16_t port = socket->pcb->local_port;
    return socket_has(&socket->inet.base, SO_REUSEPORT) &&
           (net_port_group(NET_TCP, port) != NULL || !tcp_port_has_listener(port)) &&
           net_group_make(NET_TCP, port, socket->inet.core, has_connections(port));
}

struct share_request {
    struct tcp_socket *socket;
    uint8_t backlog;
    int64_t result;
};

static struct tcp_pcb *make_shadow(struct tcp_socket *socket, uint8_t backlog)
{
    const struct inet_end *own = &socket->inet.own;
    struct tcp_pcb *pcb = tcp_new_ip_type(IP_GET_TYPE(&own->address));
    struct tcp_pcb *listening = NULL;
    err_t error = ERR_OK;
    if (pcb == NULL) {
        return NULL;
    }
    tcp_port_share(socket, pcb);
    if (tcp_bind(pcb, &own->address, own->port) == ERR_OK) {
        listening = tcp_port_listen(pcb, backlog, &error);
    }
    if (listening == NULL) {
        tcp_abort(pcb);
        return NULL;
    }
    atomic_fetch_add_explicit(&socket->inet.references, 1, memory_order_relaxed);
    tcp_arg(listening, socket);
    tcp_accept(listening, tcp_on_accept);
    return listening;
}

static void stop_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    struct tcp_pcb *shadow = socket->shadow;
    if (socket->has_joined) {
        socket->has_joined = false;
        net_group_leave(NET_TCP, socket->inet.own.port, socket->listens_at);
    }
    if (shadow != NULL) {
        socket->shadow = NULL;
        tcp_arg(shadow, NULL);
        tcp_close(shadow);
        tcp_socket_put(socket);
    }
}

static void start_in_stack(void *argument)
{
    struct share_request *request = argument;
    struct tcp_socket *socket = request->socket;
    if (socket->phase != TCP_LISTENING) {
        return; /* no more */
    }
    if (socket->listens_at != socket->inet.core) {
        if (socket->shadow != NULL) {
            tcp_backlog_set(socket->shadow, request->backlog);
        } else {
            socket->shadow = make_shadow(socket, request->backlog);
        }
        if (socket->shadow == NULL) {
            request->result = -ENOBUFS;
            return;
        }
    }
    if (!socket->has_joined) {
        socket->has_joined =
            net_group_join(NET_TCP, socket->inet.own.port, socket->inet.core, socket->listens_at);
        if (!socket->has_joined) {
            request->result = -ENOBUFS;
            stop_in_stack(socket);
        }
    }
}

static void give_up_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    if (socket->phase == TCP_LISTENING) {
        tcp_stop_listening(socket);
    }
}

/* @impl ATL-LLR-POSIX-0981~1 */
int64_t tcp_share_start(struct tcp_socket *socket, uint8_t backlog)
{
    struct share_request request = {.socket = socket, .backlog = backlog};
    if (socket->is_sharing) {
        net_call(socket->listens_at, start_in_stack, &request);
    }
    if (request.result < 0) {
        net_call(socket->inet.core, give_up_in_stack, socket);
        tcp_drop_pending(socket);
    }
    return request.result;
}

void tcp_share_stop(struct tcp_socket *socket)
{
    if (socket->is_sharing) {
        net_call(socket->listens_at, stop_in_stack, socket);
    }
}
