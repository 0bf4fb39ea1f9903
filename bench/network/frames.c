/* SPDX-License-Identifier: Apache-2.0 */
/* Sends frames of 64 bytes, with the checksum that the wire adds, to a forwarder behind a network
 * interface, as one neighbour, and counts those that come to the other behind another interface, in
 * any order. So many are under way at once that nobody need lose one; those that are under way when
 * nothing comes for a while are lost.
 *
 *     frames INTERFACE INTERFACE FORWARDER FROM TO COUNT
 *
 * FORWARDER, FROM and TO are Ethernet addresses. Prints `FRAMES frames in SECONDS s, LOST lost`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BYTES 60
#define PROTOCOL 0x88b5 /* IEEE 802: for experiments */
#define WINDOW 64
#define PATIENCE_MS 200 /* a guest of an emulator on a busy machine may take that long */

struct frame {
    unsigned char to[ETH_ALEN], from[ETH_ALEN];
    unsigned short protocol;
    unsigned number;
    unsigned char rest[BYTES - 18];
} __attribute__((packed));

static struct frame frames[WINDOW];

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void parse(const char *text, unsigned char *a)
{
    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", a, a + 1, a + 2, a + 3, a + 4, a + 5) !=
        ETH_ALEN) {
        fprintf(stderr, "frames: %s is no address\n", text);
        exit(2);
    }
}

static void send_some(int wire, unsigned first, unsigned count)
{
    static struct mmsghdr messages[WINDOW];
    static struct iovec parts[WINDOW];
    for (unsigned i = 0; i < count; i++) {
        frames[i].number = first + i;
        parts[i] = (struct iovec){&frames[i], sizeof(frames[i])};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(wire, messages + done, count - done, 0);
        if (sent < 0) {
            stop("sendmmsg");
        }
        done += (unsigned)sent;
    }
}

/* How many have come; 0: none for a while. */
static unsigned receive_some(int wire, const unsigned char *to)
{
    unsigned char got[2048];
    unsigned count = 0;
    struct pollfd ready = {.fd = wire, .events = POLLIN};
    while (count == 0 && poll(&ready, 1, PATIENCE_MS) == 1) {
        ssize_t bytes;
        while ((bytes = recv(wire, got, sizeof(got), MSG_DONTWAIT)) >= 0) {
            count += bytes == BYTES && memcmp(got, to, ETH_ALEN) == 0;
        }
    }
    return count;
}

/* A socket for frames of a protocol on an interface; 0: it hears none. */
static int open_wire(const char *interface, unsigned short protocol)
{
    struct sockaddr_ll place = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(protocol),
                                .sll_ifindex = (int)if_nametoindex(interface)};
    int wire = socket(AF_PACKET, SOCK_RAW, 0);
    if (wire < 0 || bind(wire, (struct sockaddr *)&place, sizeof(place)) != 0) {
        stop(interface);
    }
    return wire;
}

int main(int argc, char **argv)
{
    struct timespec begin, end;
    unsigned char to[ETH_ALEN];
    unsigned count = argc == 7 ? (unsigned)atoi(argv[6]) : 0, sent = 0, received = 0, lost = 0;
    if (count == 0) {
        fprintf(stderr, "frames: INTERFACE INTERFACE FORWARDER FROM TO COUNT\n");
        return 2;
    }
    int wire = open_wire(argv[1], 0), ear = open_wire(argv[2], PROTOCOL);
    parse(argv[5], to);
    for (unsigned i = 0; i < WINDOW; i++) {
        parse(argv[3], frames[i].to);
        parse(argv[4], frames[i].from);
        frames[i].protocol = htons(PROTOCOL);
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (received + lost < count) {
        unsigned way = sent - received - lost;
        unsigned more = count - sent < WINDOW - way ? count - sent : WINDOW - way;
        send_some(wire, sent, more);
        sent += more;
        unsigned some = receive_some(ear, to);
        received += some;
        if (some == 0 || received + lost > sent) { /* or some were but late */
            lost = sent - received;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%u frames in %.6f s, %u lost\n", received,
           (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec),
           lost);
    return 0;
}
