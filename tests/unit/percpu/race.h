/* SPDX-License-Identifier: Apache-2.0 */
/* Two cores that begin each round of a race together, with a small random shift. */
#ifndef TESTS_UNIT_PERCPU_RACE_H
#define TESTS_UNIT_PERCPU_RACE_H

#include "random.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

/* A race ends early where the machine has no processor to spare for each core. */
#define RACE_SECONDS_MAX 4

struct race {
    _Atomic uint32_t arrived;
    _Atomic uint32_t stop; /* the round that is not run; core 0 decides */
    time_t end;
    uint32_t rounds[2];
    uint32_t meetings[2]; /* of each core, its own */
    uint64_t random[2];
};

static inline void race_begin(struct race *race)
{
    *race =
        (struct race){.stop = UINT32_MAX, .random = {3, 5}, .end = time(NULL) + RACE_SECONDS_MAX};
}

/* Returns on both cores when both have come. */
static inline void race_meet(struct race *race, uint32_t core)
{
    uint32_t target = 2 * ++race->meetings[core];
    atomic_fetch_add(&race->arrived, 1);
    for (uint32_t spins = 0; atomic_load(&race->arrived) < target; spins++) {
        if (spins % 4096 == 4095) {
            sched_yield(); /* the machine may have one processor left */
        }
    }
}

/* Begins another round on both cores; false on both when there were enough. */
static inline bool race_next(struct race *race, uint32_t core, uint32_t rounds_max)
{
    uint32_t round = race->rounds[core]++;
    bool is_late = round % 64 == 63 && time(NULL) >= race->end;
    if (core == 0 && (round == rounds_max || is_late)) {
        atomic_store(&race->stop, round);
    }
    race_meet(race, core);
    return round < atomic_load(&race->stop);
}

static inline void race_shift(struct race *race, uint32_t core, uint32_t limit)
{
    uint32_t spins = random_below(&race->random[core], limit);
    for (volatile uint32_t i = 0; i < spins; i++) {
    }
}

#endif
