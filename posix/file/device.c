/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/null, /dev/zero, /dev/full, /dev/random and /dev/urandom. */
#include "device.h"
#include "node.h"

#define RANDOM_PART_BYTES 256u /* the gate's limit */

static int64_t read_nothing(struct posix_file *file, struct posix_transfer *to)
{
    (void)file;
    (void)to;
    return 0;
}

static int64_t write_all(struct posix_file *file, struct posix_transfer *from)
{
    (void)file;
    int64_t bytes = (int64_t)from->remaining;
    from->remaining = 0;
    return bytes;
}

static int64_t write_full(struct posix_file *file, struct posix_transfer *from)
{
    (void)file;
    return from->remaining != 0 ? -ENOSPC : 0;
}

static int64_t read_zeros(struct posix_file *file, struct posix_transfer *to)
{
    (void)file;
    return posix_transfer_zero(to, to->remaining);
}

static int64_t read_random(struct posix_file *file, struct posix_transfer *to)
{
    (void)file;
    uint8_t buffer[RANDOM_PART_BYTES];
    int64_t done = 0;
    while (to->remaining != 0) {
        size_t part = to->remaining < sizeof(buffer) ? to->remaining : sizeof(buffer);
        int64_t result = gate_random((uintptr_t)buffer, part);
        result = result < 0 ? result : posix_transfer_out(to, buffer, part);
        if (result <= 0) {
            return done != 0 ? done : result;
        }
        done += result;
        if (posix_signal_is_pending()) {
            break; /* a long read stops here as Linux's does */
        }
    }
    return done;
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

/* @impl ATL-LLR-FILE-0007~1 */
const struct posix_file_operations device_null_operations = {
    .read = read_nothing,
    .write = write_all,
    .stat = stat_node,
    .release = release_node,
    .ignores_position = true,
};

const struct posix_file_operations device_zero_operations = {
    .read = read_zeros,
    .write = write_all,
    .stat = stat_node,
    .release = release_node,
    .ignores_position = true,
};

const struct posix_file_operations device_full_operations = {
    .read = read_zeros,
    .write = write_full,
    .stat = stat_node,
    .release = release_node,
    .ignores_position = true,
};

const struct posix_file_operations device_random_operations = {
    .read = read_random,
    .write = write_all,
    .stat = stat_node,
    .release = release_node,
    .ignores_position = true,
};
