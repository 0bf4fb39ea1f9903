/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards frames between two neighbours, each named by the interface behind which it is and its
 * Ethernet address:
 *
 *     forwarder eth0=02:00:00:00:00:0a eth0=02:00:00:00:00:0b
 *
 * A frame to this machine from the one goes on to the other, from this machine, with nothing else
 * of it changed; frames of anybody else are left alone. Both may be behind one interface, as with a
 * router on a stick. An ordinary Linux program over sockets of AF_PACKET, one thread for each
 * interface, the first on the core that the program starts on. SIGINT and SIGTERM end it, with a
 * line of what it did. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#define BATCH 64
#define FRAME_BYTES_MAX 2048
#define ROOM (4 << 20) /* of a socket for frames that wait */

struct interface {
    char name[IFNAMSIZ];
    int socket;
    unsigned char address[ETH_ALEN];
};

/* Frames of one turn: as they came, and by the neighbour to whom they go on. */
struct batch {
    struct mmsghdr came[BATCH], to[2][BATCH];
    struct iovec parts[BATCH];
    unsigned char frames[BATCH][FRAME_BYTES_MAX];
};

struct neighbour {
    struct interface *interface;
    unsigned char address[ETH_ALEN];
};

static struct interface interfaces[2];
static struct neighbour neighbours[2];
static _Atomic unsigned long forwarded, lost;

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void open_interface(struct interface *interface)
{
    struct ifreq request = {0};
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int room = ROOM, on = 1;
    interface->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    memcpy(request.ifr_name, interface->name, IFNAMSIZ);
    if (interface->socket < 0 || ioctl(interface->socket, SIOCGIFHWADDR, &request) != 0) {
        stop(interface->name);
    }
    memcpy(interface->address, request.ifr_hwaddr.sa_data, ETH_ALEN);
    if (ioctl(interface->socket, SIOCGIFINDEX, &request) != 0) {
        stop(interface->name);
    }
    place.sll_ifindex = request.ifr_ifindex;
    if (setsockopt(interface->socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0 ||
        setsockopt(interface->socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        bind(interface->socket, (struct sockaddr *)&place, sizeof(place)) != 0) {
        stop(interface->name);
    }
}

/* Whose frame it is, if it is for this machine: 0 or 1; -1: nobody's. */
static int sender_of(const struct interface *from, const unsigned char *frame, size_t bytes)
{
    if (bytes < ETH_HLEN || memcmp(frame, from->address, ETH_ALEN) != 0) {
        return -1;
    }
    for (int i = 0; i < 2; i++) {
        if (neighbours[i].interface == from &&
            memcmp(frame + ETH_ALEN, neighbours[i].address, ETH_ALEN) == 0) {
            return i;
        }
    }
    return -1;
}

/* A frame that cannot be sent is lost. The call itself: musl has a call for each frame of a
 * sendmmsg. */
static void send_all(int to, struct mmsghdr *messages, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        long sent = syscall(SYS_sendmmsg, to, messages + done, count - done, 0);
        atomic_fetch_add(sent > 0 ? &forwarded : &lost, sent > 0 ? (unsigned)sent : 1);
        done += sent > 0 ? (unsigned)sent : 1;
    }
}

/* Turns the frames that are to go on towards their neighbours; count[neighbour] are for each. */
static void address_anew(const struct interface *from, struct batch *batch, int received,
                         unsigned count[2])
{
    for (int i = 0; i < received; i++) {
        unsigned char *frame = batch->frames[i];
        int sender = sender_of(from, frame, batch->came[i].msg_len);
        if (sender < 0) {
            continue;
        }
        const struct neighbour *next = &neighbours[!sender];
        memcpy(frame, next->address, ETH_ALEN);
        memcpy(frame + ETH_ALEN, next->interface->address, ETH_ALEN);
        batch->parts[i].iov_len = batch->came[i].msg_len;
        batch->to[!sender][count[!sender]++].msg_hdr = batch->came[i].msg_hdr;
    }
}

static void *forward(void *argument)
{
    const struct interface *from = argument;
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        stop("calloc");
    }
    for (;;) {
        unsigned count[2] = {0, 0};
        for (int i = 0; i < BATCH; i++) {
            batch->parts[i] = (struct iovec){batch->frames[i], FRAME_BYTES_MAX};
            batch->came[i].msg_hdr = (struct msghdr){.msg_iov = &batch->parts[i], .msg_iovlen = 1};
        }
        int received = recvmmsg(from->socket, batch->came, BATCH, MSG_WAITFORONE, NULL);
        if (received < 0 && errno != EINTR) {
            stop("recvmmsg");
        }
        address_anew(from, batch, received, count);
        for (int i = 0; i < 2; i++) {
            send_all(neighbours[i].interface->socket, batch->to[i], count[i]);
        }
    }
    return NULL;
}

/* "eth0=02:00:00:00:00:0a" */
static void parse(struct neighbour *neighbour, const char *text)
{
    unsigned char *a = neighbour->address;
    const char *address = strchr(text, '=');
    char end;
    if (address == NULL || address - text >= IFNAMSIZ ||
        sscanf(address, "=%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", a, a + 1, a + 2, a + 3, a + 4, a + 5,
               &end) != ETH_ALEN) {
        fprintf(stderr, "forwarder: %s is no INTERFACE=ADDRESS\n", text);
        exit(2);
    }
    struct interface *place = interfaces;
    if (place->name[0] != '\0' && (strncmp(place->name, text, (size_t)(address - text)) != 0 ||
                                   place->name[address - text] != '\0')) {
        place++;
    }
    memcpy(place->name, text, (size_t)(address - text));
    neighbour->interface = place;
}

static void *wait_for_end(void *argument)
{
    int number;
    sigwait(argument, &number);
    printf("forwarded %lu, lost %lu\n", atomic_load(&forwarded), atomic_load(&lost));
    exit(0);
}

static void start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, run, argument);
    if (errno != 0) {
        stop("pthread_create");
    }
}

int main(int argc, char **argv)
{
    sigset_t ends;
    if (argc != 3) {
        fprintf(stderr, "forwarder: INTERFACE=ADDRESS INTERFACE=ADDRESS\n");
        return 2;
    }
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    parse(&neighbours[0], argv[1]);
    parse(&neighbours[1], argv[2]);
    int are_two = interfaces[1].name[0] != '\0';
    open_interface(&interfaces[0]);
    if (are_two) {
        open_interface(&interfaces[1]);
    }
    start(wait_for_end, &ends);
    printf("forwarding\n");
    fflush(stdout);
    if (are_two) {
        start(forward, &interfaces[1]);
    }
    forward(&interfaces[0]);
}
