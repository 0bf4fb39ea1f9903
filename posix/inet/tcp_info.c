/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP tells of a connection: TCP_INFO and TCP_CONGESTION. What lwIP does not know is 0. */
#include "tcp.h"

#include "abi.h"

#include <lwip/netif.h>
#include <lwip/priv/tcp_priv.h>

#define US_PER_TICK (TCP_SLOW_INTERVAL * 1000u)
#define NAME_BYTES 16u
#define REORDERING 3u                              /* duplicates after which lwIP sends again */
static const char congestion[NAME_BYTES] = "reno"; /* the one that lwIP has */

/* As Linux numbers states. */
static const uint8_t states[] = {
    [CLOSED] = 7,      [LISTEN] = 10,    [SYN_SENT] = 2,   [SYN_RCVD] = 3,
    [ESTABLISHED] = 1, [FIN_WAIT_1] = 4, [FIN_WAIT_2] = 5, [CLOSE_WAIT] = 8,
    [CLOSING] = 11,    [LAST_ACK] = 9,   [TIME_WAIT] = 6,
};

struct info_request {
    struct tcp_socket *socket;
    struct linux_tcp_info *info;
};

static uint32_t segments(const struct tcp_seg *segment)
{
    uint32_t count = 0;
    for (; segment != NULL; segment = segment->next) {
        count++;
    }
    return count;
}

static uint32_t path_mtu(const struct tcp_pcb *pcb)
{
    const struct netif *netif = ip_route(&pcb->local_ip, &pcb->remote_ip);
    return netif != NULL ? netif->mtu : 0;
}

static void describe(const struct tcp_pcb *pcb, struct linux_tcp_info *info)
{
    info->retransmits = pcb->nrtx;
    info->options = ((pcb->flags & TF_SACK) != 0 ? TCPI_OPT_SACK : 0) |
                    ((pcb->flags & TF_WND_SCALE) != 0 ? TCPI_OPT_WSCALE : 0);
    info->window_scales = (uint8_t)(pcb->snd_scale | pcb->rcv_scale << 4);
    info->rto_us = (uint32_t)pcb->rto * US_PER_TICK;
    info->send_mss = pcb->mss;
    info->receive_mss = pcb->mss;
    info->advertised_mss = pcb->mss;
    info->unacknowledged = segments(pcb->unacked);
    info->path_mtu = path_mtu(pcb);
    info->rtt_us = (uint32_t)(pcb->sa >> 3) * US_PER_TICK;
    info->rtt_variance_us = (uint32_t)(pcb->sv >> 2) * US_PER_TICK;
    info->slow_start_threshold = pcb->ssthresh / pcb->mss;
    info->congestion_window = pcb->cwnd / pcb->mss;
    info->reordering = REORDERING;
    info->receive_space = pcb->rcv_wnd;
    info->send_window = pcb->snd_wnd;
}

static void info_in_stack(void *argument)
{
    const struct info_request *request = argument;
    struct tcp_socket *socket = request->socket;
    struct linux_tcp_info *info = request->info;
    const struct tcp_pcb *pcb = socket->pcb;
    tcp_lock(socket);
    bool is_listening = socket->phase == TCP_LISTENING;
    uint32_t pending = socket->pending_count;
    info->unsent_bytes = socket->queued_bytes;
    tcp_unlock(socket);
    if (is_listening) {
        info->state = states[LISTEN];
        info->unacknowledged = pending;
    } else if (pcb != NULL) {
        info->state = states[pcb->state];
        describe(pcb, info);
        uint32_t sent = pcb->snd_nxt - pcb->lastack;
        info->unsent_bytes = sent < info->unsent_bytes ? info->unsent_bytes - sent : 0;
    }
}

/* @impl ATL-LLR-POSIX-1031~1 */
int64_t tcp_op_get_option(struct socket *base, int32_t level, uint32_t option, void *value,
                          uint32_t *bytes)
{
    struct tcp_socket *socket = tcp_of(base);
    if (level == (int32_t)IPPROTO_TCP && option == TCP_CONGESTION) {
        __builtin_memcpy(value, congestion, sizeof(congestion));
        *bytes = sizeof(congestion);
        return 0;
    }
    if (level != (int32_t)IPPROTO_TCP || option != TCP_INFO) {
        return inet_get_option(base, level, option, value, bytes);
    }
    struct linux_tcp_info info = {.state = states[CLOSED]};
    struct info_request request = {socket, &info};
    if (socket->inet.has_core) {
        net_call(socket->inet.core, info_in_stack, &request);
    }
    __builtin_memcpy(value, &info, sizeof(info));
    *bytes = sizeof(info);
    return 0;
}

/* @impl ATL-LLR-POSIX-1031~1 */
int64_t tcp_op_set_option(struct socket *base, int32_t level, uint32_t option, const void *value,
                          uint32_t bytes)
{
    char name[NAME_BYTES] = {0};
    if (level != (int32_t)IPPROTO_TCP || option != TCP_CONGESTION) {
        return inet_set_option(base, level, option, value, bytes);
    }
    if (bytes == 0) {
        return -EINVAL;
    }
    __builtin_memcpy(name, value, bytes < sizeof(name) - 1 ? bytes : sizeof(name) - 1);
    bool is_same = true;
    for (uint32_t i = 0; is_same && i < sizeof(name); i++) {
        is_same = name[i] == congestion[i];
        if (name[i] == '\0') {
            break;
        }
    }
    return is_same ? 0 : -ENOENT;
}
