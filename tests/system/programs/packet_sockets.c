/* SPDX-License-Identifier: Apache-2.0 */
/* What sockets of AF_PACKET say and refuse, a line each, beside this machine's own. Argument: the
 * network interface. On its standard input a line when the peer has sent its frames. A second
 * argument: "spoof" sends frames that a policy of the network may refuse, one of no protocol and
 * one from another machine; a number: so many frames come, and are not read before all are there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#define PROTOCOL 0x88b5
#define FRAME_BYTES 64

static const char *interface;

static void show(const char *what, long result)
{
    printf("%s %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}

static int open_for(int protocol, unsigned index)
{
    struct sockaddr_ll place = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)index};
    int made = socket(AF_PACKET, SOCK_RAW, 0);
    if (made < 0 || bind(made, (struct sockaddr *)&place, sizeof(place)) != 0) {
        perror("packet socket");
        exit(1);
    }
    return made;
}

static void refusals(unsigned index)
{
    struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = 77};
    struct sockaddr_ll name;
    socklen_t bytes = sizeof(name);
    unsigned char frame[2000] = {0};
    int made = socket(AF_PACKET, SOCK_RAW, 0), value = 2;
    struct packet_mreq wish = {.mr_ifindex = 77, .mr_type = PACKET_MR_PROMISC};
    show("type", socket(AF_PACKET, SOCK_STREAM, 0));
    show("bind short", bind(made, (struct sockaddr *)&place, sizeof(place) - 1));
    show("bind nowhere", bind(made, (struct sockaddr *)&place, sizeof(place)));
    place.sll_family = AF_INET;
    place.sll_ifindex = (int)index;
    show("bind family", bind(made, (struct sockaddr *)&place, sizeof(place)));
    show("connect", connect(made, (struct sockaddr *)&place, sizeof(place)));
    show("listen", listen(made, 1));
    show("accept", accept(made, NULL, NULL));
    show("shutdown", shutdown(made, SHUT_RD));
    show("peer", getpeername(made, (struct sockaddr *)&name, &bytes));
    show("name", getsockname(made, (struct sockaddr *)&name, &bytes));
    printf("%u %d %d %d\n", bytes, name.sll_ifindex, name.sll_hatype, name.sll_halen);
    show("send unbound", send(made, frame, FRAME_BYTES, 0));
    show("receive flags", recv(made, frame, sizeof(frame), MSG_DONTWAIT | MSG_OOB));
    show("receive", recv(made, frame, sizeof(frame), MSG_DONTWAIT));
    show("join nowhere", setsockopt(made, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, sizeof(wish)));
    wish.mr_ifindex = (int)index;
    show("join short", setsockopt(made, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, 4));
    show("leave", setsockopt(made, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &wish, sizeof(wish)));
    show("join", setsockopt(made, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &wish, sizeof(wish)));
    show("leave", setsockopt(made, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &wish, sizeof(wish)));
    show("deaf", setsockopt(made, SOL_PACKET, PACKET_IGNORE_OUTGOING, &value, sizeof(value)));
    show("option", setsockopt(made, SOL_PACKET, 99, &value, sizeof(value)));
    show("get option", getsockopt(made, SOL_PACKET, 99, &value, &bytes));
    close(made);
}

static void interface_says(unsigned index)
{
    struct ifreq request = {0};
    char name[IF_NAMESIZE];
    int any = socket(AF_INET, SOCK_STREAM, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
    show("index", ioctl(any, SIOCGIFINDEX, &request));
    printf("%d\n", request.ifr_ifindex == (int)index);
    show("flags", ioctl(any, SIOCGIFFLAGS, &request));
    printf("%x\n", request.ifr_flags & 0xffff);
    show("mtu", ioctl(any, SIOCGIFMTU, &request));
    printf("%d\n", request.ifr_mtu);
    show("address", ioctl(any, SIOCGIFHWADDR, &request));
    printf("%d %02x\n", request.ifr_hwaddr.sa_family, request.ifr_hwaddr.sa_data[5] & 0xff);
    printf("%s\n", strcmp(if_indextoname(index, name), interface) == 0 ? "named" : "other");
    memcpy(request.ifr_name, "lo", sizeof("lo"));
    show("loopback", ioctl(any, SIOCGIFINDEX, &request));
    printf("%d\n", request.ifr_ifindex);
    memcpy(request.ifr_name, "none0", sizeof("none0"));
    show("nobody", ioctl(any, SIOCGIFINDEX, &request));
    request.ifr_ifindex = 78;
    show("no index", ioctl(any, SIOCGIFNAME, &request));
    show("fault", ioctl(any, SIOCGIFINDEX, (void *)16));
    close(any);
}

static void receive(int from, const char *what, size_t room, int flags)
{
    unsigned char frame[2000];
    struct sockaddr_ll name = {0};
    socklen_t bytes = sizeof(name);
    struct pollfd ready = {.fd = from, .events = POLLIN};
    poll(&ready, 1, 30000);
    ssize_t got = recvfrom(from, frame, room, flags, (struct sockaddr *)&name, &bytes);
    show(what, got);
    printf("%u: %04x kind %d type %d bytes %d last %02x, last of the frame %02x\n", bytes,
           ntohs(name.sll_protocol), name.sll_pkttype, name.sll_hatype, name.sll_halen,
           name.sll_addr[5], got > 0 && (size_t)got <= room ? frame[got - 1] : 0);
}

static void send_frame(int to, const unsigned char *frame, size_t bytes, const char *what)
{
    show(what, send(to, frame, bytes, 0));
}

static void frames(unsigned index)
{
    unsigned char frame[2000] = {2, 0, 0, 0, 0,    0x0a,          2,
                                 0, 0, 0, 0, 0x77, PROTOCOL >> 8, PROTOCOL & 0xff};
    char line[16];
    int one = open_for(PROTOCOL, index), all = open_for(ETH_P_ALL, index),
        other = open_for(0x88b6, index);
    unsigned counts[2]; /* struct tpacket_stats: packets, drops */
    socklen_t bytes = sizeof(counts);
    frame[FRAME_BYTES - 1] = 0x5a;
    printf("ready\n");
    fflush(stdout);
    if (fgets(line, sizeof(line), stdin) == NULL) {
        exit(1);
    }
    receive(one, "peek", FRAME_BYTES, MSG_PEEK);
    receive(one, "whole", 2000, 0);
    receive(one, "short", 20, 0);
    receive(one, "short, its length", 20, MSG_TRUNC);
    receive(one, "broadcast", 2000, 0);
    receive(one, "group", 2000, 0);
    receive(one, "other's", 2000, 0);
    show("no more", recv(one, frame, 0, MSG_DONTWAIT));
    show("nothing of another protocol", recv(other, frame, 0, MSG_DONTWAIT));
    show("statistics", getsockopt(one, SOL_PACKET, PACKET_STATISTICS, counts, &bytes));
    printf("%u %u\n", counts[0], counts[1]);
    show("statistics again", getsockopt(one, SOL_PACKET, PACKET_STATISTICS, counts, &bytes));
    printf("%u %u\n", counts[0], counts[1]);
    receive(all, "all hear it too", 2000, 0);
    while (recv(all, frame + 100, 1000, MSG_DONTWAIT) >= 0) {
    }
    send_frame(one, frame, 13, "too short");
    send_frame(one, frame, 1515 + 4, "too long");
    send_frame(one, frame, 1514, "longest");
    send_frame(one, frame, FRAME_BYTES, "sent");
    receive(all, "sent, heard by all", 2000, 0);
    receive(all, "sent, heard by all", 2000, 0);
    show("not by those of a protocol", recv(one, frame, 0, MSG_DONTWAIT));
    int on = 1;
    show("deaf", setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)));
    send_frame(one, frame, FRAME_BYTES, "sent");
    show("not heard", recv(all, frame, 0, MSG_DONTWAIT));
    close(one);
    close(all);
    close(other);
}

static void spoof(unsigned index)
{
    unsigned char frame[FRAME_BYTES] = {2,    0, 0,    0,    0,    0x0a,          0x52,
                                        0x54, 0, 0x12, 0x34, 0x56, PROTOCOL >> 8, PROTOCOL & 0xff};
    char line[16];
    int wire = open_for(PROTOCOL, index);
    show("no protocol", send(wire, frame, sizeof(frame), 0));
    frame[11] = 0x57;
    frame[12] = 8;
    frame[13] = 6;
    show("another machine", send(wire, frame, sizeof(frame), 0));
    printf("sent\n");
    fflush(stdout);
    exit(fgets(line, sizeof(line), stdin) == NULL);
}

/* Each frame is either waiting in the end or counted as dropped. */
static void overflow(unsigned index, unsigned wanted)
{
    unsigned char frame[2000];
    unsigned counts[2], heard = 0, dropped = 0, received = 0;
    int room = 16384, wire = open_for(PROTOCOL, index);
    setsockopt(wire, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    printf("ready\n");
    fflush(stdout);
    while (heard < wanted) {
        socklen_t bytes = sizeof(counts);
        getsockopt(wire, SOL_PACKET, PACKET_STATISTICS, counts, &bytes);
        heard += counts[0];
        dropped += counts[1];
        poll(NULL, 0, 10);
    }
    while (recv(wire, frame, sizeof(frame), MSG_DONTWAIT) > 0) {
        received++;
    }
    printf("%u of %u, %s\n", received + dropped, heard,
           received != 0 && dropped != 0 ? "some dropped" : "none or all");
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return 2;
    }
    interface = argv[1];
    unsigned index = if_nametoindex(interface);
    if (argc > 2 && strcmp(argv[2], "spoof") == 0) {
        spoof(index);
    } else if (argc > 2) {
        overflow(index, (unsigned)atoi(argv[2]));
    }
    refusals(index);
    interface_says(index);
    frames(index);
    printf("done\n");
    return 0;
}
