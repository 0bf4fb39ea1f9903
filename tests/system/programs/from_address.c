/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of a socket that is bound to an address of the machine: to others of its addresses, and
 * to somebody else, who is not reached from the loopback's. Arguments: the own addresses, of which
 * the first sends, and behind `to` whose. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PORT 4000

static struct sockaddr_in name_of(const char *address, int port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, address, &name.sin_addr);
    return name;
}

static int open_at(const char *address, int port)
{
    struct sockaddr_in own = name_of(address, port);
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(made, (struct sockaddr *)&own, sizeof(own)) != 0) {
        perror(address);
    }
    return made;
}

static int send_to(int from, const char *address, int port)
{
    struct sockaddr_in to = name_of(address, port);
    return sendto(from, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : errno;
}

/* What connect says from the loopback's address. */
static int connect_inside(int type, const char *address)
{
    struct sockaddr_in own = name_of("127.0.0.1", 0), to = name_of(address, 9);
    int made = socket(AF_INET, type, 0);
    return bind(made, (struct sockaddr *)&own, sizeof(own)) == 0 &&
                   connect(made, (struct sockaddr *)&to, sizeof(to)) == 0
               ? 0
               : errno;
}

int main(int argc, char **argv)
{
    int from = open_at(argv[1], PORT);
    int i = 1, inside = open_at("127.0.0.1", PORT), is_on = 1;
    setsockopt(from, SOL_SOCKET, SO_BROADCAST, &is_on, sizeof(is_on));
    for (; i < argc && strcmp(argv[i], "to") != 0; i++) {
        struct sockaddr_in sender;
        socklen_t bytes = sizeof(sender);
        char text[INET_ADDRSTRLEN], data;
        int own = open_at(argv[i], PORT + i), error = send_to(from, argv[i], PORT + i);
        long got = error == 0 ? recvfrom(own, &data, 1, 0, (struct sockaddr *)&sender, &bytes) : 0;
        printf("%s error %d, %ld from %s\n", argv[i], error, got,
               got == 1 ? inet_ntop(AF_INET, &sender.sin_addr, text, sizeof(text)) : "nobody");
    }
    while (++i < argc) {
        printf("%s error %d\n", argv[i], send_to(from, argv[i], 9));
    }
    printf("inside error %d %d %d\n", send_to(inside, argv[argc - 1], 9),
           connect_inside(SOCK_DGRAM, argv[argc - 1]), connect_inside(SOCK_STREAM, argv[argc - 1]));
    fflush(stdout);
    (void)getchar(); /* until it is told that the datagram has come, which waits for ARP's answer */
    return 0;
}
