/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that change what a file is: mode, owner, size (times: times.c); and the ones that say "now
 * to disk".
 */
#include "descriptor.h"
#include "seal.h"
#include "size_limit.h"
#include "status.h"
#include <posix/syscalls.h>

static void set_mode(struct posix_node *node, uint32_t mode)
{
    posix_lock_acquire(&node->lock);
    node->mode = (node->mode & S_IFMT) | (mode & S_IALL);
    node->change_ns = node_now_ns();
    posix_lock_release(&node->lock);
}

/* @impl ATL-LLR-FILE-0026~1 */
int64_t posix_fchmodat2(uint64_t directory, uint64_t text, uint64_t mode, uint64_t flags)
{
    if (((uint32_t)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find(directory, text, (uint32_t)flags, &node);
    if (result == 0) {
        result = node->kind == NODE_LINK ? -EOPNOTSUPP : 0;
        if (result == 0) {
            set_mode(node, (uint32_t)mode);
        }
        node_put(node);
    }
    return result;
}

int64_t posix_fchmodat(uint64_t directory, uint64_t text, uint64_t mode)
{
    return posix_fchmodat2(directory, text, mode, 0);
}

int64_t posix_chmod(uint64_t text, uint64_t mode)
{
    return posix_fchmodat((uint64_t)AT_FDCWD, text, mode);
}

int64_t posix_fchmod(uint64_t descriptor, uint64_t mode)
{
    struct posix_node *node = NULL;
    int64_t result = status_find_open(descriptor, &node);
    if (result == 0) {
        set_mode(node, (uint32_t)mode);
        node_put(node);
    }
    return result;
}

static void set_owner(struct posix_node *node, uint32_t user, uint32_t group)
{
    posix_lock_acquire(&node->lock);
    node->user = user != UINT32_MAX ? user : node->user;
    node->group = group != UINT32_MAX ? group : node->group;
    node->change_ns = node_now_ns();
    posix_lock_release(&node->lock);
}

/* @impl ATL-LLR-FILE-0026~1 */
int64_t posix_fchownat(uint64_t directory, uint64_t text, uint64_t user, uint64_t group,
                       uint64_t flags)
{
    if (((uint32_t)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find(directory, text, (uint32_t)flags, &node);
    if (result == 0) {
        set_owner(node, (uint32_t)user, (uint32_t)group);
        node_put(node);
    }
    return result;
}

int64_t posix_chown(uint64_t text, uint64_t user, uint64_t group)
{
    return posix_fchownat((uint64_t)AT_FDCWD, text, user, group, 0);
}

int64_t posix_lchown(uint64_t text, uint64_t user, uint64_t group)
{
    return posix_fchownat((uint64_t)AT_FDCWD, text, user, group, AT_SYMLINK_NOFOLLOW);
}

int64_t posix_fchown(uint64_t descriptor, uint64_t user, uint64_t group)
{
    struct posix_node *node = NULL;
    int64_t result = status_find_open(descriptor, &node);
    if (result == 0) {
        set_owner(node, (uint32_t)user, (uint32_t)group);
        node_put(node);
    }
    return result;
}

static bool is_beyond_limit(struct posix_node *node, uint64_t bytes)
{
    return bytes > node_bytes(node) && size_allowed(0, bytes) < bytes;
}

static int64_t resize(struct posix_node *node, int64_t bytes)
{
    if (node->kind == NODE_DIRECTORY) {
        return -EISDIR;
    }
    if (node->kind != NODE_FILE) {
        return -EINVAL;
    }
    if (is_beyond_limit(node, (uint64_t)bytes)) {
        return size_refuse();
    }
    posix_lock_acquire(&node->lock);
    int64_t result = seal_check_resize(node, (uint64_t)bytes);
    if (result == 0) {
        result = data_resize(&node->data, (uint64_t)bytes);
        node->modify_ns = node_now_ns();
        node->change_ns = node->modify_ns;
    }
    posix_lock_release(&node->lock);
    return result;
}

/* @impl ATL-LLR-FILE-0027~1 */
int64_t posix_ftruncate(uint64_t descriptor, uint64_t bytes)
{
    if ((int64_t)bytes < 0) {
        return -EINVAL;
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = -EINVAL;
    bool is_writable = (file->flags & POSIX_O_ACCESS) != POSIX_O_RDONLY;
    if (file->node != NULL && file->node->kind == NODE_FILE && is_writable) {
        result = resize(file->node, (int64_t)bytes);
    }
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-FILE-0027~1 */
int64_t posix_truncate(uint64_t text, uint64_t bytes)
{
    if ((int64_t)bytes < 0) {
        return -EINVAL;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find((uint64_t)AT_FDCWD, text, 0, &node);
    if (result == 0) {
        result = resize(node, (int64_t)bytes);
        node_put(node);
    }
    return result;
}

static int64_t allocate_locked(struct posix_node *node, uint32_t mode, uint64_t start, uint64_t end)
{
    bool writes = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    bool grows = (mode & FALLOC_FL_PUNCH_HOLE) == 0 && end > node->data.bytes;
    int64_t result = writes ? seal_check_write(node, start) : 0;
    if (result == 0 && grows) {
        result = seal_check_resize(node, end);
    }
    if (result < 0) {
        return result;
    }
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0) {
        return data_clear(&node->data, start, end);
    }
    if ((mode & FALLOC_FL_ZERO_RANGE) != 0) {
        result = data_clear(&node->data, start, end);
    } else {
        result = data_fill(&node->data, start, end);
    }
    if (result == 0 && (mode & FALLOC_FL_KEEP_SIZE) == 0 && end > node->data.bytes) {
        result = data_resize(&node->data, end);
    }
    return result;
}

static bool is_pipe(struct posix_file *file)
{
    struct posix_stat stat = {0};
    return file->operations->stat(file, &stat) == 0 && (stat.mode & S_IFMT) == S_IFIFO;
}

static int64_t check_allocate(struct posix_file *file, uint32_t mode, int64_t offset, int64_t bytes)
{
    const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if (offset < 0 || bytes <= 0) {
        return -EINVAL;
    }
    if ((mode & ~known) != 0 ||
        (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)) == FALLOC_FL_PUNCH_HOLE) {
        return -EOPNOTSUPP;
    }
    if ((file->flags & POSIX_O_ACCESS) == POSIX_O_RDONLY) {
        return -EBADF;
    }
    if (file->node == NULL || file->node->kind != NODE_FILE) {
        bool is_directory = file->node != NULL && file->node->kind == NODE_DIRECTORY;
        return is_directory ? -EISDIR : is_pipe(file) ? -ESPIPE : -ENODEV;
    }
    return offset > INT64_MAX - bytes ? -EFBIG : 0;
}

/* @impl ATL-LLR-FILE-0027~1 */
int64_t posix_fallocate(uint64_t descriptor, uint64_t mode, uint64_t offset, uint64_t bytes)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = check_allocate(file, (uint32_t)mode, (int64_t)offset, (int64_t)bytes);
    bool grows = result == 0 && ((uint32_t)mode & FALLOC_FL_PUNCH_HOLE) == 0;
    if (grows && is_beyond_limit(file->node, offset + bytes)) {
        result = size_refuse();
    }
    if (result == 0) {
        struct posix_node *node = file->node;
        posix_lock_acquire(&node->lock);
        result = allocate_locked(node, (uint32_t)mode, offset, offset + bytes);
        node->change_ns = node_now_ns();
        posix_lock_release(&node->lock);
    }
    posix_file_put(file);
    return result;
}

/* Files are in memory: nothing is waiting to be written. */
/* @impl ATL-LLR-FILE-0028~1 */
int64_t posix_fsync(uint64_t descriptor)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    bool is_file = file->operations->is_seekable;
    posix_file_put(file);
    return is_file ? 0 : -EINVAL;
}

int64_t posix_fdatasync(uint64_t descriptor)
{
    return posix_fsync(descriptor);
}

int64_t posix_sync(void)
{
    return 0;
}

int64_t posix_syncfs(uint64_t descriptor)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    posix_file_put(file);
    return 0;
}

/* Everything is in memory: there is nothing to read ahead. */
int64_t posix_readahead(uint64_t descriptor, uint64_t offset, uint64_t bytes)
{
    (void)offset, (void)bytes;
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    bool is_readable = (file->flags & POSIX_O_ACCESS) != POSIX_O_WRONLY;
    bool is_file = file->node != NULL && file->node->kind == NODE_FILE;
    posix_file_put(file);
    return !is_readable ? -EBADF : is_file ? 0 : -EINVAL;
}

int64_t posix_sync_file_range(uint64_t descriptor, uint64_t offset, uint64_t bytes, uint64_t flags)
{
    const uint32_t known = 7; /* wait before, write, wait after */
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    bool is_file = file->operations->is_seekable;
    posix_file_put(file);
    if (((uint32_t)flags & ~known) != 0 || offset > INT64_MAX || bytes > INT64_MAX - offset) {
        return -EINVAL;
    }
    return is_file ? 0 : -ESPIPE;
}

/* Checks what Linux checks; the advice itself has no effect on files in memory. */
int64_t posix_fadvise64(uint64_t descriptor, uint64_t offset, uint64_t bytes, uint64_t advice)
{
    (void)offset;
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    bool is_file = file->operations->is_seekable || file->operations->ignores_position;
    posix_file_put(file);
    if (!is_file) {
        return -ESPIPE;
    }
    return (int64_t)bytes < 0 || (uint32_t)advice > 5 ? -EINVAL : 0;
}
