/* SPDX-License-Identifier: Apache-2.0 */
/* Options of IP, IPv6 and TCP. */
#include "inet.h"
#include "multicast.h"

#include "abi.h"

#include <lwip/opt.h>

#define KEEP_S_MAX 32767 /* Linux's limits */
#define KEEP_COUNT_MAX 127
#define SEGMENT_MIN 88
#define SEGMENT_MAX 32767
#define DEFAULT (-1) /* of a time to live or a traffic class: what the stack has */

const struct inet_settings inet_settings_default = {.max_segment = 536,
                                                    .keep_idle_s = 7200,
                                                    .keep_interval_s = 75,
                                                    .keep_count = 9,
                                                    .quick_ack = 1,
                                                    .time_to_live = IP_DEFAULT_TTL,
                                                    .path_mtu = 1,
                                                    .hops = IP_DEFAULT_TTL,
                                                    .multicast_hops = 1,
                                                    .multicast_loop = 1,
                                                    .multicast_all = 1,
                                                    .multicast_hops_6 = 1,
                                                    .multicast_loop_6 = 1};

/* Kept as they are between two bounds. */
static const struct option {
    uint32_t level, number;
    int32_t least, most;
    uint32_t offset;
    bool is_switch; /* anything but 0 is 1 */
} options[] = {
#define OPTION(level, number, least, most, field)                                                  \
    {                                                                                              \
        level, number, least, most, offsetof(struct inet_settings, field), false                   \
    }
#define SWITCH(level, number, field)                                                               \
    {                                                                                              \
        level, number, INT32_MIN, INT32_MAX, offsetof(struct inet_settings, field), true           \
    }
    SWITCH(IPPROTO_TCP, TCP_NODELAY, no_delay),
    OPTION(IPPROTO_TCP, TCP_MAXSEG, SEGMENT_MIN, SEGMENT_MAX, max_segment),
    SWITCH(IPPROTO_TCP, TCP_CORK, cork),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE, 1, KEEP_S_MAX, keep_idle_s),
    OPTION(IPPROTO_TCP, TCP_KEEPINTVL, 1, KEEP_S_MAX, keep_interval_s),
    OPTION(IPPROTO_TCP, TCP_KEEPCNT, 1, KEEP_COUNT_MAX, keep_count),
    OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT, INT32_MIN, INT32_MAX, defer_accept),
    SWITCH(IPPROTO_TCP, TCP_QUICKACK, quick_ack),
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT, 0, INT32_MAX, user_timeout_ms),
    OPTION(IPPROTO_IP, IP_TOS, INT32_MIN, INT32_MAX, service),
    OPTION(IPPROTO_IP, IP_TTL, DEFAULT, 255, time_to_live),
    OPTION(IPPROTO_IP, IP_MTU_DISCOVER, 0, 5, path_mtu),
    SWITCH(IPPROTO_IP, IP_RECVERR, receives_errors),
    SWITCH(IPPROTO_IP, IP_PKTINFO, packet_info),
    SWITCH(IPPROTO_IPV6, IPV6_RECVPKTINFO, packet_info_6),
    OPTION(IPPROTO_IP, IP_MULTICAST_TTL, DEFAULT, 255, multicast_hops),
    SWITCH(IPPROTO_IP, IP_MULTICAST_LOOP, multicast_loop),
    OPTION(IPPROTO_IP, IP_MULTICAST_ALL, 0, 1, multicast_all),
    OPTION(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, DEFAULT, 255, multicast_hops_6),
    OPTION(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, 1, multicast_loop_6),
    SWITCH(IPPROTO_IPV6, IPV6_V6ONLY, is_only_6),
    OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS, DEFAULT, 255, hops),
    OPTION(IPPROTO_IPV6, IPV6_TCLASS, DEFAULT, 255, traffic_class),
    SWITCH(IPPROTO_IPV6, IPV6_RECVERR, receives_errors_6),
};

/* NULL: there is none, or not on this socket. */
static const struct option *find(const struct inet_socket *socket, int32_t level, uint32_t number)
{
    if ((level == IPPROTO_TCP && socket->base.type != SOCK_STREAM) ||
        (level == IPPROTO_IPV6 && socket->base.domain != AF_INET6)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if ((int32_t)options[i].level == level && options[i].number == number) {
            return &options[i];
        }
    }
    return NULL;
}

static int32_t *place_of(struct inet_socket *socket, const struct option *option)
{
    return (int32_t *)((uint8_t *)&socket->settings + option->offset);
}

/* IP takes a byte as well. */
static int64_t load(int32_t level, const void *value, uint32_t bytes, int32_t *number)
{
    if (bytes >= sizeof(*number)) {
        __builtin_memcpy(number, value, sizeof(*number));
        return 0;
    }
    if (level == IPPROTO_IP && bytes >= 1) {
        *number = *(const uint8_t *)value;
        return 0;
    }
    return -EINVAL;
}

/* @impl ATL-LLR-POSIX-0908~1 */
int64_t inet_set_option(struct socket *base, int32_t level, uint32_t number, const void *value,
                        uint32_t bytes)
{
    struct inet_socket *socket = (struct inet_socket *)base;
    const struct option *option = find(socket, level, number);
    int32_t wanted;
    if (option == NULL) {
        return inet_multicast_set(socket, level, number, value, bytes);
    }
    int64_t result = load(level, value, bytes, &wanted);
    if (result < 0) {
        return result;
    }
    wanted = option->is_switch ? wanted != 0 : wanted;
    if (wanted < option->least || wanted > option->most ||
        (number == IP_TTL && level == IPPROTO_IP && wanted == 0)) {
        return -EINVAL;
    }
    posix_lock_acquire(&base->lock);
    bool is_late = level == IPPROTO_IPV6 && number == IPV6_V6ONLY && socket->own.port != 0;
    if (!is_late) {
        *place_of(socket, option) = wanted;
    }
    posix_lock_release(&base->lock);
    return is_late ? -EINVAL : 0;
}

/* @impl ATL-LLR-POSIX-0908~1 */
int64_t inet_get_option(struct socket *base, int32_t level, uint32_t number, void *value,
                        uint32_t *bytes)
{
    struct inet_socket *socket = (struct inet_socket *)base;
    const struct option *option = find(socket, level, number);
    int32_t found = 0;
    if (option == NULL) {
        int64_t result = inet_multicast_get(socket, level, number, &found);
        if (result < 0) {
            return result;
        }
    } else {
        found = *place_of(socket, option);
    }
    if (found == DEFAULT && option != NULL && level != IPPROTO_TCP) {
        bool is_multicast =
            level == IPPROTO_IP ? number == IP_MULTICAST_TTL : number == IPV6_MULTICAST_HOPS;
        found = is_multicast ? 1 : number == IPV6_TCLASS ? 0 : IP_DEFAULT_TTL;
    }
    __builtin_memcpy(value, &found, sizeof(found));
    *bytes = sizeof(found);
    return 0;
}

void inet_apply(const struct inet_socket *socket, uint8_t *service, uint8_t *time_to_live)
{
    const struct inet_settings *settings = &socket->settings;
    bool is_6 = socket->base.domain == AF_INET6;
    int32_t hops = is_6 ? settings->hops : settings->time_to_live;
    int32_t class = is_6 ? settings->traffic_class : settings->service;
    *time_to_live = (uint8_t)(hops == DEFAULT ? IP_DEFAULT_TTL : hops);
    *service = (uint8_t)(class == DEFAULT ? 0 : class);
}
