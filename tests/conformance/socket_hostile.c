/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong arguments of socket calls: pointers at each position, counts and lengths that lie or
 * overflow, control data of any bytes. After each call the sockets must be whole. Fault injection:
 * --break CASE.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0700~1 @robust
 * @verifies ATL-LLR-NET-0702~1 ATL-LLR-NET-0706~1 @robust
 * @verifies ATL-LLR-NET-0707~1 ATL-LLR-NET-0710~1 ATL-LLR-NET-0713~1 @robust
 * @verifies ATL-LLR-NET-0714~1 ATL-LLR-NET-0715~1 @robust */
#include "sockets.h"

#include <sys/syscall.h>

/* What no pointer may be: the first page, off the canonical addresses, the kernel's half. */
static const uintptr_t bad[] = {8, 0x0000800000000000, 0x7fffffffffffffff, 0xffffffff80000000,
                                0xfffffffffffffff8};
#define BAD_COUNT (sizeof(bad) / sizeof(bad[0]))

/* As the kernel sees them: musl's have narrower fields. */
struct raw_message {
    void *msg_name;
    int msg_namelen;
    struct iovec *msg_iov;
    size_t msg_iovlen;
    void *msg_control;
    size_t msg_controllen;
    int msg_flags;
};
struct raw_control {
    size_t cmsg_len;
    int cmsg_level, cmsg_type;
};

/* Whether a message goes through, and nothing else is in the way of it. */
static void check_whole(void)
{
    char bytes[8] = "";
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(send(pair[i], "whole", 5, 0), 5);
        CHECK_EQUAL(recv(pair[1 - i], bytes, 8, 0), 5);
        CHECK(memcmp(bytes, "whole", 5) == 0);
        CHECK_ERRNO(recv(pair[i], bytes, 8, MSG_DONTWAIT), EAGAIN);
    }
}

static void pointers(void)
{
    char bytes[8] = "";
    struct sockaddr_un name = {AF_UNIX, ""};
    make_pair(SOCK_DGRAM);
    for (size_t i = 0; i < BAD_COUNT; i++) {
        uintptr_t at = bad[i];
        socklen_t size = 16;
        CHECK_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_bind, pair[0], at, 16), EFAULT);
        CHECK_ERRNO(syscall(SYS_connect, pair[0], at, 16), EFAULT);
        CHECK_ERRNO(syscall(SYS_getsockname, pair[0], at, &size), EFAULT);
        CHECK_ERRNO(syscall(SYS_getsockname, pair[0], &name, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_getpeername, pair[0], &name, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_sendto, pair[0], at, 8, 0, NULL, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_sendto, pair[0], bytes, 8, 0, at, 16), EFAULT);
        CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], at, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_recvmsg, pair[0], at, MSG_DONTWAIT), EFAULT);
        CHECK_ERRNO(syscall(SYS_sendmmsg, pair[0], at, 1, 0), EFAULT);
        CHECK_ERRNO(syscall(SYS_recvmmsg, pair[0], at, 1, MSG_DONTWAIT, NULL), EFAULT);
        CHECK_ERRNO(syscall(SYS_recvmmsg, pair[0], bytes, 1, MSG_DONTWAIT, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_setsockopt, pair[0], SOL_SOCKET, SO_SNDBUF, at, 4), EFAULT);
        CHECK_ERRNO(syscall(SYS_setsockopt, pair[0], SOL_SOCKET, SO_RCVTIMEO, at, 16), EFAULT);
        CHECK_ERRNO(syscall(SYS_getsockopt, pair[0], SOL_SOCKET, SO_TYPE, bytes, at), EFAULT);
        CHECK_ERRNO(syscall(SYS_ioctl, pair[0], 0x541b, at), EFAULT);
        check_whole();
    }
    close_pair();
}

/* In a message that waits: it is lost if it is a datagram, as on Linux, but nothing more. */
static void pointers_of_receivers(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    char bytes[8], name[8];
    socklen_t size = sizeof(name);
    for (int t = 0; t < 3; t++) {
        make_pair(types[t]);
        for (size_t i = 0; i < BAD_COUNT; i++) {
            void *at = (void *)bad[i];
            struct iovec part = {bytes, 8};
            struct raw_message message = {.msg_iov = &part, .msg_iovlen = 1};
            CHECK_EQUAL(send(pair[0], "message", 7, 0), 7);
            CHECK_ERRNO(syscall(SYS_recvfrom, pair[1], at, 8, 0, NULL, NULL), EFAULT);
            if (recv(pair[1], bytes, 8, MSG_DONTWAIT) == 7) {
                CHECK(memcmp(bytes, "message", 7) == 0);
            }
            CHECK_EQUAL(send(pair[0], "message", 7, 0), 7);
            CHECK_ERRNO(syscall(SYS_recvfrom, pair[1], bytes, 8, 0, bytes, at), EFAULT);
            CHECK_EQUAL(send(pair[0], "message", 7, 0), 7);
            message.msg_iov = at;
            CHECK_ERRNO(syscall(SYS_recvmsg, pair[1], &message, 0), EFAULT);
            CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 7);
            check_whole();
        }
        CHECK_EQUAL(send(pair[0], "message", 7, 0), 7);
        CHECK_EQUAL(recvfrom(pair[1], bytes, 8, 0, (struct sockaddr *)name, &size), 7);
        close_pair();
    }
}

static void vector_counts(void)
{
    static struct iovec parts[1025];
    char bytes[8] = "";
    static const size_t counts[] = {1025, 1 << 20, SIZE_MAX / 16, SIZE_MAX};
    static const size_t lengths[] = {SIZE_MAX, (size_t)1 << 63, SIZE_MAX - 7};
    struct raw_message message = {.msg_iov = parts};
    make_pair(SOCK_SEQPACKET);
    for (int i = 0; i < 1025; i++) {
        parts[i] = (struct iovec){bytes, 0};
    }
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        message.msg_iovlen = counts[i];
        CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EMSGSIZE);
        CHECK_ERRNO(syscall(SYS_recvmsg, pair[0], &message, MSG_DONTWAIT), EMSGSIZE);
    }
    message.msg_iovlen = 2;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        parts[0].iov_len = 4;
        parts[1].iov_len = lengths[i];
        CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EINVAL);
        CHECK_ERRNO(syscall(SYS_recvmsg, pair[0], &message, MSG_DONTWAIT), EINVAL);
    }
    /* lengths that no memory has, and whose sum overflows 32 bits */
    parts[0] = (struct iovec){parts, 0x7fffffff};
    parts[1] = (struct iovec){parts, 0x7fffffff};
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EMSGSIZE);
    parts[0] = (struct iovec){(void *)bad[1], 8};
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_sendto, pair[0], parts, SIZE_MAX, 0, NULL, 0), EMSGSIZE);
    CHECK_ERRNO(syscall(SYS_sendto, pair[0], parts, (size_t)1 << 46, 0, NULL, 0), EMSGSIZE);
    message.msg_iovlen = 1024; /* as many as there may be */
    parts[0] = (struct iovec){bytes, 1};
    parts[1] = (struct iovec){bytes, 0};
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    CHECK_EQUAL(syscall(SYS_recvmsg, pair[1], &message, 0), 1);
    check_whole();
    close_pair();
}

static void control_lengths(void)
{
    static char control[40000] __attribute__((aligned(16)));
    char bytes[8] = "x";
    struct iovec part = {bytes, 1};
    struct raw_control *header = (struct raw_control *)control;
    struct raw_message message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 64};
    static const size_t lengths[] = {0, 1, 15, 65, 1 << 20, SIZE_MAX, (size_t)1 << 63};
    make_pair(SOCK_STREAM);
    *header = (struct raw_control){0, SOL_SOCKET, SCM_RIGHTS};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        header->cmsg_len = lengths[i];
        CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EINVAL);
    }
    header->cmsg_len = 16;
    message.msg_controllen = (size_t)INT32_MAX + 1;
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), ENOBUFS);
    message.msg_controllen = SIZE_MAX;
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), ENOBUFS);
    message.msg_controllen = 1 << 30;
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), ENOBUFS);
    message.msg_controllen = 64;
    message.msg_control = (void *)bad[0];
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EFAULT);
    message.msg_control = control;
    message.msg_controllen = 15; /* too short for an entry: there is none */
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    message.msg_controllen = 16; /* an entry without files */
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    header->cmsg_level = 4711; /* somebody else's */
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 3);
    message.msg_namelen = -1; /* of no name */
    CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
    CHECK_EQUAL(recv(pair[1], bytes, 8, 0), 1);
    message.msg_name = bytes;
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sendmsg, pair[0], &message, 0x80000000), EINVAL);
    check_whole();
    close_pair();
}

/* A second entry behind a good one, of random bytes: whatever it is, no file stays open. */
static void control_noise(void)
{
    unsigned long long random = 11;
    char bytes[64];
    make_pair(SOCK_DGRAM);
    for (int i = 0; i < 300; i++) {
        uint64_t control[12] = {0};
        struct iovec part = {bytes, 1};
        struct raw_message message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = 96};
        struct raw_control first = {CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS};
        memcpy(control, &first, sizeof(first));
        control[2] = STDERR_FILENO;
        control[3] = check_random(&random) % 80;
        control[4] = SOL_SOCKET | (check_random(&random) % 4) << 32;
        for (int at = 5; at < 12; at++) {
            control[at] = check_random(&random) % 8 == 0 ? check_random(&random) : 2;
        }
        if (syscall(SYS_sendmsg, pair[0], &message, MSG_DONTWAIT) == 1) {
            CHECK_EQUAL(recv(pair[1], bytes, 64, MSG_DONTWAIT), 1);
        }
    }
    int next = dup(0);
    CHECK_EQUAL(next, pair[1] + 1);
    CHECK_EQUAL(close(next), 0);
    check_whole();
    close_pair();
}

/* Control data of receivers that cannot be stored. */
static void received_control(void)
{
    char bytes[8];
    make_pair(SOCK_STREAM);
    for (size_t i = 0; i < BAD_COUNT; i++) {
        struct {
            struct raw_control header;
            int file;
        } control = {{CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS}, STDERR_FILENO};
        struct iovec part = {bytes, 1};
        struct raw_message message = {.msg_iov = &part,
                                      .msg_iovlen = 1,
                                      .msg_control = &control,
                                      .msg_controllen = sizeof(control)};
        CHECK_EQUAL(syscall(SYS_sendmsg, pair[0], &message, 0), 1);
        message.msg_control = (void *)bad[i];
        message.msg_controllen = 64;
        CHECK_EQUAL(syscall(SYS_recvmsg, pair[1], &message, 0), 1);
        CHECK_EQUAL(message.msg_flags, MSG_CTRUNC);
        CHECK_EQUAL(message.msg_controllen, 0);
        int next = dup(0);
        CHECK_EQUAL(next, pair[1] + 1); /* the file is not open */
        CHECK_EQUAL(close(next), 0);
        check_whole();
    }
    close_pair();
}

static void wrong_descriptors(void)
{
    static const long calls[] = {SYS_connect, SYS_accept,      SYS_sendto,      SYS_recvfrom,
                                 SYS_sendmsg, SYS_recvmsg,     SYS_shutdown,    SYS_bind,
                                 SYS_listen,  SYS_getsockname, SYS_getpeername, SYS_accept4,
                                 SYS_sendmmsg};
    char bytes[128] = "";
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        CHECK_ERRNO(syscall(calls[i], STDERR_FILENO, bytes, 0, 0, 0, 0), ENOTSOCK);
        CHECK_ERRNO(syscall(calls[i], 4000, bytes, 0, 0, 0, 0), EBADF);
        CHECK_ERRNO(syscall(calls[i], -1, bytes, 0, 0, 0, 0), EBADF);
        CHECK_ERRNO(syscall(calls[i], AT_FDCWD, bytes, 0, 0, 0, 0), EBADF);
    }
    CHECK_ERRNO(syscall(SYS_setsockopt, STDERR_FILENO, SOL_SOCKET, 1, bytes, 4), ENOTSOCK);
    CHECK_ERRNO(syscall(SYS_setsockopt, STDERR_FILENO, SOL_SOCKET, 1, bytes, -1), ENOTSOCK);
    CHECK_ERRNO(syscall(SYS_getsockopt, 4000, SOL_SOCKET, 1, bytes, bytes), EBADF);
    CHECK_ERRNO(syscall(SYS_recvmmsg, STDERR_FILENO, bytes, 1, 0, NULL), ENOTSOCK);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"pointers", pointers},
        {"pointers_of_receivers", pointers_of_receivers},
        {"vector_counts", vector_counts},
        {"control_lengths", control_lengths},
        {"control_noise", control_noise},
        {"received_control", received_control},
        {"wrong_descriptors", wrong_descriptors},
    };
    return CHECK_MAIN(cases);
}
