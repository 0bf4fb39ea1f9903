/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that make sockets, name them and connect them. Messages are in message.c. */
#include "../file/descriptor.h"
#include "socket.h"

#include <posix/syscalls.h>

#define BACKLOG_MAX 4096u /* Linux's somaxconn */

static int64_t check_type(uint32_t wanted)
{
    return (wanted & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) != 0 ? -EINVAL : 0;
}

/* @impl ATL-LLR-NET-0700~1 */
int64_t posix_socket(uint64_t domain, uint64_t wanted, uint64_t protocol)
{
    struct socket *socket;
    int64_t result = check_type((uint32_t)wanted);
    if (result == 0) {
        result = socket_create((uint32_t)domain, (uint32_t)wanted & SOCK_TYPE_MASK,
                               (uint32_t)protocol, &socket);
    }
    if (result < 0) {
        return result;
    }
    struct posix_file *file = socket_open(socket, (uint32_t)wanted);
    if (file == NULL) {
        socket->operations->release(socket);
        return -ENOMEM;
    }
    result = posix_descriptor_install(file, (wanted & SOCK_CLOEXEC) != 0, 0);
    if (result < 0) {
        posix_file_put(file);
    }
    return result;
}

/* Two sockets of one kind, connected, as open files. */
static int64_t open_pair(uint32_t domain, uint32_t wanted, uint32_t protocol,
                         struct posix_file *files[2])
{
    struct socket *sockets[2];
    for (uint32_t i = 0; i < 2; i++) {
        int64_t result = socket_create(domain, wanted & SOCK_TYPE_MASK, protocol, &sockets[i]);
        files[i] = result == 0 ? socket_open(sockets[i], wanted) : NULL;
        if (files[i] == NULL) {
            if (result == 0) {
                sockets[i]->operations->release(sockets[i]);
            }
            if (i == 1) {
                posix_file_put(files[0]);
            }
            return result < 0 ? result : -ENOMEM;
        }
    }
    int64_t result = sockets[0]->operations->pair != NULL
                         ? sockets[0]->operations->pair(sockets[0], sockets[1])
                         : -EOPNOTSUPP;
    if (result < 0) {
        posix_file_put(files[0]);
        posix_file_put(files[1]);
    }
    return result;
}

static int64_t reserve_pair(int32_t numbers[2])
{
    int64_t first = descriptor_reserve();
    int64_t second = first >= 0 ? descriptor_reserve() : first;
    if (second < 0) {
        if (first >= 0) {
            descriptor_fill((uint64_t)first, NULL, false);
        }
        return second;
    }
    numbers[0] = (int32_t)first;
    numbers[1] = (int32_t)second;
    return 0;
}

/* In Linux's order: descriptors, the application's array, the sockets.
 * @impl ATL-LLR-NET-0703~1 */
int64_t posix_socketpair(uint64_t domain, uint64_t wanted, uint64_t protocol, uint64_t to)
{
    int32_t numbers[2];
    struct posix_file *files[2] = {NULL, NULL};
    int64_t result = check_type((uint32_t)wanted);
    result = result == 0 ? reserve_pair(numbers) : result;
    if (result < 0) {
        return result;
    }
    result = posix_copy_out(to, numbers, sizeof(numbers));
    if (result == 0) {
        result = open_pair((uint32_t)domain, (uint32_t)wanted, (uint32_t)protocol, files);
    }
    for (uint32_t i = 0; i < 2; i++) {
        descriptor_fill((uint64_t)numbers[i], result == 0 ? files[i] : NULL,
                        (wanted & SOCK_CLOEXEC) != 0);
    }
    return result;
}

typedef int64_t (*address_call)(struct socket *socket, const struct socket_address *address,
                                uint64_t deadline_ns);

static int64_t call_bind(struct socket *socket, const struct socket_address *address,
                         uint64_t deadline_ns)
{
    (void)deadline_ns;
    return socket->operations->bind(socket, address);
}

static int64_t call_connect(struct socket *socket, const struct socket_address *address,
                            uint64_t deadline_ns)
{
    return socket->operations->connect != NULL
               ? socket->operations->connect(socket, address, deadline_ns)
               : -EOPNOTSUPP;
}

static int64_t with_address(uint64_t descriptor, uint64_t from, uint64_t bytes, address_call call)
{
    struct posix_file *file;
    struct socket *socket;
    struct socket_address address;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    result = address_load(&address, from, bytes);
    if (result == 0) {
        result = call(socket, &address, socket_deadline(file, 0, socket->send_timeout_ns));
    }
    posix_file_put(file);
    return result;
}

int64_t posix_bind(uint64_t descriptor, uint64_t from, uint64_t bytes)
{
    return with_address(descriptor, from, bytes, call_bind);
}

/* The address is judged before the kind of file. */
int64_t posix_connect(uint64_t descriptor, uint64_t from, uint64_t bytes)
{
    struct socket_address address;
    int64_t result = with_address(descriptor, from, bytes, call_connect);
    int64_t loaded = result == -ENOTSOCK ? address_load(&address, from, bytes) : 0;
    return loaded < 0 ? loaded : result;
}

int64_t posix_listen(uint64_t descriptor, uint64_t backlog)
{
    struct posix_file *file;
    struct socket *socket;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result == 0) {
        uint32_t wanted = (uint32_t)backlog;
        result =
            socket->operations->listen != NULL
                ? socket->operations->listen(socket, wanted < BACKLOG_MAX ? wanted : BACKLOG_MAX)
                : -EOPNOTSUPP;
        posix_file_put(file);
    }
    return result;
}

/* Where accept stores who connected; to == 0: nowhere. */
struct answer {
    uint64_t to, bytes_at;
};

static int64_t accept_one(struct posix_file *file, struct socket *socket, uint32_t flags,
                          const struct answer *answer, struct posix_file **accepted)
{
    struct socket *connection;
    uint64_t deadline_ns = socket_deadline(file, 0, socket->receive_timeout_ns);
    int64_t result = socket->operations->accept != NULL
                         ? socket->operations->accept(socket, deadline_ns, &connection)
                         : -EOPNOTSUPP;
    if (result < 0) {
        return result;
    }
    *accepted = socket_open(connection, flags);
    if (*accepted == NULL) {
        connection->operations->release(connection);
        return -ENOMEM;
    }
    if (answer->to != 0) {
        struct socket_address address;
        result = connection->operations->name(connection, SOCKET_PEER, &address) < 0
                     ? -ECONNABORTED
                     : address_store(&address, answer->to, answer->bytes_at);
    }
    if (result < 0) {
        posix_file_put(*accepted);
    }
    return result;
}

/* @impl ATL-LLR-NET-0705~1 */
int64_t posix_accept4(uint64_t descriptor, uint64_t to, uint64_t bytes_at, uint64_t flags)
{
    struct posix_file *file;
    struct posix_file *accepted = NULL;
    struct socket *socket;
    bool is_known = ((uint32_t)flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == 0;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return is_known || result == -EBADF ? result : -EINVAL;
    }
    int64_t number = is_known ? descriptor_reserve() : -EINVAL;
    result = number;
    if (number >= 0) {
        const struct answer answer = {to, bytes_at};
        result = accept_one(file, socket, (uint32_t)flags, &answer, &accepted);
        descriptor_fill((uint64_t)number, result < 0 ? NULL : accepted,
                        (flags & SOCK_CLOEXEC) != 0);
    }
    posix_file_put(file);
    return result < 0 ? result : number;
}

int64_t posix_accept(uint64_t descriptor, uint64_t to, uint64_t bytes_at)
{
    return posix_accept4(descriptor, to, bytes_at, 0);
}

static int64_t get_name(uint64_t descriptor, enum socket_end end, uint64_t to, uint64_t bytes_at)
{
    struct posix_file *file;
    struct socket *socket;
    struct socket_address address;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    result = socket->operations->name(socket, end, &address);
    if (result == 0) {
        result = address_store(&address, to, bytes_at);
    }
    posix_file_put(file);
    return result;
}

int64_t posix_getsockname(uint64_t descriptor, uint64_t to, uint64_t bytes_at)
{
    return get_name(descriptor, SOCKET_OWN, to, bytes_at);
}

int64_t posix_getpeername(uint64_t descriptor, uint64_t to, uint64_t bytes_at)
{
    return get_name(descriptor, SOCKET_PEER, to, bytes_at);
}

/* @impl ATL-LLR-NET-0709~1 */
int64_t posix_shutdown(uint64_t descriptor, uint64_t how)
{
    struct posix_file *file;
    struct socket *socket;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    result = -EINVAL;
    if ((uint32_t)how <= SHUT_RDWR) {
        enum socket_shut ends = (enum socket_shut)((uint32_t)how + 1);
        result = socket->operations->shutdown != NULL ? socket->operations->shutdown(socket, ends)
                                                      : -EOPNOTSUPP;
    }
    posix_file_put(file);
    return result;
}
_Static_assert(SHUT_RD + 1 == SOCKET_SHUT_RECEIVE && SHUT_RDWR + 1 == SOCKET_SHUT_BOTH, "ends");
