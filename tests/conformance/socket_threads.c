/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets between threads of all cores: bytes and messages with checksums, servers with
 * epoll, several readers of one socket, files that wander, sockets that close under the others'
 * calls, and descriptors and buffers used up and given back. Fault injection: --break CASE; --count
 * N scales.
 *
 * @verifies ATL-HLR-CONF-0700~1 ATL-LLR-NET-0704~1 ATL-LLR-NET-0705~1 ATL-LLR-NET-0717~1
 * @verifies ATL-LLR-NET-0718~1 ATL-LLR-NET-0719~1 ATL-LLR-NET-0721~1 */
#include "sockets.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#define BYTES_MAX 5000
#define SENDERS 4

static struct sockaddr_un address;
static socklen_t address_bytes;
static long received;

static void name_it(const char *name)
{
    memset(&address, 0, sizeof(address));
    address.sun_family = AF_UNIX;
    int bytes = snprintf(address.sun_path + 1, 100, "threads-%s-%d", name, (int)getpid());
    address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
}

static int connected(void)
{
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(made >= 0);
    CHECK_EQUAL(connect(made, (struct sockaddr *)&address, address_bytes), 0);
    return made;
}

static void write_all(int to, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t part = write(to, (const char *)bytes + done, size - done);
        CHECK(part > 0);
        done += (size_t)part;
    }
}

/* Bytes that a seed tells, and how many of them: what one sends the other can make too. */
static size_t make_bytes(unsigned long long *seed, unsigned char *bytes)
{
    size_t size = 1 + check_random(seed) % BYTES_MAX;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)check_random(seed);
    }
    return size;
}

static void *send_stream(void *end)
{
    unsigned char bytes[BYTES_MAX];
    unsigned long long seed = 3;
    check_pin(1);
    for (long i = 0; i < check_count(100); i++) {
        size_t size = make_bytes(&seed, bytes);
        write_all(*(int *)end, bytes, size);
    }
    CHECK_EQUAL(shutdown(*(int *)end, SHUT_WR), 0);
    return end;
}

/* Both directions at once, four threads. */
static void streams_both_ways(void)
{
    unsigned char bytes[BYTES_MAX], got[BYTES_MAX];
    pthread_t threads[2];
    make_pair(SOCK_STREAM);
    for (int i = 0; i < 2; i++) {
        threads[i] = check_thread(send_stream, &pair[i]);
    }
    check_pin(0);
    unsigned long long seeds[2] = {3, 3};
    for (long n = 0; n < check_count(100); n++) {
        for (int i = 0; i < 2; i++) {
            size_t size = make_bytes(&seeds[i], bytes);
            CHECK_EQUAL(recv(pair[i], got, size, MSG_WAITALL), size);
            CHECK(memcmp(got, bytes, size) == 0);
        }
    }
    CHECK_EQUAL(read(pair[0], got, 1), 0);
    CHECK_EQUAL(read(pair[1], got, 1), 0);
    check_join(threads[0]);
    check_join(threads[1]);
    close_pair();
    check_unpin();
}

/* That each client makes. */
static long connections(void)
{
    return 1 + check_count(100) / 10;
}

/* An echo server that serves all connections with one epoll instance. */
static void *serve(void *listener)
{
    int epoll = epoll_create1(0), open = 0, accepted = 0;
    long clients = SENDERS * connections();
    char bytes[1000];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = *(int *)listener};
    check_pin(0);
    CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, *(int *)listener, &event), 0);
    while (accepted < clients || open != 0) {
        CHECK_EQUAL(epoll_wait(epoll, &event, 1, -1), 1);
        if (event.data.fd == *(int *)listener) {
            event.data.fd = accept4(*(int *)listener, NULL, NULL, SOCK_CLOEXEC);
            CHECK(event.data.fd >= 0);
            event.events = EPOLLIN | EPOLLRDHUP;
            CHECK_EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event), 0);
            open++;
            accepted++;
            continue;
        }
        ssize_t got = read(event.data.fd, bytes, sizeof(bytes));
        CHECK(got >= 0);
        if (got == 0) {
            CHECK_EQUAL(close(event.data.fd), 0);
            open--;
        } else {
            write_all(event.data.fd, bytes, (size_t)got);
        }
    }
    CHECK_EQUAL(close(epoll), 0);
    return listener;
}

static void *ask(void *argument)
{
    unsigned char bytes[BYTES_MAX], got[BYTES_MAX];
    long number = (long)argument;
    unsigned long long seed = (unsigned long long)number + 1;
    check_pin((int)number + 1);
    for (long i = 0; i < connections(); i++) {
        int made = connected();
        for (int round = 0; round < 5; round++) {
            size_t size = make_bytes(&seed, bytes);
            write_all(made, bytes, size);
            CHECK_EQUAL(recv(made, got, size, MSG_WAITALL), size);
            CHECK(memcmp(bytes, got, size) == 0);
        }
        CHECK_EQUAL(close(made), 0);
    }
    return NULL;
}

static void server_and_clients(void)
{
    pthread_t threads[SENDERS + 1];
    name_it("server");
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(bind(listener, (struct sockaddr *)&address, address_bytes), 0);
    CHECK_EQUAL(listen(listener, 2), 0);
    threads[SENDERS] = check_thread(serve, &listener);
    for (long i = 0; i < SENDERS; i++) {
        threads[i] = check_thread(ask, (void *)i);
    }
    for (int i = 0; i <= SENDERS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(close(listener), 0);
}

struct parcel {
    long sender, number;
    unsigned long long sum;
    unsigned char bytes[200];
};

static unsigned long long sum_of(const struct parcel *parcel)
{
    unsigned long long sum = (unsigned long long)(parcel->sender * 31 + parcel->number);
    for (size_t i = 0; i < sizeof(parcel->bytes); i++) {
        sum = sum * 33 + parcel->bytes[i];
    }
    return sum;
}

static void *send_parcels(void *argument)
{
    struct parcel parcel = {.sender = (long)argument};
    unsigned long long seed = (unsigned long long)parcel.sender + 9;
    int made = socket(AF_UNIX, SOCK_DGRAM, 0);
    check_pin((int)parcel.sender);
    for (parcel.number = 0; parcel.number < check_count(100); parcel.number++) {
        for (size_t i = 0; i < sizeof(parcel.bytes); i++) {
            parcel.bytes[i] = (unsigned char)check_random(&seed);
        }
        parcel.sum = sum_of(&parcel);
        CHECK_EQUAL(
            sendto(made, &parcel, sizeof(parcel), 0, (struct sockaddr *)&address, address_bytes),
            sizeof(parcel));
    }
    CHECK_EQUAL(close(made), 0);
    return NULL;
}

/* Datagrams of several cores into one socket: each once, those of a sender in order. */
static void many_senders(void)
{
    pthread_t threads[SENDERS];
    long next[SENDERS] = {0};
    struct parcel parcel;
    name_it("parcels");
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_EQUAL(bind(receiver, (struct sockaddr *)&address, address_bytes), 0);
    for (long i = 0; i < SENDERS; i++) {
        threads[i] = check_thread(send_parcels, (void *)i);
    }
    for (long n = 0; n < SENDERS * check_count(100); n++) {
        CHECK_EQUAL(recv(receiver, &parcel, sizeof(parcel), 0), sizeof(parcel));
        CHECK_EQUAL(parcel.sum, sum_of(&parcel));
        CHECK(parcel.sender >= 0 && parcel.sender < SENDERS);
        CHECK_EQUAL(parcel.number, next[parcel.sender]);
        next[parcel.sender]++;
    }
    for (int i = 0; i < SENDERS; i++) {
        check_join(threads[i]);
    }
    CHECK_ERRNO(recv(receiver, &parcel, sizeof(parcel), MSG_DONTWAIT), EAGAIN);
    CHECK_EQUAL(close(receiver), 0);
}

static long long total;

static void *take_parcels(void *core)
{
    long value;
    check_pin((int)(long)core);
    while (recv(pair[1], &value, sizeof(value), 0) == (ssize_t)sizeof(value)) {
        __atomic_fetch_add(&total, value, __ATOMIC_RELAXED);
        __atomic_fetch_add(&received, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* One socket that several threads read: no packet is seen twice or lost, and all see the end. */
static void many_readers(void)
{
    pthread_t threads[SENDERS];
    long count = 10 * check_count(100);
    received = 0;
    total = 0;
    make_pair(SOCK_SEQPACKET);
    for (long i = 0; i < SENDERS; i++) {
        threads[i] = check_thread(take_parcels, (void *)i);
    }
    for (long i = 1; i <= count; i++) {
        CHECK_EQUAL(write(pair[0], &i, sizeof(i)), sizeof(i));
    }
    CHECK_EQUAL(close(pair[0]), 0);
    for (int i = 0; i < SENDERS; i++) {
        check_join(threads[i]);
    }
    CHECK_EQUAL(received, count);
    CHECK_EQUAL(total, (long long)count * (count + 1) / 2);
    CHECK_EQUAL(close(pair[1]), 0);
}

static void send_file(int to, int file)
{
    struct {
        struct cmsghdr header;
        int file;
    } control = {{.cmsg_len = CMSG_LEN(4), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS},
                 file};
    struct iovec part = {&file, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    CHECK_EQUAL(sendmsg(to, &message, 0), 1);
}

static int receive_file(int from)
{
    struct {
        struct cmsghdr header;
        int file, padding;
    } control = {.file = -1};
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    CHECK_EQUAL(recvmsg(from, &message, 0), 1);
    CHECK_EQUAL(message.msg_flags, 0);
    return control.file;
}

static void *count_up(void *argument)
{
    check_pin(1);
    for (long i = 0; i < check_count(100); i++) {
        int file = receive_file(pair[1]);
        uint64_t one = 1;
        CHECK_EQUAL(write(file, &one, sizeof(one)), sizeof(one));
        CHECK_EQUAL(close(file), 0);
    }
    return argument;
}

/* A file crosses to another core, is used and closed there. */
static void wandering_files(void)
{
    make_pair(SOCK_STREAM);
    check_pin(0);
    pthread_t thread = check_thread(count_up, NULL);
    for (long i = 0; i < check_count(100); i++) {
        int event = eventfd(0, 0);
        uint64_t value = 0;
        send_file(pair[0], event);
        CHECK_EQUAL(read(event, &value, sizeof(value)), sizeof(value));
        CHECK_EQUAL(value, 1);
        CHECK_EQUAL(close(event), 0);
    }
    check_join(thread);
    close_pair();
    check_unpin();
}

static void *disturb(void *argument)
{
    long number = (long)argument;
    unsigned long long seed = (unsigned long long)number + 77;
    check_pin((int)number);
    for (long i = 0; i < check_count(100); i++) {
        char bytes[64] = "";
        int made = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int result = connect(made, (struct sockaddr *)&address, address_bytes);
        CHECK(result == 0 || errno == EAGAIN || errno == ECONNREFUSED);
        switch (check_random(&seed) % 4) {
        case 0:
            (void)shutdown(made, (int)(check_random(&seed) % 3));
            break;
        case 1:
            CHECK(send(made, bytes, 64, MSG_NOSIGNAL) == 64 || errno == EPIPE || errno == ENOTCONN);
            break;
        case 2:
            CHECK(recv(made, bytes, 64, 0) >= 0 || errno == EAGAIN || errno == EINVAL ||
                  errno == ECONNRESET);
            break;
        default:
            break;
        }
        CHECK_EQUAL(close(made), 0);
    }
    __atomic_fetch_add(&received, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Sockets that close at any point of each other's calls; the listener goes and comes. */
static void closing_at_random(void)
{
    pthread_t threads[SENDERS];
    received = 0;
    name_it("random");
    for (long i = 0; i < SENDERS; i++) {
        threads[i] = check_thread(disturb, (void *)i);
    }
    for (long n = 0; __atomic_load_n(&received, __ATOMIC_ACQUIRE) < SENDERS; n++) {
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        CHECK_EQUAL(bind(listener, (struct sockaddr *)&address, address_bytes), 0);
        CHECK_EQUAL(listen(listener, 3), 0);
        for (int i = 0; i < 20; i++) {
            char bytes[64];
            int made = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (made < 0) {
                CHECK_EQUAL(errno, EAGAIN);
                sched_yield();
                continue;
            }
            (void)send(made, bytes, n % 64, MSG_NOSIGNAL);
            (void)recv(made, bytes, sizeof(bytes), 0);
            CHECK_EQUAL(close(made), 0);
        }
        CHECK_EQUAL(close(listener), 0);
    }
    for (int i = 0; i < SENDERS; i++) {
        check_join(threads[i]);
    }
}

static int open_count(void)
{
    int count = 0;
    for (int i = 0; i < 1024; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

/* No descriptor is left: each call says so, and leaves nothing behind. */
static void no_descriptors(void)
{
    struct rlimit old;
    int before = open_count(), ends[2];
    name_it("none");
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQUAL(bind(listener, (struct sockaddr *)&address, address_bytes), 0);
    CHECK_EQUAL(listen(listener, 3), 0);
    int client = connected();
    int last = dup(0);
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct rlimit limit = {(rlim_t)last + 1, old.rlim_max};
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EMFILE);
    CHECK_ERRNO(accept(listener, NULL, NULL), EMFILE);
    CHECK_EQUAL(close(last), 0);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), EMFILE); /* one is too few */
    int server = accept(listener, NULL, NULL);                      /* which waited all the time */
    CHECK_EQUAL(server, last);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQUAL(write(client, "x", 1), 1);
    CHECK_EQUAL(close(server), 0);
    CHECK_EQUAL(close(client), 0);
    CHECK_EQUAL(close(listener), 0);
    CHECK_EQUAL(open_count(), before);
}

/* More bytes through queues that are never read than there is memory: closing gives them back. */
static void full_buffers(void)
{
    static char bytes[60000];
    int before = open_count();
    for (long i = 0; i < check_count(100) * 10; i++) {
        make_pair(i % 2 == 0 ? SOCK_STREAM : SOCK_SEQPACKET);
        for (int end = 0; end < 2; end++) {
            long sent = 0;
            for (ssize_t part; (part = send(pair[end], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0;) {
                sent += part;
            }
            CHECK_EQUAL(errno, EAGAIN);
            CHECK(sent >= 60000);
        }
        close_pair();
    }
    CHECK_EQUAL(open_count(), before);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"streams_both_ways", streams_both_ways}, {"server_and_clients", server_and_clients},
        {"many_senders", many_senders},           {"many_readers", many_readers},
        {"wandering_files", wandering_files},     {"closing_at_random", closing_at_random},
        {"no_descriptors", no_descriptors},       {"full_buffers", full_buffers},
    };
    return CHECK_MAIN(cases);
}
