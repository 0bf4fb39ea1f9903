/* SPDX-License-Identifier: Apache-2.0 */
/* A program to be debugged: threads that call one function, a counter to watch, ways to end. The
 * tests know its functions and variables by name, and its lines by their marks. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define THREADS_MAX 8

static __thread int own_number;
volatile uint64_t watched;
volatile uint64_t turns[THREADS_MAX];
volatile int must_end;
static int
    alternate_of; /* Threads of which the first lets another turn before each turn of its own. */
static pthread_barrier_t all_are_there;
static char untouched[8192];

__attribute__((noinline)) static int meet(int number, int turn)
{
    int sum = number + turn;
    turns[number]++; /* mark: meet */
    return sum;
}

/* However little the machine lets another core run: how far the others are does not hang on time.
 */
static void let_another_turn(void)
{
    static uint64_t seen;
    uint64_t now = seen;
    while (now == seen && !must_end) {
        now = 0;
        for (int i = 1; i < alternate_of; i++) {
            now += turns[i];
        }
    }
    seen = now;
}

static void *worker(void *argument)
{
    own_number = (int)(intptr_t)argument;
    pthread_barrier_wait(&all_are_there);
    for (int turn = 0; !must_end; turn++) {
        if (own_number == 0 && alternate_of > 1) {
            let_another_turn();
        }
        meet(own_number, turn);
    }
    return NULL;
}

static void go_to_last_core(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((int)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void *writer(void *argument)
{
    (void)argument;
    go_to_last_core();
    for (int i = 0; i < 3; i++) {
        usleep(1000);
        watched += 5; /* mark: write */
    }
    return NULL;
}

__attribute__((noinline)) int twice(int x)
{
    return 2 * x;
}

static void on_signal(int number)
{
    printf("handler %d\n", number);
    fflush(stdout);
    _exit(9);
}

static int fault(void)
{
    signal(SIGSEGV, on_signal);
    *(volatile int *)8 = 1; /* mark: fault */
    return 1;
}

/* A page of a shared mapping that nobody has touched is no mistake. */
static int share(void)
{
    int file = open("/tmp/shared", O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096) != 0) {
        return 1;
    }
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    *page = 8;
    return *page;
}

static volatile int users, alarms;

static void on_user(int number)
{
    users += number == SIGUSR1;
    alarms += number == SIGALRM;
}

static volatile int real_times;

static void on_real_time(int number)
{
    real_times += number == 63;
}

/* Signals that the program sends itself, and one of a timer. */
static int raised(void)
{
    signal(SIGUSR1, on_user);
    signal(SIGALRM, on_user);
    raise(SIGUSR1); /* mark: raise */
    raise(SIGUSR1);
    const struct itimerval soon = {.it_value.tv_usec = 20000};
    setitimer(ITIMER_REAL, &soon, NULL);
    while (alarms == 0) {
        pause();
    }
    return 20 + users;
}

/* A signal that GDB has beyond its first 64: SIG63 is its 75. */
static int real_time(void)
{
    signal(63, on_real_time);
    raise(63);
    return 30 + real_times;
}

/* On as many cores as there are. */
static void start(void *(*body)(void *), int count, pthread_t *threads)
{
    for (int i = 0; i < count; i++) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_create(&threads[i], &attributes, body, (void *)(intptr_t)i);
    }
}

/* On the last core, which does not have the console. */
static int tell(void)
{
    go_to_last_core();
    watched = 1; /* mark: tell */
    (void)!write(STDOUT_FILENO, "told\n", 5);
    watched = 2;
    return 8;
}

/* Waits in one call until somebody types. */
static int listen_to_input(void)
{
    char typed;
    puts("listens");
    fflush(stdout);
    return read(STDIN_FILENO, &typed, 1) == 1 ? 6 : 1;
}

/* Until the debugger says so. */
static int spin(int count)
{
    pthread_t threads[THREADS_MAX];
    pthread_barrier_init(&all_are_there, NULL, (unsigned)count);
    puts("spins");
    fflush(stdout);
    start(worker, count, threads);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    return 7;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "plain";
    int count = argc > 2 ? atoi(argv[2]) : 2;
    int local = twice(21); /* mark: main */
    pthread_t thread;
    if (strcmp(mode, "spin") == 0) {
        return spin(count);
    }
    if (strcmp(mode, "alternate") == 0) {
        alternate_of = count;
        return spin(count);
    }
    if (strcmp(mode, "tell") == 0) {
        return tell();
    }
    if (strcmp(mode, "listen") == 0) {
        return listen_to_input();
    }
    if (strcmp(mode, "idle") == 0) {
        while (!must_end) {
            usleep(100000);
        }
        return 6;
    }
    if (strcmp(mode, "write") == 0) {
        start(writer, 1, &thread);
        pthread_join(thread, NULL);
        return (int)watched;
    }
    if (strcmp(mode, "fault") == 0) {
        return fault();
    }
    if (strcmp(mode, "share") == 0) {
        return share();
    }
    if (strcmp(mode, "raise") == 0) {
        return raised();
    }
    if (strcmp(mode, "realtime") == 0) {
        return real_time();
    }
    if (strcmp(mode, "abort") == 0) {
        abort();
    }
    printf("local %d %d\n", local, untouched[4096]);
    return 5;
}
