/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads run: affinity, and giving way to others. In what order they run is in policy.c. */
#include "../core/internal.h"

#include <kernel/image.h>
#include <posix/memory.h>
#include <posix/syscalls.h>

#define MASK_BYTES 8u
<<<<<<< HEAD
=======
#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_DEADLINE 6
#define SCHED_RESET_ON_FORK 0x40000000
#define REALTIME_PRIORITY_MAX 99
#define NICE_BIAS 20 /* getpriority returns 20 - nice */
>>>>>>> 954c2cc (posix: answer as Linux does where random calls found that it did not)

int64_t posix_sched_yield(void)
{
    gate_park(0, GATE_PARK_KEEP_EXTENDED);
    return 0;
}

struct affinity_request {
    uint64_t mask;
    bool is_self;
};

static bool read_affinity(struct posix_thread *thread, void *context)
{
    ((struct affinity_request *)context)->mask = atomic_load(&thread->affinity);
    return true;
}

static bool write_affinity(struct posix_thread *thread, void *context)
{
    struct affinity_request *request = context;
    atomic_store(&thread->affinity, request->mask);
    atomic_store(&thread->has_to_move, true);
    request->is_self = thread == posix_self();
    posix_thread_interrupt(thread);
    return true;
}

static int32_t id_or_self(uint64_t id)
{
    return (int32_t)id != 0 ? (int32_t)id : posix_self()->id;
}

/* @impl ATL-LLR-POSIX-0050~1 */
int64_t posix_sched_getaffinity(uint64_t id, uint64_t bytes, uint64_t to)
{
    struct affinity_request request = {0};
    if ((uint32_t)bytes < MASK_BYTES || (uint32_t)bytes % sizeof(uint64_t) != 0) {
        return -EINVAL;
    }
    if (!posix_thread_visit(id_or_self(id), read_affinity, &request)) {
        return -ESRCH;
    }
    return posix_copy_out(to, &request.mask, MASK_BYTES) == 0 ? (int64_t)MASK_BYTES : -EFAULT;
}

/* @impl ATL-LLR-POSIX-0051~1 */
int64_t posix_sched_setaffinity(uint64_t id, uint64_t bytes, uint64_t from)
{
    struct affinity_request request = {0};
    uint64_t known = (uint32_t)bytes < MASK_BYTES ? (uint32_t)bytes : MASK_BYTES;
    if (posix_copy_in(&request.mask, from, known) != 0) {
        return -EFAULT;
    }
    request.mask &= posix_core_mask();
    if (request.mask == 0) {
        return -EINVAL;
    }
    if (!posix_thread_visit(id_or_self(id), write_affinity, &request)) {
        return -ESRCH;
    }
    return request.is_self ? posix_thread_settle(posix_self()) : 0;
}

/* The kernel may move threads that are outside posix/, and has to know to where. */
static bool placement_is_balanced(void)
{
    return (posix_image()->flags & IMAGE_FLAG_BALANCED) != 0;
}

int64_t posix_thread_settle(struct posix_thread *self)
{
    uint64_t mask = atomic_load(&self->affinity);
    bool is_allowed = (mask >> posix_core() & 1) != 0;
    if (is_allowed && !placement_is_balanced()) {
        return 0;
    }
    uint64_t core = is_allowed ? GATE_KEEP : (uint64_t)__builtin_ctzll(mask);
    uint64_t level = posix_scheduling_level(self);
    int64_t handle = gate_thread_set(0, level, core, mask);
    if (handle <= 0) {
        return handle == -EAGAIN ? -EAGAIN : -EINVAL;
    }
    /* Who changed our policy while we moved found no thread under the handle that it knew. */
    while (level != posix_scheduling_level(self)) {
        level = posix_scheduling_level(self);
        gate_thread_set(0, level, GATE_KEEP, 0);
    }
    /* Senders that still use the old handle have marked what is pending before: looked at next. */
    atomic_store(&self->handle, (uint64_t)handle);
    posix_words.pending = 1;
    return 0;
}

int64_t posix_getcpu(uint64_t core_to, uint64_t node_to, uint64_t cache)
{
    (void)cache;
    if (core_to != 0 && posix_store_u32(core_to, posix_core()) != 0) {
        return -EFAULT;
    }
    return node_to != 0 ? posix_store_u32(node_to, 0) : 0;
}
<<<<<<< HEAD
=======

static bool exists(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

static int64_t check_thread(uint64_t id)
{
    if ((int32_t)id < 0) {
        return -EINVAL;
    }
    return posix_thread_visit(id_or_self(id), exists, NULL) ? 0 : -ESRCH;
}

int64_t posix_sched_getscheduler(uint64_t id)
{
    int64_t checked = check_thread(id);
    return checked != 0 ? checked : SCHED_OTHER;
}

int64_t posix_sched_getparam(uint64_t id, uint64_t to)
{
    int64_t checked = to == 0 ? -EINVAL : check_thread(id);
    return checked != 0 ? checked : posix_store_u32(to, 0);
}

static int64_t check_parameters(uint64_t id, int32_t policy, uint64_t from)
{
    uint32_t priority;
    int64_t checked = from == 0 ? -EINVAL : check_thread(id);
    if (checked != 0) {
        return checked;
    }
    if (posix_load_u32(from, &priority) != 0) {
        return -EFAULT;
    }
    switch (policy) {
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
        return priority == 0 ? 0 : -EINVAL;
    case SCHED_FIFO:
    case SCHED_RR:
        return priority >= 1 && priority <= REALTIME_PRIORITY_MAX ? -EPERM : -EINVAL;
    default:
        return -EINVAL;
    }
}

int64_t posix_sched_setparam(uint64_t id, uint64_t from)
{
    return check_parameters(id, SCHED_OTHER, from);
}

int64_t posix_sched_setscheduler(uint64_t id, uint64_t policy, uint64_t from)
{
    return check_parameters(id, (int32_t)policy & ~SCHED_RESET_ON_FORK, from);
}

int64_t posix_sched_get_priority_max(uint64_t policy)
{
    switch ((int32_t)policy) {
    case SCHED_FIFO:
    case SCHED_RR:
        return REALTIME_PRIORITY_MAX;
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
    case SCHED_DEADLINE:
        return 0;
    default:
        return -EINVAL;
    }
}

int64_t posix_sched_get_priority_min(uint64_t policy)
{
    int64_t highest = posix_sched_get_priority_max(policy);
    return highest > 0 ? 1 : highest;
}

int64_t posix_sched_rr_get_interval(uint64_t id, uint64_t to)
{
    int64_t checked = check_thread(id);
    struct posix_timespec quantum = posix_timespec_of_ns(posix_image()->quantum_us * 1000ull);
    return checked != 0 ? checked : posix_copy_out(to, &quantum, sizeof(quantum));
}

#define PRIO_USER 2

int64_t posix_getpriority(uint64_t which, uint64_t who)
{
    (void)who;
    return (uint32_t)which <= PRIO_USER ? NICE_BIAS : -EINVAL;
}

int64_t posix_setpriority(uint64_t which, uint64_t who, uint64_t nice)
{
    (void)who;
    if ((uint32_t)which > PRIO_USER) {
        return -EINVAL;
    }
    return (int32_t)nice >= 0 ? 0 : -EACCES;
}
>>>>>>> 954c2cc (posix: answer as Linux does where random calls found that it did not)
