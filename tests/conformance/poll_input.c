/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for standard input, which is a pipe: epoll and poll wake when input comes, from a thread
 * of another core too, and see the end.
 *
 * @verifies ATL-HLR-CONF-0030~1 ATL-LLR-EVENT-0011~2 */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>

#define INPUT_BYTES_MIN 60

static long total;

static void wait_with_epoll(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = 5}};
    char byte = 0;
    int set = epoll_create1(0);
    CHECK_EQUAL(epoll_ctl(set, EPOLL_CTL_ADD, STDIN_FILENO, &event), 0);
    CHECK_EQUAL(epoll_wait(set, &event, 1, -1), 1);
    CHECK_EQUAL(event.data.u64, 5);
    CHECK((event.events & EPOLLIN) != 0);
    while (byte != '\n') {
        CHECK_EQUAL(read(STDIN_FILENO, &byte, 1), 1);
        total++;
    }
    CHECK_EQUAL(close(set), 0);
}

static void *read_to_the_end(void *argument)
{
    check_pin(1);
    for (;;) {
        struct pollfd one = {STDIN_FILENO, POLLIN, 0};
        char bytes[7];
        CHECK_EQUAL(poll(&one, 1, -1), 1);
        ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));
        CHECK(got >= 0);
        if (got == 0) {
            CHECK_EQUAL(one.revents, POLLHUP);
            return argument;
        }
        CHECK((one.revents & POLLIN) != 0);
        total += got;
    }
}

static void wait_with_poll(void)
{
    check_join(check_thread(read_to_the_end, NULL));
    CHECK(total >= INPUT_BYTES_MIN);
}

static void output_is_ready(void)
{
    struct pollfd both[2] = {{STDOUT_FILENO, POLLOUT | POLLIN, 0}, {STDIN_FILENO, POLLOUT, 0}};
    int count = poll(both, 2, 0);
    CHECK(count == 1 || count == 2); /* standard input may have hung up */
    CHECK_EQUAL(both[0].revents, POLLOUT);
    CHECK((both[1].revents & ~POLLHUP) == 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"output_is_ready", output_is_ready},
        {"wait_with_epoll", wait_with_epoll},
        {"wait_with_poll", wait_with_poll},
    };
    return CHECK_MAIN(cases);
}
