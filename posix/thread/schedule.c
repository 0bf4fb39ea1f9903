/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads run: affinity, and giving way to others. In what order they run is in policy.c. */
#include "../core/internal.h"

#include <posix/memory.h>
#include <posix/syscalls.h>

#define MASK_BYTES 8u

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
    /* Senders that still use the old handle have marked what is pending before: looked at next. */
    atomic_store(&self->handle, (uint64_t)handle);
    if (posix_core() != POSIX_CONSOLE_CORE) {
        (void)posix_console_serve_cores();
    }
    /* Who changed our policy meanwhile found no thread under the handle that it knew. */
    while (level != posix_scheduling_level(self)) {
        level = posix_scheduling_level(self);
        gate_thread_set(0, level, GATE_KEEP, 0);
    }
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
