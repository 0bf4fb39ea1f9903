/* SPDX-License-Identifier: Apache-2.0 */
/* The table of descriptors: see descriptor.h. It grows by doubling; a bitmap of used numbers finds
 * the lowest free one. Files are released with the lock not held. */
#include "descriptor.h"
#include "node.h"
#include "record_lock.h"

#include <posix/event.h>

#define TABLE_START 64u

struct entry {
    struct posix_file *file; /* NULL: free or reserved */
    bool close_on_exec, is_reserved;
};

static struct {
    struct posix_lock lock;
    struct entry first[TABLE_START];
    struct entry *entries; /* NULL: first */
    uint64_t capacity;     /* 0 means TABLE_START */
    uint64_t limit_set;    /* limit + 1; 0 means POSIX_FILE_LIMIT_SOFT */
    uint64_t lowest;       /* no free number is below */
} table;

static struct entry *entries(void)
{
    return table.entries != NULL ? table.entries : table.first;
}

static uint64_t capacity(void)
{
    return table.capacity != 0 ? table.capacity : TABLE_START;
}

static uint64_t limit(void)
{
    return table.limit_set != 0 ? table.limit_set - 1 : POSIX_FILE_LIMIT_SOFT;
}

struct posix_file *posix_file_create(const struct posix_file_operations *operations, uint32_t flags,
                                     void *context)
{
    struct posix_file *file = posix_allocate(sizeof(*file));
    if (file != NULL) {
        file->operations = operations;
        file->flags = flags;
        file->context = context;
        file->references = 1;
    }
    return file;
}

static inline struct posix_file *get(uint64_t descriptor, uint32_t refused)
{
    uint64_t number = (uint32_t)descriptor; /* the ABI passes an int */
    struct posix_file *file = NULL;
    posix_lock_acquire(&table.lock);
    if (number < capacity()) {
        file = entries()[number].file;
    }
    if (file != NULL && (file->flags & refused) != 0) {
        file = NULL;
    }
    if (file != NULL) {
        atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    }
    posix_lock_release(&table.lock);
    return file;
}

struct posix_file *descriptor_get_any(uint64_t descriptor)
{
    return get(descriptor, 0);
}

/* @impl ATL-LLR-FILE-0002~1 */
struct posix_file *posix_file_get(uint64_t descriptor)
{
    return get(descriptor, POSIX_O_PATH);
}

void posix_file_put(struct posix_file *file)
{
    /* acq_rel: whoever frees sees everything that the others did with the file. */
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) == 1) {
        if (file->node != NULL) {
            record_lock_released(file);
        }
        if (file->first_watch != NULL) {
            posix_epoll_forget(file);
        }
        if (file->operations->release != NULL) {
            file->operations->release(file);
        }
        posix_free(file);
    }
}

/* Makes number valid in the table. Locked: it doubles, so seldom.
 * @impl ATL-LLR-POSIX-1030~1 */
static int64_t grow(uint64_t number)
{
    uint64_t wanted = capacity();
    while (wanted <= number) {
        wanted *= 2;
    }
    if (wanted == capacity()) {
        return 0;
    }
    struct entry *larger = posix_allocate(wanted * sizeof(*larger));
    if (larger == NULL) {
        return -ENOMEM;
    }
    __builtin_memcpy(larger, entries(), capacity() * sizeof(*larger));
    posix_free(table.entries);
    table.entries = larger;
    table.capacity = wanted;
    return 0;
}

static uint64_t find_free(uint64_t minimum)
{
    uint64_t number = minimum > table.lowest ? minimum : table.lowest;
    while (number < capacity() &&
           (entries()[number].file != NULL || entries()[number].is_reserved)) {
        number++;
    }
    return number;
}

/* Puts an entry at the lowest free number that is not below minimum. */
static int64_t add_entry(const struct entry *entry, uint64_t minimum)
{
    posix_lock_acquire(&table.lock);
    uint64_t number = find_free(minimum);
    int64_t result = number < limit() ? grow(number) : -EMFILE;
    if (result == 0) {
        entries()[number] = *entry;
        if (minimum <= table.lowest) {
            table.lowest = number + 1;
        }
        result = (int64_t)number;
    }
    posix_lock_release(&table.lock);
    return result;
}

/* @impl ATL-LLR-FILE-0002~1 */
int64_t posix_descriptor_install(struct posix_file *file, bool close_on_exec, uint64_t minimum)
{
    return add_entry(&(struct entry){file, close_on_exec, false}, minimum);
}

int64_t descriptor_reserve(void)
{
    return add_entry(&(struct entry){NULL, false, true}, 0);
}

void descriptor_fill(uint64_t descriptor, struct posix_file *file, bool close_on_exec)
{
    posix_lock_acquire(&table.lock);
    entries()[descriptor] = (struct entry){file, close_on_exec, false};
    table.lowest = file == NULL && descriptor < table.lowest ? descriptor : table.lowest;
    posix_lock_release(&table.lock);
}

/* A descriptor is gone: with it, whatever other descriptors there are, the process's record locks.
 */
static void put_closed(struct posix_file *file)
{
    if (file->node != NULL) {
        record_lock_closed(file->node);
    }
    posix_file_put(file);
}

int64_t descriptor_install_at(struct posix_file *file, bool close_on_exec, uint64_t descriptor)
{
    struct posix_file *old = NULL;
    posix_lock_acquire(&table.lock);
    int64_t result = descriptor < limit() ? grow(descriptor) : -EBADF;
    if (result == 0 && entries()[descriptor].is_reserved) {
        result = -EBUSY;
    } else if (result == 0) {
        old = entries()[descriptor].file;
        entries()[descriptor] = (struct entry){file, close_on_exec, false};
    }
    posix_lock_release(&table.lock);
    if (old != NULL) {
        put_closed(old);
    }
    return result;
}

int64_t descriptor_close(uint64_t descriptor)
{
    uint64_t number = (uint32_t)descriptor;
    struct posix_file *file = NULL;
    posix_lock_acquire(&table.lock);
    if (number < capacity() && entries()[number].file != NULL) {
        file = entries()[number].file;
        entries()[number] = (struct entry){0};
        table.lowest = number < table.lowest ? number : table.lowest;
    }
    posix_lock_release(&table.lock);
    if (file == NULL) {
        return -EBADF;
    }
    put_closed(file);
    return 0;
}

bool descriptor_is(uint64_t descriptor, const struct posix_file *file)
{
    uint64_t number = (uint32_t)descriptor;
    posix_lock_acquire(&table.lock);
    bool is = number < capacity() && entries()[number].file == file;
    posix_lock_release(&table.lock);
    return is;
}

int64_t descriptor_flags(uint64_t descriptor)
{
    uint64_t number = (uint32_t)descriptor;
    int64_t result = -EBADF;
    posix_lock_acquire(&table.lock);
    if (number < capacity() && entries()[number].file != NULL) {
        result = entries()[number].close_on_exec ? FD_CLOEXEC : 0;
    }
    posix_lock_release(&table.lock);
    return result;
}

int64_t descriptor_set_flags(uint64_t descriptor, bool close_on_exec)
{
    uint64_t number = (uint32_t)descriptor;
    int64_t result = -EBADF;
    posix_lock_acquire(&table.lock);
    if (number < capacity() && entries()[number].file != NULL) {
        entries()[number].close_on_exec = close_on_exec;
        result = 0;
    }
    posix_lock_release(&table.lock);
    return result;
}

int64_t descriptor_next(uint64_t from)
{
    int64_t result = -1;
    posix_lock_acquire(&table.lock);
    for (uint64_t number = from; number < capacity() && result < 0; number++) {
        if (entries()[number].file != NULL) {
            result = (int64_t)number;
        }
    }
    posix_lock_release(&table.lock);
    return result;
}

bool descriptor_node(uint64_t descriptor, struct posix_node **node)
{
    const struct posix_file *file = NULL;
    *node = NULL;
    posix_lock_acquire(&table.lock);
    if (descriptor < capacity()) {
        file = entries()[descriptor].file;
    }
    if (file != NULL && file->node != NULL) {
        *node = node_get(file->node);
    }
    posix_lock_release(&table.lock);
    return file != NULL;
}

uint64_t posix_descriptor_limit(void)
{
    posix_lock_acquire(&table.lock);
    uint64_t value = limit();
    posix_lock_release(&table.lock);
    return value;
}

void posix_descriptor_set_limit(uint64_t soft)
{
    posix_lock_acquire(&table.lock);
    table.limit_set = (soft < POSIX_FILE_LIMIT_HARD ? soft : POSIX_FILE_LIMIT_HARD) + 1;
    posix_lock_release(&table.lock);
}
