/* SPDX-License-Identifier: Apache-2.0 */
/* What interrupts and exceptions mean. */
#include "main.h"

#include <cpu/apic.h>
#include <cpu/exception.h>
#include <cpu/msr.h>
#include <driver/console.h>
#include <gate/gate.h>
#include <isolation/space.h>
#include <kernel/layout.h>
#include <percpu/trace.h>
#include <virtio/virtio.h>

#define VECTOR_DEBUG 1
#define VECTOR_PAGE_FAULT 14
#define VECTOR_MACHINE_CHECK 18
#define VECTOR_FIRST_INTERRUPT 32

/* Page-fault error code: SDM volume 3, "Interrupt 14". */
#define FAULT_PRESENT 1ull
#define FAULT_WRITE 2ull
#define FAULT_USER 4ull
#define FAULT_RESERVED 8ull
#define FAULT_FETCH 16ull

noreturn void trap_from_cell(uint64_t vector, uint64_t error, uint64_t address);
void trap_in_kernel(struct kernel_trap *trap, uint64_t address);

/* @impl ATL-LLR-VIRTIO-0871~1 */
static void interrupt(uint64_t vector)
{
    gate_counts.interrupts++;
    TRACE(TRACE_INTERRUPT, (uint32_t)vector, 0, 0);
    if (vector == VECTOR_UART) {
        gate_console_ready(console_interrupt());
    } else if (vector - VECTOR_NETWORK < GATE_NETWORKS) {
        virtio_network_interrupt(vector - VECTOR_NETWORK);
    } else if (vector == VECTOR_DOORBELL && gate_kicks[GATE_PORT_DOORBELL] != NULL) {
        virtio_doorbell_interrupt();
    } else if (vector == VECTOR_STOP) {
        stop_self();
    } else if (vector == VECTOR_IPI) {
        percpu_channel_is_due = true;
    } else if (vector == VECTOR_TIMER) {
        percpu_timer_ns = THREAD_NEVER; /* one shot; the way out looks at all deadlines */
    }
    /* Also behind a spurious one, which may be none: a device can send its vector. No other is in
     * service then, so that it ends nothing else. */
    cpu_apic_write(APIC_END_OF_INTERRUPT, 0);
}

static enum space_access access_of(uint64_t error)
{
    if ((error & FAULT_FETCH) != 0) {
        return SPACE_ACCESS_EXECUTE;
    }
    return (error & FAULT_WRITE) != 0 ? SPACE_ACCESS_WRITE : SPACE_ACCESS_READ;
}

static void hand_up(uint64_t vector, uint64_t error, uint64_t address)
{
    enum result result = gate_upcall_fault(percpu_current, vector, error, address);
    if (result != RESULT_OK && result != SPACE_PENDING) {
        gate_end_by_signal(percpu_current, SIGNAL_SEGV);
    }
}

static void page_fault(uint64_t error, uint64_t address)
{
    enum result resolved = RESULT_FAULT;
    if (gate_cell.ring == 3 && (error & (FAULT_PRESENT | FAULT_USER)) == FAULT_PRESENT) {
        if (gate_complete_return(percpu_current)) {
            return;
        }
    } else if (address < LAYOUT_USER_END && (error & FAULT_RESERVED) == 0) {
        resolved = isolation_space_fault(percpu_current, address, access_of(error));
    }
    if (address >= LAYOUT_USER_END) {
        error |= FAULT_PRESENT; /* does not tell what the kernel has mapped */
    }
    if (resolved == RESULT_OK || resolved == SPACE_PENDING) {
        return;
    }
    error |= resolved == RESULT_NO_MEMORY ? GATE_FAULT_NO_MEMORY : 0;
    hand_up(VECTOR_PAGE_FAULT, error, address);
}

noreturn void trap_from_cell(uint64_t vector, uint64_t error, uint64_t address)
{
    if (vector >= VECTOR_FIRST_INTERRUPT) {
        interrupt(vector);
        gate_leave();
    }
    gate_counts.faults++;
    TRACE(TRACE_FAULT, (uint32_t)vector, address, percpu_current->frame.rip);
    if (vector == VECTOR_PAGE_FAULT) {
        page_fault(error, address);
    } else if (vector == VECTOR_MACHINE_CHECK) {
        percpu_operation_panic("machine check");
    } else {
        hand_up(vector, error, 0);
    }
    gate_leave();
}

/* In the kernel: user copies fault by design; an interrupt finds it halted; the rest is fatal. */
void trap_in_kernel(struct kernel_trap *trap, uint64_t address)
{
    uint64_t fixup = trap->vector == VECTOR_PAGE_FAULT ? cpu_exception_fixup(trap->rip) : 0;
    if (trap->vector >= VECTOR_FIRST_INTERRUPT) {
        interrupt(trap->vector);
    } else if (trap->vector == VECTOR_NMI) {
        stop_at_nmi();
    } else if (trap->vector == VECTOR_DEBUG) {
        /* A single step that the processor put off until it was in here: not the kernel's. */
        trap->rflags &= ~(uint64_t)RFLAGS_TF;
    } else if (fixup != 0) {
        trap->rip = fixup;
    } else {
        report_kernel_trap(trap, address);
    }
}
