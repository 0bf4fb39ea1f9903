/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads run that were all started on core 0. Twice as many threads as cores compute, and
 * only now and then look at where they are. Arguments: the mask of cores that they allow themselves
 * (0: all), and `spread`: until each of those cores was seen, or `stay`: for a fixed amount of
 * work. One more thread allows itself core 0 alone. Meanwhile each thread gets signals, and at the
 * end all meet at a barrier, so whoever was moved must be found where it is. Prints the cores seen
 * and the signals taken. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 16
#define STEPS 100
#define SPINS 20000
#define SIGNALS 20

static _Atomic unsigned long seen;
static _Atomic long signals_taken;
static _Atomic long finished;
static unsigned long allowed;
static long core_count, thread_count;
static int must_spread;
static pthread_barrier_t barrier;
static pthread_t threads[THREADS_MAX];

static void require(int holds, const char *what)
{
    if (!holds) {
        printf("failed: %s\n", what);
        exit(1);
    }
}

static void allow(unsigned long mask)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int core = 0; core < core_count; core++) {
        if ((mask >> core & 1) != 0) {
            CPU_SET(core, &set);
        }
    }
    require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static unsigned long work(void)
{
    for (volatile int i = 0; i < SPINS; i++) {
    }
    int core = sched_getcpu();
    require(core >= 0 && core < core_count, "sched_getcpu");
    return 1ul << core;
}

static void take_signal(int signal)
{
    (void)signal;
    signals_taken++;
}

static void *compute(void *none)
{
    allow(allowed);
    for (int step = 0; step < STEPS || (must_spread && seen != allowed); step++) {
        unsigned long here = work();
        require((here & allowed) != 0, "runs on a core that it allows");
        seen |= here;
    }
    finished++;
    pthread_barrier_wait(&barrier);
    return none;
}

static void *stay(void *none)
{
    for (int step = 0; step < STEPS; step++) {
        require(work() == 1, "stays on core 0");
    }
    finished++;
    pthread_barrier_wait(&barrier);
    return none;
}

int main(int count, char **arguments)
{
    require(count == 3, "two arguments");
    core_count = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned long all = (1ul << core_count) - 1;
    allowed = strtoul(arguments[1], NULL, 0);
    allowed = allowed == 0 ? all : allowed & all;
    must_spread = strcmp(arguments[2], "spread") == 0;
    thread_count = 2 * core_count + 1;
    signal(SIGUSR1, take_signal);
    allow(1);
    pthread_barrier_init(&barrier, NULL, (unsigned)thread_count + 1);
    for (long i = 0; i < thread_count; i++) {
        require(pthread_create(&threads[i], NULL, i == 0 ? stay : compute, NULL) == 0,
                "pthread_create");
    }
    for (long i = 0; i < SIGNALS; i++) {
        long before = signals_taken;
        require(pthread_kill(threads[i % thread_count], SIGUSR1) == 0, "pthread_kill");
        while (signals_taken == before) {
            sched_yield();
        }
    }
    pthread_barrier_wait(&barrier);
    for (long i = 0; i < thread_count; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("cores 0x%lx signals %ld threads %ld\n", (unsigned long)seen, (long)signals_taken,
           (long)finished);
    return 0;
}
