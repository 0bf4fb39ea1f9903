/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs about sockets share. */
#ifndef CONFORMANCE_SOCKETS_H
#define CONFORMANCE_SOCKETS_H

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

static int pair[2];
static volatile sig_atomic_t handled;

__attribute__((unused)) static void count(int signal)
{
    (void)signal;
    handled++;
}

__attribute__((unused)) static void install(int signal, int flags)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    handled = 0;
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

__attribute__((unused)) static void make_pair(int type)
{
    CHECK_EQUAL(socketpair(AF_UNIX, type, 0, pair), 0);
}

__attribute__((unused)) static void close_pair(void)
{
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_EQUAL(close(pair[1]), 0);
}

__attribute__((unused)) static int option_of(int descriptor, int option)
{
    int value = -1;
    socklen_t size = sizeof(value);
    CHECK_EQUAL(getsockopt(descriptor, SOL_SOCKET, option, &value, &size), 0);
    CHECK_EQUAL(size, sizeof(value));
    return value;
}

/* What poll says without waiting. */
__attribute__((unused)) static int events_of(int descriptor)
{
    struct pollfd entry = {descriptor, POLLIN | POLLOUT | POLLRDHUP, 0};
    CHECK(poll(&entry, 1, 0) >= 0);
    return entry.revents;
}

#endif
