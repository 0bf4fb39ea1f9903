/* SPDX-License-Identifier: Apache-2.0 */
/* Counts for somebody outside of the guest, at any time. */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include "plugin_api.h"
#include <stdatomic.h>

#define VCPUS_MAX 64

/* One cache line each: the writer is the vCPU, the reader whoever passes a mark or asks. */
struct counter {
    _Alignas(64) _Atomic uint64_t instructions;
    _Atomic uint64_t calls; /* ways into the kernel by call */
};
extern struct counter counters[VCPUS_MAX];

/* Takes an argument of the plugin: control=SOCKET or profile=on. True: somebody can ask. */
bool control_argument(const char *argument);
/* A block is translated. */
void control_note_block(struct qemu_plugin_tb *block);

#endif
