/* SPDX-License-Identifier: Apache-2.0 */
/* TCP sockets: their life, shutting down, and what poll shows. */
#include "tcp.h"

#include "abi.h"

#include <posix/time.h>

/* @impl ATL-LLR-NET-0860~1 */
struct tcp_socket *tcp_socket_make(uint32_t domain)
{
    struct tcp_socket *socket = net_memory_allocate(sizeof(*socket));
    if (socket != NULL) {
        inet_initialize(&socket->inet, &tcp_operations, domain, SOCK_STREAM);
        socket->inet.references = 1;
    }
    return socket;
}

int64_t inet_tcp_create(uint32_t domain, struct socket **socket)
{
    struct tcp_socket *made = tcp_socket_make(domain);
    if (made == NULL) {
        return -ENOBUFS;
    }
    *socket = &made->inet.base;
    return 0;
}

void tcp_socket_put(struct tcp_socket *socket)
{
    if (atomic_fetch_sub_explicit(&socket->inet.references, 1, memory_order_acq_rel) == 1) {
        tcp_drop_unsent(socket);
        net_memory_free(socket);
    }
}

struct shutdown_request {
    struct tcp_socket *socket;
    enum socket_shut ends;
    bool was_listening; /* and does no longer */
    int64_t result;
};

static void drop_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    struct tcp_pcb *pcb = socket->pcb;
    if (pcb != NULL) {
        tcp_detach(socket);
        tcp_abort(pcb);
    }
    tcp_lock(socket);
    tcp_drop_received(socket);
    tcp_unlock(socket);
}

void tcp_drop_pending(struct tcp_socket *listener)
{
    tcp_share_stop(listener);
    tcp_lock(listener);
    struct tcp_socket *socket = listener->first_pending;
    listener->first_pending = NULL;
    listener->last_pending = NULL;
    listener->pending_count = 0;
    tcp_unlock(listener);
    while (socket != NULL) {
        struct tcp_socket *next = socket->next_pending;
        net_call(socket->inet.core, drop_in_stack, socket);
        tcp_socket_put(socket);
        socket = next;
    }
}

void tcp_stop_listening(struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->pcb;
    tcp_detach(socket);
    tcp_close(pcb);
    tcp_lock(socket);
    socket->phase = TCP_FRESH;
    socket->inet.base.is_listening = false;
    inet_tell(&socket->inet, POSIX_POLL_ANY);
    tcp_unlock(socket);
}

static void shut_in_stack(void *argument)
{
    struct shutdown_request *request = argument;
    struct tcp_socket *socket = request->socket;
    if (socket->phase == TCP_LISTENING && (request->ends & SOCKET_SHUT_RECEIVE) != 0) {
        tcp_stop_listening(socket);
        request->was_listening = true;
        return;
    }
    if (socket->phase == TCP_LISTENING) {
        return;
    }
    tcp_lock(socket);
    bool is_connected = socket->phase == TCP_CONNECTED;
    socket->inet.base.shut |= request->ends; /* as on Linux, connected or not */
    if (is_connected && (request->ends & SOCKET_SHUT_SEND) != 0) {
        socket->is_finishing = true;
    }
    request->result = is_connected ? 0 : -ENOTCONN;
    inet_tell(&socket->inet, POSIX_POLL_ANY);
    tcp_unlock(socket);
    if (is_connected) {
        tcp_pump(socket);
    }
}

/* @impl ATL-LLR-POSIX-0904~1 */
static int64_t tcp_op_shutdown(struct socket *base, enum socket_shut ends)
{
    struct shutdown_request request = {.socket = tcp_of(base), .ends = ends};
    int64_t result = inet_settle(&request.socket->inet, NET_TCP, 0);
    if (result < 0) {
        return result;
    }
    net_call(request.socket->inet.core, shut_in_stack, &request);
    if (request.was_listening) {
        tcp_drop_pending(request.socket);
    }
    return request.result;
}

/* As Linux: a reset tells the peer that what it sent was not read, or that nobody cares. */
static void close_connection(struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->pcb;
    tcp_lock(socket);
    const struct linux_linger *linger = &socket->inet.base.linger;
    bool is_reset = socket->received_bytes != 0 || socket->phase != TCP_CONNECTED ||
                    (linger->is_on != 0 && linger->seconds == 0);
    socket->is_finishing = true;
    socket->phase = is_reset ? TCP_ENDED : socket->phase;
    tcp_drop_received(socket);
    tcp_unlock(socket);
    if (pcb != NULL && is_reset) {
        tcp_detach(socket);
        tcp_abort(pcb);
    } else {
        tcp_pump(socket);
    }
}

static void close_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    socket->is_closed = true;
    if (socket->phase == TCP_LISTENING) {
        tcp_stop_listening(socket);
    } else {
        close_connection(socket);
    }
}

/* Waits, for as long as SO_LINGER says, until all that was sent is acknowledged.
 *
 * @impl ATL-LLR-POSIX-1032~1 */
static void linger(struct tcp_socket *socket)
{
    tcp_lock(socket);
    const struct linux_linger *setting = &socket->inet.base.linger;
    uint64_t deadline_ns = setting->is_on != 0 && setting->seconds > 0
                               ? posix_deadline_after((uint64_t)setting->seconds * POSIX_NS_PER_S)
                               : 0;
    int64_t result = 0;
    while (deadline_ns != 0 && result == 0 && socket->queued_bytes != 0 &&
           socket->phase == TCP_CONNECTED) {
        result = socket_wait(&socket->inet.writers, &socket->inet.base, deadline_ns);
        tcp_lock(socket);
    }
    tcp_unlock(socket);
}

/* @impl ATL-LLR-POSIX-0904~1 */
static void tcp_op_release(struct socket *base)
{
    struct tcp_socket *socket = tcp_of(base);
    tcp_lock(socket);
    base->file = NULL;
    tcp_unlock(socket);
    if (socket->inet.has_core) {
        bool was_listening = socket->phase == TCP_LISTENING;
        net_call(socket->inet.core, close_in_stack, socket);
        if (was_listening) {
            tcp_drop_pending(socket);
        } else {
            linger(socket);
        }
    }
    tcp_socket_put(socket);
}

/* Of a socket that is or was connected. Locked. */
static uint32_t poll_connection(const struct tcp_socket *socket)
{
    uint32_t shut = socket->inet.base.shut | (socket->has_end ? SOCKET_SHUT_RECEIVE : 0);
    uint32_t ready = 0;
    if (socket->phase == TCP_ENDED || socket->phase == TCP_REFUSED) {
        shut = SOCKET_SHUT_BOTH;
    }
    if (shut == SOCKET_SHUT_BOTH) {
        ready |= POSIX_POLL_HUP;
    }
    if ((shut & SOCKET_SHUT_RECEIVE) != 0) {
        ready |= POSIX_POLL_READABLE | POSIX_POLL_RDHUP;
    }
    if (socket->received_bytes >= (uint32_t)socket->inet.base.receive_low) {
        ready |= POSIX_POLL_READABLE;
    }
    if ((shut & SOCKET_SHUT_SEND) != 0 || tcp_has_room(socket)) {
        ready |= POSIX_POLL_WRITABLE;
    }
    return ready;
}

/* @impl ATL-LLR-POSIX-0905~1 */
static uint32_t tcp_op_poll(struct socket *base)
{
    const struct tcp_socket *socket = tcp_of(base);
    uint32_t ready = 0;
    posix_lock_acquire(&base->lock);
    switch (socket->phase) {
    case TCP_FRESH:
        ready = POSIX_POLL_WRITABLE | POSIX_POLL_HUP;
        if ((base->shut & SOCKET_SHUT_RECEIVE) != 0) {
            ready |= POSIX_POLL_READABLE | POSIX_POLL_RDHUP;
        }
        break;
    case TCP_LISTENING:
        ready = socket->first_pending != NULL ? POSIX_POLL_READABLE : 0;
        break;
    case TCP_CONNECTING:
        break;
    default:
        ready = poll_connection(socket);
        break;
    }
    ready |= base->error != 0 ? POSIX_POLL_ERR : 0;
    posix_lock_release(&base->lock);
    return ready;
}

static int64_t tcp_op_ioctl(struct socket *base, uint64_t request, uint64_t argument)
{
    const struct tcp_socket *socket = tcp_of(base);
    posix_lock_acquire(&base->lock);
    bool is_listening = socket->phase == TCP_LISTENING;
    int32_t bytes = (int32_t)(request == FIONREAD ? socket->received_bytes : socket->queued_bytes);
    posix_lock_release(&base->lock);
    if (request != FIONREAD && request != TIOCOUTQ) {
        return -ENOTTY;
    }
    return is_listening ? -EINVAL : posix_copy_out(argument, &bytes, sizeof(bytes));
}

static void apply_in_stack(void *argument)
{
    struct tcp_socket *socket = argument;
    if (socket->pcb != NULL) {
        tcp_apply_settings(socket);
        tcp_pump(socket); /* no TCP_CORK any more */
    }
    if (socket->pcb != NULL && socket->phase == TCP_CONNECTED) {
        tcp_output(socket->pcb); /* TCP_NODELAY */
    }
    tcp_lock(socket);
    inet_tell(&socket->inet, POSIX_POLL_WRITABLE); /* SO_SNDBUF may be larger */
    tcp_unlock(socket);
}

static void tcp_op_settings_changed(struct socket *base)
{
    struct tcp_socket *socket = tcp_of(base);
    if (socket->inet.has_core) {
        net_call(socket->inet.core, apply_in_stack, socket);
    }
}

const struct socket_operations tcp_operations = {
    .bind = tcp_op_bind,
    .connect = tcp_op_connect,
    .listen = tcp_op_listen,
    .accept = tcp_op_accept,
    .name = inet_name,
    .send = tcp_op_send,
    .receive = tcp_op_receive,
    .shutdown = tcp_op_shutdown,
    .ioctl = tcp_op_ioctl,
    .poll = tcp_op_poll,
    .set_option = tcp_op_set_option,
    .get_option = tcp_op_get_option,
    .settings_changed = tcp_op_settings_changed,
    .release = tcp_op_release,
};
