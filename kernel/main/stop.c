/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a machine that cannot go on: what a person sees then, in any state, on any core
 * (polled output, no allocation, no messages), and what a core tells the others. The line is core
 * 0's: before another core uses it, that one has finished the frame that it was sending. A core
 * that is asked to stop does so where its kernel is left or halted, or, if that takes too long, by
 * an NMI wherever it is. */
#include "main.h"

#include <cpu/apic.h>
#include <cpu/core.h>
#include <driver/console.h>
#include <driver/power.h>
#include <gate/gate.h>
#include <kernel/region.h>
#include <percpu/trace.h>

#define SHOWN_RECORDS 8u
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

/* Before this core's last words: the other cores stop, within a bounded time, and this core's
 * output is polled from here on. Any core, any state. @impl ATL-LLR-BOOT-0034~1 */
static void stop_others(void)
{
    cpu_cli();
    if (!cpu_is_on_boot_tables() && percpu_core_count > 0) {
        if (*state_of_remote(percpu_self.value) == CORE_PANICS) {
            power_off(true); /* a fault while a panic was reported: no second try */
        }
        *state_of_remote(percpu_self.value) = CORE_PANICS;
        if (!stop_by(VECTOR_STOP)) {
            (void)stop_by(APIC_COMMAND_NMI);
        }
    }
    console_panic_begin();
}

/* ---- what a person sees */

/* @impl ATL-LLR-BOOT-0029~1 */
noreturn void end_machine(uint8_t kind, uint8_t status, uint8_t signal)
{
    coverage_leave();
    console_exit_record(kind, status, signal);
    power_off(kind != CONSOLE_EXIT_NORMAL || status != 0);
}

/* Stops the others and begins the line that says why. On the boot tables there are no PERCORE
 * variables, and only one core. */
static void panic_begin(void)
{
    stop_others();
    /* An atomic load: one that the compiler does not move before the question. */
    uint32_t core =
        cpu_is_on_boot_tables() ? 0 : __atomic_load_n(&percpu_self.value, __ATOMIC_RELAXED);
    console_log(CONSOLE_ERROR, "atoll: panic: core %u: ", core);
}

/* Behind the reason: what this core did last, as numbers of debug/trace.toml.
 * @impl ATL-LLR-BOOT-0600~1 */
static noreturn void end_after_panic(void)
{
    const struct trace_ring *ring = cpu_is_on_boot_tables() ? NULL : percpu_trace_ring;
    uint64_t count = ring == NULL ? 0 : ring->count;
    for (uint64_t i = count - MIN(count, SHOWN_RECORDS); i < count; i++) {
        const struct trace_record *record = &ring->records[i % TRACE_RECORDS];
        console_log(CONSOLE_ERROR, "  at %lu ns event %u (%u, 0x%lx, 0x%lx)\n", record->time_ns,
                    record->event, record->a, record->b, record->c);
    }
    end_machine(CONSOLE_EXIT_PANIC, 0, 0);
}

noreturn void percpu_operation_panic(const char *reason)
{
    panic_begin();
    console_log(CONSOLE_ERROR, "%s\n", reason);
    end_after_panic();
}

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    panic_begin();
    console_log(CONSOLE_ERROR, "assertion failed: %s (%s:%u)\n", expression, file, (unsigned)line);
    end_after_panic();
}

/* @impl ATL-LLR-BOOT-0035~1 */
noreturn void report_kernel_trap(const struct kernel_trap *trap, uint64_t address)
{
    panic_begin();
    console_log(CONSOLE_ERROR, "exception %lu (error 0x%lx) in the kernel, rip 0x%lx\n",
                trap->vector, trap->error, trap->rip);
    console_log(CONSOLE_ERROR, "  rsp 0x%lx rflags 0x%lx cr2 0x%lx\n", trap->rsp, trap->rflags,
                address);
    console_log(CONSOLE_ERROR, "  rax 0x%lx rcx 0x%lx rdx 0x%lx rsi 0x%lx rdi 0x%lx\n", trap->rax,
                trap->rcx, trap->rdx, trap->rsi, trap->rdi);
    end_after_panic();
}
