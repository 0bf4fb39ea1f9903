/* SPDX-License-Identifier: Apache-2.0 */
/* Directories as a program reads them: getdents64, getdents, chdir, fchdir, getcwd. */
#include "descriptor.h"
#include "status.h"
#include "tree.h"
#include <posix/syscalls.h>

#define BUFFER_BYTES_MAX (32ull << 10)
#define DYNAMIC_COOKIE (1ull << 32) /* names that come and go follow the fixed ones */

/* Records on their way to the application. */
struct listing {
    uint8_t *buffer;
    size_t capacity, used;
    uint64_t position; /* where the next call goes on */
    bool is_full;
    bool is_old; /* records of getdents */
};

struct record {
    uint64_t inode, next_position;
    const char *name;
    size_t name_bytes;
    uint8_t type;
};

static void put_record(struct listing *listing, const struct record *record)
{
    size_t name_at = listing->is_old ? DIRENT_OLD_NAME_OFFSET : DIRENT_NAME_OFFSET;
    size_t end_bytes = listing->is_old ? 2 : 1; /* NUL, and the type */
    size_t bytes = (name_at + record->name_bytes + end_bytes + 7) & ~7ull;
    if (listing->is_full || listing->capacity - listing->used < bytes) {
        listing->is_full = true;
        return;
    }
    struct linux_dirent64 head = {record->inode, record->next_position, (uint16_t)bytes,
                                  record->type};
    uint8_t *at = listing->buffer + listing->used;
    __builtin_memset(at, 0, bytes);
    __builtin_memcpy(at, &head, name_at);
    __builtin_memcpy(at + name_at, record->name, record->name_bytes);
    if (listing->is_old) {
        at[bytes - 1] = record->type;
    }
    listing->used += bytes;
    listing->position = record->next_position;
}

static void put_dots(struct listing *listing, const struct posix_node *node)
{
    const struct posix_node *parent =
        node->directory.parent != NULL ? node->directory.parent : node;
    struct record self = {node->number, 1, ".", 1, DT_FROM_MODE(S_IFDIR)};
    struct record above = {parent->number, 2, "..", 2, DT_FROM_MODE(S_IFDIR)};
    if (listing->position < 1) {
        put_record(listing, &self);
    }
    if (listing->position < 2) {
        put_record(listing, &above);
    }
}

static void put_entries(struct listing *listing, const struct directory *directory)
{
    for (const struct entry *entry = directory->first; entry != NULL && !listing->is_full;
         entry = entry->next) {
        if (entry->cookie > listing->position) {
            struct record record = {entry->node->number, entry->cookie, entry->name,
                                    entry->name_bytes, DT_FROM_MODE(entry->node->mode)};
            put_record(listing, &record);
        }
    }
}

static void put_dynamic(struct listing *listing, const struct directory *directory)
{
    uint64_t from = listing->position > DYNAMIC_COOKIE ? listing->position - DYNAMIC_COOKIE : 0;
    int64_t number = directory->next != NULL ? directory->next(from) : -1;
    while (number >= 0 && !listing->is_full) {
        char name[20];
        size_t at = sizeof(name);
        uint64_t rest = (uint64_t)number;
        do {
            name[--at] = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest != 0);
        struct record record = {(uint64_t)number + 1, DYNAMIC_COOKIE + (uint64_t)number + 1,
                                name + at, sizeof(name) - at, DT_FROM_MODE(directory->next_type)};
        put_record(listing, &record);
        number = directory->next((uint64_t)number + 1);
    }
}

static int64_t list(struct posix_file *file, struct listing *listing)
{
    struct posix_node *node = file->node;
    tree_acquire();
    /* A removed directory has no names, not even its own two. */
    int64_t result = node->directory.parent == NULL ? -ENOENT : tree_complete(node);
    if (result == 0) {
        put_dots(listing, node);
        put_entries(listing, &node->directory);
        put_dynamic(listing, &node->directory);
    }
    tree_release();
    return result == 0 && listing->used == 0 && listing->is_full ? -EINVAL : result;
}

static int64_t read_directory(uint64_t descriptor, uint64_t to, uint64_t bytes, bool old)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = -ENOTDIR;
    if (file->node != NULL && file->node->kind == NODE_DIRECTORY) {
        uint64_t room = (uint32_t)bytes;
        struct listing listing = {.capacity = room < BUFFER_BYTES_MAX ? room : BUFFER_BYTES_MAX,
                                  .is_old = old};
        listing.buffer = posix_allocate(listing.capacity);
        posix_lock_acquire(&file->lock);
        listing.position = file->position;
        posix_lock_release(&file->lock);
        result = listing.buffer != NULL ? list(file, &listing) : -ENOMEM;
        if (result == 0) {
            result = posix_copy_out(to, listing.buffer, listing.used);
        }
        if (result == 0) {
            posix_lock_acquire(&file->lock);
            file->position = listing.position;
            posix_lock_release(&file->lock);
            result = (int64_t)listing.used;
        }
        posix_free(listing.buffer);
    }
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-FILE-0024~1 */
int64_t posix_getdents64(uint64_t descriptor, uint64_t to, uint64_t bytes)
{
    return read_directory(descriptor, to, bytes, false);
}

int64_t posix_getdents(uint64_t descriptor, uint64_t to, uint64_t bytes)
{
    return read_directory(descriptor, to, bytes, true);
}

static int64_t change_to(struct posix_node *node)
{
    if (node->kind != NODE_DIRECTORY) {
        node_put(node);
        return -ENOTDIR;
    }
    tree_set_working_directory(node);
    return 0;
}

/* @impl ATL-LLR-FILE-0025~1 */
int64_t posix_chdir(uint64_t text)
{
    struct posix_node *node = NULL;
    int64_t result = status_find((uint64_t)AT_FDCWD, text, 0, &node);
    return result < 0 ? result : change_to(node);
}

int64_t posix_fchdir(uint64_t descriptor)
{
    struct posix_file *file = descriptor_get_any(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = file->node != NULL ? change_to(node_get(file->node)) : -ENOTDIR;
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-FILE-0025~1 */
int64_t posix_getcwd(uint64_t to, uint64_t bytes)
{
    char *text = posix_allocate(POSIX_PATH_BYTES_MAX);
    if (text == NULL) {
        return -ENOMEM;
    }
    struct posix_node *node = tree_working_directory();
    tree_acquire();
    int64_t result = tree_path(node, text, POSIX_PATH_BYTES_MAX);
    tree_release();
    node_put(node);
    if (result == -ERANGE) {
        result = -ENAMETOOLONG;
    }
    if (result >= 0) {
        uint64_t length = (uint64_t)result + 1;
        result = length > bytes ? -ERANGE : posix_copy_out(to, text, length);
        result = result < 0 ? result : (int64_t)length;
    }
    posix_free(text);
    return result;
}
