/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: what names lead to (inodes). Regular files have contents in two layers: pieces in memory
 * over a file of the image; a file of the image that nobody wrote to has no pieces.
 *
 * Locks: tree_lock (tree.h) guards names, directories, link counts and the life of nodes that have
 * names; node->lock guards contents, size, mode, owner and times. tree_lock first. posix_allocate
 * may be called under both: the heap's locks rank above. Application memory is touched under
 * neither. */
#ifndef POSIX_FILE_NODE_H
#define POSIX_FILE_NODE_H

#include "abi.h"
#include <posix/file.h>

#define PIECE_BYTES 4096ull

enum node_kind {
    NODE_FILE,
    NODE_DIRECTORY,
    NODE_LINK,      /* symbolic */
    NODE_DEVICE,    /* operations of its own */
    NODE_SYNTHETIC, /* text made when it is read: /proc, /sys */
    NODE_MAGIC,     /* /proc/self/fd/N: leads to an open file's node */
};

/* Contents of a regular file. */
struct file_data {
    const struct image_file *image; /* what shows through where no piece is, or NULL */
    uint64_t image_bytes;           /* how much of it still shows */
    uint64_t bytes;                 /* the file's size */
    void *root;                     /* radix tree of pieces, height levels of 64 */
    uint32_t height;
    uint64_t piece_count;
    struct file_mapping *mappings; /* shared ones: shared.h */
};

struct entry; /* a name in a directory: tree.h */
struct text;

struct directory {
    struct posix_node *parent;  /* of the root: itself; NULL once removed */
    struct entry *first, *last; /* by ascending cookie */
    struct entry **buckets;     /* hash table of names */
    uint32_t bucket_count, entry_count;
    uint64_t next_cookie;
    const char *image_prefix; /* path in the image with a final '/', owned; NULL: not there */
    bool is_complete;         /* every name of the image is an entry already */
    bool is_sealed;           /* /proc, /sys: names do not change */
    /* Names that come and go by themselves (/proc/self/fd); NULL: none. find returns a referenced
     * node or NULL; next the lowest number >= from, -1: none. */
    struct posix_node *(*find)(const char *name, size_t name_bytes);
    int64_t (*next)(uint64_t from);
    uint32_t next_type; /* S_IFLNK, S_IFDIR or S_IFREG: what next's names are */
    /* Adds the names that are not the image's, at the first look; NULL: done or none. */
    int64_t (*populate)(struct posix_node *directory);
};

struct posix_node {
    _Atomic uint32_t references; /* names, open files, working directory, walks */
    uint32_t kind;
    struct posix_lock lock;
    uint32_t mode, user, group;
    uint32_t seals;                          /* F_SEAL_*: seal.h */
    uint32_t link_count;                     /* tree_lock */
    uint64_t number;                         /* st_ino */
    uint64_t device;                         /* st_dev */
    uint64_t special;                        /* st_rdev */
    int64_t access_ns, modify_ns, change_ns; /* CLOCK_REALTIME */
    struct entry *entry;                     /* one of its names, or NULL; tree_lock */
    struct file_lock *locks;                 /* advisory: record_lock.h */
    union {
        struct file_data data;
        struct directory directory;
        struct {
            char *target; /* owned, NUL-terminated */
            uint64_t target_bytes;
        } link;
        struct {
            const struct posix_file_operations *operations;
            uint64_t stream; /* of the console; every open file gets it as context */
        } device_file;
        struct {
            int64_t (*make)(struct text *text, uint64_t argument);
            uint64_t argument;
            /* What a write means, NUL-terminated; NULL: -EIO. 0 or an error. */
            int64_t (*take)(const char *text, uint64_t argument);
        } synthetic;
        struct {
            struct posix_node *magic_target; /* referenced; NULL: not a node (a socket) */
            uint64_t magic_descriptor;       /* whose file has no node */
        };
    };
};

/* A new node without names, one reference, times now; NULL: no memory. */
struct posix_node *node_create(enum node_kind kind, uint32_t mode);
static inline struct posix_node *node_get(struct posix_node *node)
{
    atomic_fetch_add_explicit(&node->references, 1, memory_order_relaxed);
    return node;
}
void node_put(struct posix_node *node);
int64_t node_now_ns(void);
void node_stat(struct posix_node *node, struct posix_stat *stat);
/* Bytes that a stat shows and lseek counts from. */
uint64_t node_bytes(struct posix_node *node);
/* An open file on the node, with its own references; NULL: no memory. */
struct posix_file *node_open(struct posix_node *node, uint32_t flags);
extern const struct posix_file_operations node_file_operations;

/* Reads or writes at an offset: regular files, synthetic ones and directories (-EISDIR). */
int64_t node_read(struct posix_file *file, struct posix_transfer *to, uint64_t offset);
int64_t node_write(struct posix_node *node, struct posix_transfer *from, uint64_t offset,
                   bool append, uint64_t *end);

/* ---- contents (data.c); node->lock held */
#define DATA_BYTES_MAX ((uint64_t)INT64_MAX)
/* Both sides inside the size; copies what is there, zeros in holes. Bytes read: fewer, or an error,
 * if the next block of the image is damaged (-EIO) or cannot be looked at (-ENOMEM). */
int64_t data_read(const struct file_data *data, void *to, uint64_t offset, size_t bytes);
/* Bytes written (fewer: no memory), or -ENOSPC, or -EIO: the block of the image that would be
 * written to in part is damaged; the size grows as needed. The same two errors below. */
int64_t data_write(struct file_data *data, const void *from, uint64_t offset, size_t bytes);
/* Cuts or extends (with a hole). -ENOSPC */
int64_t data_resize(struct file_data *data, uint64_t bytes);
/* Makes [start, end) read as zeros, freeing whole pieces. */
int64_t data_clear(struct file_data *data, uint64_t start, uint64_t end);
/* Allocates every piece of [start, end). */
int64_t data_fill(struct file_data *data, uint64_t start, uint64_t end);
/* The next offset >= offset with data (or a hole); the size: none before the end. */
uint64_t data_next(const struct file_data *data, uint64_t offset, bool hole);
/* Pieces [first, end) of a file, and the next run of them: first moves on to it; its length, 0:
 * none. shared: of mapped pages; else of all that hold data that is not damaged, inside the file's
 * size. */
struct data_run {
    uint64_t first, end;
};
uint64_t data_next_run(const struct file_data *data, struct data_run *run, bool shared);
/* For shared.c: makes sure that data_share of every piece with data succeeds. -ENOMEM */
int64_t data_prepare_share(struct file_data *data, struct data_run run);
/* Moves a piece into the zeroed page at address, which is the piece from then on. */
void data_share(struct file_data *data, uint64_t index, uint64_t address);
/* Moves a piece from its mapped page into one of posix_page_allocate. */
void data_unshare(struct file_data *data, uint64_t index, void *piece);
void data_free(struct file_data *data);
static inline bool data_is_pristine(const struct file_data *data)
{
    return data->image != NULL && data->piece_count == 0 && data->bytes == data->image->bytes &&
           data->image_bytes == data->image->bytes;
}

/* ---- text of synthetic files (text.c) */
struct text {
    char *bytes;
    size_t used, capacity;
    bool is_full; /* an allocation failed: the content is not complete */
};
void text_append(struct text *text, const char *bytes, size_t count);
void text_string(struct text *text, const char *string);
void text_number(struct text *text, uint64_t value);
void text_hexadecimal(struct text *text, uint64_t value, uint32_t digits);
/* At least digits digits. */
void text_octal(struct text *text, uint64_t value, uint32_t digits);
/* A number right-aligned in width characters. */
void text_number_padded(struct text *text, uint64_t value, uint32_t width);

#endif
