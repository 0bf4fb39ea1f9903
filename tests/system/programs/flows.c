/* SPDX-License-Identifier: Apache-2.0 */
/* A thread on each core serves connections of one port that all of them listen on, and connects to
 * others when it is asked to.
 *
 *     flows PORT       then lines of the standard input:
 *     counts           "counts RECEIVED LEFT": packets of all stacks, and those left to others
 *
 *     connect COUNT    so many connections of each core to the peer, with EXCHANGES echoes each
 *
 *     try              "tried connect ERRNO sendto ERRNO": calls that do not wait for the peer
 *
 *     quit */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CORES_MAX 64
#define EXCHANGES 8
#define PEER "10.9.0.1"

static unsigned short port;
static long connections; /* to be made by each core */
static long core_count;
static pthread_barrier_t all;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void pin(long core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        fail("sched_setaffinity");
    }
}

static void echo(int peer)
{
    char data[4096];
    ssize_t got;
    while ((got = recv(peer, data, sizeof(data), 0)) > 0) {
        if (send(peer, data, (size_t)got, 0) != got) {
            fail("send");
        }
    }
    close(peer);
}

static void *serve(void *core)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1;
    pin((long)core);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0 ||
        bind(listener, (struct sockaddr *)&own, sizeof(own)) != 0 || listen(listener, 128) != 0) {
        fail("listen");
    }
    pthread_barrier_wait(&all);
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer < 0) {
            fail("accept");
        }
        echo(peer);
    }
    return NULL;
}

static void *connect_all(void *core)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    char sent[100] = "echo", got[sizeof(sent)];
    pin((long)core);
    inet_pton(AF_INET, PEER, &to.sin_addr);
    for (long i = 0; i < connections; i++) {
        int peer = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(peer, (struct sockaddr *)&to, sizeof(to)) != 0) {
            fail("connect");
        }
        for (int exchange = 0; exchange < EXCHANGES; exchange++) {
            if (send(peer, sent, sizeof(sent), 0) != sizeof(sent) ||
                recv(peer, got, sizeof(got), MSG_WAITALL) != sizeof(got)) {
                fail("exchange");
            }
        }
        close(peer);
    }
    return NULL;
}

static void start(pthread_t *threads, void *(*run)(void *))
{
    for (long core = 0; core < core_count; core++) {
        if (pthread_create(&threads[core], NULL, run, (void *)core) != 0) {
            fail("pthread_create");
        }
    }
}

static void tell_counts(void)
{
    unsigned columns[10];
    unsigned long received = 0, left = 0;
    char line[256];
    FILE *file = fopen("/proc/net/softnet_stat", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *at = line;
        for (int i = 0; i < 10; i++) {
            columns[i] = (unsigned)strtoul(at, &at, 16);
        }
        received += columns[0];
        left += columns[9];
    }
    fclose(file);
    printf("counts %lu %lu\n", received, left);
}

/* What calls say that need the network. */
static void try_calls(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, PEER, &to.sin_addr);
    int stream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
        datagram = socket(AF_INET, SOCK_DGRAM, 0);
    int connected = connect(stream, (struct sockaddr *)&to, sizeof(to)) == 0 ? 0 : errno;
    int sent = sendto(datagram, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : errno;
    printf("tried connect %d sendto %d\n", connected, sent);
    close(stream);
    close(datagram);
}

int main(int, char **arguments)
{
    static pthread_t servers[CORES_MAX], clients[CORES_MAX];
    char line[64];
    port = (unsigned short)atoi(arguments[1]);
    core_count = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_barrier_init(&all, NULL, (unsigned)core_count + 1);
    start(servers, serve);
    pthread_barrier_wait(&all);
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("serving");
    while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0) {
        if (sscanf(line, "connect %ld", &connections) == 1) {
            start(clients, connect_all);
            for (long core = 0; core < core_count; core++) {
                pthread_join(clients[core], NULL);
            }
            puts("connected");
        } else if (strcmp(line, "try\n") == 0) {
            try_calls();
        } else {
            tell_counts();
        }
    }
    return 0;
}
