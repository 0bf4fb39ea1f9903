/* SPDX-License-Identifier: Apache-2.0 */
/* The program behind a bare `./atoll run`: an ordinary pthread program. One thread for each online
 * core pins itself there, counts the primes of its share of a range, and hands its count in under
 * a mutex; the main thread waits on a condition variable and prints a line per core and the total.
 * It is a plain Linux program: `musl-gcc -static -pthread demo.c` runs on Linux with equal output.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORES_MAX 64
#define RANGE_END 200000u
#define BLOCK 1000u /* dealt out in turn, so that shares are alike */

struct worker {
    pthread_t thread;
    unsigned core;
    unsigned core_count;
    int seen_core; /* what sched_getcpu says on the worker */
    uint32_t primes;
    bool done;
};

static pthread_mutex_t results_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t result_arrived = PTHREAD_COND_INITIALIZER;
static struct worker workers[CORES_MAX];
static unsigned results_done;

static bool is_prime(uint32_t number)
{
    if (number < 2) {
        return false;
    }
    for (uint32_t divisor = 2; divisor * divisor <= number; divisor++) {
        if (number % divisor == 0) {
            return false;
        }
    }
    return true;
}

static void pin_to_core(unsigned core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    int error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    if (error != 0) {
        fprintf(stderr, "demo: cannot pin a thread to core %u: %s\n", core, strerror(error));
        exit(1);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    pin_to_core(worker->core);
    uint32_t primes = 0;
    for (uint32_t block = worker->core; block < RANGE_END / BLOCK; block += worker->core_count) {
        for (uint32_t number = block * BLOCK; number < (block + 1) * BLOCK; number++) {
            primes += is_prime(number);
        }
    }
    pthread_mutex_lock(&results_lock);
    worker->primes = primes;
    worker->seen_core = sched_getcpu();
    worker->done = true;
    results_done++;
    pthread_cond_signal(&result_arrived);
    pthread_mutex_unlock(&results_lock);
    return NULL;
}

static void start_workers(unsigned core_count)
{
    for (unsigned core = 0; core < core_count; core++) {
        workers[core] = (struct worker){.core = core, .core_count = core_count};
        int error = pthread_create(&workers[core].thread, NULL, work, &workers[core]);
        if (error != 0) {
            fprintf(stderr, "demo: cannot start thread %u: %s\n", core, strerror(error));
            exit(1);
        }
    }
}

static uint32_t collect(unsigned core_count)
{
    uint32_t total = 0;
    pthread_mutex_lock(&results_lock);
    while (results_done < core_count) {
        pthread_cond_wait(&result_arrived, &results_lock);
    }
    pthread_mutex_unlock(&results_lock);
    for (unsigned core = 0; core < core_count; core++) {
        pthread_join(workers[core].thread, NULL);
        printf("core %d: %u primes\n", workers[core].seen_core, (unsigned)workers[core].primes);
        total += workers[core].primes;
    }
    return total;
}

int main(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned core_count = online < 1 ? 1 : online > CORES_MAX ? CORES_MAX : (unsigned)online;
    printf("Hello from Atoll: %u core%s, one thread on each\n", core_count,
           core_count == 1 ? "" : "s");
    start_workers(core_count);
    uint32_t total = collect(core_count);
    printf("total: %u primes below %u\n", (unsigned)total, (unsigned)RANGE_END);
    return 0;
}
