/* SPDX-License-Identifier: Apache-2.0 */
/* What sockets of TCP and UDP share: see inet.h. */
#include "inet.h"

#include "abi.h"

#include <lwip/err.h>

static const int16_t errors[] = {
    [-ERR_MEM] = -ENOBUFS,
    [-ERR_BUF] = -ENOBUFS,
    [-ERR_TIMEOUT] = -ETIMEDOUT,
    [-ERR_RTE] = -ENETUNREACH,
    [-ERR_INPROGRESS] = -EINPROGRESS,
    [-ERR_VAL] = -EINVAL,
    [-ERR_WOULDBLOCK] = -EAGAIN,
    [-ERR_USE] = -EADDRINUSE,
    [-ERR_ALREADY] = -EALREADY,
    [-ERR_ISCONN] = -EISCONN,
    [-ERR_CONN] = -ENOTCONN,
    [-ERR_IF] = -ENETDOWN,
    [-ERR_ABRT] = -ETIMEDOUT,
    [-ERR_RST] = -ECONNRESET,
    [-ERR_CLSD] = -ENOTCONN,
    [-ERR_ARG] = -EINVAL,
};

int64_t net_error(err_t error)
{
    return errors[-error];
}

int64_t inet_address_load(const struct inet_socket *socket, const struct socket_address *name,
                          struct inet_end *end)
{
    *end = (struct inet_end){0};
    if (name->bytes < sizeof(name->family)) {
        return -EINVAL;
    }
    if (socket->base.domain == AF_INET) {
        struct linux_sockaddr_in in;
        if (name->bytes < sizeof(in)) {
            return -EINVAL;
        }
        __builtin_memcpy(&in, name->storage, sizeof(in));
        if (in.family != AF_INET && (in.family != AF_UNSPEC || in.address != 0)) {
            return -EAFNOSUPPORT;
        }
        ip_addr_set_ip4_u32(&end->address, in.address);
        end->port = __builtin_bswap16(in.port);
        return 0;
    }
    struct linux_sockaddr_in6 in6;
    if (name->family != AF_INET6) {
        return -EAFNOSUPPORT;
    }
    if (name->bytes < SOCKADDR_IN6_BYTES_MIN) {
        return -EINVAL;
    }
    __builtin_memcpy(&in6, name->storage, sizeof(in6));
    if (in6.address[0] == 0 && in6.address[1] == 0 && in6.address[2] == IN6_MAPPED) {
        ip_addr_set_ip4_u32(&end->address, in6.address[3]);
    } else {
        ip_addr_t address =
            IPADDR6_INIT(in6.address[0], in6.address[1], in6.address[2], in6.address[3]);
        end->address = address;
    }
    end->port = __builtin_bswap16(in6.port);
    return 0;
}

void inet_address_store(const struct inet_socket *socket, const struct inet_end *end,
                        struct socket_address *name)
{
    __builtin_memset(name, 0, sizeof(*name));
    uint16_t port = __builtin_bswap16(end->port);
    if (socket->base.domain == AF_INET) {
        struct linux_sockaddr_in in = {.family = AF_INET, .port = port};
        if (IP_IS_V4(&end->address)) {
            in.address = ip_2_ip4(&end->address)->addr;
        }
        name->bytes = sizeof(in);
        __builtin_memcpy(name->storage, &in, sizeof(in));
        return;
    }
    struct linux_sockaddr_in6 in6 = {.family = AF_INET6, .port = port};
    if (IP_IS_V6(&end->address)) {
        __builtin_memcpy(in6.address, ip_2_ip6(&end->address)->addr, sizeof(in6.address));
    } else if (IP_IS_V4(&end->address) && !IP_IS_ANY_TYPE_VAL(end->address)) {
        in6.address[2] = IN6_MAPPED;
        in6.address[3] = ip_2_ip4(&end->address)->addr;
    }
    name->bytes = sizeof(in6);
    __builtin_memcpy(name->storage, &in6, sizeof(in6));
}

void inet_end_complete(struct inet_end *end)
{
    static const ip_addr_t here = IPADDR4_INIT_BYTES(127, 0, 0, 1);
    static const ip_addr_t here_6 = IPADDR6_INIT(0, 0, 0, PP_HTONL(1));
    if (ip_addr_isany_val(end->address)) {
        end->address = IP_IS_V6(&end->address) ? here_6 : here;
    }
}

bool inet_overlap(const ip_addr_t *one, const ip_addr_t *other)
{
    bool is_any = ip_addr_isany_val(*one) || ip_addr_isany_val(*other);
    if (IP_IS_ANY_TYPE_VAL(*one) || IP_IS_ANY_TYPE_VAL(*other)) {
        return true; /* all addresses of both families */
    }
    return IP_GET_TYPE(one) == IP_GET_TYPE(other) && (is_any || ip_addr_eq(one, other));
}

int64_t inet_name(struct socket *base, enum socket_end end, struct socket_address *name)
{
    struct inet_socket *socket = (struct inet_socket *)base;
    posix_lock_acquire(&base->lock);
    struct inet_end found = end == SOCKET_OWN ? socket->own : socket->peer;
    posix_lock_release(&base->lock);
    if (end == SOCKET_PEER && found.port == 0) {
        return -ENOTCONN;
    }
    inet_address_store(socket, &found, name);
    return 0;
}

void inet_initialize(struct inet_socket *socket, const struct socket_operations *operations,
                     uint32_t domain, uint32_t type)
{
    socket_initialize(&socket->base, operations, domain, type);
    socket->base.protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
    ip_addr_set_zero_ip4(&socket->own.address);
    socket->settings = inet_settings_default;
}

/* @impl ATL-LLR-POSIX-0902~1 */
int64_t inet_settle(struct inet_socket *socket, enum net_protocol protocol, uint16_t port)
{
    uint32_t core = posix_core();
    if (port != 0) {
        core = net_port_claim(protocol, port, core);
    }
    posix_lock_acquire(&socket->base.lock);
    if (!socket->has_core) {
        socket->core = core;
        socket->has_core = true;
    }
    core = socket->core;
    posix_lock_release(&socket->base.lock);
    return net_stack_start(core);
}

int64_t inet_turn_take(struct inet_socket *socket, struct inet_turn *turn, uint64_t deadline_ns)
{
    while (turn->is_taken) {
        int64_t result = socket_wait(&turn->waiting, &socket->base, deadline_ns);
        if (result < 0) {
            return result;
        }
        posix_lock_acquire(&socket->base.lock);
    }
    turn->is_taken = true;
    return 0;
}

void inet_turn_give(struct inet_turn *turn)
{
    turn->is_taken = false;
    if (turn->waiting.first != NULL) {
        posix_wake(&turn->waiting, UINT32_MAX);
    }
}

void inet_tell(struct inet_socket *socket, uint32_t events)
{
    if ((events & (POSIX_POLL_READABLE | POSIX_POLL_ERR)) != 0 && socket->readers.first != NULL) {
        posix_wake(&socket->readers, UINT32_MAX);
    }
    if ((events & (POSIX_POLL_WRITABLE | POSIX_POLL_ERR)) != 0 && socket->writers.first != NULL) {
        posix_wake(&socket->writers, UINT32_MAX);
    }
    if (socket->base.file != NULL) {
        posix_file_notify(socket->base.file, events);
    }
}

static int64_t create(uint32_t domain, uint32_t type, uint32_t protocol, struct socket **socket)
{
    if (type == SOCK_STREAM) {
        return protocol == 0 || protocol == IPPROTO_TCP ? inet_tcp_create(domain, socket)
                                                        : -EPROTONOSUPPORT;
    }
    if (type == SOCK_DGRAM) {
        return protocol == 0 || protocol == IPPROTO_UDP ? inet_udp_create(domain, socket)
                                                        : -EPROTONOSUPPORT;
    }
    return -ESOCKTNOSUPPORT;
}

int64_t inet_create_4(uint32_t type, uint32_t protocol, struct socket **socket)
{
    return create(AF_INET, type, protocol, socket);
}

int64_t inet_create_6(uint32_t type, uint32_t protocol, struct socket **socket)
{
    return create(AF_INET6, type, protocol, socket);
}
