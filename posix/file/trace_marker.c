/* SPDX-License-Identifier: Apache-2.0 */
/* In images of ./atoll trace: /sys/kernel/tracing/trace_marker, by which programs for Linux put
 * their own events into its trace. Each write is one event, as there; other images have no such
 * file, like a Linux without tracefs. */
#include "../core/traced.h"
#include "node.h"
#include "synthetic.h"
#include "tree.h"

#define NAME "trace_marker"
#define WRITE_BYTES_MAX 1024u /* longer writes are cut, as on Linux */

int64_t __real_system_populate(struct posix_node *directory);
int64_t __wrap_system_populate(struct posix_node *directory);

/* @impl ATL-LLR-POSIX-1191~1 */
static int64_t write_marker(struct posix_file *file, struct posix_transfer *from)
{
    (void)file;
    char text[ATOLL_TRACE_TEXT_BYTES];
    size_t bytes = from->remaining < WRITE_BYTES_MAX ? from->remaining : WRITE_BYTES_MAX;
    size_t kept = bytes < sizeof(text) ? bytes : sizeof(text);
    if (bytes == 0) {
        return 0;
    }
    if (posix_transfer_in(from, text, kept) < (int64_t)kept) {
        return -EFAULT;
    }
    posix_trace_marker(text, (uint32_t)kept, (uint32_t)bytes);
    return (int64_t)bytes;
}

static int64_t stat_node(struct posix_file *file, struct posix_stat *stat)
{
    node_stat(file->node, stat);
    return 0;
}

static void release_node(struct posix_file *file)
{
    node_put(file->node);
}

static const struct posix_file_operations operations = {
    .write = write_marker,
    .stat = stat_node,
    .release = release_node,
    .ignores_position = true,
};

/* @impl ATL-LLR-POSIX-1191~1 */
int64_t __wrap_system_populate(struct posix_node *directory)
{
    int64_t result = __real_system_populate(directory);
    struct posix_node *parent =
        result == 0 ? synthetic_directory(directory, "kernel", sizeof("kernel") - 1) : NULL;
    parent = parent != NULL ? synthetic_directory(parent, "tracing", sizeof("tracing") - 1) : NULL;
    struct posix_node *node = parent != NULL ? node_create(NODE_DEVICE, S_IFREG | 0220) : NULL;
    if (node == NULL) {
        return result != 0 ? result : -ENOMEM;
    }
    node->device_file.operations = &operations;
    node->device = parent->device;
    result = tree_add(parent, NAME, sizeof(NAME) - 1, node);
    node_put(node);
    return result;
}
