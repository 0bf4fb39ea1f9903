/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd: pending signals, read instead of delivered. What is ready depends on who asks: a thread
 * sees its own pending signals and those of the process. All signal files are on one list, whose
 * lock guards everything here; who sends a signal tells them through posix_signal_observe. */
#include "event.h"

#include <posix/syscalls.h>

#define SET_BYTES 8u
#define SET_UNREADABLE (posix_signal_bit(SIGKILL) | posix_signal_bit(SIGSTOP))

struct signal_file {
    struct signal_file *next, *previous;
    struct posix_file *file;
    struct posix_wait_queue readers;
    uint64_t set;
};

static struct posix_lock lock;
static struct signal_file *first;

/* Linux's struct signalfd_siginfo. */
struct linux_signal_record {
    uint32_t signal;
    int32_t error, code;
    uint32_t process, user;
    int32_t descriptor;
    uint32_t timer, band, overrun, trap;
    int32_t status, value_int;
    uint64_t value, user_time, system_time, address;
    uint16_t address_bits, padding;
    int32_t call;
    uint64_t call_address;
    uint32_t architecture;
    uint8_t reserved[28];
};
_Static_assert(sizeof(struct linux_signal_record) == 128, "struct signalfd_siginfo");

/* @impl ATL-LLR-EVENT-0033~1 */
static void signal_came(int signal)
{
    uint64_t bit = posix_signal_bit(signal);
    posix_lock_acquire(&lock);
    for (struct signal_file *at = first; at != NULL; at = at->next) {
        if ((at->set & bit) != 0) {
            posix_wake(&at->readers, UINT32_MAX); /* who of them may have it, they know */
            posix_file_notify(at->file, POSIX_POLL_IN);
        }
    }
    posix_lock_release(&lock);
}

static bool is_fault(const struct posix_signal_info *info)
{
    return info->code > 0 && info->code != SI_KERNEL;
}

static struct linux_signal_record record_of(const struct posix_signal_info *info)
{
    struct linux_signal_record record = {
        .signal = (uint32_t)info->signal,
        .error = info->error,
        .code = info->code,
    };
    if (is_fault(info)) {
        record.address = info->fault.address;
        return record;
    }
    if (info->code == SI_TIMER) {
        record.timer = (uint32_t)info->timer.id;
        record.overrun = (uint32_t)info->timer.overrun;
        record.value = info->timer.value;
    } else {
        record.process = (uint32_t)info->sender.process;
        record.user = info->sender.user;
        record.value = info->sender.value;
    }
    record.value_int = (int32_t)record.value;
    return record;
}

/* Takes one signal of the file's set; waits if it may. The lock is not held while one is taken. */
static int64_t take(struct posix_file *file, bool may_wait, struct posix_signal_info *info)
{
    struct signal_file *signals = file->context;
    struct posix_thread *self = posix_self();
    for (;;) {
        posix_lock_acquire(&lock);
        uint64_t set = signals->set;
        if ((posix_signal_pending_set(self) & set) != 0) {
            posix_lock_release(&lock);
            if (posix_signal_take(self, set, info)) {
                return 0;
            }
        } else if (!may_wait) {
            posix_lock_release(&lock);
            return -EAGAIN;
        } else if (posix_wait(&signals->readers, &lock, GATE_NEVER) != 0) {
            return -ERESTARTSYS;
        }
    }
}

/* @impl ATL-LLR-EVENT-0032~1 */
static int64_t signalfd_read(struct posix_file *file, struct posix_transfer *to)
{
    int64_t done = 0;
    if (to->remaining < sizeof(struct linux_signal_record)) {
        return -EINVAL;
    }
    while (to->remaining >= sizeof(struct linux_signal_record)) {
        struct posix_signal_info info;
        int64_t result = take(file, done == 0 && !event_is_nonblocking(file), &info);
        if (result == 0) {
            struct linux_signal_record record = record_of(&info);
            bool is_stored = posix_transfer_out(to, &record, sizeof(record)) == sizeof(record);
            result = is_stored ? 0 : -EFAULT;
        }
        if (result != 0) {
            return done != 0 ? done : result;
        }
        done += sizeof(struct linux_signal_record);
    }
    return done;
}

static uint32_t signalfd_poll(struct posix_file *file)
{
    const struct signal_file *signals = file->context;
    posix_lock_acquire(&lock);
    bool is_ready = (posix_signal_pending_set(posix_self()) & signals->set) != 0;
    posix_lock_release(&lock);
    return is_ready ? POSIX_POLL_IN : 0;
}

static void signalfd_release(struct posix_file *file)
{
    struct signal_file *signals = file->context;
    posix_lock_acquire(&lock);
    if (signals->previous != NULL) {
        signals->previous->next = signals->next;
    } else {
        first = signals->next;
    }
    if (signals->next != NULL) {
        signals->next->previous = signals->previous;
    }
    posix_lock_release(&lock);
    posix_free(signals);
}

static const struct posix_file_operations signalfd_operations = {
    .read = signalfd_read,
    .stat = event_stat_anonymous,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .ignores_seeking = true,
};

static int64_t create(uint64_t set, uint32_t flags)
{
    struct signal_file *signals = posix_allocate(sizeof(*signals));
    struct posix_file *file =
        posix_file_create(&signalfd_operations, (flags & POSIX_O_NONBLOCK) | POSIX_O_RDWR, signals);
    if (signals == NULL || file == NULL) {
        posix_free(signals);
        posix_free(file);
        return -ENOMEM;
    }
    signals->file = file;
    signals->set = set;
    posix_lock_acquire(&lock);
    signals->next = first;
    if (first != NULL) {
        first->previous = signals;
    }
    first = signals;
    posix_lock_release(&lock);
    posix_signal_observe(signal_came);
    int64_t result = posix_descriptor_install(file, (flags & POSIX_O_CLOEXEC) != 0, 0);
    if (result < 0) {
        posix_file_put(file);
    }
    return result;
}

static int64_t change(uint64_t descriptor, uint64_t set)
{
    struct posix_file *file = posix_file_get(descriptor);
    if (file == NULL) {
        return -EBADF;
    }
    int64_t result = -EINVAL;
    if (file->operations == &signalfd_operations) {
        struct signal_file *signals = file->context;
        posix_lock_acquire(&lock);
        signals->set = set;
        posix_wake(&signals->readers, UINT32_MAX);
        posix_file_notify(file, POSIX_POLL_IN);
        posix_lock_release(&lock);
        result = (int64_t)(uint32_t)descriptor;
    }
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-EVENT-0032~1 */
int64_t posix_signalfd4(uint64_t descriptor, uint64_t from, uint64_t bytes, uint64_t wanted)
{
    uint64_t set;
    uint32_t flags = (uint32_t)wanted;
    if (bytes != SET_BYTES) {
        return -EINVAL;
    }
    if (posix_copy_in(&set, from, sizeof(set)) != 0) {
        return -EFAULT;
    }
    if ((flags & ~(POSIX_O_NONBLOCK | POSIX_O_CLOEXEC)) != 0) {
        return -EINVAL;
    }
    set &= ~SET_UNREADABLE;
    return (int32_t)descriptor == -1 ? create(set, flags) : change(descriptor, set);
}

int64_t posix_signalfd(uint64_t descriptor, uint64_t from, uint64_t bytes)
{
    return posix_signalfd4(descriptor, from, bytes, 0);
}
