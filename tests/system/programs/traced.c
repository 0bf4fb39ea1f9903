/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose trace is known; the arguments choose:
 *     yield N      N gate calls "park", alone: sched_yield asks the kernel each time
 *     turns N      two threads, on cores of their own if there are two, take N turns each
 *     create N     N threads, one after the other
 *     for ever     says "begins", then works and sleeps in turn */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static sem_t turn[2];
static long rounds;

/* On the core of its own number, if the machine has it. */
static void *take_turns(void *place)
{
    long own = (long)place;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)(own % sysconf(_SC_NPROCESSORS_ONLN)), &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
        exit(1);
    }
    for (long i = 0; i < rounds; i++) {
        sem_wait(&turn[own]);
        sem_post(&turn[1 - own]);
    }
    return NULL;
}

static void *nothing(void *unused)
{
    return unused;
}

static pthread_t start(void *(*run)(void *), long argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, (void *)argument) != 0) {
        perror("pthread_create");
        exit(1);
    }
    return thread;
}

int main(int count, char **arguments)
{
    const char *what = count > 2 ? arguments[1] : "";
    rounds = count > 2 ? atol(arguments[2]) : 0;
    if (strcmp(what, "yield") == 0) {
        for (long i = 0; i < rounds; i++) {
            sched_yield();
        }
    } else if (strcmp(what, "turns") == 0) {
        sem_init(&turn[0], 0, 1);
        sem_init(&turn[1], 0, 0);
        pthread_t first = start(take_turns, 0), second = start(take_turns, 1);
        pthread_join(first, NULL);
        pthread_join(second, NULL);
    } else if (strcmp(what, "create") == 0) {
        for (long i = 0; i < rounds; i++) {
            pthread_join(start(nothing, i), NULL);
        }
    } else if (strcmp(what, "for") == 0) {
        puts("begins");
        fflush(stdout);
        for (;;) {
            const struct timespec rest = {0, 2000000};
            nanosleep(&rest, NULL);
            for (volatile int i = 0; i < 100000; i++) {
            }
        }
    } else {
        return 1;
    }
    puts("done");
    return 0;
}
