/* SPDX-License-Identifier: Apache-2.0 */
/* In what order threads run: the policies and priorities of Linux on the 32 fixed priorities of the
 * kernel. A thread of a higher level runs whenever it can, one of a lower level only when no other
 * thread of its core can; there is no share that is kept for anybody.
 *
 *   0       SCHED_IDLE
 *   1       SCHED_OTHER and SCHED_BATCH, whatever their nice value, round robin
 *   2..28   SCHED_FIFO and SCHED_RR: 1, 2, 3, 4 each its own level, then groups of five from 5..9
 * to 90..94, then 95 to 99 each its own level 31      the service threads of deadlines */
#include "../core/internal.h"
#include "pi_futex.h"

#include <posix/memory.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_DEADLINE 6
#define SCHED_RESET_ON_FORK 0x40000000
#define REALTIME_PRIORITY_MAX 99
#define LEVEL_IDLE 0u
#define LEVEL_OTHER ((uint32_t)GATE_PRIORITY_DEFAULT)
#define LEVEL_REALTIME (LEVEL_OTHER + 1)

#define NICE_MIN (-20)
#define NICE_MAX 19
#define NICE_BIAS 20 /* getpriority returns 20 - nice */

#define FLAG_RESET_ON_FORK 0x01u
#define FLAG_KEEP_POLICY 0x08u
#define FLAG_KEEP_PARAMETERS 0x10u
#define ATTRIBUTES_BYTES_MIN 48u
#define ATTRIBUTES_BYTES_MAX 4096u

/* Linux's struct sched_attr. */
struct attributes {
    uint32_t bytes, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilisation_min, utilisation_max;
};
_Static_assert(sizeof(struct attributes) == 56, "Linux's struct sched_attr");

static bool is_realtime(int32_t policy)
{
    return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* @impl ATL-LLR-SCHEDULE-0001~1 */
static uint32_t level_of(const struct posix_scheduling *scheduling)
{
    uint32_t priority = scheduling->priority;
    if (!is_realtime(scheduling->policy)) {
        return scheduling->policy == SCHED_IDLE ? LEVEL_IDLE : LEVEL_OTHER;
    }
    uint32_t step = priority - 1;
    if (priority >= 95) {
        step = 22 + priority - 95;
    } else if (priority >= 5) {
        step = 4 + (priority - 5) / 5;
    }
    return LEVEL_REALTIME + step + (scheduling->policy == SCHED_FIFO ? GATE_PRIORITY_FIFO : 0);
}

uint32_t posix_scheduling_level(struct posix_thread *thread)
{
    struct posix_scheduling scheduling = atomic_load(&thread->scheduling);
    uint32_t own = level_of(&scheduling);
    uint32_t inherited = atomic_load(&thread->inherited_level);
    bool is_higher = inherited % GATE_PRIORITY_COUNT > own % GATE_PRIORITY_COUNT;
    return is_higher ? inherited : own;
}

/* @impl ATL-LLR-SCHEDULE-0002~1 */
struct posix_scheduling posix_scheduling_inherited(struct posix_thread *parent)
{
    struct posix_scheduling scheduling = atomic_load(&parent->scheduling);
    if (scheduling.reset_on_fork) {
        int8_t nice = is_realtime(scheduling.policy) || scheduling.nice < 0 ? 0 : scheduling.nice;
        uint8_t policy = is_realtime(scheduling.policy) ? SCHED_OTHER : scheduling.policy;
        return (struct posix_scheduling){.policy = policy, .nice = nice};
    }
    return scheduling;
}

struct change {
    struct posix_scheduling scheduling;
    uint64_t handle; /* of the thread that was changed */
    uint32_t level;
};

static bool read_scheduling(struct posix_thread *thread, void *context)
{
    *(struct posix_scheduling *)context = atomic_load(&thread->scheduling);
    return true;
}

static bool look_again(struct posix_thread *thread, void *context)
{
    struct change *change = context;
    change->level = posix_scheduling_level(thread);
    change->handle = atomic_load(&thread->is_at_ceiling) ? 0 : atomic_load(&thread->handle);
    return true;
}

static bool write_scheduling(struct posix_thread *thread, void *context)
{
    struct change *change = context;
    atomic_store(&thread->scheduling, change->scheduling);
    return look_again(thread, context);
}

static int32_t id_or_self(uint64_t id)
{
    return (int32_t)id != 0 ? (int32_t)id : posix_self()->id;
}

static int64_t load_scheduling(uint64_t id, struct posix_scheduling *scheduling)
{
    if ((int32_t)id < 0) {
        return -EINVAL;
    }
    return posix_thread_visit(id_or_self(id), read_scheduling, scheduling) ? 0 : -ESRCH;
}

/* A thread that has no handle yet, or another one by now, looks at its record when it goes on. */
static int64_t store_scheduling(uint64_t id, struct posix_scheduling scheduling)
{
    struct change change = {.scheduling = scheduling};
    if (!posix_thread_visit(id_or_self(id), write_scheduling, &change)) {
        return -ESRCH;
    }
    /* Until what we told the kernel holds: others may wait for the thread, or not any more. */
    bool is_told = false;
    uint32_t told = 0;
    while (change.handle > HANDLE_AWAITED && !(is_told && told == change.level)) {
        told = change.level;
        is_told = true;
        gate_thread_set(change.handle, told, GATE_KEEP, 0);
        if (!posix_thread_visit(id_or_self(id), look_again, &change)) {
            break;
        }
    }
    pi_futex_policy_changed(id_or_self(id));
    return 0;
}

/* @impl ATL-LLR-SCHEDULE-0003~1 */
static int64_t check(int32_t policy, uint32_t priority)
{
    switch (policy) {
    case SCHED_OTHER:
    case SCHED_BATCH:
    case SCHED_IDLE:
        return priority == 0 ? 0 : -EINVAL;
    case SCHED_FIFO:
    case SCHED_RR:
        return priority >= 1 && priority <= REALTIME_PRIORITY_MAX ? 0 : -EINVAL;
    default:
        return -EINVAL; /* SCHED_DEADLINE too: no time is kept for anybody */
    }
}

/* What the three ways to change a policy have in common; nice stays. */
static int64_t change_policy(uint64_t id, int32_t policy, bool resets, uint64_t from)
{
    uint32_t priority;
    if (from == 0 || (int32_t)id < 0) {
        return -EINVAL;
    }
    if (posix_load_u32(from, &priority) != 0) {
        return -EFAULT;
    }
    struct posix_scheduling scheduling;
    int64_t result = load_scheduling(id, &scheduling);
    if (result != 0) {
        return result;
    }
    if (policy >= 0) {
        scheduling.policy = (uint8_t)policy;
        scheduling.reset_on_fork = resets;
    }
    result = check(policy >= 0 ? policy : scheduling.policy, priority);
    scheduling.priority = (uint8_t)priority;
    return result != 0 ? result : store_scheduling(id, scheduling);
}

int64_t posix_sched_setparam(uint64_t id, uint64_t from)
{
    return change_policy(id, -1, false, from);
}

int64_t posix_sched_setscheduler(uint64_t id, uint64_t policy, uint64_t from)
{
    bool resets = (policy & SCHED_RESET_ON_FORK) != 0;
    int32_t wanted = (int32_t)policy & ~SCHED_RESET_ON_FORK;
    return wanted < 0 ? -EINVAL : change_policy(id, wanted, resets, from);
}

int64_t posix_sched_getscheduler(uint64_t id)
{
    struct posix_scheduling scheduling;
    int64_t result = load_scheduling(id, &scheduling);
    int32_t flag = scheduling.reset_on_fork ? SCHED_RESET_ON_FORK : 0;
    return result != 0 ? result : (int64_t)(scheduling.policy | flag);
}

int64_t posix_sched_getparam(uint64_t id, uint64_t to)
{
    struct posix_scheduling scheduling;
    int64_t result = to == 0 ? -EINVAL : load_scheduling(id, &scheduling);
    return result != 0 ? result : posix_store_u32(to, scheduling.priority);
}

/* Copies what the caller knows of the structure; what it knows beyond us must be zero. */
static int64_t load_attributes(uint64_t from, struct attributes *attributes)
{
    uint32_t bytes;
    if (posix_load_u32(from, &bytes) != 0) {
        return -EFAULT;
    }
    bytes = bytes == 0 ? ATTRIBUTES_BYTES_MIN : bytes;
    int64_t result = bytes < ATTRIBUTES_BYTES_MIN || bytes > ATTRIBUTES_BYTES_MAX ? -E2BIG : 0;
    *attributes = (struct attributes){0};
    uint32_t known = bytes < sizeof(*attributes) ? bytes : (uint32_t)sizeof(*attributes);
    if (result == 0 && posix_copy_in(attributes, from, known) != 0) {
        return -EFAULT;
    }
    for (uint32_t at = known; result == 0 && at < bytes; at++) {
        uint8_t byte;
        if (posix_copy_in(&byte, from + at, 1) != 0) {
            return -EFAULT;
        }
        result = byte != 0 ? -E2BIG : 0;
    }
    if (result == -E2BIG) {
        posix_store_u32(from, (uint32_t)sizeof(*attributes)); /* what we know; as Linux */
    }
    return result;
}

static int8_t clamp_nice(int32_t nice)
{
    if (nice < NICE_MIN) {
        return NICE_MIN;
    }
    return nice > NICE_MAX ? NICE_MAX : (int8_t)nice;
}

/* @impl ATL-LLR-SCHEDULE-0004~1 */
int64_t posix_sched_setattr(uint64_t id, uint64_t from, uint64_t flags)
{
    struct attributes wanted;
    struct posix_scheduling scheduling;
    if (from == 0 || (int32_t)id < 0 || (uint32_t)flags != 0) {
        return -EINVAL;
    }
    int64_t result = load_attributes(from, &wanted);
    if (result == 0 && ((int32_t)wanted.policy < 0 || (wanted.flags & ~0x7full) != 0)) {
        result = -EINVAL;
    }
    if (result == 0) {
        result = load_scheduling(id, &scheduling);
    }
    if (result != 0) {
        return result;
    }
    if ((wanted.flags &
         ~(uint64_t)(FLAG_RESET_ON_FORK | FLAG_KEEP_POLICY | FLAG_KEEP_PARAMETERS)) != 0) {
        return -EOPNOTSUPP; /* deadlines, bounds of utilisation */
    }
    if ((wanted.flags & FLAG_KEEP_POLICY) != 0) {
        wanted.policy = scheduling.policy;
    }
    if ((wanted.flags & FLAG_KEEP_PARAMETERS) != 0) {
        wanted.priority = scheduling.priority;
        wanted.nice = scheduling.nice;
    }
    result = check((int32_t)wanted.policy, wanted.priority);
    if (result != 0) {
        return result;
    }
    scheduling = (struct posix_scheduling){
        .policy = (uint8_t)wanted.policy,
        .priority = (uint8_t)wanted.priority,
        .nice = is_realtime((int32_t)wanted.policy) ? scheduling.nice : clamp_nice(wanted.nice),
        .reset_on_fork = (wanted.flags & FLAG_RESET_ON_FORK) != 0,
    };
    return store_scheduling(id, scheduling);
}

int64_t posix_sched_getattr(uint64_t id, uint64_t to, uint64_t bytes, uint64_t flags)
{
    struct posix_scheduling scheduling;
    uint32_t room = (uint32_t)bytes;
    if (to == 0 || room < ATTRIBUTES_BYTES_MIN || room > ATTRIBUTES_BYTES_MAX ||
        (uint32_t)flags != 0) {
        return -EINVAL;
    }
    int64_t result = load_scheduling(id, &scheduling);
    if (result != 0) {
        return result;
    }
    struct attributes attributes = {
        .bytes = room < sizeof(attributes) ? room : (uint32_t)sizeof(attributes),
        .policy = scheduling.policy,
        .flags = scheduling.reset_on_fork ? FLAG_RESET_ON_FORK : 0,
        .nice = is_realtime(scheduling.policy) ? 0 : scheduling.nice,
        .priority = scheduling.priority,
    };
    return posix_copy_out(to, &attributes, attributes.bytes);
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
    struct posix_scheduling scheduling;
    int64_t result = load_scheduling(id, &scheduling);
    uint64_t quantum_ns = posix_image()->quantum_us * 1000ull;
    struct posix_timespec quantum =
        posix_timespec_of_ns(scheduling.policy == SCHED_FIFO ? 0 : quantum_ns);
    return result != 0 ? result : posix_copy_out(to, &quantum, sizeof(quantum));
}

#define PRIO_PROCESS 0
#define PRIO_GROUP 1
#define PRIO_USER 2

/* Finds the best nice value, or changes all. */
struct nice_request {
    int32_t nice;
    bool is_change;
};

static bool visit_nice(struct posix_thread *thread, void *context)
{
    struct nice_request *request = context;
    struct posix_scheduling scheduling = atomic_load(&thread->scheduling);
    if (request->is_change) {
        scheduling.nice = (int8_t)request->nice;
        atomic_store(&thread->scheduling, scheduling);
    } else if (scheduling.nice < request->nice) {
        request->nice = scheduling.nice;
    }
    return false;
}

/* Of one thread, or of all if they are the group or the user that is named. */
static int64_t visit_those(uint32_t which, uint64_t who, struct nice_request *request)
{
    int32_t id = (int32_t)who;
    struct posix_scheduling scheduling;
    if (which > PRIO_USER) {
        return -EINVAL;
    }
    if (which == PRIO_PROCESS) {
        if (id < 0 || !posix_thread_visit(id_or_self(who), read_scheduling, &scheduling)) {
            return -ESRCH;
        }
        posix_thread_visit(id_or_self(who), visit_nice, request);
        return 0;
    }
    if (id != 0 && (which == PRIO_USER || id != POSIX_PROCESS_ID)) {
        return -ESRCH;
    }
    posix_thread_visit_all(visit_nice, request);
    return 0;
}

/* Kept and told, without effect: threads of one level take turns. @impl ATL-LLR-SCHEDULE-0005~1 */
int64_t posix_getpriority(uint64_t which, uint64_t who)
{
    struct nice_request request = {.nice = NICE_MAX};
    int64_t result = visit_those((uint32_t)which, who, &request);
    return result != 0 ? result : NICE_BIAS - request.nice;
}

int64_t posix_setpriority(uint64_t which, uint64_t who, uint64_t nice)
{
    struct nice_request request = {clamp_nice((int32_t)nice), true};
    return visit_those((uint32_t)which, who, &request);
}
