/* SPDX-License-Identifier: Apache-2.0 */
/* A socket on which the counts are asked for: see control.h. Each byte is answered by lines and an
 * empty one. Any but `p`: `VCPU INSTRUCTIONS CALLS`. `p`: `ADDRESS INSTRUCTIONS PASSES BYTES` for
 * each block that ran since the last `p`; BYTES are its first ones, by which the code is known. */
#include "control.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BYTES_MAX 24

struct block {
    struct block *next;
    uint64_t address, instructions; /* of one pass */
    _Atomic uint64_t passes;
    size_t byte_count;
    uint8_t bytes[BYTES_MAX];
};
static _Atomic(struct block *) blocks;
static bool is_profiling;

static void count_pass(unsigned vcpu, void *data)
{
    (void)vcpu;
    atomic_fetch_add_explicit(&((struct block *)data)->passes, 1, memory_order_relaxed);
}

void control_note_block(struct qemu_plugin_tb *translated)
{
    struct block *block = is_profiling ? calloc(1, sizeof(*block)) : NULL;
    if (block == NULL) {
        return;
    }
    block->address = qemu_plugin_tb_vaddr(translated);
    block->instructions = qemu_plugin_tb_n_insns(translated);
    for (size_t i = 0; i < block->instructions; i++) {
        const struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(translated, i);
        size_t bytes = qemu_plugin_insn_size(instruction);
        if (block->byte_count + bytes > BYTES_MAX) {
            break;
        }
        memcpy(block->bytes + block->byte_count, qemu_plugin_insn_data(instruction), bytes);
        block->byte_count += bytes;
    }
    block->next = atomic_load(&blocks);
    while (!atomic_compare_exchange_weak(&blocks, &block->next, block)) {
    }
    qemu_plugin_register_vcpu_tb_exec_cb(translated, count_pass, QEMU_PLUGIN_CB_NO_REGS, block);
}

static void tell_blocks(FILE *answer)
{
    for (struct block *block = atomic_load(&blocks); block != NULL; block = block->next) {
        uint64_t passes = atomic_exchange_explicit(&block->passes, 0, memory_order_relaxed);
        if (passes != 0) {
            fprintf(answer, "%llx %llu %llu ", (unsigned long long)block->address,
                    (unsigned long long)(passes * block->instructions), (unsigned long long)passes);
            for (size_t i = 0; i < block->byte_count; i++) {
                fprintf(answer, "%02x", block->bytes[i]);
            }
            fprintf(answer, "\n");
        }
    }
}

static void tell_counts(FILE *answer)
{
    for (int vcpu = 0; vcpu < VCPUS_MAX; vcpu++) {
        uint64_t instructions =
            atomic_load_explicit(&counters[vcpu].instructions, memory_order_relaxed);
        if (instructions != 0) {
            fprintf(answer, "%d %llu %llu\n", vcpu, (unsigned long long)instructions,
                    (unsigned long long)atomic_load_explicit(&counters[vcpu].calls,
                                                             memory_order_relaxed));
        }
    }
}

static void *serve(void *argument)
{
    int listener = (int)(intptr_t)argument;
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        FILE *answer = peer >= 0 ? fdopen(peer, "w") : NULL;
        char command;
        while (answer != NULL && read(peer, &command, 1) == 1) {
            (command == 'p' ? tell_blocks : tell_counts)(answer);
            fprintf(answer, "\n");
            fflush(answer);
        }
        if (answer != NULL) {
            fclose(answer);
        }
    }
    return NULL;
}

/* A socket at the path that listens: nobody sees it before that. -1: there is none. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool listens = listener >= 0 && bytes < sizeof(address.sun_path) &&
                   bind(listener, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                   listen(listener, 1) == 0 && rename(address.sun_path, path) == 0;
    return listens ? listener : -1;
}

bool control_argument(const char *argument)
{
    static const char name[] = "control=";
    pthread_t thread;
    is_profiling |= strcmp(argument, "profile=on") == 0;
    if (strncmp(argument, name, sizeof(name) - 1) != 0) {
        return false;
    }
    int listener = listen_at(argument + sizeof(name) - 1);
    return listener >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener) == 0;
}
