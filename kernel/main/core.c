/* SPDX-License-Identifier: Apache-2.0 */
/* What each core does from its first instruction on its own tables until it runs threads. The
 * stages are the only time at which cores wait for each other; after the last one nothing does. */

#include <boot/boot.h>
#include <cpu/apic.h>
#include <cpu/core.h>
#include <cpu/instructions.h>
#include <cpu/time.h>
#include <crypto/entropy.h>
#include <driver/console.h>
#include <gate/gate.h>
#include <isolation/audit.h>
#include <isolation/space.h>
#include <kernel/facts.h>
#include <kernel/image.h>
#include <kernel/layout.h>
#include <kernel/region.h>
#include <percpu/frames.h>
#include <percpu/operations.h>
#include <virtio/virtio.h>

enum boot_stage {
    STAGE_CELL, /* each core has prepared itself, core 0's cell is built: the others build theirs */
    STAGE_SEAL, /* everything is written: each core makes the boot facts read-only */
};

/* Stages that each core has finished: written by it before seal, read by core 0, for which it
 * waits; core 0 is the last in each, and the others wait for it. */
static SHARED _Atomic uint32_t shared_stages_of[CORE_COUNT_MAX];

/* Generous: on a loaded host the other virtual CPUs may not get to run for long. */
#define STAGE_NS_MAX 30000000000ull

/* In the staging page of each core, for core 0: this core has sealed and judged itself. */
struct sealed {
    _Atomic uint64_t is_done;
    struct audit_report report;
};

static void stage_finish(enum boot_stage stage)
{
    uint64_t deadline = percpu_operation_now() + STAGE_NS_MAX;
    uint32_t core = percpu_self.value == 0 ? 1 : shared_facts.core_count;
    while (core < shared_facts.core_count) {
        if (atomic_load(&shared_stages_of[core]) > (uint32_t)stage) {
            core++;
        } else if (percpu_operation_now() > deadline) {
            boot_refuse("core %u did not start", core);
        }
        cpu_pause();
    }
    atomic_store(&shared_stages_of[percpu_self.value], stage + 1u);
    while (atomic_load(&shared_stages_of[0]) <= (uint32_t)stage) {
        cpu_pause();
    }
}

static void *direct(paddr_t physical)
{
    return (void *)(LAYOUT_DIRECT_BASE + physical.value);
}

static void percpu_start(core_id_t self)
{
    const struct region *region = &shared_regions[self.value];
    struct percpu_config config = {
        .self = self,
        .core_count = (uint16_t)shared_facts.core_count,
        .thread_count = region->thread_count,
        .threads = direct(region->threads),
        .extended = direct(region->extended),
        .extended_stride = (uint32_t)ALIGN_UP((uint64_t)shared_facts.info.extended_bytes, 64ull),
        .quantum_ns = boot_image()->quantum_us * 1000u,
        .is_balanced = (boot_image()->flags & IMAGE_FLAG_BALANCED) != 0,
        .memory_limit = {shared_facts.memory_limit},
        .frame_tables = direct(region->frame_tables),
        .block_attach = isolation_block_attach,
        .block_detach = isolation_block_detach,
    };
    for (uint32_t core = 0; core < shared_facts.core_count; core++) {
        config.outbox[core] = (uint8_t *)region_outbox(core);
        config.partition[core + 1] = shared_regions[core].end;
    }
    percpu_initialize(&config);
    memory_region_free_ranges(self, percpu_frames_add);
}

static void seal_and_audit(void)
{
    isolation_seal();
    struct sealed *sealed = gate_staging_own(GATE_STAGING_MOVE);
    (void)!isolation_audit(&sealed->report);
    atomic_store(&sealed->is_done, 1);
}

/* Core 0: waits for every core's verdict; the one line, or the end. @impl ATL-LLR-BOOT-0030~1 */
static void audit_report(void)
{
    uint64_t mappings = 0, frames = 0;
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        const struct sealed *sealed = gate_staging_of_remote((core_id_t){core}, GATE_STAGING_MOVE);
        while (atomic_load(&sealed->is_done) == 0) {
            cpu_pause();
        }
        if (sealed->report.violations != 0) {
            gate_report_broken_rule((core_id_t){core}, &sealed->report);
            percpu_operation_panic("the audit of the page tables does not hold");
        }
        mappings += sealed->report.mappings_judged;
        frames += sealed->report.frames_judged;
    }
    console_log(CONSOLE_LOG, "atoll: audit: %u cores, %lu mappings, %lu frames: holds\n",
                percpu_core_count, mappings, frames);
}

/* Replaces the boot canary by one that is new in each boot; its lowest byte stays zero, so that a
 * string cannot run over it unnoticed. Not protected itself: it would fail its own check. */
__attribute__((noinline, no_stack_protector)) static void canary_choose(void)
{
    uint64_t canary;
    entropy_fill(&canary, sizeof(canary));
    __stack_chk_guard = canary & ~0xffull;
}

/* Random numbers of this core; core 0 tests the sources for all. */
static void entropy_start(core_id_t self)
{
    if (self.value != 0) {
        entropy_core_start(self);
        return;
    }
    virtio_entropy_start();
    if (entropy_initialize() != RESULT_OK) {
        boot_refuse("no source of randomness passes its tests");
    }
    canary_choose();
}

static void clock_start(void)
{
    if (cpu_time_initialize() != RESULT_OK) {
        boot_refuse("no clock tells how fast the processor's counter runs");
    }
    console_log(CONSOLE_LOG, "atoll: %s, %u cores, %s, %lu KiB of memory, TSC %lu kHz by %s\n",
                shared_facts.loader, shared_facts.core_count,
                shared_facts.x2apic ? "x2APIC" : "xAPIC", shared_facts.info.memory_bytes >> 10,
                shared_facts.info.tsc_hz / 1000, shared_facts.tsc_source);
}

/* @impl ATL-LLR-BOOT-0015~1 */
static void other_cores_start(void)
{
    for (uint16_t core = 1; core < shared_facts.core_count; core++) {
        cpu_apic_send((core_id_t){core}, APIC_COMMAND_INIT);
        cpu_apic_send((core_id_t){core}, APIC_COMMAND_STARTUP(shared_facts.low_page));
    }
}

static void cell_build(void)
{
    if (isolation_cell_build(&gate_cell) != RESULT_OK) {
        boot_refuse("not enough memory for the library OS on core %u", percpu_self.value);
    }
}

noreturn void kernel_core_main(core_id_t self)
{
    cpu_core_initialize(self);
    if (self.value == 0) {
        console_attach_xen();
        if ((boot_image()->flags & IMAGE_FLAG_VIRTIO_CONSOLE) != 0) {
            virtio_console_attach();
        }
        clock_start();
        console_start_interrupts();
    }
    percpu_start(self);
    entropy_start(self);
    virtio_network_start();
    if (self.value == 0) {
        virtio_doorbell_start();
        other_cores_start();
        cell_build();
    }
    stage_finish(STAGE_CELL);
    if (self.value != 0) {
        cell_build();
    }
    gate_initialize();
    stage_finish(STAGE_SEAL);
    seal_and_audit();
    if (self.value == 0) {
        audit_report();
        int64_t first = gate_thread_start(gate_cell.posix.start, gate_cell.posix.first_stack, 0,
                                          GATE_PRIORITY_DEFAULT);
        ASSERT(first > 0);
    }
    gate_leave();
}
