/* SPDX-License-Identifier: Apache-2.0 */
/* What a program can see of the machine; the argument chooses. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* Ticks of the counter in a second, by the system's clock. */
static void print_rate(void)
{
    int64_t start = now_ns(CLOCK_MONOTONIC_RAW), end;
    uint64_t first = __builtin_ia32_rdtsc();
    do {
        end = now_ns(CLOCK_MONOTONIC_RAW);
    } while (end - start < 300000000);
    uint64_t ticks = __builtin_ia32_rdtsc() - first;
    printf("%.0f\n", (double)ticks * 1e9 / (double)(end - start));
}

/* The number of sleeps that ended too early. */
static void print_early(void)
{
    int early = 0;
    for (int i = 1; i <= 40; i++) {
        int64_t ns = i * 131071ll, start = now_ns(CLOCK_MONOTONIC);
        struct timespec time = {0, ns};
        nanosleep(&time, NULL);
        early += now_ns(CLOCK_MONOTONIC) - start < ns;
    }
    printf("%d\n", early);
}

static void *count(void *cell)
{
    __atomic_fetch_add((int *)cell, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Cores, and threads that ran and were joined: twice as many. */
static void print_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[128];
    int ran = 0;
    for (long i = 0; i < 2 * cores && i < 128; i++) {
        if (pthread_create(&threads[i], NULL, count, &ran) != 0) {
            perror("pthread_create");
            exit(1);
        }
    }
    for (long i = 0; i < 2 * cores && i < 128; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%ld %d\n", cores, ran);
}

static void write_much(void)
{
    static char line[101];
    for (int i = 0; i < 5000; i++) {
        memset(line, 'a' + i % 26, 99);
        snprintf(line, 8, "%06d ", i);
        line[7] = '.';
        line[99] = '\n';
        fwrite(line, 1, 100, stdout);
    }
}

static void read_late(void)
{
    sleep(1);
    char piece[333];
    size_t got;
    while ((got = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        fwrite(piece, 1, got, stdout);
    }
}

static atomic_int written;

/* The thread of core 1 moves to core 0 once that one is writing. */
static void *move_away(void *nothing)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    while (written < 200) {
        sched_yield();
    }
    if (sched_getcpu() == 1) {
        sched_setaffinity(0, sizeof(first), &first);
    }
    return nothing;
}

static void write_while_another_moves(int already_written)
{
    char line[202] = {[200] = '\n'};
    pthread_t threads[8];
    for (int i = 0; i < 200; i++) {
        line[i] = (char)('0' + i % 10);
    }
    for (int i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, move_away, NULL);
    }
    written = already_written;
    while (write(STDOUT_FILENO, line, 201) > 0) {
        written++;
    }
}

static void *touch_all(void *nothing)
{
    size_t bytes = 1ull << 30;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t at = 0; memory != MAP_FAILED && at < bytes;
         at += 4096) { /* or others have it all */
        memory[at] = 1;
    }
    return nothing;
}

/* Each core's threads want more memory than the machine has. */
static void touch_everywhere(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, touch_all, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(int count_of_arguments, char **arguments)
{
    const char *what = count_of_arguments > 1 ? arguments[1] : "";
    if (strcmp(what, "rate") == 0) {
        print_rate();
    } else if (strcmp(what, "date") == 0) {
        printf("%ld\n", (long)time(NULL));
    } else if (strcmp(what, "early") == 0) {
        print_early();
    } else if (strcmp(what, "cores") == 0) {
        print_cores();
    } else if (strcmp(what, "much") == 0) {
        write_much();
    } else if (strcmp(what, "late") == 0) {
        read_late();
    } else if (strcmp(what, "sgdt") == 0) {
        char table[10];
        __asm__ volatile("sgdt %0" : "=m"(table));
    } else if (strcmp(what, "move") == 0) {
        write_while_another_moves(0);
    } else if (strcmp(what, "move at once") == 0) {
        write_while_another_moves(200);
    } else if (strcmp(what, "exhaust") == 0) {
        touch_everywhere();
    } else if (strcmp(what, "abort") == 0) {
        abort();
    } else {
        return 1;
    }
    return 0;
}
