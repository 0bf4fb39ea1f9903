/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a machine that cannot go on: what a person sees then. Works in any state, on any core:
 * polled output, no allocation, no messages. */
#include "main.h"

#include <cpu/core.h>
#include <driver/console.h>
#include <driver/power.h>
#include <gate/gate.h>
#include <percpu/trace.h>

#define SHOWN_RECORDS 8u

/* @impl ATL-LLR-BOOT-0029~1 */
noreturn void end_machine(uint8_t kind, uint8_t status, uint8_t signal)
{
    coverage_leave();
    console_exit_record(kind, status, signal);
    power_off();
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
