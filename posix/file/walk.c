/* SPDX-License-Identifier: Apache-2.0 */
/* Walking paths: component by component, expanding symbolic links on the way. Source: POSIX.1-2017
 * "Pathname Resolution"; limits and order of errors are Linux's. */
#include "descriptor.h"
#include "tree.h"

#define LINKS_MAX 40u

/* The state of one walk: what is left of the path, and where it is. */
struct progress {
    struct posix_node *at;
    const char *rest;
    uint32_t links;
    uint32_t flags;
    struct posix_node *root; /* what "/" is, and where ".." ends */
};

/* Where an absolute path goes on. */
static int64_t go_to_root(struct progress *progress)
{
    if ((progress->flags & WALK_BENEATH) != 0 || ((progress->flags & WALK_NO_CROSSING) != 0 &&
                                                  progress->at->device != progress->root->device)) {
        return -EXDEV;
    }
    progress->at = progress->root;
    return 0;
}

static const char *skip_slashes(const char *path)
{
    while (*path == '/') {
        path++;
    }
    return path;
}

static size_t component_bytes(const char *path)
{
    size_t bytes = 0;
    while (path[bytes] != '\0' && path[bytes] != '/') {
        bytes++;
    }
    return bytes;
}

/* Goes on with the link's target followed by the rest of the path. */
static int64_t expand(struct walk *walk, struct progress *progress, const struct posix_node *link)
{
    if (++progress->links > LINKS_MAX || (progress->flags & WALK_NO_LINKS) != 0) {
        return -ELOOP;
    }
    if (link->link.target_bytes == 0) {
        return -ENOENT;
    }
    size_t rest_bytes = __builtin_strlen(progress->rest);
    char *path = posix_allocate(link->link.target_bytes + rest_bytes + 1);
    if (path == NULL) {
        return -ENOMEM;
    }
    __builtin_memcpy(path, link->link.target, link->link.target_bytes);
    __builtin_memcpy(path + link->link.target_bytes, progress->rest, rest_bytes);
    posix_free(walk->buffer);
    walk->buffer = path;
    progress->rest = path;
    return path[0] == '/' ? go_to_root(progress) : 0;
}

static void replace_transient(struct walk *walk, struct posix_node *node)
{
    if (walk->transient != NULL) {
        node_put(walk->transient);
    }
    walk->transient = node;
}

/* A name in a directory whose entries come and go. */
static void look_up_dynamic(struct walk *walk, const struct directory *directory)
{
    struct posix_node *node = directory->find(walk->name, walk->name_bytes);
    if (node != NULL) {
        replace_transient(walk, node);
    }
    walk->node = node;
}

/* "." or "..". */
static int64_t look_up_dots(struct walk *walk, const struct progress *progress)
{
    walk->node = walk->directory;
    if (walk->name_bytes == 2) {
        bool is_end = walk->directory == progress->root;
        if (is_end && (progress->flags & WALK_BENEATH) != 0) {
            return -EXDEV;
        }
        walk->node = is_end ? walk->directory : walk->directory->directory.parent;
    }
    return walk->node != NULL ? 0 : -ENOENT; /* ".." of a removed directory */
}

/* Looks walk->name up in walk->directory. */
static int64_t look_up(struct walk *walk, const struct progress *progress)
{
    struct directory *directory = &walk->directory->directory;
    walk->entry = NULL;
    walk->node = NULL;
    if (walk->is_dots) {
        return look_up_dots(walk, progress);
    }
    if (walk->name_bytes > POSIX_NAME_BYTES_MAX) {
        return -ENAMETOOLONG;
    }
    if (directory->find != NULL) {
        look_up_dynamic(walk, directory);
        if (walk->node != NULL) {
            return 0;
        }
    }
    int64_t error = 0;
    walk->entry = tree_find(walk->directory, walk->name, walk->name_bytes, &error);
    walk->node = walk->entry != NULL ? walk->entry->node : NULL;
    return error;
}

/* Takes the next component off the path. */
static void next_component(struct walk *walk, struct progress *progress)
{
    walk->directory = progress->at;
    walk->name = progress->rest;
    walk->name_bytes = component_bytes(walk->name);
    walk->is_dots = walk->name[0] == '.' &&
                    (walk->name_bytes == 1 || (walk->name_bytes == 2 && walk->name[1] == '.'));
    progress->rest = walk->name + walk->name_bytes;
    walk->has_slash = *progress->rest == '/';
}

/* What a found node means for the walk. 1: it is the end. */
static int64_t step(struct walk *walk, struct progress *progress, uint32_t flags)
{
    const char *after = skip_slashes(progress->rest);
    bool is_last = *after == '\0';
    struct posix_node *node = walk->node;
    if (node == NULL) {
        return is_last ? 1 : -ENOENT;
    }
    if ((flags & WALK_NO_CROSSING) != 0 && node->device != walk->directory->device) {
        return -EXDEV;
    }
    if (is_last && (flags & WALK_NAME) != 0) {
        return 1;
    }
    bool follow = !is_last || walk->has_slash || (flags & WALK_FOLLOW) != 0;
    if (node->kind == NODE_LINK && follow) {
        progress->at = walk->directory;
        int64_t result = expand(walk, progress, node);
        return result < 0 ? result : 0;
    }
    if (node->kind == NODE_MAGIC && follow) {
        const uint32_t forbidden = WALK_NO_MAGIC | WALK_NO_LINKS | WALK_BENEATH | WALK_IN_ROOT;
        if ((flags & forbidden) != 0) {
            return (flags & (WALK_NO_MAGIC | WALK_NO_LINKS)) != 0 ? -ELOOP : -EXDEV;
        }
        if (node->magic_target == NULL) {
            return -ENXIO;
        }
        node = node_get(node->magic_target);
        replace_transient(walk, node);
        walk->node = node;
    }
    if (is_last) {
        return walk->has_slash && node->kind != NODE_DIRECTORY ? -ENOTDIR : 1;
    }
    if (node->kind != NODE_DIRECTORY) {
        return -ENOTDIR;
    }
    progress->at = node;
    progress->rest = after;
    return 0;
}

/* @impl ATL-LLR-FILE-0015~1 */
int64_t walk_path(struct walk *walk, struct posix_node *start, const char *path, uint32_t flags)
{
    *walk = (struct walk){0};
    bool is_confined = (flags & (WALK_BENEATH | WALK_IN_ROOT)) != 0;
    struct progress progress = {
        .at = start, .rest = path, .flags = flags, .root = is_confined ? start : tree_root()};
    int64_t result = path[0] == '/' ? go_to_root(&progress) : 0;
    if (result < 0) {
        return result;
    }
    for (;;) {
        progress.rest = skip_slashes(progress.rest);
        if (progress.at->kind != NODE_DIRECTORY) {
            return -ENOTDIR;
        }
        if (*progress.rest == '\0') { /* "/" and links to it */
            walk->directory = NULL;
            walk->entry = NULL;
            walk->node = progress.at;
            walk->is_dots = true;
            return 0;
        }
        next_component(walk, &progress);
        if ((flags & WALK_CREATE) != 0 && walk->has_slash && !walk->is_dots &&
            *skip_slashes(progress.rest) == '\0') {
            return -EISDIR;
        }
        result = look_up(walk, &progress);
        if (result == 0) {
            result = step(walk, &progress, flags);
        }
        if (result != 0) {
            return result < 0 ? result : 0;
        }
    }
}

void walk_finish(struct walk *walk)
{
    posix_free(walk->buffer);
    replace_transient(walk, NULL);
}

static int64_t load_text(struct path *path, uint64_t text)
{
    int64_t bytes = posix_copy_in_string(path->small, text, sizeof(path->small));
    path->text = path->small;
    path->allocated = NULL;
    if (bytes == -ENAMETOOLONG) {
        path->allocated = posix_allocate_buffer(POSIX_PATH_BYTES_MAX);
        if (path->allocated == NULL) {
            return -ENOMEM;
        }
        path->text = path->allocated;
        bytes = posix_copy_in_string(path->allocated, text, POSIX_PATH_BYTES_MAX);
    }
    return bytes;
}

/* The node that relative paths start from. */
static int64_t load_start(struct path *path, uint64_t directory, bool need_directory)
{
    if ((int32_t)directory == AT_FDCWD) {
        path->start = tree_working_directory();
        return 0;
    }
    struct posix_file *file = descriptor_get_any(directory);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = 0;
    if (file->node == NULL || (need_directory && file->node->kind != NODE_DIRECTORY)) {
        result = -ENOTDIR;
    } else {
        path->start = node_get(file->node);
    }
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-FILE-0015~1 */
int64_t path_load(struct path *path, uint64_t directory, uint64_t text, bool allow_empty)
{
    int64_t bytes = load_text(path, text);
    int64_t result = bytes < 0 ? bytes : 0;
    if (bytes == 0 && !allow_empty) {
        result = -ENOENT;
    }
    if (result == 0) {
        bool is_absolute = path->text[0] == '/';
        result = load_start(path, is_absolute ? (uint64_t)AT_FDCWD : directory, bytes != 0);
    }
    if (result < 0) {
        posix_free(path->allocated);
    }
    return result;
}

int64_t path_start_again(struct path *path, uint64_t directory)
{
    node_put(path->start);
    int64_t result = load_start(path, directory, true);
    if (result < 0) {
        posix_free(path->allocated);
    }
    return result;
}

void path_free(struct path *path)
{
    posix_free(path->allocated);
    node_put(path->start);
}
