/* SPDX-License-Identifier: Apache-2.0 */
/* A server for tests of what the network does to it: it echoes what comes by TCP and UDP, of IPv4
 * and IPv6, on one port of one address or all, with a thread on each core. It takes no memory for a
 * connection: what it could not send is still to be received. Commands on its standard input, each
 * answered by a line:
 *
 *   counts    what is in use when all threads wait: free memory, descriptors, threads, and the
 *             lines of /dev/network
 *   link I A  whether the interface I has a link, and errno of a datagram to the address A
 *   traffic I the counts of an interface in /proc/net/dev
 *   limit N   at most N descriptors from now on
 *   deaf      reads nothing any more, until
 *   hear
 *   quit */
#include "../../waiting.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define PIECE_BYTES 16384
#define EVENTS 64
#define THREADS_MAX 64
#define LINE_BYTES 256
#define NAMES_BYTES 65536
#define MAPS_BYTES 16384
#define PAGE_BYTES 4096
#define DESCRIPTORS_MAX 10240
#define LISTENER ((uint64_t)1 << 32)
#define DATAGRAMS ((uint64_t)2 << 32)

static int listener, datagrams;
static int is_full; /* no descriptor was left: nobody accepts until one is closed */
static int is_deaf;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hears = PTHREAD_COND_INITIALIZER;
static int instances[THREADS_MAX];
static int thread_count;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int instance, int operation, uint64_t what, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = what};
    if (epoll_ctl(instance, operation, (int)what, &event) != 0) {
        stop("epoll_ctl");
    }
}

/* Whether the threads look for new connections. */
static void set_accepting(int is_accepting)
{
    for (int i = 0; i < thread_count; i++) {
        watch(instances[i], EPOLL_CTL_MOD, LISTENER | (uint32_t)listener,
              is_accepting ? EPOLLIN : 0);
    }
}

static void take(int instance)
{
    int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (socket >= 0) {
        watch(instance, EPOLL_CTL_ADD, (uint32_t)socket, EPOLLIN);
        return;
    }
    pthread_mutex_lock(&mutex);
    if (errno == EMFILE && !is_full) {
        is_full = 1;
        set_accepting(0);
    }
    pthread_mutex_unlock(&mutex);
}

static void drop(int socket)
{
    close(socket);
    pthread_mutex_lock(&mutex);
    if (is_full) {
        is_full = 0;
        set_accepting(1);
    }
    pthread_mutex_unlock(&mutex);
}

/* Sends back what is there; what the peer does not take stays to be received. */
static void echo(int instance, int socket, char *piece)
{
    ssize_t there = recv(socket, piece, PIECE_BYTES, MSG_PEEK);
    if (there < 0 && errno == EAGAIN) {
        watch(instance, EPOLL_CTL_MOD, (uint32_t)socket, EPOLLIN); /* it was to send, and has */
        return;
    }
    if (there <= 0) {
        drop(socket);
        return;
    }
    ssize_t sent = send(socket, piece, (size_t)there, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS) {
        drop(socket);
        return;
    }
    if (sent > 0 && recv(socket, piece, (size_t)sent, 0) != sent) {
        stop("recv");
    }
    watch(instance, EPOLL_CTL_MOD, (uint32_t)socket, sent < there ? EPOLLOUT : EPOLLIN);
}

static void answer_datagrams(char *piece)
{
    struct sockaddr_in6 peer;
    socklen_t peer_bytes = sizeof(peer);
    ssize_t bytes =
        recvfrom(datagrams, piece, PIECE_BYTES, 0, (struct sockaddr *)&peer, &peer_bytes);
    if (bytes >= 0) {
        sendto(datagrams, piece, (size_t)bytes, 0, (struct sockaddr *)&peer, peer_bytes);
    }
}

static void wait_to_hear(void)
{
    pthread_mutex_lock(&mutex);
    while (is_deaf) {
        pthread_cond_wait(&hears, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

static void *serve(void *argument)
{
    int instance = *(const int *)argument;
    struct epoll_event events[EVENTS];
    char piece[PIECE_BYTES];
    for (;;) {
        int count = epoll_wait(instance, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            wait_to_hear();
            if ((events[i].data.u64 & LISTENER) != 0) {
                take(instance);
            } else if ((events[i].data.u64 & DATAGRAMS) != 0) {
                answer_datagrams(piece);
            } else {
                echo(instance, (int)events[i].data.u64, piece);
            }
        }
    }
    return NULL;
}

static void open_sockets(int port, const char *own)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET6, own, &address.sin6_addr) != 1) {
        stop(own);
    }
    listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    datagrams = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || datagrams < 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        bind(datagrams, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, SOMAXCONN) != 0) {
        stop("socket");
    }
}

static void start_threads(void)
{
    cpu_set_t cores;
    pthread_t thread;
    if (sched_getaffinity(0, sizeof(cores), &cores) != 0) {
        stop("sched_getaffinity");
    }
    int count = CPU_COUNT(&cores);
    for (int i = 0; i < count && i < THREADS_MAX; i++) {
        instances[i] = epoll_create1(0);
        watch(instances[i], EPOLL_CTL_ADD, LISTENER | (uint32_t)listener, EPOLLIN);
        thread_count++;
    }
    watch(instances[0], EPOLL_CTL_ADD, DATAGRAMS | (uint32_t)datagrams, EPOLLIN);
    for (int i = 0; i < thread_count; i++) {
        if (pthread_create(&thread, NULL, serve, &instances[i]) != 0) {
            stop("pthread_create");
        }
    }
}

/* Without an allocator, whose memory comes and goes. */
static int entries(const char *path)
{
    static char names[NAMES_BYTES];
    int folder = open(path, O_RDONLY | O_DIRECTORY);
    int count = 0;
    long bytes;
    while ((bytes = syscall(SYS_getdents64, folder, names, sizeof(names))) > 0) {
        for (long at = 0; at < bytes; at += ((struct dirent *)(void *)(names + at))->d_reclen) {
            count++;
        }
    }
    close(folder);
    return count - 2; /* . and .. */
}

static void show_counts(void)
{
    static char text[8192];
    struct sysinfo information;
    threads_await_waiting(thread_count); /* with a socket that it closes one is not done before */
    int network = open("/dev/network", O_RDONLY);
    ssize_t bytes = 0, more = 0;
    while ((more = read(network, text + bytes, sizeof(text) - 1 - (size_t)bytes)) > 0) {
        bytes += more;
    }
    close(network);
    text[bytes] = '\0';
    for (char *at = text; (at = strchr(at, '\n')) != NULL;) {
        *at = ' ';
    }
    int descriptors = entries("/proc/self/fd") - 1, threads = entries("/proc/self/task");
    sysinfo(&information);
    printf("counts free %lu descriptors %d threads %d %s\n",
           information.freeram * information.mem_unit, descriptors, threads, text);
}

static void show_link(const char *name, const char *address)
{
    struct ifreq request = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (ioctl(datagrams, SIOCGIFFLAGS, &request) != 0) {
        stop("SIOCGIFFLAGS");
    }
    inet_pton(AF_INET, address, &to.sin_addr);
    int other = socket(AF_INET, SOCK_DGRAM, 0);
    int error = sendto(other, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : errno;
    close(other);
    printf("link %d up %d error %d\n", (request.ifr_flags & IFF_RUNNING) != 0,
           (request.ifr_flags & IFF_UP) != 0, error);
}

static void show_traffic(const char *name)
{
    char line[LINE_BYTES], found[IFNAMSIZ];
    unsigned long counts[16];
    FILE *file = fopen("/proc/net/dev", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *colon = strchr(line, ':'), *at = colon + 1;
        if (colon == NULL || sscanf(line, " %15[^:]", found) != 1 || strcmp(found, name) != 0) {
            continue;
        }
        for (unsigned i = 0; i < 16; i++) {
            counts[i] = strtoul(at, &at, 10);
        }
        printf("traffic %lu %lu %lu %lu\n", counts[0], counts[1], counts[8], counts[9]);
        fclose(file);
        return;
    }
    stop("/proc/net/dev");
}

static void set_deaf(int value)
{
    pthread_mutex_lock(&mutex);
    is_deaf = value;
    pthread_cond_broadcast(&hears);
    pthread_mutex_unlock(&mutex);
}

static int obey(const char *command)
{
    struct rlimit limit;
    char name[IFNAMSIZ], address[INET_ADDRSTRLEN];
    getrlimit(RLIMIT_NOFILE, &limit);
    if (strcmp(command, "counts\n") == 0) {
        show_counts();
        return 1;
    }
    if (sscanf(command, "link %15s %15s", name, address) == 2) {
        show_link(name, address);
        return 1;
    }
    if (sscanf(command, "traffic %15s", name) == 1) {
        show_traffic(name);
        return 1;
    }
    if (sscanf(command, "limit %lu", &limit.rlim_cur) == 1) {
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            stop("setrlimit");
        }
    } else if (strcmp(command, "deaf\n") == 0) {
        set_deaf(1);
    } else if (strcmp(command, "hear\n") == 0) {
        set_deaf(0);
    } else {
        return 0;
    }
    puts("done");
    return 1;
}

/* Makes the table of descriptors as large as it will ever be: its frames are counted from the
 * start.
 */
static void open_all(void)
{
    static int copies[DESCRIPTORS_MAX];
    struct rlimit limit, all;
    int count = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        stop("getrlimit");
    }
    all = (struct rlimit){DESCRIPTORS_MAX, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &all) != 0) {
        stop("setrlimit");
    }
    while (count < DESCRIPTORS_MAX && (copies[count] = dup(0)) >= 0) {
        count++;
    }
    while (count > 0) {
        close(copies[--count]);
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        stop("setrlimit");
    }
}

/* Gives every page that the program may write its frame: they are counted from the start. */
static void touch_all(void)
{
    static char maps[MAPS_BYTES];
    int file = open("/proc/self/maps", O_RDONLY);
    ssize_t bytes = 0, more = 0;
    while ((more = read(file, maps + bytes, sizeof(maps) - 1 - (size_t)bytes)) > 0) {
        bytes += more;
    }
    close(file);
    for (char *at = maps; at != NULL && *at != '\0'; at = strchr(at, '\n'), at += at != NULL) {
        unsigned long start = strtoul(at, &at, 16);
        unsigned long end = strtoul(at + 1, &at, 16); /* behind it: a space, and the rights */
        for (; at[2] == 'w' && start < end; start += PAGE_BYTES) {
            __atomic_fetch_add((char *)start, 0, __ATOMIC_RELAXED);
        }
    }
}

int main(int argc, char **argv)
{
    char line[LINE_BYTES];
    open_all();
    setvbuf(stdout, NULL, _IOLBF, 0);
    open_sockets(argc > 1 ? atoi(argv[1]) : 7, argc > 2 ? argv[2] : "::");
    start_threads();
    touch_all();
    puts("serving");
    while (fgets(line, sizeof(line), stdin) != NULL && obey(line)) {
    }
    return 0;
}
