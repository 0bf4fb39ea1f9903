/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers of the kernel: hardware sources, health tests, and one deterministic generator on
 * each core. No big numbers, no keys of applications.
 *
 * Error policy: a source that fails its tests is not used; without any, boot refuses. After that
 * entropy_fill cannot fail. */
#ifndef CRYPTO_ENTROPY_H
#define CRYPTO_ENTROPY_H

#include <percpu/base.h>

/* Core 0, once: tests the sources, seeds the generator of core 0 and a seed for every other core.
 *
 * Context:  boot, before another core calls entropy_core_start; a few milliseconds at most
 * Errors:   RESULT_IO no source passes its tests: the machine must not start
 * Source:   NIST SP 800-90B, "Health Tests" */
enum result entropy_initialize(void);

/* Every other core, before seal: takes its seed, and erases it where all could read it. */
void entropy_core_start(core_id_t self);

/* Random bytes from this core's generator, which is reseeded from this core's hardware now and
 * then. What was given out cannot be computed from a later state (fast key erasure).
 *
 * Context:  own core, interrupts off, after the above; bytes bounded by the caller */
void entropy_fill(void *to, size_t bytes);

/* Adds samples of a source outside of the machine's own to this core's generator. They count for
 * nothing: who chose or knows them learns nothing, and what was unknown before stays so.
 *
 * Context:  own core, interrupts off; also before the generator is seeded */
void entropy_mix(const void *samples, size_t bytes);
/* From here on this core calls refresh before each reseed, so that it may call entropy_mix. */
void entropy_set_refresh(bool (*refresh)(void));

/* Names of the sources that passed, for the boot report: "rdseed rdrand jitter" or a part of it. */
const char *entropy_sources(void);

#endif
