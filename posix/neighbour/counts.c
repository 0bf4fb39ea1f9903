/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/neighbour: how often this machine looked at the shared words, and rang the peer. The text is
 * of the moment of open. */
#include "../file/device.h"
#include "../file/node.h"
#include "bell.h"

#define MAJOR_LOCAL 240u
#define MINOR 3u

static int64_t make_text(struct text *text)
{
    text_string(text, "timer ");
    text_number(text, bell_counts.timer_looks);
    text_string(text, " bell ");
    text_number(text, bell_counts.bell_looks);
    text_string(text, " rings ");
    text_number(text, bell_counts.rings);
    text_string(text, "\n");
    return 0;
}

/* @impl ATL-LLR-NEIGHBOUR-1048~1 */
static int64_t open_view(struct posix_file *file)
{
    return device_view_open(file, make_text);
}

static const struct posix_file_operations view_operations = DEVICE_VIEW_OPERATIONS(open_view);

POSIX_DEVICE(neighbour, {"neighbour", &view_operations, MAJOR_LOCAL, MINOR, 0444, NULL});
