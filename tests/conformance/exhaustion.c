/* SPDX-License-Identifier: Apache-2.0 */
/* Takes all there is of something, sees the error that Linux names for it, gives it all back, and
 * must then get exactly as much again: descriptors, threads, timers, locks, memory, files. What has
 * no end within --count (3,000) attempts is left at that number. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0050~1 @robust */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define ATTEMPTS_MAX 3000
#define ROUNDS 3
#define DESCRIPTORS_LIMIT 400

static union {
    int descriptor;
    timer_t timer;
    pthread_t thread;
    void *memory;
} taken[ATTEMPTS_MAX];

/* One more of the kind into taken[i]; 0 or an errno. */
struct kind {
    int (*take)(long i);
    void (*give_back)(long i);
    int error;
};

static long take_all(const struct kind *kind)
{
    long count = 0;
    int error = 0;
    while (count < check_count(ATTEMPTS_MAX) && (error = kind->take(count)) == 0) {
        count++;
    }
    CHECK(error == 0 || error == kind->error);
    return count;
}

static void rounds(const struct kind *kind)
{
    long first = 0;
    for (int round = 0; round < ROUNDS; round++) {
        long count = take_all(kind);
        CHECK(count > 10);
        for (long i = 0; i < count; i++) {
            kind->give_back(i);
        }
        CHECK(round == 0 || count == first);
        first = count;
    }
}

static int keep_descriptor(long i, int descriptor)
{
    taken[i].descriptor = descriptor;
    return descriptor < 0 ? errno : 0;
}

static int take_descriptor(long i)
{
    switch (i % 4) {
    case 0:
        return keep_descriptor(i, open("/dev/null", O_RDWR));
    case 1:
        return keep_descriptor(i, eventfd(0, 0));
    case 2:
        return keep_descriptor(i, epoll_create1(0));
    default:
        return keep_descriptor(i, timerfd_create(CLOCK_MONOTONIC, 0));
    }
}

static void close_descriptor(long i)
{
    CHECK_EQUAL(close(taken[i].descriptor), 0);
}

static void descriptors(void)
{
    static const struct kind kind = {take_descriptor, close_descriptor, EMFILE};
    struct rlimit old, limit;
    CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = (struct rlimit){DESCRIPTORS_LIMIT, old.rlim_max};
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    rounds(&kind);
    CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
}

static int take_timer(long i)
{
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    return timer_create(CLOCK_MONOTONIC, &none, &taken[i].timer) == 0 ? 0 : errno;
}

static void delete_timer(long i)
{
    CHECK_EQUAL(timer_delete(taken[i].timer), 0);
}

static void timers(void)
{
    static const struct kind kind = {take_timer, delete_timer, EAGAIN};
    rounds(&kind);
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *wait_for_gate(void *argument)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return argument;
}

static int take_thread(long i)
{
    pthread_attr_t attributes;
    CHECK_EQUAL(pthread_attr_init(&attributes), 0);
    CHECK_EQUAL(pthread_attr_setstacksize(&attributes, 16384), 0);
    int error = pthread_create(&taken[i].thread, &attributes, wait_for_gate, NULL);
    CHECK_EQUAL(pthread_attr_destroy(&attributes), 0);
    return error;
}

static void join_thread(long i)
{
    if (i == 0) {
        pthread_mutex_unlock(&gate);
    }
    check_join(taken[i].thread);
}

/* Between rounds nobody holds the gate: the first to be joined has opened it. */
static int take_thread_closed(long i)
{
    if (i == 0) {
        pthread_mutex_lock(&gate);
    }
    return take_thread(i);
}

static void threads(void)
{
    static const struct kind kind = {take_thread_closed, join_thread, EAGAIN};
    rounds(&kind);
}

/* Written pages, up to a quarter of what --count allows: a limit of the address space would be met
 * by mmap, a lack of memory only by its use, which is fatal on Linux, too. */
#define PIECE_BYTES (64 << 10)
static int take_memory(long i)
{
    taken[i].memory =
        mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (taken[i].memory == MAP_FAILED) {
        return errno;
    }
    if (i < check_count(ATTEMPTS_MAX) / 8) {
        memset(taken[i].memory, 1, PIECE_BYTES);
    }
    return 0;
}

static void unmap_memory(long i)
{
    CHECK_EQUAL(munmap(taken[i].memory, PIECE_BYTES), 0);
}

static void memory(void)
{
    static const struct kind kind = {take_memory, unmap_memory, ENOMEM};
    rounds(&kind);
}

static void file_name(char *name, size_t bytes, long i)
{
    snprintf(name, bytes, "/tmp/exhaustion.%d/%ld", (int)getpid(), i);
}

static int take_file(long i)
{
    char name[64];
    static const char content[5000];
    file_name(name, sizeof(name), i);
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0) {
        return errno;
    }
    int error = write(file, content, sizeof(content)) == sizeof(content) ? 0 : ENOSPC;
    CHECK_EQUAL(close(file), 0);
    if (error != 0) {
        CHECK_EQUAL(unlink(name), 0);
    }
    return error;
}

static void remove_file(long i)
{
    char name[64];
    file_name(name, sizeof(name), i);
    CHECK_EQUAL(unlink(name), 0);
}

static void files(void)
{
    static const struct kind kind = {take_file, remove_file, ENOSPC};
    char folder[64];
    snprintf(folder, sizeof(folder), "/tmp/exhaustion.%d", (int)getpid());
    CHECK_EQUAL(mkdirat(AT_FDCWD, folder, 0700), 0);
    rounds(&kind);
    CHECK_EQUAL(rmdir(folder), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {{"descriptors", descriptors},
                                              {"timers", timers},
                                              {"threads", threads},
                                              {"memory", memory},
                                              {"files", files}};
    return CHECK_MAIN(cases);
}
