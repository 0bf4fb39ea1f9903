/* SPDX-License-Identifier: Apache-2.0 */
/* The table of threads, who is running, and a thread's end. */
#include "../core/internal.h"

#include <kernel/image.h>
#include <posix/file.h>
#include <posix/syscalls.h>

#define BUCKET_COUNT 1024u
#define THREAD_ID_MAX 0x3fffff /* as Linux: fits the 30 bits that a robust mutex has */

static struct posix_lock table_lock;
static struct posix_thread *first_thread;
static struct posix_thread *last_thread;
static struct posix_thread *buckets[BUCKET_COUNT];
static int32_t last_id;
static _Atomic uint32_t thread_count;

int32_t posix_thread_id(const struct posix_thread *thread)
{
    return thread->id;
}

uint32_t posix_core(void)
{
    return (uint32_t)posix_words.core;
}

uint32_t posix_thread_count(void)
{
    return atomic_load_explicit(&thread_count, memory_order_relaxed);
}

uint64_t posix_thread_handle(struct posix_thread *self)
{
    uint64_t handle = atomic_load_explicit(&self->handle, memory_order_acquire);
    if (handle == HANDLE_UNKNOWN) { /* the first thread, which the kernel made */
        handle = (uint64_t)gate_thread_set(0, GATE_KEEP, GATE_KEEP, 0);
        atomic_store_explicit(&self->handle, handle, memory_order_release);
    }
    return handle;
}

static struct posix_thread *find(int32_t id)
{
    struct posix_thread *thread = buckets[(uint32_t)id % BUCKET_COUNT];
    while (thread != NULL && thread->id != id) {
        thread = thread->next_in_bucket;
    }
    return thread;
}

static void link_thread(struct posix_thread *thread)
{
    struct posix_thread **bucket = &buckets[(uint32_t)thread->id % BUCKET_COUNT];
    thread->next_in_bucket = *bucket;
    *bucket = thread;
    thread->next = NULL;
    thread->previous = last_thread;
    if (last_thread != NULL) {
        last_thread->next = thread;
    } else {
        first_thread = thread;
    }
    last_thread = thread;
    atomic_fetch_add(&thread_count, 1);
}

void posix_thread_initialize(struct posix_thread *thread)
{
    *thread = (struct posix_thread){.id = POSIX_PROCESS_ID, .call = POSIX_CALL_NONE};
    atomic_store(&thread->affinity, posix_core_mask());
    thread->signal_stack.flags = 2; /* SS_DISABLE */
    thread->start_ns = posix_now_ns();
    posix_thread_handle(thread);
    last_id = POSIX_PROCESS_ID;
    link_thread(thread);
}

/* @impl ATL-LLR-POSIX-0020~1 */
void posix_thread_insert(struct posix_thread *thread)
{
    posix_lock_acquire(&table_lock);
    do {
        last_id = last_id >= THREAD_ID_MAX ? POSIX_PROCESS_ID + 1 : last_id + 1;
    } while (find(last_id) != NULL);
    thread->id = last_id;
    link_thread(thread);
    posix_lock_release(&table_lock);
}

bool posix_thread_remove(struct posix_thread *thread)
{
    posix_lock_acquire(&table_lock);
    struct posix_thread **at = &buckets[(uint32_t)thread->id % BUCKET_COUNT];
    while (*at != thread) {
        at = &(*at)->next_in_bucket;
    }
    *at = thread->next_in_bucket;
    if (thread->previous != NULL) {
        thread->previous->next = thread->next;
    } else {
        first_thread = thread->next;
    }
    if (thread->next != NULL) {
        thread->next->previous = thread->previous;
    } else {
        last_thread = thread->previous;
    }
    bool was_last = atomic_fetch_sub(&thread_count, 1) == 1;
    posix_lock_release(&table_lock);
    return was_last;
}

bool posix_thread_visit(int32_t id, posix_thread_visitor visitor, void *context)
{
    posix_lock_acquire(&table_lock);
    struct posix_thread *thread = id > 0 ? find(id) : NULL;
    bool result = thread != NULL && visitor(thread, context);
    posix_lock_release(&table_lock);
    return result;
}

bool posix_thread_visit_all(posix_thread_visitor visitor, void *context)
{
    posix_lock_acquire(&table_lock);
    bool result = false;
    for (struct posix_thread *t = first_thread; t != NULL && !result; t = t->next) {
        result = visitor(t, context);
    }
    posix_lock_release(&table_lock);
    return result;
}

void posix_thread_interrupt(struct posix_thread *thread)
{
    if (thread == posix_self()) {
        posix_words.pending = 1;
        return;
    }
    uint64_t handle = atomic_load(&thread->handle);
    if (handle > HANDLE_AWAITED) { /* else it looks at what is pending before it starts */
        gate_unpark(handle, GATE_UNPARK_INTERRUPT);
    }
}

noreturn void posix_cell_end(uint64_t status, uint64_t signal)
{
    const struct image_header *image =
        (const struct image_header *)(uintptr_t)posix_info.index_address; // NOLINT: fixed address
    if ((image->flags & IMAGE_FLAG_VERBOSE) != 0) {
        posix_syscall_report();
    }
    posix_file_hand_out();
    gate_exit(status, signal);
}

int64_t posix_exit_group(uint64_t status)
{
    posix_cell_end(status & 0xff, 0);
}

int64_t posix_exit(uint64_t status)
{
    posix_thread_end(status & 0xff);
}

int64_t posix_gettid(void)
{
    return posix_self()->id;
}

int64_t posix_set_tid_address(uint64_t address)
{
    struct posix_thread *self = posix_self();
    self->clear_child_tid = address;
    return self->id;
}
