/* SPDX-License-Identifier: Apache-2.0 */
/* The table of families, and sockets as files. */
#include "socket.h"

#include "../event/event.h"
#include "../file/abi.h"
#include "../inet/families.h"
#include "unix.h"
#include <posix/time.h>

#define SOCKET_DEVICE 8u /* minor of the file system that sockets are in */

static const struct socket_family {
    uint32_t domain;
    int64_t (*create)(uint32_t type, uint32_t protocol, struct socket **socket);
} families[] = {
    {AF_UNIX, unix_create},
    {AF_INET, inet_create_4},
    {AF_INET6, inet_create_6},
    {AF_PACKET, inet_create_packet},
};

static _Atomic uint64_t last_number;

/* @impl ATL-LLR-NET-0700~1 */
int64_t socket_create(uint32_t domain, uint32_t type, uint32_t protocol, struct socket **socket)
{
    if (domain < AF_MAX && type >= SOCK_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (families[i].domain == domain) {
            return families[i].create(type, protocol, socket);
        }
    }
    return -EAFNOSUPPORT;
}

void socket_initialize(struct socket *socket, const struct socket_operations *operations,
                       uint32_t domain, uint32_t type)
{
    socket->operations = operations;
    socket->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
    socket->domain = domain;
    socket->type = type;
    socket->peer = SOCKET_CREDENTIALS_NONE;
    socket->receive_timeout_ns = GATE_NEVER;
    socket->send_timeout_ns = GATE_NEVER;
    socket->send_bytes_max = SOCKET_BUFFER_BYTES;
    socket->receive_bytes_max = SOCKET_BUFFER_BYTES;
    socket->receive_low = 1;
}

uint64_t socket_deadline(const struct posix_file *file, uint32_t flags, uint64_t timeout_ns)
{
    if ((flags & MSG_DONTWAIT) != 0 || event_is_nonblocking(file)) {
        return 0;
    }
    return timeout_ns == GATE_NEVER ? GATE_NEVER : posix_deadline_after(timeout_ns);
}

/* @impl ATL-LLR-NET-0712~1 */
int64_t socket_wait(struct posix_wait_queue *queue, struct socket *socket, uint64_t deadline_ns)
{
    if (deadline_ns == 0) {
        posix_lock_release(&socket->lock);
        return -EAGAIN;
    }
    int64_t result = posix_wait(queue, &socket->lock, deadline_ns);
    if (result == -ETIMEDOUT) {
        return -EAGAIN;
    }
    return result == -EINTR && deadline_ns == GATE_NEVER ? -ERESTARTSYS : result;
}

int64_t socket_take_error(struct socket *socket)
{
    int64_t error = socket->error;
    socket->error = 0;
    return error;
}

void socket_signal_pipe(void)
{
    struct posix_signal_info info = {.signal = SIGPIPE, .code = SI_USER};
    info.sender.process = POSIX_PROCESS_ID;
    (void)posix_signal_send(posix_self(), &info);
}

/* @impl ATL-LLR-NET-0701~1 */
static int64_t socket_read(struct posix_file *file, struct posix_transfer *to)
{
    struct socket *socket = file->context;
    if (to->remaining == 0) {
        return 0;
    }
    struct socket_message message = {
        .data = *to, .deadline_ns = socket_deadline(file, 0, socket->receive_timeout_ns)};
    int64_t result = socket->operations->receive(socket, &message);
    socket_rights_discard(message.rights);
    return result;
}

/* @impl ATL-LLR-NET-0701~1 */
static int64_t socket_write(struct posix_file *file, struct posix_transfer *from)
{
    struct socket *socket = file->context;
    struct socket_address name = {0};
    struct socket_message message = {.data = *from,
                                     .name = &name,
                                     .deadline_ns =
                                         socket_deadline(file, 0, socket->send_timeout_ns)};
    return socket->operations->send(socket, &message);
}

static int64_t socket_stat(struct posix_file *file, struct posix_stat *stat)
{
    const struct socket *socket = file->context;
    event_stat(stat, S_IFSOCK | 0777, socket->number);
    stat->device = SOCKET_DEVICE;
    return 0;
}

static int64_t socket_ioctl(struct posix_file *file, uint64_t request, uint64_t argument)
{
    struct socket *socket = file->context;
    int64_t result = socket->operations->ioctl(socket, request, argument);
    return result == -ENOTTY ? inet_interface_ioctl(request, argument) : result;
}

static uint32_t socket_poll(struct posix_file *file)
{
    struct socket *socket = file->context;
    return socket->operations->poll(socket);
}

static void socket_release(struct posix_file *file)
{
    struct socket *socket = file->context;
    socket->operations->release(socket);
}

static const struct posix_file_operations socket_operations = {
    .read = socket_read,
    .write = socket_write,
    .stat = socket_stat,
    .ioctl = socket_ioctl,
    .poll = socket_poll,
    .release = socket_release,
};

struct posix_file *socket_open(struct socket *socket, uint32_t flags)
{
    uint32_t status = POSIX_O_RDWR | (flags & SOCK_NONBLOCK);
    struct posix_file *file = posix_file_create(&socket_operations, status, socket);
    if (file != NULL) {
        posix_lock_acquire(&socket->lock);
        socket->file = file;
        posix_lock_release(&socket->lock);
    }
    return file;
}
_Static_assert(SOCK_NONBLOCK == POSIX_O_NONBLOCK, "one number for both");

int64_t socket_get(uint64_t descriptor, struct posix_file **file, struct socket **socket)
{
    struct posix_file *found = posix_file_get(descriptor);
    if (found == NULL) {
        return -EBADF;
    }
    if (found->operations != &socket_operations) {
        posix_file_put(found);
        return -ENOTSOCK;
    }
    *file = found;
    *socket = found->context;
    return 0;
}
