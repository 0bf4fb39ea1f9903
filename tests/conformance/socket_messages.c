/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of AF_UNIX sockets: datagrams and packets, their ends and errors, sendmsg and recvmsg
 * with vectors and control data (files, credentials), many messages at once. Fault injection:
 * --break CASE.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0706~1 ATL-LLR-NET-0707~1 ATL-LLR-NET-0708~1
 * @verifies ATL-LLR-NET-0710~1 ATL-LLR-NET-0713~1 ATL-LLR-NET-0714~1
 * @verifies ATL-LLR-NET-0711~1 @robust
 * @verifies ATL-LLR-NET-0720~1 ATL-LLR-NET-0721~1 */
#include "../waiting.h"

#include "sockets.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static volatile long call_result, call_error;

/* An abstract address; its length. */
static socklen_t make_address(struct sockaddr_un *address, const char *name)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    int bytes = snprintf(address->sun_path + 1, 100, "%s-%d", name, (int)getpid());
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
}

static int bound(const char *name, struct sockaddr_un *address, socklen_t *bytes)
{
    int made = socket(AF_UNIX, SOCK_DGRAM, 0);
    *bytes = make_address(address, name);
    CHECK_EQUAL(bind(made, (struct sockaddr *)address, *bytes), 0);
    return made;
}

static void datagrams(void)
{
    struct sockaddr_un name, from;
    socklen_t bytes, from_bytes = sizeof(from);
    char buffer[16];
    int receiver = bound("datagrams", &name, &bytes);
    int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    const struct sockaddr *to = (struct sockaddr *)&name;
    CHECK_ERRNO(send(sender, "x", 1, 0), ENOTCONN);
    CHECK_EQUAL(sendto(sender, "one", 3, 0, to, bytes), 3);
    CHECK_EQUAL(sendto(sender, "second", 6, 0, to, bytes), 6);
    CHECK_EQUAL(sendto(sender, "", 0, 0, to, bytes), 0);
    CHECK_EQUAL(recvfrom(receiver, buffer, 16, 0, (struct sockaddr *)&from, &from_bytes), 3);
    CHECK_EQUAL(from_bytes, 0); /* the sender has no name */
    CHECK_EQUAL(recv(receiver, buffer, 2, MSG_PEEK), 2);
    CHECK_EQUAL(recv(receiver, buffer, 2, MSG_PEEK | MSG_TRUNC), 6);
    CHECK_EQUAL(recv(receiver, buffer, 2, MSG_TRUNC), 6); /* the rest is gone */
    CHECK_EQUAL(recv(receiver, buffer, 16, 0), 0);        /* an empty message */
    CHECK_ERRNO(recv(receiver, buffer, 16, MSG_DONTWAIT), EAGAIN);
    struct sockaddr_un own;
    socklen_t own_bytes = make_address(&own, "sender");
    CHECK_EQUAL(bind(sender, (struct sockaddr *)&own, own_bytes), 0);
    CHECK_EQUAL(connect(sender, to, bytes), 0);
    CHECK_EQUAL(write(sender, "abc", 3), 3);
    from_bytes = sizeof(from);
    CHECK_EQUAL(recvfrom(receiver, buffer, 16, 0, (struct sockaddr *)&from, &from_bytes), 3);
    CHECK(from_bytes == own_bytes && memcmp(&from, &own, own_bytes) == 0);
    CHECK_EQUAL(close(receiver), 0);
    CHECK_ERRNO(write(sender, "abc", 3), ECONNREFUSED);
    CHECK_ERRNO(write(sender, "abc", 3), ENOTCONN); /* which ended the connection */
    CHECK_ERRNO(sendto(sender, "x", 1, 0, to, bytes), ECONNREFUSED);
    CHECK_EQUAL(close(sender), 0);
}

static void connected_datagrams(void)
{
    struct sockaddr_un names[3], none = {AF_UNSPEC, ""};
    socklen_t bytes[3];
    char buffer[8];
    int made[3];
    for (int i = 0; i < 3; i++) {
        char name[8] = {'p', (char)('0' + i)};
        made[i] = bound(name, &names[i], &bytes[i]);
    }
    CHECK_EQUAL(connect(made[0], (struct sockaddr *)&names[1], bytes[1]), 0);
    CHECK_EQUAL(connect(made[1], (struct sockaddr *)&names[0], bytes[0]), 0);
    /* who is connected hears its peer alone */
    CHECK_ERRNO(connect(made[2], (struct sockaddr *)&names[0], bytes[0]), EPERM);
    CHECK_ERRNO(sendto(made[2], "x", 1, 0, (struct sockaddr *)&names[0], bytes[0]), EPERM);
    /* a refusal leaves the peer that was, even one that is connected to another by now */
    CHECK_EQUAL(connect(made[2], (struct sockaddr *)&names[2], bytes[2]), 0);
    CHECK_ERRNO(connect(made[2], (struct sockaddr *)&names[0], bytes[0]), EPERM);
    CHECK_EQUAL(write(made[2], "self", 4), 4);
    CHECK_EQUAL(read(made[2], buffer, 8), 4);
    CHECK_EQUAL(connect(made[2], (struct sockaddr *)&none, sizeof(none.sun_family)), 0);
    CHECK_EQUAL(write(made[0], "ping", 4), 4);
    CHECK_EQUAL(read(made[1], buffer, 8), 4);
    CHECK_EQUAL(sendto(made[0], "by name", 7, 0, (struct sockaddr *)&names[2], bytes[2]), 7);
    CHECK_EQUAL(read(made[2], buffer, 8), 7);
    /* another peer: what the old one sent is dropped, and it learns that */
    CHECK_EQUAL(write(made[1], "lost", 4), 4);
    CHECK_EQUAL(connect(made[0], (struct sockaddr *)&names[2], bytes[2]), 0);
    CHECK_ERRNO(recv(made[0], buffer, 8, MSG_DONTWAIT), EAGAIN);
    CHECK_EQUAL(option_of(made[1], SO_ERROR), ECONNRESET);
    CHECK_EQUAL(connect(made[0], (struct sockaddr *)&none, sizeof(none.sun_family)), 0);
    CHECK_ERRNO(write(made[0], "x", 1), ENOTCONN);
    socklen_t size = sizeof(none);
    CHECK_ERRNO(getpeername(made[0], (struct sockaddr *)&none, &size), ENOTCONN);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(close(made[i]), 0);
    }
}

/* A peer that turned to another: a refused change of peers must not lose count of who has whom. */
static void refused_peers(void)
{
    struct sockaddr_un names[3];
    socklen_t bytes[3];
    int made[3];
    for (int i = 0; i < 3; i++) {
        char name[8] = {'r', (char)('0' + i)};
        made[i] = bound(name, &names[i], &bytes[i]);
    }
    CHECK_EQUAL(connect(made[0], (struct sockaddr *)&names[1], bytes[1]), 0);
    CHECK_EQUAL(connect(made[1], (struct sockaddr *)&names[2], bytes[2]), 0);
    CHECK_EQUAL(connect(made[2], (struct sockaddr *)&names[2], bytes[2]), 0);
    CHECK_ERRNO(connect(made[0], (struct sockaddr *)&names[2], bytes[2]), EPERM);
    CHECK_ERRNO(write(made[0], "x", 1), EPERM);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(close(made[i]), 0);
    }
}

static void *send_blocked(void *sender)
{
    check_pin(1);
    call_result = send(*(int *)sender, "late", 4, 0);
    call_error = errno;
    return NULL;
}

/* The queue of a socket takes so many messages of strangers; then they wait, and poll knows. */
static void full_queue(void)
{
    struct sockaddr_un name;
    socklen_t bytes;
    char buffer[8];
    int count = 0;
    int receiver = bound("full", &name, &bytes);
    int sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQUAL(connect(sender, (struct sockaddr *)&name, bytes), 0);
    while (send(sender, "fill", 4, MSG_DONTWAIT) == 4) {
        count++;
    }
    CHECK_EQUAL(errno, EAGAIN);
    CHECK(count > 5);
    CHECK_EQUAL(events_of(sender), 0);
    pthread_t thread = check_thread(send_blocked, &sender);
    threads_await_waiting(1);
    CHECK_EQUAL(read(receiver, buffer, 8), 4);
    check_join(thread);
    CHECK_EQUAL(call_result, 4);
    for (int i = 0; i < count; i++) {
        CHECK_EQUAL(events_of(receiver), POLLIN | POLLOUT);
        CHECK_EQUAL(recv(receiver, buffer, 8, MSG_DONTWAIT), 4);
    }
    CHECK_EQUAL(memcmp(buffer, "late", 4), 0);
    CHECK_EQUAL(events_of(sender), POLLOUT);
    while (send(sender, "fill", 4, MSG_DONTWAIT) == 4) {
    }
    thread = check_thread(send_blocked, &sender);
    threads_await_waiting(1);
    CHECK_EQUAL(close(receiver), 0);
    check_join(thread);
    CHECK(call_result == -1 && call_error == ECONNREFUSED);
    CHECK_EQUAL(close(sender), 0);
}

static void packets(void)
{
    char buffer[8];
    int alone = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    CHECK_ERRNO(send(alone, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(recv(alone, buffer, 1, 0), ENOTCONN);
    CHECK_EQUAL(close(alone), 0);
    make_pair(SOCK_SEQPACKET);
    CHECK_EQUAL(write(pair[0], "first", 5), 5);
    CHECK_EQUAL(write(pair[0], "2", 1), 1);
    CHECK_EQUAL(read(pair[1], buffer, 3), 3); /* and no more of that packet */
    CHECK_EQUAL(read(pair[1], buffer, 8), 1);
    CHECK_EQUAL(write(pair[0], "last", 4), 4);
    CHECK_EQUAL(shutdown(pair[0], SHUT_WR), 0);
    CHECK_EQUAL(read(pair[1], buffer, 8), 4);
    CHECK_EQUAL(read(pair[1], buffer, 8), 0);
    CHECK_EQUAL(recv(pair[1], buffer, 8, MSG_DONTWAIT), 0);
    CHECK_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_ERRNO(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(events_of(pair[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    CHECK_EQUAL(close(pair[1]), 0);
    make_pair(SOCK_SEQPACKET);
    CHECK_EQUAL(write(pair[1], "unread", 6), 6);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_ERRNO(read(pair[1], buffer, 8), ECONNRESET);
    CHECK_EQUAL(read(pair[1], buffer, 8), 0);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void sizes(void)
{
    static char bytes[300000];
    int waiting;
    make_pair(SOCK_DGRAM);
    CHECK_ERRNO(send(pair[0], bytes, sizeof(bytes), 0), EMSGSIZE);
    CHECK_ERRNO(send(pair[0], bytes, 212992 - 31, 0), EMSGSIZE);
    memset(bytes, 7, 200000);
    CHECK_EQUAL(send(pair[0], bytes, 200000, 0), 200000);
    CHECK_EQUAL(send(pair[0], bytes, 5, 0), 5);
    CHECK_EQUAL(ioctl(pair[1], FIONREAD, &waiting), 0);
    CHECK_EQUAL(waiting, 200000); /* the first message's */
    memset(bytes, 0, 200000);
    CHECK_EQUAL(recv(pair[1], bytes, sizeof(bytes), 0), 200000);
    CHECK(bytes[0] == 7 && bytes[199999] == 7);
    CHECK_EQUAL(shutdown(pair[1], SHUT_RD), 0);
    CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 5);
    CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 0);
    CHECK_ERRNO(recv(pair[1], bytes, 8, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(send(pair[0], bytes, 8, MSG_NOSIGNAL), EPIPE);
    close_pair();
}

struct control {
    union {
        struct cmsghdr align;
        char bytes[256];
    };
    size_t used;
};

static void *add_control(struct control *control, int type, size_t bytes)
{
    struct cmsghdr *header = (struct cmsghdr *)(control->bytes + control->used);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(bytes);
    control->used += CMSG_SPACE(bytes);
    return CMSG_DATA(header);
}

static long send_control(int to, const char *text, struct control *control)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control->bytes,
                             .msg_controllen = control->used};
    return sendmsg(to, &message, 0);
}

static long send_files(int to, const char *text, const int *files, int count)
{
    struct control control = {.used = 0};
    memcpy(add_control(&control, SCM_RIGHTS, (size_t)count * sizeof(int)), files,
           (size_t)count * sizeof(int));
    return send_control(to, text, &control);
}

/* Receives with room for so much control data; used and flags say what came. */
static long receive_control(int from, char *bytes, size_t size, struct control *control,
                            size_t room, int *flags)
{
    struct iovec part = {bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room != 0 ? control->bytes : NULL,
                             .msg_controllen = room};
    memset(control->bytes, 0, sizeof(control->bytes));
    long result = recvmsg(from, &message, *flags);
    *flags = message.msg_flags;
    control->used = message.msg_controllen;
    return result;
}

static int file_of(const struct control *control, int index)
{
    int file;
    memcpy(&file, control->bytes + CMSG_LEN((size_t)index * sizeof(int)), sizeof(file));
    return file;
}

static int open_count(void)
{
    int count = 0;
    for (int i = 0; i < 1024; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

static void descriptors(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    int before = open_count();
    for (int t = 0; t < 3; t++) {
        int ends[2], flags = MSG_CMSG_CLOEXEC;
        char buffer[8] = "";
        struct control control;
        make_pair(types[t]);
        CHECK_EQUAL(pipe(ends), 0);
        CHECK_EQUAL(send_files(pair[0], "two", ends, 2), 3);
        CHECK_EQUAL(close(ends[0]), 0);
        CHECK_EQUAL(close(ends[1]), 0); /* they live on in the message */
        CHECK_EQUAL(receive_control(pair[1], buffer, 8, &control, 256, &flags), 3);
        CHECK_EQUAL(flags, MSG_CMSG_CLOEXEC);
        CHECK_EQUAL(control.used, CMSG_SPACE(8));
        CHECK(control.align.cmsg_level == SOL_SOCKET && control.align.cmsg_type == SCM_RIGHTS);
        CHECK_EQUAL(control.align.cmsg_len, CMSG_LEN(8));
        int reader = file_of(&control, 0), writer = file_of(&control, 1);
        CHECK_EQUAL(fcntl(reader, F_GETFD), FD_CLOEXEC);
        CHECK_EQUAL(write(writer, "through", 7), 7);
        CHECK_EQUAL(read(reader, buffer, 8), 7);
        CHECK_EQUAL(close(reader), 0);
        CHECK_EQUAL(close(writer), 0);
        close_pair();
        CHECK_EQUAL(open_count(), before);
    }
}

/* Files that nobody takes are closed: with a read, with room for fewer, with the queue. */
static void lost_descriptors(void)
{
    int ends[2], flags = 0;
    char buffer[8];
    struct control control;
    int before = open_count();
    make_pair(SOCK_STREAM);
    for (int way = 0; way < 4; way++) {
        CHECK_EQUAL(pipe(ends), 0);
        CHECK_EQUAL(send_files(pair[0], "x", &ends[1], 1), 1);
        CHECK_EQUAL(close(ends[1]), 0);
        flags = 0;
        if (way == 0) {
            CHECK_EQUAL(read(pair[1], buffer, 8), 1);
        } else if (way == 1) {
            CHECK_EQUAL(receive_control(pair[1], buffer, 8, &control, CMSG_LEN(0), &flags), 1);
            CHECK_EQUAL(flags, MSG_CTRUNC);
        } else if (way == 2) {
            CHECK_EQUAL(receive_control(pair[1], buffer, 8, &control, 0, &flags), 1);
            CHECK_EQUAL(flags, MSG_CTRUNC);
        } else {
            close_pair();
        }
        CHECK_EQUAL(read(ends[0], buffer, 1), 0); /* nobody writes any more */
        CHECK_EQUAL(close(ends[0]), 0);
    }
    CHECK_EQUAL(open_count(), before);
}

/* Reads end behind the bytes that files came with; peeking shows them too. */
static void descriptors_in_streams(void)
{
    int flags = 0;
    int file = STDERR_FILENO;
    char buffer[16];
    struct control control;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[0], "ab", 2), 2);
    CHECK_EQUAL(send_files(pair[0], "cd", &file, 1), 2);
    CHECK_EQUAL(send_files(pair[0], "ef", &file, 1), 2);
    CHECK_EQUAL(write(pair[0], "gh", 2), 2);
    flags = MSG_PEEK;
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 64, &flags), 4);
    CHECK_EQUAL(control.used, CMSG_SPACE(4));
    CHECK_EQUAL(close(file_of(&control, 0)), 0);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 3, &control, 64, &flags), 3);
    CHECK_EQUAL(control.used, CMSG_SPACE(4)); /* with the first of its bytes */
    CHECK_EQUAL(close(file_of(&control, 0)), 0);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 64, &flags), 3);
    CHECK(memcmp(buffer, "def", 3) == 0);
    CHECK_EQUAL(control.used, CMSG_SPACE(4));
    CHECK_EQUAL(close(file_of(&control, 0)), 0);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 64, &flags), 2);
    CHECK(control.used == 0 && flags == 0);
    close_pair();
}

static void descriptor_limits(void)
{
    int many[254], flags = 0, bad = 4000;
    char buffer[8];
    struct control control;
    struct {
        struct cmsghdr header;
        int files[254];
    } large = {.header = {.cmsg_len = CMSG_LEN(sizeof(many)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec part = {buffer, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &large, .msg_controllen = sizeof(large)};
    make_pair(SOCK_DGRAM);
    CHECK_ERRNO(send_files(pair[0], "x", &bad, 1), EBADF);
    /* musl's own sendmsg has not so much room */
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EINVAL); /* 254: one too many */
    large.header.cmsg_len = CMSG_LEN(253 * sizeof(int));
    message.msg_controllen = CMSG_LEN(253 * sizeof(int));
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    /* as many as there is room for are given */
    CHECK_EQUAL(receive_control(pair[1], buffer, 8, &control, CMSG_LEN(3 * sizeof(int)), &flags),
                1);
    CHECK_EQUAL(flags, MSG_CTRUNC);
    CHECK_EQUAL(control.align.cmsg_len, CMSG_LEN(3 * sizeof(int)));
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(close(file_of(&control, i)), 0);
    }
    /* and as many as descriptors are left */
    struct rlimit limit, old;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(0);
    CHECK_EQUAL(close(next), 0);
    limit = (struct rlimit){(rlim_t)next + 2, old.rlim_max};
    int two[3] = {0, 1, 2};
    CHECK_EQUAL(send_files(pair[0], "x", two, 3), 1);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 8, &control, 256, &flags), 1);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQUAL(flags, MSG_CTRUNC);
    CHECK_EQUAL(control.align.cmsg_len, CMSG_LEN(2 * sizeof(int)));
    CHECK_EQUAL(close(file_of(&control, 0)), 0);
    CHECK_EQUAL(close(file_of(&control, 1)), 0);
    close_pair();
}

/* A socket in a message in the queue of a socket in a message, and so on: closing the first closes
 * them all, however deep. */
static void nested_descriptors(void)
{
    int before = open_count();
    int ends[2];
    char byte;
    CHECK_EQUAL(pipe(ends), 0);
    int carried = ends[1];
    for (int i = 0; i < 600; i++) {
        make_pair(SOCK_STREAM);
        CHECK_EQUAL(send_files(pair[0], "x", &carried, 1), 1);
        CHECK_EQUAL(close(carried), 0);
        CHECK_EQUAL(close(pair[0]), 0);
        carried = pair[1];
    }
    CHECK_EQUAL(close(carried), 0);
    CHECK_EQUAL(read(ends[0], &byte, 1), 0);
    CHECK_EQUAL(close(ends[0]), 0);
    CHECK_EQUAL(open_count(), before);
}

static void credentials(void)
{
    int on = 1, flags = 0;
    char buffer[16];
    struct control control;
    struct ucred seen;
    make_pair(SOCK_DGRAM);
    CHECK_EQUAL(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    CHECK_EQUAL(write(pair[0], "hello", 5), 5);
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 256, &flags), 5);
    CHECK_EQUAL(control.used, CMSG_SPACE(sizeof(seen)));
    CHECK_EQUAL(control.align.cmsg_type, SCM_CREDENTIALS);
    memcpy(&seen, CMSG_DATA(&control.align), sizeof(seen));
    CHECK(seen.pid == getpid() && seen.uid == getuid() && seen.gid == getgid());
    CHECK_EQUAL(write(pair[0], "hello", 5), 5);
    flags = 0; /* cut to the room there is */
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, CMSG_LEN(4), &flags), 5);
    CHECK_EQUAL(flags, MSG_CTRUNC);
    CHECK_EQUAL(control.align.cmsg_len, CMSG_LEN(4));
    CHECK_EQUAL(write(pair[0], "hello", 5), 5);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 0, &flags), 5);
    CHECK_EQUAL(flags, MSG_CTRUNC);
    /* given ones, with a file beside them */
    control.used = 0;
    seen = (struct ucred){getpid(), getuid(), getgid()};
    memcpy(add_control(&control, SCM_CREDENTIALS, sizeof(seen)), &seen, sizeof(seen));
    *(int *)add_control(&control, SCM_RIGHTS, sizeof(int)) = STDERR_FILENO;
    CHECK_EQUAL(send_control(pair[0], "both", &control), 4);
    flags = 0;
    CHECK_EQUAL(receive_control(pair[1], buffer, 16, &control, 256, &flags), 4);
    CHECK_EQUAL(control.used, CMSG_SPACE(sizeof(seen)) + CMSG_SPACE(sizeof(int)));
    int file;
    memcpy(&file, control.bytes + CMSG_SPACE(sizeof(seen)) + CMSG_LEN(0), sizeof(file));
    CHECK_EQUAL(close(file), 0);
    control.used = 0;
    seen.pid = 4000000;
    memcpy(add_control(&control, SCM_CREDENTIALS, sizeof(seen)), &seen, sizeof(seen));
    CHECK_ERRNO(send_control(pair[0], "x", &control), ESRCH);
    control.used = 0;
    (void)add_control(&control, SCM_CREDENTIALS, 8);
    CHECK_ERRNO(send_control(pair[0], "x", &control), EINVAL);
    control.used = 0;
    (void)add_control(&control, 77, 8);
    CHECK_ERRNO(send_control(pair[0], "x", &control), EINVAL);
    close_pair();
}

static void vectors(void)
{
    char a[4] = "abc", b[4] = "def", got[8], more[8];
    struct iovec out[3] = {{a, 3}, {NULL, 0}, {b, 3}}, in[2] = {{got, 2}, {more, 8}};
    struct sockaddr_un name;
    memset(&name, 0xee, sizeof(name));
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 3};
    make_pair(SOCK_SEQPACKET);
    CHECK_EQUAL(sendmsg(pair[0], &message, 0), 6);
    message = (struct msghdr){
        .msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = in, .msg_iovlen = 2};
    CHECK_EQUAL(recvmsg(pair[1], &message, 0), 6);
    CHECK(memcmp(got, "ab", 2) == 0 && memcmp(more, "cdef", 4) == 0);
    CHECK_EQUAL(message.msg_namelen, 0);
    CHECK_EQUAL(message.msg_flags, 0);
    CHECK_EQUAL(write(pair[0], "0123456789abcdef", 16), 16);
    CHECK_EQUAL(recvmsg(pair[1], &message, 0), 10);
    CHECK_EQUAL(message.msg_flags, MSG_TRUNC);
    message.msg_iovlen = 1025;
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EMSGSIZE);
    CHECK_ERRNO(recvmsg(pair[0], &message, 0), EMSGSIZE);
    message = (struct msghdr){.msg_iov = out, .msg_iovlen = 3, .msg_namelen = 0};
    CHECK_EQUAL(sendmsg(pair[0], &message, MSG_EOR), 6);
    close_pair();
    make_pair(SOCK_STREAM);
    name.sun_family = AF_UNIX;
    message.msg_name = &name;
    message.msg_namelen = sizeof(name);
    CHECK_ERRNO(sendmsg(pair[0], &message, 0), EISCONN);
    close_pair();
    int alone = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(sendmsg(alone, &message, 0), EOPNOTSUPP);
    CHECK_EQUAL(close(alone), 0);
}

static void many_messages(void)
{
    char bytes[4][8];
    struct iovec parts[4];
    struct mmsghdr messages[4];
    struct timespec time = {0, 20000000};
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < 4; i++) {
        parts[i] = (struct iovec){bytes[i], (size_t)i + 1};
        memset(bytes[i], 'a' + i, 8);
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    make_pair(SOCK_DGRAM);
    CHECK_EQUAL(sendmmsg(pair[0], messages, 4, 0), 4);
    CHECK_EQUAL(messages[3].msg_len, 4);
    memset(bytes, 0, sizeof(bytes));
    CHECK_EQUAL(recvmmsg(pair[1], messages, 3, 0, NULL), 3);
    CHECK(messages[2].msg_len == 3 && bytes[2][2] == 'c');
    CHECK_EQUAL(recvmmsg(pair[1], messages, 4, MSG_WAITFORONE, NULL), 1);
    CHECK_ERRNO(recvmmsg(pair[1], messages, 4, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_EQUAL(recvmmsg(pair[1], messages, 0, MSG_DONTWAIT, NULL), 0);
    CHECK_EQUAL(write(pair[0], "x", 1), 1);
    time.tv_sec = 5;
    CHECK_EQUAL(recvmmsg(pair[1], messages, 1, 0, &time), 1);
    CHECK(time.tv_sec < 5 || (time.tv_sec == 5 && time.tv_nsec <= 20000000));
    time.tv_nsec = -1;
    CHECK_ERRNO(recvmmsg(pair[1], messages, 1, 0, &time), EINVAL);
    parts[1].iov_base = (void *)8; /* the second one fails: one was sent */
    CHECK_EQUAL(sendmmsg(pair[0], messages, 4, 0), 1);
    CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 1);
    CHECK_ERRNO(sendmmsg(pair[0], messages + 1, 3, 0), EFAULT);
    close_pair();
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"datagrams", datagrams},
        {"connected_datagrams", connected_datagrams},
        {"refused_peers", refused_peers},
        {"full_queue", full_queue},
        {"packets", packets},
        {"sizes", sizes},
        {"descriptors", descriptors},
        {"lost_descriptors", lost_descriptors},
        {"descriptors_in_streams", descriptors_in_streams},
        {"descriptor_limits", descriptor_limits},
        {"nested_descriptors", nested_descriptors},
        {"credentials", credentials},
        {"vectors", vectors},
        {"many_messages", many_messages},
    };
    return CHECK_MAIN(cases);
}
