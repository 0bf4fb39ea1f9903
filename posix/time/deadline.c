/* SPDX-License-Identifier: Apache-2.0 */
/* The deadlines of each core and the service thread that waits for them (posix/deadline.h). */
#include "../core/internal.h"
#include "deadline_heap.h"

#include <posix/time.h>

#define CORES_MAX 64u

struct service {
    alignas(64) struct posix_lock lock; /* guards root and handle */
    struct posix_lock calling;          /* held while an expire runs; taken before lock */
    struct posix_deadline *root;
    uint64_t handle; /* of the service thread, 0: none yet */
};

static struct service services[CORES_MAX];

/* Runs one deadline that is over; false if there is none, and then *next_ns is the first to come.
 */
static bool serve_one(struct service *service, uint64_t *next_ns)
{
    posix_lock_acquire(&service->calling);
    posix_lock_acquire(&service->lock);
    struct posix_deadline *first = service->root;
    *next_ns = first != NULL ? first->at_ns : GATE_NEVER;
    bool is_over = first != NULL && first->at_ns <= posix_now_ns();
    if (is_over) {
        deadline_heap_remove(&service->root, first);
        first->at_ns = GATE_NEVER;
    }
    posix_lock_release(&service->lock);
    if (is_over) {
        first->expire(first);
    }
    posix_lock_release(&service->calling);
    return is_over;
}

noreturn void posix_deadline_serve(void)
{
    struct service *service = &services[posix_core() % CORES_MAX];
    for (;;) {
        uint64_t next_ns;
        if (!serve_one(service, &next_ns)) {
            gate_park(next_ns, 0); /* what is set from now on gives us a permit */
        }
    }
}

/* The lock is held. */
static int64_t start_service(struct service *service, uint32_t core)
{
    int64_t handle = posix_service_start(core, posix_deadline_serve);
    if (handle >= 0) {
        service->handle = (uint64_t)handle;
    }
    return handle >= 0 ? 0 : handle;
}

int64_t posix_deadline_initialize(struct posix_deadline *deadline, posix_deadline_expire expire)
{
    uint32_t core = posix_core();
    struct service *service = &services[core % CORES_MAX];
    *deadline = (struct posix_deadline){.expire = expire, .core = core, .at_ns = GATE_NEVER};
    posix_lock_acquire(&service->lock);
    int64_t result = service->handle != 0 ? 0 : start_service(service, core);
    posix_lock_release(&service->lock);
    return result;
}

/* @impl ATL-LLR-TIMER-0002~1 */
void posix_deadline_set(struct posix_deadline *deadline, uint64_t at_ns)
{
    struct service *service = &services[deadline->core % CORES_MAX];
    posix_lock_acquire(&service->lock);
    if (deadline->at_ns != GATE_NEVER) {
        deadline_heap_remove(&service->root, deadline);
    }
    deadline->at_ns = at_ns;
    if (at_ns != GATE_NEVER) {
        deadline_heap_insert(&service->root, deadline);
    }
    /* A root that went is no reason to wake anybody: the service thread finds out when it wakes. */
    bool is_first = service->root == deadline;
    uint64_t handle = service->handle;
    posix_lock_release(&service->lock);
    if (is_first) {
        gate_unpark(handle, 0);
    }
}

/* @impl ATL-LLR-TIMER-0002~1 */
void posix_deadline_cancel(struct posix_deadline *deadline)
{
    struct service *service = &services[deadline->core % CORES_MAX];
    posix_lock_acquire(&service->calling); /* now no expire sets it again */
    posix_deadline_set(deadline, GATE_NEVER);
    posix_lock_release(&service->calling);
}
