/* SPDX-License-Identifier: Apache-2.0 */
/* Files that go back to the host when the program ends. The image names them in a file that the
 * program cannot see (below /proc, which hides it): paths, each with its NUL. They travel on a
 * stream of the framed console of their own as records, read by tools/atoll/receive.py:
 *
 *     struct record, path below the wanted one (not terminated), content, CRC-32C of the content
 *
 * Content and checksum: files and symbolic links only. The last record is of kind END. */
#include "hand_out.h"
#include "image.h"
#include "synthetic.h"
#include "tree.h"
#include <posix/memory.h>

#define LIST_PATH "/proc/.atoll/out"

enum record_kind {
    RECORD_FILE = 'F',
    RECORD_DIRECTORY = 'D',
    RECORD_LINK = 'L',
    RECORD_ERROR = 'E', /* bytes is the errno */
    RECORD_END = 'Z',
};

/* Little-endian, as the processor. */
struct record {
    uint8_t kind, reserved;
    uint16_t request; /* which of the wanted paths, from 0 */
    uint32_t mode;
    uint64_t bytes; /* of the content */
    int64_t modified_s;
    uint32_t path_bytes;
} __attribute__((packed));
_Static_assert(sizeof(struct record) == 28, "tools/atoll/receive.py");

/* Set aside at start: memory may be used up at the end. */
struct sender {
    uint8_t frame[GATE_CONSOLE_BYTES_MAX];
    uint64_t used;
    uint8_t content[PIECE_BYTES];
    char path[POSIX_PATH_BYTES_MAX];
};
static struct sender *sender; /* NULL: nothing is wanted */

static const struct image_file *list(void)
{
    return posix_image_exact(LIST_PATH);
}

int64_t hand_out_prepare(void)
{
    bool is_framed = (posix_image()->flags & IMAGE_FLAG_FRAMED) != 0;
    if (list() == NULL || !is_framed) {
        return 0;
    }
    if (posix_image_verify(list(), 0, list()->bytes) < 0) {
        return -EIO;
    }
    sender = posix_allocate(sizeof(*sender));
    return sender != NULL ? 0 : -ENOMEM;
}

static void flush(void)
{
    uint64_t done = 0;
    while (done < sender->used) {
        int64_t taken = posix_console(GATE_CONSOLE_WRITE, GATE_CONSOLE_STREAM_FILES,
                                      (uintptr_t)sender->frame + done, sender->used - done);
        if (taken <= 0) {
            break; /* the host misses the end record and says so */
        }
        done += (uint64_t)taken;
    }
    sender->used = 0;
}

static void put(const void *bytes, uint64_t count)
{
    const uint8_t *from = bytes;
    while (count != 0) {
        uint64_t room = sizeof(sender->frame) - sender->used;
        uint64_t part = count < room ? count : room;
        __builtin_memcpy(sender->frame + sender->used, from, part);
        sender->used += part;
        from += part;
        count -= part;
        if (sender->used == sizeof(sender->frame)) {
            flush();
        }
    }
}

/* The content in as many bytes as the record says, whatever others do to the file meanwhile. */
static void put_file(struct posix_node *node, uint64_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (uint64_t at = 0; at < bytes;) {
        uint64_t part = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        __builtin_memset(sender->content, 0, part);
        posix_lock_acquire(&node->lock);
        uint64_t rest = at < node->data.bytes ? node->data.bytes - at : 0;
        (void)data_read(&node->data, sender->content, at, rest < part ? rest : part);
        posix_lock_release(&node->lock);
        crc = image_crc32c_more(crc, sender->content, part);
        put(sender->content, part);
        at += part;
    }
    crc = ~crc;
    put(&crc, sizeof(crc));
}

/* A damaged file of the image is an error, not content. */
static int64_t check(const struct posix_node *node)
{
    bool is_known =
        node->kind == NODE_FILE || node->kind == NODE_DIRECTORY || node->kind == NODE_LINK;
    if (!is_known) {
        return -EINVAL;
    }
    return node->kind == NODE_FILE && node->data.image != NULL
               ? posix_image_verify(node->data.image, 0, node->data.image->bytes)
               : 0;
}

static void put_node(struct posix_node *node, uint16_t request, const char *below)
{
    struct record record = {.kind = RECORD_FILE,
                            .request = request,
                            .mode = node->mode,
                            .modified_s = node->modify_ns / 1000000000,
                            .path_bytes = (uint32_t)__builtin_strlen(below)};
    int64_t error = check(node);
    if (error < 0) {
        record.kind = RECORD_ERROR;
        record.bytes = (uint64_t)-error;
    } else if (node->kind == NODE_DIRECTORY) {
        record.kind = RECORD_DIRECTORY;
    } else if (node->kind == NODE_LINK) {
        record.kind = RECORD_LINK;
        record.bytes = node->link.target_bytes;
    } else {
        record.bytes = node_bytes(node);
    }
    put(&record, sizeof(record));
    put(below, record.path_bytes);
    if (record.kind == RECORD_FILE) {
        put_file(node, record.bytes);
    } else if (record.kind == RECORD_LINK) {
        uint32_t crc =
            ~image_crc32c_more(UINT32_MAX, (const uint8_t *)node->link.target, record.bytes);
        put(node->link.target, record.bytes);
        put(&crc, sizeof(crc));
    }
}

static void put_error(uint16_t request, int64_t error)
{
    struct record record = {.kind = RECORD_ERROR, .request = request, .bytes = (uint64_t)-error};
    put(&record, sizeof(record));
}

/* The path of an entry below the wanted directory, in sender->path. */
static const char *path_below(const struct entry *entry, size_t skip)
{
    int64_t length = tree_path(entry->directory, sender->path, sizeof(sender->path));
    if (length < 0 || (size_t)length + 1 + entry->name_bytes >= sizeof(sender->path)) {
        return NULL;
    }
    size_t end = length > 1 ? (size_t)length : 0; /* of the root only the slash */
    sender->path[end] = '/';
    __builtin_memcpy(sender->path + end + 1, entry->name, entry->name_bytes);
    sender->path[end + 1 + entry->name_bytes] = '\0';
    return sender->path + skip + 1;
}

/* The entry behind one and all that is below it; NULL: the wanted directory ends there. */
static struct entry *entry_behind(struct entry *entry, const struct posix_node *top)
{
    while (entry->next == NULL) {
        if (entry->directory == top) {
            return NULL;
        }
        entry = entry->directory->entry;
    }
    return entry->next;
}

static struct entry *first_entry(struct posix_node *directory, uint16_t request)
{
    if (tree_complete(directory) < 0) {
        put_error(request, -ENOMEM);
    }
    return directory->directory.first;
}

/* Everything below a directory, parents before their children, without recursion. */
static void put_below(struct posix_node *top, uint16_t request)
{
    int64_t length = tree_path(top, sender->path, sizeof(sender->path));
    size_t skip = length > 1 ? (size_t)length : 0;
    struct entry *entry = first_entry(top, request);
    while (entry != NULL) {
        const char *below = path_below(entry, skip);
        if (below == NULL) {
            put_error(request, -ENAMETOOLONG);
        } else {
            put_node(entry->node, request, below);
        }
        struct entry *inner = NULL;
        if (entry->node->kind == NODE_DIRECTORY) {
            inner = first_entry(entry->node, request);
        }
        entry = inner != NULL ? inner : entry_behind(entry, top);
    }
}

static void put_request(const char *path, uint16_t request)
{
    struct walk walk;
    int64_t result = walk_path(&walk, tree_root(), path, WALK_FOLLOW);
    if (result == 0 && walk.node == NULL) {
        result = -ENOENT;
    }
    if (result < 0) {
        put_error(request, result);
    } else {
        put_node(walk.node, request, "");
        if (walk.node->kind == NODE_DIRECTORY) {
            put_below(walk.node, request);
        }
    }
    walk_finish(&walk);
}

/* The tree stays locked: what other threads still do to names waits for ever.
 * @impl ATL-LLR-FILE-0041~1 */
void posix_file_hand_out(void)
{
    static _Atomic uint32_t is_begun;
    devices_finish();
    if (sender == NULL) {
        return;
    }
    while (atomic_exchange(&is_begun, 1) != 0) { /* another thread is at it, and ends the cell */
        (void)gate_park(GATE_NEVER, 0);
    }
    const char *paths = (const char *)posix_image_window(list());
    const char *end = paths != NULL ? paths + list()->bytes : NULL;
    uint16_t request = 0;
    tree_acquire();
    while (paths < end) {
        put_request(paths, request++);
        paths += __builtin_strlen(paths) + 1;
    }
    struct record last = {.kind = RECORD_END, .request = request};
    put(&last, sizeof(last));
    flush();
}
