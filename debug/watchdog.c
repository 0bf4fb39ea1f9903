/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog: the interval timer (Intel 8254, channel 0) interrupts all cores by NMI, through the
 * I/O APIC, which no core can shut out. Each then judges itself: its kernel runs, or threads wait
 * while a thread runs, and nothing of what it counts has changed for too long. */
#include "record.h"

#include "../isolation/gate/internal.h"

#include <cpu/instructions.h>
#include <driver/device.h>
#include <kernel/image.h>
#include <kernel/stacks.h>
#include <main.h>

#define TIMER_COMMAND 0x43
#define TIMER_CHANNEL 0x40
#define TIMER_RATE_GENERATOR 0x34 /* channel 0, both bytes, mode 2 */
#define TIMER_HZ 1193182u
#define LOOKS_PER_SECOND 20u
#define MILLISECONDS_MAX 3600000ull
#define TIMER_GSI                                                                                  \
    2u /* where machines with an I/O APIC have it: ACPI, "Interrupt Source Override" */
#define IOAPIC_SELECT 0x00u
#define IOAPIC_WINDOW 0x10u
#define IOAPIC_REDIRECTION 0x10u
#define DELIVERY_NMI (4u << 8)
#define EVERY_CORE (0xffu << 24)
#define WATCHDOG_PATH "/proc/.atoll/watchdog"
#define RED_ZONE_BYTES 256u
#define FLAGS_CLEAN 2u
#define KERNEL_HALF (1ull << 63)

void __real_percpu_operation_idle(uint64_t deadline_ns);
void __wrap_percpu_operation_idle(uint64_t deadline_ns);

/* Looks, not time: a core that its host does not let run is not looked at either. */
static PERCORE uint64_t limit; /* 0: not known yet */
static PERCORE uint64_t looks, passes, seen;
static PERCORE bool is_idle;
static PERCORE struct kernel_trap bitten;

/* How many looks without progress are too many. UINT64_MAX: the image asks for no watchdog. */
static uint64_t wanted(void)
{
    const struct image_file *file =
        debug_file_find((const uint8_t *)WATCHDOG_PATH, sizeof(WATCHDOG_PATH) - 1);
    if (file == NULL || file->bytes != sizeof(uint64_t)) {
        return UINT64_MAX;
    }
    uint64_t milliseconds = *(const uint64_t *)(const void *)debug_file_content(file);
    return MIN(milliseconds, MILLISECONDS_MAX) * LOOKS_PER_SECOND / 1000 + 1;
}

static void route(const struct facts_ioapic *ioapic, uint32_t index, uint32_t value)
{
    device_write(ioapic->registers + IOAPIC_SELECT, 4, index);
    device_write(ioapic->registers + IOAPIC_WINDOW, 4, value);
}

/* @impl ATL-LLR-DEBUG-0710~1 */
void debug_watchdog_start(void)
{
    const uint32_t count = TIMER_HZ / LOOKS_PER_SECOND;
    for (uint32_t i = 0; wanted() != UINT64_MAX && i < shared_facts.ioapic_count; i++) {
        const struct facts_ioapic *ioapic = &shared_facts.ioapics[i];
        if (ioapic->gsi_base == 0 && ioapic->registers != 0) {
            cpu_out8(TIMER_COMMAND, TIMER_RATE_GENERATOR);
            cpu_out8(TIMER_CHANNEL, (uint8_t)count);
            cpu_out8(TIMER_CHANNEL, (uint8_t)(count >> 8));
            route(ioapic, IOAPIC_REDIRECTION + 2 * TIMER_GSI + 1, EVERY_CORE);
            route(ioapic, IOAPIC_REDIRECTION + 2 * TIMER_GSI, DELIVERY_NMI);
            return;
        }
    }
}

void debug_watchdog_end(void)
{
    limit = UINT64_MAX;
}

void debug_watchdog_pass(void)
{
    passes++;
}

void __wrap_percpu_operation_idle(uint64_t deadline_ns)
{
    is_idle = true;
    __real_percpu_operation_idle(deadline_ns);
    is_idle = false;
}

/* A program may run for ever, but not keep others of its core waiting; a kernel may not. */
static bool must_pass(const struct kernel_trap *trap)
{
    bool is_in_kernel = trap->rip >= KERNEL_HALF;
    return !debug_stop_is_under_way() && !is_idle && (is_in_kernel || debug_threads_ready() > 0);
}

static noreturn void bite(void)
{
    __wrap_report_kernel_trap(&bitten, 0);
}

/* The report is made where the core was, not here: an exception or an interrupt meanwhile would let
 * the next NMI through, to this very stack. */
static void return_to_bite(struct kernel_trap *trap)
{
    bitten = *trap;
    trap->rsp = trap->rip >= KERNEL_HALF ? ALIGN_DOWN(trap->rsp - RED_ZONE_BYTES, 16ull)
                                         : (uint64_t)stack_gate_top;
    trap->rsp -= sizeof(uint64_t);
    *(uint64_t *)trap->rsp = 0; /* nobody called it */
    trap->rip = (uint64_t)bite;
    trap->cs = SELECTOR_KERNEL_CODE;
    trap->ss = SELECTOR_KERNEL_DATA;
    trap->rflags = FLAGS_CLEAN;
    debug_watchdog_end();
}

/* @impl ATL-LLR-DEBUG-0710~1 */
bool debug_watchdog_look(struct kernel_trap *trap)
{
    limit = limit != 0 ? limit : wanted();
    uint64_t moves = passes + gate_counts.gate_calls + gate_counts.reflections +
                     gate_counts.interrupts + gate_counts.faults;
    bool is_stuck = limit != UINT64_MAX && moves == seen && must_pass(trap);
    seen = moves;
    looks = is_stuck ? looks + 1 : 0;
    if (looks <= limit) {
        return false;
    }
    return_to_bite(trap);
    return true;
}
