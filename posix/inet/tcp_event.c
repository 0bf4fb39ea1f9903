/* SPDX-License-Identifier: Apache-2.0 */
/* What lwIP tells of a connection: see tcp.h. */
#include "tcp.h"

#include <lwip/priv/tcp_priv.h>

#define EXTRA_ARGUMENT 0u /* of each pcb: tcp_ext_arg_alloc_id gives it at start */
#define POLL_INTERVAL 2u  /* half seconds: what memory was missing for is tried again */
#define END_EVENTS (POSIX_POLL_READABLE | POSIX_POLL_RDHUP | POSIX_POLL_HUP)

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *chain, err_t error)
{
    struct tcp_socket *socket = argument;
    (void)pcb;
    (void)error;
    tcp_lock(socket);
    if (chain == NULL) {
        socket->has_end = true;
        inet_tell(&socket->inet, END_EVENTS);
    } else if (socket->is_closed) {
        pbuf_free(chain); /* lwIP itself refuses data after a close */
    } else {
        socket->received_bytes += chain->tot_len;
        if (socket->last != NULL) {
            socket->last->next = chain;
        } else {
            socket->first = chain;
        }
        while (chain->next != NULL) {
            chain = chain->next;
        }
        socket->last = chain;
        inet_tell(&socket->inet, POSIX_POLL_READABLE);
    }
    tcp_unlock(socket);
    return ERR_OK;
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, uint16_t bytes)
{
    struct tcp_socket *socket = argument;
    (void)pcb;
    tcp_lock(socket);
    tcp_acknowledge(socket, bytes);
    tcp_unlock(socket);
    tcp_pump(socket);
    return ERR_OK;
}

static uint32_t sequence_of(const struct tcp_seg *segment)
{
    return lwip_ntohl(segment->tcphdr->seqno);
}

/* A segment that lwIP was to send again at once, and that a closed window held back, waits with
 * those that were never sent. When time is up lwIP puts all that was sent in front of it, where
 * what is first does not fit before the one that the peer lacks: nobody would ever send again.
 *
 * @impl ATL-LLR-POSIX-0973~1 */
static void put_oldest_first(struct tcp_pcb *pcb)
{
    if (pcb->unsent == NULL || pcb->unacked != NULL ||
        TCP_SEQ_LEQ(sequence_of(pcb->unsent), pcb->lastack)) {
        return;
    }
    struct tcp_seg **oldest = &pcb->unsent;
    for (struct tcp_seg **at = &pcb->unsent; *at != NULL; at = &(*at)->next) {
        if (TCP_SEQ_LT(sequence_of(*at), sequence_of(*oldest))) {
            oldest = at;
        }
    }
    struct tcp_seg *segment = *oldest;
    *oldest = segment->next;
    segment->next = pcb->unsent;
    pcb->unsent = segment;
}

static err_t on_poll(void *argument, struct tcp_pcb *pcb)
{
    put_oldest_first(pcb); /* lwIP sends when this returns */
    tcp_pump(argument);
    return ERR_OK;
}

static int32_t errno_of(const struct tcp_socket *socket, err_t error)
{
    if (error == ERR_RST) {
        return socket->phase == TCP_CONNECTING ? -ECONNREFUSED
               : socket->has_end               ? -EPIPE
                                               : -ECONNRESET;
    }
    return error == ERR_CLSD ? 0 : -ETIMEDOUT;
}

/* The connection has failed, or was closed by both; lwIP frees the pcb, which on_destroyed hears.
 */
static void on_error(void *argument, err_t error)
{
    struct tcp_socket *socket = argument;
    tcp_lock(socket);
    socket->inet.base.error = errno_of(socket, error);
    socket->phase = socket->phase == TCP_CONNECTING ? TCP_REFUSED : TCP_ENDED;
    tcp_drop_unsent(socket);
    inet_tell(&socket->inet, POSIX_POLL_ANY);
    tcp_unlock(socket);
}

/* The pcb is freed: after an error, or at the end of its time as a closed one. */
static void on_destroyed(uint8_t id, void *data)
{
    struct tcp_socket *socket = data;
    (void)id;
    if (socket != NULL) {
        tcp_index_remove(socket);
        socket->pcb = NULL;
        tcp_lock(socket);
        if (socket->phase == TCP_CONNECTED) {
            socket->phase = TCP_ENDED;
            inet_tell(&socket->inet, POSIX_POLL_ANY);
        }
        tcp_unlock(socket);
        tcp_socket_put(socket);
    }
}

static const struct tcp_ext_arg_callbacks extra_callbacks = {.destroy = on_destroyed};

void tcp_attach(struct tcp_socket *socket, struct tcp_pcb *pcb)
{
    atomic_fetch_add_explicit(&socket->inet.references, 1, memory_order_relaxed);
    socket->pcb = pcb;
    tcp_ext_arg_set(pcb, EXTRA_ARGUMENT, socket);
    tcp_ext_arg_set_callbacks(pcb, EXTRA_ARGUMENT, &extra_callbacks);
    tcp_arg(pcb, socket);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, POLL_INTERVAL);
    tcp_apply_settings(socket);
}

void tcp_detach(struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->pcb;
    tcp_index_remove(socket);
    socket->pcb = NULL;
    tcp_ext_arg_set(pcb, EXTRA_ARGUMENT, NULL);
    if (pcb->state != LISTEN) {
        tcp_recv(pcb, NULL);
        tcp_sent(pcb, NULL);
        tcp_err(pcb, NULL);
        tcp_poll(pcb, NULL, 0);
    }
    tcp_arg(pcb, NULL);
    tcp_socket_put(socket);
}

void tcp_apply_settings(struct tcp_socket *socket)
{
    struct tcp_pcb *pcb = socket->pcb;
    const struct inet_settings *settings = &socket->inet.settings;
    bool is_kept_alive = socket_has(&socket->inet.base, SO_KEEPALIVE);
    pcb->so_options &= (uint8_t)~SOF_KEEPALIVE;
    pcb->so_options |= is_kept_alive ? SOF_KEEPALIVE : 0;
    tcp_port_share(socket, pcb);
    inet_apply(&socket->inet, &pcb->tos, &pcb->ttl);
    if (pcb->state == LISTEN) {
        return;
    }
    if (settings->no_delay != 0) {
        tcp_nagle_disable(pcb);
    } else {
        tcp_nagle_enable(pcb);
    }
    pcb->keep_idle = (uint32_t)settings->keep_idle_s * 1000u;
    pcb->keep_intvl = (uint32_t)settings->keep_interval_s * 1000u;
    pcb->keep_cnt = (uint32_t)settings->keep_count;
}

static struct inet_end own_end(const struct tcp_pcb *pcb)
{
    return (struct inet_end){.address = pcb->local_ip, .port = pcb->local_port};
}

err_t tcp_on_connected(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct tcp_socket *socket = argument;
    (void)error;
    tcp_lock(socket);
    socket->phase = TCP_CONNECTED;
    socket->inet.own = own_end(pcb);
    inet_tell(&socket->inet, POSIX_POLL_WRITABLE);
    tcp_unlock(socket);
    return ERR_OK;
}

/* A connection for a listening socket: it waits to be accepted as a socket without a file.
 * @impl ATL-LLR-POSIX-0904~1 */
err_t tcp_on_accept(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct tcp_socket *listener = argument;
    struct tcp_socket *socket =
        listener != NULL && error == ERR_OK ? tcp_socket_make(listener->inet.base.domain) : NULL;
    if (socket == NULL) {
        return ERR_MEM; /* lwIP aborts the connection */
    }
    socket->inet.core = posix_core(); /* the listener's, or one that listens for it */
    socket->inet.has_core = true;
    socket->inet.own = own_end(pcb);
    socket->inet.peer = (struct inet_end){.address = pcb->remote_ip, .port = pcb->remote_port};
    socket->phase = TCP_CONNECTED;
    socket->is_connect_told = true;
    tcp_lock(listener);
    socket->inet.settings = listener->inet.settings;
    socket->inet.base.switches = listener->inet.base.switches;
    socket->inet.base.send_bytes_max = listener->inet.base.send_bytes_max;
    socket->inet.base.receive_bytes_max = listener->inet.base.receive_bytes_max;
    socket->inet.base.receive_low = listener->inet.base.receive_low;
    socket->inet.base.linger = listener->inet.base.linger;
    tcp_unlock(listener);
    tcp_attach(socket, pcb);
    tcp_backlog_delayed(pcb);
    tcp_lock(listener);
    if (listener->last_pending != NULL) {
        listener->last_pending->next_pending = socket;
    } else {
        listener->first_pending = socket;
    }
    listener->last_pending = socket;
    listener->pending_count++;
    inet_tell(&listener->inet, POSIX_POLL_READABLE);
    tcp_unlock(listener);
    return ERR_OK;
}
