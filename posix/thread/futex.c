/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes: queues of waiters by address, in buckets of one lock each. Private and shared ones are
 * the same, there is one address space.
 *
 * The word is compared under the bucket's lock, or a wake between comparison and queueing would be
 * lost. It is application memory: if it is not present the kernel fetches it, which needs nothing
 * of posix/, and a true violation comes back as -EFAULT. */
#include "futex.h"

#include "../core/internal.h"
#include "pi_futex.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define FUTEX_WAIT 0u
#define FUTEX_WAKE 1u
#define FUTEX_REQUEUE 3u
#define FUTEX_CMP_REQUEUE 4u
#define FUTEX_WAKE_OP 5u
#define FUTEX_LOCK_PI 6u
#define FUTEX_UNLOCK_PI 7u
#define FUTEX_TRYLOCK_PI 8u
#define FUTEX_WAIT_BITSET 9u
#define FUTEX_WAKE_BITSET 10u
#define FUTEX_LOCK_PI2 13u
#define FUTEX_PRIVATE_FLAG 128u
#define FUTEX_CLOCK_REALTIME 256u

#define BUCKET_COUNT 256u
#define USER_BITS 47

/* Kept apart, so that the frequent calls save no registers for it. */
#define SELDOM __attribute__((noinline, cold))

static uint32_t command_of(uint64_t operation)
{
    return (uint32_t)operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
}

static bool is_realtime(uint64_t operation)
{
    return ((uint32_t)operation & FUTEX_CLOCK_REALTIME) != 0;
}

struct bucket;

struct waiter {
    struct waiter *next, *previous;
    uint64_t address; /* with its bucket's lock, like everything but woken */
    uint64_t handle;
    uint32_t bits;
    _Atomic(struct bucket *) bucket; /* changed by a requeue, under both locks */
    _Atomic uint32_t woken;          /* set last: from then on the waiter may be gone */
};

struct bucket {
    alignas(64) struct posix_lock lock;
    struct waiter *first, *last;
};

static struct bucket buckets[BUCKET_COUNT];

static struct bucket *bucket_of(uint64_t address)
{
    return &buckets[(address >> 2) * 0x9e3779b97f4a7c15ull >> 56];
}
_Static_assert(BUCKET_COUNT == 1u << (64 - 56), "bucket_of takes the top bits");

static void append(struct bucket *bucket, struct waiter *waiter)
{
    waiter->next = NULL;
    waiter->previous = bucket->last;
    if (bucket->last != NULL) {
        bucket->last->next = waiter;
    } else {
        bucket->first = waiter;
    }
    bucket->last = waiter;
    atomic_store_explicit(&waiter->bucket, bucket, memory_order_relaxed);
}

static void take_out(struct bucket *bucket, struct waiter *waiter)
{
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        bucket->first = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    } else {
        bucket->last = waiter->previous;
    }
}

/* The bucket that the waiter is in, locked; a requeue may move it while we wait for the lock. */
static struct bucket *lock_bucket_of(struct waiter *waiter)
{
    for (;;) {
        struct bucket *bucket = atomic_load(&waiter->bucket);
        posix_lock_acquire(&bucket->lock);
        if (atomic_load(&waiter->bucket) == bucket) {
            return bucket;
        }
        posix_lock_release(&bucket->lock);
    }
}

/* The waiter's park has ended with result, unless a wake came before we had the lock. */
SELDOM static int64_t give_up(struct waiter *waiter, int64_t result)
{
    struct bucket *bucket = lock_bucket_of(waiter);
    if (atomic_load_explicit(&waiter->woken, memory_order_relaxed) != 0) {
        result = 0;
    } else {
        take_out(bucket, waiter);
    }
    posix_lock_release(&bucket->lock);
    return result == -EINTR ? -ERESTARTSYS : result;
}

/* Waits if the word has the value. @impl ATL-LLR-FUTEX-0001~1
 * @impl ATL-LLR-FUTEX-0002~1 */
static int64_t wait(uint64_t address, uint32_t value, uint32_t bits, uint64_t deadline_ns)
{
    struct bucket *bucket = bucket_of(address);
    struct waiter waiter;
    waiter.address = address;
    waiter.bits = bits;
    waiter.handle = posix_thread_handle(posix_self());
    atomic_init(&waiter.woken, 0);
    uint32_t seen;
    posix_lock_acquire(&bucket->lock);
    int64_t result = posix_load_u32(address, &seen);
    if (result == 0 && seen != value) {
        result = -EAGAIN;
    }
    if (result == 0) {
        append(bucket, &waiter);
    }
    posix_lock_release(&bucket->lock);
    if (result == 0) {
        result = posix_park(&waiter.woken, deadline_ns);
        return result == 0 ? 0 : give_up(&waiter, result);
    }
    return result;
}

static int64_t wait_again(struct posix_thread *self)
{
    const uint64_t *argument = self->restart_argument;
    int64_t result = wait(argument[0], (uint32_t)argument[1], (uint32_t)argument[2], argument[3]);
    return result == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : result;
}

/* A relative timeout must not begin anew: the deadline is kept for restart_syscall. */
static int64_t wait_relative(uint64_t address, uint32_t value, uint64_t deadline_ns)
{
    int64_t result = wait(address, value, POSIX_FUTEX_ANY, deadline_ns);
    if (result == -ERESTARTSYS && deadline_ns != GATE_NEVER) {
        struct posix_thread *self = posix_self();
        self->restart = wait_again;
        self->restart_argument[0] = address;
        self->restart_argument[1] = value;
        self->restart_argument[2] = POSIX_FUTEX_ANY;
        self->restart_argument[3] = deadline_ns;
        return -ERESTART_RESTARTBLOCK;
    }
    return result;
}

/* Wakes up to count waiters, at least one, whose bits meet, and returns how many. All but the last
 * are unparked; *last_handle is left to the caller, once the bucket is free: the woken thread may
 * want it at once. 0 before the first call and if nobody was woken. */
static int64_t wake_matching(struct bucket *bucket, uint64_t address, int32_t count, uint32_t bits,
                             uint64_t *last_handle)
{
    int64_t woken = 0;
    for (struct waiter *waiter = bucket->first; waiter != NULL;) {
        struct waiter *next = waiter->next;
        if (waiter->address == address && (waiter->bits & bits) != 0) {
            if (*last_handle != 0) {
                gate_unpark(*last_handle, 0);
            }
            *last_handle = waiter->handle;
            take_out(bucket, waiter);
            /* From now on the waiter may be gone. */
            atomic_store_explicit(&waiter->woken, 1, memory_order_release);
            if (++woken >= count) {
                break;
            }
        }
        waiter = next;
    }
    return woken;
}

static void unpark_last(uint64_t handle)
{
    if (handle != 0) {
        gate_unpark(handle, 0);
    }
}

/* @impl ATL-LLR-FUTEX-0003~1 */
int64_t posix_futex_wake(uint64_t address, uint32_t count, uint32_t bits)
{
    if (bits == 0 || (address & 3) != 0) {
        return -EINVAL;
    }
    struct bucket *bucket = bucket_of(address);
    uint64_t last_handle = 0;
    posix_lock_acquire(&bucket->lock);
    int64_t woken = wake_matching(bucket, address, (int32_t)count, bits, &last_handle);
    posix_lock_release(&bucket->lock);
    unpark_last(last_handle);
    return woken;
}

/* Two buckets, which may be one, in the order of their addresses. */
static void lock_both(struct bucket *a, struct bucket *b)
{
    struct bucket *first = a < b ? a : b;
    struct bucket *second = a < b ? b : a;
    posix_lock_acquire(&first->lock);
    if (second != first) {
        posix_lock_acquire(&second->lock);
    }
}

static void release_both(struct bucket *a, struct bucket *b)
{
    posix_lock_release(&a->lock);
    if (b != a) {
        posix_lock_release(&b->lock);
    }
}

struct requeue {
    uint64_t from, to;
    int32_t wake_count, requeue_count;
};

static int64_t move_waiters(const struct requeue *request, struct bucket *from, struct bucket *to,
                            uint64_t *last_handle)
{
    int64_t woken = 0;
    int64_t moved = 0;
    if (request->wake_count > 0) {
        woken =
            wake_matching(from, request->from, request->wake_count, POSIX_FUTEX_ANY, last_handle);
    }
    for (struct waiter *waiter = from->first; waiter != NULL && moved < request->requeue_count;) {
        struct waiter *next = waiter->next;
        if (waiter->address == request->from) {
            if (request->to != request->from) {
                take_out(from, waiter);
                waiter->address = request->to;
                append(to, waiter);
            }
            moved++;
        }
        waiter = next;
    }
    return woken + moved;
}

/* @impl ATL-LLR-FUTEX-0004~1 */
static int64_t requeue(const struct requeue *request, const uint32_t *expected)
{
    if (request->wake_count < 0 || request->requeue_count < 0 || (request->to & 3) != 0) {
        return -EINVAL;
    }
    uint32_t seen = 0;
    if (expected != NULL) {
        int64_t loaded = posix_load_u32(request->from, &seen);
        if (loaded != 0 || seen != *expected) {
            return loaded != 0 ? loaded : -EAGAIN;
        }
    }
    struct bucket *from = bucket_of(request->from);
    struct bucket *to = bucket_of(request->to);
    uint64_t last_handle = 0;
    lock_both(from, to);
    int64_t result = 0;
    if (expected != NULL) {
        result = posix_load_u32(request->from, &seen);
        if (result == 0 && seen != *expected) {
            result = -EAGAIN;
        }
    }
    if (result == 0) {
        result = move_waiters(request, from, to, &last_handle);
    }
    release_both(from, to);
    unpark_last(last_handle);
    return result;
}

/* FUTEX_OP_* of Linux: operation and comparison with two 12-bit signed arguments. */
struct word_operation {
    uint32_t operation, comparison;
    int32_t operand, reference;
};

static int32_t sign_extend_12(uint32_t value)
{
    return (int32_t)(value << 20) >> 20;
}

static int64_t decode_operation(uint32_t encoded, struct word_operation *decoded)
{
    decoded->operation = encoded >> 28 & 7;
    decoded->comparison = encoded >> 24 & 15;
    decoded->operand = sign_extend_12(encoded >> 12 & 0xfff);
    decoded->reference = sign_extend_12(encoded & 0xfff);
    if ((encoded >> 31) != 0) { /* FUTEX_OP_OPARG_SHIFT: Linux takes the low five bits */
        decoded->operand = (int32_t)(1u << ((uint32_t)decoded->operand & 31));
    }
    return decoded->operation <= 4 && decoded->comparison <= 5 ? 0 : -ENOSYS;
}

static uint32_t operate(const struct word_operation *operation, uint32_t value)
{
    uint32_t operand = (uint32_t)operation->operand;
    switch (operation->operation) {
    case 0:
        return operand;
    case 1:
        return value + operand;
    case 2:
        return value | operand;
    case 3:
        return value & ~operand;
    default:
        return value ^ operand;
    }
}

static bool compare(const struct word_operation *operation, uint32_t value)
{
    int32_t old = (int32_t)value;
    switch (operation->comparison) {
    case 0:
        return old == operation->reference;
    case 1:
        return old != operation->reference;
    case 2:
        return old < operation->reference;
    case 3:
        return old <= operation->reference;
    case 4:
        return old > operation->reference;
    default:
        return old >= operation->reference;
    }
}

static int64_t change_word(const struct word_operation *operation, uint64_t address, uint32_t *old)
{
    uint32_t value;
    int64_t result = posix_load_u32(address, &value);
    while (result == 0) {
        result = posix_exchange_u32(address, value, operate(operation, value), old);
        if (result == 0 && *old == value) {
            return 0;
        }
        value = *old;
    }
    return result;
}

/* @impl ATL-LLR-FUTEX-0005~1 */
static int64_t wake_with_operation(const struct requeue *request, uint32_t encoded)
{
    struct word_operation operation;
    int64_t result = decode_operation(encoded, &operation);
    if (result != 0 || (request->to & 3) != 0) {
        return result != 0 ? result : -EINVAL;
    }
    /* A write that changes nothing makes the page present and writable before the locks. */
    uint32_t old;
    result = posix_exchange_u32(request->to, 0, 0, &old);
    if (result != 0) {
        return result;
    }
    struct bucket *first = bucket_of(request->from);
    struct bucket *second = bucket_of(request->to);
    uint64_t last_handle = 0;
    lock_both(first, second);
    result = change_word(&operation, request->to, &old);
    if (result == 0) {
        result =
            wake_matching(first, request->from, request->wake_count, POSIX_FUTEX_ANY, &last_handle);
        if (compare(&operation, old)) {
            result += wake_matching(second, request->to, request->requeue_count, POSIX_FUTEX_ANY,
                                    &last_handle);
        }
    }
    release_both(first, second);
    unpark_last(last_handle);
    return result;
}

/* Reads a timeout; relative ones count on the monotonic clock. */
static int64_t load_deadline(uint64_t at, uint64_t operation, uint64_t *deadline)
{
    struct posix_timespec timeout;
    int64_t copied = posix_copy_in(&timeout, at, sizeof(timeout));
    if (copied != 0) {
        return copied;
    }
    if (!posix_timespec_is_valid(&timeout)) {
        return -EINVAL;
    }
    uint64_t ns = posix_timespec_to_ns(&timeout);
    if (command_of(operation) == FUTEX_WAIT) {
        *deadline = posix_deadline_after(ns);
    } else {
        *deadline = is_realtime(operation) ? posix_deadline_of_realtime(ns) : ns;
    }
    return 0;
}

static int64_t check(uint64_t address, uint64_t operation)
{
    uint32_t command = command_of(operation);
    if (is_realtime(operation) && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2) {
        return -ENOSYS;
    }
    if (command > FUTEX_WAKE_BITSET && command != FUTEX_LOCK_PI2) {
        return 0;
    }
    return (address & 3) != 0 ? -EINVAL : address >> USER_BITS != 0 ? -EFAULT : 0;
}

/* A shared futex is known by its page, which must be there; a private one by its address alone. */
SELDOM static int64_t check_shared(uint64_t address, uint32_t command)
{
    uint32_t ignored;
    return command <= FUTEX_WAKE_BITSET ? posix_load_u32(address, &ignored) : 0;
}

SELDOM static int64_t wait_until(uint64_t address, uint64_t operation, uint32_t value,
                                 uint64_t timeout, uint32_t bits)
{
    uint64_t deadline_ns;
    int64_t result = load_deadline(timeout, operation, &deadline_ns);
    bool is_relative = command_of(operation) == FUTEX_WAIT;
    if (result == 0 && !is_relative && bits == 0) {
        result = -EINVAL;
    }
    result = result != 0 ? result : check(address, operation);
    if (result != 0) {
        return result;
    }
    return is_relative ? wait_relative(address, value, deadline_ns)
                       : wait(address, value, bits, deadline_ns);
}

/* The deadline of FUTEX_LOCK_PI is on the realtime clock without a flag that says so. */
SELDOM static int64_t lock_with_inheritance(uint64_t address, uint64_t operation, uint64_t timeout)
{
    uint64_t deadline_ns = GATE_NEVER;
    int64_t result = 0;
    if (timeout != 0) {
        bool is_old = command_of(operation) == FUTEX_LOCK_PI;
        result =
            load_deadline(timeout, operation | (is_old ? FUTEX_CLOCK_REALTIME : 0), &deadline_ns);
    }
    return result != 0 ? result : pi_futex_lock(address, deadline_ns);
}

SELDOM static int64_t operate_otherwise(uint64_t address, uint64_t operation, uint64_t value,
                                        uint64_t timeout, uint64_t address2, uint64_t value3)
{
    const struct requeue two = {address, address2, (int32_t)value, (int32_t)timeout};
    uint32_t expected = (uint32_t)value3;
    switch (command_of(operation)) {
    case FUTEX_REQUEUE:
        return requeue(&two, NULL);
    case FUTEX_CMP_REQUEUE:
        return requeue(&two, &expected);
    case FUTEX_WAKE_OP:
        return wake_with_operation(&two, expected);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
        return lock_with_inheritance(address, operation, timeout);
    case FUTEX_TRYLOCK_PI:
        return pi_futex_try_lock(address);
    case FUTEX_UNLOCK_PI:
        return pi_futex_unlock(address);
    default:
        return -ENOSYS;
    }
}

SELDOM static int64_t operate_any(uint64_t address, uint64_t operation, uint64_t value,
                                  uint64_t timeout, uint64_t address2, uint64_t value3)
{
    uint32_t command = command_of(operation);
    bool is_wait = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET;
    if (is_wait && timeout != 0) {
        return wait_until(address, operation, (uint32_t)value, timeout, (uint32_t)value3);
    }
    bool has_bits = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
    uint32_t bits = has_bits ? (uint32_t)value3 : POSIX_FUTEX_ANY;
    int64_t checked = bits == 0 ? -EINVAL : check(address, operation);
    if (checked != 0) {
        return checked;
    }
    if (is_wait) {
        return wait(address, (uint32_t)value, bits, GATE_NEVER);
    }
    if ((operation & FUTEX_PRIVATE_FLAG) == 0) {
        checked = check_shared(address, command);
        if (checked != 0) {
            return checked;
        }
    }
    if (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET) {
        return posix_futex_wake(address, (uint32_t)value, bits);
    }
    return operate_otherwise(address, operation, value, timeout, address2, value3);
}

/* Locks of threads wait and wake in two ways, which need none of the checks of the others; the rest
 * is apart, so that these save no registers for it.
 *
 * @impl ATL-LLR-FUTEX-0006~1 */
int64_t posix_futex(uint64_t address, uint64_t operation, uint64_t value, uint64_t timeout,
                    uint64_t address2, uint64_t value3)
{
    bool is_sound = (address & 3) == 0 && address >> USER_BITS == 0;
    if (is_sound && operation == (FUTEX_WAKE | FUTEX_PRIVATE_FLAG)) {
        return posix_futex_wake(address, (uint32_t)value, POSIX_FUTEX_ANY);
    }
    if (is_sound && operation == (FUTEX_WAIT | FUTEX_PRIVATE_FLAG) && timeout == 0) {
        return wait(address, (uint32_t)value, POSIX_FUTEX_ANY, GATE_NEVER);
    }
    return operate_any(address, operation, value, timeout, address2, value3);
}
