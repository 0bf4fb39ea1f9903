/* SPDX-License-Identifier: Apache-2.0 */
/* Directories and their entries: see tree.h. */
#include "tree.h"
#include "image.h"
#include <posix/memory.h>

#define BUCKETS_START 8u
#define COOKIE_FIRST 3u /* 1 and 2 are . and .. */

static struct posix_lock tree_lock;
static struct posix_node *root;
static struct posix_node *working_directory; /* guarded by tree_lock; NULL: the root */

void tree_acquire(void)
{
    posix_lock_acquire(&tree_lock);
}

void tree_release(void)
{
    posix_lock_release(&tree_lock);
}

struct posix_node *tree_root(void)
{
    return root;
}

static uint32_t hash_name(const char *name, size_t bytes)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ (uint8_t)name[i]) * 16777619u;
    }
    return hash;
}

static struct entry *find_entry(const struct directory *directory, const char *name,
                                size_t name_bytes)
{
    if (directory->bucket_count == 0) {
        return NULL;
    }
    uint32_t hash = hash_name(name, name_bytes);
    struct entry *entry = directory->buckets[hash % directory->bucket_count];
    while (entry != NULL && (entry->hash != hash || entry->name_bytes != name_bytes ||
                             __builtin_memcmp(entry->name, name, name_bytes) != 0)) {
        entry = entry->chain;
    }
    return entry;
}

static int64_t grow_buckets(struct directory *directory)
{
    if (directory->entry_count < directory->bucket_count) {
        return 0;
    }
    uint32_t count = directory->bucket_count != 0 ? 2 * directory->bucket_count : BUCKETS_START;
    struct entry **buckets = posix_allocate(count * sizeof(struct entry *));
    if (buckets == NULL) {
        return -ENOMEM;
    }
    for (struct entry *entry = directory->first; entry != NULL; entry = entry->next) {
        entry->chain = buckets[entry->hash % count];
        buckets[entry->hash % count] = entry;
    }
    posix_free(directory->buckets);
    directory->buckets = buckets;
    directory->bucket_count = count;
    return 0;
}

static void link_entry(struct directory *directory, struct entry *entry)
{
    entry->cookie = directory->next_cookie++;
    entry->previous = directory->last;
    if (directory->last != NULL) {
        directory->last->next = entry;
    } else {
        directory->first = entry;
    }
    directory->last = entry;
    entry->chain = directory->buckets[entry->hash % directory->bucket_count];
    directory->buckets[entry->hash % directory->bucket_count] = entry;
    directory->entry_count++;
}

/* @impl ATL-LLR-FILE-0014~1 */
int64_t tree_add(struct posix_node *directory, const char *name, size_t name_bytes,
                 struct posix_node *node)
{
    struct entry *entry = posix_allocate(sizeof(*entry) + name_bytes);
    if (entry == NULL || grow_buckets(&directory->directory) < 0) {
        posix_free(entry);
        return -ENOMEM;
    }
    __builtin_memcpy(entry->name, name, name_bytes);
    entry->name_bytes = (uint32_t)name_bytes;
    entry->hash = hash_name(name, name_bytes);
    entry->node = node_get(node);
    entry->directory = directory;
    link_entry(&directory->directory, entry);
    node->entry = entry;
    node->link_count++;
    if (node->kind == NODE_DIRECTORY) {
        node->directory.parent = directory;
        directory->link_count++;
    }
    return 0;
}

static void unlink_entry(struct directory *directory, struct entry *entry)
{
    struct entry **place = &directory->buckets[entry->hash % directory->bucket_count];
    while (*place != entry) {
        place = &(*place)->chain;
    }
    *place = entry->chain;
    if (entry->previous != NULL) {
        entry->previous->next = entry->next;
    } else {
        directory->first = entry->next;
    }
    if (entry->next != NULL) {
        entry->next->previous = entry->previous;
    } else {
        directory->last = entry->previous;
    }
    directory->entry_count--;
}

void tree_remove(struct entry *entry)
{
    struct posix_node *node = entry->node;
    struct posix_node *directory = entry->directory;
    unlink_entry(&directory->directory, entry);
    node->link_count--;
    if (node->kind == NODE_DIRECTORY) {
        directory->link_count--;
        node->directory.parent = NULL;
    }
    if (node->entry == entry) {
        node->entry = NULL;
    }
    posix_free(entry);
    node_put(node);
}

void tree_make_directory(struct posix_node *node, struct posix_node *parent)
{
    node->directory.parent = parent;
    node->directory.next_cookie = COOKIE_FIRST;
    node->directory.is_complete = true;
    node->link_count = 1; /* its own "."; every name adds one, so does every directory in it */
}

/* A node for a file of the image; directories also for paths that only have files below them. */
static struct posix_node *image_node(const struct image_file *file)
{
    uint32_t type = file->mode & S_IFMT;
    enum node_kind kind = type == S_IFDIR   ? NODE_DIRECTORY
                          : type == S_IFLNK ? NODE_LINK
                                            : NODE_FILE;
    struct posix_node *node = node_create(kind, file->mode);
    if (node == NULL) {
        return NULL;
    }
    node->number = image_file_index(file) + IMAGE_FIRST_NUMBER;
    node->user = file->user;
    node->group = file->group;
    node->modify_ns = file->modified_s * 1000000000;
    node->access_ns = node->modify_ns;
    node->change_ns = node->modify_ns;
    if (kind == NODE_FILE) {
        node->data.image = file;
        node->data.image_bytes = file->bytes;
        node->data.bytes = file->bytes;
    } else if (kind == NODE_LINK) {
        const uint8_t *window = posix_image_window(file);
        node->link.target = window != NULL ? posix_allocate(file->bytes + 1) : NULL;
        if (node->link.target == NULL) {
            node_put(node);
            return NULL;
        }
        __builtin_memcpy(node->link.target, window, file->bytes);
        node->link.target_bytes = file->bytes;
    }
    return node;
}

/* The path of a name in an image directory with room for a final '/', NUL-terminated; to be freed.
 */
static char *join(const struct directory *directory, const char *name, size_t name_bytes,
                  size_t *path_bytes)
{
    size_t prefix_bytes = __builtin_strlen(directory->image_prefix);
    char *path = posix_allocate(prefix_bytes + name_bytes + 2);
    if (path != NULL) {
        __builtin_memcpy(path, directory->image_prefix, prefix_bytes);
        __builtin_memcpy(path + prefix_bytes, name, name_bytes);
        *path_bytes = prefix_bytes + name_bytes;
    }
    return path;
}

static bool starts_with(const char *text, const char *prefix)
{
    while (*prefix != '\0' && *text == *prefix) {
        text++;
        prefix++;
    }
    return *prefix == '\0';
}

static bool has_files_below(const char *prefix)
{
    const struct image_file *file = image_file_at(image_lower_bound(prefix));
    return file != NULL && starts_with(posix_image_string(file->path_offset), prefix);
}

/* Makes the node of a name of the image, if there is one. path is name's, with room for a '/' ;
 * owned by the node afterwards if it is a directory (then *path is NULL). */
static struct posix_node *make_image_node(char **path, size_t path_bytes, int64_t *error)
{
    const struct image_file *file = posix_image_exact(*path);
    (*path)[path_bytes] = '/';
    (*path)[path_bytes + 1] = '\0';
    bool is_directory = file == NULL || (file->mode & S_IFMT) == S_IFDIR;
    if (file == NULL && !has_files_below(*path)) {
        *error = -ENOENT;
        return NULL;
    }
    struct posix_node *node =
        file != NULL ? image_node(file) : node_create(NODE_DIRECTORY, S_IFDIR | 0755);
    if (node == NULL) {
        *error = -ENOMEM;
        return NULL;
    }
    if (is_directory) {
        tree_make_directory(node, NULL);
        node->directory.image_prefix = *path;
        node->directory.is_complete = false;
        *path = NULL;
    }
    return node;
}

/* Brings one name of the image into the tree. -ENOENT: the image does not have it. */
static int64_t bring_in(struct posix_node *directory, const char *name, size_t name_bytes)
{
    size_t path_bytes = 0;
    char *path = join(&directory->directory, name, name_bytes, &path_bytes);
    if (path == NULL) {
        return -ENOMEM;
    }
    int64_t result = 0;
    struct posix_node *node = make_image_node(&path, path_bytes, &result);
    posix_free(path);
    if (node != NULL) {
        result = tree_add(directory, name, name_bytes, node);
        node_put(node);
    }
    return result;
}

/* The names that posix/ adds to a directory, when somebody looks for the first time. */
static int64_t populate(struct posix_node *node)
{
    int64_t (*add)(struct posix_node *) = node->directory.populate;
    if (add == NULL) {
        return 0;
    }
    node->directory.populate = NULL; /* it looks names up itself */
    int64_t result = add(node);
    if (result < 0) {
        node->directory.populate = add;
    }
    return result;
}

/* @impl ATL-LLR-FILE-0014~1 */
struct entry *tree_find(struct posix_node *node, const char *name, size_t name_bytes,
                        int64_t *error)
{
    struct directory *directory = &node->directory;
    *error = populate(node);
    if (*error < 0) {
        return NULL;
    }
    struct entry *entry = find_entry(directory, name, name_bytes);
    if (entry == NULL && !directory->is_complete) {
        int64_t result = bring_in(node, name, name_bytes);
        if (result == 0) {
            entry = directory->last;
        }
        *error = result == -ENOENT ? 0 : result;
    }
    return entry;
}

int64_t tree_complete(struct posix_node *node)
{
    struct directory *directory = &node->directory;
    int64_t populated = populate(node);
    if (populated < 0 || directory->is_complete) {
        return populated;
    }
    const char *prefix = directory->image_prefix;
    size_t prefix_bytes = __builtin_strlen(prefix);
    uint32_t index = image_lower_bound(prefix);
    for (const struct image_file *file = image_file_at(index); file != NULL;
         file = image_file_at(++index)) {
        const char *path = posix_image_string(file->path_offset);
        if (!starts_with(path, prefix)) {
            break;
        }
        const char *name = path + prefix_bytes;
        size_t name_bytes = 0;
        while (name[name_bytes] != '\0' && name[name_bytes] != '/') {
            name_bytes++;
        }
        if (name_bytes != 0 && find_entry(directory, name, name_bytes) == NULL) {
            int64_t result = bring_in(node, name, name_bytes);
            if (result < 0 && result != -ENOENT) {
                return result;
            }
        }
    }
    directory->is_complete = true;
    return 0;
}

int64_t tree_initialize(void)
{
    root = node_create(NODE_DIRECTORY, S_IFDIR | 0755);
    char *prefix = posix_allocate(2);
    if (root == NULL || prefix == NULL) {
        return -ENOMEM;
    }
    tree_make_directory(root, root);
    prefix[0] = '/';
    root->directory.image_prefix = prefix;
    root->directory.is_complete = false;
    root->number = 1;
    root->link_count = 2; /* "." and "..": both itself */
    return 0;
}

bool tree_is_above(const struct posix_node *ancestor, const struct posix_node *node)
{
    while (node != NULL && node != ancestor && node != root) {
        node = node->directory.parent;
    }
    return node == ancestor;
}

int64_t tree_path(const struct posix_node *node, char *buffer, size_t bytes)
{
    size_t at = bytes;
    if (bytes < 2) {
        return -ERANGE;
    }
    buffer[--at] = '\0';
    if (node == root) {
        buffer[--at] = '/';
    }
    while (node != root) {
        const struct entry *entry = node->entry;
        if (entry == NULL) {
            return -ENOENT;
        }
        if (at < entry->name_bytes + 1u) {
            return -ERANGE;
        }
        at -= entry->name_bytes;
        __builtin_memcpy(buffer + at, entry->name, entry->name_bytes);
        buffer[--at] = '/';
        node = entry->directory;
    }
    size_t length = bytes - at - 1;
    __builtin_memmove(buffer, buffer + at, length + 1);
    return (int64_t)length;
}

struct posix_node *tree_working_directory_locked(void)
{
    return working_directory != NULL ? working_directory : root;
}

struct posix_node *tree_working_directory(void)
{
    tree_acquire();
    struct posix_node *node = node_get(tree_working_directory_locked());
    tree_release();
    return node;
}

void tree_set_working_directory(struct posix_node *directory)
{
    tree_acquire();
    struct posix_node *old = working_directory;
    working_directory = directory;
    tree_release();
    if (old != NULL) {
        node_put(old);
    }
}
