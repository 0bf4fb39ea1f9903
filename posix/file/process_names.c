/* SPDX-License-Identifier: Apache-2.0 */
/* Names of /proc that come and go: descriptors, threads, and what depends on who asks. */
#include "descriptor.h"
#include "synthetic.h"
#include "tree.h"
#include <posix/thread.h>

#define NUMBER_MAX 9999999u

/* The number that a name says; -1: it says none. */
static int64_t number_of(const char *name, size_t name_bytes)
{
    int64_t number = 0;
    for (size_t i = 0; i < name_bytes; i++) {
        if (name[i] < '0' || name[i] > '9' || number > NUMBER_MAX || (i != 0 && name[0] == '0')) {
            return -1;
        }
        number = number * 10 + (name[i] - '0');
    }
    return name_bytes != 0 ? number : -1;
}

static struct posix_node *make_magic(struct posix_node *target, uint32_t mode)
{
    struct posix_node *node = node_create(NODE_MAGIC, S_IFLNK | mode);
    if (node == NULL) {
        if (target != NULL) {
            node_put(target);
        }
        return NULL;
    }
    node->magic_target = target;
    node->link_count = 1;
    return node;
}

static struct posix_node *find_descriptor(const char *name, size_t name_bytes)
{
    int64_t number = number_of(name, name_bytes);
    struct posix_node *target = NULL;
    if (number < 0 || !descriptor_node((uint64_t)number, &target)) {
        return NULL;
    }
    struct posix_node *node = make_magic(target, 0700);
    if (node != NULL) {
        node->magic_descriptor = (uint64_t)number;
    }
    return node;
}

static struct posix_node *find_information(const char *name, size_t name_bytes)
{
    int64_t number = number_of(name, name_bytes);
    if (number < 0 || descriptor_next((uint64_t)number) != number) {
        return NULL;
    }
    struct posix_node *node = node_create(NODE_SYNTHETIC, S_IFREG | 0400);
    if (node != NULL) {
        node->synthetic.make = text_descriptor;
        node->synthetic.argument = (uint64_t)number;
        node->link_count = 1;
    }
    return node;
}

/* ---- threads */

static bool is_there(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

struct lowest {
    int64_t from, found;
};

static bool note_lowest(struct posix_thread *thread, void *context)
{
    struct lowest *lowest = context;
    if (thread->id >= lowest->from && (lowest->found < 0 || thread->id < lowest->found)) {
        lowest->found = thread->id;
    }
    return false;
}

static int64_t next_thread(uint64_t from)
{
    struct lowest lowest = {(int64_t)from, -1};
    (void)posix_thread_visit_all(note_lowest, &lowest);
    return lowest.found;
}

static struct posix_node *make_thread(uint64_t id)
{
    const struct synthetic_file files[] = {
        {.path = "stat", .mode = 0444, .make = text_process_stat, .argument = id},
        {.path = "status", .mode = 0444, .make = text_process_status, .argument = id},
        {.path = "comm", .mode = 0644, .make = text_command_name, .argument = id},
    };
    struct posix_node *node = node_create(NODE_DIRECTORY, S_IFDIR | 0555);
    if (node == NULL) {
        return NULL;
    }
    tree_make_directory(node, NULL);
    node->directory.parent = tree_root();
    node->directory.is_sealed = true;
    node->link_count = 2;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (synthetic_add(node, &files[i]) < 0) {
            node_put(node);
            return NULL;
        }
    }
    return node;
}

static struct posix_node *find_thread(const char *name, size_t name_bytes)
{
    int64_t id = number_of(name, name_bytes);
    if (id <= 0 || !posix_thread_visit((int32_t)id, is_there, NULL)) {
        return NULL;
    }
    return make_thread((uint64_t)id);
}

/* ---- what depends on who asks */

static bool is_name(const char *name, size_t name_bytes, const char *expected)
{
    return name_bytes == __builtin_strlen(expected) &&
           __builtin_memcmp(name, expected, name_bytes) == 0;
}

static struct posix_node *find_own(const char *name, size_t name_bytes)
{
    if (is_name(name, name_bytes, "cwd")) {
        return make_magic(node_get(tree_working_directory_locked()), 0777);
    }
    return is_name(name, name_bytes, "root") ? make_magic(node_get(tree_root()), 0777) : NULL;
}

static struct posix_node *find_self(const char *name, size_t name_bytes)
{
    if (!is_name(name, name_bytes, "thread-self")) {
        return NULL;
    }
    struct posix_node *node = node_create(NODE_LINK, S_IFLNK | 0777);
    struct text target = {0};
    text_string(&target, "1/task/");
    text_number(&target, (uint64_t)posix_thread_id(posix_self()));
    uint64_t bytes = target.used;
    text_append(&target, "", 1);
    if (node == NULL || target.is_full) {
        posix_free(target.bytes);
        if (node != NULL) {
            node_put(node);
        }
        return NULL;
    }
    node->link.target = target.bytes;
    node->link.target_bytes = bytes;
    node->link_count = 1;
    return node;
}

struct numbered {
    const char *name;
    struct posix_node *(*find)(const char *name, size_t name_bytes);
    int64_t (*next)(uint64_t from);
    uint32_t type;
};

/* @impl ATL-LLR-FILE-0029~1 */
int64_t process_add_names(struct posix_node *mount)
{
    static const struct numbered directories[] = {
        {"fd", find_descriptor, descriptor_next, S_IFLNK},
        {"fdinfo", find_information, descriptor_next, S_IFREG},
        {"task", find_thread, next_thread, S_IFDIR},
    };
    struct posix_node *process = synthetic_directory(mount, "1", 1);
    if (process == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        const char *name = directories[i].name;
        struct posix_node *node = synthetic_directory(process, name, __builtin_strlen(name));
        if (node == NULL) {
            return -ENOMEM;
        }
        node->directory.find = directories[i].find;
        node->directory.next = directories[i].next;
        node->directory.next_type = directories[i].type;
    }
    process->directory.find = find_own;
    mount->directory.find = find_self;
    return 0;
}
