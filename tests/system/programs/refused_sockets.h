/* SPDX-License-Identifier: Apache-2.0 */
/* Works of refused.c that use sockets. */
#ifndef REFUSED_SOCKETS_H
#define REFUSED_SOCKETS_H

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_BYTES 50000

/* Sends a file and bytes through one end and takes both out of the other; 0 or an errno. */
static int socket_send_file(const int *ends, int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    char byte = 'x';
    int file = STDERR_FILENO;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    memcpy(CMSG_DATA(&control.header), &file, sizeof(file));
    if (sendmsg(ends[0], &message, 0) < 0) {
        return errno;
    }
    int error = 0;
    for (int i = flags != 0 ? 0 : 1; i < 2; i++) { /* peeked at first, then taken */
        message.msg_controllen = sizeof(control);
        ssize_t got = recvmsg(ends[1], &message, i == 0 ? flags : 0);
        error = got < 0 ? errno : error;
        if (got >= 0 && message.msg_controllen != 0) {
            memcpy(&file, CMSG_DATA(&control.header), sizeof(file));
            close(file);
        } else if (got >= 0) {
            error = ENOMEM; /* the descriptor was refused: MSG_CTRUNC */
        }
    }
    return error;
}

static int socket_use_pair(const int *ends)
{
    static char bytes[SOCKET_BYTES], got[SOCKET_BYTES];
    memset(bytes, 'b', sizeof(bytes));
    ssize_t sent = send(ends[0], bytes, sizeof(bytes), MSG_DONTWAIT);
    if (sent < 0) {
        return errno;
    }
    ssize_t came = recv(ends[1], got, sizeof(got), MSG_DONTWAIT);
    if (came != sent || memcmp(bytes, got, (size_t)came) != 0) {
        return came < 0 ? errno : EIO;
    }
    return sent == SOCKET_BYTES ? 0 : ENOMEM;
}

static int work_socket_pairs(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int error = 0;
    for (int i = 0; i < 3 && error == 0; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, types[i], 0, ends) < 0) {
            return errno;
        }
        error = socket_use_pair(ends);
        error = error == 0 ? socket_send_file(ends, i == 0 ? MSG_PEEK : 0) : error;
        (void)send(ends[0], "unread", 6, MSG_DONTWAIT);
        close(ends[0]);
        close(ends[1]);
    }
    return error;
}

/* A listener at the address, a connection to it, accepted; 0 or an errno. */
static int socket_connect(const struct sockaddr_un *address, int *made)
{
    const struct sockaddr *name = (const struct sockaddr *)address;
    for (int i = 0; i < 2; i++) {
        made[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        if (made[i] < 0) {
            return errno;
        }
    }
    if (bind(made[0], name, sizeof(*address)) < 0 || listen(made[0], 1) < 0 ||
        connect(made[1], name, sizeof(*address)) < 0) {
        return errno;
    }
    made[2] = accept(made[0], NULL, NULL);
    return made[2] < 0 ? errno : 0;
}

static int work_socket_names(void)
{
    static const struct sockaddr_un names[] = {{AF_UNIX, "/tmp/refused"}, {AF_UNIX, "\0refused"}};
    int error = 0;
    for (int i = 0; i < 2 && error == 0; i++) {
        int made[3] = {-1, -1, -1};
        error = socket_connect(&names[i], made);
        for (int end = 0; end < 3; end++) {
            if (made[end] >= 0) {
                close(made[end]);
            }
        }
        if (i == 0) {
            unlink(names[i].sun_path);
        }
    }
    int chosen = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (chosen < 0) {
        return error != 0 ? error : errno;
    }
    if (bind(chosen, (const struct sockaddr *)&names[0], sizeof(sa_family_t)) < 0 && error == 0) {
        error = errno;
    }
    close(chosen);
    return error;
}

/* A socket of the loopback at a port that is chosen; its address. A descriptor or an errno,
 * negative. */
static int inet_bound(int type, struct sockaddr_in *address)
{
    socklen_t bytes = sizeof(*address);
    int made = socket(AF_INET, type, 0);
    if (made < 0) {
        return -errno;
    }
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(made, (struct sockaddr *)address, sizeof(*address)) < 0 ||
        (type == SOCK_STREAM && listen(made, 1) < 0) ||
        getsockname(made, (struct sockaddr *)address, &bytes) < 0) {
        int error = errno;
        close(made);
        return -error;
    }
    return made;
}

/* Nothing of a connection is left when it is closed so. */
static void inet_close(int made)
{
    const struct linger reset = {1, 0};
    setsockopt(made, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(made);
}

/* Of a peer that has no memory for the connection one hears that it was reset. */
static int inet_connect_and_use(int listener, const struct sockaddr_in *address)
{
    int ends[2] = {socket(AF_INET, SOCK_STREAM, 0), -1};
    int error = ends[0] < 0 ? errno : 0;
    if (error == 0 && connect(ends[0], (const struct sockaddr *)address, sizeof(*address)) < 0) {
        error = errno;
    }
    if (error == 0) {
        ends[1] = accept(listener, NULL, NULL);
        error = ends[1] < 0 ? errno : 0;
    }
    static char bytes[3000], got[3000];
    memset(bytes, 't', sizeof(bytes));
    if (error == 0 && send(ends[0], bytes, sizeof(bytes), 0) < 0) {
        error = errno;
    }
    for (size_t done = 0; error == 0 && done < sizeof(got);) {
        ssize_t came = recv(ends[1], got + done, sizeof(got) - done, 0);
        error = came < 0 ? errno : came == 0 ? EPIPE : 0;
        done += came > 0 ? (size_t)came : 0;
    }
    if (error == 0 && memcmp(bytes, got, sizeof(got)) != 0) {
        error = EIO;
    }
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            inet_close(ends[i]);
        }
    }
    return error == ECONNRESET || error == ECONNABORTED ? ENOMEM : error;
}

static int work_tcp(void)
{
    struct sockaddr_in address;
    int listener = inet_bound(SOCK_STREAM, &address);
    if (listener < 0) {
        return -listener;
    }
    int error = inet_connect_and_use(listener, &address);
    close(listener);
    return error;
}

/* A datagram may be lost, as one of whoever has no memory for it is. */
static int work_udp(void)
{
    struct sockaddr_in address;
    char bytes[2000] = "datagram", got[2000];
    int made = inet_bound(SOCK_DGRAM, &address);
    if (made < 0) {
        return -made;
    }
    int error = 0;
    if (sendto(made, bytes, sizeof(bytes), 0, (struct sockaddr *)&address, sizeof(address)) < 0) {
        error = errno;
    } else if (recv(made, got, sizeof(got), MSG_DONTWAIT) < 0) {
        error = errno;
    } else if (memcmp(bytes, got, sizeof(got)) != 0) {
        error = EIO;
    }
    close(made);
    return error;
}

#endif
