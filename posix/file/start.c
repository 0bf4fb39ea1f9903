/* SPDX-License-Identifier: Apache-2.0 */
/* What is there before the program starts: the tree, standard streams, working directory. */
#include "console.h"
#include "hand_out.h"
#include "image.h"
#include "synthetic.h"
#include "terminal.h"
#include "tree.h"
#include <posix/memory.h>

/* A directory of the root that must exist. tree_lock held; borrowed. */
static struct posix_node *need_directory(const char *name, uint32_t mode)
{
    int64_t error = 0;
    size_t bytes = __builtin_strlen(name);
    struct entry *entry = tree_find(tree_root(), name, bytes, &error);
    if (entry != NULL) {
        return entry->node->kind == NODE_DIRECTORY ? entry->node : NULL;
    }
    struct posix_node *node = node_create(NODE_DIRECTORY, S_IFDIR | mode);
    if (node == NULL) {
        return NULL;
    }
    tree_make_directory(node, tree_root());
    int64_t result = tree_add(tree_root(), name, bytes, node);
    node_put(node); /* the entry holds it */
    return result == 0 ? node : NULL;
}

/* /proc and /sys hide what the image may have there; /dev only adds to it. */
static bool mount(const char *name, uint32_t minor, int64_t (*populate)(struct posix_node *))
{
    bool is_sealed = populate != devices_populate;
    struct posix_node *node = need_directory(name, is_sealed ? 0555 : 0755);
    if (node == NULL) {
        return false;
    }
    node->directory.populate = populate;
    node->directory.is_sealed = is_sealed;
    node->device = DEVICE_NUMBER(0, minor);
    if (is_sealed) {
        node->directory.is_complete = true;
    }
    return true;
}

/* The node of a standard stream, referenced: /dev/console, by which ttyname finds it, or a pipe. */
static struct posix_node *stream_node(uint64_t stream)
{
    if (!posix_terminal_has_stream(stream)) {
        return console_node(stream);
    }
    struct walk walk;
    struct posix_node *node = NULL;
    tree_acquire();
    if (walk_path(&walk, tree_root(), "/dev/console", 0) == 0 && walk.node != NULL &&
        walk.node->kind == NODE_DEVICE) {
        node = node_get(walk.node);
    }
    walk_finish(&walk);
    tree_release();
    return node;
}

static bool open_stream(uint64_t stream)
{
    bool is_pipe = !posix_terminal_has_stream(stream);
    uint32_t access = !is_pipe ? POSIX_O_RDWR : stream == 0 ? POSIX_O_RDONLY : POSIX_O_WRONLY;
    struct posix_node *node = stream_node(stream);
    struct posix_file *file = node != NULL ? node_open(node, access | POSIX_O_LARGEFILE) : NULL;
    if (file == NULL) {
        return false;
    }
    node_put(node); /* the open file holds it */
    if (!is_pipe && stream == 2) {
        file->context = (void *)(uintptr_t)stream;
    }
    return posix_descriptor_install(file, false, stream) == (int64_t)stream;
}

/* Where the manifest says; the root if it is not there. */
static void enter_working_directory(void)
{
    const char *path = posix_image_string(posix_image()->working_directory_offset);
    struct walk walk;
    struct posix_node *node = NULL;
    tree_acquire();
    if (walk_path(&walk, tree_root(), path, WALK_FOLLOW) == 0 && walk.node != NULL &&
        walk.node->kind == NODE_DIRECTORY) {
        node = node_get(walk.node);
    }
    walk_finish(&walk);
    tree_release();
    if (node != NULL) {
        tree_set_working_directory(node);
    } else if (path[0] != '\0') {
        posix_report("the working directory %s is not in the image", path);
    }
}

/* @impl ATL-LLR-FILE-0032~2 */
void posix_file_initialize(void)
{
    bool is_good = image_initialize() == 0 && tree_initialize() == 0 && terminal_initialize() == 0;
    tree_acquire();
    is_good = is_good && mount("proc", 3, process_populate) && mount("sys", 4, system_populate) &&
              mount("dev", 5, devices_populate) && need_directory("tmp", S_ISVTX | 0777) != NULL;
    tree_release();
    for (uint64_t stream = 0; is_good && stream < 3; stream++) {
        is_good = open_stream(stream);
    }
    is_good = is_good && hand_out_prepare() == 0;
    if (!is_good) {
        posix_panic("no memory for the file system");
    }
    enter_working_directory();
}
