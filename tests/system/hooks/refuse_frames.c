/* SPDX-License-Identifier: Apache-2.0 */
/* Only in the build with hooks: the n-th frame of a core is refused; see refuse.h. The linker leads
 * the calls of other sources here (--wrap) and this source's __real_ ones to the originals. */
#include "refuse.h"

#include <isolation/space.h>
#include <percpu/channel.h>
#include <percpu/frames.h>
#include <percpu/scheduler.h>

/* The original and what takes its place have one type: a change of it does not go unnoticed. */
#define WRAPPED(function_) typeof(function_) __real_##function_, __wrap_##function_
WRAPPED(percpu_initialize);
WRAPPED(percpu_frame_allocate);
WRAPPED(percpu_frame_run_allocate);
WRAPPED(percpu_frames_grant_request);
WRAPPED(isolation_space_fault);
int64_t __real_gate_handle_information(uint64_t what, uint64_t core, uint64_t count, uint64_t,
                                       uint64_t);
int64_t __wrap_gate_handle_information(uint64_t what, uint64_t core, uint64_t count, uint64_t,
                                       uint64_t);

/* isolation/range.c looks at what is free before it begins what it cannot take back. In this build
 * it looks at this: how many are given before one is refused. */
extern PERCORE uint64_t refuse_frames_free_count;
PERCORE uint64_t refuse_frames_free_count;

static PERCORE uint64_t kind;    /* enum refuse_kind */
static PERCORE uint64_t to_come; /* 1: the next one is refused; 0: none is */
static PERCORE bool is_fault, must_not_get;

static void set(uint64_t n)
{
    to_come = n;
    refuse_frames_free_count = n == 0 ? UINT64_MAX : n - 1;
}

void __wrap_percpu_initialize(const struct percpu_config *config)
{
    __real_percpu_initialize(config);
    set(0);
}

static bool is_refused(void)
{
    bool is_meant = to_come != 0 && !(is_fault && kind == REFUSE_FRAME_OF_CALL);
    bool is_due = is_meant && to_come == 1;
    if (is_meant) {
        set(to_come - 1);
    }
    must_not_get = is_due && kind == REFUSE_FRAME_OF_CALL;
    return is_due;
}

enum result __wrap_percpu_frame_allocate(paddr_t *frame)
{
    return is_refused() ? RESULT_NO_MEMORY : __real_percpu_frame_allocate(frame);
}

enum result __wrap_percpu_frame_run_allocate(uint32_t count, paddr_t *first)
{
    return is_refused() ? RESULT_NO_MEMORY : __real_percpu_frame_run_allocate(count, first);
}

/* Asked for when a frame was refused, or range.c saw that one would be. */
enum result __wrap_percpu_frames_grant_request(struct thread *thread,
                                               thread_continuation continuation)
{
    bool is_denied = must_not_get || (to_come != 0 && kind == REFUSE_FRAME_OF_CALL);
    must_not_get = false;
    set(0);
    return is_denied ? RESULT_NO_MEMORY : __real_percpu_frames_grant_request(thread, continuation);
}

enum result __wrap_isolation_space_fault(struct thread *thread, uint64_t address,
                                         enum space_access access)
{
    is_fault = true;
    enum result result = __real_isolation_space_fault(thread, address, access);
    is_fault = false;
    return result;
}

int64_t __wrap_gate_handle_information(uint64_t what, uint64_t core, uint64_t count, uint64_t,
                                       uint64_t)
{
    if (what != REFUSE_CONTROL) {
        return __real_gate_handle_information(what, core, count, 0, 0);
    }
    uint64_t left = to_come;
    kind = core;
    set(count);
    return (int64_t)left;
}
