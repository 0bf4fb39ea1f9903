/* SPDX-License-Identifier: Apache-2.0 */
/* Only in the build with hooks: the n-th allocation of posix/ fails; see refuse.h. The linker leads
 * the calls of other sources here (--wrap) and this source's __real_ ones to the originals. */
#include "refuse.h"

#include <posix/memory.h>
#include <posix/syscalls.h>

/* The original and what takes its place have one type: a change of it does not go unnoticed. */
#define WRAPPED(function_) typeof(function_) __real_##function_, __wrap_##function_
WRAPPED(posix_allocate);
WRAPPED(posix_allocate_buffer);
WRAPPED(posix_free);
WRAPPED(posix_page_allocate);
WRAPPED(posix_page_free);
WRAPPED(gate_map);
WRAPPED(gate_thread_create);
WRAPPED(posix_prctl);

static _Atomic uint64_t to_come; /* 1: the next one fails; 0: none does */
static _Atomic int64_t objects;

static bool is_refused(void)
{
    uint64_t left = atomic_load(&to_come);
    while (left != 0 && !atomic_compare_exchange_weak(&to_come, &left, left - 1)) {
    }
    return left == 1;
}

static void *counted(void *object)
{
    atomic_fetch_add(&objects, object != NULL);
    return object;
}

void *__wrap_posix_allocate(size_t bytes)
{
    return is_refused() ? NULL : counted(__real_posix_allocate(bytes));
}

void *__wrap_posix_allocate_buffer(size_t bytes)
{
    return is_refused() ? NULL : counted(__real_posix_allocate_buffer(bytes));
}

void __wrap_posix_free(void *memory)
{
    atomic_fetch_sub(&objects, memory != NULL);
    __real_posix_free(memory);
}

void *__wrap_posix_page_allocate(void)
{
    return is_refused() ? NULL : counted(__real_posix_page_allocate());
}

void __wrap_posix_page_free(void *page)
{
    atomic_fetch_sub(&objects, 1);
    __real_posix_page_free(page);
}

int64_t __wrap_gate_map(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                        uint64_t offset)
{
    return is_refused() ? -ENOMEM : __real_gate_map(address, bytes, protection, flags, offset);
}

int64_t __wrap_gate_thread_create(uint64_t core, uint64_t entry, uint64_t stack, uint64_t cookie,
                                  uint64_t priority)
{
    return is_refused() ? -EAGAIN : __real_gate_thread_create(core, entry, stack, cookie, priority);
}

static int64_t count_core(uint64_t to)
{
    struct gate_core_counts counts;
    int64_t result = posix_copy_in(&counts, to, sizeof(counts));
    uint32_t core = (uint32_t)counts.frames_free;
    if (result < 0 || core >= posix_info.core_count) {
        return result < 0 ? result : -EINVAL;
    }
    counts = (struct gate_core_counts){
        .threads_live = posix_core_count(core, GATE_COUNT(threads_live)),
        .frames_free = posix_core_count(core, GATE_COUNT(frames_free)),
        .credits_free = posix_core_count(core, GATE_COUNT(credits_free)),
        .credits_total = posix_core_count(core, GATE_COUNT(credits_total)),
    };
    return posix_copy_out(to, &counts, sizeof(counts));
}

int64_t __wrap_posix_prctl(uint64_t option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (option != REFUSE_CONTROL) {
        return __real_posix_prctl(option, a, b, c, d);
    }
    switch (a) {
    case REFUSE_ALLOCATION:
        return (int64_t)atomic_exchange(&to_come, b);
    case REFUSE_COUNT_OBJECTS:
        return atomic_load(&objects);
    case REFUSE_AUDIT:
        return gate_information(GATE_INFORMATION_AUDIT, 0, 0);
    case REFUSE_COUNT_CORE:
        return count_core(b);
    default:
        return gate_information(REFUSE_CONTROL, a, b);
    }
}
