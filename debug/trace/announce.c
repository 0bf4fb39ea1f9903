/* SPDX-License-Identifier: Apache-2.0 */
/* Where the trace rings lie leaves the machine when it starts, on a stream of the console: who has
 * its memory reads them there while it runs and when it has ended (tools/atoll/trace/memory.py),
 * and nothing here takes part in that. An operator ends a machine that would not by an NMI
 * (inject-nmi of QEMU, `virsh inject-nmi`): core 0 ends it by itself where its kernel is left or
 * halted; at a second NMI wherever it is. */
#include "announce.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"

#include <boot/boot.h>
#include <cpu/apic.h>
#include <cpu/core.h>
#include <driver/console.h>
#include <kernel/region.h>
#include <main.h>
#include <outbox.h>

#define MAGIC 0x3245434152544c41ull /* "ALTRACE2" */
#define SIGNAL_TERM 15

struct announcement {
    uint64_t magic;
    uint32_t core_count, record_count; /* records of each core's ring */
    uint64_t root;                     /* of core 0's page tables of the cell: physical */
    uint64_t posix_base;               /* in them */
    uint64_t rings[CORE_COUNT_MAX];    /* physical; core_count of them are sent */
};

void __real_stop_at_nmi(void);
void __wrap_stop_at_nmi(void);
noreturn void __real_stop_self(void);
noreturn void __wrap_stop_self(void);

/* Core 0's. */
static PERCORE bool is_asked, is_ending;

/* A plain console is for people. @impl ATL-LLR-DEBUG-1190~1 */
void trace_announce(void)
{
    struct announcement announcement = {
        .magic = MAGIC,
        .core_count = percpu_core_count,
        .record_count = TRACE_RECORDS,
        .root = gate_cell.root.value,
        .posix_base = shared_plan.posix_base,
    };
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        uint64_t ring = (uint64_t)outbox_of_remote((core_id_t){core})->trace;
        announcement.rings[core] = shared_regions[core].outbox.value + ring - region_outbox(core);
    }
    if ((boot_image()->flags & IMAGE_FLAG_FRAMED) != 0) {
        console_write_blocking(CONSOLE_STREAM_TRACE, &announcement,
                               offsetof(struct announcement, rings) +
                                   percpu_core_count * sizeof(announcement.rings[0]));
    }
}

static noreturn void end_as_asked(void)
{
    is_ending = true;
    end_machine(CONSOLE_EXIT_SIGNAL, 0, SIGNAL_TERM);
}

/* An operator's NMI reaches every core; one of a core that panics is answered first. */
void __wrap_stop_at_nmi(void)
{
    __real_stop_at_nmi();
    if (percpu_self.value != 0 || is_ending) {
        return;
    }
    if (is_asked) {
        end_as_asked();
    }
    is_asked = true;
    cpu_apic_send(percpu_self, VECTOR_STOP);
}

/* @impl ATL-LLR-DEBUG-0602~1 */
noreturn void __wrap_stop_self(void)
{
    if (is_asked) {
        end_as_asked();
    }
    __real_stop_self();
}
