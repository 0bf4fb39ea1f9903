/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net/softnet_stat: what each core's stack has had to do, in Linux's columns. */
#include "stack.h"

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

void net_statistics_start(void)
{
    static const struct synthetic_file files[] = {
        {.path = "net", .link = "self/net"},
        {.path = "1/net/softnet_stat", .mode = 0444, .make = text_softnet},
    };
    int64_t result = 0;
    tree_acquire();
    struct entry *processes = tree_find(tree_root(), "proc", 4, &result);
    for (uint32_t i = 0; i < sizeof(files) / sizeof(files[0]) && processes != NULL; i++) {
        (void)synthetic_add(processes->node, &files[i]); /* without memory it is not there */
    }
    tree_release();
}
