/* SPDX-License-Identifier: Apache-2.0 */
/* TCP over the loopback: closing with SO_LINGER and a time, TCP_INFO, TCP_CONGESTION.
 * Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0900~1 ATL-LLR-POSIX-1031~1 ATL-LLR-POSIX-1032~1 */
#include "check.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define MS_PER_S 1000
#define NS_PER_MS 1000000

static int listener(struct sockaddr_in *address)
{
    socklen_t bytes = sizeof(*address);
    int made = socket(AF_INET, SOCK_STREAM, 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQUAL(bind(made, (struct sockaddr *)address, bytes), 0);
    CHECK_EQUAL(listen(made, 16), 0);
    CHECK_EQUAL(getsockname(made, (struct sockaddr *)address, &bytes), 0);
    return made;
}

/* A connection whose second end is accepted. */
static void pair(int ends[2])
{
    struct sockaddr_in address;
    int server = listener(&address);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(connect(ends[0], (struct sockaddr *)&address, sizeof(address)), 0);
    ends[1] = accept(server, NULL, NULL);
    CHECK(ends[1] >= 0);
    CHECK_EQUAL(close(server), 0);
}

static void set_linger(int end, int seconds)
{
    struct linger linger = {1, seconds};
    CHECK_EQUAL(setsockopt(end, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

static long now_ms(void)
{
    struct timespec now;
    CHECK_EQUAL(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return now.tv_sec * MS_PER_S + now.tv_nsec / NS_PER_MS;
}

/* Sends until neither end has room. */
static long fill(int end)
{
    static char piece[65536];
    struct pollfd entry = {.fd = end, .events = POLLOUT};
    long sent = 0, part;
    do {
        while ((part = send(end, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
            sent += part;
        }
        CHECK(part < 0 && errno == EAGAIN);
    } while (poll(&entry, 1, 100) == 1);
    return sent;
}

static long drain(int end)
{
    static char piece[65536];
    long got = 0, part;
    while ((part = recv(end, piece, sizeof(piece), 0)) > 0) {
        got += part;
    }
    CHECK_EQUAL(part, 0);
    return got;
}

static void *read_all(void *argument)
{
    return (void *)drain(*(const int *)argument);
}

/* The peer reads nothing: close waits as long as it was told, and what was sent arrives all the
 * same. */
static void linger_ends(void)
{
    int ends[2];
    pair(ends);
    long sent = fill(ends[0]);
    set_linger(ends[0], 1);
    long before = now_ms();
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK(now_ms() - before >= MS_PER_S - 10);
    CHECK_EQUAL(drain(ends[1]), sent);
    CHECK_EQUAL(close(ends[1]), 0);
}

static volatile int is_closed;

static void *close_it(void *argument)
{
    CHECK_EQUAL(close(*(const int *)argument), 0);
    is_closed = 1;
    return NULL;
}

/* The peer reads late: close is not done before. Nothing waits without bytes, or with a reset. */
static void linger_waits(void)
{
    struct timespec pause = {0, 200 * NS_PER_MS};
    int ends[2];
    pair(ends);
    set_linger(ends[0], 3600);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(close(ends[1]), 0);
    pair(ends);
    long sent = fill(ends[0]);
    set_linger(ends[0], 3600);
    is_closed = 0;
    pthread_t closer = check_thread(close_it, &ends[0]);
    CHECK_EQUAL(nanosleep(&pause, NULL), 0);
    CHECK(!is_closed);
    pthread_t reader = check_thread(read_all, &ends[1]);
    check_join(closer);
    CHECK_EQUAL((long)check_join(reader), sent);
    CHECK_EQUAL(close(ends[1]), 0);
    pair(ends);
    (void)fill(ends[0]);
    CHECK_EQUAL(send(ends[1], "x", 1, 0), 1);
    set_linger(ends[0], 3600);
    CHECK_EQUAL(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, -1), 1);
    CHECK_EQUAL(close(ends[0]), 0); /* over what was not read: a reset */
    CHECK_EQUAL(close(ends[1]), 0);
}

static struct tcp_info info_of(int end)
{
    struct tcp_info info;
    socklen_t bytes = sizeof(info);
    memset(&info, 0xa5, sizeof(info));
    CHECK_EQUAL(getsockopt(end, IPPROTO_TCP, TCP_INFO, &info, &bytes), 0);
    CHECK(bytes >= offsetof(struct tcp_info, tcpi_total_retrans) + 4);
    return info;
}

static void information(void)
{
    enum { ESTABLISHED = 1, CLOSED = 7, CLOSE_WAIT = 8, LISTENING = 10 };
    struct sockaddr_in address;
    struct tcp_info info;
    socklen_t bytes = 1;
    unsigned char state = 0;
    int ends[2], fresh = socket(AF_INET, SOCK_STREAM, 0), server = listener(&address);
    CHECK_EQUAL(info_of(fresh).tcpi_state, CLOSED);
    CHECK_EQUAL(info_of(server).tcpi_state, LISTENING);
    CHECK_EQUAL(info_of(server).tcpi_unacked, 0);
    CHECK_EQUAL(connect(fresh, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_EQUAL(poll(&(struct pollfd){.fd = server, .events = POLLIN}, 1, -1), 1);
    CHECK_EQUAL(info_of(server).tcpi_unacked, 1); /* to be accepted */
    pair(ends);
    info = info_of(ends[0]);
    CHECK_EQUAL(info.tcpi_state, ESTABLISHED);
    CHECK(info.tcpi_options & TCPI_OPT_SACK && info.tcpi_options & TCPI_OPT_WSCALE);
    CHECK(info.tcpi_snd_mss >= 536 && info.tcpi_snd_cwnd >= 1 &&
          info.tcpi_pmtu >= info.tcpi_snd_mss);
    CHECK(info.tcpi_rto != 0 && info.tcpi_unacked == 0 && info.tcpi_total_retrans == 0);
    CHECK_EQUAL(getsockopt(ends[0], IPPROTO_TCP, TCP_INFO, &state, &bytes), 0);
    CHECK(bytes == 1 && state == ESTABLISHED); /* as much as fits */
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(poll(&(struct pollfd){.fd = ends[1], .events = POLLRDHUP}, 1, -1), 1);
    CHECK_EQUAL(info_of(ends[1]).tcpi_state, CLOSE_WAIT);
    CHECK_EQUAL(close(ends[1]), 0);
    CHECK_EQUAL(close(fresh), 0);
    CHECK_EQUAL(close(server), 0);
}

static void congestion(void)
{
    char name[32] = "";
    socklen_t bytes = sizeof(name);
    int end = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(setsockopt(end, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    CHECK_EQUAL(getsockopt(end, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
    CHECK_EQUAL(bytes, 16);
    CHECK(strcmp(name, "reno") == 0);
    CHECK_ERRNO(setsockopt(end, IPPROTO_TCP, TCP_CONGESTION, "nothing", 7), ENOENT);
    CHECK_ERRNO(setsockopt(end, IPPROTO_TCP, TCP_CONGESTION, "", 0), EINVAL);
    bytes = 2;
    CHECK_EQUAL(getsockopt(end, IPPROTO_TCP, TCP_CONGESTION, name, &bytes), 0);
    CHECK_EQUAL(bytes, 2);
    CHECK_EQUAL(close(end), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"linger_ends", linger_ends},
        {"linger_waits", linger_waits},
        {"information", information},
        {"congestion", congestion},
    };
    return CHECK_MAIN(cases);
}
