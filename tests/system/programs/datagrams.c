/* SPDX-License-Identifier: Apache-2.0 */
/* UDP servers on all cores: `datagrams PORT [GROUP ...]`. The thread of core n binds PORT + n and
 * PORT + 100, which all share by SO_REUSEPORT, for IPv4 and IPv6, and joins the groups with the
 * first. It sends each datagram back behind a byte that says its core. "serving" is said when all
 * are there; a line "leave" has all leave the groups, another line or the end of the input ends it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CORES_MAX 64
#define SHARED 100

static int own[CORES_MAX], core_count;
static int port;
static char **groups;
static pthread_barrier_t all_there;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static int bound(int number, int is_shared)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
    int made = socket(AF_INET6, SOCK_DGRAM, 0);
    if (setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &is_shared, sizeof(is_shared)) != 0 ||
        bind(made, (struct sockaddr *)&address, sizeof(address)) != 0) {
        stop("bind");
    }
    return made;
}

static void change_groups(int made, int is_join)
{
    for (char **group = groups; *group != NULL; group++) {
        struct ipv6_mreq six = {0};
        struct ip_mreq four = {0};
        int result =
            inet_pton(AF_INET6, *group, &six.ipv6mr_multiaddr) == 1
                ? setsockopt(made, IPPROTO_IPV6, is_join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &six,
                             sizeof(six))
            : inet_pton(AF_INET, *group, &four.imr_multiaddr) == 1
                ? setsockopt(made, IPPROTO_IP, is_join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                             &four, sizeof(four))
                : -1;
        if (result != 0) {
            stop(*group);
        }
    }
}

static void answer(int made, int core)
{
    static _Thread_local char data[65536];
    struct sockaddr_in6 peer;
    socklen_t bytes = sizeof(peer);
    ssize_t got = recvfrom(made, data + 1, sizeof(data) - 1, 0, (struct sockaddr *)&peer, &bytes);
    data[0] = (char)('0' + core);
    if (got >= 0) {
        sendto(made, data, (size_t)got + 1, 0, (struct sockaddr *)&peer, bytes);
    }
}

static void *serve(void *argument)
{
    int core = (int)(long)argument;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(core, &here);
    if (sched_setaffinity(0, sizeof(here), &here) != 0) {
        stop("sched_setaffinity");
    }
    struct pollfd set[] = {{.fd = own[core] = bound(port + core, 0), .events = POLLIN},
                           {.fd = bound(port + SHARED, 1), .events = POLLIN}};
    change_groups(own[core], 1);
    pthread_barrier_wait(&all_there);
    for (;;) {
        poll(set, 2, -1);
        for (int i = 0; i < 2; i++) {
            if (set[i].revents != 0) {
                answer(set[i].fd, core);
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    char line[64];
    cpu_set_t cores;
    pthread_t thread;
    port = atoi(argc > 1 ? argv[1] : "7");
    groups = argv + (argc > 1 ? 2 : 1);
    sched_getaffinity(0, sizeof(cores), &cores);
    core_count = CPU_COUNT(&cores);
    pthread_barrier_init(&all_there, NULL, (unsigned)core_count + 1);
    for (long i = 0; i < core_count; i++) {
        if (pthread_create(&thread, NULL, serve, (void *)i) != 0) {
            stop("pthread_create");
        }
    }
    pthread_barrier_wait(&all_there);
    puts("serving");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "leave\n") == 0) {
        for (int i = 0; i < core_count; i++) {
            change_groups(own[i], 0);
        }
        puts("left");
        fflush(stdout);
    }
    return 0;
}
