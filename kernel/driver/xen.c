/* SPDX-License-Identifier: Apache-2.0 */
/* A PVH domain of Xen: its console, and its end. Interfaces: Xen's public headers io/console.h,
 * xen.h, memory.h, event_channel.h, hvm/hvm_op.h, hvm/params.h, sched.h, arch-x86/cpuid.h. The
 * console is a page that another domain writes at any time; Xen tells of events in a page of its
 * own, which is put behind that one. Neither is believed: an index is read once, and one that
 * cannot be is as if there were nothing. */
#include <cpu/features.h>
#include <driver/console.h>
#include <driver/device.h>
#include <driver/power.h>
#include <kernel/layout.h>

#define LEAF_HYPERVISOR 0x40000000u
#define SIGNATURE_EBX 0x566e6558u /* "XenV" */
#define VENDOR_AMD_EBX 0x68747541u
#define VENDOR_HYGON_EBX 0x6f677948u
#define DOMAIN_SELF 0x7ff0ull

enum { CALL_MEMORY = 12, CALL_SCHEDULE = 29, CALL_EVENT = 32, CALL_HVM = 34 };
enum { MEMORY_ADD = 7, SCHEDULE_SHUTDOWN = 2, EVENT_SEND = 4, HVM_GET = 1, HVM_SET_VECTOR = 23 };
enum { PARAMETER_CONSOLE_PAGE = 17, PARAMETER_CONSOLE_EVENT = 18 };

struct pages {
    uint8_t input[1024], output[2048];
    uint32_t input_taken, input_given, output_taken, output_given;
    /* Xen's: the first core has been interrupted; groups of events that have a new one; events */
    alignas(PAGE_BYTES) uint8_t is_told;
    _Atomic uint64_t groups;
    alignas(2048) _Atomic uint64_t events[64];
};
_Static_assert(offsetof(struct pages, output_given) == 3084, "ABI of Xen");
_Static_assert(offsetof(struct pages, events) == PAGE_BYTES + 2048, "ABI of Xen");

/* Set at boot: how Xen is called, and the event of the console. */
static SHARED enum way { NO_XEN, BY_VMCALL, BY_VMMCALL } shared_way;
static SHARED uint32_t shared_event;
/* Core 0's alone; our indices, which the pages only tell the other side. */
static PERCORE volatile struct pages *pages;
static PERCORE uint32_t input_taken, output_given;

/* What CPUID says of Xen and of who made this processor. */
static enum way way_of_machine(void)
{
    if (cpu_features_leaf(LEAF_HYPERVISOR, 0).ebx != SIGNATURE_EBX) {
        return NO_XEN;
    }
    uint32_t vendor = cpu_features_leaf(0, 0).ebx;
    return vendor == VENDOR_AMD_EBX || vendor == VENDOR_HYGON_EBX ? BY_VMMCALL : BY_VMCALL;
}

/* Not 0: refused, or this is no domain of Xen. */
static int64_t call_by(enum way way, uint64_t number, uint64_t command, const void *data)
{
    return way == NO_XEN ? -1 : cpu_hypercall(way == BY_VMMCALL, number, command, data);
}

static int64_t call(uint64_t number, uint64_t command, const void *data)
{
    return call_by(shared_way, number, command, data);
}

/* 0: Xen does not say. */
static uint64_t parameter(uint64_t index)
{
    uint64_t asked[] = {DOMAIN_SELF | index << 32, 0};
    return call(CALL_HVM, HVM_GET, asked) == 0 ? asked[1] : 0;
}

/* Validator of where the console is. Behind it a domain has nothing: there Xen puts its page.
 * @impl ATL-LLR-BOOT-1322~1 */
void console_discover_xen(void)
{
    shared_way = way_of_machine();
    uint64_t page = shared_facts.has_uart ? 0 : parameter(PARAMETER_CONSOLE_PAGE);
    uint64_t place[] = {DOMAIN_SELF, 0, page + 1};
    uint64_t shown = device_show(page * PAGE_BYTES, sizeof(struct pages)); /* not at 0 */
    if (shown != 0 && call(CALL_MEMORY, MEMORY_ADD, place) == 0) {
        shared_event = parameter(PARAMETER_CONSOLE_EVENT) % 4096;
        shared_facts.xen_console = shown;
    }
}

/* Another core's last words are in the copy. @impl ATL-LLR-BOOT-1320~1 ATL-LLR-BOOT-1322~1 */
static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    if (pages == NULL) {
        return count;
    }
    uint32_t room = pages->output_taken + (uint32_t)sizeof(pages->output) - output_given;
    count = room <= sizeof(pages->output) ? MIN(count, room) : 0;
    for (uint32_t i = 0; i < count; i++) {
        pages->output[output_given++ % sizeof(pages->output)] = bytes[i];
    }
    if (count > 0) {
        pages->output_given = output_given; /* behind the bytes: stores keep their order */
        (void)call(CALL_EVENT, EVENT_SEND, &shared_event);
    }
    return count;
}

/* @impl ATL-LLR-BOOT-1321~1 ATL-LLR-BOOT-1322~1 */
static bool receive(uint8_t *byte)
{
    uint32_t there = pages->input_given - input_taken;
    if (there == 0 || there > sizeof(pages->input)) {
        return false;
    }
    *byte = pages->input[input_taken++ % sizeof(pages->input)];
    pages->input_taken = input_taken;
    if (there == 1) { /* who found no room looks again */
        (void)call(CALL_EVENT, EVENT_SEND, &shared_event);
    }
    return true;
}

/* Events are told whatever is wanted: each is looked at once. */
static void enable(uint8_t causes)
{
    (void)causes;
}

/* Xen tells of an event when its bit, then its group's and then is_told change from 0 to 1: cleared
 * the other way round, and before the indices are read, none is lost.
 * @impl ATL-LLR-BOOT-1321~1 */
static bool pending(void)
{
    pages->is_told = 0;
    atomic_exchange(&pages->groups, 0);
    return atomic_exchange(&pages->events[shared_event / 64], 0) != 0;
}

static bool is_idle(void)
{
    return pages == NULL || pages->output_taken == output_given;
}

/* @impl ATL-LLR-BOOT-1320~1 */
void console_attach_xen(void)
{
    static const struct console_line line = {NULL, send, receive, enable, pending, is_idle};
    static const uint64_t vector_of_first = (uint64_t)VECTOR_UART << 32;
    if (shared_facts.xen_console != 0 && call(CALL_HVM, HVM_SET_VECTOR, &vector_of_first) == 0) {
        pages = (volatile struct pages *)shared_facts.xen_console;
        input_taken = pages->input_taken; /* what ran before may have used it */
        output_given = pages->output_given;
        shared_console_copy = shared_console_line;
        shared_console_line = &line;
    }
}

/* Also before shared_way is known. @impl ATL-LLR-BOOT-1247~2 */
void power_off_xen(bool has_failed)
{
    static const uint32_t reasons[] = {0, 3}; /* off, a crash */
    (void)call_by(way_of_machine(), CALL_SCHEDULE, SCHEDULE_SHUTDOWN, &reasons[has_failed]);
}
