/* SPDX-License-Identifier: Apache-2.0 */
/* The count of Linux calls that are not offered; and what entry.S and calls.S know of structures.
 */
#include "frame.h"
#include "internal.h"

#include <posix/syscalls.h>

#define SYSCALL_OTHER SYSCALL_COUNT /* counter of numbers that Linux does not have */

_Static_assert(offsetof(struct gate_frame, rbp) == FRAME_RBP, "assembly");
_Static_assert(offsetof(struct gate_frame, r11) == FRAME_R11, "assembly");
_Static_assert(offsetof(struct gate_frame, rax) == FRAME_RAX, "assembly");
_Static_assert(offsetof(struct gate_frame, rdi) == FRAME_RDI, "assembly");
_Static_assert(offsetof(struct gate_frame, rip) == FRAME_RIP, "assembly");
_Static_assert(offsetof(struct gate_frame, cs) == FRAME_CS, "assembly");
_Static_assert(offsetof(struct gate_frame, rflags) == FRAME_RFLAGS, "assembly");
_Static_assert(offsetof(struct gate_frame, rsp) == FRAME_RSP, "assembly");
_Static_assert(offsetof(struct gate_frame, ss) == FRAME_SS, "assembly");
_Static_assert(sizeof(struct gate_frame) == FRAME_BYTES, "assembly");
_Static_assert(offsetof(struct posix_thread, frame) == THREAD_FRAME, "assembly");
_Static_assert(offsetof(struct posix_thread, call) == THREAD_CALL, "assembly");
_Static_assert(offsetof(struct gate_words, return_rip) == WORDS_RETURN_RIP, "assembly");
_Static_assert(offsetof(struct gate_words, return_flags) == WORDS_RETURN_FLAGS, "assembly");
_Static_assert(offsetof(struct gate_words, pending) == WORDS_PENDING, "assembly");
_Static_assert(sizeof(struct gate_words) == WORDS_BYTES, "assembly");
_Static_assert(offsetof(struct gate_upcall, frame) == 0, "assembly");

static _Atomic uint32_t calls_in_vain[SYSCALL_COUNT + 1];

static const uint16_t numbers[] = {
#define SYSCALL_NOT_OFFERED(number, name) number,
#include <posix_not_offered.inc>
#undef SYSCALL_NOT_OFFERED
    SYSCALL_OTHER};

/* The others that are refused are rare calls in an image without them: the program computed their
 * numbers. */
static bool is_left_out(uint64_t number)
{
    size_t i = 0;
    while (i < sizeof(numbers) / sizeof(numbers[0]) && numbers[i] != number) {
        i++;
    }
    return i == sizeof(numbers) / sizeof(numbers[0]);
}

/* What the table has for the others, from assembly. @impl ATL-LLR-POSIX-1101~2 */
int64_t posix_syscall_refuse(uint64_t number)
{
    if (atomic_fetch_add_explicit(&calls_in_vain[number], 1, memory_order_relaxed) == 0 &&
        is_left_out(number)) {
        posix_report("call %u is left out of this image, as the program does not name it; "
                     "--net unix offers it\n",
                     (uint32_t)number);
    }
    return -ENOSYS;
}

/* @impl ATL-LLR-POSIX-0005~1 */
void posix_syscall_report(void)
{
    static const char names[] = /* one after the other, in the same order */
#define SYSCALL_NOT_OFFERED(number, name) name "\0"
#include <posix_not_offered.inc>
#undef SYSCALL_NOT_OFFERED
        "other";
    const char *name = names;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint32_t count =
            atomic_exchange_explicit(&calls_in_vain[numbers[i]], 0, memory_order_relaxed);
        if (count != 0) {
            posix_report("not offered: %s, called %u times\n", name, count);
        }
        name += __builtin_strlen(name) + 1;
    }
}
