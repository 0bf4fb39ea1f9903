/* SPDX-License-Identifier: Apache-2.0 */
/* What a core leaves when it cannot go on, for the boot after a warm reset: one part for each core
 * at a fixed physical address below 640 KiB, where neither this kernel nor a loader puts anything
 * (SeaBIOS clears up to 0x90000 at each start, and the BIOS data area may begin at 0x9a000).
 * Numbers and text only, no memory of the program. The next boot of a debug image tells it, once.
 */
#include "record.h"

#include "internal.h"

#include <cpu/core.h>
#include <cpu/string.h>
#include <cpu/time.h>
#include <driver/console.h>
#include <percpu/trace.h>

#define RECORD_PHYSICAL 0x90000ull
#define RECORD_BYTES 512u
#define RECORD_MAGIC 0x3148534152434c41ull /* "ALCRASH1" */
#define RECORD_EVENTS 8u
#define TEXT_BYTES 128u
#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected: RFC 3720, appendix B.4 */

struct record {
    uint64_t magic;
    uint32_t core, event_count;
    struct debug_fault fault;
    char text[TEXT_BYTES]; /* NUL-terminated */
    struct trace_record events[RECORD_EVENTS];
    uint32_t reserved, crc; /* of everything before */
};
_Static_assert(sizeof(struct record) <= RECORD_BYTES, "one part");
_Static_assert(PAGE_BYTES % RECORD_BYTES == 0, "a part lies in one page");
_Static_assert(RECORD_PHYSICAL + CORE_COUNT_MAX * RECORD_BYTES <= DEBUG_RESTART_PHYSICAL &&
                   DEBUG_RESTART_PHYSICAL + PAGE_BYTES <= 0x9a000,
               "what the BIOS has");

/* Too large for a stack of interrupts. */
static PERCORE struct record record;

uint32_t debug_record_checksum(const void *from, size_t count)
{
    const uint8_t *bytes = from;
    uint32_t state = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        state ^= bytes[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            state = state >> 1 ^ ((state & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
        }
    }
    return ~state;
}

static uint64_t place_of(uint32_t core)
{
    return RECORD_PHYSICAL + core * RECORD_BYTES;
}

static void take_events(void)
{
    const struct trace_ring *ring = percpu_trace_ring;
    uint64_t made = ring != NULL ? ring->count : 0;
    record.event_count = (uint32_t)MIN(made, RECORD_EVENTS);
    for (uint32_t i = 0; i < record.event_count; i++) {
        record.events[i] = ring->records[(made - record.event_count + i) % TRACE_RECORDS];
    }
}

/* @impl ATL-LLR-DEBUG-0709~1 */
void debug_record_write(const struct debug_fault *fault, const char *text)
{
    if (cpu_is_on_boot_tables() || !debug_memory_is_ready()) {
        return;
    }
    record = (struct record){.magic = RECORD_MAGIC, .core = percpu_self.value, .fault = *fault};
    record.fault.time_ns = cpu_now_ns();
    for (uint32_t i = 0; i < TEXT_BYTES - 1 && text[i] != '\0'; i++) {
        record.text[i] = text[i];
    }
    take_events();
    record.crc = debug_record_checksum(&record, offsetof(struct record, crc));
    debug_memory_physical(place_of(record.core), &record, sizeof(record), true);
}

static bool is_whole(uint32_t core)
{
    bool is_known = record.magic == RECORD_MAGIC && record.core == core &&
                    record.crc == debug_record_checksum(&record, offsetof(struct record, crc));
    return is_known && record.event_count <= RECORD_EVENTS && record.text[TEXT_BYTES - 1] == '\0';
}

static void tell(void)
{
    const struct debug_fault *fault = &record.fault;
    console_log(CONSOLE_ERROR, "atoll: crash record: core %u at %lu ns: %s\n", record.core,
                fault->time_ns, record.text);
    if (fault->thread != 0) {
        console_log(CONSOLE_ERROR, "  core %u thread %u\n", GATE_THREAD_CORE(fault->thread),
                    GATE_THREAD_INDEX(fault->thread));
    }
    console_log(CONSOLE_ERROR, "  vector %lu error 0x%lx rip 0x%lx rsp 0x%lx address 0x%lx\n",
                fault->vector, fault->error, fault->rip, fault->rsp, fault->address);
    for (uint32_t i = 0; i < record.event_count; i++) {
        const struct trace_record *event = &record.events[i];
        console_log(CONSOLE_ERROR, "  at %lu ns event %u (%u, 0x%lx, 0x%lx)\n", event->time_ns,
                    event->event, event->a, event->b, event->c);
    }
}

/* @impl ATL-LLR-DEBUG-0709~1 */
void debug_record_tell(void)
{
    const uint64_t nothing = 0;
    for (uint32_t core = 0; core < CORE_COUNT_MAX; core++) {
        debug_memory_physical(place_of(core), &record, sizeof(record), false);
        if (is_whole(core)) {
            tell();
        }
        debug_memory_physical(place_of(core), (void *)&nothing, sizeof(nothing), true);
    }
}
