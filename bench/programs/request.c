/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the web server of apps/http by the loopback, with both ends on one core: everything
 * between the two calls of a client, and no device, whose pace is the host's. */
#define _GNU_SOURCE
#include "bench.h"
#define main http_main
#include "../../apps/http/http.c"
#undef main
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>

#define PORT 8080
#define WARM_UP 100
#define REQUESTS 2000
#define ASKED "GET /hello HTTP/1.1\r\nHost: guest\r\n\r\n"
#define BODY "\r\n\r\nHello from core 0 of Atoll.\n"
#define ANSWER_BYTES_MAX 512

enum section { REQUEST };

/* A Linux guest has a loopback that is down. */
static void raise_loopback(void)
{
    struct ifreq interface = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int any = socket(AF_INET, SOCK_DGRAM, 0);
    if (any >= 0) {
        ioctl(any, SIOCSIFFLAGS, &interface);
        close(any);
    }
}

static int connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof(address)) != 0) {
        stop("connect");
    }
    return client;
}

static void ask(int client, int count)
{
    for (int i = 0; i < count; i++) {
        char answer[ANSWER_BYTES_MAX];
        ssize_t bytes = write(client, ASKED, sizeof(ASKED) - 1) < 0
                            ? -1
                            : read(client, answer, sizeof(answer) - 1);
        answer[bytes < 0 ? 0 : bytes] = '\0';
        if (strstr(answer, BODY) == NULL) {
            stop("no whole answer");
        }
    }
}

int main(void)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first) != 0) {
        stop("sched_setaffinity");
    }
    raise_loopback();
    port = PORT;
    start_threads();
    int client = connected();
    ask(client, WARM_UP);
    BENCH_BEGIN(REQUEST);
    ask(client, REQUESTS);
    BENCH_END(REQUEST);
    bench_section(REQUEST, REQUESTS, "HTTP request by the loopback, one core");
    return 0;
}
