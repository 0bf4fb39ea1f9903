/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that sockets of two cores share by SO_REUSEPORT, one after the other and more than there
 * are at once: each is given back when it is closed. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-NET-1410~1
 * @robust */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define FIRST_PORT 20000
#define PORTS 200
#define SHARERS 2
#define PEERS_MAX 256

static struct sockaddr_in name_of(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A socket of each core on the port; they listen, if they are of TCP. */
static void share(int sockets[SHARERS], int type, int port)
{
    struct sockaddr_in name = name_of(port);
    for (int i = 0, on = 1; i < SHARERS; i++) {
        check_pin(port + i); /* the port is now the one's and now the other's first */
        sockets[i] = socket(AF_INET, type, 0);
        CHECK(sockets[i] >= 0);
        CHECK_EQUAL(setsockopt(sockets[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
        CHECK_EQUAL(bind(sockets[i], (struct sockaddr *)&name, sizeof(name)), 0);
        CHECK(type != SOCK_STREAM || listen(sockets[i], PEERS_MAX) == 0);
    }
}

static void end(const int sockets[SHARERS])
{
    for (int i = 0; i < SHARERS; i++) {
        CHECK_EQUAL(close(sockets[i]), 0);
    }
}

/* A socket of no fixed port, connected to the port. */
static int peer_of(int type, int port)
{
    struct sockaddr_in name = name_of(port);
    int made = socket(AF_INET, type, 0);
    CHECK(made >= 0);
    CHECK_EQUAL(connect(made, (struct sockaddr *)&name, sizeof(name)), 0);
    return made;
}

/* The index of the socket that is ready. */
static int who_is_ready(const int sockets[SHARERS])
{
    struct pollfd entries[SHARERS];
    for (int i = 0; i < SHARERS; i++) {
        entries[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
    }
    CHECK_EQUAL(poll(entries, SHARERS, -1), 1);
    return entries[0].revents == 0;
}

/* Each of the sockets of UDP has some of the peers. */
static void datagrams_go_to_both(const int sockets[SHARERS], int port)
{
    int seen[SHARERS] = {0};
    for (int i = 0; i < PEERS_MAX && (seen[0] == 0 || seen[1] == 0); i++) {
        char text[8];
        int peer = peer_of(SOCK_DGRAM, port);
        CHECK_EQUAL(send(peer, "hello", 5, 0), 5);
        int whose = who_is_ready(sockets);
        CHECK_EQUAL(recv(sockets[whose], text, sizeof(text), 0), 5);
        seen[whose]++;
        CHECK_EQUAL(close(peer), 0);
    }
    CHECK(seen[0] != 0 && seen[1] != 0);
}

/* Connects; the other end, of whichever listener. */
static int meet(const int sockets[SHARERS], int port, int *served)
{
    int peer = peer_of(SOCK_STREAM, port);
    *served = accept(sockets[who_is_ready(sockets)], NULL, NULL);
    CHECK(*served >= 0);
    return peer;
}

/* The peer closes first, so that only it has to wait for what is late. */
static void part(int peer, int served)
{
    char byte;
    CHECK_EQUAL(close(peer), 0);
    CHECK_EQUAL(read(served, &byte, 1), 0);
    CHECK_EQUAL(close(served), 0);
}

/* Where cores share, a peer is one core's; listeners of one core would take turns. */
static void a_peer_stays_with_its_listener(const int sockets[SHARERS], int port)
{
    const struct linger none = {.l_onoff = 1}; /* its port is free at once */
    struct sockaddr_in from = name_of(FIRST_PORT - 2), to = name_of(port);
    for (int i = 0, first = 0, on = 1; i < 8; i++) {
        int peer = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQUAL(setsockopt(peer, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
        CHECK_EQUAL(setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
        CHECK_EQUAL(bind(peer, (struct sockaddr *)&from, sizeof(from)), 0);
        CHECK_EQUAL(connect(peer, (struct sockaddr *)&to, sizeof(to)), 0);
        int whose = who_is_ready(sockets);
        first = i == 0 ? whose : first;
        CHECK(whose == first || check_all_cores_count == 1);
        int served = accept(sockets[whose], NULL, NULL);
        char byte;
        CHECK_EQUAL(close(peer), 0);
        CHECK_ERRNO(read(served, &byte, 1), ECONNRESET);
        CHECK_EQUAL(close(served), 0);
    }
}

static void ports_of_datagrams(void)
{
    int sockets[SHARERS];
    for (int port = FIRST_PORT; port < FIRST_PORT + PORTS; port++) {
        share(sockets, SOCK_DGRAM, port);
        end(sockets);
    }
    for (int port = FIRST_PORT; port < FIRST_PORT + PORTS; port += PORTS / 4) {
        share(sockets, SOCK_DGRAM, port); /* again, and one that was never shared by others */
        datagrams_go_to_both(sockets, port);
        end(sockets);
    }
}

/* Those of TCP are not in the way of those of UDP either. */
static void ports_of_connections(void)
{
    int sockets[SHARERS], served, peer;
    for (int port = FIRST_PORT; port < FIRST_PORT + PORTS; port++) {
        share(sockets, SOCK_STREAM, port);
        peer = meet(sockets, port, &served);
        part(peer, served);
        end(sockets);
    }
    share(sockets, SOCK_STREAM, FIRST_PORT + PORTS);
    a_peer_stays_with_its_listener(sockets, FIRST_PORT + PORTS);
    end(sockets);
    share(sockets, SOCK_DGRAM, FIRST_PORT);
    datagrams_go_to_both(sockets, FIRST_PORT);
    end(sockets);
}

/* Connections of both cores go on without a listener, whatever else is shared meanwhile. */
static void connections_outlive_the_others(void)
{
    enum { CONNECTIONS = 16, PORT = FIRST_PORT - 1 };
    int listeners[SHARERS], peers[CONNECTIONS], served[CONNECTIONS], sockets[SHARERS], other;
    share(listeners, SOCK_STREAM, PORT);
    for (int i = 0; i < CONNECTIONS; i++) {
        peers[i] = meet(listeners, PORT, &served[i]);
    }
    end(listeners);
    for (int port = FIRST_PORT; port < FIRST_PORT + PORTS; port++) {
        share(sockets, SOCK_STREAM, port);
        int peer = meet(sockets, port, &other);
        part(peer, other);
        end(sockets);
    }
    for (int i = 0; i < CONNECTIONS; i++) {
        char byte = 'x';
        CHECK_EQUAL(write(peers[i], &byte, 1), 1);
        CHECK_EQUAL(read(served[i], &byte, 1), 1);
        CHECK_EQUAL(write(served[i], &byte, 1), 1);
        CHECK_EQUAL(read(peers[i], &byte, 1), 1);
        part(peers[i], served[i]);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"ports_of_datagrams", ports_of_datagrams},
        {"ports_of_connections", ports_of_connections},
        {"connections_outlive_the_others", connections_outlive_the_others},
    };
    return CHECK_MAIN(cases);
}
