/* SPDX-License-Identifier: Apache-2.0 */
/* The rings leave the machine when it ends, on a stream of the console: for each core a header and
 * its records, oldest first (tools/atoll/trace/records.py reads them). The other cores stand still
 * then. An operator ends a machine that would not by an NMI (inject-nmi of QEMU, `virsh
 * inject-nmi`): core 0 ends it by itself where its kernel is left or halted; at a second NMI
 * wherever it is. */
#include <boot/boot.h>
#include <cpu/apic.h>
#include <cpu/core.h>
#include <driver/console.h>
#include <kernel/layout.h>
#include <main.h>
#include <outbox.h>

#define MAGIC 0x3145434152544c41ull /* "ALTRACE1" */
#define SIGNAL_TERM 15

struct header {
    uint64_t magic;
    uint32_t core, core_count;
    uint64_t made, kept; /* records since boot; those that follow, the newest */
};

void __real_console_exit_record(uint8_t kind, uint8_t status, uint8_t signal);
void __wrap_console_exit_record(uint8_t kind, uint8_t status, uint8_t signal);
void __real_stop_at_nmi(void);
void __wrap_stop_at_nmi(void);
noreturn void __real_stop_self(void);
noreturn void __wrap_stop_self(void);

/* Core 0's: asked by an operator to end the machine, and at it. */
static PERCORE bool is_asked, is_ending;

static void send_ring(uint16_t core)
{
    const struct trace_ring *ring = outbox_of_remote((core_id_t){core})->trace;
    uint64_t made = atomic_load_explicit(&ring->count, memory_order_acquire);
    struct header header = {.magic = MAGIC,
                            .core = core,
                            .core_count = percpu_core_count,
                            .made = made,
                            .kept = MIN(made, TRACE_RECORDS)};
    uint64_t oldest = (made - header.kept) % TRACE_RECORDS;
    uint64_t behind = MIN(header.kept, TRACE_RECORDS - oldest); /* up to the end of the array */
    console_write_blocking(CONSOLE_STREAM_TRACE, &header, sizeof(header));
    console_write_blocking(CONSOLE_STREAM_TRACE, &ring->records[oldest],
                           behind * sizeof(ring->records[0]));
    console_write_blocking(CONSOLE_STREAM_TRACE, ring->records,
                           (header.kept - behind) * sizeof(ring->records[0]));
}

/* The last that a machine does before it turns itself off. A panic has stopped the others already;
 * a plain console is for people. @impl ATL-LLR-DEBUG-0601~1 */
void __wrap_console_exit_record(uint8_t kind, uint8_t status, uint8_t signal)
{
    bool is_ready = !cpu_is_on_boot_tables() && percpu_trace_ring != NULL;
    if (is_ready && (boot_image()->flags & IMAGE_FLAG_FRAMED) != 0) {
        is_ending = true;
        if (kind != CONSOLE_EXIT_PANIC) {
            stop_others();
        }
        for (uint16_t core = 0; core < percpu_core_count; core++) {
            send_ring(core);
        }
    }
    __real_console_exit_record(kind, status, signal);
}

/* An operator's NMI reaches every core; one of a core that panics is answered first. */
void __wrap_stop_at_nmi(void)
{
    __real_stop_at_nmi();
    if (percpu_self.value != 0 || is_ending) {
        return;
    }
    if (is_asked) {
        end_machine(CONSOLE_EXIT_SIGNAL, 0, SIGNAL_TERM);
    }
    is_asked = true;
    cpu_apic_send(percpu_self, VECTOR_STOP);
}

/* @impl ATL-LLR-DEBUG-0602~1 */
noreturn void __wrap_stop_self(void)
{
    if (is_asked) {
        end_machine(CONSOLE_EXIT_SIGNAL, 0, SIGNAL_TERM);
    }
    __real_stop_self();
}
