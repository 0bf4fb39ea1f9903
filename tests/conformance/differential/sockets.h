/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on AF_UNIX sockets that do not wait. Queues are emptied every few messages, since how many
 * fit is not the same everywhere. */
#include "generate.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SOCKETS 8u
#define MESSAGES_BETWEEN 8u
#define QUIET (MSG_DONTWAIT | MSG_NOSIGNAL)

static int sockets[SOCKETS]; /* descriptor + 1; 0: none */
static unsigned messages;

/* A socket of the table; now and then none, or another file. */
static int socket_pick(void)
{
    int found = sockets[below(SOCKETS)];
    return one_in(30) ? STDERR_FILENO : found != 0 ? found - 1 : 900;
}

static void socket_keep(long descriptor)
{
    unsigned at = (unsigned)below(SOCKETS);
    if (descriptor < 0) {
        return;
    }
    if (sockets[at] != 0) {
        CALL(close, sockets[at] - 1);
    }
    sockets[at] = (int)descriptor + 1;
}

/* One of a few paths and abstract names, or something that is no name; its length. */
static unsigned socket_name(struct sockaddr_un *name)
{
    static const char letters[] = "abc";
    memset(name, 0, sizeof(*name));
    name->sun_family = one_in(20) ? AF_INET : AF_UNIX;
    unsigned letter = (unsigned)below(3);
    if (one_in(2)) {
        snprintf(name->sun_path, sizeof(name->sun_path), "socket-%c", letters[letter]);
        return one_in(20) ? (unsigned)below(140) : sizeof(*name);
    }
    int bytes =
        snprintf(name->sun_path + 1, 60, "differential-%08d-%c", (int)getpid(), letters[letter]);
    return (unsigned)offsetof(struct sockaddr_un, sun_path) + 1 + (unsigned)bytes;
}

static void socket_make(void)
{
    static const int domains[] = {AF_UNIX, AF_UNIX, AF_UNIX, AF_UNIX, AF_UNIX, AF_UNIX, 0, -1, 46};
    static const int types[] = {
        SOCK_STREAM, SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_SEQPACKET, SOCK_RAW, SOCK_RDM, 0,
        6,           11,          15};
    static const int protocols[] = {0, 0, 0, 0, 0, 1, 2, -1};
    int domain = PICK(domains), type = PICK(types) | SOCK_NONBLOCK, protocol = PICK(protocols);
    type |= one_in(4) ? SOCK_CLOEXEC : 0;
    type |= one_in(30) ? 0x100 : 0;
    if (one_in(2)) {
        long result = CALL(socket, domain, type, protocol);
        line("socket(%d, %x, %d) = %ld", domain, type, protocol, result);
        socket_keep(result);
    } else {
        int pair[2] = {-1, -1};
        long result = CALL(socketpair, domain, type, protocol, pair);
        line("socketpair(%d, %x, %d) = %ld %d %d", domain, type, protocol, result, pair[0],
             pair[1]);
        if (result == 0) {
            socket_keep(pair[0]);
            socket_keep(pair[1]);
        }
    }
}

static void socket_close(void)
{
    unsigned at = (unsigned)below(SOCKETS);
    if (sockets[at] != 0 && one_in(3)) {
        line("close(%d) = %ld", sockets[at] - 1, CALL(close, sockets[at] - 1));
        sockets[at] = 0;
    }
}

static void socket_bind(void)
{
    struct sockaddr_un name;
    int made = socket_pick();
    unsigned bytes = socket_name(&name);
    if (one_in(4)) {
        line("unlink(%s) = %ld", name.sun_path, CALL(unlink, name.sun_path));
    } else {
        line("bind(%d, %d %u) = %ld", made, name.sun_family, bytes, CALL(bind, made, &name, bytes));
    }
}

static void socket_connect(void)
{
    struct sockaddr_un name;
    int made = socket_pick();
    unsigned bytes = socket_name(&name);
    if (one_in(2)) {
        int backlog = (int)below(4) - 1;
        line("listen(%d, %d) = %ld", made, backlog, CALL(listen, made, backlog));
    } else {
        line("connect(%d, %d %u) = %ld", made, name.sun_family, bytes,
             CALL(connect, made, &name, bytes));
    }
}

static void socket_accept(void)
{
    struct sockaddr_un name;
    unsigned bytes = (unsigned)below(130);
    int made = socket_pick(), flags = SOCK_NONBLOCK | (one_in(20) ? 0x100 : 0);
    long result = CALL(accept4, made, one_in(2) ? &name : NULL, &bytes, flags);
    line("accept4(%d, %x) = %ld %u", made, flags, result, bytes);
    socket_keep(result);
}

static void socket_names(void)
{
    const char *where;
    unsigned bytes = (unsigned)below(140);
    void *to = place(bytes, &where);
    int made = socket_pick();
    line("getsockname(%d, %s) = %ld %u", made, where, CALL(getsockname, made, to, &bytes), bytes);
    bytes = one_in(20) ? (unsigned)-1 : 110;
    line("getpeername(%d, %s) = %ld %u", made, where, CALL(getpeername, made, to, &bytes), bytes);
}

/* Takes all messages out of all queues. */
static void socket_drain(void)
{
    for (unsigned i = 0; i < SOCKETS; i++) {
        for (int n = 0; sockets[i] != 0 && n < 100; n++) {
            if (CALL(recvfrom, sockets[i] - 1, buffer, BUFFER_BYTES, MSG_DONTWAIT, NULL, NULL) <=
                0) {
                break;
            }
        }
    }
}

static void socket_send(void)
{
    struct sockaddr_un name;
    const char *where;
    size_t bytes = one_in(4) ? 0 : below(one_in(2) ? 20 : 3000);
    void *from = place(bytes, &where);
    int made = socket_pick(), flags = QUIET | (one_in(8) ? MSG_EOR : 0);
    unsigned name_bytes = one_in(2) ? 0 : socket_name(&name);
    if (++messages % MESSAGES_BETWEEN == 0) {
        socket_drain();
    }
    fill();
    line("sendto(%d, %s, %zu, %x, %u) = %ld", made, where, bytes, flags, name_bytes,
         CALL(sendto, made, from, bytes, flags, name_bytes != 0 ? &name : NULL, name_bytes));
}

static void socket_receive(void)
{
    static const int more[] = {0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_WAITALL};
    const char *where;
    size_t bytes = one_in(8) ? 0 : below(one_in(2) ? 20 : 4000);
    void *to = place(bytes, &where);
    int made = socket_pick(), flags = QUIET | PICK(more);
    struct sockaddr_un name;
    unsigned name_bytes = 110;
    memset(buffer, 0, BUFFER_BYTES);
    long result = CALL(recvfrom, made, to, bytes, flags, one_in(2) ? &name : NULL, &name_bytes);
    line("recvfrom(%d, %s, %zu, %x) = %ld %u %08x", made, where, bytes, flags, result, name_bytes,
         digest(buffer, BUFFER_BYTES));
}

/* With files, of which some are none, and entries that lie about their length. */
static void socket_send_control(void)
{
    static const int files[] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, -1, 900};
    struct {
        struct cmsghdr header;
        int files[4];
    } control = {.header = {0, SOL_SOCKET, SCM_RIGHTS}};
    unsigned count = (unsigned)below(5);
    for (unsigned i = 0; i < 4; i++) {
        control.files[i] = one_in(4) ? PICK(files) : STDERR_FILENO;
    }
    control.header.cmsg_len = one_in(12) ? below(40) : CMSG_LEN(count * sizeof(int));
    control.header.cmsg_type = one_in(12) ? (int)below(5) : SCM_RIGHTS;
    struct iovec parts[2] = {{buffer, below(50)}, {buffer + 50, below(3)}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = one_in(30) ? 2000 : below(3),
                             .msg_control = &control,
                             .msg_controllen = one_in(12) ? below(33) : sizeof(control)};
    int made = socket_pick();
    if (control.header.cmsg_type == SCM_CREDENTIALS) {
        control.header.cmsg_len = CMSG_LEN(8);
    }
    if (++messages % MESSAGES_BETWEEN == 0) {
        socket_drain();
    }
    fill();
    line("sendmsg(%d, %zu, %zu of %zu) = %ld", made, (size_t)message.msg_iovlen,
         (size_t)control.header.cmsg_len, (size_t)message.msg_controllen,
         CALL(sendmsg, made, &message, QUIET));
}

static void socket_receive_control(void)
{
    static const int more[] = {0, 0, 0, MSG_PEEK, MSG_CMSG_CLOEXEC, MSG_TRUNC};
    union {
        struct cmsghdr header;
        char bytes[64];
    } control = {.bytes = ""};
    struct iovec parts[2] = {{buffer, below(30)}, {buffer + 50, below(30)}};
    struct sockaddr_un name;
    struct msghdr message = {.msg_name = one_in(2) ? &name : NULL,
                             .msg_namelen = sizeof(name),
                             .msg_iov = parts,
                             .msg_iovlen = below(3),
                             .msg_control = one_in(8) ? NULL : &control,
                             .msg_controllen = below(60)};
    int made = socket_pick(), flags = MSG_DONTWAIT | PICK(more);
    size_t room = message.msg_controllen;
    memset(buffer, 0, BUFFER_BYTES);
    long result = CALL(recvmsg, made, &message, flags);
    size_t used = result >= 0 ? message.msg_controllen : 0;
    line("recvmsg(%d, %x, %zu) = %ld flags %x control %zu %zu name %u %08x", made, flags, room,
         result, result >= 0 ? message.msg_flags : 0, used,
         used >= sizeof(control.header) ? (size_t)control.header.cmsg_len : 0, message.msg_namelen,
         digest(buffer, 100));
    for (size_t at = CMSG_LEN(0); used != 0 && at < control.header.cmsg_len; at += sizeof(int)) {
        int file;
        memcpy(&file, control.bytes + at, sizeof(file));
        CALL(close, file);
    }
}

static void socket_option(void)
{
    static const int options[] = {
        SO_DEBUG,      SO_REUSEADDR, SO_TYPE,     SO_ERROR,  SO_DONTROUTE, SO_SNDBUF,   SO_RCVBUF,
        SO_LINGER,     SO_RCVLOWAT,  SO_SNDLOWAT, SO_DOMAIN, SO_PROTOCOL,  SO_RCVTIMEO, SO_SNDTIMEO,
        SO_ACCEPTCONN, SO_KEEPALIVE, SO_PRIORITY, 4711,      SO_OOBINLINE};
    static const int sizes[] = {0, 3, 4, 4, 4, 8, 16, 20, -1};
    static const int levels[] = {SOL_SOCKET, SOL_SOCKET, SOL_SOCKET, SOL_SOCKET, 0, 6};
    const char *where;
    uint64_t *value = place(16, &where);
    int made = socket_pick(), option = PICK(options), size = PICK(sizes), level = PICK(levels);
    memset(buffer, 0, 32);
    if (one_in(2)) {
        long result = CALL(getsockopt, made, level, option, value, &size);
        line("getsockopt(%d, %d, %d, %s) = %ld %d %08x", made, level, option, where, result, size,
             digest(buffer, 32));
        return;
    }
    *(int *)buffer = option == SO_SNDBUF || option == SO_RCVBUF ? 70000 + (int)below(200000)
                     : one_in(2)                                ? (int)below(3)
                                                                : (int)below(10) - 5;
    line("setsockopt(%d, %d, %d, %s %d, %d) = %ld", made, level, option, where, *(int *)buffer,
         size, CALL(setsockopt, made, level, option, value, size));
}

static void socket_state(void)
{
    int made = socket_pick(), bytes = -1, how = (int)below(5) - 1;
    struct stat status = {.st_mode = 0};
    struct pollfd entry = {made, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0};
    switch (below(4)) {
    case 0:
        line("shutdown(%d, %d) = %ld", made, how, CALL(shutdown, made, how));
        return;
    case 1:
        line("FIONREAD(%d) = %ld %d", made, CALL(ioctl, made, FIONREAD, &bytes), bytes);
        return;
    case 2:
        if (made != STDERR_FILENO) {
            line("fstat(%d) = %ld %o", made, CALL(fstat, made, &status), status.st_mode);
        }
        return;
    default:
        if (made != STDERR_FILENO) {
            line("poll(%d) = %ld %x", made, CALL(poll, &entry, 1, 0), entry.revents);
        }
    }
}
