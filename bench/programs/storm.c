/* SPDX-License-Identifier: Apache-2.0 */
/* A storm of allocations: each thread keeps a few hundred blocks of 16 bytes to 64 KiB and replaces
 * them at random, on one core and on two at once. The allocator is glibc's, which gives each thread
 * its own arena, so that what grows with the second core is the system's doing. */
#define _GNU_SOURCE
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCKS 256
#define ROUNDS 20000

enum section { STORM_ONE_CORE, STORM_TWO_CORES };

static pthread_barrier_t start, end;

static size_t random_size(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    unsigned shift = 4 + (unsigned)(*state >> 40) % 12;
    return (16 + (*state >> 48)) & ((2ul << shift) - 1);
}

static void *storm(void *argument)
{
    void *blocks[BLOCKS] = {0};
    uint64_t state = 1 + (uintptr_t)argument;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(intptr_t)argument, &set);
    sched_setaffinity(0, sizeof(set), &set);
    pthread_barrier_wait(&start);
    for (int i = 0; i < ROUNDS; i++) {
        void **slot = &blocks[(state >> 33) % BLOCKS];
        size_t bytes = random_size(&state);
        free(*slot);
        *slot = malloc(bytes);
        if (*slot == NULL && bytes != 0) {
            perror("malloc");
            exit(1);
        }
        for (size_t at = 0; at < bytes; at += 4096) {
            ((volatile char *)*slot)[at] = 1;
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    pthread_barrier_wait(&end);
    return NULL;
}

static void begin(int count, pthread_t *threads)
{
    pthread_barrier_init(&start, NULL, (unsigned)count + 1);
    pthread_barrier_init(&end, NULL, (unsigned)count + 1);
    for (intptr_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, storm, (void *)i) != 0) {
            perror("pthread_create");
            exit(1);
        }
    }
}

static void finish(int count, pthread_t *threads)
{
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(void)
{
    pthread_t threads[2];
    begin(1, threads);
    BENCH_BEGIN(STORM_ONE_CORE);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    BENCH_END(STORM_ONE_CORE);
    finish(1, threads);
    bench_section(STORM_ONE_CORE, ROUNDS, "malloc storm, one core");
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        bench_skip(STORM_TWO_CORES, "malloc storm, two cores");
        return 0;
    }
    begin(2, threads);
    BENCH_BEGIN(STORM_TWO_CORES);
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
    BENCH_END(STORM_TWO_CORES);
    finish(2, threads);
    bench_section(STORM_TWO_CORES, 2 * ROUNDS, "malloc storm, two cores");
    return 0;
}
