/* SPDX-License-Identifier: Apache-2.0 */
/* A program that runs until it is told: a thread that beats every millisecond, one that computes,
 * and one that sends signals to another's core. It ends when its standard input does. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Atomic int must_end;
static _Atomic unsigned long beats;

static void *heart(void *argument)
{
    (void)argument;
    pthread_setname_np(pthread_self(), "heart");
    while (!must_end) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        beats++;
    }
    return NULL;
}

static void *compute(void *argument)
{
    (void)argument;
    pthread_setname_np(pthread_self(), "compute");
    for (volatile unsigned long sum = 0; !must_end; sum++) {
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    char byte;
    pthread_create(&threads[0], NULL, heart, NULL);
    pthread_create(&threads[1], NULL, compute, NULL);
    puts("runs");
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    must_end = 1;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%s\n", beats > 0 ? "beaten" : "never");
    return 0;
}
