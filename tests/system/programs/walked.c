/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of the sessions in docs/DEBUGGING.md: each mode has one mistake. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct account {
    pthread_mutex_t lock;
    long balance;
};

static struct account savings = {.lock = PTHREAD_MUTEX_INITIALIZER, .balance = 100};
static struct account current = {.lock = PTHREAD_MUTEX_INITIALIZER, .balance = 100};
static pthread_barrier_t both_have_one;

static void transfer(struct account *from, struct account *to, long amount)
{
    pthread_mutex_lock(&from->lock);
    pthread_barrier_wait(&both_have_one);
    pthread_mutex_lock(&to->lock);
    from->balance -= amount;
    to->balance += amount;
    pthread_mutex_unlock(&to->lock);
    pthread_mutex_unlock(&from->lock);
}

static void *save(void *argument)
{
    transfer(&current, &savings, (long)(intptr_t)argument);
    return NULL;
}

/* Each has what the other wants. */
static int hang(void)
{
    pthread_t thread;
    pthread_barrier_init(&both_have_one, NULL, 2);
    pthread_create(&thread, NULL, save, (void *)10);
    transfer(&savings, &current, 20);
    pthread_join(thread, NULL);
    return 0;
}

struct user {
    const char *name;
    struct user *next;
};

static int count_letters(const struct user *user)
{
    int sum = 0;
    for (; user != NULL; user = user->next) {
        sum += (int)strlen(user->name);
    }
    return sum;
}

static int crash(void)
{
    struct user second = {.name = NULL}, first = {.name = "ann", .next = &second};
    return count_letters(&first);
}

static volatile unsigned answers;

static unsigned slow_hash(const char *text)
{
    unsigned hash = 0;
    for (int round = 0; round < 100000; round++) {
        for (const char *at = text; *at != '\0'; at++) {
            hash = hash * 33 + (unsigned char)*at;
        }
    }
    return hash;
}

static void *hash_all(void *argument)
{
    (void)argument;
    pthread_setname_np(pthread_self(), "hasher");
    for (;;) {
        answers += slow_hash("a key of a table");
    }
    return NULL;
}

static int slow(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, hash_all, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static struct {
    char label[8];
    long limit;
} setting = {.limit = 1000};

__attribute__((noinline)) static void set_label(const char *text, int turn)
{
    for (int i = 0; text[i] != '\0'; i++) {
        setting.label[i] = turn == 50000 ? text[i] : '-';
    }
}

static int wrong(void)
{
    for (int turn = 0; turn < 100000; turn++) {
        set_label(turn == 50000 ? "overlong!" : "short", turn);
    }
    return setting.limit == 1000 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    puts("begins");
    fflush(stdout);
    if (strcmp(mode, "hang") == 0) {
        return hang();
    }
    if (strcmp(mode, "crash") == 0) {
        return crash();
    }
    if (strcmp(mode, "slow") == 0) {
        return slow();
    }
    return wrong();
}
