/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what DHCP gave, and sends bytes from a thread on each core to an echo server on the
 * gateway. Arguments: the server's port, how many threads. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GATEWAY 0x0a000202u /* 10.0.2.2 */
#define BYTES 200000
#define THREADS_MAX 64

static int port;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to_gateway(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(GATEWAY);
    if (socket_ < 0 || connect(socket_, (struct sockaddr *)&address, sizeof(address)) != 0) {
        stop("connect");
    }
    return socket_;
}

static unsigned char byte_at(long place, long core)
{
    return (unsigned char)(place * 13 + (place >> 9) + core);
}

struct sender {
    int socket;
    long core;
};

static void *send_all(void *argument)
{
    const struct sender *sender = argument;
    unsigned char buffer[3000];
    for (long done = 0; done < BYTES;) {
        long part = BYTES - done < (long)sizeof(buffer) ? BYTES - done : (long)sizeof(buffer);
        for (long i = 0; i < part; i++) {
            buffer[i] = byte_at(done + i, sender->core);
        }
        if (send(sender->socket, buffer, (size_t)part, 0) != part) {
            stop("send");
        }
        done += part;
    }
    if (shutdown(sender->socket, SHUT_WR) != 0) {
        stop("shutdown");
    }
    return NULL;
}

static void *exchange(void *argument)
{
    long core = (long)argument;
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET((size_t)core, &cores);
    if (pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores) != 0) {
        stop("pthread_setaffinity_np");
    }
    struct sender sender = {connect_to_gateway(), core};
    pthread_t thread;
    unsigned char buffer[5000];
    long done = 0;
    if (pthread_create(&thread, NULL, send_all, &sender) != 0) {
        stop("pthread_create");
    }
    for (;;) {
        long bytes = recv(sender.socket, buffer, sizeof(buffer), 0);
        if (bytes < 0) {
            stop("recv");
        }
        if (bytes == 0) {
            break;
        }
        for (long i = 0; i < bytes; i++) {
            if (buffer[i] != byte_at(done + i, core)) {
                printf("core %ld: byte %ld is wrong\n", core, done + i);
                exit(1);
            }
        }
        done += bytes;
    }
    pthread_join(thread, NULL);
    puts(done == BYTES ? "echoed" : "cut");
    close(sender.socket);
    return NULL;
}

static void show_names(void)
{
    char text[256];
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    FILE *file = fopen("/etc/resolv.conf", "r");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
        stop("/etc/resolv.conf");
    }
    fputs(text, stdout);
    fclose(file);
    if (getaddrinfo("localhost", NULL, &hints, &found) != 0) {
        stop("getaddrinfo");
    }
    const struct sockaddr_in *address = (const struct sockaddr_in *)found->ai_addr;
    printf("localhost %s\n", inet_ntoa(address->sin_addr));
    freeaddrinfo(found);
}

/* A datagram socket that is connected knows by which address the gateway is reached. */
static void show_own_address(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    socklen_t bytes = sizeof(address);
    int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    address.sin_addr.s_addr = htonl(GATEWAY);
    if (connect(socket_, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(socket_, (struct sockaddr *)&address, &bytes) != 0) {
        stop("connect of a datagram socket");
    }
    printf("own %s\n", inet_ntoa(address.sin_addr));
    close(socket_);
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS_MAX];
    long count = argc > 2 ? atol(argv[2]) : 1;
    port = argc > 1 ? atoi(argv[1]) : 0;
    show_names();
    show_own_address();
    for (long core = 0; core < count; core++) {
        if (pthread_create(&threads[core], NULL, exchange, (void *)core) != 0) {
            stop("pthread_create");
        }
    }
    for (long core = 0; core < count; core++) {
        pthread_join(threads[core], NULL);
    }
    return 0;
}
