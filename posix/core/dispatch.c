/* SPDX-License-Identifier: Apache-2.0 */
/* From the frame of a Linux call to its handler, and the count of calls that are not offered. */
#include "frame.h"
#include "internal.h"

#include <posix/syscalls.h>

#define SYSCALL_OTHER SYSCALL_COUNT /* counter of numbers that Linux does not have */

_Static_assert(offsetof(struct gate_frame, rbp) == FRAME_RBP, "assembly");
_Static_assert(offsetof(struct gate_frame, r11) == FRAME_R11, "assembly");
_Static_assert(offsetof(struct gate_frame, rax) == FRAME_RAX, "assembly");
_Static_assert(offsetof(struct gate_frame, rdi) == FRAME_RDI, "assembly");
_Static_assert(offsetof(struct gate_frame, rip) == FRAME_RIP, "assembly");
_Static_assert(offsetof(struct gate_frame, rflags) == FRAME_RFLAGS, "assembly");
_Static_assert(offsetof(struct gate_frame, rsp) == FRAME_RSP, "assembly");
_Static_assert(sizeof(struct gate_frame) == FRAME_BYTES, "assembly");
_Static_assert(offsetof(struct gate_words, return_rip) == WORDS_RETURN_RIP, "assembly");
_Static_assert(offsetof(struct gate_words, return_flags) == WORDS_RETURN_FLAGS, "assembly");
_Static_assert(offsetof(struct gate_words, pending) == WORDS_PENDING, "assembly");
_Static_assert(sizeof(struct gate_words) == WORDS_BYTES, "assembly");
_Static_assert(offsetof(struct gate_upcall, frame) == 0, "assembly");

static _Atomic uint32_t calls_in_vain[SYSCALL_COUNT + 1];

static int64_t refuse(uint64_t number)
{
    uint64_t counter = number < SYSCALL_COUNT ? number : SYSCALL_OTHER;
    atomic_fetch_add_explicit(&calls_in_vain[counter], 1, memory_order_relaxed);
    return -ENOSYS;
}

/* A table as a switch: each handler is called with exactly its arguments. @impl
 * ATL-LLR-POSIX-0004~1 */
int64_t posix_syscall_invoke(uint64_t number, const struct gate_frame *frame)
{
    switch (number) {
#include <posix_dispatch.inc>
    default:
        return refuse(number);
    }
}

void posix_syscall_dispatch(struct gate_frame *frame)
{
    struct posix_thread *self = posix_self();
    self->frame = frame;
    self->call = frame->rax;
    int64_t result = posix_syscall_invoke(frame->rax, frame);
    frame->rax = (uint64_t)result;
    bool is_restart = result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;
    if (is_restart) {
        posix_words.pending = 1;
    }
}

/* @impl ATL-LLR-POSIX-0005~1 */
void posix_syscall_report(void)
{
    static const uint16_t numbers[] = {
#define SYSCALL_NOT_OFFERED(number, name) number,
#include <posix_not_offered.inc>
#undef SYSCALL_NOT_OFFERED
        SYSCALL_OTHER};
    static const char names[] = /* one after the other, in the same order */
#define SYSCALL_NOT_OFFERED(number, name) name "\0"
#include <posix_not_offered.inc>
#undef SYSCALL_NOT_OFFERED
        "other";
    const char *name = names;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint32_t count = atomic_load_explicit(&calls_in_vain[numbers[i]], memory_order_relaxed);
        if (count != 0) {
            posix_report("not offered: %s, called %u times\n", name, count);
        }
        name += __builtin_strlen(name) + 1;
    }
}
