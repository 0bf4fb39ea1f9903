/* SPDX-License-Identifier: Apache-2.0 */
/* A program that ends badly while its other threads wait in different ways, on all cores. Tests
 * know its functions by name. */
#include "../../waiting.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 4
#define STACK_BYTES 65536

static pthread_mutex_t never_free = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int going_to_wait;
const char *mode;
volatile char untouched[3 * 4096];
volatile uint64_t sink;
static char one_page[4096] __attribute__((aligned(4096)));
volatile int must_end;
static int core_count;

static void go_to_core(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        exit(3);
    }
}

__attribute__((noinline)) static int read_at(int depth, volatile int *place)
{
    int below = depth > 0 ? read_at(depth - 1, place) : *place; /* mark: null */
    return below + depth;
}

__attribute__((noinline)) static uint64_t overflow(uint64_t depth)
{
    volatile char room[2048];
    room[depth % sizeof(room)] = 1;
    return overflow(depth + 1) + (uint64_t)room[0]; /* mark: overflow */
}

static void exhaust(void)
{
    for (;;) {
        char *piece =
            mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(piece, 1, 1 << 20); /* mark: exhaust */
    }
}

/* Computes, then sleeps, each for longer than a watchdog waits. */
static int last_long(void)
{
    for (clock_t end = clock() + CLOCKS_PER_SEC; clock() < end;) {
        for (int i = 0; i < 1000000; i++) {
            sink++;
        }
    }
    sleep(1);
    return 7;
}

__attribute__((noinline)) static void end_badly(void)
{
    if (strcmp(mode, "null") == 0) {
        sink = (uint64_t)read_at(3, NULL);
    } else if (strcmp(mode, "overflow") == 0) {
        sink = overflow(1);
    } else if (strcmp(mode, "abort") == 0) {
        abort(); /* mark: abort */
    } else if (strcmp(mode, "exhaust") == 0) {
        exhaust();
    } else if (strcmp(mode, "divide") == 0) {
        sink = (uint64_t)(100 / (int)(sink - sink)); /* mark: divide */
    } else if (strcmp(mode, "kernel") == 0) {
        munmap(one_page, sizeof(one_page)); /* mark: kernel */ /* a test has broken that */
    }
}

__attribute__((noinline)) static void wait_for_lock(int number)
{
    pthread_mutex_lock(&never_free);
    sink = (uint64_t)number;
}

__attribute__((noinline)) static void wait_for_time(int number)
{
    sleep(1000);
    sink = (uint64_t)number;
}

static void *body(void *argument)
{
    int number = (int)(intptr_t)argument;
    go_to_core(number);
    if (number != 1) {
        going_to_wait++;
    }
    if (number == 1) {
        while (strcmp(mode, "wait") == 0 && !must_end) {
            usleep(1000);
        }
        while (going_to_wait < core_count - 1) {
            usleep(1000);
        }
        threads_await_waiting(core_count - 1); /* the others are where they stay */
        end_badly();
    } else if (number == 2) {
        wait_for_lock(number);
    } else {
        wait_for_time(number);
    }
    return NULL;
}

/* crashed MODE CORES: thread n runs on core n; the one on core 1 ends the program. */
int main(int argc, char **argv)
{
    core_count = argc > 2 ? atoi(argv[2]) : 1;
    mode = argc > 1 ? argv[1] : "abort";
    if (strcmp(mode, "long") == 0) {
        return last_long();
    }
    pthread_mutex_lock(&never_free);
    printf("%d\n", untouched[4096]);
    fflush(stdout);
    if (core_count == 1) {
        end_badly();
    }
    pthread_t threads[THREADS_MAX];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (int i = 1; i < core_count; i++) {
        pthread_create(&threads[i], &attributes, body, (void *)(intptr_t)i);
    }
    going_to_wait++;
    pthread_join(threads[1], NULL);
    return 6;
}
