/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/network: what the stacks have in use, a line for each core, as name and number in turn. The
 * text is of the moment of open. */
#include "../file/device.h"
#include "../file/node.h"
#include "queue.h"
#include "stack.h"
#include "support.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/udp.h>
#include <posix/memory.h>

#define MAJOR_LOCAL 240u /* as the neighbour's: Linux leaves it to local use */
#define MINOR 2u

struct count {
    const char *name;
    uint64_t value;
};

/* What open asks of a core. */
struct core_request {
    struct text *text;
    uint64_t heap_bytes;
};

/* The connections of one of lwIP's lists. */
static uint64_t length(const struct tcp_pcb *pcb)
{
    uint64_t count = 0;
    for (; pcb != NULL; pcb = pcb->next) {
        count++;
    }
    return count;
}

static uint64_t listeners(void)
{
    uint64_t count = 0;
    for (struct tcp_pcb_listen *pcb = tcp_listen_pcbs.listen_pcbs; pcb != NULL; pcb = pcb->next) {
        count++;
    }
    return count;
}

static uint64_t datagram_ports(void)
{
    uint64_t count = 0;
    for (const struct udp_pcb *pcb = udp_pcbs; pcb != NULL; pcb = pcb->next) {
        count++;
    }
    return count;
}

static void append_core(void *argument)
{
    const struct core_request *request = argument;
    struct text *text = request->text;
    struct queue_counts queue = {0};
    queue_count(&queue);
    const struct count counts[] = {
        {"core", posix_core()},
        {"heap", request->heap_bytes},
        {"blocks", (uint64_t)net_memory_count()},
        {"receiving", queue.receiving},
        {"held", queue.held},
        {"sending", queue.sending},
        {"connections", length(tcp_active_pcbs)},
        {"ended", length(tcp_tw_pcbs)},
        {"listening", listeners()},
        {"datagrams", datagram_ports()},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        text_string(text, counts[i].name);
        text_string(text, " ");
        if ((int64_t)counts[i].value < 0) {
            text_string(text, "-"); /* this core has freed what others took */
        }
        text_number(text, (int64_t)counts[i].value < 0 ? 0 - counts[i].value : counts[i].value);
        text_string(text, i + 1 < sizeof(counts) / sizeof(counts[0]) ? " " : "\n");
    }
}

static int64_t make_text(struct text *text)
{
    int64_t result = 0;
    for (uint32_t core = 0; result == 0 && core < posix_info.core_count; core++) {
        result = net_stack_start(core);
        if (result == 0) {
            struct core_request request = {text, posix_heap_bytes(core)};
            net_call(core, append_core, &request);
        }
    }
    return result;
}

/* @impl ATL-LLR-POSIX-0971~1 */
static int64_t open_view(struct posix_file *file)
{
    return device_view_open(file, make_text);
}

static const struct posix_file_operations view_operations = DEVICE_VIEW_OPERATIONS(open_view);

POSIX_DEVICE(network, {"network", &view_operations, MAJOR_LOCAL, MINOR, 0444, NULL});
