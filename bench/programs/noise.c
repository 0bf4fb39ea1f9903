/* SPDX-License-Identifier: Apache-2.0 */
/* What the system takes from a program that computes: each core does quanta of fixed work and makes
 * no call. Every quantum that costs more instructions than the usual was disturbed by the
 * difference: a timer tick, an interrupt, another thread. */
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define QUANTA 10000
#define LOOPS 5000 /* of two instructions */
#define CORES_MAX 64

static pthread_barrier_t all_pinned;

static void *compute(void *argument)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(intptr_t)argument, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        perror("sched_setaffinity");
        exit(1);
    }
    pthread_barrier_wait(&all_pinned);
    BENCH_QUANTA_BEGIN();
    for (int i = 0; i < QUANTA; i++) {
        long left = LOOPS;
        __asm__ __volatile__("1: dec %0\n jnz 1b" : "+r"(left) : : "cc");
        BENCH_QUANTUM_NEXT();
    }
    pthread_barrier_wait(&all_pinned);
    BENCH_QUANTA_REPORT();
    return NULL;
}

int main(void)
{
    pthread_t threads[CORES_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_barrier_init(&all_pinned, NULL, (unsigned)cores);
    for (intptr_t i = 1; i < cores && i < CORES_MAX; i++) {
        if (pthread_create(&threads[i], NULL, compute, (void *)i) != 0) {
            perror("pthread_create");
            return 1;
        }
    }
    compute((void *)0);
    for (long i = 1; i < cores && i < CORES_MAX; i++) {
        pthread_join(threads[i], NULL);
    }
    return 0;
}
