/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: life, stat, and reading and writing through an open file. */
#include "node.h"
#include "image.h"
#include "seal.h"
#include "size_limit.h"
#include "tree.h"
#include <posix/event.h>
#include <posix/load.h>
#include <posix/time.h>

#define STACK_CHUNK_BYTES 1024u
#define HEAP_CHUNK_BYTES (32ull << 10) /* a class of the heap with its header */
#define NUMBER_FIRST (IMAGE_FILES_MAX + 16ull)

static _Atomic uint64_t next_number;

int64_t node_now_ns(void)
{
    return (int64_t)(posix_wall_base_ns + posix_now_ns());
}

/* @impl ATL-LLR-FILE-0033~1 */
struct posix_node *node_create(enum node_kind kind, uint32_t mode)
{
    struct posix_node *node = posix_allocate(sizeof(*node));
    if (node != NULL) {
        node->references = 1;
        node->kind = kind;
        node->seals = F_SEAL_SEAL;
        node->mode = mode;
        node->device = DEVICE_NUMBER(0, 2);
        node->number = NUMBER_FIRST + atomic_fetch_add(&next_number, 1);
        node->access_ns = node_now_ns();
        node->modify_ns = node->access_ns;
        node->change_ns = node->access_ns;
    }
    return node;
}

/* A directory that came and went (/proc/self/task/N) still has its fixed names; others are empty.
 */
static void drop_entries(struct directory *directory)
{
    while (directory->first != NULL) {
        struct entry *entry = directory->first;
        directory->first = entry->next;
        entry->node->entry = NULL;
        node_put(entry->node);
        posix_free(entry);
    }
}

void node_put(struct posix_node *node)
{
    if (atomic_fetch_sub_explicit(&node->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    switch ((enum node_kind)node->kind) {
    case NODE_FILE:
        data_free(&node->data);
        break;
    case NODE_DIRECTORY:
        drop_entries(&node->directory);
        posix_free(node->directory.buckets);
        posix_free((void *)(uintptr_t)node->directory.image_prefix);
        break;
    case NODE_LINK:
        posix_free(node->link.target);
        break;
    case NODE_MAGIC:
        if (node->magic_target != NULL) {
            node_put(node->magic_target);
        }
        break;
    case NODE_DEVICE:
        if (node->device_file.operations == &pipe_operations) {
            posix_pipe_free_named((void *)node->device_file.stream); // NOLINT: its context
        }
        break;
    case NODE_SYNTHETIC:
        break;
    }
    posix_free(node);
}

void posix_file_stat_node(struct posix_file *file, struct posix_stat *stat)
{
    node_stat(file->node, stat);
}

void posix_file_release_node(struct posix_file *file)
{
    node_put(file->node);
}

/* Locked. */
static uint64_t bytes_locked(const struct posix_node *node)
{
    switch ((enum node_kind)node->kind) {
    case NODE_FILE:
        return node->data.bytes;
    case NODE_LINK:
        return node->link.target_bytes;
    case NODE_DIRECTORY:
        return 4096;
    case NODE_MAGIC:
        return 64; /* as Linux shows links of /proc/self/fd */
    default:
        return 0;
    }
}

uint64_t node_bytes(struct posix_node *node)
{
    posix_lock_acquire(&node->lock);
    uint64_t bytes = bytes_locked(node);
    posix_lock_release(&node->lock);
    return bytes;
}

static int64_t blocks_of(const struct posix_node *node)
{
    if (node->kind != NODE_FILE) {
        return 0;
    }
    uint64_t shown = (node->data.image_bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    uint64_t pieces = node->data.piece_count;
    uint64_t whole = (node->data.bytes + PIECE_BYTES - 1) / PIECE_BYTES;
    uint64_t held = shown > pieces ? shown : pieces;
    held = node->data.image == NULL || held < whole ? held : whole;
    return (int64_t)(held * (PIECE_BYTES / 512));
}

static void split_ns(int64_t ns, int64_t *s, int64_t *rest)
{
    int64_t seconds = ns / 1000000000;
    int64_t remainder = ns % 1000000000;
    if (remainder < 0) {
        seconds--;
        remainder += 1000000000;
    }
    *s = seconds;
    *rest = remainder;
}

/* @impl ATL-LLR-FILE-0008~1 */
void node_stat(struct posix_node *node, struct posix_stat *stat)
{
    if (node->kind == NODE_DIRECTORY) {
        /* Its link count tells how many directories are in it. */
        tree_acquire();
        (void)tree_complete(node);
        tree_release();
    }
    posix_lock_acquire(&node->lock);
    *stat = (struct posix_stat){
        .device = node->device,
        .inode = node->number,
        .link_count = node->link_count,
        .mode = node->mode,
        .user = node->user,
        .group = node->group,
        .special_device = node->special,
        .bytes = (int64_t)bytes_locked(node),
        .block_bytes = node->kind == NODE_DEVICE || node->kind == NODE_SYNTHETIC ? 1024 : 4096,
        .blocks = blocks_of(node),
    };
    split_ns(node->access_ns, &stat->access_s, &stat->access_ns);
    split_ns(node->modify_ns, &stat->modify_s, &stat->modify_ns);
    split_ns(node->change_ns, &stat->change_s, &stat->change_ns);
    posix_lock_release(&node->lock);
}

/* Where bytes on their way between the application and a locked node wait. */
struct bounce {
    uint8_t *bytes;
    size_t capacity;
    void *allocated; /* to free, or NULL */
};

static struct bounce make_bounce(uint8_t *stack, uint64_t wanted)
{
    if (wanted > STACK_CHUNK_BYTES) {
        uint8_t *memory =
            posix_allocate_buffer(wanted < HEAP_CHUNK_BYTES ? wanted : HEAP_CHUNK_BYTES);
        if (memory != NULL) {
            return (struct bounce){memory, wanted < HEAP_CHUNK_BYTES ? wanted : HEAP_CHUNK_BYTES,
                                   memory};
        }
    }
    return (struct bounce){stack, STACK_CHUNK_BYTES, NULL};
}

/* Content that nobody changed goes straight from the image to the application. */
static int64_t read_window(const struct image_file *image, struct posix_transfer *to,
                           uint64_t offset)
{
    int64_t error = 0;
    uint64_t rest = image->bytes - offset;
    uint64_t bytes = rest < to->remaining ? rest : to->remaining;
    bytes = posix_image_run(image, offset, bytes, &error);
    return error < 0 ? error : posix_transfer_out(to, posix_image_window(image) + offset, bytes);
}

static int64_t read_pieces(struct posix_node *node, struct posix_transfer *to, uint64_t offset)
{
    uint8_t stack[STACK_CHUNK_BYTES];
    struct bounce bounce = make_bounce(stack, to->remaining);
    int64_t done = 0;
    while (to->remaining != 0) {
        size_t part = to->remaining < bounce.capacity ? to->remaining : bounce.capacity;
        posix_lock_acquire(&node->lock);
        uint64_t bytes = node->data.bytes;
        uint64_t rest = offset < bytes ? bytes - offset : 0;
        part = rest < part ? rest : part;
        int64_t result = data_read(&node->data, bounce.bytes, offset, part);
        posix_lock_release(&node->lock);
        part = result > 0 ? (size_t)result : 0;
        result = part != 0 ? posix_transfer_out(to, bounce.bytes, part) : result;
        if (result <= 0) {
            done = done != 0 ? done : result;
            break;
        }
        done += result;
        offset += (uint64_t)result;
        if ((size_t)result < part) {
            break;
        }
    }
    posix_free(bounce.allocated);
    return done;
}

static int64_t read_file(struct posix_node *node, struct posix_transfer *to, uint64_t offset)
{
    posix_lock_acquire(&node->lock);
    uint64_t bytes = node->data.bytes;
    const struct image_file *pristine = data_is_pristine(&node->data) ? node->data.image : NULL;
    posix_lock_release(&node->lock);
    if (offset >= bytes || to->remaining == 0) {
        return 0;
    }
    return pristine != NULL ? read_window(pristine, to, offset) : read_pieces(node, to, offset);
}

/* The text is made at the first read and again when a read starts at 0. */
static int64_t read_synthetic(struct posix_file *file, struct posix_transfer *to, uint64_t offset)
{
    struct text fresh = {0};
    posix_lock_acquire(&file->lock);
    struct text *text = file->context;
    bool is_needed = text->bytes == NULL || offset == 0;
    posix_lock_release(&file->lock);
    if (is_needed) {
        int64_t result = file->node->synthetic.make(&fresh, file->node->synthetic.argument);
        if (result < 0 || fresh.is_full) {
            posix_free(fresh.bytes);
            return result < 0 ? result : -ENOMEM;
        }
    }
    uint8_t stack[STACK_CHUNK_BYTES];
    int64_t done = 0;
    posix_lock_acquire(&file->lock);
    struct text old = {0};
    if (is_needed) {
        old = *text;
        *text = fresh;
    }
    posix_lock_release(&file->lock);
    posix_free(old.bytes);
    while (to->remaining != 0) {
        size_t part = to->remaining < sizeof(stack) ? to->remaining : sizeof(stack);
        posix_lock_acquire(&file->lock);
        size_t rest = offset < text->used ? text->used - offset : 0;
        part = rest < part ? rest : part;
        if (part != 0) {
            __builtin_memcpy(stack, text->bytes + offset, part);
        }
        posix_lock_release(&file->lock);
        int64_t result = part != 0 ? posix_transfer_out(to, stack, part) : 0;
        if (result <= 0) {
            return done != 0 ? done : result;
        }
        done += result;
        offset += (uint64_t)result;
    }
    return done;
}

int64_t node_read(struct posix_file *file, struct posix_transfer *to, uint64_t offset)
{
    switch ((enum node_kind)file->node->kind) {
    case NODE_FILE:
        return read_file(file->node, to, offset);
    case NODE_SYNTHETIC:
        return read_synthetic(file, to, offset);
    case NODE_DIRECTORY:
        return -EISDIR;
    default:
        return -EINVAL;
    }
}

/* Where a write starts, and how far the file reaches while it runs: the whole range is claimed at
 * once, so that two appends never land on each other. */
struct claim {
    uint64_t start, end;
    uint64_t bytes_before;
    bool is_claimed;
    bool is_beyond_limit; /* RLIMIT_FSIZE */
};

static int64_t claim_range(struct posix_node *node, struct claim *claim, uint64_t bytes,
                           bool append)
{
    if (append) {
        claim->start = node->data.bytes;
    }
    uint64_t allowed = size_allowed(claim->start, bytes);
    claim->is_beyond_limit = allowed == 0;
    if (claim->is_beyond_limit) {
        return -EFBIG;
    }
    bytes = allowed;
    if (claim->start > DATA_BYTES_MAX || bytes > DATA_BYTES_MAX - claim->start) {
        return -EFBIG;
    }
    if (seal_check_write(node, claim->start + bytes) < 0) {
        return -EPERM;
    }
    claim->end = claim->start + bytes;
    claim->bytes_before = node->data.bytes;
    if (claim->end > node->data.bytes) {
        (void)data_resize(&node->data, claim->end);
    }
    claim->is_claimed = true;
    return 0;
}

/* Gives back what was claimed behind the last byte written, unless another writer is behind it. */
static void give_back(struct posix_node *node, const struct claim *claim, uint64_t written_end)
{
    if (claim->is_claimed && node->data.bytes == claim->end && written_end < claim->end) {
        uint64_t bytes = written_end > claim->bytes_before ? written_end : claim->bytes_before;
        (void)data_resize(&node->data, bytes);
    }
}

/* @impl ATL-LLR-FILE-0009~1 */
int64_t node_write(struct posix_node *node, struct posix_transfer *from, uint64_t offset,
                   bool append, uint64_t *end)
{
    uint8_t stack[STACK_CHUNK_BYTES];
    struct claim claim = {.start = offset};
    uint64_t wanted = from->remaining;
    struct bounce bounce = make_bounce(stack, wanted);
    uint64_t done = 0;
    int64_t result = 0;
    while (done < wanted) {
        size_t part = wanted - done < bounce.capacity ? wanted - done : bounce.capacity;
        int64_t got = posix_transfer_in(from, bounce.bytes, part);
        if (got <= 0) {
            result = got;
            break;
        }
        posix_lock_acquire(&node->lock);
        result = claim.is_claimed ? 0 : claim_range(node, &claim, wanted, append);
        if (result == 0) {
            uint64_t rest = claim.end - claim.start - done;
            size_t count = rest < (uint64_t)got ? rest : (size_t)got;
            result = data_write(&node->data, bounce.bytes, claim.start + done, count);
        }
        node->modify_ns = node_now_ns();
        node->change_ns = node->modify_ns;
        posix_lock_release(&node->lock);
        if (result < 0) {
            break;
        }
        done += (uint64_t)result;
        if (result < got || (size_t)got < part) {
            break;
        }
    }
    posix_free(bounce.allocated);
    posix_lock_acquire(&node->lock);
    give_back(node, &claim, claim.start + done);
    posix_lock_release(&node->lock);
    *end = claim.start + done;
    if (claim.is_beyond_limit) {
        return size_refuse();
    }
    return done != 0 ? (int64_t)done : (result < 0 ? result : 0);
}

static int64_t file_stat(struct posix_file *file, struct posix_stat *stat)
{
    node_stat(file->node, stat);
    return 0;
}

static int64_t file_ioctl(struct posix_file *file, uint64_t request, uint64_t argument)
{
    if (request != FIONREAD || file->node->kind != NODE_FILE) {
        return -ENOTTY;
    }
    posix_lock_acquire(&file->lock);
    uint64_t position = file->position;
    posix_lock_release(&file->lock);
    int32_t rest = (int32_t)(node_bytes(file->node) - position);
    return posix_copy_out(argument, &rest, sizeof(rest));
}

static void file_release(struct posix_file *file)
{
    if (file->node->kind == NODE_SYNTHETIC && file->context != NULL) {
        posix_free(((struct text *)file->context)->bytes);
        posix_free(file->context);
    }
    node_put(file->node);
}

const struct posix_file_operations node_file_operations = {
    .stat = file_stat,
    .ioctl = file_ioctl,
    .control = seal_control,
    .release = file_release,
    .is_seekable = true,
};

struct posix_file *node_open(struct posix_node *node, uint32_t flags)
{
    void *context = NULL;
    bool is_path = (flags & POSIX_O_PATH) != 0;
    if (node->kind == NODE_SYNTHETIC && !is_path) {
        context = posix_allocate(sizeof(struct text));
        if (context == NULL) {
            return NULL;
        }
    }
    if (node->kind == NODE_DEVICE && !is_path) {
        context = (void *)(uintptr_t)node->device_file.stream;
    }
    const struct posix_file_operations *operations = node->kind == NODE_DEVICE && !is_path
                                                         ? node->device_file.operations
                                                         : &node_file_operations;
    struct posix_file *file = posix_file_create(operations, flags, context);
    if (file == NULL) {
        if (node->kind == NODE_SYNTHETIC) {
            posix_free(context);
        }
        return NULL;
    }
    file->node = node_get(node);
    return file;
}
