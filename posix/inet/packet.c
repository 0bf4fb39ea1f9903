/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of AF_PACKET: names, options, and what interfaces tell of themselves: see packet.h. */
#include "packet.h"

#include "abi.h"
#include "device.h"
#include "queue.h"
#include "support.h"

#include <posix/memory.h>

static const char *const names[] = {"lo", "eth0", "eth1", "eth2", "eth3"}; /* of index 1 and on */
_Static_assert(sizeof(names) / sizeof(names[0]) == NET_INDEX_FIRST - 1 + NET_DEVICES, "all");

const char *packet_name(uint32_t index)
{
    return names[index - 1];
}

static bool is_device(uint32_t index)
{
    return device_is_there(index - NET_INDEX_FIRST);
}

static int64_t op_bind(struct socket *base, const struct socket_address *name)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    struct linux_sockaddr_ll to;
    if (name->bytes < sizeof(to) || name->family != AF_PACKET) {
        return -EINVAL;
    }
    __builtin_memcpy(&to, name->storage, sizeof(to));
    if (to.device != 0 && !is_device((uint32_t)to.device)) {
        return -ENODEV;
    }
    posix_lock_acquire(&base->lock);
    socket->index = (uint32_t)to.device;
    socket->protocol = to.protocol != 0 ? to.protocol : socket->protocol;
    base->protocol = socket->protocol;
    bool hears = socket->protocol != 0;
    posix_lock_release(&base->lock);
    if (hears) {
        packet_listen(socket);
    }
    return 0;
}

static int64_t op_name(struct socket *base, enum socket_end end, struct socket_address *name)
{
    const struct packet_socket *socket = (struct packet_socket *)base;
    struct linux_sockaddr_ll own = {.family = AF_PACKET};
    if (end == SOCKET_PEER) {
        return -EOPNOTSUPP;
    }
    posix_lock_acquire(&base->lock);
    own.protocol = socket->protocol;
    own.device = (int32_t)socket->index;
    posix_lock_release(&base->lock);
    if (own.device != 0) {
        own.hardware = ARPHRD_ETHER;
        own.address_bytes = ETHERNET_ADDRESS_BYTES;
        const struct gate_network *facts =
            &posix_info.networks[(uint32_t)own.device - NET_INDEX_FIRST];
        __builtin_memcpy(own.address, facts->mac, ETHERNET_ADDRESS_BYTES);
    }
    name->bytes = (uint32_t)offsetof(struct linux_sockaddr_ll, address) + own.address_bytes;
    __builtin_memcpy(name->storage, &own, name->bytes);
    return 0;
}

static uint32_t op_poll(struct socket *base)
{
    const struct packet_socket *socket = (struct packet_socket *)base;
    posix_lock_acquire(&base->lock);
    uint32_t ready = POSIX_POLL_WRITABLE | (socket->first != NULL ? POSIX_POLL_READABLE : 0) |
                     (base->error != 0 ? POSIX_POLL_ERR : 0);
    posix_lock_release(&base->lock);
    return ready;
}

static int64_t op_ioctl(struct socket *base, uint64_t request, uint64_t argument)
{
    const struct packet_socket *socket = (struct packet_socket *)base;
    if (request != FIONREAD && request != TIOCOUTQ) {
        return -ENOTTY;
    }
    posix_lock_acquire(&base->lock);
    int32_t bytes =
        request == FIONREAD && socket->first != NULL ? (int32_t)socket->first->bytes : 0;
    posix_lock_release(&base->lock);
    return posix_copy_out(argument, &bytes, sizeof(bytes));
}

/* The device hands over all that comes, so who wants more than its own frames has them already. */
static int64_t set_membership(bool is_added, const void *value, uint32_t bytes)
{
    struct linux_packet_mreq wish;
    if (bytes < sizeof(wish)) {
        return -EINVAL;
    }
    __builtin_memcpy(&wish, value, sizeof(wish));
    if (is_added && !is_device((uint32_t)wish.device)) {
        return -ENODEV;
    }
    if (is_added && wish.address_bytes > ETHERNET_ADDRESS_BYTES) {
        return -EINVAL;
    }
    return 0;
}

static int64_t op_set_option(struct socket *base, int32_t level, uint32_t option, const void *value,
                             uint32_t bytes)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    int32_t number;
    if (level != SOL_PACKET) {
        return -ENOPROTOOPT;
    }
    if (option == PACKET_ADD_MEMBERSHIP || option == PACKET_DROP_MEMBERSHIP) {
        return set_membership(option == PACKET_ADD_MEMBERSHIP, value, bytes);
    }
    if (option != PACKET_IGNORE_OUTGOING) {
        return -ENOPROTOOPT;
    }
    if (bytes != sizeof(number)) {
        return -EINVAL;
    }
    __builtin_memcpy(&number, value, sizeof(number));
    if (number != 0 && number != 1) {
        return -EINVAL;
    }
    posix_lock_acquire(&base->lock);
    socket->is_deaf_to_sent = number != 0;
    posix_lock_release(&base->lock);
    return 0;
}

static int64_t op_get_option(struct socket *base, int32_t level, uint32_t option, void *value,
                             uint32_t *bytes)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    struct linux_tpacket_stats counts;
    if (level != SOL_PACKET || (option != PACKET_STATISTICS && option != PACKET_IGNORE_OUTGOING)) {
        return -ENOPROTOOPT;
    }
    posix_lock_acquire(&base->lock);
    int32_t is_deaf = socket->is_deaf_to_sent;
    counts = (struct linux_tpacket_stats){socket->heard, socket->dropped};
    if (option == PACKET_STATISTICS) {
        socket->heard = 0;
        socket->dropped = 0;
    }
    posix_lock_release(&base->lock);
    bool is_count = option == PACKET_STATISTICS;
    *bytes = is_count ? sizeof(counts) : sizeof(is_deaf);
    __builtin_memcpy(value, is_count ? (const void *)&counts : &is_deaf, *bytes);
    return 0;
}

static void op_release(struct socket *base)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    packet_stop_listening(socket);
    packet_op_flush(base);
    packet_drop_received(socket);
    net_memory_free(socket);
}

static const struct socket_operations packet_operations = {
    .bind = op_bind,
    .name = op_name,
    .send = packet_op_send,
    .flush = packet_op_flush,
    .receive = packet_op_receive,
    .ioctl = op_ioctl,
    .poll = op_poll,
    .set_option = op_set_option,
    .get_option = op_get_option,
    .release = op_release,
};

/* @impl ATL-LLR-NET-0901~1 */
int64_t inet_create_packet(uint32_t type, uint32_t protocol, struct socket **socket)
{
    if (type != SOCK_RAW) {
        return -ESOCKTNOSUPPORT;
    }
    struct packet_socket *made = net_memory_allocate(sizeof(*made));
    if (made == NULL) {
        return -ENOBUFS;
    }
    socket_initialize(&made->base, &packet_operations, AF_PACKET, type);
    made->protocol = (uint16_t)protocol;
    made->base.protocol = made->protocol;
    if (made->protocol != 0) {
        packet_listen(made);
    }
    *socket = &made->base;
    return 0;
}

uint32_t packet_mtu(uint32_t device)
{
    uint32_t mtu = posix_info.networks[device].mtu;
    return mtu < ETHERNET_MTU ? mtu : ETHERNET_MTU;
}

static int32_t index_of(const char *name)
{
    for (int32_t i = 0; i < (int32_t)(sizeof(names) / sizeof(names[0])); i++) {
        if (__builtin_strncmp(names[i], name, INTERFACE_NAME_BYTES) == 0 &&
            (i == 0 || is_device((uint32_t)i + 1))) {
            return i + 1;
        }
    }
    return 0;
}

/* What an interface says of itself. False: it does not know the question. */
static bool answer(struct linux_ifreq *request, uint64_t what, int32_t index)
{
    uint32_t device = (uint32_t)index - NET_INDEX_FIRST;
    bool is_loopback = !device_is_there(device);
    switch (what) {
    case SIOCGIFINDEX:
        request->number = index;
        return true;
    case SIOCGIFFLAGS:
        request->flags = is_loopback ? INTERFACE_FLAGS_LOOPBACK : INTERFACE_FLAGS_ETHERNET;
        if (!is_loopback && !queue_link_is_up(device)) {
            request->flags &= (uint16_t)~INTERFACE_FLAG_RUNNING; /* @impl ATL-LLR-NET-1152~1 */
        }
        return true;
    case SIOCGIFMTU:
        request->number = is_loopback ? LOOPBACK_MTU : (int32_t)packet_mtu(device);
        return true;
    case SIOCGIFHWADDR:
        __builtin_memset(&request->hardware, 0, sizeof(request->hardware));
        request->hardware.family = is_loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
        if (!is_loopback) {
            __builtin_memcpy(request->hardware.address, posix_info.networks[device].mac,
                             ETHERNET_ADDRESS_BYTES);
        }
        return true;
    default:
        return false;
    }
}

/* @impl ATL-LLR-NET-0904~1 */
int64_t inet_interface_ioctl(uint64_t what, uint64_t argument)
{
    struct linux_ifreq request;
    if (what != SIOCGIFNAME && what != SIOCGIFINDEX && what != SIOCGIFFLAGS && what != SIOCGIFMTU &&
        what != SIOCGIFHWADDR) {
        return -ENOTTY;
    }
    if (posix_copy_in(&request, argument, sizeof(request)) != 0) {
        return -EFAULT;
    }
    if (what == SIOCGIFNAME) {
        int32_t index = request.number;
        if (index != 1 && !is_device((uint32_t)index)) {
            return -ENODEV;
        }
        const char *name = names[index - 1];
        __builtin_memset(request.name, 0, sizeof(request.name));
        __builtin_memcpy(request.name, name, __builtin_strlen(name));
    } else {
        request.name[sizeof(request.name) - 1] = '\0';
        int32_t index = index_of(request.name);
        if (index == 0) {
            return -ENODEV;
        }
        (void)answer(&request, what, index);
    }
    return posix_copy_out(argument, &request, sizeof(request));
}
