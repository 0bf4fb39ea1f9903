/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks within one process: record locks of the process and of open files, and flock. What
 * a process holds is seen through an open-file lock, which excludes it. Fault injection: --break
 * CASE.
 *
 * @verifies ATL-HLR-CONF-0015~1 ATL-LLR-FILE-0036~1 */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>

#define PATH "/tmp/conformance-locks"

static int open_again(int flags)
{
    int fd = open(PATH, flags | O_CREAT, 0600);
    CHECK(fd >= 0);
    return fd;
}

static int lock(int fd, int command, short type, off_t start, off_t length)
{
    struct flock flock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &flock);
}

/* What an open-file write lock on [start, start + length) would meet. */
static void expect_held(int fd, off_t start, off_t length, short type, off_t held_start,
                        off_t held_length)
{
    struct flock flock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    CHECK_EQUAL(fcntl(fd, F_OFD_GETLK, &flock), 0);
    CHECK_EQUAL(flock.l_type, type);
    if (type != F_UNLCK) {
        CHECK_EQUAL(flock.l_start, held_start);
        CHECK_EQUAL(flock.l_len, held_length);
        CHECK_EQUAL(flock.l_pid, getpid());
        CHECK_EQUAL(flock.l_whence, SEEK_SET);
    }
}

/* The locking protocol of SQLite: one process never excludes itself. */
static void process_locks(void)
{
    const off_t pending = 0x40000000, reserved = pending + 1, shared_first = pending + 2;
    unlink(PATH);
    int fd = open_again(O_RDWR), other = open_again(O_RDWR);
    CHECK_EQUAL(lock(fd, F_SETLK, F_RDLCK, pending, 1), 0);
    CHECK_EQUAL(lock(fd, F_SETLK, F_RDLCK, shared_first, 510), 0);
    CHECK_EQUAL(lock(fd, F_SETLK, F_UNLCK, pending, 1), 0);
    CHECK_EQUAL(lock(fd, F_SETLK, F_WRLCK, reserved, 1), 0);
    CHECK_EQUAL(lock(other, F_SETLK, F_WRLCK, reserved, 1), 0);
    struct flock flock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = reserved, .l_len = 1, .l_pid = 77};
    CHECK_EQUAL(fcntl(other, F_GETLK, &flock), 0);
    CHECK(flock.l_type == F_UNLCK && flock.l_start == reserved && flock.l_pid == 77);
    CHECK_EQUAL(lock(fd, F_SETLKW, F_WRLCK, shared_first, 510), 0);
    expect_held(fd, shared_first, 1, F_WRLCK, reserved, 511); /* joined */
    CHECK_EQUAL(lock(fd, F_SETLK, F_UNLCK, 0, 0), 0);
    expect_held(fd, 0, 0, F_UNLCK, 0, 0);
    close(fd);
    close(other);
}

static void ranges(void)
{
    int fd = open_again(O_RDWR);
    CHECK_EQUAL(lock(fd, F_SETLK, F_WRLCK, 100, 100), 0);
    CHECK_EQUAL(lock(fd, F_SETLK, F_RDLCK, 140, 20), 0); /* splits */
    expect_held(fd, 100, 40, F_WRLCK, 100, 40);
    expect_held(fd, 145, 1, F_RDLCK, 140, 20);
    expect_held(fd, 160, 1, F_WRLCK, 160, 40);
    CHECK_EQUAL(lock(fd, F_SETLK, F_UNLCK, 150, 1), 0);
    expect_held(fd, 150, 1, F_UNLCK, 0, 0);
    expect_held(fd, 151, 1, F_RDLCK, 151, 9);
    CHECK_EQUAL(lock(fd, F_SETLK, F_WRLCK, 140, 20), 0); /* joins all */
    expect_held(fd, 150, 1, F_WRLCK, 100, 100);
    CHECK_EQUAL(lock(fd, F_SETLK, F_WRLCK, 1000, 0), 0);
    expect_held(fd, 5000, 1, F_WRLCK, 1000, 0);
    struct flock flock = {.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 60, .l_len = -10};
    CHECK_EQUAL(fcntl(fd, F_SETLK, &flock), 0);
    expect_held(fd, 55, 1, F_WRLCK, 50, 10);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 5, -6), EINVAL);
    CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0x7fffffffffffffff, 2), EOVERFLOW);
    CHECK_ERRNO(lock(fd, F_SETLK, 9, 0, 1), EINVAL);
    CHECK_ERRNO(lock(fd, F_GETLK, F_UNLCK, 0, 1), EINVAL);
    CHECK_ERRNO(lock(99, F_SETLK, F_WRLCK, 0, 1), EBADF);
    int reader = open_again(O_RDONLY);
    CHECK_ERRNO(lock(reader, F_SETLK, F_WRLCK, 0, 1), EBADF);
    expect_held(fd, 0, 0, F_WRLCK, 50, 10);
    CHECK_EQUAL(close(reader), 0); /* any descriptor of the file: all are gone */
    expect_held(fd, 0, 0, F_UNLCK, 0, 0);
    close(fd);
}

static void open_file_locks(void)
{
    int one = open_again(O_RDWR), two = open_again(O_RDWR), same = dup(one);
    CHECK_EQUAL(lock(one, F_OFD_SETLK, F_RDLCK, 0, 10), 0);
    CHECK_EQUAL(lock(two, F_OFD_SETLK, F_RDLCK, 5, 10), 0);
    CHECK_ERRNO(lock(two, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
    CHECK_EQUAL(lock(same, F_OFD_SETLK, F_WRLCK, 0, 5), 0);
    CHECK_ERRNO(lock(two, F_SETLK, F_RDLCK, 0, 1), EAGAIN); /* the process is another owner */
    struct flock flock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 3};
    CHECK_EQUAL(fcntl(two, F_GETLK, &flock), 0);
    CHECK(flock.l_type == F_WRLCK && flock.l_start == 0 && flock.l_len == 5 && flock.l_pid == -1);
    flock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 1};
    CHECK_ERRNO(fcntl(two, F_OFD_SETLK, &flock), EINVAL);
    CHECK_EQUAL(close(one), 0);
    CHECK_ERRNO(lock(two, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN); /* dup keeps the open file */
    CHECK_EQUAL(close(same), 0);
    CHECK_EQUAL(lock(two, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
    close(two);
}

static void whole_files(void)
{
    int one = open_again(O_RDONLY), two = open_again(O_RDWR), same = dup(one);
    CHECK_EQUAL(flock(one, LOCK_SH), 0);
    CHECK_EQUAL(flock(two, LOCK_SH | LOCK_NB), 0);
    CHECK_ERRNO(flock(two, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_EQUAL(flock(one, LOCK_EX | LOCK_NB), 0); /* two lost its own by the attempt */
    CHECK_ERRNO(flock(two, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_EQUAL(lock(two, F_OFD_SETLK, F_WRLCK, 0, 0), 0); /* another kind of lock */
    CHECK_EQUAL(flock(same, LOCK_UN), 0);
    CHECK_EQUAL(flock(two, LOCK_EX | LOCK_NB), 0);
    CHECK_EQUAL(close(two), 0);
    CHECK_EQUAL(flock(one, LOCK_EX | LOCK_NB), 0);
    CHECK_ERRNO(flock(one, 0), EINVAL);
    CHECK_ERRNO(flock(99, LOCK_SH), EBADF);
    close(one);
    close(same);
}

static _Atomic int inside, waits;

static void *take_turns(void *argument)
{
    int fd = open_again(O_RDWR);
    int kind = (int)(intptr_t)argument;
    check_pin(kind);
    for (long i = 0; i < check_count(500); i++) {
        CHECK_EQUAL(lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 1), 0);
        CHECK_EQUAL(flock(fd, LOCK_EX), 0);
        CHECK_EQUAL(atomic_fetch_add(&inside, 1), 0);
        if (i % 16 == 0) {
            sched_yield();
        }
        CHECK_EQUAL(atomic_fetch_sub(&inside, 1), 1);
        CHECK_EQUAL(flock(fd, LOCK_UN), 0);
        CHECK_EQUAL(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 1), 0);
    }
    close(fd);
    return NULL;
}

static void waiting(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(take_turns, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
}

static void on_signal(int signal)
{
    (void)signal;
}

static void *wait_in_vain(void *argument)
{
    int fd = *(int *)argument;
    atomic_store(&waits, 1);
    CHECK_ERRNO(lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 1), EINTR);
    atomic_store(&waits, 2);
    return NULL;
}

static void interrupted(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    int one = open_again(O_RDWR), two = open_again(O_RDWR);
    CHECK_EQUAL(lock(one, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
    pthread_t thread = check_thread(wait_in_vain, &two);
    while (atomic_load(&waits) != 2) { /* until one comes while it waits */
        check_sleep_ms(1);
        if (atomic_load(&waits) == 1) {
            pthread_kill(thread, SIGUSR1);
        }
    }
    check_join(thread);
    close(one);
    CHECK_EQUAL(lock(two, F_OFD_SETLK, F_WRLCK, 0, 1), 0);
    close(two);
    CHECK_EQUAL(unlink(PATH), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"process_locks", process_locks},
        {"ranges", ranges},
        {"open_file_locks", open_file_locks},
        {"whole_files", whole_files},
        {"waiting", waiting},
        {"interrupted", interrupted},
    };
    return CHECK_MAIN(cases);
}
