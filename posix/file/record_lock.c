/* SPDX-License-Identifier: Apache-2.0 */
/* Advisory locks: see record_lock.h. One lock of posix/ guards them all, and all who wait stand in
 * one queue: whoever gives a range up wakes them, and they look again. */
#include "record_lock.h"
#include "descriptor.h"
#include <posix/syscalls.h>

#define OFFSET_MAX INT64_MAX

struct file_lock {
    struct file_lock *next;
    const void *owner;  /* &process_owner, or the open file */
    int64_t start, end; /* both inclusive */
    int16_t type;
    bool is_flock;
};

static const char process_owner;
static struct posix_lock guard;
static struct posix_wait_queue waiters;

static bool excludes(const struct file_lock *held, const struct file_lock *wanted)
{
    return held->owner != wanted->owner && held->is_flock == wanted->is_flock &&
           held->start <= wanted->end && wanted->start <= held->end &&
           (held->type == F_WRLCK || wanted->type == F_WRLCK);
}

static const struct file_lock *find_conflict(const struct posix_node *node,
                                             const struct file_lock *wanted)
{
    const struct file_lock *held = wanted->type != F_UNLCK ? node->locks : NULL;
    while (held != NULL && !excludes(held, wanted)) {
        held = held->next;
    }
    return held;
}

/* Blocks that a change may need, taken before it begins. */
struct spares {
    struct file_lock *added, *upper;
};

static bool take_spares(struct spares *spares)
{
    spares->added = posix_allocate(sizeof(*spares->added));
    spares->upper = posix_allocate(sizeof(*spares->upper));
    return spares->added != NULL && spares->upper != NULL;
}

static void free_spares(struct spares *spares)
{
    posix_free(spares->added);
    posix_free(spares->upper);
}

static void push(struct posix_node *node, struct file_lock **spare, const struct file_lock *lock)
{
    **spare = *lock;
    (*spare)->next = node->locks;
    node->locks = *spare;
    *spare = NULL;
}

static bool is_own(const struct file_lock *lock, const struct file_lock *wanted)
{
    return lock->owner == wanted->owner && lock->is_flock == wanted->is_flock;
}

/* Whether an own lock of the same type overlaps the wanted range or borders on it. */
static bool joins(const struct file_lock *lock, const struct file_lock *wanted)
{
    return lock->type == wanted->type &&
           (lock->start <= wanted->end || lock->start - 1 == wanted->end) &&
           (wanted->start <= lock->end || wanted->start - 1 == lock->end);
}

/* Takes the wanted range out of an own lock of another type. True: nothing is left of it. */
static bool cut(struct posix_node *node, struct file_lock *lock, const struct file_lock *wanted,
                struct spares *spares)
{
    if (lock->start > wanted->end || lock->end < wanted->start) {
        return false;
    }
    bool has_lower = lock->start < wanted->start;
    bool has_upper = lock->end > wanted->end;
    if (has_lower && has_upper) {
        struct file_lock upper = *lock;
        upper.start = wanted->end + 1;
        push(node, &spares->upper, &upper);
    }
    if (has_lower) {
        lock->end = wanted->start - 1;
    } else if (has_upper) {
        lock->start = wanted->end + 1;
    }
    return !has_lower && !has_upper;
}

/* Gives the owner exactly the wanted type in the wanted range. guard held, no conflict. */
static void set(struct posix_node *node, struct file_lock *wanted, struct spares *spares)
{
    struct file_lock **place = &node->locks;
    while (*place != NULL) {
        struct file_lock *lock = *place;
        bool is_over = false;
        if (is_own(lock, wanted) && wanted->type != F_UNLCK && joins(lock, wanted)) {
            wanted->start = lock->start < wanted->start ? lock->start : wanted->start;
            wanted->end = lock->end > wanted->end ? lock->end : wanted->end;
            is_over = true;
        } else if (is_own(lock, wanted)) {
            is_over = cut(node, lock, wanted, spares);
        }
        if (is_over) {
            while (*place != lock) { /* cut may have put one before it */
                place = &(*place)->next;
            }
            *place = lock->next;
            posix_free(lock);
        } else {
            place = &lock->next;
        }
    }
    if (wanted->type != F_UNLCK) {
        push(node, &spares->added, wanted);
    }
    posix_wake(&waiters, UINT32_MAX);
}

/* @impl ATL-LLR-FILE-0036~1 */
static int64_t apply(struct posix_node *node, struct file_lock *wanted, bool wait)
{
    struct spares spares;
    if (!take_spares(&spares)) {
        free_spares(&spares);
        return -ENOLCK;
    }
    int64_t result = 0;
    posix_lock_acquire(&guard);
    while (result == 0 && find_conflict(node, wanted) != NULL) {
        if (!wait) {
            result = -EAGAIN;
            break;
        }
        result = posix_wait(&waiters, &guard, GATE_NEVER);
        result = result == -EINTR ? -ERESTARTSYS : 0;
        posix_lock_acquire(&guard);
    }
    if (result == 0) {
        set(node, wanted, &spares);
    }
    posix_lock_release(&guard);
    free_spares(&spares);
    return result;
}

/* ---- fcntl */

static int64_t base_of(struct posix_file *file, int16_t whence, int64_t *base)
{
    switch ((uint16_t)whence) {
    case SEEK_SET:
        *base = 0;
        return 0;
    case SEEK_CUR:
        posix_lock_acquire(&file->lock);
        *base = (int64_t)file->position;
        posix_lock_release(&file->lock);
        return 0;
    case SEEK_END:
        *base = (int64_t)node_bytes(file->node);
        return 0;
    default:
        return -EINVAL;
    }
}

static int64_t read_range(struct posix_file *file, const struct linux_flock *flock,
                          struct file_lock *lock)
{
    int64_t base = 0;
    int64_t result = base_of(file, flock->whence, &base);
    if (result < 0) {
        return result;
    }
    if (flock->start > OFFSET_MAX - base) {
        return -EOVERFLOW;
    }
    lock->start = base + flock->start;
    lock->end = OFFSET_MAX;
    if (lock->start < 0) {
        return -EINVAL;
    }
    if (flock->length > 0) {
        if (flock->length - 1 > OFFSET_MAX - lock->start) {
            return -EOVERFLOW;
        }
        lock->end = lock->start + flock->length - 1;
    } else if (flock->length < 0) {
        if (lock->start + flock->length < 0) {
            return -EINVAL;
        }
        lock->end = lock->start - 1;
        lock->start += flock->length;
    }
    return 0;
}

static void describe(const struct file_lock *held, struct linux_flock *flock)
{
    flock->type = held->type;
    flock->whence = SEEK_SET;
    flock->start = held->start;
    flock->length = held->end == OFFSET_MAX ? 0 : held->end - held->start + 1;
    flock->process = held->owner == &process_owner ? 1 : -1;
}

static int64_t get(struct posix_node *node, const struct file_lock *wanted,
                   struct linux_flock *flock, uint64_t argument)
{
    posix_lock_acquire(&guard);
    const struct file_lock *held = find_conflict(node, wanted);
    if (held != NULL) {
        describe(held, flock);
    } else {
        flock->type = F_UNLCK;
    }
    posix_lock_release(&guard);
    return posix_copy_out(argument, flock, sizeof(*flock));
}

static bool is_mode_enough(const struct posix_file *file, int16_t type)
{
    uint32_t access = file->flags & POSIX_O_ACCESS;
    return type == F_RDLCK ? access != POSIX_O_WRONLY : type != F_WRLCK || access != POSIX_O_RDONLY;
}

/* @impl ATL-LLR-FILE-0036~1 */
int64_t record_lock(struct posix_file *file, uint64_t command, uint64_t argument)
{
    struct linux_flock flock;
    bool is_get = command == F_GETLK || command == F_OFD_GETLK;
    bool is_open_file = command >= F_OFD_GETLK;
    if (posix_copy_in(&flock, argument, sizeof(flock)) < 0) {
        return -EFAULT;
    }
    bool is_type =
        flock.type == F_RDLCK || flock.type == F_WRLCK || (flock.type == F_UNLCK && !is_get);
    if (!is_type || file->node == NULL) {
        return -EINVAL;
    }
    struct file_lock wanted = {.owner = is_open_file ? (const void *)file : &process_owner,
                               .type = flock.type};
    int64_t result = read_range(file, &flock, &wanted);
    if (result < 0) {
        return result;
    }
    if (is_open_file && flock.process != 0) {
        return -EINVAL;
    }
    if (is_get) {
        return get(file->node, &wanted, &flock, argument);
    }
    if (!is_mode_enough(file, flock.type)) {
        return -EBADF;
    }
    return apply(file->node, &wanted, command == F_SETLKW || command == F_OFD_SETLKW);
}

/* ---- flock */

static void remove_all(struct posix_node *node, const void *owner, bool is_flock)
{
    struct file_lock all = {
        .owner = owner, .end = OFFSET_MAX, .type = F_UNLCK, .is_flock = is_flock};
    struct spares none = {NULL, NULL}; /* the whole range: nothing is cut in two */
    posix_lock_acquire(&guard);
    set(node, &all, &none);
    posix_lock_release(&guard);
}

/* Another type replaces the lock: the old one is gone before the new one is there, even if that is
 * never, as on Linux. */
static int64_t lock_whole(struct posix_file *file, uint32_t operation)
{
    struct file_lock wanted = {.owner = file,
                               .end = OFFSET_MAX,
                               .type = (operation & ~LOCK_NB) == LOCK_SH   ? F_RDLCK
                                       : (operation & ~LOCK_NB) == LOCK_EX ? F_WRLCK
                                                                           : F_UNLCK,
                               .is_flock = true};
    bool has_same = false;
    posix_lock_acquire(&guard);
    for (const struct file_lock *lock = file->node->locks; lock != NULL; lock = lock->next) {
        has_same = has_same || (is_own(lock, &wanted) && lock->type == wanted.type);
    }
    posix_lock_release(&guard);
    if (has_same) {
        return 0;
    }
    remove_all(file->node, file, true);
    return wanted.type == F_UNLCK ? 0 : apply(file->node, &wanted, (operation & LOCK_NB) == 0);
}

/* @impl ATL-LLR-FILE-0036~1 */
int64_t posix_flock(uint64_t descriptor, uint64_t operation)
{
    uint32_t kind = (uint32_t)operation & ~LOCK_NB;
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN) {
        return -EINVAL;
    }
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = file->node != NULL ? lock_whole(file, (uint32_t)operation) : -EINVAL;
    posix_file_put(file);
    return result;
}

/* ---- ends */

/* Without the lock: whoever locked something before closing it sees that here. */
static bool has_locks(struct posix_node *node)
{
    return __atomic_load_n(&node->locks, __ATOMIC_RELAXED) != NULL;
}

void record_lock_closed(struct posix_node *node)
{
    if (has_locks(node)) {
        remove_all(node, &process_owner, false);
    }
}

void record_lock_released(struct posix_file *file)
{
    if (has_locks(file->node)) {
        remove_all(file->node, file, false);
        remove_all(file->node, file, true);
    }
}
