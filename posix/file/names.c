/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that make and take away names: mkdir, unlink, rmdir, link, symlink. rename is in rename.c.
 */
#include "status.h"
#include "tree.h"
#include <posix/event.h>
#include <posix/syscalls.h>

/* Locked. Whether a new name may be made at the end of a walk. */
static int64_t check_new_name(const struct walk *walk)
{
    if (walk->node != NULL) {
        return -EEXIST;
    }
    if (walk->directory->directory.parent == NULL) {
        return -ENOENT;
    }
    return walk->directory->directory.is_sealed ? -EACCES : 0;
}

static void touch(struct posix_node *directory)
{
    posix_lock_acquire(&directory->lock);
    directory->modify_ns = node_now_ns();
    directory->change_ns = directory->modify_ns;
    posix_lock_release(&directory->lock);
}

/* What may not get another name. */
static int64_t check_link(const struct posix_node *node)
{
    if (node->kind == NODE_DIRECTORY) {
        return -EPERM;
    }
    if (node->kind == NODE_MAGIC || node->kind == NODE_SYNTHETIC) {
        return -EXDEV;
    }
    return 0;
}

int64_t names_add_at(struct posix_node *start, const char *text, struct posix_node *node,
                     bool is_new)
{
    struct walk walk;
    tree_acquire();
    int64_t result = walk_path(&walk, start, text, WALK_NAME);
    if (result == 0) {
        result = check_new_name(&walk);
    }
    if (result == 0 && walk.has_slash && !(is_new && node->kind == NODE_DIRECTORY)) {
        result = -ENOENT;
    }
    if (result == 0 && !is_new) {
        result = check_link(node);
    }
    if (result == 0) {
        result = tree_add(walk.directory, walk.name, walk.name_bytes, node) < 0 ? -ENOSPC : 0;
    }
    if (result == 0) {
        touch(walk.directory);
    }
    walk_finish(&walk);
    tree_release();
    return result;
}

int64_t names_add(uint64_t directory, uint64_t text, struct posix_node *node, bool is_new)
{
    struct path path;
    int64_t result = path_load(&path, directory, text, false);
    if (result == 0) {
        result = names_add_at(path.start, path.text, node, is_new);
        path_free(&path);
    }
    return result;
}

/* @impl ATL-LLR-FILE-0021~1 */
int64_t posix_mkdirat(uint64_t directory, uint64_t text, uint64_t mode)
{
    uint32_t bits = (uint32_t)mode & (0777u | S_ISVTX) & ~open_mask();
    struct posix_node *node = node_create(NODE_DIRECTORY, S_IFDIR | bits);
    if (node == NULL) {
        return -ENOSPC;
    }
    tree_make_directory(node, NULL);
    int64_t result = names_add(directory, text, node, true);
    node_put(node);
    return result;
}

int64_t posix_mkdir(uint64_t text, uint64_t mode)
{
    return posix_mkdirat((uint64_t)AT_FDCWD, text, mode);
}

/* A node for a regular file or a named pipe; NULL: no memory. */
static struct posix_node *make_node(uint32_t mode)
{
    bool is_pipe = (mode & S_IFMT) == S_IFIFO;
    struct posix_node *node = node_create(is_pipe ? NODE_DEVICE : NODE_FILE, mode);
    if (node != NULL && is_pipe) {
        void *pipe = posix_pipe_create_named();
        node->device_file.stream = (uintptr_t)pipe;
        node->device_file.operations = pipe != NULL ? &pipe_operations : NULL;
        if (pipe == NULL) {
            node_put(node);
            return NULL;
        }
    }
    return node;
}

/* Regular files and named pipes; other kinds are of no use here and are EPERM, as where a file
 * system lacks them. */
/* @impl ATL-LLR-FILE-0021~1 */
int64_t posix_mknodat(uint64_t directory, uint64_t text, uint64_t mode, uint64_t device)
{
    (void)device;
    uint32_t kind = (uint32_t)mode & S_IFMT;
    if (kind != 0 && kind != S_IFREG && kind != S_IFIFO) {
        bool is_known = kind == S_IFDIR || kind == S_IFCHR || kind == S_IFBLK || kind == S_IFSOCK;
        return is_known ? -EPERM : -EINVAL;
    }
    struct posix_node *node =
        make_node((kind == 0 ? S_IFREG : kind) | (mode & S_IALL & ~open_mask()));
    if (node == NULL) {
        return -ENOSPC;
    }
    int64_t result = names_add(directory, text, node, true);
    node_put(node);
    return result;
}

int64_t posix_mknod(uint64_t text, uint64_t mode, uint64_t device)
{
    return posix_mknodat((uint64_t)AT_FDCWD, text, mode, device);
}

/* @impl ATL-LLR-FILE-0021~1 */
int64_t posix_symlinkat(uint64_t target, uint64_t directory, uint64_t text)
{
    char *copy = posix_allocate(POSIX_PATH_BYTES_MAX);
    struct posix_node *node = node_create(NODE_LINK, S_IFLNK | 0777);
    int64_t result = copy != NULL && node != NULL ? 0 : -ENOSPC;
    if (result == 0) {
        result = posix_copy_in_string(copy, target, POSIX_PATH_BYTES_MAX);
    }
    if (result == 0) {
        result = -ENOENT; /* an empty target */
    }
    if (result > 0) {
        node->link.target = posix_allocate((size_t)result + 1);
        node->link.target_bytes = (uint64_t)result;
        if (node->link.target != NULL) {
            __builtin_memcpy(node->link.target, copy, (size_t)result);
        }
        result = node->link.target != NULL ? names_add(directory, text, node, true) : -ENOSPC;
    }
    posix_free(copy);
    if (node != NULL) {
        node_put(node);
    }
    return result;
}

int64_t posix_symlink(uint64_t target, uint64_t text)
{
    return posix_symlinkat(target, (uint64_t)AT_FDCWD, text);
}

/* @impl ATL-LLR-FILE-0021~1 */
int64_t posix_linkat(uint64_t old_directory, uint64_t old, uint64_t new_directory, uint64_t new,
                     uint64_t flags)
{
    if (((uint32_t)flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0) {
        return -EINVAL;
    }
    uint32_t find = (flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    struct posix_node *node = NULL;
    int64_t result = status_find(old_directory, old, find | (flags & AT_EMPTY_PATH), &node);
    if (result < 0) {
        return result;
    }
    result = names_add(new_directory, new, node, false);
    node_put(node);
    return result;
}

int64_t posix_link(uint64_t old, uint64_t new)
{
    return posix_linkat((uint64_t)AT_FDCWD, old, (uint64_t)AT_FDCWD, new, 0);
}

/* Locked. Whether the found name may go, as a file or as a directory. */
static int64_t check_removal(const struct walk *walk, bool directory)
{
    if (walk->node == NULL) {
        return -ENOENT;
    }
    if (walk->is_dots) {
        bool is_dot = walk->directory != NULL && walk->name_bytes == 1;
        return !directory                ? -EISDIR
               : walk->directory == NULL ? -EBUSY /* the root */
               : is_dot                  ? -EINVAL
                                         : -ENOTEMPTY;
    }
    if (walk->entry == NULL || walk->directory->directory.is_sealed) {
        return -EPERM;
    }
    if (!directory) {
        return walk->node->kind == NODE_DIRECTORY ? -EISDIR : walk->has_slash ? -ENOTDIR : 0;
    }
    if (walk->node->kind != NODE_DIRECTORY) {
        return -ENOTDIR;
    }
    if (tree_complete(walk->node) < 0) {
        return -ENOMEM;
    }
    if (walk->node->directory.is_sealed) {
        return -EBUSY; /* /proc, /sys */
    }
    return walk->node->directory.entry_count != 0 ? -ENOTEMPTY : 0;
}

static int64_t remove_name(uint64_t start, uint64_t text, bool directory)
{
    struct path path;
    int64_t result = path_load(&path, start, text, false);
    if (result < 0) {
        return result;
    }
    struct walk walk;
    tree_acquire();
    result = walk_path(&walk, path.start, path.text, WALK_NAME);
    if (result == 0) {
        result = check_removal(&walk, directory);
    }
    if (result == 0) {
        result = tree_complete(walk.directory); /* the image must not bring the name back */
    }
    if (result == 0) {
        touch(walk.directory);
        posix_lock_acquire(&walk.node->lock);
        walk.node->change_ns = node_now_ns();
        posix_lock_release(&walk.node->lock);
        walk.node->link_count -= directory ? 1 : 0; /* its own "." goes with it */
        tree_remove(walk.entry);
    }
    walk_finish(&walk);
    tree_release();
    path_free(&path);
    return result;
}

/* @impl ATL-LLR-FILE-0022~1 */
int64_t posix_unlinkat(uint64_t directory, uint64_t text, uint64_t flags)
{
    if (((uint32_t)flags & ~AT_REMOVEDIR) != 0) {
        return -EINVAL;
    }
    return remove_name(directory, text, (flags & AT_REMOVEDIR) != 0);
}

int64_t posix_unlink(uint64_t text)
{
    return remove_name((uint64_t)AT_FDCWD, text, false);
}

int64_t posix_rmdir(uint64_t text)
{
    return remove_name((uint64_t)AT_FDCWD, text, true);
}
