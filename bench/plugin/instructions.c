/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of QEMU's TCG that counts the instructions of all vCPUs between two marks in the guest.
 * A mark is the 7-byte `nopl 0x0a7011NN(%rax)` of bench/programs/bench.h: it does nothing in every
 * ring of every kernel. NN: 0..126 begins section NN, 128..254 ends section NN - 128, 127 is passed
 * once and tells how far the machine had come since its reset. `nopl 0x0b7011NN(%rax)` marks quanta
 * of fixed work and counts the instructions of its own vCPU alone: NN 0 begins, 1 ends one quantum
 * and begins the next, 2 reports them.
 *
 * Argument control=SOCKET: who connects there and sends a byte gets the counts of all vCPUs until
 * now (control.c); with profile=on, the byte `p` gets those of each block. Beside its instructions
 * a vCPU has a count of calls: of instructions `syscall`, or with entry=ADDRESS (hexadecimal) of
 * jumps to that place, where a kernel begins with a call however it came.
 *
 * Argument out=FILE; one line is written at once for each end: `SECTION INSTRUCTIONS NANOSECONDS`;
 * 127 gives `127 INSTRUCTIONS NANOSECONDS` since reset; `quantum VCPU INSTRUCTIONS` is one quantum.
 * Counting is by translated block: a block that is left early by a fault counts whole. */
#include "control.h"
#include "plugin_api.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECTIONS 127
#define MARK_HERE 127
#define MARK_END 128
#define MARK_BYTES 7
#define QUANTA_MAX 65536

enum quantum_mark { QUANTUM_BEGIN, QUANTUM_NEXT, QUANTUM_REPORT };

struct counter counters[VCPUS_MAX];

static struct {
    uint64_t instructions, nanoseconds;
} begun[SECTIONS];

/* Written by its vCPU alone. */
static struct quanta {
    uint64_t begun;
    uint32_t count;
    uint32_t instructions[QUANTA_MAX];
} quanta[VCPUS_MAX];

static int output = -1;
static uint64_t entry; /* 0: calls are by `syscall` */
static uint64_t started_ns;

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t instructions_of_all(void)
{
    uint64_t sum = 0;
    for (int vcpu = 0; vcpu < VCPUS_MAX; vcpu++) {
        sum += atomic_load_explicit(&counters[vcpu].instructions, memory_order_relaxed);
    }
    return sum;
}

static void report(unsigned section, uint64_t instructions, uint64_t nanoseconds)
{
    char line[80];
    if (output < 0) {
        return; /* counts are asked for: nobody wants the marks */
    }
    int bytes = snprintf(line, sizeof(line), "%u %llu %llu\n", section,
                         (unsigned long long)instructions, (unsigned long long)nanoseconds);
    if (write(output, line, (size_t)bytes) != bytes) {
        abort(); /* a measurement with holes is worse than none */
    }
}

static void count_block(unsigned vcpu, void *data)
{
    /* Only this vCPU writes its counter: load and store need no lock prefix. */
    _Atomic uint64_t *counter = &counters[vcpu % VCPUS_MAX].instructions;
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + (uintptr_t)data, memory_order_relaxed);
}

static void count_call(unsigned vcpu, void *data)
{
    (void)data;
    _Atomic uint64_t *counter = &counters[vcpu % VCPUS_MAX].calls;
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + 1, memory_order_relaxed);
}

static void pass_mark(unsigned vcpu, void *data)
{
    (void)vcpu;
    unsigned mark = (unsigned)(uintptr_t)data;
    uint64_t instructions = instructions_of_all();
    uint64_t nanoseconds = now_ns();
    if (mark == MARK_HERE) {
        report(mark, instructions, nanoseconds - started_ns);
    } else if (mark < MARK_END) {
        begun[mark].instructions = instructions;
        begun[mark].nanoseconds = nanoseconds;
    } else if (mark - MARK_END < SECTIONS) {
        unsigned section = mark - MARK_END;
        report(section, instructions - begun[section].instructions,
               nanoseconds - begun[section].nanoseconds);
    }
}

static void report_quanta(unsigned vcpu)
{
    FILE *lines = fdopen(dup(output), "w");
    if (lines == NULL) {
        abort();
    }
    for (uint32_t i = 0; i < quanta[vcpu].count; i++) {
        fprintf(lines, "quantum %u %u\n", vcpu, quanta[vcpu].instructions[i]);
    }
    if (fclose(lines) != 0) {
        abort();
    }
}

static void pass_quantum(unsigned vcpu, void *data)
{
    struct quanta *own = &quanta[vcpu % VCPUS_MAX];
    uint64_t now =
        atomic_load_explicit(&counters[vcpu % VCPUS_MAX].instructions, memory_order_relaxed);
    unsigned mark = (unsigned)(uintptr_t)data;
    if (mark == QUANTUM_REPORT) {
        report_quanta(vcpu);
    } else if (mark == QUANTUM_NEXT && own->count < QUANTA_MAX) {
        own->instructions[own->count++] = (uint32_t)(now - own->begun);
    }
    own->begun = now;
}

static bool is_call(const struct qemu_plugin_insn *instruction, const struct qemu_plugin_tb *block,
                    size_t number)
{
    const uint8_t *bytes = qemu_plugin_insn_data(instruction);
    return entry != 0
               ? number == 0 && qemu_plugin_tb_vaddr(block) == entry
               : bytes[0] == 0x0f && bytes[1] == 0x05 && qemu_plugin_insn_size(instruction) == 2;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    static const uint8_t head[3] = {0x0f, 0x1f, 0x80};
    static const uint8_t tail[2] = {0x11, 0x70};
    size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        const uint8_t *bytes = qemu_plugin_insn_data(instruction);
        if (is_call(instruction, block, i)) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, count_call, QEMU_PLUGIN_CB_NO_REGS,
                                                   NULL);
        }
        if (qemu_plugin_insn_size(instruction) == MARK_BYTES &&
            memcmp(bytes, head, sizeof(head)) == 0 && memcmp(bytes + 4, tail, sizeof(tail)) == 0 &&
            (bytes[6] == 0x0a || bytes[6] == 0x0b)) {
            qemu_plugin_register_vcpu_insn_exec_cb(
                instruction, bytes[6] == 0x0a ? pass_mark : pass_quantum, QEMU_PLUGIN_CB_NO_REGS,
                (void *)(uintptr_t)bytes[3]);
        }
    }
    qemu_plugin_register_vcpu_tb_exec_cb(block, count_block, QEMU_PLUGIN_CB_NO_REGS,
                                         (void *)(uintptr_t)count);
    control_note_block(block);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (!info->system_emulation || info->system.max_vcpus > VCPUS_MAX) {
        fprintf(stderr, "instructions: only whole machines of at most %d cores\n", VCPUS_MAX);
        return 1;
    }
    bool is_controlled = false;
    for (int i = 0; i < argc; i++) {
        is_controlled |= control_argument(argv[i]);
        if (strncmp(argv[i], "entry=", 6) == 0) {
            entry = strtoull(argv[i] + 6, NULL, 16);
        }
        if (strncmp(argv[i], "out=", 4) == 0) {
            output = open(argv[i] + 4, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        }
    }
    if (output < 0 && !is_controlled) {
        fprintf(stderr, "instructions: give out=FILE that can be written, or control=SOCKET\n");
        return 1;
    }
    started_ns = now_ns();
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
