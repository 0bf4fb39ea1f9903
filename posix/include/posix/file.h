/* SPDX-License-Identifier: Apache-2.0 */
/* Open files as the other parts of posix/ see them: a descriptor names an open file (what POSIX
 * calls an open file description); an open file has operations. Sockets, pipes, epoll instances are
 * other parts' operations on the same table.
 *
 * Locks: operations are called with no lock held and with a reference on the file, so close() by
 * another thread never frees a file that is in use.
 * Error policy: Linux errno, negated. */
#ifndef POSIX_FILE_H
#define POSIX_FILE_H

#include <kernel/image.h>
#include <posix/posix.h>

/* open flags, x86-64 */
#define POSIX_O_ACCESS 3u
#define POSIX_O_RDONLY 0u
#define POSIX_O_WRONLY 1u
#define POSIX_O_RDWR 2u
#define POSIX_O_CREAT 0x40u
#define POSIX_O_EXCL 0x80u
#define POSIX_O_NOCTTY 0x100u
#define POSIX_O_TRUNC 0x200u
#define POSIX_O_APPEND 0x400u
#define POSIX_O_NONBLOCK 0x800u
#define POSIX_O_DSYNC 0x1000u
#define POSIX_O_ASYNC 0x2000u
#define POSIX_O_DIRECT 0x4000u
#define POSIX_O_LARGEFILE 0x8000u
#define POSIX_O_DIRECTORY 0x10000u
#define POSIX_O_NOFOLLOW 0x20000u
#define POSIX_O_NOATIME 0x40000u
#define POSIX_O_CLOEXEC 0x80000u
#define POSIX_O_SYNC 0x101000u
#define POSIX_O_PATH 0x200000u
#define POSIX_O_TMPFILE 0x410000u

#define POSIX_PATH_BYTES_MAX 4096u /* with NUL */
#define POSIX_NAME_BYTES_MAX 255u
#define POSIX_FILE_LIMIT_SOFT 1024u
#define POSIX_FILE_LIMIT_HARD 1048576u /* Linux's fs.nr_open */

/* struct stat of the x86-64 ABI */
struct posix_stat {
    uint64_t device, inode, link_count;
    uint32_t mode, user, group, padding;
    uint64_t special_device;
    int64_t bytes, block_bytes, blocks;
    int64_t access_s, access_ns, modify_s, modify_ns, change_s, change_ns;
    int64_t unused[3];
};
_Static_assert(sizeof(struct posix_stat) == 144, "Linux ABI");

struct posix_vector {
    uint64_t address, bytes;
};

/* The application's buffers of one call, consumed from the front. */
struct posix_transfer {
    const struct posix_vector *vectors; /* the current one, in posix memory */
    uint32_t count;                     /* vectors left, the current one included */
    uint64_t skip;                      /* bytes of the current one that are done */
    uint64_t remaining;                 /* bytes in all that are left */
};

/* Copy at most bytes between a buffer of posix/ and the front of the transfer, which moves on.
 * Returns the bytes moved (fewer only after a fault), or -EFAULT if none. No lock held. */
int64_t posix_transfer_in(struct posix_transfer *transfer, void *to, size_t bytes);
int64_t posix_transfer_out(struct posix_transfer *transfer, const void *from, size_t bytes);
/* The same with zeros. */
int64_t posix_transfer_zero(struct posix_transfer *transfer, size_t bytes);
/* The longest contiguous front part of the application's buffers; empty vectors are passed over. */
struct posix_vector posix_transfer_front(struct posix_transfer *transfer);
/* Moves on by bytes <= the front part. */
static inline void posix_transfer_advance(struct posix_transfer *transfer, uint64_t bytes)
{
    transfer->skip += bytes;
    transfer->remaining -= bytes;
}

/* Readiness, as poll and epoll number it. */
#define POSIX_POLL_IN 0x1u
#define POSIX_POLL_PRI 0x2u
#define POSIX_POLL_OUT 0x4u
#define POSIX_POLL_ERR 0x8u
#define POSIX_POLL_HUP 0x10u
#define POSIX_POLL_NVAL 0x20u
#define POSIX_POLL_RDNORM 0x40u
#define POSIX_POLL_RDBAND 0x80u
#define POSIX_POLL_WRNORM 0x100u
#define POSIX_POLL_WRBAND 0x200u
#define POSIX_POLL_RDHUP 0x2000u
#define POSIX_POLL_READABLE (POSIX_POLL_IN | POSIX_POLL_RDNORM)
#define POSIX_POLL_WRITABLE (POSIX_POLL_OUT | POSIX_POLL_WRNORM)
#define POSIX_POLL_ANY 0xffffu /* of a notification: look again, whatever you wait for */

struct posix_file;
struct posix_node;

/* Somebody who wants to know when a file's readiness may have changed. */
struct posix_watch {
    struct posix_watch *next, *previous; /* guarded by the file's lock */
    /* Called with POSIX_POLL_* that may hold now, under the file's lock and that of what is behind
     * the file: must not look at the file, nor block. True: took it (counts for exclusive ones). */
    bool (*notify)(struct posix_watch *watch, uint32_t events);
    bool is_exclusive; /* of those, one that takes the notification is enough */
};

/* From now on the watch hears of changes; whoever adds it looks at the file afterwards.
 *
 * @watch      the caller's, with notify set, until it is removed
 * Context:    a reference on the file is held, and no lock that notify takes */
void posix_watch_add(struct posix_file *file, struct posix_watch *watch);
/* When it returns, notify is not running and is not called again. */
void posix_watch_remove(struct posix_file *file, struct posix_watch *watch);

struct posix_file_operations {
    /* After the file was made from its node, before it has a descriptor: may wait, without locks.
     * An error is open's, and release follows. NULL: nothing to do. */
    int64_t (*open)(struct posix_file *file);
    /* Streams (is_seekable = false). NULL: -EINVAL. Bytes moved, 0 end of file, or an error. */
    int64_t (*read)(struct posix_file *file, struct posix_transfer *to);
    int64_t (*write)(struct posix_file *file, struct posix_transfer *from);
    int64_t (*stat)(struct posix_file *file, struct posix_stat *stat);
    /* -ENOTTY for what it does not know; FIONBIO, FIOCLEX, FIONCLEX, FIOASYNC never come here. */
    int64_t (*ioctl)(struct posix_file *file, uint64_t request, uint64_t argument);
    /* The commands of fcntl that only some kinds of files have; NULL: none. -EINVAL: not this. */
    int64_t (*control)(struct posix_file *file, uint32_t command, uint64_t argument);
    /* POSIX_POLL_* that hold now. A file that has it calls posix_file_notify at each change.
     * NULL: always ready, and not for epoll. */
    uint32_t (*poll)(struct posix_file *file);
    void (*flags_changed)(struct posix_file *file); /* after F_SETFL or FIONBIO; may be NULL */
    void (*release)(struct posix_file *file); /* last reference gone; frees context; may be NULL */
    bool is_seekable;      /* a node with contents: file/ keeps the position, read/write are NULL */
    bool ignores_position; /* lseek gives 0 and pread is read: memory devices */
    bool ignores_seeking;  /* lseek gives 0, yet pread is -ESPIPE: event files */
};

struct posix_file {
    const struct posix_file_operations *operations;
    _Atomic uint32_t references;
    _Atomic uint32_t flags; /* POSIX_O_*: access mode and status flags */
    struct posix_lock lock; /* position, watches */
    uint64_t position;
    _Atomic(struct posix_watch *) first_watch; /* exclusive ones behind the others */
    struct posix_watch *last_watch;
    struct posix_node *node; /* NULL for sockets and the like */
    void *context;           /* the operations' own */
};

/* Tells the file's watches that the events may hold now.
 *
 * Context:    the lock that the file's poll operation takes is held, and the change is made: who
 *             adds a watch and then looks cannot miss both
 * Ordering:   the look at first_watch needs no lock: a watch that was added before the look of
 *             poll is seen through that lock; one added later finds the change */
void posix_watch_notify(struct posix_file *file, uint32_t events);
static inline void posix_file_notify(struct posix_file *file, uint32_t events)
{
    if (atomic_load_explicit(&file->first_watch, memory_order_relaxed) != NULL) {
        posix_watch_notify(file, events);
    }
}

/* A new open file with one reference, which the caller owns; NULL: no memory. */
struct posix_file *posix_file_create(const struct posix_file_operations *operations, uint32_t flags,
                                     void *context);
/* The open file of a descriptor, with a reference for the caller. NULL: bad descriptor, or opened
 * with O_PATH (both -EBADF). */
struct posix_file *posix_file_get(uint64_t descriptor);
void posix_file_put(struct posix_file *file);
/* stat and the last part of release, for the operations of other parts on files that have a node.
 */
void posix_file_stat_node(struct posix_file *file, struct posix_stat *stat);
void posix_file_release_node(struct posix_file *file);
/* Gives the lowest free descriptor >= minimum to the file; takes over the caller's reference on
 * success only. -EMFILE at RLIMIT_NOFILE, -ENOMEM. */
int64_t posix_descriptor_install(struct posix_file *file, bool close_on_exec, uint64_t minimum);

/* Whether a standard stream is a terminal, on which lines end with CR LF. */
bool posix_terminal_has_stream(uint64_t stream);

/* RLIMIT_NOFILE: the soft limit, at most POSIX_FILE_LIMIT_HARD. */
uint64_t posix_descriptor_limit(void);
void posix_descriptor_set_limit(uint64_t soft);

/* RLIMIT_FSIZE: the soft limit; UINT64_MAX: none. */
void posix_file_size_set_limit(uint64_t soft);

/* Whether the bytes are in the application's half, shared and private slots, mapped or not: Linux
 * refuses others at once, even where no byte would be moved. @impl ATL-LLR-FILE-0001~1 */
static inline bool posix_transfer_is_user(uint64_t address, uint64_t bytes)
{
    const uint64_t user_bytes = 1ull << 47;
    return bytes <= user_bytes && address <= user_bytes - bytes;
}

/* Reads an array of struct iovec as Linux does (IOV_MAX 1024, total at most 0x7ffff000).
 *
 * @inline_vectors  room for POSIX_VECTORS_INLINE, used when they suffice
 * @allocated       out: memory to give to posix_free (NULL is allowed) when the call is done
 * Errors:     -EINVAL count or a length | -EFAULT | -ENOMEM */
#define POSIX_VECTORS_INLINE 8u
#define POSIX_TRANSFER_BYTES_MAX 0x7ffff000ull
int64_t posix_transfer_load(struct posix_transfer *transfer, uint64_t vectors, uint64_t count,
                            struct posix_vector *inline_vectors, void **allocated);

/* What mmap needs to know of a descriptor. */
enum posix_mapping_kind {
    POSIX_MAPPING_NONE, /* cannot be mapped: -ENODEV, once the rights are checked */
    POSIX_MAPPING_IMAGE,
    POSIX_MAPPING_ZERO,
    POSIX_MAPPING_COPY
};
struct posix_mapping {
    enum posix_mapping_kind kind;
    bool is_readable, is_writable;       /* how the descriptor was opened */
    uint64_t bytes;                      /* of the file */
    const struct image_file *image_file; /* IMAGE */
    struct posix_file *file;             /* referenced, posix_file_put when done */
};
/* Shared mappings of files (file/shared.c). A mapping lies in a region POSIX_REGION_FILE of its
 * own, made first by the caller, in which the kernel has nothing mapped; file/ maps its pages.
 * find, attach and join are called between acquire and release, so that two mappings of one file
 * are made one after the other. */
struct posix_shared_range {
    uint64_t start, bytes; /* addresses, page multiples */
    uint64_t offset;       /* of start in the file */
    uint32_t protection;
};
void posix_shared_acquire(void);
/* True if a new mapping must not be writable. Between acquire and release. */
bool posix_shared_is_sealed(struct posix_node *node);
void posix_shared_release(void);
/* Where the pages of a range are mapped already: another mapping of them must be there. 0: nowhere;
 * -ENODEV: only some of them are, or not with these rights. */
int64_t posix_shared_find(struct posix_node *node, const struct posix_shared_range *range);
/* Makes range->start the file's memory. -ENOMEM: the caller removes the region. */
int64_t posix_shared_attach(struct posix_node *node, const struct posix_shared_range *range);
/* One more mapping where posix_shared_find said; its start. -ENOMEM */
int64_t posix_shared_join(struct posix_node *node, const struct posix_shared_range *range);
/* Ends one mapping (or all) of the pages of [start, end), regions POSIX_REGION_FILE only, and the
 * regions with the last. -ENOMEM: what lies before the failure is done. */
int64_t posix_shared_detach(uint64_t start, uint64_t end, bool all);
/* Whether any file is mapped shared. */
bool posix_shared_exists(void);
/* After the protection of regions in [start, end) changed: changes that of the pages. */
void posix_shared_protect(uint64_t start, uint64_t end, uint32_t protection);
/* The file mapped at an address and the offset there, to be given to posix_shared_node_put; NULL:
 * none. */
struct posix_node *posix_shared_node(uint64_t address, uint64_t *offset);
void posix_shared_node_put(struct posix_node *node);
/* A page fault with its error code: RESOLVED: repeat the access; BUS: behind the end of the file,
 * or no memory; OTHER: not about a shared mapping, or against its protection. No lock held. */
enum posix_shared_fault {
    POSIX_SHARED_FAULT_OTHER,
    POSIX_SHARED_FAULT_RESOLVED,
    POSIX_SHARED_FAULT_BUS,
};
enum posix_shared_fault posix_shared_fault(uint64_t address, uint64_t error);

/* -EBADF, O_PATH too. */
int64_t posix_file_mapping(uint64_t descriptor, struct posix_mapping *mapping);
/* Reads at an offset into application memory; bytes read or an error; 0 at the end. */
int64_t posix_file_read_at(struct posix_file *file, uint64_t to, uint64_t bytes, uint64_t offset);

/* The image file that a path names (symbolic links followed, the overlay not looked at).
 * NULL: none, or not a regular file: *error is the negated errno. */
const struct image_file *posix_image_find(const char *path, int64_t *error);
/* The image file of exactly this path, also below /proc, where the program cannot see it; NULL. */
const struct image_file *posix_image_exact(const char *path);
/* Blocks of an image file are checked against their digests when they are first asked about; a
 * damaged one is reported then. All ranges lie inside the file.
 *
 * Returns how many bytes from offset on, of the given ones, lie in blocks that are alike: *error is
 * 0: they hold, -EIO: they are damaged, -ENOMEM: they could not be looked at.
 * Locks: takes none for blocks that were touched before, else those of memory/. */
uint64_t posix_image_run(const struct image_file *file, uint64_t offset, uint64_t bytes,
                         int64_t *error);
/* Whether all of a range holds: 0, -EIO or -ENOMEM. */
int64_t posix_image_verify(const struct image_file *file, uint64_t offset, uint64_t bytes);
/* Looks at a range; 0, whatever was found, or -ENOMEM. */
int64_t posix_image_touch(const struct image_file *file, uint64_t offset, uint64_t bytes);
/* The content of an image file, mapped read-only for posix/ (stays mapped); NULL: no memory. */
const uint8_t *posix_image_window(const struct image_file *file);

/* At the end of the cell: sends the files that the tool asked for (--out), once. Whoever calls it
 * while another thread does never comes back. No lock of file/ held. */
void posix_file_hand_out(void);

#endif
