/* SPDX-License-Identifier: Apache-2.0 */
/* Twenty threads of core 0 wait for a byte of input each. Says when all of them wait, how much of
 * the processor's time they took by then while the machine had nothing to do, in per cent, and in
 * the end the sum of what they read. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define READERS 20
#define WATCHED_NS 200000000

static _Atomic int asking, sum;

static void *read_one(void *none)
{
    unsigned char byte = 0;
    asking++;
    if (read(0, &byte, 1) == 1) {
        sum += byte;
    }
    return none;
}

static long long now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

int main(void)
{
    static const struct timespec pause = {.tv_nsec = WATCHED_NS};
    pthread_t threads[READERS];
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof(first), &first) != 0) {
        return 1;
    }
    for (int i = 0; i < READERS; i++) {
        if (pthread_create(&threads[i], NULL, read_one, NULL) != 0) {
            return 2;
        }
    }
    while (asking < READERS) {
        sched_yield();
    }
    long long used = now_ns(CLOCK_PROCESS_CPUTIME_ID), since = now_ns(CLOCK_MONOTONIC);
    nanosleep(&pause, NULL);
    used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - used;
    printf("waiting %lld\n", 100 * used / (now_ns(CLOCK_MONOTONIC) - since));
    fflush(stdout);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("sum %d\n", sum);
    return 0;
}
