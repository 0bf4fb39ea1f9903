/* SPDX-License-Identifier: Apache-2.0 */
/* The basic operations of a threaded program, each measured in its own section after a warm-up. The
 * same binary runs on Atoll and as /init of a Linux guest. */
#define _GNU_SOURCE
#include "bench.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 50

enum section {
    NULL_CALL,
    CLOCK_READ,
    YIELD_ALONE,
    MALLOC_FREE,
    MAP_TOUCH_UNMAP,
    THREAD_CREATE_JOIN,
    YIELD_PAIR,
    CONDITION_ONE_CORE,
    CONDITION_TWO_CORES,
    PIPE_ONE_CORE,
    PIPE_TWO_CORES,
    MUTEX_ALONE,
    FILE_WRITE,
    FILE_READ,
    PIPE_ALONE,
    EPOLL_ROUND,
    THREAD_CALL,
};

/* Runs BODY OPERATIONS times between the marks. */
#define MEASURE(section, operations, name, body)                                                   \
    do {                                                                                           \
        for (long i = 0; i < WARM_UP; i++) {                                                       \
            body;                                                                                  \
        }                                                                                          \
        BENCH_BEGIN(section);                                                                      \
        for (long i = 0; i < (operations); i++) {                                                  \
            body;                                                                                  \
        }                                                                                          \
        BENCH_END(section);                                                                        \
        bench_section(section, operations, name);                                                  \
    } while (0)

static bool pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void require(bool holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static void map_touch_unmap(void)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(page != MAP_FAILED, "mmap");
    *page = 1;
    munmap(page, 4096);
}

static void *nothing(void *argument)
{
    return argument;
}

static void create_join(void)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, nothing, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

/* ---- files that are not waited for */

static void measure_file(void)
{
    static char page[4096];
    int file = open("/bench-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0, "open");
    MEASURE(FILE_WRITE, 2000, "write 4 KiB to a file in memory",
            require(pwrite(file, page, sizeof(page), 0) == sizeof(page), "pwrite"));
    MEASURE(FILE_READ, 2000, "read 4 KiB of a file in memory",
            require(pread(file, page, sizeof(page), 0) == sizeof(page), "pread"));
    close(file);
}

static void pipe_alone(const int ends[2])
{
    char byte = 1;
    require(write(ends[1], &byte, 1) == 1, "write");
    require(read(ends[0], &byte, 1) == 1, "read");
}

static void epoll_round(int set, int event)
{
    struct epoll_event got;
    uint64_t value = 1;
    require(write(event, &value, sizeof(value)) == sizeof(value), "write");
    require(epoll_wait(set, &got, 1, -1) == 1, "epoll_wait");
    require(read(event, &value, sizeof(value)) == sizeof(value), "read");
}

static void measure_events(void)
{
    struct epoll_event wanted = {.events = EPOLLIN};
    int ends[2];
    int set = epoll_create1(0);
    int event = eventfd(0, 0);
    require(pipe(ends) == 0 && set >= 0 && event >= 0, "pipe, epoll_create1, eventfd");
    require(epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted) == 0, "epoll_ctl");
    MEASURE(PIPE_ALONE, 2000, "pipe write and read, alone", pipe_alone(ends));
    MEASURE(EPOLL_ROUND, 2000, "eventfd write, epoll_wait, read", epoll_round(set, event));
    close(event);
    close(set);
    close(ends[0]);
    close(ends[1]);
}

/* ---- two threads that take turns; a round is there and back */

struct pair {
    enum section section;
    const char *name;
    long rounds;
    int partner_core;
    void (*turn)(struct pair *pair, int side);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int whose; /* condition variables: the side that may go on */
    _Atomic int yield_turn;
    int pipes[2][2];
};

static void turn_condition(struct pair *pair, int side)
{
    pthread_mutex_lock(&pair->lock);
    while (pair->whose != side) {
        pthread_cond_wait(&pair->changed, &pair->lock);
    }
    pair->whose = !side;
    pthread_cond_signal(&pair->changed);
    pthread_mutex_unlock(&pair->lock);
}

static void turn_pipe(struct pair *pair, int side)
{
    char byte = 1;
    if (side == 0) {
        require(write(pair->pipes[0][1], &byte, 1) == 1, "write");
        require(read(pair->pipes[1][0], &byte, 1) == 1, "read");
    } else {
        require(read(pair->pipes[0][0], &byte, 1) == 1, "read");
        require(write(pair->pipes[1][1], &byte, 1) == 1, "write");
    }
}

static void turn_yield(struct pair *pair, int side)
{
    while (atomic_load_explicit(&pair->yield_turn, memory_order_acquire) != side) {
        sched_yield();
    }
    atomic_store_explicit(&pair->yield_turn, !side, memory_order_release);
}

static void *partner(void *argument)
{
    struct pair *pair = argument;
    require(pin(pair->partner_core), "sched_setaffinity");
    for (long i = 0; i < pair->rounds + WARM_UP; i++) {
        pair->turn(pair, 1);
    }
    return NULL;
}

/* The marks need constants: one switch gives each pair its own. */
static void mark_pair(enum section section, bool begin)
{
#define MARK_CASE(which)                                                                           \
    case which:                                                                                    \
        if (begin) {                                                                               \
            BENCH_BEGIN(which);                                                                    \
        } else {                                                                                   \
            BENCH_END(which);                                                                      \
        }                                                                                          \
        break
    switch (section) {
        MARK_CASE(YIELD_PAIR);
        MARK_CASE(CONDITION_ONE_CORE);
        MARK_CASE(CONDITION_TWO_CORES);
        MARK_CASE(PIPE_ONE_CORE);
        MARK_CASE(PIPE_TWO_CORES);
    default:
        abort();
    }
#undef MARK_CASE
}

static void measure_pair(struct pair *pair)
{
    pthread_t thread;
    pthread_mutex_init(&pair->lock, NULL);
    pthread_cond_init(&pair->changed, NULL);
    if (pair->turn == turn_pipe && (pipe(pair->pipes[0]) != 0 || pipe(pair->pipes[1]) != 0)) {
        bench_skip(pair->section, pair->name);
        return;
    }
    require(pthread_create(&thread, NULL, partner, pair) == 0, "pthread_create");
    for (long i = 0; i < WARM_UP; i++) {
        pair->turn(pair, 0);
    }
    mark_pair(pair->section, true);
    for (long i = 0; i < pair->rounds; i++) {
        pair->turn(pair, 0);
    }
    mark_pair(pair->section, false);
    pthread_join(thread, NULL);
    bench_section(pair->section, pair->rounds, pair->name);
}

static void measure_pairs(bool two_cores)
{
    static struct pair pairs[] = {
        {.section = YIELD_PAIR, .name = "sched_yield there and back", .turn = turn_yield},
        {.section = CONDITION_ONE_CORE,
         .name = "condition variable, one core",
         .turn = turn_condition},
        {.section = CONDITION_TWO_CORES,
         .name = "condition variable, two cores",
         .turn = turn_condition,
         .partner_core = 1},
        {.section = PIPE_ONE_CORE, .name = "pipe round trip, one core", .turn = turn_pipe},
        {.section = PIPE_TWO_CORES,
         .name = "pipe round trip, two cores",
         .turn = turn_pipe,
         .partner_core = 1},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        pairs[i].rounds = 2000;
        if (pairs[i].partner_core != 0 && !two_cores) {
            bench_skip(pairs[i].section, pairs[i].name);
        } else {
            measure_pair(&pairs[i]);
        }
    }
}

int main(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct timespec time;
    long cores = sysconf(_SC_NPROCESSORS_ONLN); /* before pinning: musl counts the affinity mask */
    require(pin(0), "sched_setaffinity");
    MEASURE(NULL_CALL, 5000, "null call (getppid)", getppid());
    MEASURE(THREAD_CALL, 5000, "smallest call of a thread (gettid)", syscall(SYS_gettid));
    MEASURE(CLOCK_READ, 5000, "clock_gettime", clock_gettime(CLOCK_MONOTONIC, &time));
    MEASURE(YIELD_ALONE, 2000, "sched_yield, alone", sched_yield());
    MEASURE(MUTEX_ALONE, 5000, "mutex lock and unlock, alone",
            (pthread_mutex_lock(&mutex), pthread_mutex_unlock(&mutex)));
    MEASURE(MALLOC_FREE, 5000, "malloc and free, 64 bytes", ({
                void *volatile memory = malloc(64);
                free(memory);
            }));
    MEASURE(MAP_TOUCH_UNMAP, 1000, "mmap 4 KiB, touch, munmap", map_touch_unmap());
    MEASURE(THREAD_CREATE_JOIN, 300, "thread create and join", create_join());
    measure_file();
    measure_events();
    measure_pairs(cores > 1);
    return 0;
}
