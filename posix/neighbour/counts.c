/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/neighbour: how often this machine looked at the shared words, and rang the peer. The text is
 * of the moment of open. */
#include "../file/device.h"
#include "../file/node.h"
#include "bell.h"

#include <posix/memory.h>

#define MAJOR_LOCAL 240u
#define MINOR 3u

struct view {
    struct text text;
    uint64_t shown;
};

/* @impl ATL-LLR-NEIGHBOUR-1048~1 */
static int64_t open_view(struct posix_file *file)
{
    struct view *view = posix_allocate(sizeof(*view));
    file->context = view;
    if (view == NULL) {
        return -ENOMEM;
    }
    text_string(&view->text, "timer ");
    text_number(&view->text, bell_counts.timer_looks);
    text_string(&view->text, " bell ");
    text_number(&view->text, bell_counts.bell_looks);
    text_string(&view->text, " rings ");
    text_number(&view->text, bell_counts.rings);
    text_string(&view->text, "\n");
    return view->text.is_full ? -ENOMEM : 0;
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

POSIX_DEVICE(neighbour, {"neighbour", &view_operations, MAJOR_LOCAL, MINOR, 0444, NULL});
