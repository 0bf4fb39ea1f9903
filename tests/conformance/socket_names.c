/* SPDX-License-Identifier: Apache-2.0 */
/* Names of AF_UNIX sockets: paths, abstract and chosen ones, what they do to bind, connect, stat
 * and unlink; backlogs, accept, and what is told of the other end. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0702~1 ATL-LLR-NET-0705~1 ATL-LLR-NET-0717~1
 * @verifies ATL-LLR-NET-0722~1 */
#include "../waiting.h"

#include "sockets.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

static struct sockaddr_un address, got;
static socklen_t address_bytes, got_bytes;
static volatile long call_result, call_error;

/* A path of this process; the length as programs give it. */
static void name_path(const char *name)
{
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/%s-%d", name, (int)getpid());
    address_bytes = sizeof(address);
    unlink(address.sun_path);
}

static void name_abstract(const char *name)
{
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    int bytes = snprintf(address.sun_path + 1, 100, "%s-%d", name, (int)getpid());
    address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
}

static int bind_it(int descriptor)
{
    return bind(descriptor, (struct sockaddr *)&address, address_bytes);
}

static int connect_it(int descriptor)
{
    return connect(descriptor, (struct sockaddr *)&address, address_bytes);
}

static int own_name(int descriptor)
{
    memset(&got, 0xee, sizeof(got));
    got_bytes = sizeof(got);
    return getsockname(descriptor, (struct sockaddr *)&got, &got_bytes);
}

static int peer_name(int descriptor)
{
    memset(&got, 0xee, sizeof(got));
    got_bytes = sizeof(got);
    return getpeername(descriptor, (struct sockaddr *)&got, &got_bytes);
}

static int listener_at(int type, int backlog)
{
    int listener = socket(AF_UNIX, type, 0);
    CHECK_EQUAL(bind_it(listener), 0);
    CHECK_EQUAL(listen(listener, backlog), 0);
    return listener;
}

static void paths(void)
{
    struct stat status;
    name_path("paths");
    mode_t old = umask(027);
    int one = socket(AF_UNIX, SOCK_STREAM, 0);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(own_name(one), 0);
    CHECK(got_bytes == 2 && got.sun_family == AF_UNIX);
    CHECK_EQUAL(bind_it(one), 0);
    umask(old);
    CHECK_EQUAL(own_name(one), 0);
    CHECK_EQUAL(got_bytes, 2 + strlen(address.sun_path) + 1);
    CHECK(strcmp(got.sun_path, address.sun_path) == 0);
    CHECK_EQUAL(lstat(address.sun_path, &status), 0);
    CHECK_EQUAL(status.st_mode, S_IFSOCK | 0750);
    CHECK_ERRNO(open(address.sun_path, O_RDWR), ENXIO);
    CHECK_ERRNO(bind_it(other), EADDRINUSE);
    CHECK_EQUAL(close(one), 0);
    CHECK_ERRNO(bind_it(other), EADDRINUSE); /* the name outlives the socket */
    CHECK_ERRNO(connect_it(other), ECONNREFUSED);
    CHECK_EQUAL(unlink(address.sun_path), 0);
    CHECK_ERRNO(connect_it(other), ENOENT);
    CHECK_EQUAL(bind_it(other), 0);
    CHECK_ERRNO(bind(other, (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, "/tmp/second"}, 13),
                EINVAL);
    CHECK_EQUAL(close(other), 0);
    CHECK_EQUAL(unlink(address.sun_path), 0);
    CHECK_ERRNO(unlink("/tmp/second"), ENOENT);
}

static void odd_paths(void)
{
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    name_path("odd");
    struct sockaddr_un there = {AF_UNIX, "/tmp"}, deep = {AF_UNIX, "/tmp/none-such/name"};
    CHECK_ERRNO(bind(made, (struct sockaddr *)&there, sizeof(there)), EADDRINUSE);
    CHECK_ERRNO(bind(made, (struct sockaddr *)&deep, sizeof(deep)), ENOENT);
    CHECK_ERRNO(connect(made, (struct sockaddr *)&there, sizeof(there)), ECONNREFUSED);
    CHECK_ERRNO(connect(made, (struct sockaddr *)&deep, sizeof(deep)), ENOENT);
    address.sun_family = AF_INET;
    CHECK_ERRNO(bind_it(made), EINVAL);
    CHECK_ERRNO(connect_it(made), EINVAL);
    address.sun_family = AF_UNIX;
    CHECK_ERRNO(bind(made, (struct sockaddr *)&address, 1), EINVAL);
    CHECK_ERRNO(bind(made, (struct sockaddr *)&address, 111), EINVAL);
    CHECK_ERRNO(bind(made, (struct sockaddr *)&address, 129), EINVAL);
    CHECK_ERRNO(bind(made, (struct sockaddr *)&address, (socklen_t)-1), EINVAL);
    CHECK_ERRNO(bind(made, (struct sockaddr *)8, 110), EFAULT);
    CHECK_ERRNO(connect(made, (struct sockaddr *)&address, 2), EINVAL);
    /* a path of the whole field, without a NUL, relative */
    memset(address.sun_path, 'x', sizeof(address.sun_path));
    CHECK_EQUAL(chdir("/tmp"), 0);
    CHECK_EQUAL(bind_it(made), 0);
    struct {
        struct sockaddr_un name;
        char more[4];
    } whole;
    socklen_t bytes = sizeof(whole);
    CHECK_EQUAL(getsockname(made, (struct sockaddr *)&whole, &bytes), 0);
    CHECK_EQUAL(bytes, 111);
    char path[109] = "";
    memcpy(path, address.sun_path, 108);
    CHECK_EQUAL(unlink(path), 0);
    CHECK_EQUAL(chdir("/"), 0);
    CHECK_EQUAL(close(made), 0);
}

static void abstract_names(void)
{
    name_abstract("abstract");
    int one = socket(AF_UNIX, SOCK_STREAM, 0);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect_it(one), ECONNREFUSED);
    CHECK_EQUAL(bind_it(one), 0);
    CHECK_ERRNO(bind_it(other), EADDRINUSE);
    CHECK_ERRNO(connect_it(other), ECONNREFUSED); /* nobody listens */
    CHECK_EQUAL(own_name(one), 0);
    CHECK(got_bytes == address_bytes && memcmp(&got, &address, address_bytes) == 0);
    CHECK_EQUAL(listen(one, 1), 0);
    CHECK_EQUAL(connect_it(other), 0);
    CHECK_EQUAL(peer_name(other), 0);
    CHECK(got_bytes == address_bytes && memcmp(&got, &address, address_bytes) == 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
    one = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(bind_it(one), 0); /* the name went with its socket */
    address_bytes--;              /* another name: the length counts */
    other = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(bind_it(other), 0);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
}

static void chosen_names(void)
{
    struct sockaddr_un none = {AF_UNIX, ""}, first;
    int one = socket(AF_UNIX, SOCK_DGRAM, 0);
    int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQUAL(bind(one, (struct sockaddr *)&none, 2), 0);
    CHECK_EQUAL(own_name(one), 0);
    CHECK(got_bytes == 8 && got.sun_path[0] == 0);
    CHECK(strspn(got.sun_path + 1, "0123456789abcdef") >= 5);
    first = got;
    CHECK_EQUAL(bind(one, (struct sockaddr *)&none, 2), 0); /* it has one */
    CHECK_EQUAL(bind(other, (struct sockaddr *)&none, 2), 0);
    CHECK_EQUAL(own_name(other), 0);
    CHECK(got_bytes == 8 && memcmp(&got, &first, 8) != 0);
    CHECK_EQUAL(sendto(other, "x", 1, 0, (struct sockaddr *)&first, 8), 1);
    CHECK_EQUAL(close(one), 0);
    CHECK_EQUAL(close(other), 0);
}

static void accepting(void)
{
    char byte;
    name_path("accepting");
    int listener = listener_at(SOCK_STREAM, 3);
    CHECK_EQUAL(option_of(listener, SO_ACCEPTCONN), 1);
    CHECK_EQUAL(events_of(listener), 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(peer_name(client), ENOTCONN);
    CHECK_EQUAL(connect_it(client), 0);
    CHECK_ERRNO(connect_it(client), EISCONN);
    CHECK_ERRNO(listen(client, 1), EINVAL);
    CHECK_EQUAL(write(client, "early", 5), 5); /* before it is accepted */
    CHECK_EQUAL(events_of(listener), POLLIN);
    got_bytes = sizeof(got);
    int server =
        accept4(listener, (struct sockaddr *)&got, &got_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(server >= 0);
    CHECK(got_bytes == 2 && got.sun_family == AF_UNIX);
    CHECK_EQUAL(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_EQUAL(fcntl(server, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(read(server, &byte, 1), 1);
    CHECK_EQUAL(byte, 'e');
    CHECK_EQUAL(own_name(server), 0);
    CHECK(strcmp(got.sun_path, address.sun_path) == 0);
    CHECK_EQUAL(peer_name(client), 0);
    CHECK(strcmp(got.sun_path, address.sun_path) == 0);
    CHECK_EQUAL(peer_name(server), 0);
    CHECK_EQUAL(got_bytes, 2);
    CHECK_ERRNO(accept(client, NULL, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_accept4, listener, NULL, NULL, 1), EINVAL); /* musl tries again */
    CHECK_ERRNO(accept(STDERR_FILENO, NULL, NULL), ENOTSOCK);
    CHECK_EQUAL(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    CHECK_ERRNO(read(listener, &byte, 1), EINVAL);
    CHECK_ERRNO(write(listener, &byte, 1), ENOTCONN);
    CHECK_ERRNO(connect_it(listener), EINVAL);
    CHECK_EQUAL(unlink(address.sun_path), 0); /* connections live on */
    CHECK_EQUAL(write(server, "x", 1), 1);
    CHECK_EQUAL(read(client, &byte, 1), 1);
    CHECK_EQUAL(close(listener), 0);
    CHECK_EQUAL(write(server, "y", 1), 1);
    CHECK_EQUAL(close(server), 0);
    CHECK_EQUAL(close(client), 0);
    int named = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(listen(named, 1), EINVAL); /* it has no name */
    CHECK_EQUAL(close(named), 0);
    int datagrams = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERRNO(listen(datagrams, 1), EOPNOTSUPP);
    CHECK_ERRNO(accept(datagrams, NULL, NULL), EOPNOTSUPP);
    CHECK_EQUAL(close(datagrams), 0);
}

static void wrong_types(void)
{
    name_path("types");
    int listener = listener_at(SOCK_SEQPACKET, 1);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect_it(client), EPROTOTYPE);
    CHECK_EQUAL(close(client), 0);
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERRNO(connect_it(client), EPROTOTYPE);
    CHECK_EQUAL(close(client), 0);
    CHECK_EQUAL(close(listener), 0);
    CHECK_EQUAL(unlink(address.sun_path), 0);
    /* abstract names of each type are for themselves */
    name_abstract("types");
    listener = listener_at(SOCK_STREAM, 1);
    client = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_ERRNO(connect_it(client), ECONNREFUSED);
    CHECK_EQUAL(bind_it(client), 0);
    CHECK_EQUAL(close(client), 0);
    CHECK_EQUAL(close(listener), 0);
}

static void *connect_blocked(void *argument)
{
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    check_pin(1);
    call_result = connect_it(client);
    call_error = errno;
    CHECK_EQUAL(close(client), 0);
    return argument;
}

static void backlog(void)
{
    struct timeval time = {0, 20000};
    int clients[3];
    name_abstract("backlog");
    int listener = listener_at(SOCK_STREAM, 1);
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    }
    CHECK_EQUAL(connect_it(clients[0]), 0); /* one more than the backlog says */
    CHECK_EQUAL(connect_it(clients[1]), 0);
    CHECK_ERRNO(connect_it(clients[2]), EAGAIN);
    CHECK_EQUAL(fcntl(clients[2], F_SETFL, 0), 0);
    CHECK_EQUAL(setsockopt(clients[2], SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)), 0);
    CHECK_ERRNO(connect_it(clients[2]), EAGAIN);
    pthread_t thread = check_thread(connect_blocked, NULL);
    threads_await_waiting(1);
    int server = accept(listener, NULL, NULL);
    CHECK(server >= 0);
    check_join(thread);
    CHECK_EQUAL(call_result, 0);
    thread = check_thread(connect_blocked, NULL);
    threads_await_waiting(1);
    CHECK_EQUAL(close(listener), 0); /* resets who was not accepted, refuses who waits */
    check_join(thread);
    CHECK(call_result == -1 && call_error == ECONNREFUSED);
    char byte;
    CHECK_ERRNO(read(clients[1], &byte, 1), ECONNRESET);
    CHECK_EQUAL(events_of(clients[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
    CHECK_EQUAL(close(server), 0);
    CHECK_EQUAL(read(clients[0], &byte, 1), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(close(clients[i]), 0);
    }
}

static void *accept_blocked(void *listener)
{
    check_pin(1);
    call_result = accept(*(int *)listener, NULL, NULL);
    call_error = errno;
    return NULL;
}

static void accept_waits(void)
{
    name_abstract("waits");
    int listener = listener_at(SOCK_STREAM, 4);
    pthread_t thread = check_thread(accept_blocked, &listener);
    threads_await_waiting(1);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(connect_it(client), 0);
    check_join(thread);
    CHECK(call_result >= 0);
    CHECK_EQUAL(close((int)call_result), 0);
    CHECK_EQUAL(close(client), 0);
    for (int i = 0; i < 3; i++) {
        thread = check_thread(accept_blocked, &listener);
        threads_await_waiting(i % 2); /* or perhaps before it waits */
        CHECK_EQUAL(pthread_cancel(thread), 0);
        CHECK(check_join(thread) == PTHREAD_CANCELED);
    }
    install(SIGUSR1, 0);
    thread = check_thread(accept_blocked, &listener);
    threads_await_waiting(1);
    CHECK_EQUAL(pthread_kill(thread, SIGUSR1), 0);
    check_join(thread);
    CHECK(call_result == -1 && call_error == EINTR && handled == 1);
    thread = check_thread(accept_blocked, &listener);
    threads_await_waiting(1);
    CHECK_EQUAL(shutdown(listener, SHUT_RD), 0);
    check_join(thread);
    CHECK(call_result == -1 && call_error == EINVAL);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_ERRNO(connect_it(client), ECONNREFUSED);
    CHECK_EQUAL(close(client), 0);
    CHECK_EQUAL(close(listener), 0);
}

static void name_pointers(void)
{
    name_abstract("pointers");
    int listener = listener_at(SOCK_STREAM, 4);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    got_bytes = 3; /* cut, and the whole length told */
    CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&got, &got_bytes), 0);
    CHECK_EQUAL(got_bytes, address_bytes);
    got_bytes = (socklen_t)-1;
    CHECK_ERRNO(getsockname(listener, (struct sockaddr *)&got, &got_bytes), EINVAL);
    got_bytes = sizeof(got);
    CHECK_ERRNO(getsockname(listener, (struct sockaddr *)8, &got_bytes), EFAULT);
    CHECK_ERRNO(getsockname(listener, (struct sockaddr *)&got, (socklen_t *)8), EFAULT);
    CHECK_ERRNO(getsockname(STDERR_FILENO, (struct sockaddr *)&got, &got_bytes), ENOTSOCK);
    CHECK_EQUAL(connect_it(client), 0);
    CHECK_ERRNO(accept(listener, (struct sockaddr *)&got, (socklen_t *)8), EFAULT);
    char byte;
    CHECK_EQUAL(read(client, &byte, 1), 0); /* the connection went with the failure */
    CHECK_EQUAL(close(client), 0);
    CHECK_EQUAL(close(listener), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"paths", paths},
        {"odd_paths", odd_paths},
        {"abstract_names", abstract_names},
        {"chosen_names", chosen_names},
        {"accepting", accepting},
        {"wrong_types", wrong_types},
        {"backlog", backlog},
        {"accept_waits", accept_waits},
        {"name_pointers", name_pointers},
    };
    return CHECK_MAIN(cases);
}
