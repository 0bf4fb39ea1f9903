/* SPDX-License-Identifier: Apache-2.0 */
/* The gate itself, called beside posix/: the crossing with nothing behind it, and a message to
 * another core and back. Linux has no such calls: there the program says so and ends.
 *
 * crossing   `park` with a flag that does not exist: the way in, the table of calls, one comparison
 *            (EINVAL), the way out; and of the program 10 instructions for registers and the loop.
 * message    `thread_set` on core 1 that asks how long a thread of core 0 has run: a request and
 *            its reply. Counted is everything on both cores: the crossing, both messages, an
 *            interrupt on each side, and that both were idle before and are afterwards. */
#define _GNU_SOURCE
#include "bench.h"
#include <errno.h>
#include <isolation/gate_abi.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum section { CROSSING, MESSAGE };

#define WARM_UP 50
#define CROSSINGS 5000
#define MESSAGES 2000
#define FLAG_UNKNOWN (1ul << 63)

static inline long gate(unsigned long number, unsigned long first, unsigned long second,
                        unsigned long third)
{
    long result = (long)(GATE_CALL_BASE + number);
    register unsigned long fourth __asm__("r10") = 0;
    register unsigned long fifth __asm__("r8") = 0;
    __asm__ volatile("jmp 1f\n1: syscall" /* behind a jump no packer rewrites it */
                     : "+a"(result), "+D"(first), "+S"(second), "+d"(third), "+r"(fourth),
                       "+r"(fifth)
                     :
                     : "rcx", "r9", "r11", "memory");
    return result;
}

static void require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static void crossings(long count)
{
    for (long i = 0; i < count; i++) {
        require(gate(GATE_PARK, GATE_NEVER, FLAG_UNKNOWN, 0) == -EINVAL, "park: not EINVAL");
    }
}

static unsigned long first_thread; /* handle */

static void messages(long count)
{
    for (long i = 0; i < count; i++) {
        require(gate(GATE_THREAD_SET, first_thread, GATE_KEEP, GATE_KEEP) >= 0,
                "thread_set: no answer");
    }
}

static void *on_core_1(void *none)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(1, &set);
    require(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
    messages(WARM_UP);
    BENCH_BEGIN(MESSAGE);
    messages(MESSAGES);
    BENCH_END(MESSAGE);
    bench_section(MESSAGE, MESSAGES, "message to another core and back");
    return none;
}

int main(void)
{
    if (gate(GATE_PARK, GATE_NEVER, FLAG_UNKNOWN, 0) == -ENOSYS) {
        bench_skip(CROSSING, "no gate");
        bench_skip(MESSAGE, "no gate");
        return 0;
    }
    crossings(WARM_UP);
    BENCH_BEGIN(CROSSING);
    crossings(CROSSINGS);
    BENCH_END(CROSSING);
    bench_section(CROSSING, CROSSINGS, "gate crossing alone");
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) {
        bench_skip(MESSAGE, "one core");
        return 0;
    }
    pthread_t thread;
    first_thread = (unsigned long)gate(GATE_THREAD_SET, 0, GATE_KEEP, GATE_KEEP);
    require(pthread_create(&thread, NULL, on_core_1, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    return 0;
}
