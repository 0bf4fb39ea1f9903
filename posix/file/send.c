/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that move bytes from one open file to another: sendfile and copy_file_range. */
#include "io.h"
#include "node.h"
#include <posix/syscalls.h>

#define CHUNK_BYTES (32ull << 10) /* a class of the heap with its header */

/* Where one side of a copy goes on. */
struct side {
    struct posix_file *file;
    uint64_t pointer; /* of the application's offset; 0: the file's position */
    uint64_t offset;
    bool is_positioned; /* offset is used; else the bytes go where write would put them */
};

static int64_t load_offset(struct side *side, uint64_t pointer)
{
    side->pointer = pointer;
    side->is_positioned = true;
    if (pointer == 0) {
        posix_lock_acquire(&side->file->lock);
        side->offset = side->file->position;
        posix_lock_release(&side->file->lock);
        return 0;
    }
    if (posix_copy_in(&side->offset, pointer, sizeof(side->offset)) < 0) {
        return -EFAULT;
    }
    return side->offset > INT64_MAX ? -EINVAL : 0;
}

static int64_t store_offset(const struct side *side)
{
    if (side->pointer != 0) {
        return posix_copy_out(side->pointer, &side->offset, sizeof(side->offset));
    }
    posix_lock_acquire(&side->file->lock);
    side->file->position = side->offset;
    posix_lock_release(&side->file->lock);
    return 0;
}

/* Copies until bytes are done, the source ends, or the target takes fewer than it is given. */
static int64_t copy_bytes(struct side *from, struct side *to, uint64_t bytes)
{
    uint64_t capacity = bytes < CHUNK_BYTES ? bytes : CHUNK_BYTES;
    void *buffer = posix_allocate_buffer(capacity);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    int64_t done = 0;
    int64_t result = 0;
    while ((uint64_t)done < bytes) {
        uint64_t part = bytes - (uint64_t)done < capacity ? bytes - (uint64_t)done : capacity;
        int64_t got = posix_file_read_at(from->file, (uintptr_t)buffer, part, from->offset);
        result = got;
        if (got > 0) {
            const struct span span = {to->is_positioned, to->offset};
            result = io_write(to->file, (uintptr_t)buffer, (uint64_t)got, &span);
        }
        if (result <= 0) {
            break;
        }
        from->offset += (uint64_t)result;
        to->offset += (uint64_t)result;
        done += result;
        if (result < got) {
            break;
        }
    }
    posix_free(buffer);
    return done != 0 ? done : result;
}

static bool is_kind(const struct posix_file *file, enum node_kind kind)
{
    return file->node != NULL && file->operations->is_seekable &&
           file->node->kind == (uint32_t)kind;
}

static int64_t send(struct posix_file *out, struct posix_file *in, uint64_t pointer, uint64_t bytes)
{
    struct side from = {.file = in};
    struct side to = {.file = out};
    if (!io_can_read(in) || !io_can_write(out)) {
        return -EBADF;
    }
    if (pointer != 0 && !in->operations->is_seekable) {
        return -ESPIPE;
    }
    int64_t result = load_offset(&from, pointer);
    if (result < 0) {
        return result;
    }
    if ((!is_kind(in, NODE_FILE) && !is_kind(in, NODE_SYNTHETIC)) ||
        (out->flags & POSIX_O_APPEND) != 0 || bytes > INT64_MAX) {
        return -EINVAL;
    }
    bytes = bytes < POSIX_TRANSFER_BYTES_MAX ? bytes : POSIX_TRANSFER_BYTES_MAX;
    result = bytes != 0 ? copy_bytes(&from, &to, bytes) : 0;
    int64_t stored = result > 0 || pointer != 0 ? store_offset(&from) : 0;
    return stored < 0 ? stored : result;
}

/* @impl ATL-LLR-FILE-0037~1 */
int64_t posix_sendfile(uint64_t out_descriptor, uint64_t in_descriptor, uint64_t pointer,
                       uint64_t bytes)
{
    int64_t result = -EBADF;
    struct posix_file *in = posix_file_get(in_descriptor);
    struct posix_file *out = posix_file_get(out_descriptor);
    if (in != NULL && out != NULL) {
        result = send(out, in, pointer, bytes);
    }
    if (in != NULL) {
        posix_file_put(in);
    }
    if (out != NULL) {
        posix_file_put(out);
    }
    return result;
}

static int64_t check_range(const struct posix_file *in, const struct posix_file *out)
{
    if (is_kind(in, NODE_DIRECTORY) || is_kind(out, NODE_DIRECTORY)) {
        return -EISDIR;
    }
    if (!is_kind(in, NODE_FILE) || !is_kind(out, NODE_FILE)) {
        return -EINVAL;
    }
    bool is_appending = (out->flags & POSIX_O_APPEND) != 0;
    return io_can_read(in) && io_can_write(out) && !is_appending ? 0 : -EBADF;
}

static int64_t copy_range(struct side *from, struct side *to, uint64_t bytes)
{
    int64_t result = check_range(from->file, to->file);
    if (result < 0) {
        return result;
    }
    if (bytes > INT64_MAX - from->offset || bytes > INT64_MAX - to->offset) {
        return -EOVERFLOW;
    }
    uint64_t size = node_bytes(from->file->node);
    uint64_t rest = from->offset < size ? size - from->offset : 0;
    bytes = bytes < rest ? bytes : rest;
    if (from->file->node == to->file->node && from->offset < to->offset + bytes &&
        to->offset < from->offset + bytes) {
        return -EINVAL;
    }
    bytes = bytes < POSIX_TRANSFER_BYTES_MAX ? bytes : POSIX_TRANSFER_BYTES_MAX;
    result = bytes != 0 ? copy_bytes(from, to, bytes) : 0;
    if (result > 0) {
        int64_t stored = store_offset(from);
        stored = stored < 0 ? stored : store_offset(to);
        result = stored < 0 ? stored : result;
    }
    return result;
}

/* @impl ATL-LLR-FILE-0037~1 */
int64_t posix_copy_file_range(uint64_t in_descriptor, uint64_t in_pointer, uint64_t out_descriptor,
                              uint64_t out_pointer, uint64_t bytes, uint64_t flags)
{
    struct side from = {.file = posix_file_get(in_descriptor)};
    struct side to = {.file = posix_file_get(out_descriptor)};
    int64_t result = from.file != NULL && to.file != NULL ? 0 : -EBADF;
    result = result == 0 ? load_offset(&from, in_pointer) : result;
    result = result == 0 ? load_offset(&to, out_pointer) : result;
    if (result == 0) {
        result = (uint32_t)flags == 0 ? copy_range(&from, &to, bytes) : -EINVAL;
    }
    if (from.file != NULL) {
        posix_file_put(from.file);
    }
    if (to.file != NULL) {
        posix_file_put(to.file);
    }
    return result;
}
