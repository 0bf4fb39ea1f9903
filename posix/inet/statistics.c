/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/softnet_stat: what each core's stack has had to do, and /proc/net/dev: what has come
 * and gone by each interface, in Linux's columns. */
#include "packet.h"
#include "stack.h"
#include "traffic.h"

#include "../file/synthetic.h"
#include "../file/tree.h"

#define DIGITS 8u
#define COLUMNS 13u
#define COLUMN_PROCESSED 0u
#define COLUMN_DROPPED 1u
#define COLUMN_RECEIVED_RPS 9u /* how often another core left it work */
#define COLUMN_CPU 12u

/* @impl ATL-LLR-POSIX-0990~1 */
static int64_t text_softnet(struct text *text, uint64_t argument)
{
    (void)argument;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        const uint32_t columns[COLUMNS] = {
            [COLUMN_PROCESSED] = net_stack_count(core, NET_COUNT_PROCESSED),
            [COLUMN_DROPPED] = net_stack_count(core, NET_COUNT_DROPPED),
            [COLUMN_RECEIVED_RPS] = net_stack_count(core, NET_COUNT_MESSAGES),
            [COLUMN_CPU] = core,
        };
        for (uint32_t i = 0; i < COLUMNS; i++) {
            text_string(text, i == 0 ? "" : " ");
            text_hexadecimal(text, columns[i], DIGITS);
        }
        text_string(text, "\n");
    }
    return 0;
}

static struct {
    alignas(64) struct traffic interfaces[TRAFFIC_INTERFACES];
} traffic[NET_CORES_MAX];

struct traffic *traffic_of(uint32_t interface)
{
    return &traffic[posix_core()].interfaces[interface];
}

/* What all cores have counted. */
static struct traffic_count sum_of(uint32_t interface, enum traffic_way way)
{
    struct traffic_count sum = {0};
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        struct traffic_count *count = &traffic[core].interfaces[interface].ways[way];
        traffic_add(&sum.bytes, atomic_load_explicit(&count->bytes, memory_order_relaxed));
        traffic_add(&sum.frames, atomic_load_explicit(&count->frames, memory_order_relaxed));
        traffic_add(&sum.dropped, atomic_load_explicit(&count->dropped, memory_order_relaxed));
    }
    return sum;
}

/* As Linux's dev_seq_printf_stats: of errors, ways to fail and groups there is nothing to tell. */
static void interface_line(struct text *text, uint32_t interface)
{
    static const uint8_t widths[TRAFFIC_WAYS][8] = {{7, 7, 4, 4, 4, 5, 10, 9},
                                                    {8, 7, 4, 4, 4, 5, 7, 10}};
    const char *name = packet_name(interface + 1);
    text_string(text, interface == TRAFFIC_LOOPBACK ? "    " : "  ");
    text_string(text, name);
    text_string(text, ":");
    for (uint32_t way = 0; way < TRAFFIC_WAYS; way++) {
        struct traffic_count count = sum_of(interface, way);
        const uint64_t columns[8] = {count.bytes, count.frames, 0, count.dropped};
        for (uint32_t i = 0; i < 8; i++) {
            text_string(text, " ");
            text_number_padded(text, columns[i], widths[way][i]);
        }
    }
    text_string(text, "\n");
}

/* @impl ATL-LLR-NET-1296~1 */
static int64_t text_dev(struct text *text, uint64_t argument)
{
    (void)argument;
    text_string(text,
                "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                "packets errs drop fifo colls carrier compressed\n");
    for (uint32_t i = 0; i < TRAFFIC_INTERFACES; i++) {
        if (i == TRAFFIC_LOOPBACK || device_is_there(i - TRAFFIC_DEVICE(0))) {
            interface_line(text, i);
        }
    }
    return 0;
}

void net_statistics_start(void)
{
    static const struct synthetic_file files[] = {
        {.path = "net", .link = "self/net"},
        {.path = "1/net/softnet_stat", .mode = 0444, .make = text_softnet},
        {.path = "1/net/dev", .mode = 0444, .make = text_dev},
    };
    int64_t result = 0;
    tree_acquire();
    struct entry *processes = tree_find(tree_root(), "proc", 4, &result);
    for (uint32_t i = 0; i < sizeof(files) / sizeof(files[0]) && processes != NULL; i++) {
        (void)synthetic_add(processes->node, &files[i]); /* without memory it is not there */
    }
    tree_release();
}
