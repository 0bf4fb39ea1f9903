/* SPDX-License-Identifier: Apache-2.0 */
/* Threads on all cores that listen on one port of TCP by SO_REUSEPORT: each gets connections, and
 * they go on when others begin and end to listen. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-POSIX-0980~1 ATL-LLR-POSIX-0981~1 ATL-LLR-POSIX-0982~1
 * @robust */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define SERVERS 4
#define CLIENTS 64

static int port; /* of the listeners; 0: the next one chooses it */

static struct sockaddr_in name_of(uint32_t address)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(address)};
}

static int make(int is_sharing)
{
    int made = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(made >= 0);
    CHECK_EQUAL(setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &is_sharing, sizeof(is_sharing)), 0);
    return made;
}

/* A listener of the core. */
static int serve_at(int core, uint32_t address)
{
    check_pin(core);
    int made = make(1);
    struct sockaddr_in name = name_of(address);
    socklen_t bytes = sizeof(name);
    CHECK_EQUAL(bind(made, (struct sockaddr *)&name, bytes), 0);
    CHECK_EQUAL(getsockname(made, (struct sockaddr *)&name, &bytes), 0);
    port = ntohs(name.sin_port);
    CHECK_EQUAL(listen(made, CLIENTS), 0);
    return made;
}

static int join(void)
{
    int made = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = name_of(INADDR_LOOPBACK);
    CHECK(made >= 0);
    CHECK_EQUAL(connect(made, (struct sockaddr *)&name, sizeof(name)), 0);
    return made;
}

/* Which of the listeners has the next connection. */
static int next_of(const int *servers, int count)
{
    struct pollfd polled[SERVERS];
    for (int i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = servers[i], .events = POLLIN};
    }
    CHECK(poll(polled, (nfds_t)count, -1) > 0);
    for (int i = 0; i < count; i++) {
        if (polled[i].revents == POLLIN) {
            return i;
        }
    }
    CHECK(!"one of them is ready");
    return -1;
}

/* A byte there and one back. */
static void talk(int one, int other)
{
    char byte = 'x';
    CHECK_EQUAL(write(one, &byte, 1), 1);
    CHECK_EQUAL(read(other, &byte, 1), 1);
    CHECK_EQUAL(write(other, &byte, 1), 1);
    CHECK_EQUAL(read(one, &byte, 1), 1);
}

struct pair {
    int client, served;
};

static struct pair connect_one(const int *servers, int count, int *which)
{
    struct pair pair = {.client = join()};
    *which = next_of(servers, count);
    pair.served = accept(servers[*which], NULL, NULL);
    CHECK(pair.served >= 0);
    talk(pair.client, pair.served);
    return pair;
}

static void part(struct pair pair)
{
    CHECK_EQUAL(close(pair.client), 0);
    char byte;
    CHECK_EQUAL(read(pair.served, &byte, 1), 0);
    CHECK_EQUAL(close(pair.served), 0);
}

static void everybody_serves(void)
{
    int servers[SERVERS], served[SERVERS] = {0}, which;
    struct pair pairs[CLIENTS];
    port = 0;
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = serve_at(i, INADDR_ANY);
    }
    for (int i = 0; i < CLIENTS; i++) {
        check_pin(i);
        pairs[i] = connect_one(servers, SERVERS, &which);
        served[which]++;
    }
    for (int i = 0; i < CLIENTS; i++) {
        talk(pairs[i].client, pairs[i].served);
        part(pairs[i]);
    }
    for (int i = 0; i < SERVERS; i++) {
        CHECK(served[i] > 0);
        CHECK_EQUAL(close(servers[i]), 0);
    }
}

static void connections_go_on_when_listeners_come_and_go(void)
{
    int servers[SERVERS], which;
    struct pair pairs[3 * CLIENTS];
    int count = 0;
    port = 0;
    servers[0] = serve_at(1, INADDR_ANY);
    for (int i = 0; i < CLIENTS; i++) {
        pairs[count++] = connect_one(servers, 1, &which);
    }
    for (int i = 1; i < SERVERS; i++) {
        servers[i] = serve_at(i + 1, INADDR_ANY);
    }
    for (int i = 0; i < CLIENTS; i++) {
        talk(pairs[i].client, pairs[i].served);
        pairs[count++] = connect_one(servers, SERVERS, &which);
    }
    CHECK_EQUAL(close(servers[0]), 0);
    CHECK_EQUAL(close(servers[1]), 0);
    for (int i = 0; i < CLIENTS; i++) {
        pairs[count++] = connect_one(servers + 2, SERVERS - 2, &which);
    }
    for (int i = 0; i < count; i++) {
        talk(pairs[i].client, pairs[i].served);
        part(pairs[i]);
    }
    CHECK_EQUAL(close(servers[2]), 0);
    CHECK_EQUAL(close(servers[3]), 0);
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in name = name_of(INADDR_LOOPBACK);
    CHECK_ERRNO(connect(refused, (struct sockaddr *)&name, sizeof(name)), ECONNREFUSED);
    CHECK_EQUAL(close(refused), 0);
}

/* Who listens on another address of the same port gets nothing of it. */
static void addresses_are_kept_apart(void)
{
    int servers[2], which;
    port = 0;
    servers[0] = serve_at(0, INADDR_LOOPBACK);
    int other = make(1), on = 1;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    CHECK_EQUAL(close(other), 0);
    check_pin(1);
    other = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK_EQUAL(setsockopt(other, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    CHECK_EQUAL(setsockopt(other, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
    CHECK_EQUAL(bind(other, (struct sockaddr *)&six, sizeof(six)), 0);
    CHECK_EQUAL(listen(other, CLIENTS), 0);
    servers[1] = other;
    for (int i = 0; i < CLIENTS; i++) {
        struct pair pair = connect_one(servers, 2, &which);
        CHECK_EQUAL(which, 0);
        part(pair);
    }
    CHECK_EQUAL(close(servers[0]), 0);
    CHECK_EQUAL(close(other), 0);
}

/* The port is one for all cores. */
static void conflicts_are_seen(void)
{
    int servers[2], alone = make(0);
    port = 0;
    servers[0] = serve_at(0, INADDR_ANY);
    servers[1] = serve_at(1, INADDR_ANY);
    struct sockaddr_in name = name_of(INADDR_ANY);
    for (int i = 0; i < 2; i++) {
        check_pin(1 - i);
        CHECK_ERRNO(bind(alone, (struct sockaddr *)&name, sizeof(name)), EADDRINUSE);
        CHECK_EQUAL(close(servers[i]), 0);
    }
    CHECK_EQUAL(bind(alone, (struct sockaddr *)&name, sizeof(name)), 0);
    CHECK_EQUAL(listen(alone, 1), 0);
    int which;
    part(connect_one(&alone, 1, &which));
    CHECK_EQUAL(close(alone), 0);
}

/* Accepts who is in the line of a listener until each client is served or reset; how many are
 * reset. Whose connection was not yet in a line is told of its end later. */
static int count_resets(const int *waiting, int server)
{
    struct pollfd polled[CLIENTS + 1];
    int left = CLIENTS, reset = 0;
    for (int i = 0; i <= CLIENTS; i++) {
        polled[i] = (struct pollfd){.fd = i < CLIENTS ? waiting[i] : server, .events = POLLIN};
    }
    while (left > 0) {
        CHECK(poll(polled, CLIENTS + 1, -1) > 0);
        if (polled[CLIENTS].revents != 0) {
            CHECK_EQUAL(close(accept(server, NULL, NULL)), 0);
        }
        for (int i = 0; i < CLIENTS; i++) {
            char byte;
            if (polled[i].revents != 0) {
                long result = read(waiting[i], &byte, 1);
                CHECK(result == 0 || (result < 0 && errno == ECONNRESET));
                reset += result != 0;
                polled[i].fd = -1;
                left--;
            }
        }
    }
    return reset;
}

/* A listener that ends takes along who waits in its line; one that is shut listens again. */
static void who_waits_is_told(void)
{
    int servers[2], which, waiting[CLIENTS];
    port = 0;
    servers[0] = serve_at(0, INADDR_ANY);
    servers[1] = serve_at(1, INADDR_ANY);
    for (int i = 0; i < CLIENTS; i++) {
        waiting[i] = join();
    }
    CHECK_EQUAL(shutdown(servers[1], SHUT_RD), 0);
    int reset = count_resets(waiting, servers[0]);
    CHECK(reset > 0 && reset < CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQUAL(close(waiting[i]), 0);
    }
    CHECK_EQUAL(listen(servers[1], CLIENTS), 0);
    int served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        part(connect_one(servers, 2, &which));
        served += which;
    }
    CHECK(served > 0 && served < CLIENTS);
    CHECK_EQUAL(close(servers[0]), 0);
    CHECK_EQUAL(close(servers[1]), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"everybody_serves", everybody_serves},
        {"connections_go_on_when_listeners_come_and_go",
         connections_go_on_when_listeners_come_and_go},
        {"addresses_are_kept_apart", addresses_are_kept_apart},
        {"conflicts_are_seen", conflicts_are_seen},
        {"who_waits_is_told", who_waits_is_told},
    };
    return CHECK_MAIN(cases);
}
