/* SPDX-License-Identifier: Apache-2.0 */
/* Makes system calls at random, the same for the same seed, and prints what each returned: a run on
 * Linux and one in an image must print the same. Three threads take turns by baton, so that one
 * call is under way at a time, from changing cores.
 *
 *     differential SEED COUNT [FAMILY]     FAMILY: files, memory, signals, sockets or others; else
 *                                          all
 */
#include "files.h"
#include "memory.h"
#include "others.h"
#include "signals.h"
#include "sockets.h"
#include <linux/futex.h>
#include <pthread.h>

static const struct family {
    const char *name;
    void (*calls[16])(void);
} families[] = {
    {"files",
     {file_open, file_open, file_close, file_read, file_write, file_vector, file_seek, file_size,
      file_status, file_name, file_name, file_link_text, file_listing, file_descriptor, file_events,
      file_times}},
    {"memory", {memory_map, memory_map, memory_change, memory_change, memory_move, memory_look}},
    {"signals",
     {signal_action, signal_mask, signal_mask, signal_send, signal_send, signal_send, signal_take,
      signal_stack}},
    {"sockets",
     {socket_make, socket_make, socket_close, socket_bind, socket_connect, socket_connect,
      socket_accept, socket_names, socket_send, socket_send, socket_receive, socket_receive,
      socket_send_control, socket_receive_control, socket_option, socket_state}},
    {"others",
     {other_futex, other_clock, other_limit, other_identity, other_schedule, file_folder}},
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

static const char *only;
static unsigned call_count;
static _Atomic uint32_t turn; /* the worker whose turn it is; WORKERS + 1: the end */

static void one_call(void)
{
    const struct family *family = &families[below(FAMILIES)];
    for (unsigned i = 0; only != NULL && i < FAMILIES; i++) {
        family = strcmp(families[i].name, only) == 0 ? &families[i] : family;
    }
    unsigned count = 0;
    while (count < 16 && family->calls[count] != NULL) {
        count++;
    }
    family->calls[below(count)]();
}

static void pass_to(uint32_t next)
{
    atomic_store(&turn, next);
    CALL(futex, &turn, FUTEX_WAKE, WORKERS + 1);
}

static void await_turn(uint32_t mine)
{
    uint32_t now;
    while ((now = atomic_load(&turn)) != mine && now != WORKERS + 1) {
        CALL(futex, &turn, FUTEX_WAIT, now, NULL);
    }
}

static void *work(void *argument)
{
    worker = (unsigned)(uintptr_t)argument;
    thread_ids[worker] = (pid_t)CALL(gettid);
    blocked[worker] = POOL;
    pass_to(0);
    for (;;) {
        await_turn(worker);
        if (atomic_load(&turn) > WORKERS) {
            return NULL;
        }
        one_call();
        call_number++;
        pass_to(call_number < call_count ? 1 + (uint32_t)below(WORKERS) : WORKERS + 1);
    }
}

int main(int count, char **arguments)
{
    pthread_t threads[WORKERS + 1];
    uint64_t pool = POOL;
    if (count < 3 || mkdir("work", 0755) != 0 || chdir("work") != 0) {
        return 2;
    }
    random_state = strtoull(arguments[1], NULL, 0) * 2654435761u + 88172645463325252ull;
    has_shared_memory = random_state & 1;
    call_count = (unsigned)strtoul(arguments[2], NULL, 0);
    only = count > 3 ? arguments[3] : NULL;
    umask(022);
    buffer =
        mmap(NULL, BUFFER_BYTES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(buffer + BUFFER_BYTES, PAGE, PROT_NONE);
    memory_start();
    signals_start(); /* takes the way back of handlers from what memory_start set */
    CALL(rt_sigprocmask, SIG_BLOCK, &pool, NULL, SET_BYTES);
    for (uint32_t i = 1; i <= WORKERS; i++) {
        atomic_store(&turn, i);
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0) {
            return 2;
        }
        await_turn(0);
    }
    pass_to(1);
    for (unsigned i = 1; i <= WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%u calls\n", call_number);
    return 0;
}
