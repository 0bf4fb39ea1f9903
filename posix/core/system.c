/* SPDX-License-Identifier: Apache-2.0 */
/* What the program can learn of the system and set for itself: names, memory, limits, randomness.
 */
#include "internal.h"

#include <kernel/image.h>
#include <posix/file.h>
#include <posix/memory.h>
#include <posix/syscalls.h>
#include <posix/time.h>

#define NAME_BYTES 65u

/* Linux's struct new_utsname. */
struct system_name {
    char system[NAME_BYTES], node[NAME_BYTES], release[NAME_BYTES], version[NAME_BYTES],
        machine[NAME_BYTES], domain[NAME_BYTES];
};

static void set_name(char to[NAME_BYTES], const char *from)
{
    for (uint32_t i = 0; i < NAME_BYTES - 1 && from[i] != '\0'; i++) {
        to[i] = from[i];
    }
}

/* The release is the Linux whose calls are spoken: C libraries refuse to start on an old one. */
int64_t posix_uname(uint64_t to)
{
    struct system_name name = {0};
    set_name(name.system, "Linux");
    set_name(name.node, posix_image_string(posix_image()->host_name_offset));
    set_name(name.release, "6.1.0-atoll");
    set_name(name.version, "#1 SMP Atoll");
    set_name(name.machine, "x86_64");
    set_name(name.domain, "(none)");
    return posix_copy_out(to, &name, sizeof(name));
}

/* Linux's struct sysinfo. */
struct system_information {
    int64_t uptime_s;
    uint64_t loads[3], total, free, shared, buffered, swap_total, swap_free;
    uint16_t processes, padding;
    uint32_t padding_2;
    uint64_t high_total, high_free;
    uint32_t unit_bytes;
    uint32_t padding_3;
};
_Static_assert(sizeof(struct system_information) == 112, "Linux's struct sysinfo");

static uint64_t free_bytes(void)
{
    uint64_t frames = 0;
    for (uint32_t core = 0; core < posix_info.core_count; core++) {
        frames += posix_core_count(core, GATE_COUNT(frames_free));
    }
    return frames * POSIX_PAGE_BYTES;
}

int64_t posix_sysinfo(uint64_t to)
{
    struct system_information information = {
        .uptime_s = (int64_t)(posix_now_ns() / POSIX_NS_PER_S),
        .total = posix_info.memory_bytes,
        .free = free_bytes(),
        .processes = (uint16_t)posix_thread_count(),
        .unit_bytes = 1,
    };
    return posix_copy_out(to, &information, sizeof(information));
}

#define RANDOM_PIECE_BYTES 256u
#define GRND_NONBLOCK 1u
#define GRND_RANDOM 2u
#define GRND_INSECURE 4u

/* @impl ATL-LLR-POSIX-0041~1 */
int64_t posix_getrandom(uint64_t to, uint64_t bytes, uint64_t flags)
{
    if ((flags & ~(uint64_t)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) != 0 ||
        (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE)) {
        return -EINVAL;
    }
    uint64_t wanted = bytes <= INT32_MAX ? bytes : INT32_MAX;
    uint64_t done = 0;
    while (done < wanted) {
        uint8_t piece[RANDOM_PIECE_BYTES];
        uint64_t count = wanted - done < sizeof(piece) ? wanted - done : sizeof(piece);
        int64_t filled = gate_random((uint64_t)(uintptr_t)piece, count);
        if (filled < 0) {
            return filled;
        }
        if (posix_copy_out(to + done, piece, count) != 0) {
            return done > 0 ? (int64_t)done : -EFAULT;
        }
        done += count;
        if (posix_signal_is_pending() && done < wanted) {
            return (int64_t)done;
        }
    }
    return (int64_t)done;
}

#define RLIMIT_FSIZE 1
#define RLIMIT_STACK 3
#define RLIMIT_CORE 4
#define RLIMIT_NPROC 6
#define RLIMIT_NOFILE 7
#define RLIMIT_MEMLOCK 8
#define RLIMIT_SIGPENDING 11
#define RLIMIT_MSGQUEUE 12
#define RLIMIT_NICE 13
#define RLIMIT_RTPRIO 14
#define RLIMIT_COUNT 16
#define RLIM_INFINITY UINT64_MAX

struct limit {
    uint64_t soft, hard;
};

/* What the program set; guarded by limits_lock. */
static struct posix_lock limits_lock;
static struct limit kept[RLIMIT_COUNT];
static bool is_kept[RLIMIT_COUNT];

static struct limit limit_at_start(uint32_t resource)
{
    uint64_t threads = (uint64_t)posix_info.thread_count_max * posix_info.core_count;
    switch (resource) {
    case RLIMIT_STACK:
        return (struct limit){POSIX_STACK_LIMIT_BYTES, RLIM_INFINITY};
    case RLIMIT_CORE:
    case RLIMIT_MSGQUEUE:
    case RLIMIT_NICE:
    case RLIMIT_RTPRIO:
        return (struct limit){0, 0};
    case RLIMIT_NPROC:
        return (struct limit){threads, threads};
    case RLIMIT_NOFILE:
        return (struct limit){posix_descriptor_limit(), POSIX_FILE_LIMIT_HARD};
    case RLIMIT_SIGPENDING:
        return (struct limit){posix_signal_limit(), POSIX_SIGNAL_LIMIT_MAX};
    default:
        return (struct limit){RLIM_INFINITY, RLIM_INFINITY};
    }
}

static struct limit limit_of(uint32_t resource)
{
    struct limit limit = limit_at_start(resource);
    posix_lock_acquire(&limits_lock);
    if (is_kept[resource]) {
        limit = kept[resource];
    }
    posix_lock_release(&limits_lock);
    return limit;
}

/* The size of files and the numbers of descriptors and queued signals bind; the others are kept to
 * be read again.
 * @impl ATL-LLR-POSIX-0042~1 */
static int64_t set_limit(uint32_t resource, const struct limit *wanted)
{
    if (wanted->soft > wanted->hard) {
        return -EINVAL;
    }
    if (wanted->hard > limit_of(resource).hard) {
        return -EPERM;
    }
    if (resource == RLIMIT_NOFILE) {
        posix_descriptor_set_limit(wanted->soft);
    } else if (resource == RLIMIT_SIGPENDING) {
        posix_signal_set_limit(wanted->soft);
    } else if (resource == RLIMIT_FSIZE) {
        posix_file_size_set_limit(wanted->soft);
    }
    posix_lock_acquire(&limits_lock);
    kept[resource] = *wanted;
    is_kept[resource] = true;
    posix_lock_release(&limits_lock);
    return 0;
}

int64_t posix_prlimit64(uint64_t process, uint64_t resource, uint64_t from, uint64_t to)
{
    if ((int32_t)process != 0 && (int32_t)process != POSIX_PROCESS_ID) {
        return -ESRCH;
    }
    if ((uint32_t)resource >= RLIMIT_COUNT) {
        return -EINVAL;
    }
    struct limit old = limit_of((uint32_t)resource);
    if (from != 0) {
        struct limit wanted;
        if (posix_copy_in(&wanted, from, sizeof(wanted)) != 0) {
            return -EFAULT;
        }
        int64_t set = set_limit((uint32_t)resource, &wanted);
        if (set != 0) {
            return set;
        }
    }
    return to != 0 ? posix_copy_out(to, &old, sizeof(old)) : 0;
}

int64_t posix_getrlimit(uint64_t resource, uint64_t to)
{
    int64_t result = posix_prlimit64(0, resource, 0, to);
    return result == 0 && to == 0 ? -EFAULT : result;
}

int64_t posix_setrlimit(uint64_t resource, uint64_t from)
{
    if (from == 0) {
        return -EFAULT;
    }
    return posix_prlimit64(0, resource, from, 0);
}

/* Which barriers are offered: none, said as Linux says it. */
int64_t posix_membarrier(uint64_t command, uint64_t flags, uint64_t core)
{
    (void)core;
    return (uint32_t)command == 0 && (uint32_t)flags == 0 ? 0 : -EINVAL;
}
