/* SPDX-License-Identifier: Apache-2.0 */
/* rename, renameat, renameat2. */
#include "tree.h"
#include <posix/syscalls.h>

/* Locked. Both names as walked; old exists. 1: nothing is to be done. */
static int64_t check(const struct walk *old, const struct walk *new, uint32_t flags)
{
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if (old->is_dots || new->is_dots) {
        return !old->is_dots && (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    }
    if (old->node == NULL) {
        return -ENOENT;
    }
    if (new->node != NULL && (flags & RENAME_NOREPLACE) != 0) {
        return -EEXIST;
    }
    if (new->node == NULL && exchange) {
        return -ENOENT;
    }
    if (old->entry == NULL || old->directory->directory.is_sealed ||
        new->directory->directory.is_sealed || (new->node != NULL &&new->entry == NULL)) {
        return -EPERM;
    }
    bool is_directory = old->node->kind == NODE_DIRECTORY;
    if ((is_directory && old->node->directory.is_sealed) ||
        (new->node != NULL &&new->node->kind == NODE_DIRECTORY &&new->node->directory.is_sealed)) {
        return -EBUSY;
    }
    bool new_is_plain = exchange ? new->node->kind != NODE_DIRECTORY : !is_directory;
    if ((!is_directory && old->has_slash) || (new_is_plain && new->has_slash)) {
        return -ENOTDIR;
    }
    if (is_directory && tree_is_above(old->node, new->directory)) {
        return -EINVAL;
    }
    if (exchange && new->node->kind == NODE_DIRECTORY && tree_is_above(new->node, old->directory)) {
        return -EINVAL;
    }
    if (new->directory->directory.parent == NULL) {
        return -ENOENT;
    }
    return old->node == new->node ? 1 : 0;
}

/* Locked. Whether what is at the new name may be replaced. */
static int64_t check_replaced(const struct walk *old, const struct walk *new)
{
    if (new->node == NULL) {
        return 0;
    }
    bool old_is_directory = old->node->kind == NODE_DIRECTORY;
    bool new_is_directory = new->node->kind == NODE_DIRECTORY;
    if (new_is_directory && tree_is_above(new->node, old->directory)) {
        return -ENOTEMPTY;
    }
    if (old_is_directory && !new_is_directory) {
        return -ENOTDIR;
    }
    if (!old_is_directory && new_is_directory) {
        return -EISDIR;
    }
    if (!new_is_directory) {
        return 0;
    }
    if (tree_complete(new->node) < 0) {
        return -ENOMEM;
    }
    return new->node->directory.entry_count != 0 ? -ENOTEMPTY : 0;
}

static void touch(struct posix_node *node, bool content, int64_t now_ns)
{
    posix_lock_acquire(&node->lock);
    node->modify_ns = content ? now_ns : node->modify_ns;
    node->change_ns = now_ns;
    posix_lock_release(&node->lock);
}

/* Locked. Adds first and takes away after: what can fail is done before anything is lost. */
static int64_t move(const struct walk *old, const struct walk *new)
{
    struct posix_node *node = node_get(old->node);
    int64_t result = tree_add(new->directory, new->name, new->name_bytes, node) < 0 ? -ENOSPC : 0;
    if (result == 0) {
        struct entry *added = new->directory->directory.last;
        int64_t now_ns = node_now_ns();
        touch(old->directory, true, now_ns);
        touch(new->directory, true, now_ns);
        touch(node, false, now_ns);
        if (new->entry != NULL) {
            new->node->link_count -= new->node->kind == NODE_DIRECTORY ? 1 : 0; /* its "." */
            tree_remove(new->entry);
        }
        tree_remove(old->entry);
        node->entry = added;
        if (node->kind == NODE_DIRECTORY) {
            node->directory.parent = new->directory;
        }
    }
    node_put(node);
    return result;
}

/* Locked. Puts each node under the other's name. */
static int64_t exchange(const struct walk *old, const struct walk *new)
{
    struct posix_node *first = node_get(old->node);
    struct posix_node *second = node_get(new->node);
    struct entry *a = old->entry;
    struct entry *b = new->entry;
    a->node = second;
    b->node = first;
    first->entry = b;
    second->entry = a;
    /* A directory's link to its parent goes with it. */
    if (first->kind == NODE_DIRECTORY) {
        first->directory.parent = new->directory;
        old->directory->link_count--;
        new->directory->link_count++;
    }
    if (second->kind == NODE_DIRECTORY) {
        second->directory.parent = old->directory;
        new->directory->link_count--;
        old->directory->link_count++;
    }
    int64_t now_ns = node_now_ns();
    touch(old->directory, true, now_ns);
    touch(new->directory, true, now_ns);
    node_put(first);
    node_put(second);
    return 0;
}

static int64_t rename_locked(struct walk *old, struct walk *new, uint32_t flags)
{
    int64_t result = check(old, new, flags);
    if (result != 0) {
        return result < 0 ? result : 0;
    }
    if ((flags & RENAME_EXCHANGE) != 0) {
        return exchange(old, new);
    }
    result = check_replaced(old, new);
    if (result == 0 && tree_complete(old->directory) < 0) {
        result = -ENOMEM;
    }
    return result < 0 ? result : move(old, new);
}

/* @impl ATL-LLR-FILE-0023~1 */
int64_t posix_renameat2(uint64_t old_directory, uint64_t old_text, uint64_t new_directory,
                        uint64_t new_text, uint64_t wanted)
{
    uint32_t flags = (uint32_t)wanted;
    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0 ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        return -EINVAL;
    }
    struct path old_path;
    struct path new_path;
    int64_t result = path_load(&old_path, old_directory, old_text, false);
    if (result < 0) {
        return result;
    }
    /* What is wrong with the new path shows only after the way to the old name was walked. */
    int64_t new_result = path_load(&new_path, new_directory, new_text, false);
    struct walk old;
    struct walk new = {0};
    tree_acquire();
    result = walk_path(&old, old_path.start, old_path.text, WALK_NAME);
    if (result == 0) {
        result = new_result;
    }
    if (result == 0) {
        result = walk_path(&new, new_path.start, new_path.text, WALK_NAME);
    }
    if (result == 0) {
        result = rename_locked(&old, &new, flags);
    }
    walk_finish(&new);
    walk_finish(&old);
    tree_release();
    if (new_result == 0) {
        path_free(&new_path);
    }
    path_free(&old_path);
    return result;
}

int64_t posix_renameat(uint64_t old_directory, uint64_t old, uint64_t new_directory, uint64_t new)
{
    return posix_renameat2(old_directory, old, new_directory, new, 0);
}

int64_t posix_rename(uint64_t old, uint64_t new)
{
    return posix_renameat2((uint64_t)AT_FDCWD, old, (uint64_t)AT_FDCWD, new, 0);
}
