/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that show a text: device.h. */
#include "device.h"
#include "node.h"

#include <posix/memory.h>

struct view {
    struct text text;
    uint64_t shown;
};

int64_t device_view_open(struct posix_file *file, int64_t (*make)(struct text *text))
{
    struct view *view = posix_allocate(sizeof(*view));
    file->context = view;
    if (view == NULL) {
        return -ENOMEM;
    }
    int64_t result = make(&view->text);
    return result == 0 && view->text.is_full ? -ENOMEM : result;
}

int64_t device_view_read(struct posix_file *file, struct posix_transfer *to)
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

int64_t device_view_stat(struct posix_file *file, struct posix_stat *stat)
{
    posix_file_stat_node(file, stat);
    return 0;
}

void device_view_release(struct posix_file *file)
{
    struct view *view = file->context;
    if (view != NULL) {
        posix_free(view->text.bytes);
        posix_free(view);
    }
    posix_file_release_node(file);
}
