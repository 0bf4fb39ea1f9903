/* SPDX-License-Identifier: Apache-2.0 */
/* read, write and their relatives, and lseek.
 *
 * The position of an open file is claimed before the bytes move and corrected after: no lock is
 * held while the application's memory is touched, yet two threads never get the same bytes. */
#include "io.h"
#include "node.h"
#include <posix/syscalls.h>

#define SETTING_BYTES_MAX 64u

/* Kept apart, so that files without a position save no registers for it. */
#define APART __attribute__((noinline))

bool io_can_read(const struct posix_file *file)
{
    return (file->flags & POSIX_O_ACCESS) != POSIX_O_WRONLY;
}

bool io_can_write(const struct posix_file *file)
{
    return (file->flags & POSIX_O_ACCESS) != POSIX_O_RDONLY;
}

/* Moves the position on by bytes; returns where it was. */
static uint64_t claim_position(struct posix_file *file, uint64_t bytes, bool to_end)
{
    posix_lock_acquire(&file->lock);
    uint64_t start = file->position;
    if (to_end && file->node->kind == NODE_FILE) {
        uint64_t size = node_bytes(file->node);
        uint64_t rest = start < size ? size - start : 0;
        bytes = rest < bytes ? rest : bytes;
    }
    file->position = start + bytes;
    posix_lock_release(&file->lock);
    return start;
}

/* After a call moved fewer or more bytes than it claimed. */
static void correct_position(struct posix_file *file, uint64_t start, int64_t moved)
{
    posix_lock_acquire(&file->lock);
    file->position = start + (moved > 0 ? (uint64_t)moved : 0);
    posix_lock_release(&file->lock);
}

APART static int64_t read_seekable(struct posix_file *file, struct posix_transfer *to,
                                   const struct span *span)
{
    if (span->is_positioned) {
        return node_read(file, to, span->offset);
    }
    uint64_t wanted = to->remaining;
    bool is_file = file->node->kind == NODE_FILE;
    uint64_t start = claim_position(file, is_file ? wanted : 0, true);
    int64_t result = node_read(file, to, start);
    if (!is_file || result != (int64_t)wanted) {
        correct_position(file, start, result);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0010~1 */
static int64_t read_file(struct posix_file *file, struct posix_transfer *to,
                         const struct span *span)
{
    if (file->operations->is_seekable) {
        return read_seekable(file, to, span);
    }
    return file->operations->read != NULL ? file->operations->read(file, to) : -EINVAL;
}

/* One write is one setting. */
static int64_t write_synthetic(const struct posix_node *node, struct posix_transfer *from)
{
    char text[SETTING_BYTES_MAX] = {0};
    if (node->synthetic.take == NULL) {
        return -EIO;
    }
    if (from->remaining >= sizeof(text)) {
        return -EINVAL;
    }
    uint64_t bytes = from->remaining;
    int64_t got = posix_transfer_in(from, text, bytes);
    if (got < (int64_t)bytes) {
        return -EFAULT;
    }
    int64_t result = node->synthetic.take(text, node->synthetic.argument);
    return result < 0 ? result : got;
}

APART static int64_t write_seekable(struct posix_file *file, struct posix_transfer *from,
                                    const struct span *span, bool append)
{
    if (file->node->kind == NODE_SYNTHETIC) {
        return write_synthetic(file->node, from);
    }
    if (file->node->kind != NODE_FILE) {
        return -EIO;
    }
    uint64_t wanted = from->remaining;
    uint64_t end = 0;
    if (span->is_positioned) {
        return node_write(file->node, from, span->offset, append, &end);
    }
    if (wanted == 0) {
        return 0;
    }
    uint64_t start = claim_position(file, append ? 0 : wanted, false);
    int64_t result = node_write(file->node, from, start, append, &end);
    if (append) {
        if (result > 0) {
            correct_position(file, end, 0);
        }
    } else if (result != (int64_t)wanted) {
        correct_position(file, start, result);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0010~1 */
static int64_t write_any(struct posix_file *file, struct posix_transfer *from,
                         const struct span *span, bool append)
{
    if (file->operations->is_seekable) {
        return write_seekable(file, from, span, append);
    }
    return file->operations->write != NULL ? file->operations->write(file, from) : -EINVAL;
}

static int64_t write_file(struct posix_file *file, struct posix_transfer *from,
                          const struct span *span)
{
    return write_any(file, from, span, (file->flags & POSIX_O_APPEND) != 0);
}

static int64_t append_file(struct posix_file *file, struct posix_transfer *from,
                           const struct span *span)
{
    return write_any(file, from, span, true);
}

struct way {
    uint32_t refused; /* the access mode of files that it is not for */
    int64_t (*move)(struct posix_file *, struct posix_transfer *, const struct span *);
};

static const struct way reading = {POSIX_O_WRONLY, read_file};
static const struct way writing = {POSIX_O_RDONLY, write_file};
static const struct way appending = {POSIX_O_RDONLY, append_file};

/* In Linux's order: before any vector or byte of the application is looked at. */
static int64_t check_file(const struct posix_file *file, const struct span *span,
                          const struct way *way)
{
    if (span->is_positioned && !file->operations->is_seekable &&
        !file->operations->ignores_position) {
        return -ESPIPE;
    }
    return (file->flags & POSIX_O_ACCESS) != way->refused ? 0 : -EBADF;
}

static int64_t move_one(uint64_t descriptor, uint64_t address, uint64_t bytes,
                        const struct span *span, const struct way *way)
{
    if (span->offset > INT64_MAX) {
        return -EINVAL; /* before the descriptor is looked at, as Linux does */
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = check_file(file, span, way);
    if (result == 0 && !posix_transfer_is_user(address, bytes)) {
        result = -EFAULT;
    }
    if (result == 0) {
        struct posix_vector vector = {
            address, bytes < POSIX_TRANSFER_BYTES_MAX ? bytes : POSIX_TRANSFER_BYTES_MAX};
        struct posix_transfer transfer = {&vector, 1, 0, vector.bytes};
        result = way->move(file, &transfer, span);
    }
    posix_file_put(file);
    return result;
}

static int64_t move_many(uint64_t descriptor, uint64_t vectors, uint64_t count,
                         const struct span *span, const struct way *way)
{
    if (span->offset > INT64_MAX) {
        return -EINVAL;
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    struct posix_vector inline_vectors[POSIX_VECTORS_INLINE];
    struct posix_transfer transfer;
    void *allocated = NULL;
    int64_t result = check_file(file, span, way);
    if (result == 0) {
        result = posix_transfer_load(&transfer, vectors, count, inline_vectors, &allocated);
    }
    if (result == 0 && transfer.remaining != 0) {
        result = way->move(file, &transfer, span);
    }
    posix_free(allocated);
    posix_file_put(file);
    return result;
}

static const struct span at_position = {false, 0};

int64_t posix_read(uint64_t descriptor, uint64_t address, uint64_t bytes)
{
    return move_one(descriptor, address, bytes, &at_position, &reading);
}

int64_t posix_write(uint64_t descriptor, uint64_t address, uint64_t bytes)
{
    return move_one(descriptor, address, bytes, &at_position, &writing);
}

int64_t posix_pread64(uint64_t descriptor, uint64_t address, uint64_t bytes, uint64_t offset)
{
    struct span span = {true, offset};
    return move_one(descriptor, address, bytes, &span, &reading);
}

int64_t posix_pwrite64(uint64_t descriptor, uint64_t address, uint64_t bytes, uint64_t offset)
{
    struct span span = {true, offset};
    return move_one(descriptor, address, bytes, &span, &writing);
}

int64_t posix_readv(uint64_t descriptor, uint64_t vectors, uint64_t count)
{
    return move_many(descriptor, vectors, count, &at_position, &reading);
}

int64_t posix_writev(uint64_t descriptor, uint64_t vectors, uint64_t count)
{
    return move_many(descriptor, vectors, count, &at_position, &writing);
}

/* The offset comes in two halves, of which the low one is whole on 64-bit machines. */
int64_t posix_preadv(uint64_t descriptor, uint64_t vectors, uint64_t count, uint64_t low,
                     uint64_t high)
{
    (void)high;
    struct span span = {true, low};
    return move_many(descriptor, vectors, count, &span, &reading);
}

int64_t posix_pwritev(uint64_t descriptor, uint64_t vectors, uint64_t count, uint64_t low,
                      uint64_t high)
{
    (void)high;
    struct span span = {true, low};
    return move_many(descriptor, vectors, count, &span, &writing);
}

/* Flags that say how a regular file's bytes go out are met by any write to memory. */
static int64_t check_flags(uint64_t flags, uint32_t known)
{
    return ((uint32_t)flags & ~known) != 0 ? -EOPNOTSUPP : 0;
}

/* As preadv, at the position if the offset is -1. */
int64_t posix_preadv2(uint64_t descriptor, uint64_t vectors, uint64_t count, uint64_t low,
                      uint64_t high, uint64_t flags)
{
    int64_t result = check_flags(flags, RWF_HIPRI | RWF_DSYNC | RWF_SYNC);
    if (result < 0) {
        return result;
    }
    return low == UINT64_MAX ? posix_readv(descriptor, vectors, count)
                             : posix_preadv(descriptor, vectors, count, low, high);
}

/* @impl ATL-LLR-FILE-0010~1 */
int64_t posix_pwritev2(uint64_t descriptor, uint64_t vectors, uint64_t count, uint64_t low,
                       uint64_t high, uint64_t flags)
{
    int64_t result = check_flags(flags, RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND);
    if (result < 0) {
        return result;
    }
    if ((flags & RWF_APPEND) != 0) {
        struct span span = {low != UINT64_MAX, low != UINT64_MAX ? low : 0};
        return move_many(descriptor, vectors, count, &span, &appending);
    }
    return low == UINT64_MAX ? posix_writev(descriptor, vectors, count)
                             : posix_pwritev(descriptor, vectors, count, low, high);
}

int64_t posix_file_read_at(struct posix_file *file, uint64_t to, uint64_t bytes, uint64_t offset)
{
    struct posix_vector vector = {to, bytes};
    struct posix_transfer transfer = {&vector, 1, 0, bytes};
    struct span span = {true, offset};
    int64_t result = check_file(file, &span, &reading);
    return result == 0 ? read_file(file, &transfer, &span) : result;
}

int64_t io_write(struct posix_file *file, uint64_t from, uint64_t bytes, const struct span *span)
{
    struct posix_vector vector = {from, bytes};
    struct posix_transfer transfer = {&vector, 1, 0, bytes};
    int64_t result = check_file(file, span, &writing);
    return result == 0 ? write_file(file, &transfer, span) : result;
}

static int64_t seek_data(struct posix_node *node, int64_t offset, bool hole)
{
    if (node->kind != NODE_FILE) {
        return -EINVAL;
    }
    posix_lock_acquire(&node->lock);
    uint64_t bytes = node->data.bytes;
    int64_t result = -ENXIO;
    if (offset >= 0 && (uint64_t)offset < bytes) {
        uint64_t found = data_next(&node->data, (uint64_t)offset, hole);
        result = found < bytes || hole ? (int64_t)found : -ENXIO;
    }
    posix_lock_release(&node->lock);
    return result;
}

static int64_t seek_target(struct posix_file *file, int64_t offset, uint64_t whence)
{
    int64_t base = 0;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (int64_t)file->position;
        break;
    case SEEK_END:
        if (file->node->kind != NODE_FILE) {
            return -EINVAL;
        }
        base = (int64_t)node_bytes(file->node);
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        return seek_data(file->node, offset, whence == SEEK_HOLE);
    default:
        return -EINVAL;
    }
    int64_t target;
    if (__builtin_add_overflow(base, offset, &target)) {
        return -EOVERFLOW;
    }
    return target < 0 ? -EINVAL : target;
}

/* @impl ATL-LLR-FILE-0011~1 */
int64_t posix_lseek(uint64_t descriptor, uint64_t offset, uint64_t whence)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result;
    if ((uint32_t)whence > SEEK_HOLE) {
        result = -EINVAL;
    } else if (file->operations->ignores_position || file->operations->ignores_seeking) {
        result = 0;
    } else if (!file->operations->is_seekable) {
        result = -ESPIPE;
    } else {
        posix_lock_acquire(&file->lock);
        result = seek_target(file, (int64_t)offset, (uint32_t)whence);
        if (result >= 0) {
            file->position = (uint64_t)result;
        }
        posix_lock_release(&file->lock);
    }
    posix_file_put(file);
    return result;
}
