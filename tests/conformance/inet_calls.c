/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that others make seldom, on TCP and UDP over the loopback: several datagrams at once, a
 * file into a connection, sending that gives up in time, listeners of several epolls. Fault
 * injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0920~1 */
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>

#define DATAGRAMS 5
#define FILE_BYTES 300000

static int bound(int type, struct sockaddr_in *address)
{
    socklen_t bytes = sizeof(*address);
    int made = socket(AF_INET, type, 0);
    CHECK(made >= 0);
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_EQUAL(bind(made, (struct sockaddr *)address, sizeof(*address)), 0);
    CHECK_EQUAL(getsockname(made, (struct sockaddr *)address, &bytes), 0);
    return made;
}

static int connected_to(const struct sockaddr_in *address)
{
    int made = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQUAL(connect(made, (const struct sockaddr *)address, sizeof(*address)), 0);
    return made;
}

/* Two ends of a connection. */
static void pair(int ends[2])
{
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address);
    CHECK_EQUAL(listen(listener, 1), 0);
    ends[0] = connected_to(&address);
    ends[1] = accept(listener, NULL, NULL);
    CHECK(ends[1] >= 0);
    CHECK_EQUAL(close(listener), 0);
}

static void several_datagrams(void)
{
    struct sockaddr_in address;
    int receiver = bound(SOCK_DGRAM, &address);
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    char texts[DATAGRAMS][8], got[DATAGRAMS + 1][8];
    struct iovec parts[DATAGRAMS + 1];
    struct mmsghdr messages[DATAGRAMS + 1] = {0};
    for (int i = 0; i < DATAGRAMS; i++) {
        parts[i] = (struct iovec){
            texts[i], (size_t)snprintf(texts[i], sizeof(texts[i]), "%.*s", i + 1, "abcdef")};
        messages[i].msg_hdr = (struct msghdr){&address, sizeof(address), &parts[i], 1, NULL, 0, 0};
    }
    CHECK_EQUAL(sendmmsg(sender, messages, DATAGRAMS, 0), DATAGRAMS);
    for (int i = 0; i <= DATAGRAMS; i++) {
        CHECK(i == DATAGRAMS || messages[i].msg_len == (unsigned)i + 1);
        parts[i] = (struct iovec){got[i], sizeof(got[i])};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    }
    CHECK_EQUAL(recvmmsg(receiver, messages, DATAGRAMS + 1, MSG_WAITFORONE, NULL), DATAGRAMS);
    for (int i = 0; i < DATAGRAMS; i++) {
        CHECK_EQUAL(messages[i].msg_len, i + 1);
        CHECK_EQUAL(memcmp(got[i], texts[i], (size_t)i + 1), 0);
    }
    CHECK_ERRNO(recvmmsg(receiver, messages, 1, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_EQUAL(close(receiver), 0);
    CHECK_EQUAL(close(sender), 0);
}

static unsigned char byte_at(long place)
{
    return (unsigned char)(place * 7 + (place >> 8));
}

static void *send_file(void *argument)
{
    int *ends = argument;
    off_t offset = 1000;
    while (offset < FILE_BYTES) {
        CHECK(sendfile(ends[0], ends[1], &offset, FILE_BYTES) > 0);
    }
    CHECK_EQUAL(sendfile(ends[0], ends[1], &offset, FILE_BYTES), 0);
    CHECK_EQUAL(shutdown(ends[0], SHUT_WR), 0);
    return NULL;
}

static void sent_file(void)
{
    int ends[2];
    pair(ends);
    int file = memfd_create("sent", 0);
    for (long place = 0; place < FILE_BYTES; place += 1000) {
        unsigned char bytes[1000];
        for (long i = 0; i < 1000; i++) {
            bytes[i] = byte_at(place + i);
        }
        CHECK_EQUAL(write(file, bytes, sizeof(bytes)), 1000);
    }
    CHECK_EQUAL(lseek(file, 5, SEEK_SET), 5);
    int sends[2] = {ends[0], file};
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, send_file, sends), 0);
    unsigned char bytes[4096];
    long place = 1000, got;
    while ((got = recv(ends[1], bytes, sizeof(bytes), 0)) > 0) {
        for (long i = 0; i < got; i++) {
            CHECK(bytes[i] == byte_at(place + i));
        }
        place += got;
    }
    CHECK_EQUAL(place, FILE_BYTES);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK_EQUAL(lseek(file, 0, SEEK_CUR), 5);
    CHECK_ERRNO(sendfile(file, ends[1], NULL, 1), EINVAL);
    close(file);
    close(ends[0]);
    close(ends[1]);
}

/* Nobody reads: it sends what there is room for, and then nothing. */
static void gives_up_sending(void)
{
    static char bytes[1 << 20];
    const struct timeval limit = {.tv_usec = 50000};
    int ends[2];
    pair(ends);
    CHECK_EQUAL(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
    long sent = 0, done;
    while ((done = send(ends[0], bytes, sizeof(bytes), 0)) > 0) {
        sent += done;
    }
    CHECK(sent > 0);
    CHECK_EQUAL(done, -1);
    CHECK_EQUAL(errno, EAGAIN);
    while (sent > 0 && (done = recv(ends[1], bytes, sizeof(bytes), 0)) > 0) {
        sent -= done;
    }
    CHECK_EQUAL(sent, 0);
    CHECK_EQUAL(send(ends[0], "x", 1, 0), 1);
    close(ends[0]);
    close(ends[1]);
}

static void exclusive_listeners(void)
{
    struct sockaddr_in address;
    int listener = bound(SOCK_STREAM, &address);
    CHECK_EQUAL(listen(listener, 4), 0);
    int epolls[2];
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    for (int i = 0; i < 2; i++) {
        epolls[i] = epoll_create1(0);
        CHECK_EQUAL(epoll_ctl(epolls[i], EPOLL_CTL_ADD, listener, &event), 0);
        CHECK_EQUAL(epoll_wait(epolls[i], &event, 1, 0), 0);
        event = (struct epoll_event){.events = EPOLLIN | EPOLLEXCLUSIVE};
    }
    CHECK_ERRNO(epoll_ctl(epolls[0], EPOLL_CTL_MOD, listener, &event), EINVAL);
    int peer = connected_to(&address);
    int woken = 0;
    for (int i = 0; i < 2; i++) {
        woken += epoll_wait(epolls[i], &event, 1, i == 0 ? 1000 : 0);
    }
    CHECK(woken >= 1);
    int accepted = accept(listener, NULL, NULL);
    CHECK(accepted >= 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(epoll_wait(epolls[i], &event, 1, 0), 0);
        close(epolls[i]);
    }
    close(accepted);
    close(peer);
    close(listener);
}

static void selected(void)
{
    struct timeval soon = {.tv_sec = 0}, late = {.tv_sec = 60};
    int ends[2];
    pair(ends);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(ends[1], &readable);
    CHECK_EQUAL(select(ends[1] + 1, &readable, NULL, NULL, &soon), 0);
    CHECK_EQUAL(send(ends[0], "x", 1, 0), 1);
    FD_SET(ends[1], &readable);
    CHECK_EQUAL(select(ends[1] + 1, &readable, NULL, NULL, &late), 1);
    CHECK(FD_ISSET(ends[1], &readable));
    FD_SET(ends[0], &writable);
    CHECK_EQUAL(
        select((ends[0] > ends[1] ? ends[0] : ends[1]) + 1, &readable, &writable, NULL, &late), 2);
    close(ends[0]);
    close(ends[1]);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"several_datagrams", several_datagrams},
        {"sent_file", sent_file},
        {"gives_up_sending", gives_up_sending},
        {"exclusive_listeners", exclusive_listeners},
        {"selected", selected},
    };
    return CHECK_MAIN(cases);
}
