/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a channel to a neighbour, behind its device file.
 * neighbour DEVICE MODE [COUNT]; the modes:
 * - ping: sends COUNT messages and expects each back;
 * - echo: sends back what comes until the peer leaves;
 * - watch: the same, not blocking: it waits with epoll alone;
 * - endure: as echo until the message "stop"; after an end or an error it opens the device anew;
 * - both: what one machine sees that plays both sides;
 * - open: says how the open goes;
 * - idle: with a peer that echoes, shows whether a timer looks while nothing happens;
 * - calm: as echo, and shows that rings for nothing are taken seldom. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX 3072
#define THREAD_MESSAGES 500

static unsigned char message[MESSAGE_MAX + 1];

static void require(int holds, const char *what)
{
    if (!holds) {
        printf("%s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static int open_end(const char *name, int flags)
{
    int end = open(name, O_RDWR | flags);
    require(end >= 0, name);
    return end;
}

static void ping(int end, int count)
{
    static unsigned char sent[MESSAGE_MAX];
    unsigned long sum = 0;
    for (int i = 0; i < count; i++) {
        int bytes = 1 + i * 97 % MESSAGE_MAX;
        for (int k = 0; k < bytes; k++) {
            sent[k] = (unsigned char)(i * 29 + k * 3);
            sum += sent[k];
        }
        require(write(end, sent, bytes) == bytes, "write");
        require(read(end, message, sizeof(message)) == bytes, "read");
        require(memcmp(sent, message, bytes) == 0, "compare");
    }
    printf("%d messages, sum %lu\n", count, sum);
}

/* Returns what the last read gave: 0 the end, or -1 */
static int echo(int end, long *count, unsigned long *sum)
{
    ssize_t bytes;
    while ((bytes = read(end, message, sizeof(message))) > 0) {
        if (write(end, message, bytes) != bytes) {
            return -1;
        }
        for (ssize_t k = 0; k < bytes; k++) {
            *sum += message[k];
        }
        ++*count;
    }
    return (int)bytes;
}

static void watch(int end)
{
    long count = 0;
    unsigned long sum = 0;
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    require(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, end, &event) == 0, "epoll_ctl");
    for (;;) {
        require(epoll_wait(set, &event, 1, -1) == 1, "epoll_wait");
        int result = echo(end, &count, &sum);
        if (result == 0) {
            break;
        }
        require(errno == EAGAIN, "echo");
    }
    require((event.events & (EPOLLHUP | EPOLLERR)) == EPOLLHUP || (event.events & EPOLLIN) != 0,
            "the end is told");
    printf("%ld messages, sum %lu, end\n", count, sum);
}

static int is_stop(ssize_t bytes)
{
    return bytes == 4 && memcmp(message, "stop", 4) == 0;
}

/* The peer has left or failed: poll says so, and an error stays. */
static void check_end(int end, int has_failed)
{
    struct pollfd look = {.fd = end, .events = POLLIN | POLLOUT};
    require(poll(&look, 1, -1) == 1 && (look.revents & POLLHUP) != 0, "poll tells of an end");
    if (has_failed) {
        require((look.revents & POLLERR) != 0, "poll tells of an error");
        require(read(end, message, 1) < 0 && write(end, message, 1) < 0, "an error stays");
    }
}

static void endure(const char *name)
{
    for (;;) {
        int end = open_end(name, 0);
        ssize_t bytes;
        while ((bytes = read(end, message, sizeof(message))) > 0) {
            if (write(end, message, bytes) != bytes) {
                bytes = -1;
                break;
            }
            if (is_stop(bytes)) {
                printf("stop\n");
                return;
            }
        }
        printf("%s\n", bytes == 0 ? "end" : strerror(errno));
        fflush(stdout);
        check_end(end, bytes < 0);
        require(close(end) == 0, "close");
        usleep(1000); /* what a liar leaves behind stays until somebody else begins a life */
    }
}

/* ---- both sides in one machine */
static int events_of(int end)
{
    struct pollfd look = {.fd = end, .events = POLLIN | POLLOUT};
    require(poll(&look, 1, 0) >= 0, "poll");
    return look.revents;
}

static void fails(int holds, int error, const char *what)
{
    if (holds || errno != error) {
        printf("%s: %s, not %s\n", what, holds ? "done" : strerror(errno), strerror(error));
        exit(1);
    }
}

/* The ring of left is full. What one who looks finds out is still told to the other. */
static void two_watch(int left, int right)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
    int set = epoll_create1(0);
    require(set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, left, &event) == 0, "epoll_ctl");
    require(epoll_wait(set, &event, 1, 0) == 0, "no room yet");
    for (int i = 0; i < 100; i++) {
        require(read(right, message, sizeof(message)) == MESSAGE_MAX, "read");
        require((events_of(left) & POLLOUT) != 0, "room for one who looks");
        require(epoll_wait(set, &event, 1, -1) == 1, "room for one who waits");
        require(write(left, message, MESSAGE_MAX) == MESSAGE_MAX, "write");
        fails(write(left, message, MESSAGE_MAX) >= 0, EAGAIN, "the ring is full again");
        while (epoll_wait(set, &event, 1, 0) == 1) {
        }
    }
    require(close(set) == 0, "close");
}

static void *echo_on_last_core(void *end)
{
    long count = 0;
    unsigned long sum = 0;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
    require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
    require(echo(*(int *)end, &count, &sum) == 0, "echo");
    return (void *)count;
}

static void meet(int left, int right)
{
    fails(read(left, message, 1) >= 0, EAGAIN, "nobody yet");
    fails(read(right, message, 1) >= 0, EAGAIN, "nothing yet");
    require(events_of(left) == POLLOUT && events_of(right) == POLLOUT, "room only");
}

static void both(void)
{
    struct stat stat;
    pthread_t thread;
    void *echoed;
    int left = open_end("/dev/neighbour0", O_NONBLOCK), right;
    require(fstat(left, &stat) == 0 && S_ISCHR(stat.st_mode) && major(stat.st_rdev) == 240 &&
                minor(stat.st_rdev) == 0,
            "fstat");
    fails(open("/dev/neighbour0", O_RDWR) >= 0, EBUSY, "a second open");
    require(events_of(left) == 0, "alone: nothing is ready");
    right = open_end("/dev/neighbour1", O_NONBLOCK);
    meet(left, right);
    fails(write(left, message, MESSAGE_MAX + 1) >= 0, EMSGSIZE, "too long a message");
    require(write(left, message, 0) == 0, "no message");
    fails(write(left, (void *)8, 10) >= 0, EFAULT, "a message from nowhere");
    require(write(left, "hello", 5) == 5 && write(left, "world", 5) == 5, "write");
    require(events_of(right) == (POLLIN | POLLOUT), "a message is there");
    require(read(right, message, 3) == 3 && memcmp(message, "hel", 3) == 0, "a message is cut");
    require(read(right, message, 99) == 5 && memcmp(message, "world", 5) == 0, "one at a time");
    int sent = 0;
    while (write(left, message, MESSAGE_MAX) == MESSAGE_MAX) {
        sent++;
    }
    fails(0, EAGAIN, "the ring is full");
    require(sent == 4 && events_of(left) == 0, "four of the longest fit");
    two_watch(left, right);
    require(close(left) == 0, "close");
    for (int i = 0; i < sent; i++) {
        require(read(right, message, sizeof(message)) == MESSAGE_MAX, "what was sent before");
    }
    fails(write(right, "x", 1) >= 0, EPIPE, "nobody reads");
    require(read(right, message, 1) == 0 && (events_of(right) & POLLHUP) != 0, "the end");
    require(close(right) == 0, "close");

    left = open_end("/dev/neighbour0", O_NONBLOCK);
    right = open_end("/dev/neighbour1", O_NONBLOCK);
    meet(left, right);
    require(fcntl(left, F_SETFL, 0) == 0 && fcntl(right, F_SETFL, 0) == 0, "F_SETFL");
    require(pthread_create(&thread, NULL, echo_on_last_core, &right) == 0, "pthread_create");
    ping(left, THREAD_MESSAGES);
    require(close(left) == 0 && pthread_join(thread, &echoed) == 0, "pthread_join");
    require((long)echoed == THREAD_MESSAGES, "every message came back");
    printf("both sides\n");
}

/* ---- the doorbell */
struct counts {
    unsigned long timer, bell, rings;
};

static struct counts counts_now(void)
{
    struct counts counts;
    FILE *file = fopen("/dev/neighbour", "r");
    require(file != NULL, "/dev/neighbour");
    require(fscanf(file, "timer %lu bell %lu rings %lu\n", &counts.timer, &counts.bell,
                   &counts.rings) == 3,
            "counts");
    require(fclose(file) == 0, "fclose");
    return counts;
}

static void *read_one(void *end)
{
    return (void *)read(*(int *)end, message, sizeof(message));
}

/* One thread waits in read, then one in epoll_wait, each while the machine sleeps. */
static void idle(int end)
{
    const struct timespec nap = {.tv_nsec = 100000000};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    pthread_t thread;
    void *got;
    int set = epoll_create1(0);
    ping(end, 10);
    struct counts first = counts_now();
    require(pthread_create(&thread, NULL, read_one, &end) == 0, "pthread_create");
    require(nanosleep(&nap, NULL) == 0, "nanosleep");
    struct counts second = counts_now();
    require(write(end, "hello", 5) == 5 && pthread_join(thread, &got) == 0, "pthread_join");
    require((long)got == 5, "what was written came back");
    struct counts third = counts_now();
    require(epoll_ctl(set, EPOLL_CTL_ADD, end, &event) == 0, "epoll_ctl");
    require(epoll_wait(set, &event, 1, 100) == 0, "nothing yet"); /* the watch gets to know */
    struct counts fourth = counts_now();
    require(epoll_wait(set, &event, 1, 100) == 0, "nothing yet");
    struct counts fifth = counts_now();
    require(write(end, "hello", 5) == 5, "write");
    require(epoll_wait(set, &event, 1, -1) == 1, "epoll_wait");
    require(read(end, message, sizeof(message)) == 5, "read");
    struct counts last = counts_now();
    printf("read: %s, epoll: %s, woken by %s\n",
           second.timer != first.timer    ? "timer"
           : second.bell - first.bell > 1 ? "rings"
                                          : "quiet",
           fifth.timer != fourth.timer ? "timer"
           : fifth.bell != fourth.bell ? "rings"
                                       : "quiet",
           third.timer == second.timer && third.bell > second.bell && last.timer == fifth.timer &&
                   last.bell > fifth.bell && last.rings > first.rings
               ? "the bell"
               : "a timer");
}

static unsigned long milliseconds_now(void)
{
    struct timespec now;
    require(clock_gettime(CLOCK_MONOTONIC, &now) == 0, "clock_gettime");
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* At most one look in 2 ms, beside those of the first few and of the messages. */
static void calm(int end)
{
    long count = 0;
    unsigned long sum = 0, began = milliseconds_now();
    struct counts first = counts_now();
    require(echo(end, &count, &sum) == 0, "echo");
    struct counts last = counts_now();
    unsigned long passed = milliseconds_now() - began, looks = last.bell - first.bell;
    require(looks > 0, "it has rung");
    printf("%ld messages, %s\n", count, looks <= passed / 2 + 64 ? "calm" : "taken by rings");
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[2] : "both";
    int number = argc > 3 ? atoi(argv[3]) : 0;
    long count = 0;
    unsigned long sum = 0;
    if (strcmp(mode, "both") == 0) {
        both();
    } else if (strcmp(mode, "open") == 0) {
        printf("%s\n", open(argv[1], O_RDWR) < 0 ? strerror(errno) : "open");
    } else if (strcmp(mode, "ping") == 0) {
        ping(open_end(argv[1], 0), number);
    } else if (strcmp(mode, "echo") == 0) {
        require(echo(open_end(argv[1], 0), &count, &sum) == 0, "echo");
        printf("%ld messages, sum %lu, end\n", count, sum);
    } else if (strcmp(mode, "idle") == 0) {
        idle(open_end(argv[1], 0));
    } else if (strcmp(mode, "calm") == 0) {
        calm(open_end(argv[1], 0));
    } else if (strcmp(mode, "watch") == 0) {
        watch(open_end(argv[1], O_NONBLOCK));
    } else {
        endure(argv[1]);
    }
    return 0; /* without a close: the end of the program is one */
}
