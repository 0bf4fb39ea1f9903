/* SPDX-License-Identifier: Apache-2.0 */
/* open, openat and openat2 (creat is open with flags), and memfd_create. */
#include "descriptor.h"
#include "image.h"
#include "seal.h"
#include "status.h"
#include "tree.h"
#include <posix/memory.h>
#include <posix/syscalls.h>

/* Flags that mean something only while opening; F_GETFL does not show them. */
#define OPEN_ONLY_FLAGS                                                                            \
    (POSIX_O_CREAT | POSIX_O_EXCL | POSIX_O_NOCTTY | POSIX_O_TRUNC | POSIX_O_CLOEXEC)
#define KNOWN_FLAGS                                                                                \
    (POSIX_O_ACCESS | OPEN_ONLY_FLAGS | POSIX_O_APPEND | POSIX_O_NONBLOCK | POSIX_O_ASYNC |        \
     POSIX_O_DIRECT | POSIX_O_LARGEFILE | POSIX_O_DIRECTORY | POSIX_O_NOFOLLOW | POSIX_O_NOATIME | \
     POSIX_O_SYNC | POSIX_O_PATH | POSIX_O_TMPFILE)
#define TMPFILE_FLAG (POSIX_O_TMPFILE & ~POSIX_O_DIRECTORY)

/* What is wanted, checked. */
struct opening {
    uint32_t flags, mode, walk_flags;
};

static _Atomic uint32_t mask = 022;

uint32_t open_mask(void)
{
    return mask;
}

int64_t posix_umask(uint64_t wanted)
{
    return atomic_exchange(&mask, (uint32_t)wanted & 0777u);
}

static bool wants_write(uint32_t flags)
{
    return (flags & POSIX_O_ACCESS) != POSIX_O_RDONLY;
}

/* The program's own file must not change while it runs. */
static bool is_program(const struct posix_node *node)
{
    const char *path = posix_image_string(posix_image()->program_path_offset);
    return node->kind == NODE_FILE && node->data.image != NULL &&
           node->data.image == posix_image_exact(path);
}

/* Locked. The checks of an existing last name. */
static int64_t check_existing(const struct walk *walk, uint32_t flags)
{
    const struct posix_node *node = walk->node;
    bool writes = wants_write(flags) || (flags & POSIX_O_TRUNC) != 0;
    bool creates = (flags & POSIX_O_CREAT) != 0;
    if (creates && (flags & POSIX_O_EXCL) != 0) {
        return -EEXIST;
    }
    if (node->kind == NODE_LINK && (flags & POSIX_O_PATH) == 0) {
        return (flags & POSIX_O_DIRECTORY) != 0 ? -ENOTDIR : -ELOOP;
    }
    if (node->kind == NODE_DIRECTORY) {
        return creates || writes ? -EISDIR : 0;
    }
    if ((flags & POSIX_O_DIRECTORY) != 0) {
        return -ENOTDIR;
    }
    return writes && is_program(node) ? -ETXTBSY : 0;
}

/* Opens a node; -ENXIO, -ENOMEM. */
static int64_t open_node(struct posix_node *node, uint32_t flags, struct posix_file **file)
{
    bool is_path = (flags & POSIX_O_PATH) != 0;
    if (node->kind == NODE_DEVICE && node->device_file.operations == NULL && !is_path) {
        return -ENXIO;
    }
    *file = node_open(node, flags & ~OPEN_ONLY_FLAGS);
    return *file != NULL ? 0 : -ENOMEM;
}

/* A new regular file without a name, opened. */
static int64_t open_new(const struct opening *opening, struct posix_file **file)
{
    struct posix_node *node =
        node_create(NODE_FILE, S_IFREG | (opening->mode & S_IALL & ~open_mask()));
    if (node == NULL) {
        return -ENOSPC;
    }
    int64_t result = open_node(node, opening->flags, file);
    node_put(node);
    return result;
}

/* Locked. A new regular file at the end of the walk, opened before anybody can see its name. On
 * failure the caller puts a file that is not NULL. */
static int64_t create_file(struct walk *walk, const struct opening *opening,
                           struct posix_file **file)
{
    if (walk->directory->directory.parent == NULL) {
        return -ENOENT; /* removed while it is somebody's working directory */
    }
    if (walk->directory->directory.is_sealed) {
        return -EACCES;
    }
    int64_t result = open_new(opening, file);
    if (result < 0) {
        return result;
    }
    if (tree_add(walk->directory, walk->name, walk->name_bytes, (*file)->node) < 0) {
        return -ENOSPC;
    }
    walk->directory->modify_ns = node_now_ns();
    walk->directory->change_ns = walk->directory->modify_ns;
    return 0;
}

static int64_t truncate_node(struct posix_node *node)
{
    posix_lock_acquire(&node->lock);
    int64_t result = seal_check_resize(node, 0);
    if (result == 0) {
        result = data_resize(&node->data, 0);
        node->modify_ns = node_now_ns();
        node->change_ns = node->modify_ns;
    }
    posix_lock_release(&node->lock);
    return result;
}

/* Opens what the walk has found; the tree is not locked any more. */
static int64_t open_existing(struct posix_node *node, uint32_t flags, struct posix_file **file)
{
    int64_t result = open_node(node, flags, file);
    if (result == 0 && (flags & POSIX_O_TRUNC) != 0 && node->kind == NODE_FILE) {
        result = truncate_node(node);
    }
    return result;
}

/* The open file that a path leads to. On failure the caller puts a file that is not NULL. */
static int64_t open_named(const struct path *path, const struct opening *opening,
                          struct posix_file **file)
{
    uint32_t flags = opening->flags;
    struct walk walk;
    struct posix_node *existing = NULL;
    bool exclusive = (flags & (POSIX_O_CREAT | POSIX_O_EXCL)) == (POSIX_O_CREAT | POSIX_O_EXCL);
    bool follow = (flags & POSIX_O_NOFOLLOW) == 0 && !exclusive;
    tree_acquire();
    uint32_t walk_flags = (follow ? WALK_FOLLOW : 0) |
                          ((flags & POSIX_O_CREAT) != 0 ? WALK_CREATE : 0) | opening->walk_flags;
    int64_t result = walk_path(&walk, path->start, path->text, walk_flags);
    if (result == 0 && walk.node != NULL) {
        result = check_existing(&walk, flags);
        existing = result == 0 ? node_get(walk.node) : NULL;
    } else if (result == 0) {
        result = (flags & POSIX_O_CREAT) != 0 ? create_file(&walk, opening, file) : -ENOENT;
    }
    walk_finish(&walk);
    tree_release();
    if (existing != NULL) {
        result = open_existing(existing, flags, file);
        node_put(existing);
    }
    return result;
}

/* O_TMPFILE: a file without a name. */
static int64_t open_unnamed(const struct path *path, const struct opening *opening,
                            struct posix_file **file)
{
    struct walk walk;
    tree_acquire();
    int64_t result = walk_path(&walk, path->start, path->text, WALK_FOLLOW | opening->walk_flags);
    if (result == 0) {
        result = walk.node == NULL                   ? -ENOENT
                 : walk.node->kind != NODE_DIRECTORY ? -ENOTDIR
                 : walk.node->directory.is_sealed    ? -EOPNOTSUPP
                                                     : 0;
    }
    walk_finish(&walk);
    tree_release();
    return result == 0 ? open_new(opening, file) : result;
}

static int64_t check_flags(uint32_t *flags)
{
    *flags &= KNOWN_FLAGS;
    if ((*flags & POSIX_O_PATH) != 0) {
        *flags &= POSIX_O_PATH | POSIX_O_CLOEXEC | POSIX_O_DIRECTORY | POSIX_O_NOFOLLOW;
        return 0;
    }
    *flags |= POSIX_O_LARGEFILE;
    if ((*flags & TMPFILE_FLAG) != 0) {
        bool is_valid = (*flags & POSIX_O_TMPFILE) == POSIX_O_TMPFILE && wants_write(*flags) &&
                        (*flags & POSIX_O_CREAT) == 0;
        return is_valid ? 0 : -EINVAL;
    }
    if ((*flags & (POSIX_O_CREAT | POSIX_O_DIRECTORY)) == (POSIX_O_CREAT | POSIX_O_DIRECTORY)) {
        return -EINVAL;
    }
    return 0;
}

/* The descriptor is reserved before anything is made or cut: for want of one nothing changes. */
static int64_t open_path(uint64_t directory, uint64_t text, const struct opening *opening)
{
    struct path path;
    int64_t result = path_load(&path, directory, text, false);
    if (result == 0 && (opening->walk_flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0 &&
        path.text[0] == '/') {
        result = path_start_again(&path, directory); /* an absolute path starts there as well */
    }
    if (result < 0) {
        return result;
    }
    struct posix_file *file = NULL;
    int64_t descriptor = descriptor_reserve();
    result = descriptor;
    if (descriptor >= 0) {
        bool is_unnamed = (opening->flags & TMPFILE_FLAG) != 0;
        result =
            is_unnamed ? open_unnamed(&path, opening, &file) : open_named(&path, opening, &file);
    }
    path_free(&path);
    if (result >= 0 && file != NULL && file->operations->open != NULL) {
        result = file->operations->open(file);
    }
    if (result < 0 && file != NULL) {
        posix_file_put(file);
        file = NULL;
    }
    if (descriptor >= 0) {
        descriptor_fill((uint64_t)descriptor, file, (opening->flags & POSIX_O_CLOEXEC) != 0);
    }
    return result < 0 ? result : descriptor;
}

/* @impl ATL-LLR-FILE-0016~1 */
int64_t posix_openat(uint64_t directory, uint64_t text, uint64_t wanted, uint64_t mode)
{
    struct opening opening = {.flags = (uint32_t)wanted, .mode = (uint32_t)mode};
    int64_t result = check_flags(&opening.flags);
    return result < 0 ? result : open_path(directory, text, &opening);
}

/* openat2 refuses what openat overlooks. */
static int64_t check_how(const struct linux_open_how *how)
{
    const uint64_t path_flags =
        POSIX_O_PATH | POSIX_O_CLOEXEC | POSIX_O_DIRECTORY | POSIX_O_NOFOLLOW;
    bool makes = (how->flags & (POSIX_O_CREAT | TMPFILE_FLAG)) != 0;
    bool is_path = (how->flags & POSIX_O_PATH) != 0;
    if ((how->flags & ~(uint64_t)KNOWN_FLAGS) != 0 || how->resolve >= 2 * RESOLVE_CACHED ||
        (how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) ==
            (RESOLVE_BENEATH | RESOLVE_IN_ROOT) ||
        (how->mode & ~(uint64_t)S_IALL) != 0 || (!makes && how->mode != 0) ||
        (is_path && (how->flags & ~path_flags) != 0)) {
        return -EINVAL;
    }
    /* What is looked up is in memory, what is made is not. */
    bool is_change = makes || (how->flags & POSIX_O_TRUNC) != 0;
    return (how->resolve & RESOLVE_CACHED) != 0 && is_change ? -EAGAIN : 0;
}

/* Structures of later Linux versions are taken if what we do not know of them is zero. */
static int64_t load_how(struct linux_open_how *how, uint64_t from, uint64_t bytes)
{
    if (bytes < sizeof(*how)) {
        return -EINVAL;
    }
    if (bytes > POSIX_PATH_BYTES_MAX) { /* a page */
        return -E2BIG;
    }
    for (uint64_t at = sizeof(*how); at < bytes; at++) {
        uint8_t byte;
        if (posix_copy_in(&byte, from + at, 1) < 0) {
            return -EFAULT;
        }
        if (byte != 0) {
            return -E2BIG;
        }
    }
    return posix_copy_in(how, from, sizeof(*how));
}

/* @impl ATL-LLR-FILE-0039~1 */
int64_t posix_openat2(uint64_t directory, uint64_t text, uint64_t how_at, uint64_t bytes)
{
    static const uint32_t walk_flags[] = {WALK_NO_CROSSING, WALK_NO_MAGIC, WALK_NO_LINKS,
                                          WALK_BENEATH, WALK_IN_ROOT};
    struct linux_open_how how;
    int64_t result = load_how(&how, how_at, bytes);
    if (result == 0) {
        result = check_how(&how);
    }
    if (result < 0) {
        return result;
    }
    struct opening opening = {.flags = (uint32_t)how.flags, .mode = (uint32_t)how.mode};
    for (uint32_t bit = 0; bit < sizeof(walk_flags) / sizeof(walk_flags[0]); bit++) {
        opening.walk_flags |= (how.resolve >> bit & 1) != 0 ? walk_flags[bit] : 0;
    }
    result = check_flags(&opening.flags);
    return result < 0 ? result : open_path(directory, text, &opening);
}

/* A file without a name. Huge pages and the seals of execution are not offered. */
/* @impl ATL-LLR-FILE-0016~1 */
int64_t posix_memfd_create(uint64_t name, uint64_t flags)
{
    char copy[250]; /* the longest name is 249 bytes; nobody sees it again */
    if (((uint32_t)flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)) != 0) {
        return -EINVAL;
    }
    int64_t length = posix_copy_in_string(copy, name, sizeof(copy));
    if (length < 0) {
        return length == -ENAMETOOLONG ? -EINVAL : length;
    }
    struct posix_node *node = node_create(NODE_FILE, S_IFREG | 0777);
    if (node == NULL) {
        return -ENOMEM;
    }
    node->seals = (flags & MFD_ALLOW_SEALING) != 0 ? 0 : F_SEAL_SEAL;
    struct posix_file *file = NULL;
    int64_t result = open_node(node, POSIX_O_RDWR | POSIX_O_LARGEFILE, &file);
    node_put(node);
    if (result == 0) {
        result = posix_descriptor_install(file, (flags & MFD_CLOEXEC) != 0, 0);
    }
    if (result < 0 && file != NULL) {
        posix_file_put(file);
    }
    return result;
}

int64_t posix_open(uint64_t text, uint64_t flags, uint64_t mode)
{
    return posix_openat((uint64_t)AT_FDCWD, text, flags, mode);
}

int64_t posix_creat(uint64_t text, uint64_t mode)
{
    return posix_open(text, POSIX_O_CREAT | POSIX_O_WRONLY | POSIX_O_TRUNC, mode);
}

/* @impl ATL-LLR-FILE-0017~1 */
int64_t posix_file_mapping(uint64_t descriptor, struct posix_mapping *mapping)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    uint32_t access = file->flags & POSIX_O_ACCESS;
    *mapping = (struct posix_mapping){
        .is_readable = access != POSIX_O_WRONLY,
        .is_writable = access == POSIX_O_RDWR,
        .file = file,
    };
    struct posix_node *node = file->node;
    if (node != NULL && node->kind == NODE_FILE) {
        posix_lock_acquire(&node->lock);
        bool is_image = data_is_pristine(&node->data);
        mapping->bytes = node->data.bytes;
        posix_lock_release(&node->lock);
        mapping->kind = is_image ? POSIX_MAPPING_IMAGE : POSIX_MAPPING_COPY;
        mapping->image_file = is_image ? node->data.image : NULL;
    } else if (node != NULL && node->kind == NODE_DEVICE && node->special == DEVICE_NUMBER(1, 5)) {
        mapping->kind = POSIX_MAPPING_ZERO;
    }
    return 0;
}

/* @impl ATL-LLR-FILE-0018~1 */
const struct image_file *posix_image_find(const char *path, int64_t *error)
{
    struct walk walk;
    const struct image_file *found = NULL;
    tree_acquire();
    *error = walk_path(&walk, tree_root(), path, WALK_FOLLOW);
    if (*error == 0 && walk.node == NULL) {
        *error = -ENOENT;
    }
    if (*error == 0) {
        if (walk.node->kind == NODE_FILE && data_is_pristine(&walk.node->data)) {
            found = walk.node->data.image;
        } else {
            *error = -EACCES;
        }
    }
    walk_finish(&walk);
    tree_release();
    return found;
}
