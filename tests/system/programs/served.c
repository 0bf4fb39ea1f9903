/* SPDX-License-Identifier: Apache-2.0 */
/* A program that serves while threads of it are stopped. One thread answers each line of its
 * standard input: a number by its square, k and a number by a signal to that worker. The workers
 * count their turns, each on its core. The tests know functions and variables by name. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX 8

volatile uint64_t turns[WORKERS_MAX];
volatile uint64_t watched;
volatile int must_end, users;
static pthread_t workers[WORKERS_MAX];
static int count;

static void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core % (int)sysconf(_SC_NPROCESSORS_ONLN), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

__attribute__((noinline)) static uint64_t meet(int number, uint64_t turn)
{
    uint64_t sum = (uint64_t)number + turn;
    turns[number]++; /* mark: turn */
    if (turn % 1000 == 999) {
        watched = sum; /* mark: watched */
    }
    return sum;
}

static void *work(void *argument)
{
    int number = (int)(intptr_t)argument;
    pin(number);
    for (uint64_t turn = 0; !must_end; turn++) {
        meet(number, turn); /* mark: call */
    }
    return NULL;
}

static void on_user(int number)
{
    users += number == SIGUSR1;
}

__attribute__((noinline)) static void answer(const char *line)
{
    if (line[0] == 'k') {
        pthread_kill(workers[atoi(line + 1)], SIGUSR1);
        printf("%s sent\n", line);
    } else {
        long value = strtol(line, NULL, 10);
        printf("%s %ld\n", line, value * value);
    }
    fflush(stdout);
}

static void *serve(void *argument)
{
    char line[64];
    (void)argument;
    pin(1);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(line);
    }
    must_end = 1;
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t server;
    count = argc > 1 ? atoi(argv[1]) : 1;
    signal(SIGUSR1, on_user);
    for (int i = 0; i < count; i++) {
        pthread_create(&workers[i], NULL, work, (void *)(intptr_t)i);
    }
    pthread_create(&server, NULL, serve, NULL);
    puts("serves");
    fflush(stdout);
    pthread_join(server, NULL);
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i], NULL);
    }
    return 7;
}
