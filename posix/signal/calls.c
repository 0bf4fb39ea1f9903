/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux calls about signals. */
#include "../core/internal.h"
#include "internal.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define SET_BYTES 8u
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define STACK_BYTES_MIN 2048u /* MINSIGSTKSZ */

static bool is_signal(int32_t signal)
{
    return signal >= 1 && signal <= POSIX_SIGNAL_COUNT;
}

/* @impl ATL-LLR-SIGNAL-0040~1 */
int64_t posix_rt_sigaction(uint64_t number, uint64_t from, uint64_t to, uint64_t set_bytes)
{
    int32_t signal = (int32_t)number;
    bool is_fixed = signal == SIGKILL || signal == SIGSTOP;
    if (set_bytes != SET_BYTES || !is_signal(signal) || (from != 0 && is_fixed)) {
        return -EINVAL;
    }
    struct posix_signal_action action;
    if (from != 0 && posix_copy_in(&action, from, sizeof(action)) != 0) {
        return -EFAULT;
    }
    struct posix_signal_action old =
        posix_signal_action_exchange(signal, from != 0 ? &action : NULL);
    return to != 0 ? posix_copy_out(to, &old, sizeof(old)) : 0;
}

/* @impl ATL-LLR-SIGNAL-0041~1 */
int64_t posix_rt_sigprocmask(uint64_t how, uint64_t from, uint64_t to, uint64_t set_bytes)
{
    if (set_bytes != SET_BYTES) {
        return -EINVAL;
    }
    struct posix_thread *self = posix_self();
    uint64_t old = atomic_load_explicit(&self->blocked, memory_order_relaxed);
    if (from != 0) {
        uint64_t set;
        if (posix_copy_in(&set, from, sizeof(set)) != 0) {
            return -EFAULT;
        }
        switch ((int32_t)how) {
        case SIG_BLOCK:
            set = old | set;
            break;
        case SIG_UNBLOCK:
            set = old & ~set;
            break;
        case SIG_SETMASK:
            break;
        default:
            return -EINVAL;
        }
        posix_signal_set_blocked(self, set);
    }
    return to != 0 ? posix_copy_out(to, &old, sizeof(old)) : 0;
}

int64_t posix_rt_sigpending(uint64_t to, uint64_t set_bytes)
{
    if (set_bytes > SET_BYTES) {
        return -EINVAL;
    }
    const struct posix_thread *self = posix_self();
    uint64_t set = posix_signal_pending_set(self) & atomic_load(&self->blocked);
    return posix_copy_out(to, &set, set_bytes);
}

/* Nothing but a signal ends it. */
static int64_t wait_for_signal(void)
{
    static const _Atomic uint32_t never_woken = 0;
    posix_park(&never_woken, GATE_NEVER);
    return -ERESTARTNOHAND;
}

int64_t posix_pause(void)
{
    return wait_for_signal();
}

/* @impl ATL-LLR-SIGNAL-0042~1 */
int64_t posix_rt_sigsuspend(uint64_t from, uint64_t set_bytes)
{
    uint64_t set;
    if (set_bytes != SET_BYTES) {
        return -EINVAL;
    }
    if (posix_copy_in(&set, from, sizeof(set)) != 0) {
        return -EFAULT;
    }
    struct posix_thread *self = posix_self();
    self->suspended_mask = atomic_load(&self->blocked);
    self->has_suspended_mask = true;
    posix_signal_set_blocked(self, set);
    return wait_for_signal();
}

static int64_t store_info(uint64_t to, const struct posix_signal_info *info)
{
    if (to != 0 && posix_copy_out(to, info, sizeof(*info)) != 0) {
        return -EFAULT;
    }
    return info->signal;
}

/* @impl ATL-LLR-SIGNAL-0043~1 */
int64_t posix_rt_sigtimedwait(uint64_t from, uint64_t info_to, uint64_t timeout_from,
                              uint64_t set_bytes)
{
    uint64_t set;
    uint64_t deadline_ns = GATE_NEVER;
    if (set_bytes != SET_BYTES) {
        return -EINVAL;
    }
    if (posix_copy_in(&set, from, sizeof(set)) != 0) {
        return -EFAULT;
    }
    if (timeout_from != 0) {
        struct posix_timespec timeout;
        if (posix_copy_in(&timeout, timeout_from, sizeof(timeout)) != 0) {
            return -EFAULT;
        }
        if (!posix_timespec_is_valid(&timeout)) {
            return -EINVAL;
        }
        deadline_ns = posix_deadline_after(posix_timespec_to_ns(&timeout));
    }
    set &= ~(posix_signal_bit(SIGKILL) | posix_signal_bit(SIGSTOP));
    struct posix_thread *self = posix_self();
    struct posix_signal_info info;
    if (posix_signal_take(self, set, &info)) {
        return store_info(info_to, &info);
    }
    /* Open to the set while waiting, so that a sender chooses and wakes us. */
    static const _Atomic uint32_t never_woken = 0;
    uint64_t blocked = atomic_load(&self->blocked);
    atomic_store(&self->awaited, blocked);
    posix_signal_set_blocked(self, blocked & ~set);
    int64_t waited = posix_park(&never_woken, deadline_ns);
    bool taken = posix_signal_take(self, set, &info);
    posix_signal_set_blocked(self, blocked);
    atomic_store(&self->awaited, 0);
    if (taken) {
        return store_info(info_to, &info);
    }
    return waited == -EINTR ? -EINTR : -EAGAIN;
}

/* @impl ATL-LLR-SIGNAL-0044~1 */
int64_t posix_sigaltstack(uint64_t from, uint64_t to)
{
    struct posix_thread *self = posix_self();
    struct posix_signal_stack old = self->signal_stack;
    struct posix_signal_stack new;
    bool is_on_stack = posix_is_on_signal_stack(&old, self->frame->rsp);
    if (from != 0) {
        if (posix_copy_in(&new, from, sizeof(new)) != 0) {
            return -EFAULT;
        }
        int32_t mode = new.flags & ~SS_AUTODISARM;
        if (is_on_stack) {
            return -EPERM;
        }
        if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE) {
            return -EINVAL;
        }
        if (mode == SS_DISABLE) {
            new = (struct posix_signal_stack){.flags = new.flags};
        } else if (new.bytes < STACK_BYTES_MIN) {
            return -ENOMEM;
        } else {
            new.flags &= ~SS_ONSTACK;
        }
        new.padding = 0;
        self->signal_stack = new;
    }
    if (is_on_stack && (old.flags & SS_DISABLE) == 0) {
        old.flags |= SS_ONSTACK;
    }
    return to != 0 ? posix_copy_out(to, &old, sizeof(old)) : 0;
}

static struct posix_signal_info info_of_sender(int32_t signal, int32_t code)
{
    struct posix_signal_info info = {.signal = signal, .code = code};
    info.sender.process = POSIX_PROCESS_ID; /* user 0 */
    return info;
}

/* After the process or thread was found: Linux looks at the number last. */
static int64_t check_signal(int32_t signal)
{
    return signal == 0 || is_signal(signal) ? 0 : -EINVAL;
}

/* Only this process exists; 0 means its group. @impl ATL-LLR-SIGNAL-0045~1 */
static bool found(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

/* A process is known by the number of each of its threads. */
static bool is_process(int32_t id)
{
    return id == POSIX_PROCESS_ID || posix_thread_visit(id, found, NULL);
}

int64_t posix_kill(uint64_t process, uint64_t number)
{
    int32_t id = (int32_t)process;
    int32_t signal = (int32_t)number;
    if (id != 0 && !is_process(id)) {
        return -ESRCH;
    }
    int64_t checked = check_signal(signal);
    if (checked != 0 || signal == 0) {
        return checked;
    }
    struct posix_signal_info info = info_of_sender(signal, SI_USER);
    return posix_signal_send(NULL, &info);
}

struct send_request {
    const struct posix_signal_info *info;
    int64_t result;
};

static bool send_to_thread(struct posix_thread *thread, void *context)
{
    struct send_request *request = context;
    int32_t signal = request->info->signal;
    request->result = check_signal(signal);
    if (request->result == 0 && signal != 0) {
        request->result = posix_signal_send(thread, request->info);
    }
    return true;
}

static int64_t send_to_id(int32_t id, const struct posix_signal_info *info)
{
    struct send_request request = {info, 0};
    return posix_thread_visit(id, send_to_thread, &request) ? request.result : -ESRCH;
}

int64_t posix_tkill(uint64_t thread, uint64_t number)
{
    struct posix_signal_info info = info_of_sender((int32_t)number, SI_TKILL);
    return (int32_t)thread <= 0 ? -EINVAL : send_to_id((int32_t)thread, &info);
}

int64_t posix_tgkill(uint64_t process, uint64_t thread, uint64_t number)
{
    if ((int32_t)process <= 0 || (int32_t)thread <= 0) {
        return -EINVAL;
    }
    return (int32_t)process == POSIX_PROCESS_ID ? posix_tkill(thread, number) : -ESRCH;
}

static int64_t load_info(uint64_t from, uint64_t number, struct posix_signal_info *info)
{
    if (posix_copy_in(info, from, sizeof(*info)) != 0) {
        return -EFAULT;
    }
    info->signal = (int32_t)number;
    return 0;
}

int64_t posix_rt_sigqueueinfo(uint64_t process, uint64_t number, uint64_t from)
{
    struct posix_signal_info info;
    int64_t loaded = load_info(from, number, &info);
    if (loaded != 0) {
        return loaded;
    }
    if (!is_process((int32_t)process)) {
        return -ESRCH;
    }
    int64_t checked = check_signal(info.signal);
    return checked != 0 || info.signal == 0 ? checked : posix_signal_send(NULL, &info);
}

int64_t posix_rt_tgsigqueueinfo(uint64_t process, uint64_t thread, uint64_t number, uint64_t from)
{
    struct posix_signal_info info;
    int64_t loaded = load_info(from, number, &info);
    if (loaded != 0) {
        return loaded;
    }
    if ((int32_t)process <= 0 || (int32_t)thread <= 0) {
        return -EINVAL;
    }
    return (int32_t)process == POSIX_PROCESS_ID ? send_to_id((int32_t)thread, &info) : -ESRCH;
}
