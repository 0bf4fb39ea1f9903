/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of an AF_UNIX socket is to others: to its peer, to who waits for its queue, to the
 * files in its messages; and changes of peers. Fault injection: --break CASE; --count N scales.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0800~1 ATL-LLR-NET-0801~1 ATL-LLR-NET-0802~1
 * @verifies ATL-LLR-NET-0803~1 ATL-LLR-NET-0804~1 ATL-LLR-NET-0805~1
 * @verifies ATL-LLR-NET-0806~1 ATL-LLR-NET-0807~1 */
#include "../waiting.h"

#include "sockets.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define DATAGRAM_SOCKETS 3
#define FILES_MAX 200

static const struct sockaddr nobody = {AF_UNSPEC, ""};
static volatile long call_result, call_error;

/* Datagram sockets with abstract names. */
static int made[DATAGRAM_SOCKETS];
static struct sockaddr_un names[DATAGRAM_SOCKETS];
static socklen_t name_bytes;

static void make_sockets(void)
{
    for (int i = 0; i < DATAGRAM_SOCKETS; i++) {
        memset(&names[i], 0, sizeof(names[i]));
        names[i].sun_family = AF_UNIX;
        int bytes = snprintf(names[i].sun_path + 1, 100, "ends-%d-%d", i, (int)getpid());
        name_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
        made[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
        CHECK_EQUAL(bind(made[i], (struct sockaddr *)&names[i], name_bytes), 0);
    }
}

static void close_sockets(int first)
{
    for (int i = first; i < DATAGRAM_SOCKETS; i++) {
        CHECK_EQUAL(close(made[i]), 0);
    }
}

static int turn_to(int self, int peer)
{
    return connect(made[self], (struct sockaddr *)&names[peer], name_bytes);
}

static void fill(int sender)
{
    while (send(sender, "fill", 4, MSG_DONTWAIT) == 4) {
    }
    CHECK_EQUAL(errno, EAGAIN);
}

/* The same peer once more, which has turned to another: a refusal that changes nothing. */
static void refused_again(void)
{
    make_sockets();
    CHECK_EQUAL(turn_to(0, 1), 0);
    CHECK_EQUAL(turn_to(1, 2), 0);
    CHECK_ERRNO(turn_to(0, 1), EPERM);
    struct sockaddr_un shown;
    socklen_t bytes = sizeof(shown);
    CHECK_EQUAL(getpeername(made[0], (struct sockaddr *)&shown, &bytes), 0);
    CHECK(bytes == name_bytes && memcmp(&shown, &names[1], bytes) == 0);
    CHECK_EQUAL(connect(made[1], &nobody, sizeof(nobody)), 0);
    CHECK_EQUAL(write(made[0], "x", 1), 1);
    close_sockets(0);
}

/* The reset of a stream comes behind its bytes, in a call of its own, unless that call waits. */
static void reset_behind_bytes(void)
{
    char bytes[100];
    for (int way = 0; way < 3; way++) {
        int flags = way == 2 ? MSG_WAITALL : way == 1 ? MSG_DONTWAIT : 0;
        make_pair(SOCK_STREAM);
        CHECK_EQUAL(write(pair[0], "0123456789", 10), 10);
        CHECK_EQUAL(write(pair[1], "x", 1), 1);
        CHECK_EQUAL(close(pair[0]), 0);
        CHECK_EQUAL(recv(pair[1], bytes, sizeof(bytes), flags), 10);
        if (way != 2) {
            CHECK_ERRNO(recv(pair[1], bytes, sizeof(bytes), flags), ECONNRESET);
        }
        CHECK_EQUAL(recv(pair[1], bytes, sizeof(bytes), flags), 0);
        CHECK_EQUAL(close(pair[1]), 0);
    }
}

/* A socket that has both messages and an error drops the ones and keeps the other. */
static void error_stays(void)
{
    char byte;
    make_sockets();
    CHECK_EQUAL(turn_to(0, 1), 0);
    CHECK_EQUAL(turn_to(1, 0), 0);
    CHECK_EQUAL(write(made[1], "x", 1), 1);
    CHECK_EQUAL(write(made[1], "y", 1), 1);
    CHECK_EQUAL(write(made[0], "z", 1), 1);
    CHECK_EQUAL(turn_to(1, 2), 0);
    CHECK_EQUAL(events_of(made[0]), POLLIN | POLLOUT | POLLERR);
    CHECK_EQUAL(connect(made[0], &nobody, sizeof(nobody)), 0);
    CHECK_EQUAL(events_of(made[0]), POLLOUT | POLLERR);
    CHECK_EQUAL(option_of(made[0], SO_ERROR), ECONNRESET);
    CHECK_ERRNO(recv(made[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
    close_sockets(0);
}

static int wait_events(int epoll)
{
    struct epoll_event event = {.events = 0};
    int count = epoll_wait(epoll, &event, 1, 0);
    CHECK(count >= 0);
    return count == 0 ? 0 : (int)event.events;
}

/* A full receiver closes: nobody has to wait for it any more, as all who watch are told. */
static void full_receiver_closes(void)
{
    for (int mode = 0; mode < 2; mode++) {
        struct epoll_event event = {.events = EPOLLOUT | (mode != 0 ? EPOLLET : 0)};
        int epoll = epoll_create1(0);
        make_sockets();
        CHECK_EQUAL(turn_to(1, 0), 0);
        fill(made[1]);
        CHECK_EQUAL(events_of(made[1]), 0);
        CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, made[1], &event), 0);
        CHECK_EQUAL(wait_events(epoll), 0);
        CHECK_EQUAL(close(made[0]), 0);
        CHECK_EQUAL(events_of(made[1]), POLLOUT);
        CHECK_EQUAL(wait_events(epoll), EPOLLOUT);
        CHECK_EQUAL(wait_events(epoll), mode != 0 ? 0 : EPOLLOUT);
        CHECK_ERRNO(write(made[1], "x", 1), ECONNREFUSED);
        CHECK_EQUAL(close(epoll), 0);
        close_sockets(1);
    }
}

/* What a receiver dropped lets who waits for its queue go on. */
static void full_receiver_turns(void)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
    int epoll = epoll_create1(0);
    make_sockets();
    CHECK_EQUAL(turn_to(0, 2), 0);
    CHECK_EQUAL(connect(made[0], &nobody, sizeof(nobody)), 0);
    CHECK_EQUAL(turn_to(1, 0), 0);
    CHECK_EQUAL(turn_to(2, 0), 0);
    fill(made[1]);
    CHECK_EQUAL(events_of(made[2]), 0);
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, made[2], &event), 0);
    CHECK_EQUAL(wait_events(epoll), 0);
    CHECK_EQUAL(turn_to(0, 2), 0); /* nobody was the peer before: all stays */
    CHECK_EQUAL(events_of(made[0]), POLLIN | POLLOUT);
    CHECK_EQUAL(connect(made[0], &nobody, sizeof(nobody)), 0);
    CHECK_EQUAL(events_of(made[0]), POLLOUT);
    CHECK_EQUAL(events_of(made[2]), POLLOUT | POLLERR);
    CHECK_EQUAL(wait_events(epoll), EPOLLOUT | EPOLLERR);
    CHECK_EQUAL(close(epoll), 0);
    close_sockets(0);
}

/* A datagram socket closes with messages in it: no error, until somebody sends. */
static void unread_datagrams(void)
{
    char byte;
    make_pair(SOCK_DGRAM);
    CHECK_EQUAL(write(pair[1], "unread", 6), 6);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_EQUAL(events_of(pair[1]), POLLOUT);
    CHECK_EQUAL(option_of(pair[1], SO_ERROR), 0);
    CHECK_ERRNO(recv(pair[1], &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(write(pair[1], "x", 1), ECONNREFUSED);
    CHECK_ERRNO(write(pair[1], "x", 1), ENOTCONN);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void *send_blocked(void *argument)
{
    check_pin(1);
    call_result = send(made[0], "late", 4, 0);
    call_error = errno;
    return argument;
}

/* Who waits for one peer and gets another meanwhile keeps that one when the first closes. */
static void peer_changes_meanwhile(void)
{
    char bytes[8];
    make_sockets();
    CHECK_EQUAL(turn_to(0, 1), 0);
    fill(made[0]);
    pthread_t thread = check_thread(send_blocked, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(turn_to(0, 2), 0);
    CHECK_EQUAL(close(made[1]), 0);
    check_join(thread);
    CHECK_EQUAL(call_result, -1);
    CHECK_EQUAL(call_error, ECONNRESET);
    CHECK_EQUAL(write(made[0], "still", 5), 5);
    CHECK_EQUAL(recv(made[2], bytes, 8, MSG_DONTWAIT), 5);
    CHECK_EQUAL(close(made[0]), 0);
    CHECK_EQUAL(close(made[2]), 0);
}

/* Without bytes to read: what is there is looked for all the same. */
static void nothing_wanted(void)
{
    char byte;
    make_pair(SOCK_STREAM);
    CHECK_ERRNO(recv(pair[1], &byte, 0, MSG_DONTWAIT), EAGAIN);
    CHECK_EQUAL(read(pair[1], &byte, 0), 0);
    CHECK_EQUAL(write(pair[0], "x", 1), 1);
    CHECK_EQUAL(recv(pair[1], &byte, 0, MSG_DONTWAIT), 0);
    CHECK_EQUAL(recv(pair[1], &byte, 1, MSG_DONTWAIT), 1);
    CHECK_EQUAL(shutdown(pair[0], SHUT_WR), 0);
    CHECK_EQUAL(recv(pair[1], &byte, 0, 0), 0);
    close_pair();
}

static int is_over;

static void send_files(int to, int file, int count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FILES_MAX * sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN((size_t)count * sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
    for (int i = 0; i < count; i++) {
        memcpy(control.bytes + CMSG_LEN((size_t)i * sizeof(int)), &file, sizeof(file));
    }
    CHECK_EQUAL(sendmsg(to, &message, 0), 1);
}

/* A socket with many files in its queue, which itself is in a message: that takes a while to close.
 */
static int make_parcel(void)
{
    int ends[2];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    for (int i = 0; i < 30; i++) {
        send_files(ends[0], STDERR_FILENO, FILES_MAX);
    }
    CHECK_EQUAL(close(ends[0]), 0);
    return ends[1];
}

static void *close_parcels(void *core)
{
    int ends[2];
    check_pin((int)(intptr_t)core);
    for (long i = 0; i < check_count(100); i++) {
        int parcel = make_parcel();
        CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        send_files(ends[0], parcel, 1);
        CHECK_EQUAL(close(parcel), 0);
        CHECK_EQUAL(close(ends[0]), 0);
        CHECK_EQUAL(close(ends[1]), 0);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* A close of a socket has closed the files in its messages when it returns, whatever others close
 * meanwhile. */
static void *close_with_file(void *core)
{
    int ends[2], pipe_ends[2];
    char byte;
    check_pin((int)(intptr_t)core);
    while (__atomic_load_n(&is_over, __ATOMIC_RELAXED) == 0) {
        CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        CHECK_EQUAL(pipe2(pipe_ends, O_NONBLOCK), 0);
        send_files(ends[0], pipe_ends[1], 1);
        CHECK_EQUAL(close(pipe_ends[1]), 0);
        CHECK_EQUAL(close(ends[1]), 0);
        CHECK_EQUAL(read(pipe_ends[0], &byte, 1), 0);
        CHECK_EQUAL(close(pipe_ends[0]), 0);
        CHECK_EQUAL(close(ends[0]), 0);
    }
    return NULL;
}

static void files_close_at_once(void)
{
    is_over = 0;
    pthread_t parcels = check_thread(close_parcels, (void *)0);
    pthread_t files = check_thread(close_with_file, (void *)1);
    check_join(parcels);
    check_join(files);
}

/* Files in messages count as what they take: a queue of them does not grow beyond the account. */
static void files_are_charged(void)
{
    int count = 0, used;
    make_pair(SOCK_STREAM);
    send_files(pair[0], STDERR_FILENO, 1);
    CHECK_EQUAL(ioctl(pair[0], TIOCOUTQ, &used), 0);
    CHECK(used > 0);
    CHECK_EQUAL(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    while (count < 2000 && (events_of(pair[0]) & POLLOUT) != 0) {
        send_files(pair[0], STDERR_FILENO, FILES_MAX);
        count++;
    }
    CHECK(count < 100);
    close_pair();
}

static void send_credentials(int to)
{
    struct ucred own = {getpid(), getuid(), getgid()};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(own))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(own)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_CREDENTIALS}};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    memcpy(CMSG_DATA(&control.header), &own, sizeof(own));
    CHECK_EQUAL(sendmsg(to, &message, 0), 1);
}

static pthread_t first_thread;

static void *outlive_first(void *argument)
{
    make_pair(SOCK_DGRAM);
    CHECK_EQUAL(pthread_join(first_thread, NULL), 0);
    while (threads_state(getpid()) != 'Z' && threads_state(getpid()) != 0) {
        sched_yield(); /* it is going, not gone */
    }
    send_credentials(pair[0]);
    close_pair();
    printf("ok process_outlives_thread\nall ok\n");
    exit(0);
    return argument;
}

/* The last case: the process is there, and may be named, when its first thread has ended. */
static void process_outlives_thread(void)
{
    first_thread = pthread_self();
    (void)check_thread(outlive_first, NULL);
    pthread_exit(NULL);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"refused_again", refused_again},
        {"reset_behind_bytes", reset_behind_bytes},
        {"error_stays", error_stays},
        {"full_receiver_closes", full_receiver_closes},
        {"full_receiver_turns", full_receiver_turns},
        {"unread_datagrams", unread_datagrams},
        {"peer_changes_meanwhile", peer_changes_meanwhile},
        {"nothing_wanted", nothing_wanted},
        {"files_close_at_once", files_close_at_once},
        {"files_are_charged", files_are_charged},
        {"process_outlives_thread", process_outlives_thread},
    };
    return CHECK_MAIN(cases);
}
