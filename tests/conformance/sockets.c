/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX streams: pairs, half-close, errors and signals, flags, options, sizes, faults,
 * cancellation, EINTR and SA_RESTART, timeouts, readiness for poll, select and epoll. Fault
 * injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0700~1 ATL-LLR-NET-0701~1 ATL-LLR-NET-0703~1
 * @verifies ATL-LLR-NET-0704~1 ATL-LLR-NET-0709~1 ATL-LLR-NET-0712~1 ATL-LLR-NET-0715~1
 * @verifies ATL-LLR-NET-0716~1 ATL-LLR-NET-0717~1 ATL-LLR-NET-0718~1 ATL-LLR-NET-0719~1 */
#include "../waiting.h"

#include "sockets.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

static volatile long call_result, call_error;

static void kinds(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        int made = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(made >= 0);
        CHECK_EQUAL(option_of(made, SO_TYPE), types[i]);
        CHECK_EQUAL(option_of(made, SO_DOMAIN), AF_UNIX);
        CHECK_EQUAL(option_of(made, SO_PROTOCOL), 0);
        CHECK_EQUAL(option_of(made, SO_ACCEPTCONN), 0);
        CHECK_EQUAL(option_of(made, SO_ERROR), 0);
        CHECK_EQUAL(fcntl(made, F_GETFD), FD_CLOEXEC);
        CHECK_EQUAL(fcntl(made, F_GETFL), O_RDWR | O_NONBLOCK);
        CHECK_EQUAL(close(made), 0);
    }
    int raw = socket(AF_UNIX, SOCK_RAW, AF_UNIX);
    CHECK(raw >= 0);
    CHECK_EQUAL(option_of(raw, SO_TYPE), SOCK_DGRAM);
    CHECK_EQUAL(close(raw), 0);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 2), EPROTONOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, 77 & 0xf, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
    CHECK_ERRNO(socket(4711, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNSPEC, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(45, SOCK_STREAM | 0x100, 0), EINVAL);
    int ends[2];
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_RDM, 0, ends), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNSPEC, SOCK_STREAM, 0, ends), EAFNOSUPPORT);
}

static void stream_bytes(void)
{
    char bytes[16] = "";
    int count;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[0], "abc", 3), 3);
    CHECK_EQUAL(send(pair[0], "defgh", 5, 0), 5);
    CHECK_EQUAL(ioctl(pair[1], FIONREAD, &count), 0);
    CHECK_EQUAL(count, 8);
    CHECK_EQUAL(recv(pair[1], bytes, 4, MSG_PEEK), 4);
    CHECK_EQUAL(read(pair[1], bytes, 2), 2);
    CHECK_EQUAL(recv(pair[1], bytes + 2, 4, 0), 4); /* over the seam of two writes */
    CHECK(memcmp(bytes, "abcdef", 6) == 0);
    struct iovec parts[3] = {{bytes, 1}, {NULL, 0}, {bytes + 1, 9}};
    CHECK_EQUAL(readv(pair[1], parts, 3), 2);
    CHECK(memcmp(bytes, "gh", 2) == 0);
    CHECK_EQUAL(writev(pair[1], parts, 3), 10);
    CHECK_EQUAL(recv(pair[0], bytes, sizeof(bytes), 0), 10);
    CHECK_EQUAL(write(pair[0], "", 0), 0);
    CHECK_ERRNO(recv(pair[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQUAL(read(pair[1], bytes, 0), 0);
    CHECK_ERRNO(pread(pair[1], bytes, 1, 0), ESPIPE);
    CHECK_ERRNO(lseek(pair[1], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(ftruncate(pair[1], 0), EINVAL);
    close_pair();
}

static void *send_rest(void *argument)
{
    threads_await_waiting(1);
    CHECK_EQUAL(write(pair[0], "45678", 5), 5);
    for (int left = 1; left != 0; sched_yield()) {
        CHECK_EQUAL(ioctl(pair[1], FIONREAD, &left), 0);
    }
    threads_await_waiting(1); /* again */
    CHECK_EQUAL(write(pair[0], "9", 1), 1);
    return argument;
}

static void wait_for_all(void)
{
    char bytes[16] = "";
    int low = 4;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[0], "123", 3), 3);
    pthread_t thread = check_thread(send_rest, NULL);
    CHECK_EQUAL(recv(pair[1], bytes, 9, MSG_WAITALL), 9);
    CHECK(memcmp(bytes, "123456789", 9) == 0);
    check_join(thread);
    CHECK_EQUAL(write(pair[0], "12", 2), 2);
    CHECK_EQUAL(shutdown(pair[0], SHUT_WR), 0);
    CHECK_EQUAL(recv(pair[1], bytes, 9, MSG_WAITALL), 2);
    close_pair();
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(setsockopt(pair[1], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)), 0);
    CHECK_EQUAL(option_of(pair[1], SO_RCVLOWAT), 4);
    CHECK_EQUAL(write(pair[0], "123", 3), 3);
    thread = check_thread(send_rest, NULL);
    CHECK(recv(pair[1], bytes, 9, 0) >= 4);
    check_join(thread);
    close_pair();
}

static void half_close(void)
{
    char byte;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[0], "x", 1), 1);
    CHECK_EQUAL(shutdown(pair[0], SHUT_WR), 0);
    CHECK_EQUAL(read(pair[1], &byte, 1), 1);
    CHECK_EQUAL(read(pair[1], &byte, 1), 0);
    CHECK_EQUAL(write(pair[1], "y", 1), 1); /* the other way is open */
    CHECK_EQUAL(read(pair[0], &byte, 1), 1);
    install(SIGPIPE, 0);
    CHECK_ERRNO(write(pair[0], "x", 1), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_ERRNO(send(pair[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(shutdown(pair[0], SHUT_RD), 0);
    CHECK_ERRNO(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQUAL(read(pair[0], &byte, 1), 0);
    CHECK_ERRNO(shutdown(pair[0], 3), EINVAL);
    CHECK_ERRNO(shutdown(pair[0], -1), EINVAL);
    close_pair();
    int alone = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(write(alone, "x", 1), ENOTCONN);
    CHECK_ERRNO(read(alone, &byte, 1), EINVAL);
    CHECK_EQUAL(shutdown(alone, SHUT_RDWR), 0);
    CHECK_EQUAL(close(alone), 0);
    CHECK_ERRNO(shutdown(STDERR_FILENO, SHUT_RD), ENOTSOCK);
    CHECK_ERRNO(shutdown(4000, SHUT_RD), EBADF);
    CHECK_EQUAL(handled, 1);
}

static void peer_is_gone(void)
{
    char bytes[4];
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[0], "abc", 3), 3);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_EQUAL(read(pair[1], bytes, 4), 3); /* what was sent is still there */
    CHECK_EQUAL(read(pair[1], bytes, 4), 0);
    install(SIGPIPE, 0);
    CHECK_ERRNO(write(pair[1], "x", 1), EPIPE);
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(close(pair[1]), 0);
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[1], "unread", 6), 6);
    CHECK_EQUAL(close(pair[0]), 0); /* which loses something: a reset */
    CHECK_ERRNO(read(pair[1], bytes, 4), ECONNRESET);
    CHECK_EQUAL(read(pair[1], bytes, 4), 0);
    CHECK_EQUAL(close(pair[1]), 0);
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[1], "unread", 6), 6);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_EQUAL(option_of(pair[1], SO_ERROR), ECONNRESET);
    CHECK_EQUAL(option_of(pair[1], SO_ERROR), 0);
    CHECK_EQUAL(read(pair[1], bytes, 4), 0);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void flags_and_stat(void)
{
    struct stat status, other;
    char path[64], link[64], wanted[64];
    int on = 1;
    char byte;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(fstat(pair[0], &status), 0);
    CHECK_EQUAL(fstat(pair[1], &other), 0);
    CHECK_EQUAL(status.st_mode, S_IFSOCK | 0777);
    CHECK(status.st_ino != other.st_ino);
    CHECK_EQUAL(status.st_nlink, 1);
    CHECK_EQUAL(status.st_size, 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", pair[0]);
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", (unsigned long)status.st_ino);
    ssize_t bytes = readlink(path, link, sizeof(link) - 1);
    CHECK_EQUAL(bytes, strlen(wanted));
    CHECK(memcmp(link, wanted, (size_t)bytes) == 0);
    CHECK_ERRNO(open(path, O_RDWR), ENXIO);
    CHECK_EQUAL(ioctl(pair[0], FIONBIO, &on), 0);
    CHECK_EQUAL(fcntl(pair[0], F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_ERRNO(read(pair[0], &byte, 1), EAGAIN);
    CHECK_EQUAL(fcntl(pair[0], F_SETFL, 0), 0);
    CHECK_EQUAL(fcntl(pair[0], F_GETFL), O_RDWR);
    CHECK_ERRNO(ioctl(pair[0], 0x5402, &on), ENOTTY);
    CHECK_EQUAL(ioctl(pair[0], TIOCOUTQ, &on), 0);
    CHECK_EQUAL(on, 0);
    close_pair();
}

/* Fills a socket in steps; the bytes that it took. */
static long fill(int descriptor, size_t step)
{
    static char bytes[1 << 16];
    long total = 0;
    for (ssize_t done; (done = send(descriptor, bytes, step, MSG_DONTWAIT)) > 0;) {
        total += done;
    }
    CHECK_EQUAL(errno, EAGAIN);
    return total;
}

static void room(void)
{
    static char bytes[1 << 16];
    int small = 1, used = 0;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(option_of(pair[0], SO_SNDBUF), 212992);
    CHECK(fill(pair[0], sizeof(bytes)) >= 100000);
    CHECK_EQUAL(events_of(pair[0]), 0);
    CHECK_EQUAL(ioctl(pair[0], TIOCOUTQ, &used), 0);
    CHECK(used > 100000);
    while (recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
    CHECK_EQUAL(events_of(pair[0]), POLLOUT);
    CHECK_EQUAL(ioctl(pair[0], TIOCOUTQ, &used), 0);
    CHECK_EQUAL(used, 0);
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    CHECK_EQUAL(option_of(pair[0], SO_SNDBUF), 4608);
    long total = fill(pair[0], 1000);
    CHECK(total >= 1000 && total <= 10000);
    close_pair();
}

static void *write_much(void *argument)
{
    static char bytes[1 << 20];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(i * 7 + i / 251);
    }
    CHECK_EQUAL(write(pair[0], bytes, sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(close(pair[0]), 0);
    return argument;
}

/* One write of more than fits: it waits until all is taken. */
static void long_write(void)
{
    static char bytes[40000];
    size_t total = 0;
    make_pair(SOCK_STREAM);
    pthread_t thread = check_thread(write_much, NULL);
    for (ssize_t got; (got = read(pair[1], bytes, sizeof(bytes))) > 0;) {
        for (ssize_t i = 0; i < got; i++, total++) {
            CHECK_EQUAL(bytes[i], (char)(total * 7 + total / 251));
        }
    }
    check_join(thread);
    CHECK_EQUAL(total, 1 << 20);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void files_to_sockets(void)
{
    char path[64], bytes[32] = "";
    snprintf(path, sizeof(path), "/tmp/sockets-%d", (int)getpid());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0);
    CHECK_EQUAL(write(file, "contents of a file", 18), 18);
    off_t at = 9;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(sendfile(pair[0], file, &at, 100), 9);
    CHECK_EQUAL(at, 18);
    CHECK_EQUAL(read(pair[1], bytes, sizeof(bytes)), 9);
    CHECK(memcmp(bytes, "of a file", 9) == 0);
    CHECK_ERRNO(sendfile(file, pair[1], NULL, 10), EINVAL);
    close_pair();
    CHECK_EQUAL(close(file), 0);
    CHECK_EQUAL(unlink(path), 0);
}

static void options(void)
{
    static const int switches[] = {SO_REUSEADDR, SO_BROADCAST, SO_KEEPALIVE,
                                   SO_OOBINLINE, SO_PASSCRED,  SO_DONTROUTE};
    int on = 1, value, bytes = 2;
    struct linger linger = {1, 7};
    socklen_t size = 4;
    struct {
        int process;
        unsigned user, group;
    } who;
    make_pair(SOCK_STREAM);
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        CHECK_EQUAL(option_of(pair[0], switches[i]), 0);
        CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, switches[i], &on, sizeof(on)), 0);
        CHECK_EQUAL(option_of(pair[0], switches[i]), 1);
    }
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    CHECK_EQUAL(option_of(pair[0], SO_RCVBUF), 2304);
    bytes = 50000;
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
    CHECK_EQUAL(option_of(pair[0], SO_RCVBUF), 100000);
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    size = sizeof(linger);
    linger = (struct linger){0, 0};
    CHECK_EQUAL(getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, &size), 0);
    CHECK(linger.l_onoff == 1 && linger.l_linger == 7);
    size = sizeof(who);
    CHECK_EQUAL(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &who, &size), 0);
    CHECK(who.process == getpid() && who.user == getuid() && who.group == getgid());
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_TYPE, &on, sizeof(on)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, 4711, &on, sizeof(on)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_REUSEADDR, &on, 3), EINVAL);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &on, 4), EINVAL);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_REUSEADDR, (void *)8, 4), EFAULT);
    CHECK_ERRNO(getsockopt(pair[0], SOL_SOCKET, 4711, &value, &size), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(pair[0], 6, 1, &value, &size), EOPNOTSUPP);
    CHECK_ERRNO(setsockopt(pair[0], 6, 1, &on, sizeof(on)), EOPNOTSUPP);
    size = 1;
    value = -1;
    CHECK_EQUAL(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &size), 0);
    CHECK(size == 1 && value == (int)0xffffff01); /* cut to what there is room for */
    size = (socklen_t)-1;
    CHECK_ERRNO(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &value, &size), EINVAL);
    CHECK_ERRNO(getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &value, &size), ENOTSOCK);
    close_pair();
    int alone = socket(AF_UNIX, SOCK_STREAM, 0);
    size = sizeof(who);
    CHECK_EQUAL(getsockopt(alone, SOL_SOCKET, SO_PEERCRED, &who, &size), 0);
    CHECK(who.process == 0 && who.user == (unsigned)-1 && who.group == (unsigned)-1);
    CHECK_EQUAL(close(alone), 0);
}

static void timeouts(void)
{
    struct timeval time = {0, 20000}, got;
    socklen_t size = sizeof(got);
    char byte;
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)), 0);
    CHECK_EQUAL(getsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size), 0);
    CHECK(size == sizeof(got) && got.tv_sec == 0 && got.tv_usec == 20000);
    long long start = check_now_ns(CLOCK_MONOTONIC);
    CHECK_ERRNO(read(pair[0], &byte, 1), EAGAIN);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 19000000);
    (void)fill(pair[0], 60000);
    start = check_now_ns(CLOCK_MONOTONIC);
    CHECK_ERRNO(write(pair[0], "x", 1), EAGAIN);
    CHECK(check_now_ns(CLOCK_MONOTONIC) - start >= 19000000);
    time.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), EDOM);
    CHECK_ERRNO(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, 8), EINVAL);
    time = (struct timeval){-1, 0};
    CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)), 0);
    CHECK_ERRNO(read(pair[0], &byte, 1), EAGAIN);
    close_pair();
}

static void *read_byte(void *argument)
{
    char byte;
    check_pin(1);
    call_result = read(pair[0], &byte, 1);
    call_error = errno;
    return argument;
}

static void interrupt_read(int flags, long result, const struct timeval *timeout)
{
    make_pair(SOCK_STREAM);
    if (timeout != NULL) {
        CHECK_EQUAL(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, timeout, sizeof(*timeout)), 0);
    }
    install(SIGUSR1, flags);
    pthread_t thread = check_thread(read_byte, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    while (handled == 0) {
        sched_yield();
    }
    CHECK_EQUAL(handled, 1);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    check_join(thread);
    CHECK_EQUAL(call_result, result);
    CHECK(result >= 0 || call_error == EINTR);
    close_pair();
}

static void interrupted_read(void)
{
    static const struct timeval long_time = {100, 0};
    interrupt_read(0, -1, NULL);
    interrupt_read(SA_RESTART, 1, NULL);
    interrupt_read(SA_RESTART, -1, &long_time); /* with a timeout it is not begun again */
}

static void *write_byte(void *argument)
{
    check_pin(1);
    call_result = write(pair[0], "x", 1);
    call_error = errno;
    return argument;
}

static void cancelled_calls(void)
{
    make_pair(SOCK_STREAM);
    for (int i = 0; i < 5; i++) {
        pthread_t thread = check_thread(read_byte, NULL);
        threads_await_waiting(i % 2); /* or perhaps before it waits */
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
    }
    (void)fill(pair[0], 60000);
    for (int i = 0; i < 5; i++) {
        pthread_t thread = check_thread(write_byte, NULL);
        threads_await_waiting(i % 2);
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
    }
    close_pair();
}

/* Who waits learns of the other end's close, on both sides. */
static void close_wakes(void)
{
    make_pair(SOCK_STREAM);
    pthread_t thread = check_thread(read_byte, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(close(pair[1]), 0);
    check_join(thread);
    CHECK_EQUAL(call_result, 0);
    CHECK_EQUAL(close(pair[0]), 0);
    make_pair(SOCK_STREAM);
    install(SIGPIPE, 0);
    (void)fill(pair[0], 60000);
    thread = check_thread(write_byte, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(shutdown(pair[1], SHUT_RD), 0);
    check_join(thread);
    CHECK(call_result == -1 && call_error == EPIPE && handled == 0); /* no signal while it waits */
    close_pair();
    make_pair(SOCK_STREAM);
    thread = check_thread(read_byte, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(shutdown(pair[0], SHUT_RD), 0);
    check_join(thread);
    CHECK_EQUAL(call_result, 0);
    close_pair();
}

static void faults(void)
{
    char bytes[8];
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_EQUAL(munmap(page + 4096, 4096), 0);
    make_pair(SOCK_STREAM);
    CHECK_ERRNO(write(pair[0], page + 4090, 20), EFAULT);
    CHECK_ERRNO(recv(pair[1], bytes, 8, MSG_DONTWAIT), EAGAIN); /* nothing was sent */
    CHECK_EQUAL(write(pair[0], "abcdefgh", 8), 8);
    CHECK_ERRNO(read(pair[1], page + 4092, 8), EFAULT);
    CHECK_EQUAL(read(pair[1], bytes, 8), 8); /* and nothing is lost */
    CHECK(memcmp(bytes, "abcdefgh", 8) == 0);
    struct iovec parts[2] = {{bytes, 4}, {(void *)8, 4}};
    CHECK_ERRNO(writev(pair[0], parts, 2), EFAULT);
    close_pair();
    CHECK_EQUAL(munmap(page, 4096), 0);
}

static void poll_events(void)
{
    static const int ends[] = {POLLIN | POLLOUT | POLLHUP | POLLRDHUP};
    int alone = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(events_of(alone), POLLOUT | POLLHUP);
    CHECK_EQUAL(close(alone), 0);
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(events_of(pair[0]), POLLOUT);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    CHECK_EQUAL(events_of(pair[0]), POLLIN | POLLOUT);
    CHECK_EQUAL(shutdown(pair[1], SHUT_WR), 0);
    CHECK_EQUAL(events_of(pair[0]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQUAL(events_of(pair[1]), POLLOUT);
    CHECK_EQUAL(shutdown(pair[1], SHUT_RD), 0);
    CHECK_EQUAL(events_of(pair[0]), ends[0]);
    close_pair();
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    CHECK_EQUAL(close(pair[0]), 0);
    CHECK_EQUAL(events_of(pair[1]), ends[0] | POLLERR);
    CHECK_EQUAL(option_of(pair[1], SO_ERROR), ECONNRESET);
    CHECK_EQUAL(events_of(pair[1]), ends[0]);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void *write_later(void *argument)
{
    threads_await_waiting(1);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    return argument;
}

static void select_waits(void)
{
    fd_set readable, writable;
    make_pair(SOCK_STREAM);
    FD_ZERO(&readable);
    FD_SET(pair[0], &readable);
    writable = readable;
    CHECK_EQUAL(select(pair[0] + 1, &readable, &writable, NULL, NULL), 1);
    CHECK(!FD_ISSET(pair[0], &readable) && FD_ISSET(pair[0], &writable));
    pthread_t thread = check_thread(write_later, NULL);
    FD_SET(pair[0], &readable);
    CHECK_EQUAL(select(pair[0] + 1, &readable, NULL, NULL, NULL), 1);
    CHECK(FD_ISSET(pair[0], &readable));
    check_join(thread);
    close_pair();
}

static int wait_events(int epoll, int timeout_ms)
{
    struct epoll_event event = {.events = 0};
    int count = epoll_wait(epoll, &event, 1, timeout_ms);
    CHECK(count >= 0);
    return count == 0 ? 0 : (int)event.events;
}

static void epoll_modes(void)
{
    char bytes[8];
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP};
    make_pair(SOCK_STREAM);
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), 0);
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    CHECK_EQUAL(write(pair[1], "ab", 2), 2);
    CHECK_EQUAL(wait_events(epoll, -1), EPOLLIN); /* the level, */
    CHECK_EQUAL(wait_events(epoll, -1), EPOLLIN); /* as long as it holds */
    CHECK_EQUAL(read(pair[0], bytes, 8), 2);
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event), 0);
    CHECK_EQUAL(wait_events(epoll, 0), EPOLLOUT);
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    CHECK_EQUAL(write(pair[1], "ab", 2), 2);
    CHECK_EQUAL(wait_events(epoll, -1), EPOLLIN | EPOLLOUT); /* an edge, */
    CHECK_EQUAL(wait_events(epoll, 0), 0);                   /* once */
    CHECK_EQUAL(write(pair[1], "ab", 2), 2);
    CHECK_EQUAL(wait_events(epoll, 0), EPOLLIN | EPOLLOUT);
    CHECK_EQUAL(shutdown(pair[1], SHUT_WR), 0);
    CHECK_EQUAL(wait_events(epoll, 0), EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    event.events = EPOLLIN | EPOLLONESHOT;
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event), 0);
    CHECK_EQUAL(wait_events(epoll, 0), EPOLLIN);
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event), 0);
    CHECK_EQUAL(close(pair[1]), 0);
    CHECK_EQUAL(wait_events(epoll, 0), EPOLLIN | EPOLLHUP);
    CHECK_EQUAL(close(pair[0]), 0); /* which takes it out */
    CHECK_EQUAL(wait_events(epoll, 0), 0);
    CHECK_EQUAL(close(epoll), 0);
}

static int woken;

static void *wait_exclusively(void *epoll)
{
    struct epoll_event event;
    CHECK_EQUAL(epoll_wait(*(int *)epoll, &event, 1, -1), 1);
    __atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Until so many threads have returned. */
static void await_woken(int count)
{
    while (__atomic_load_n(&woken, __ATOMIC_RELAXED) < count) {
        sched_yield();
    }
}

/* Each of several instances has the socket exclusively: one message wakes not all of them. */
static void epoll_exclusive(void)
{
    int instances[3];
    pthread_t threads[3];
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLET};
    woken = 0;
    make_pair(SOCK_STREAM);
    for (int i = 0; i < 3; i++) {
        instances[i] = epoll_create1(0);
        CHECK_EQUAL(epoll_ctl(instances[i], EPOLL_CTL_ADD, pair[0], &event), 0);
        threads[i] = check_thread(wait_exclusively, &instances[i]);
    }
    threads_await_waiting(3);
    CHECK_EQUAL(write(pair[1], "x", 1), 1);
    await_woken(1);
    check_sleep_ms(10); /* for those that would be woken in vain */
    CHECK(__atomic_load_n(&woken, __ATOMIC_RELAXED) < 3);
    for (int i = 2; i <= 3; i++) {
        CHECK_EQUAL(write(pair[1], "x", 1), 1);
        await_woken(i);
    }
    for (int i = 0; i < 3; i++) {
        check_join(threads[i]);
        CHECK_EQUAL(close(instances[i]), 0);
    }
    close_pair();
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"kinds", kinds},
        {"stream_bytes", stream_bytes},
        {"wait_for_all", wait_for_all},
        {"half_close", half_close},
        {"peer_is_gone", peer_is_gone},
        {"flags_and_stat", flags_and_stat},
        {"room", room},
        {"long_write", long_write},
        {"files_to_sockets", files_to_sockets},
        {"options", options},
        {"timeouts", timeouts},
        {"interrupted_read", interrupted_read},
        {"cancelled_calls", cancelled_calls},
        {"close_wakes", close_wakes},
        {"faults", faults},
        {"poll_events", poll_events},
        {"select_waits", select_waits},
        {"epoll_modes", epoll_modes},
        {"epoll_exclusive", epoll_exclusive},
    };
    return CHECK_MAIN(cases);
}
