/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have a port of TCP beside whom: families, SO_REUSEADDR, SO_REUSEPORT.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-POSIX-0950~1 ATL-LLR-POSIX-0951~1 ATL-LLR-NET-0900~1 */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define SHARERS 3
#define CONNECTIONS 96
#define TIMES 4

enum family { FOUR, SIX, DUAL };
enum sharing { ALONE = 0, ADDRESS = 1, PORT = 2 };

union name {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static socklen_t name_of(enum family family, const char *text, int port, union name *name)
{
    memset(name, 0, sizeof(*name));
    if (family == FOUR) {
        name->four.sin_family = AF_INET;
        name->four.sin_port = htons((uint16_t)port);
        CHECK_EQUAL(inet_pton(AF_INET, text, &name->four.sin_addr), 1);
        return sizeof(name->four);
    }
    name->six.sin6_family = AF_INET6;
    name->six.sin6_port = htons((uint16_t)port);
    CHECK_EQUAL(inet_pton(AF_INET6, text, &name->six.sin6_addr), 1);
    return sizeof(name->six);
}

static int make(enum family family, enum sharing sharing)
{
    int on = 1;
    int only_6 = family == SIX;
    int made = socket(family == FOUR ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    CHECK(made >= 0);
    if (family != FOUR) {
        CHECK_EQUAL(setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &only_6, sizeof(only_6)), 0);
    }
    if (sharing & ADDRESS) {
        CHECK_EQUAL(setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    }
    if (sharing & PORT) {
        CHECK_EQUAL(setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    }
    return made;
}

static int bind_to(int made, enum family family, const char *text, int port)
{
    union name name;
    socklen_t bytes = name_of(family, text, port, &name);
    return bind(made, &name.any, bytes);
}

static int port_of(int made)
{
    union name name;
    socklen_t bytes = sizeof(name);
    CHECK_EQUAL(getsockname(made, &name.any, &bytes), 0);
    return ntohs(name.four.sin_port);
}

static int join(int made, int port)
{
    union name name;
    socklen_t bytes = name_of(FOUR, "127.0.0.1", port, &name);
    return connect(made, &name.any, bytes);
}

/* Two sockets for one port: the second bind succeeds, or fails with EADDRINUSE. */
static void beside(enum family one, const char *first, enum family other, const char *second,
                   int wanted)
{
    int a = make(one, ALONE);
    int b = make(other, ALONE);
    CHECK_EQUAL(bind_to(a, one, first, 0), 0);
    CHECK_EQUAL(listen(a, 1), 0);
    int result = bind_to(b, other, second, port_of(a));
    CHECK_EQUAL(result, wanted);
    if (wanted == 0) {
        CHECK_EQUAL(listen(b, 1), 0);
    } else {
        CHECK_EQUAL(errno, EADDRINUSE);
    }
    CHECK_EQUAL(close(a), 0);
    CHECK_EQUAL(close(b), 0);
}

static void families(void)
{
    beside(FOUR, "0.0.0.0", SIX, "::", 0);
    beside(SIX, "::", FOUR, "0.0.0.0", 0);
    beside(FOUR, "0.0.0.0", SIX, "::1", 0);
    beside(DUAL, "::1", FOUR, "127.0.0.1", 0);
    beside(FOUR, "0.0.0.0", DUAL, "::", -1);
    beside(DUAL, "::", FOUR, "0.0.0.0", -1);
    beside(DUAL, "::", FOUR, "127.0.0.1", -1);
    beside(FOUR, "127.0.0.1", DUAL, "::", -1);
    beside(DUAL, "::", SIX, "::1", -1);
    beside(SIX, "::1", SIX, "::", -1);
    beside(SIX, "::", DUAL, "::", -1);
    beside(DUAL, "::ffff:127.0.0.1", FOUR, "127.0.0.1", -1);
    beside(DUAL, "::ffff:127.0.0.1", SIX, "::", 0);
    beside(FOUR, "0.0.0.0", FOUR, "127.0.0.1", -1);
}

/* One listener of each family on a port: each gets what is its own. */
static void served_by_family(void)
{
    union name name;
    int four = make(FOUR, ALONE);
    int six = make(SIX, ALONE);
    CHECK_EQUAL(bind_to(four, FOUR, "0.0.0.0", 0), 0);
    CHECK_EQUAL(listen(four, 2), 0);
    CHECK_EQUAL(bind_to(six, SIX, "::", port_of(four)), 0);
    CHECK_EQUAL(listen(six, 2), 0);
    for (int i = 0; i < 2; i++) {
        enum family family = i == 0 ? FOUR : SIX;
        int one = make(family, ALONE);
        socklen_t bytes = name_of(family, i == 0 ? "127.0.0.1" : "::1", port_of(four), &name);
        CHECK_EQUAL(connect(one, &name.any, bytes), 0);
        struct pollfd entries[2] = {{.fd = four, .events = POLLIN}, {.fd = six, .events = POLLIN}};
        CHECK_EQUAL(poll(entries, 2, -1), 1);
        CHECK_EQUAL(entries[i].revents, POLLIN);
        CHECK_EQUAL(close(accept(entries[i].fd, NULL, NULL)), 0);
        CHECK_EQUAL(close(one), 0);
    }
    CHECK_EQUAL(close(four), 0);
    CHECK_EQUAL(close(six), 0);
}

static void shared_address(void)
{
    int a = make(FOUR, ADDRESS);
    int b = make(FOUR, ADDRESS);
    int c = make(FOUR, ALONE);
    CHECK_EQUAL(bind_to(a, FOUR, "127.0.0.1", 0), 0);
    CHECK_EQUAL(bind_to(b, FOUR, "127.0.0.1", port_of(a)), 0);
    CHECK_ERRNO(bind_to(c, FOUR, "127.0.0.1", port_of(a)), EADDRINUSE);
    CHECK_ERRNO(bind_to(c, FOUR, "0.0.0.0", port_of(a)), EADDRINUSE);
    CHECK_EQUAL(listen(a, 1), 0);
    CHECK_ERRNO(listen(b, 1), EADDRINUSE);
    CHECK_EQUAL(port_of(b), port_of(a));
    CHECK_EQUAL(close(a), 0);
    CHECK_EQUAL(listen(b, 1), 0);
    CHECK_EQUAL(close(b), 0);
    CHECK_EQUAL(close(c), 0);
}

/* The port of a listener that is gone, with a connection that it made. */
static void port_of_connections(void)
{
    int a = make(FOUR, ADDRESS);
    int one = make(FOUR, ALONE);
    CHECK_EQUAL(bind_to(a, FOUR, "127.0.0.1", 0), 0);
    int port = port_of(a);
    CHECK_EQUAL(listen(a, 1), 0);
    CHECK_EQUAL(join(one, port), 0);
    int other = accept(a, NULL, NULL);
    CHECK(other >= 0);
    CHECK_EQUAL(close(a), 0);
    a = make(FOUR, ALONE);
    int b = make(FOUR, ADDRESS);
    CHECK_ERRNO(bind_to(a, FOUR, "127.0.0.1", port), EADDRINUSE);
    CHECK_EQUAL(bind_to(b, FOUR, "127.0.0.1", port), 0);
    CHECK_EQUAL(listen(b, 1), 0);
    CHECK_EQUAL(close(a), 0);
    CHECK_EQUAL(close(b), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
}

/* What tells two connections apart is both their ends. */
static void both_ends(void)
{
    int server = make(FOUR, ALONE);
    int a = make(FOUR, ADDRESS);
    int b = make(FOUR, ADDRESS);
    CHECK_EQUAL(bind_to(server, FOUR, "127.0.0.1", 0), 0);
    CHECK_EQUAL(listen(server, 2), 0);
    CHECK_EQUAL(bind_to(a, FOUR, "127.0.0.1", 0), 0);
    CHECK_EQUAL(bind_to(b, FOUR, "127.0.0.1", port_of(a)), 0);
    CHECK_EQUAL(join(a, port_of(server)), 0);
    CHECK_ERRNO(join(b, port_of(server)), EADDRNOTAVAIL);
    CHECK_EQUAL(close(b), 0);
    CHECK_EQUAL(close(a), 0);
    CHECK_EQUAL(close(server), 0);
}

/* Connections to one of several listeners, each of which gets some. */
static void connect_all(const int *servers, int count, const char *text)
{
    int got[SHARERS] = {0};
    int port = port_of(servers[0]);
    for (int i = 0; i < CONNECTIONS; i++) {
        union name name;
        struct pollfd entries[SHARERS];
        int one = make(FOUR, ALONE);
        socklen_t bytes = name_of(FOUR, text, port, &name);
        CHECK_EQUAL(connect(one, &name.any, bytes), 0);
        for (int k = 0; k < count; k++) {
            entries[k] = (struct pollfd){.fd = servers[k], .events = POLLIN};
        }
        CHECK_EQUAL(poll(entries, (nfds_t)count, -1), 1);
        for (int k = 0; k < count; k++) {
            if (entries[k].revents != 0) {
                CHECK_EQUAL(close(accept(servers[k], NULL, NULL)), 0);
                got[k]++;
            }
        }
        CHECK_EQUAL(close(one), 0);
    }
    for (int k = 0; k < count; k++) {
        CHECK(got[k] > 0);
    }
}

static void share_port(const char *own)
{
    int servers[SHARERS];
    for (int i = 0; i < SHARERS; i++) {
        servers[i] = make(FOUR, PORT);
        CHECK_EQUAL(bind_to(servers[i], FOUR, own, i == 0 ? 0 : port_of(servers[0])), 0);
        CHECK_EQUAL(listen(servers[i], 16), 0);
    }
    int c = make(FOUR, ADDRESS);
    CHECK_ERRNO(bind_to(c, FOUR, own, port_of(servers[0])), EADDRINUSE);
    CHECK_EQUAL(close(c), 0);
    connect_all(servers, SHARERS, "127.0.0.1");
    CHECK_EQUAL(close(servers[SHARERS - 1]), 0);
    connect_all(servers, SHARERS - 1, "127.0.0.1");
    for (int i = 0; i < SHARERS - 1; i++) {
        CHECK_EQUAL(close(servers[i]), 0);
    }
}

static void shared_port(void)
{
    share_port("0.0.0.0");
    share_port("127.0.0.1");
}

/* Who listened alone is not joined, and does not join. */
static void shared_by_both_alone(void)
{
    int a = make(FOUR, ALONE);
    int b = make(FOUR, PORT);
    int on = 1;
    CHECK_EQUAL(bind_to(a, FOUR, "127.0.0.1", 0), 0);
    CHECK_ERRNO(bind_to(b, FOUR, "127.0.0.1", port_of(a)), EADDRINUSE);
    CHECK_EQUAL(setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    CHECK_EQUAL(bind_to(b, FOUR, "127.0.0.1", port_of(a)), 0);
    CHECK_EQUAL(listen(a, 1), 0);
    CHECK_EQUAL(listen(b, 1), 0);
    CHECK_EQUAL(close(a), 0);
    CHECK_EQUAL(close(b), 0);
}

/* A connection that is made soon; one to a listener without room is not. */
static int is_made_soon(int port)
{
    union name name;
    socklen_t bytes = name_of(FOUR, "127.0.0.1", port, &name);
    int made = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct pollfd polled = {.fd = made, .events = POLLOUT};
    int error = 0;
    socklen_t error_bytes = sizeof(error);
    CHECK(made >= 0);
    (void)connect(made, &name.any, bytes);
    int is_made = poll(&polled, 1, 200) > 0;
    CHECK_EQUAL(getsockopt(made, SOL_SOCKET, SO_ERROR, &error, &error_bytes), 0);
    CHECK_EQUAL(close(made), 0);
    return is_made && error == 0;
}

/* Who does not accept holds up those alone that come to it. */
static void full_one_among_others(void)
{
    int servers[SHARERS];
    int port = 0;
    for (int i = 0; i < SHARERS; i++) {
        servers[i] = make(FOUR, PORT);
        CHECK_EQUAL(bind_to(servers[i], FOUR, "127.0.0.1", port), 0);
        port = port_of(servers[i]);
        CHECK_EQUAL(fcntl(servers[i], F_SETFL, O_NONBLOCK), 0);
        CHECK_EQUAL(listen(servers[i], i == 0 ? 0 : CONNECTIONS), 0);
    }
    int made = 0;
    for (int i = 0; i < CONNECTIONS && made < CONNECTIONS / 4; i++) {
        made += is_made_soon(port);
        for (int k = 1; k < SHARERS; k++) {
            int taken = accept(servers[k], NULL, NULL);
            CHECK(taken < 0 || close(taken) == 0);
        }
    }
    CHECK_EQUAL(made, CONNECTIONS / 4);
    for (int i = 0; i < SHARERS; i++) {
        CHECK_EQUAL(close(servers[i]), 0);
    }
}

/* One connection: the server closes it first, and the client's end is gone when that has closed
 * too. */
static void open_and_close(int server, enum family family, int from, const char *text, int to)
{
    union name name;
    socklen_t bytes = name_of(family, text, to, &name);
    char byte;
    int client = make(family, ADDRESS);
    CHECK_EQUAL(bind_to(client, family, text, from), 0);
    CHECK_EQUAL(connect(client, &name.any, bytes), 0);
    int accepted = accept(server, NULL, NULL);
    CHECK_EQUAL(write(client, "x", 1), 1);
    CHECK_EQUAL(read(accepted, &byte, 1), 1);
    CHECK_EQUAL(close(accepted), 0);
    CHECK_EQUAL(read(client, &byte, 1), 0);
    CHECK_EQUAL(close(client), 0);
}

/* A server that closes first waits for the last words of its peer; that does not keep the peer from
 * opening the next connection from the same port. */
static void same_ends_again(void)
{
    static const char *const texts[] = {"127.0.0.1", "::1"};
    for (enum family family = FOUR; family <= SIX; family++) {
        const char *text = texts[family];
        int server = make(family, ADDRESS);
        int client = make(family, ADDRESS);
        CHECK_EQUAL(bind_to(server, family, text, 0), 0);
        CHECK_EQUAL(listen(server, 1), 0);
        CHECK_EQUAL(bind_to(client, family, text, 0), 0);
        int from = port_of(client);
        CHECK_EQUAL(close(client), 0);
        for (int i = 0; i < TIMES; i++) {
            open_and_close(server, family, from, text, port_of(server));
        }
        CHECK_EQUAL(close(server), 0);
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"families", families},
        {"served_by_family", served_by_family},
        {"shared_address", shared_address},
        {"port_of_connections", port_of_connections},
        {"both_ends", both_ends},
        {"shared_port", shared_port},
        {"shared_by_both_alone", shared_by_both_alone},
        {"full_one_among_others", full_one_among_others},
        {"same_ends_again", same_ends_again},
    };
    return CHECK_MAIN(cases);
}
