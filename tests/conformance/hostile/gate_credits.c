/* SPDX-License-Identifier: Apache-2.0 */
/* More threads of core 0 that want something of core 1 at once than a channel has credits, while
 * core 1 is long in the kernel each time: calls of the gate, faults and changes of mappings in core
 * 1's slot, moves to core 1. It goes on until threads of each kind have found no credit; each has
 * its right result. On Linux there is no gate, and one round is done without. Fault injection:
 * --break CASE.
 *
 * @verifies ATL-HLR-CONF-0013~1 ATL-LLR-PERCPU-1412~1 @robust */
#include "gate_raw.h"

#define THREADS 64
#define CREDITS 32 /* from a core to a core */
#define OFTEN 20   /* that each kind found none */

enum kind { ASK, TOUCH, PROTECT, MOVE, KINDS };

static uint8_t *pages; /* of core 1's slot: one for each thread */
static _Atomic uint64_t starved[KINDS];
static _Atomic int is_over;
static pthread_barrier_t all_started;

static int64_t count_of(uint64_t core, uint64_t count)
{
    return call(GATE_INFORMATION, GATE_INFORMATION_CORE, core, count, 0, 0);
}

/* Of core 0, on which this is called: what the thread asks for next has to wait for a credit. */
static void note(enum kind kind)
{
    int64_t others = (check_all_cores_count - 2) * CREDITS;
    starved[kind] += count_of(0, GATE_COUNT(credits_free)) <= others;
}

static void ask(uint8_t *page)
{
    (void)page;
    note(ASK);
    CHECK_EQUAL(count_of(1, GATE_COUNT(credits_total)), CREDITS * (check_all_cores_count - 1));
}

static void touch(uint8_t *page)
{
    volatile uint64_t *word = (volatile uint64_t *)page;
    note(TOUCH);
    CHECK_EQUAL(*word, 0);
    *word = (uintptr_t)page;
    CHECK_EQUAL(*word, (uintptr_t)page);
    CHECK_EQUAL(call(GATE_UNMAP, (uintptr_t)page, PAGE, GATE_UNMAP_DISCARD, 0, 0), 0);
}

static void protect(uint8_t *page)
{
    *(volatile uint8_t *)page = 1;
    note(PROTECT);
    CHECK_EQUAL(call(GATE_PROTECT, (uintptr_t)page, PAGE, GATE_READ, 0, 0), 0);
    CHECK_EQUAL(*(volatile uint8_t *)page, 1);
    CHECK_EQUAL(call(GATE_PROTECT, (uintptr_t)page, PAGE, GATE_READ | GATE_WRITE, 0, 0), 0);
}

static void move(uint8_t *page)
{
    (void)page;
    note(MOVE);
    check_pin(1);
    CHECK_EQUAL(sched_getcpu(), check_all_cores[1]);
    check_pin(0);
    CHECK_EQUAL(sched_getcpu(), check_all_cores[0]);
}

static int is_enough(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (starved[kind] < OFTEN) {
            return 0;
        }
    }
    return 1;
}

static void *want(void *argument)
{
    static void (*const deeds[KINDS])(uint8_t * page) = {ask, touch, protect, move};
    uintptr_t number = (uintptr_t)argument;
    check_pin(0);
    pthread_barrier_wait(&all_started);
    do {
        deeds[number % KINDS](pages + number * PAGE);
    } while (!is_enough());
    return NULL;
}

/* Has the kernel walk all tables of the core, which takes long. */
static void *be_busy(void *argument)
{
    (void)argument;
    check_pin(1);
    pthread_barrier_wait(&all_started);
    while (!is_over) {
        CHECK_EQUAL(call(GATE_INFORMATION, GATE_INFORMATION_AUDIT, 0, 0, 0, 0), 0);
    }
    return NULL;
}

static uint8_t *map(uint64_t bytes)
{
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static void more_threads_than_credits(void)
{
    pthread_t threads[THREADS], busy;
    find_gate();
    if (!has_gate || check_all_cores_count < 2) {
        return;
    }
    check_pin(1); /* whose slot it is */
    pages = map(THREADS * PAGE);
    check_unpin();
    CHECK_EQUAL(pthread_barrier_init(&all_started, NULL, THREADS + 1), 0);
    busy = check_thread(be_busy, NULL);
    for (uintptr_t i = 0; i < THREADS; i++) {
        threads[i] = check_thread(want, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) {
        check_join(threads[i]);
    }
    is_over = 1;
    check_join(busy);
    for (int core = 0; core < check_all_cores_count; core++) {
        while (count_of((uint64_t)core, GATE_COUNT(credits_free)) !=
               count_of((uint64_t)core, GATE_COUNT(credits_total))) {
            sched_yield(); /* what is under way comes to its end */
        }
    }
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"more_threads_than_credits", more_threads_than_credits},
    };
    return CHECK_MAIN(cases);
}
