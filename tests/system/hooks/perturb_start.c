/* SPDX-License-Identifier: Apache-2.0 */
/* Only in the build that delays at random (ATOLL_PERTURB); the linker leads calls here (--wrap). */
#include "../../perturb/perturb.h"

#include <boot/boot.h>
#include <crypto/entropy.h>
#include <driver/console.h>
#include <isolation/space.h>
#include <percpu/scheduler.h>

typeof(isolation_cell_build) __real_isolation_cell_build, __wrap_isolation_cell_build;

static SHARED uint64_t shared_perturb_seed; /* core 0 writes it before it starts the others */

/* The build that delays at random says with what seed, so that a failure can be run again. */
static void perturb_start(core_id_t self)
{
    if (self.value == 0) {
        shared_perturb_seed = boot_image()->seed;
        if ((boot_image()->flags & IMAGE_FLAG_FIXED_SEED) == 0) {
            entropy_fill(&shared_perturb_seed, sizeof(shared_perturb_seed));
        }
        console_log(CONSOLE_LOG, "atoll: delays with seed %lu\n", shared_perturb_seed);
    }
    percpu_perturb_seed((shared_perturb_seed | 1) + 2 * self.value);
}

/* Core 0 first, and random numbers are there. */
enum result __wrap_isolation_cell_build(struct cell *cell)
{
    perturb_start(percpu_self);
    return __real_isolation_cell_build(cell);
}
