/* SPDX-License-Identifier: Apache-2.0 */
/* What files look like from outside: stat and its relatives, access, statfs, readlink. */
#include "status.h"
#include "descriptor.h"
#include "tree.h"
#include <posix/memory.h>
#include <posix/syscalls.h>

#define TMPFS_MAGIC 0x01021994

int64_t status_find(uint64_t directory, uint64_t text, uint32_t flags, struct posix_node **node)
{
    struct path path;
    int64_t result = path_load(&path, directory, text, (flags & AT_EMPTY_PATH) != 0);
    if (result < 0) {
        return result;
    }
    if (path.text[0] == '\0') {
        *node = node_get(path.start);
        path_free(&path);
        return 0;
    }
    struct walk walk;
    tree_acquire();
    result = walk_path(&walk, path.start, path.text,
                       (flags & AT_SYMLINK_NOFOLLOW) != 0 ? 0 : WALK_FOLLOW);
    if (result == 0) {
        result = walk.node != NULL ? 0 : -ENOENT;
    }
    if (result == 0) {
        *node = node_get(walk.node);
    }
    walk_finish(&walk);
    tree_release();
    path_free(&path);
    return result;
}

int64_t status_find_open(uint64_t descriptor, struct posix_node **node)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = file->node != NULL ? 0 : -EINVAL;
    if (result == 0) {
        *node = node_get(file->node);
    }
    posix_file_put(file);
    return result;
}

/* Of a path, or of the descriptor itself if the path is empty and that is allowed. */
static int64_t stat_at(uint64_t directory, uint64_t text, uint32_t flags, struct posix_stat *stat)
{
    char first = '\1';
    if ((flags & AT_EMPTY_PATH) != 0 && text != 0 && posix_copy_in(&first, text, 1) < 0) {
        return -EFAULT;
    }
    if ((flags & AT_EMPTY_PATH) != 0 && (text == 0 || first == '\0') &&
        (int32_t)directory != AT_FDCWD) {
        struct posix_file *file = descriptor_get_any(directory);
        if (file == NULL) {
            return -EBADF;
        }
        int64_t result = file->operations->stat(file, stat);
        posix_file_put(file);
        return result;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find(directory, text, flags, &node);
    if (result == 0) {
        node_stat(node, stat);
        node_put(node);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0008~1 */
int64_t posix_newfstatat(uint64_t directory, uint64_t text, uint64_t to, uint64_t flags)
{
    if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT)) != 0) {
        return -EINVAL;
    }
    struct posix_stat stat;
    int64_t result = stat_at(directory, text, (uint32_t)flags, &stat);
    return result < 0 ? result : posix_copy_out(to, &stat, sizeof(stat));
}

int64_t posix_stat(uint64_t text, uint64_t to)
{
    return posix_newfstatat((uint64_t)AT_FDCWD, text, to, 0);
}

int64_t posix_lstat(uint64_t text, uint64_t to)
{
    return posix_newfstatat((uint64_t)AT_FDCWD, text, to, AT_SYMLINK_NOFOLLOW);
}

int64_t posix_fstat(uint64_t descriptor, uint64_t to)
{
    struct posix_file *file = descriptor_get_any(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    struct posix_stat stat;
    int64_t result = file->operations->stat(file, &stat);
    posix_file_put(file);
    return result < 0 ? result : posix_copy_out(to, &stat, sizeof(stat));
}

static struct linux_statx_time statx_time(int64_t s, int64_t ns)
{
    return (struct linux_statx_time){.s = s, .ns = (uint32_t)ns};
}

/* @impl ATL-LLR-FILE-0008~1 */
int64_t posix_statx(uint64_t directory, uint64_t text, uint64_t flags, uint64_t mask, uint64_t to)
{
    uint32_t allowed = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
    if ((mask & STATX_RESERVED) != 0 || ((uint32_t)flags & ~allowed) != 0 ||
        (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) {
        return -EINVAL;
    }
    struct posix_stat stat;
    int64_t result = stat_at(directory, text, (uint32_t)flags, &stat);
    if (result < 0) {
        return result;
    }
    struct linux_statx statx = {
        .mask = STATX_BASIC_STATS,
        .block_bytes = (uint32_t)stat.block_bytes,
        .link_count = (uint32_t)stat.link_count,
        .user = stat.user,
        .group = stat.group,
        .mode = (uint16_t)stat.mode,
        .inode = stat.inode,
        .bytes = (uint64_t)stat.bytes,
        .blocks = (uint64_t)stat.blocks,
        .access = statx_time(stat.access_s, stat.access_ns),
        .change = statx_time(stat.change_s, stat.change_ns),
        .modify = statx_time(stat.modify_s, stat.modify_ns),
        .special_major = (uint32_t)(stat.special_device >> 8),
        .special_minor = (uint32_t)(stat.special_device & 0xff),
        .device_major = (uint32_t)(stat.device >> 8),
        .device_minor = (uint32_t)(stat.device & 0xff),
    };
    return posix_copy_out(to, &statx, sizeof(statx));
}

/* The application is root: it may read and write everything, and execute what anyone may. */
static int64_t check_access(const struct posix_node *node, uint32_t wanted)
{
    bool is_executable = node->kind == NODE_DIRECTORY || (node->mode & S_IEXEC_ANY) != 0;
    return (wanted & X_OK) != 0 && !is_executable ? -EACCES : 0;
}

/* @impl ATL-LLR-FILE-0019~1 */
int64_t posix_faccessat2(uint64_t directory, uint64_t text, uint64_t mode, uint64_t flags)
{
    uint32_t allowed = AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
    if (((uint32_t)mode & ~(R_OK | W_OK | X_OK)) != 0 || ((uint32_t)flags & ~allowed) != 0) {
        return -EINVAL;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find(directory, text, (uint32_t)flags, &node);
    if (result == 0) {
        result = check_access(node, (uint32_t)mode);
        node_put(node);
    }
    return result;
}

int64_t posix_faccessat(uint64_t directory, uint64_t text, uint64_t mode)
{
    return posix_faccessat2(directory, text, mode, 0);
}

int64_t posix_access(uint64_t text, uint64_t mode)
{
    return posix_faccessat2((uint64_t)AT_FDCWD, text, mode, 0);
}

/* What a link of /proc/self/fd says of a file without a name. */
static int64_t nameless_text(uint64_t descriptor, char *buffer, size_t bytes)
{
    struct text text = {.bytes = buffer, .capacity = bytes};
    struct posix_file *file = descriptor_get_any(descriptor);
    struct posix_stat stat;
    if (file == NULL) {
        return -ENOENT;
    }
    (void)file->operations->stat(file, &stat);
    posix_file_put(file);
    text_string(&text, (stat.mode & S_IFMT) == S_IFSOCK  ? "socket:["
                       : (stat.mode & S_IFMT) == S_IFIFO ? "pipe:["
                                                         : "anon_inode:[");
    text_number(&text, stat.inode);
    text_string(&text, "]");
    return (int64_t)text.used;
}

static int64_t magic_text(const struct posix_node *node, char *buffer, size_t bytes)
{
    if (node->magic_target == NULL) {
        return nameless_text(node->magic_descriptor, buffer, bytes);
    }
    tree_acquire();
    int64_t result = tree_path(node->magic_target, buffer, bytes);
    tree_release();
    if (result == -ENOENT) {
        static const char gone[] = "/ (deleted)";
        __builtin_memcpy(buffer, gone, sizeof(gone));
        result = sizeof(gone) - 1;
    }
    return result;
}

static int64_t copy_link(const struct posix_node *node, uint64_t to, uint64_t bytes)
{
    if (node->kind == NODE_LINK) {
        uint64_t part = node->link.target_bytes < bytes ? node->link.target_bytes : bytes;
        int64_t result = posix_copy_out(to, node->link.target, part);
        return result < 0 ? result : (int64_t)part;
    }
    if (node->kind != NODE_MAGIC) {
        return -EINVAL;
    }
    char *text = posix_allocate(POSIX_PATH_BYTES_MAX);
    if (text == NULL) {
        return -ENOMEM;
    }
    int64_t length = magic_text(node, text, POSIX_PATH_BYTES_MAX);
    if (length > 0) {
        length = (uint64_t)length < bytes ? length : (int64_t)bytes;
        int64_t result = posix_copy_out(to, text, (size_t)length);
        length = result < 0 ? result : length;
    }
    posix_free(text);
    return length;
}

/* @impl ATL-LLR-FILE-0020~1 */
int64_t posix_readlinkat(uint64_t directory, uint64_t text, uint64_t to, uint64_t bytes)
{
    if ((int32_t)bytes <= 0) {
        return -EINVAL;
    }
    struct posix_node *node = NULL;
    int64_t result = status_find(directory, text, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &node);
    if (result == 0) {
        result = copy_link(node, to, (uint32_t)bytes);
        node_put(node);
    }
    return result;
}

/* Unlike readlinkat, an empty path is ENOENT: it never names a link. */
int64_t posix_readlink(uint64_t text, uint64_t to, uint64_t bytes)
{
    int64_t result = posix_readlinkat((uint64_t)AT_FDCWD, text, to, bytes);
    char first = '\0';
    bool is_empty = result == -EINVAL && (int32_t)bytes > 0 &&
                    posix_copy_in(&first, text, 1) == 0 && first == '\0';
    return is_empty ? -ENOENT : result;
}

static int64_t copy_statfs(uint64_t to)
{
    uint64_t available = posix_page_available();
    struct linux_statfs statfs = {
        .type = TMPFS_MAGIC,
        .block_bytes = PIECE_BYTES,
        .blocks = posix_info.memory_bytes / PIECE_BYTES,
        .blocks_free = available,
        .blocks_available = available,
        .files = available,
        .files_free = available,
        .name_bytes_max = POSIX_NAME_BYTES_MAX,
        .fragment_bytes = PIECE_BYTES,
        .flags = 0x20, /* ST_VALID */
    };
    return posix_copy_out(to, &statfs, sizeof(statfs));
}

int64_t posix_statfs(uint64_t text, uint64_t to)
{
    struct posix_node *node = NULL;
    int64_t result = status_find((uint64_t)AT_FDCWD, text, 0, &node);
    if (result == 0) {
        node_put(node);
        result = copy_statfs(to);
    }
    return result;
}

int64_t posix_fstatfs(uint64_t descriptor, uint64_t to)
{
    struct posix_file *file = descriptor_get_any(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    posix_file_put(file);
    return copy_statfs(to);
}
