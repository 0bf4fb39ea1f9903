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

struct view {
    struct text text;
    uint64_t shown;
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

/* @impl ATL-LLR-POSIX-0971~1 */
static int64_t open_view(struct posix_file *file)
{
    struct view *view = posix_allocate(sizeof(*view));
    int64_t result = view != NULL ? 0 : -ENOMEM;
    file->context = view;
    for (uint32_t core = 0; result == 0 && core < posix_info.core_count; core++) {
        result = net_stack_start(core);
        if (result == 0) {
            struct core_request request = {&view->text, posix_heap_bytes(core)};
            net_call(core, append_core, &request);
        }
    }
    return result == 0 && view->text.is_full ? -ENOMEM : result;
}

static int64_t read_view(struct posix_file *file, struct posix_transfer *to)
{
    struct view *view = file->context;
    posix_lock_acquire(&file->lock);
    uint64_t from = view->shown;
    uint64_t left = view->text.used - from;
    uint64_t bytes = to->remaining < left ? to->remaining : left;
    view->shown += bytes;
    posix_lock_release(&file->lock);
    return posix_transfer_out(to, view->text.bytes + from, bytes);
}

static int64_t stat_view(struct posix_file *file, struct posix_stat *stat)
{
    posix_file_stat_node(file, stat);
    return 0;
}

static void release_view(struct posix_file *file)
{
    struct view *view = file->context;
    if (view != NULL) {
        posix_free(view->text.bytes);
        posix_free(view);
    }
    posix_file_release_node(file);
}

static const struct posix_file_operations view_operations = {
    .open = open_view,
    .read = read_view,
    .stat = stat_view,
    .release = release_view,
};

POSIX_DEVICE(network, {"network", &view_operations, MAJOR_LOCAL, MINOR, 0444, NULL});
