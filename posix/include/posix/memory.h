/* SPDX-License-Identifier: Apache-2.0 */
/* Application memory: which regions of the user half are in use, for what, with which protection.
 * One list and one lock for each shared slot; the kernel keeps the pages, this keeps the names.
 *
 * Locks: a slot's lock is held only inside memory/ and only around that slot's list and the gate
 * calls map, unmap and protect on it. Those may park the caller inside the kernel; nothing else
 * that parks happens under the lock, and application memory is never touched under it. Rank: above
 * every other lock of posix/ (a caller may hold any other lock; memory/ takes none but its heap's
 * first).
 *
 * Error policy: Linux errno, negated; on failure nothing was changed unless Linux changes it too.
 */
#ifndef POSIX_MEMORY_H
#define POSIX_MEMORY_H

#include <kernel/image.h>
#include <posix/posix.h>

#define POSIX_PAGE_BYTES 4096ull
#define POSIX_PAGE_DOWN(value) ((value) & ~(POSIX_PAGE_BYTES - 1))
#define POSIX_PAGE_UP(value) POSIX_PAGE_DOWN((value) + POSIX_PAGE_BYTES - 1)
#define POSIX_STACK_LIMIT_BYTES (8ull << 20) /* the initial stack, RLIMIT_STACK */

enum posix_region_kind {
    POSIX_REGION_ANONYMOUS,
    POSIX_REGION_IMAGE,      /* pages of an image file, written ones are copies */
    POSIX_REGION_BEYOND_END, /* of a file mapping, behind the file's last page: access is SIGBUS */
    POSIX_REGION_FILE,       /* of a shared mapping of a file: file/ maps its pages (file.h) */
    POSIX_REGION_HEAP,       /* brk */
    POSIX_REGION_STACK,      /* of the first thread */
    POSIX_REGION_POSIX,      /* posix/'s own: no call of the application changes it */
};

#define POSIX_REGION_SHARED 1u       /* MAP_SHARED */
#define POSIX_REGION_NO_WRITE 2u     /* mprotect may not add PROT_WRITE (file opened for reading) */
#define POSIX_REGION_THREAD_STACK 4u /* MAP_STACK */
#define POSIX_REGION_RESERVED 8u     /* never had rights: the kernel knows nothing of it */

struct posix_region_info {
    uint64_t start, end;           /* page multiples */
    uint32_t protection;           /* PROT_* bits */
    uint32_t flags;                /* POSIX_REGION_* */
    const struct image_file *file; /* of an image region, else NULL */
    uint64_t offset;               /* in that file */
    enum posix_region_kind kind;
};

/* Finds the region that holds an address (at_or_after = false), or also the next one above it.
 *
 * Context:    any thread, no lock of memory/ held
 * Errors:     false: there is none */
bool posix_memory_find(uint64_t address, bool at_or_after, struct posix_region_info *info);

/* Makes exactly [address, address + bytes) a region, replacing nothing: for the loader.
 *
 * @offset     in @file, page multiple; @file NULL: zero-filled memory
 * Errors:     -EEXIST something is there | -ENOMEM | -EACCES W+X | -EINVAL not inside one slot */
struct posix_map_request {
    uint64_t address, bytes;
    uint32_t protection;
    enum posix_region_kind kind;
    const struct image_file *file;
    uint64_t offset;
};
int64_t posix_memory_map_at(const struct posix_map_request *request);

/* A zeroed page for the contents of a file; NULL: what memory is left is the program's. Like
 * posix_allocate it may be called under any lock of lower rank. */
void *posix_page_allocate(void);
void posix_page_free(void *page);
/* How many pages files could still get. */
uint64_t posix_page_available(void);

/* What a core's heap has of the machine's memory: for small blocks, which it keeps, and large ones.
 *
 * Context:    no lock held */
uint64_t posix_heap_bytes(uint32_t core);

/* Removes what is in [start, end) of one slot, pages and regions, for file/shared.c. -ENOMEM */
int64_t posix_memory_remove(uint64_t start, uint64_t end);

/* Maps a whole image file read-only for posix/ itself; stays for ever. NULL: no memory. */
const uint8_t *posix_memory_map_window(const struct image_file *file);

/* A random free place for bytes in the slots of core 0; slot 0 only if first_slot. Nothing is
 * reserved: single-threaded start only.
 * Errors:     0: none */
uint64_t posix_memory_place(uint64_t bytes, bool first_slot);

/* Where brk starts: a random distance above the end of the program's last segment. Once, at start.
 */
void posix_memory_set_heap(uint64_t program_end);

/* 64 random bits for placement and keys of tables; from the seed of the image if it is fixed. */
uint64_t posix_memory_random(void);

/* Bytes of application regions (all kinds but POSIX), for reports of /proc. */
uint64_t posix_memory_mapped_bytes(void);

/* The image's header on the index pages. */
static inline const struct image_header *posix_image(void)
{
    return (const struct image_header *)(uintptr_t)
        posix_info.index_address; // NOLINT: fixed address
}

static inline const char *posix_image_string(uint32_t offset)
{
    return (const char *)posix_image() + offset;
}

#endif
