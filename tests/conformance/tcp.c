/* SPDX-License-Identifier: Apache-2.0 */
/* TCP over the loopback: names, connections between cores, data, half-close, resets, readiness.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-POSIX-0901~1 ATL-LLR-POSIX-0902~1 ATL-LLR-POSIX-0903~1
 * ATL-LLR-POSIX-0904~1 ATL-LLR-POSIX-0905~1 ATL-LLR-POSIX-0906~1 ATL-LLR-POSIX-0908~1
 * ATL-LLR-NET-0832~1 */
#include "../waiting.h"

#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#define BULK_BYTES (3l << 20)

static volatile sig_atomic_t handled;

static void count(int signal)
{
    (void)signal;
    handled++;
}

static void install(int signal, int flags)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    handled = 0;
    CHECK_EQUAL(sigaction(signal, &action, NULL), 0);
}

static struct sockaddr_in local(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int port_of(int socket)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);
    CHECK_EQUAL(getsockname(socket, (struct sockaddr *)&address, &bytes), 0);
    CHECK_EQUAL(bytes, sizeof(address));
    return ntohs(address.sin_port);
}

static int make(int type)
{
    int socket_ = socket(AF_INET, SOCK_STREAM | type, 0);
    CHECK(socket_ >= 0);
    return socket_;
}

static int listener(int *port)
{
    int socket_ = make(0);
    struct sockaddr_in address = local(0);
    CHECK_EQUAL(bind(socket_, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(listen(socket_, 16), 0);
    *port = port_of(socket_);
    return socket_;
}

static int join(int socket_, int port)
{
    struct sockaddr_in address = local(port);
    return connect(socket_, (struct sockaddr *)&address, sizeof(address));
}

/* A connection; both ends are this thread's. */
static void pair(int ends[2])
{
    int port;
    int server = listener(&port);
    ends[0] = make(0);
    CHECK_EQUAL(join(ends[0], port), 0);
    ends[1] = accept(server, NULL, NULL);
    CHECK(ends[1] >= 0);
    CHECK_EQUAL(close(server), 0);
}

static short ready(int socket_, short events, int timeout)
{
    struct pollfd entry = {.fd = socket_, .events = events};
    CHECK(poll(&entry, 1, timeout) >= 0);
    return entry.revents;
}

static void names_and_errors(void)
{
    struct sockaddr_in address = local(0);
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
    socklen_t bytes = sizeof(address);
    int one = make(0);
    int two = make(0);
    CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    CHECK_EQUAL(port_of(one), 0);
    CHECK_ERRNO(getpeername(one, (struct sockaddr *)&address, &bytes), ENOTCONN);
    CHECK_ERRNO(accept(one, NULL, NULL), EINVAL);
    CHECK_ERRNO(bind(one, (struct sockaddr *)&address, 8), EINVAL);
    CHECK_ERRNO(bind(one, (struct sockaddr *)&far, sizeof(far)), EADDRNOTAVAIL);
    address = local(0);
    CHECK_EQUAL(bind(one, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_ERRNO(bind(one, (struct sockaddr *)&address, sizeof(address)), EINVAL);
    address = local(port_of(one));
    CHECK(ntohs(address.sin_port) >= 1024);
    CHECK_ERRNO(bind(two, (struct sockaddr *)&address, sizeof(address)), EADDRINUSE);
    far.sin_port = htons(9); /* no way at all, or none from the loopback */
    CHECK_EQUAL(connect(one, (struct sockaddr *)&far, sizeof(far)), -1);
    CHECK(errno == ENETUNREACH || errno == EINVAL);
    CHECK_ERRNO(recv(one, &bytes, 1, 0), ENOTCONN);
    CHECK_ERRNO(send(one, "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0, 0}), EOPNOTSUPP);
    CHECK_EQUAL(ready(one, POLLIN | POLLOUT, 0), POLLOUT | POLLHUP);
    CHECK_ERRNO(shutdown(one, SHUT_RDWR), ENOTCONN);
    CHECK_EQUAL(recv(one, &bytes, 1, 0), 0); /* all the same it is shut */
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(bind(two, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(close(two), 0);
}

static void refused(void)
{
    int port;
    int server = listener(&port);
    int error;
    socklen_t bytes = sizeof(error);
    int one = make(0);
    CHECK_EQUAL(close(server), 0);
    CHECK_ERRNO(join(one, port), ECONNREFUSED);
    for (int closed = 1; closed <= 4; closed++) { /* whichever core they belong to */
        CHECK_ERRNO(join(one, closed), ECONNREFUSED);
    }
    CHECK_ERRNO(join(one, port), ECONNREFUSED);
    CHECK_EQUAL(close(one), 0);
    one = make(SOCK_NONBLOCK);
    CHECK_ERRNO(join(one, port), EINPROGRESS);
    CHECK_EQUAL(ready(one, POLLOUT, -1), POLLOUT | POLLERR | POLLHUP);
    CHECK_EQUAL(getsockopt(one, SOL_SOCKET, SO_ERROR, &error, &bytes), 0);
    CHECK_EQUAL(error, ECONNREFUSED);
    CHECK_EQUAL(getsockopt(one, SOL_SOCKET, SO_ERROR, &error, &bytes), 0);
    CHECK_EQUAL(error, 0);
    CHECK_EQUAL(close(one), 0);
}

static void connecting(void)
{
    struct sockaddr_in own;
    struct sockaddr_in seen;
    socklen_t bytes = sizeof(own);
    int port;
    int server = listener(&port);
    int one = make(SOCK_NONBLOCK);
    CHECK_ERRNO(join(one, port), EINPROGRESS);
    CHECK_EQUAL(ready(one, POLLOUT, -1), POLLOUT);
    CHECK_EQUAL(join(one, port), 0);
    CHECK_ERRNO(join(one, port), EISCONN);
    CHECK_EQUAL(ready(server, POLLIN, -1), POLLIN);
    int two = accept4(server, (struct sockaddr *)&seen, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(two >= 0);
    CHECK_EQUAL(fcntl(two, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EQUAL(getsockname(one, (struct sockaddr *)&own, &bytes), 0);
    CHECK_EQUAL(own.sin_port, seen.sin_port);
    CHECK_EQUAL(own.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    CHECK_EQUAL(getpeername(two, (struct sockaddr *)&seen, &bytes), 0);
    CHECK_EQUAL(own.sin_port, seen.sin_port);
    CHECK_EQUAL(getpeername(one, (struct sockaddr *)&seen, &bytes), 0);
    CHECK_EQUAL(ntohs(seen.sin_port), port);
    CHECK_EQUAL(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(accept(server, NULL, NULL), EAGAIN);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(two), 0);
    CHECK_EQUAL(close(server), 0);
}

struct bulk {
    int socket, core;
    long bytes;
};

static unsigned char byte_at(long place)
{
    return (unsigned char)(place * 7 + (place >> 12));
}

static void *send_bulk(void *argument)
{
    const struct bulk *bulk = argument;
    static __thread unsigned char buffer[70000];
    unsigned long long random = 88172645463325252ULL;
    long done = 0;
    check_pin(bulk->core);
    while (done < bulk->bytes) {
        long part = 1 + (long)(check_random(&random) % sizeof(buffer));
        part = part < bulk->bytes - done ? part : bulk->bytes - done;
        for (long i = 0; i < part; i++) {
            buffer[i] = byte_at(done + i);
        }
        for (long sent = 0; sent < part;) {
            long result = send(bulk->socket, buffer + sent, (size_t)(part - sent), 0);
            CHECK(result > 0);
            sent += result;
        }
        done += part;
    }
    CHECK_EQUAL(shutdown(bulk->socket, SHUT_WR), 0);
    return NULL;
}

static void receive_bulk(int socket_, long bytes)
{
    static unsigned char buffer[50000];
    long done = 0;
    for (;;) {
        long result = recv(socket_, buffer, sizeof(buffer), 0);
        CHECK(result >= 0);
        if (result == 0) {
            break;
        }
        for (long i = 0; i < result; i++) {
            if (buffer[i] != byte_at(done + i)) {
                CHECK_EQUAL(buffer[i], byte_at(done + i));
            }
        }
        done += result;
    }
    CHECK_EQUAL(done, bytes);
}

/* Each way at once, between threads of different cores. */
static void bulk_both_ways(void)
{
    int ends[2];
    pair(ends);
    struct bulk there = {ends[0], 1, BULK_BYTES};
    struct bulk back = {ends[1], 2, BULK_BYTES / 2};
    pthread_t one = check_thread(send_bulk, &there);
    pthread_t two = check_thread(send_bulk, &back);
    receive_bulk(ends[1], there.bytes);
    receive_bulk(ends[0], back.bytes);
    check_join(one);
    check_join(two);
    CHECK_EQUAL(ready(ends[0], POLLIN, 0), POLLIN | POLLHUP);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

/* What is not read yet when its sender closes still arrives. */
static void closed_with_data(void)
{
    char text[8];
    int ends[2];
    pair(ends);
    CHECK_EQUAL(send(ends[0], "goodbye", 7, 0), 7);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(recv(ends[1], text, sizeof(text), MSG_WAITALL), 7);
    CHECK_EQUAL(memcmp(text, "goodbye", 7), 0);
    CHECK_EQUAL(recv(ends[1], text, 1, 0), 0);
    CHECK_EQUAL(ready(ends[1], POLLIN | POLLRDHUP | POLLOUT, 0), POLLIN | POLLRDHUP | POLLOUT);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void half_close(void)
{
    char byte;
    int ends[2];
    pair(ends);
    install(SIGPIPE, 0);
    CHECK_EQUAL(shutdown(ends[0], SHUT_WR), 0);
    CHECK_ERRNO(send(ends[0], "x", 1, 0), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_ERRNO(send(ends[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(recv(ends[1], &byte, 1, 0), 0);
    CHECK_EQUAL(send(ends[1], "y", 1, 0), 1);
    CHECK_EQUAL(recv(ends[0], &byte, 1, 0), 1);
    CHECK_EQUAL(byte, 'y');
    CHECK_EQUAL(shutdown(ends[0], SHUT_RD), 0);
    CHECK_EQUAL(recv(ends[0], &byte, 1, 0), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void resets(void)
{
    struct linger linger = {1, 0};
    char byte;
    int ends[2];
    install(SIGPIPE, 0);
    pair(ends);
    CHECK_EQUAL(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(ready(ends[1], POLLIN, -1), POLLIN | POLLERR | POLLHUP);
    CHECK_ERRNO(recv(ends[1], &byte, 1, 0), ECONNRESET);
    CHECK_EQUAL(recv(ends[1], &byte, 1, 0), 0);
    CHECK_ERRNO(send(ends[1], "x", 1, 0), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(close(ends[1]), 0);
    pair(ends); /* a close over bytes that were not read resets as well */
    CHECK_EQUAL(send(ends[1], "x", 1, 0), 1);
    CHECK_EQUAL(ready(ends[0], POLLIN, -1), POLLIN);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(ready(ends[1], POLLOUT, -1) & POLLOUT, POLLOUT);
    CHECK_EQUAL(ready(ends[1], POLLIN, -1), POLLIN | POLLERR | POLLHUP);
    CHECK_ERRNO(send(ends[1], "x", 1, 0), ECONNRESET);
    CHECK_ERRNO(send(ends[1], "x", 1, 0), EPIPE);
    CHECK_EQUAL(handled, 2);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void full_and_drained(void)
{
    static char buffer[40000];
    long sent = 0;
    long received = 0;
    int ends[2];
    pair(ends);
    CHECK_EQUAL(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQUAL(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(recv(ends[1], buffer, 1, 0), EAGAIN);
    for (;;) {
        long result = send(ends[0], buffer, sizeof(buffer), 0);
        if (result < 0) {
            CHECK_EQUAL(errno, EAGAIN);
            /* What the peer acknowledges meanwhile makes room once more. */
            if (ready(ends[0], POLLOUT, 50) == 0) {
                break;
            }
            continue;
        }
        sent += result;
    }
    CHECK(sent > (long)sizeof(buffer));
    while (received < sent) {
        CHECK_EQUAL(ready(ends[1], POLLIN, -1), POLLIN);
        long result = recv(ends[1], buffer, sizeof(buffer), 0);
        CHECK(result > 0);
        received += result;
    }
    CHECK_EQUAL(received, sent);
    CHECK_EQUAL(ready(ends[0], POLLOUT, -1), POLLOUT);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void peek_and_wait(void)
{
    char text[8] = "";
    int bytes;
    int ends[2];
    struct timeval time = {.tv_usec = 20000};
    pair(ends);
    CHECK_EQUAL(send(ends[0], "abc", 3, 0), 3);
    CHECK_EQUAL(recv(ends[1], text, 2, MSG_PEEK), 2);
    CHECK_EQUAL(memcmp(text, "ab", 2), 0);
    CHECK_EQUAL(ioctl(ends[1], FIONREAD, &bytes), 0);
    CHECK_EQUAL(bytes, 3);
    CHECK_EQUAL(recv(ends[1], text, 1, 0), 1);
    CHECK_EQUAL(recv(ends[1], text, 8, MSG_DONTWAIT), 2);
    CHECK_EQUAL(memcmp(text, "bc", 2), 0);
    CHECK_EQUAL(setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    long long before = check_now_ns(CLOCK_MONOTONIC);
    CHECK_ERRNO(recv(ends[1], text, 1, 0), EAGAIN);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - before >= 20000000);
    CHECK_EQUAL(send(ends[0], "d", 1, 0), 1);
    CHECK_EQUAL(recv(ends[1], text, 2, MSG_WAITALL), 1); /* the timeout ends the wait for more */
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static volatile sig_atomic_t is_over;

/* Until the call has ended: a signal that comes before it ends nothing. */
static void *interrupt(void *argument)
{
    while (!is_over) {
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
        check_sleep_ms(1);
    }
    return NULL;
}

static void interrupted(void)
{
    char byte;
    int port;
    int ends[2];
    pthread_t self = pthread_self();
    pair(ends);
    install(SIGUSR1, 0);
    is_over = 0;
    pthread_t thread = check_thread(interrupt, &self);
    CHECK_ERRNO(recv(ends[1], &byte, 1, 0), EINTR);
    is_over = 1;
    check_join(thread);
    int server = listener(&port);
    is_over = 0;
    thread = check_thread(interrupt, &self);
    CHECK_ERRNO(accept(server, NULL, NULL), EINTR);
    is_over = 1;
    check_join(thread);
    CHECK(handled >= 2);
    CHECK_EQUAL(close(server), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static void *stop_listening(void *argument)
{
    threads_await_waiting(1);
    CHECK_EQUAL(shutdown(*(int *)argument, SHUT_RD), 0);
    return NULL;
}

static void listener_is_shut(void)
{
    int port;
    int server = listener(&port);
    int one = make(0);
    pthread_t thread = check_thread(stop_listening, &server);
    CHECK_ERRNO(accept(server, NULL, NULL), EINVAL);
    check_join(thread);
    CHECK_ERRNO(join(one, port), ECONNREFUSED);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(server), 0);
}

#define CLIENTS 6
#define ROUNDS 40

struct client {
    int port, index;
};

static void *ask(void *argument)
{
    const struct client *client = argument;
    char text[64];
    check_pin(client->index);
    for (long round = 0; round < check_count(ROUNDS); round++) {
        int one = make(0);
        CHECK_EQUAL(join(one, client->port), 0);
        for (int i = 0; i < 3; i++) {
            int bytes = snprintf(text, sizeof(text), "%d %ld %d", client->index, round, i);
            char answer[64];
            CHECK_EQUAL(send(one, text, (size_t)bytes, 0), bytes);
            CHECK_EQUAL(recv(one, answer, (size_t)bytes, MSG_WAITALL), bytes);
            CHECK_EQUAL(memcmp(text, answer, (size_t)bytes), 0);
        }
        CHECK_EQUAL(shutdown(one, SHUT_WR), 0);
        CHECK_EQUAL(recv(one, text, 1, 0), 0);
        CHECK_EQUAL(close(one), 0);
    }
    return NULL;
}

/* Echoes what an event says; false: the connection is at its end and closed. */
static int echo(int socket_)
{
    char buffer[256];
    for (;;) {
        long bytes = recv(socket_, buffer, sizeof(buffer), 0);
        if (bytes < 0) {
            CHECK_EQUAL(errno, EAGAIN);
            return 1;
        }
        if (bytes == 0) {
            CHECK_EQUAL(close(socket_), 0);
            return 0;
        }
        CHECK_EQUAL(send(socket_, buffer, (size_t)bytes, 0), bytes);
    }
}

/* One thread with edge-triggered epoll serves clients of all cores. */
static void served_by_epoll(void)
{
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    struct epoll_event event = {.events = EPOLLIN};
    int port;
    int server = listener(&port);
    int instance = epoll_create1(0);
    long left = CLIENTS * check_count(ROUNDS);
    event.data.fd = server;
    CHECK_EQUAL(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    CHECK_EQUAL(epoll_ctl(instance, EPOLL_CTL_ADD, server, &event), 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){port, i};
        threads[i] = check_thread(ask, &clients[i]);
    }
    while (left > 0) {
        struct epoll_event events[8];
        int found = epoll_wait(instance, events, 8, -1);
        CHECK(found > 0);
        for (int i = 0; i < found; i++) {
            if (events[i].data.fd != server) {
                left -= !echo(events[i].data.fd);
                continue;
            }
            int one = accept4(server, NULL, NULL, SOCK_NONBLOCK);
            if (one < 0) {
                CHECK_EQUAL(errno, EAGAIN);
                continue;
            }
            event = (struct epoll_event){.events = EPOLLIN | EPOLLET | EPOLLRDHUP, .data.fd = one};
            CHECK_EQUAL(epoll_ctl(instance, EPOLL_CTL_ADD, one, &event), 0);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(close(instance), 0);
    CHECK_EQUAL(close(server), 0);
}

/* An IPv6 socket for both protocols. */
static void both_protocols(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    struct sockaddr_in6 seen;
    socklen_t bytes = sizeof(address);
    int server = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(server >= 0);
    CHECK_EQUAL(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(listen(server, 4), 0);
    CHECK_EQUAL(getsockname(server, (struct sockaddr *)&address, &bytes), 0);
    CHECK_EQUAL(bytes, sizeof(address));
    int four = make(0);
    CHECK_EQUAL(join(four, ntohs(address.sin6_port)), 0);
    int end = accept(server, (struct sockaddr *)&seen, &bytes);
    CHECK(end >= 0);
    CHECK(IN6_IS_ADDR_V4MAPPED(&seen.sin6_addr));
    CHECK_EQUAL(close(end), 0);
    CHECK_EQUAL(close(four), 0);
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    address.sin6_addr = in6addr_loopback;
    CHECK_EQUAL(connect(six, (struct sockaddr *)&address, sizeof(address)), 0);
    end = accept(server, (struct sockaddr *)&seen, &bytes);
    CHECK(end >= 0);
    CHECK_EQUAL(memcmp(&seen.sin6_addr, &in6addr_loopback, 16), 0);
    CHECK_EQUAL(send(six, "six", 3, 0), 3);
    char text[4];
    CHECK_EQUAL(recv(end, text, 3, MSG_WAITALL), 3);
    CHECK_EQUAL(close(end), 0);
    CHECK_EQUAL(close(six), 0);
    CHECK_EQUAL(close(server), 0);
}

static void options(void)
{
    int ends[2];
    int value = 1;
    socklen_t bytes = sizeof(value);
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    pair(ends);
    CHECK_EQUAL(setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)), 0);
    value = 0;
    CHECK_EQUAL(getsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &value, &bytes), 0);
    CHECK_EQUAL(value, 1);
    CHECK_EQUAL(getsockopt(ends[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, &bytes), 0);
    CHECK_EQUAL(value, 7200);
    value = 40000;
    CHECK_ERRNO(setsockopt(ends[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof(value)), EINVAL);
    CHECK_ERRNO(setsockopt(ends[0], IPPROTO_TCP, TCP_KEEPIDLE, &value, 2), EINVAL);
    CHECK_ERRNO(setsockopt(ends[0], IPPROTO_TCP, 999, &value, sizeof(value)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(ends[0], 999, 1, &value, sizeof(value)), ENOPROTOOPT);
    value = 1;
    CHECK_EQUAL(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)), 0);
    CHECK_EQUAL(getsockopt(ends[1], IPPROTO_IP, IP_TTL, &value, &bytes), 0);
    CHECK_EQUAL(value, 64);
    value = 0;
    CHECK_ERRNO(setsockopt(ends[1], IPPROTO_IP, IP_TTL, &value, sizeof(value)), EINVAL);
    value = 1;
    CHECK_EQUAL(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)), 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    CHECK_EQUAL(bind(six, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_ERRNO(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value)), EINVAL);
    CHECK_EQUAL(listen(six, 1), 0);
    CHECK_EQUAL(getsockname(six, (struct sockaddr *)&address, (socklen_t[]){sizeof(address)}), 0);
    int four = make(0);
    CHECK_ERRNO(join(four, ntohs(address.sin6_port)), ECONNREFUSED);
    CHECK_EQUAL(close(four), 0);
    CHECK_EQUAL(close(six), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
}

static long elapsed_ms(const struct timespec *since)
{
    struct timespec now;
    CHECK_EQUAL(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void set(int socket_, int option, int value)
{
    CHECK_EQUAL(setsockopt(socket_, IPPROTO_TCP, option, &value, sizeof(value)), 0);
}

/* Sends a few bytes that wait for more; true: they did, when nothing held this thread up for so
 * long that they had to go. */
static int waits(const int *ends, int flags)
{
    char text[8];
    struct timespec start;
    CHECK_EQUAL(clock_gettime(CLOCK_MONOTONIC, &start), 0);
    CHECK_EQUAL(send(ends[0], "head", 4, flags), 4);
    ssize_t bytes = recv(ends[1], text, sizeof(text), MSG_DONTWAIT | MSG_PEEK);
    int error = errno;
    if (elapsed_ms(&start) > 100) {
        return 0;
    }
    CHECK_EQUAL(bytes, -1);
    CHECK_EQUAL(error, EAGAIN);
    return 1;
}

/* TCP_CORK and MSG_MORE hold back what is no whole segment, until they end. */
static void corked(void)
{
    char text[8];
    int has_waited[3] = {0};
    for (int i = 0; i < 3;) {
        int ends[2];
        pair(ends);
        if (i < 2) {
            set(ends[0], TCP_CORK, 1);
            set(ends[0], TCP_NODELAY, 1);
        }
        has_waited[i] = waits(ends, i == 2 ? MSG_MORE : 0);
        if (i == 0) {
            set(ends[0], TCP_CORK, 0);
        } else if (i == 2) {
            CHECK_EQUAL(send(ends[0], "body", 4, 0), 4);
        } /* else: sent all the same, a little later */
        int wanted = i == 2 ? 8 : 4;
        CHECK_EQUAL(recv(ends[1], text, (size_t)wanted, MSG_WAITALL), wanted);
        CHECK_EQUAL(memcmp(text, "headbody", (size_t)wanted), 0);
        CHECK_EQUAL(close(ends[0]), 0);
        CHECK_EQUAL(close(ends[1]), 0);
        i += has_waited[i];
    }
    int ends[2];
    pair(ends);
    set(ends[0], TCP_CORK, 1);
    CHECK_EQUAL(send(ends[0], "head", 4, 0), 4);
    CHECK_EQUAL(close(ends[0]), 0); /* lets out what waits */
    CHECK_EQUAL(recv(ends[1], text, sizeof(text), MSG_WAITALL), 4);
    CHECK_EQUAL(close(ends[1]), 0);
}

/* A port is used again at once by who says so, though its last connections still linger. */
static void reused_port(void)
{
    struct sockaddr_in address;
    int on = 1;
    int port;
    int server = listener(&port);
    int one = make(0);
    CHECK_EQUAL(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    CHECK_EQUAL(join(one, port), 0);
    int two = accept(server, NULL, NULL);
    CHECK_EQUAL(close(server), 0);
    CHECK_EQUAL(close(two), 0); /* this end closes first: it lingers */
    CHECK_EQUAL(recv(one, &address, 1, 0), 0);
    CHECK_EQUAL(close(one), 0);
    server = make(0);
    address = local(port);
    CHECK_ERRNO(bind(server, (struct sockaddr *)&address, sizeof(address)), EADDRINUSE);
    CHECK_EQUAL(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    CHECK_EQUAL(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(listen(server, 1), 0);
    one = make(0);
    CHECK_EQUAL(setsockopt(one, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    CHECK_ERRNO(bind(one, (struct sockaddr *)&address, sizeof(address)), EADDRINUSE);
    CHECK_EQUAL(join(one, port), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(server), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"names_and_errors", names_and_errors},
        {"refused", refused},
        {"connecting", connecting},
        {"closed_with_data", closed_with_data},
        {"half_close", half_close},
        {"resets", resets},
        {"full_and_drained", full_and_drained},
        {"peek_and_wait", peek_and_wait},
        {"interrupted", interrupted},
        {"listener_is_shut", listener_is_shut},
        {"bulk_both_ways", bulk_both_ways},
        {"served_by_epoll", served_by_epoll},
        {"both_protocols", both_protocols},
        {"options", options},
        {"corked", corked},
        {"reused_port", reused_port},
    };
    return CHECK_MAIN(cases);
}
