/* SPDX-License-Identifier: Apache-2.0 */
/* Signals between four cores that run freely: none is lost. Senders and waiters share words that
 * have one writer each and are stored without locked instructions, so that percpu's own fences
 * alone keep the order. Every round ends when the cores are quiet: whatever was lost shows then,
 * since nothing wakes a core but what the round itself sent. */
#include "check.h"
#include "random.h"

#include <host.h>
#include <outbox.h>
#include <percpu/channel.h>
#include <percpu/operations.h>
#include <pthread.h>

#define CORES 4u
#define WAITERS 70u /* on each core: two groups */
#define ROUNDS 100u
#define SIGNALS 2500u /* from each core in a round: 1,000,000 in all */
#define QUIET_MS_MAX 20000u

/* What was sent, by sender, receiver and waiter; what each waiter saw. */
static _Atomic uint32_t posted[CORES][CORES][WAITERS], interrupts[CORES][CORES][WAITERS];
static _Atomic uint32_t seen[CORES][WAITERS], interrupts_seen[CORES][WAITERS];
static _Atomic uint32_t senders_left;
static uint32_t generations[CORES][WAITERS];

static uint32_t total(_Atomic uint32_t words[CORES][CORES][WAITERS], uint32_t core, uint32_t waiter)
{
    uint32_t sum = 0;
    for (uint32_t sender = 0; sender < CORES; sender++) {
        sum += atomic_load_explicit(&words[sender][core][waiter], memory_order_relaxed);
    }
    return sum;
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* Looks, tells what it saw, parks. */
static void waiter_step(struct thread *thread)
{
    uint32_t core = percpu_self.value, waiter = (uint32_t)thread->work[0];
    if (thread->interrupt) {
        thread->interrupt = false;
        store(&interrupts_seen[core][waiter], total(interrupts, core, waiter));
    }
    store(&seen[core][waiter], total(posted, core, waiter));
    (void)!percpu_park(THREAD_NEVER);
}

static void signal_one(uint32_t core, uint32_t waiter, bool interrupt)
{
    uint32_t self = percpu_self.value;
    if (interrupt) {
        store(&interrupts[self][core][waiter], interrupts[self][core][waiter] + 1);
    }
    store(&posted[self][core][waiter], posted[self][core][waiter] + 1);
    enum result sent = percpu_signal_send_remote((core_id_t){(uint16_t)core}, waiter,
                                                 generations[core][waiter], interrupt);
    HOST_CHECK(sent == RESULT_OK);
}

static void sender_step(struct thread *thread)
{
    uint64_t random = thread->work[1];
    uint32_t burst = 1 + random_below(&random, 16);
    for (uint32_t i = 0; i < burst && thread->work[0] < SIGNALS; i++, thread->work[0]++) {
        /* A few favourites, so that signals often meet a pending one. */
        uint32_t range = random_below(&random, 2) == 0 ? 3 : WAITERS;
        signal_one(random_below(&random, CORES), random_below(&random, range),
                   random_below(&random, 8) == 0);
    }
    thread->work[1] = random;
    if (thread->work[0] == SIGNALS) {
        percpu_thread_free(thread);
        atomic_fetch_sub(&senders_left, 1);
    } else if (random_below(&random, 4) == 0) {
        /* The core falls asleep now and then. */
        (void)!percpu_park(percpu_operation_now() + random_below(&random, 20000));
    }
}

static void waiters_start(void *none)
{
    (void)none;
    for (uint32_t i = 0; i < WAITERS; i++) {
        struct thread *thread = host_thread_start(waiter_step, 20);
        HOST_CHECK(thread->index == i);
        thread->work[0] = i;
        generations[percpu_self.value][i] = thread->generation;
    }
}

static void round_run(void *round)
{
    struct thread *sender = host_thread_start(sender_step, 10);
    sender->work[1] = *(uint32_t *)round * CORES + percpu_self.value + 1;
    host_loop();
}

static bool is_all_seen(void)
{
    for (uint32_t core = 0; core < CORES; core++) {
        for (uint32_t waiter = 0; waiter < WAITERS; waiter++) {
            if (seen[core][waiter] != total(posted, core, waiter) ||
                interrupts_seen[core][waiter] != total(interrupts, core, waiter)) {
                return false;
            }
        }
    }
    return true;
}

/* No core: watches from outside, so that it wakes nobody. */
static void *monitor(void *is_complete)
{
    for (uint32_t ms = 0; ms < QUIET_MS_MAX; ms++) {
        if (atomic_load(&senders_left) == 0 && is_all_seen()) {
            *(bool *)is_complete = true;
            break;
        }
        usleep(1000);
    }
    host_finish();
    return NULL;
}

/* @verifies ATL-LLR-PERCPU-0008~1
 * @verifies ATL-LLR-PERCPU-0005~1 */
TEST(no_signal_is_lost)
{
    host_start(&(struct host_config){.core_count = CORES, .thread_count = 100, .seed = 7});
    host_on_all(waiters_start, NULL);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        bool is_complete = false;
        pthread_t watcher;
        atomic_store(&senders_left, CORES);
        host_prepare();
        CHECK_EQUAL(pthread_create(&watcher, NULL, monitor, &is_complete), 0);
        host_on_all(round_run, &round);
        pthread_join(watcher, NULL);
        CHECK(is_complete);
    }
    host_stop();
}

static uint64_t ipis;

static void ipis_sum(void *none)
{
    (void)none;
    ipis += host_ipis_sent;
}

static void burst(void *thread_index)
{
    for (uint32_t i = 0; i < 100; i++) {
        enum result sent =
            percpu_signal_send_remote((core_id_t){1}, *(uint32_t *)thread_index, 1, i % 2 == 0);
        HOST_CHECK(sent == RESULT_OK);
    }
}

static void wait_one(void *index)
{
    struct thread *thread;
    enum result made = percpu_thread_allocate(&thread);
    HOST_CHECK(made == RESULT_OK && thread->generation == 1);
    *(uint32_t *)index = thread->index;
    percpu_channel_drain();
}

static void take_one(void *index)
{
    percpu_channel_drain();
    struct thread *thread = percpu_thread_find(1ull << 32 | 1ull << 16 | *(uint32_t *)index);
    HOST_CHECK(thread != NULL && thread->permit && thread->interrupt);
    HOST_CHECK(!channel_has_work());
}

/* @verifies ATL-LLR-PERCPU-0007~1 */
TEST(signals_merge_and_cost_one_interrupt)
{
    uint32_t index = 0;
    ipis = 0;
    host_start(&(struct host_config){.core_count = 2, .thread_count = 100});
    host_on(1, wait_one, &index);
    host_on(0, burst, &index);
    host_on(0, ipis_sum, NULL);
    CHECK_EQUAL(ipis, 1);
    host_on(1, take_one, &index);
    host_on(0, burst, &index);
    host_on(1, take_one, &index);
    host_stop();
}

CHECK_MAIN()
