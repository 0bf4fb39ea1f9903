/* SPDX-License-Identifier: Apache-2.0 */
/* What a core publishes about its TLB, and the order of it against page-table entries. */
#include "race.h"

#include "check.h"

#include <host.h>
#include <percpu/channel.h>

#define CELL 7u
#define ROUNDS 200000u

static _Atomic uint32_t entry[ROUNDS]; /* 0: there, 1: cleared */
static bool was_asked[ROUNDS], saw_old[ROUNDS];
static struct race race;

static void race_run(void *none)
{
    (void)none;
    for (uint32_t round = 0; race_next(&race, percpu_self.value, ROUNDS); round++) {
        if (percpu_self.value == 0) {
            atomic_store_explicit(&entry[round], 1, memory_order_relaxed);
            was_asked[round] = percpu_cell_may_hold_remote((core_id_t){1}, CELL + round);
        } else {
            percpu_cell_publish(CELL + round);
            saw_old[round] = atomic_load_explicit(&entry[round], memory_order_relaxed) == 0;
        }
    }
}

/* @verifies ATL-LLR-PERCPU-0011~1 */
TEST(no_core_walks_an_old_entry_unasked)
{
    race_begin(&race);
    host_start(&(struct host_config){.core_count = 2, .thread_count = 1});
    host_on_all(race_run, NULL);
    host_stop();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        CHECK(was_asked[round] || !saw_old[round]);
    }
}

/* @verifies ATL-LLR-PERCPU-0011~1 */
TEST(only_the_published_cell_may_be_held)
{
    host_enter(&(struct host_config){.core_count = 2, .thread_count = 1});
    CHECK(!percpu_cell_may_hold_remote(percpu_self, CELL));
    percpu_cell_publish(CELL);
    CHECK(percpu_cell_may_hold_remote(percpu_self, CELL));
    CHECK(!percpu_cell_may_hold_remote(percpu_self, CELL + 1));
    CHECK(!percpu_cell_may_hold_remote((core_id_t){1}, CELL));
    percpu_cell_publish(0);
    CHECK(!percpu_cell_may_hold_remote(percpu_self, CELL));
    host_leave();
}

CHECK_MAIN()
