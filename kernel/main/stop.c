/* SPDX-License-Identifier: Apache-2.0 */
/* What a core tells the others when it cannot go on. The line is core 0's: before another core uses
 * it, that one has finished the frame that it was sending. A core that is asked to stop does so
 * where its kernel is left or halted, or, if that takes too long, by an NMI wherever it is. */
#include "main.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <driver/console.h>
#include <driver/power.h>
#include <kernel/region.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

#define ANSWER_NS_MAX 1000000000ull /* once for the interrupt, once for the NMI */

enum core_state {
    CORE_RUNS, /* the page is zero at start */
    CORE_PANICS,
    CORE_STOPPED,
};

/* Written by its core, read by all others. */
static _Atomic uint32_t *state_of_remote(uint32_t core)
{
    return (_Atomic uint32_t *)(region_staging(core) - REGION_LAST_WORDS_BYTES);
}

/* Of several cores that panic the lowest goes on. */
static bool another_panics(void)
{
    uint32_t self = percpu_self.value;
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        bool is_mine = core == self || (core > self && *state_of_remote(self) == CORE_PANICS);
        if (!is_mine && *state_of_remote(core) == CORE_PANICS) {
            return true;
        }
    }
    return false;
}

static noreturn void halt(void)
{
    cpu_cli();
    *state_of_remote(percpu_self.value) = CORE_STOPPED;
    for (;;) {
        cpu_hlt();
    }
}

/* @impl ATL-LLR-BOOT-0034~1 */
noreturn void stop_self(void)
{
    console_panic_begin();
    halt();
}

/* @impl ATL-LLR-BOOT-0034~1 */
void stop_at_nmi(void)
{
    if (another_panics()) {
        halt();
    }
}

static bool is_another_running(uint32_t core)
{
    return core != percpu_self.value && *state_of_remote(core) != CORE_STOPPED;
}

/* Sends to every core that has not stopped; true: all have, in time. */
static bool stop_by(uint32_t command)
{
    uint64_t deadline = percpu_operation_now() + ANSWER_NS_MAX;
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        if (is_another_running(core)) {
            cpu_apic_send((core_id_t){core}, command);
        }
    }
    for (uint32_t core = 0; core < percpu_core_count; core += !is_another_running(core)) {
        if (another_panics()) {
            stop_self();
        }
        if (percpu_operation_now() > deadline) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

/* @impl ATL-LLR-BOOT-0034~1 */
void stop_others(void)
{
    cpu_cli();
    if (!cpu_is_on_boot_tables() && percpu_core_count > 0) {
        if (*state_of_remote(percpu_self.value) == CORE_PANICS) {
            power_off(); /* a fault while a panic was reported: no second try */
        }
        *state_of_remote(percpu_self.value) = CORE_PANICS;
        if (!stop_by(VECTOR_STOP)) {
            (void)stop_by(APIC_COMMAND_NMI);
        }
    }
    console_panic_begin();
}
