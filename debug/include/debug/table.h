/* SPDX-License-Identifier: Apache-2.0 */
/* What posix/ shows of itself to the debugger's stub: one table in its data, which the stub reads
 * as it reads a program's memory, and believes as little. And the file of a debug image that says
 * where the table is. Depends on nothing else. */
#ifndef DEBUG_TABLE_H
#define DEBUG_TABLE_H

#include <stdint.h>

#define DEBUG_TABLE_MAGIC 0x454c424154474244ull /* "DBGTABLE" */
#define DEBUG_TABLE_VERSION 1u
#define DEBUG_NAME_BYTES 16u

/* A thread's record lies at the top of its posix stack, which is aligned to its size. */
struct debug_table {
    uint64_t magic;
    uint32_t version;
    uint32_t stack_bytes;  /* a power of two */
    uint32_t record_bytes; /* from the record to the stack's end */
    uint32_t id_offset;    /* in the record: int32_t, the Linux thread id */
    uint32_t name_offset;  /* in the record: DEBUG_NAME_BYTES, NUL-terminated */
    uint32_t call_offset;  /* in the record: uint64_t, number of the call that it is in */
    uint64_t stack; /* of the program's start: argc, arguments, environment, auxiliary vector */
    uint64_t entry; /* where the program starts; written last, 0 before */
};

#define DEBUG_PLACES_PATH "/proc/.atoll/debug"
#define DEBUG_PLACES_MAGIC 0x4543414c50474244ull /* "DBGPLACE" */

/* Offsets from posix's base. */
struct debug_places {
    uint64_t magic;
    uint64_t table;
    uint64_t dynamic; /* posix's dynamic section, which tells a debugger that symbols fit */
    uint64_t signal;  /* INT3 by which posix/ asks about a signal */
    uint64_t calls;   /* per-core: what calls.h says */
};

/* At that INT3: rdi the signal, rsi its siginfo_t (128 bytes), rdx the frame with which the thread
 * will leave posix/; rax, which was the signal, is what is to be delivered, 0: nothing. */

#define DEBUG_POSIX_PATH "/proc/.atoll/posix.elf"
#define DEBUG_KERNEL_PATH "/proc/.atoll/kernel.elf"

#endif
