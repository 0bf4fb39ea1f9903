/* SPDX-License-Identifier: Apache-2.0 */
/* A small web server: one thread on each core, one epoll instance on each thread, keep-alive and
 * pipelined requests. Every path answers with who served it. Arguments: the port (80), and after
 * how many answers it ends (never). */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_BYTES_MAX 8192
#define EVENTS 64
#define THREADS_MAX 64

struct connection {
    int socket;
    size_t bytes; /* of a request that is not whole yet */
    char request[REQUEST_BYTES_MAX];
};

static int listener;
static long answers_left = LONG_MAX;
static long open_connections;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void drop(struct connection *connection)
{
    close(connection->socket);
    free(connection);
    if (__atomic_sub_fetch(&open_connections, 1, __ATOMIC_SEQ_CST) == 0 &&
        __atomic_load_n(&answers_left, __ATOMIC_SEQ_CST) <= 0) {
        exit(0); /* every peer has read its last answer, and closed */
    }
}

/* False: the peer is gone, or does not read what it asked for. */
static int send_all(int socket, const char *text, size_t bytes)
{
    return send(socket, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* False: the connection is to be closed. */
static int answer(struct connection *connection, const char *request)
{
    char page[160], text[320];
    int is_get = strncmp(request, "GET ", 4) == 0;
    int is_last = strcasestr(request, "\nConnection: close") != NULL;
    int bytes = snprintf(page, sizeof(page), "Hello from core %d of Atoll.\n", sched_getcpu());
    int whole =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s\r\n%s",
                 is_get ? "200 OK" : "405 Method Not Allowed", bytes,
                 is_last ? "Connection: close\r\n" : "", page);
    __atomic_sub_fetch(&answers_left, 1, __ATOMIC_SEQ_CST);
    return send_all(connection->socket, text, (size_t)whole) && !is_last;
}

/* Answers the whole requests that are there. False: the connection is to be closed. */
static int answer_all(struct connection *connection)
{
    for (;;) {
        connection->request[connection->bytes] = '\0';
        char *end = strstr(connection->request, "\r\n\r\n");
        if (end == NULL) {
            return connection->bytes < REQUEST_BYTES_MAX - 1;
        }
        *end = '\0';
        if (!answer(connection, connection->request)) {
            return 0;
        }
        size_t used = (size_t)(end + 4 - connection->request);
        connection->bytes -= used;
        memmove(connection->request, end + 4, connection->bytes);
    }
}

static void serve(struct connection *connection)
{
    for (;;) {
        size_t room = REQUEST_BYTES_MAX - 1 - connection->bytes;
        ssize_t bytes = recv(connection->socket, connection->request + connection->bytes, room, 0);
        if (bytes < 0 && errno == EAGAIN) {
            return;
        }
        if (bytes <= 0) {
            drop(connection);
            return;
        }
        connection->bytes += (size_t)bytes;
        if (!answer_all(connection)) {
            drop(connection);
            return;
        }
    }
}

static void take(int instance)
{
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
        return; /* another thread was first, or the peer is gone */
    }
    int on = 1;
    struct connection *connection = calloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connection == NULL) {
        close(socket);
        return;
    }
    connection->socket = socket;
    __atomic_add_fetch(&open_connections, 1, __ATOMIC_SEQ_CST);
    if (epoll_ctl(instance, EPOLL_CTL_ADD, socket, &event) != 0) {
        drop(connection);
    }
}

static void *loop(void *unused)
{
    int instance = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};
    if (instance < 0 || epoll_ctl(instance, EPOLL_CTL_ADD, listener, &event) != 0) {
        stop("epoll");
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(instance, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                take(instance);
            } else {
                serve(events[i].data.ptr);
            }
        }
    }
    return unused;
}

static void start_threads(void)
{
    cpu_set_t cores;
    pthread_t threads[THREADS_MAX];
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
        stop("sched_getaffinity");
    }
    for (int core = 1; core < THREADS_MAX && core < CPU_COUNT(&cores); core++) {
        if (pthread_create(&threads[core], NULL, loop, NULL) != 0) {
            stop("pthread_create");
        }
    }
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? atoi(argv[1]) : 80;
    int on = 1;
    answers_left = argc > 2 ? atol(argv[2]) : answers_left;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) {
        stop("socket");
    }
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        stop("listen");
    }
    printf("serving port %d\n", port);
    fflush(stdout);
    start_threads();
    loop(NULL);
    return 0;
}
