/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <core/internal.h>
#include <kernel/image.h>
#include <posix/time.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64
#define CALIBRATION_NS 20000000

struct shim_thread {
    struct gate_frame top_frame; /* below the record, as on a posix stack */
    struct posix_thread record;
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    bool has_permit;
    bool is_live;
    pthread_t host;
    void (*run)(void *);
    void *argument;
};

_Static_assert(offsetof(struct shim_thread, record) == sizeof(struct gate_frame), "no gap");

extern struct image_header shim_image;
static struct gate_info *writable_info = (struct gate_info *)(uintptr_t)&posix_info;
static struct shim_thread *threads[THREADS_MAX];
static int thread_count;
static pthread_mutex_t table_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct shim_thread *current;
static _Atomic uint64_t park_count;

static uint64_t host_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t tsc(void)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* The host's wait functions count its own clock, so the rate must be right. */
static void initialize_info(void)
{
    uint64_t ns = host_ns();
    uint64_t ticks = tsc();
    while (host_ns() - ns < CALIBRATION_NS) {
    }
    ns = host_ns() - ns;
    ticks = tsc() - ticks;
    uint32_t bytes;
    uint32_t unused;
    __asm__ volatile("cpuid" : "=b"(bytes), "=c"(unused), "+a"((uint32_t){13}) : "c"(0) : "edx");
    uint32_t low;
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    *writable_info = (struct gate_info){
        .core_count = 4,
        .thread_count_max = THREADS_MAX,
        .tsc_base = tsc(),
        .tsc_multiplier = (uint64_t)(((unsigned __int128)ns << 32) / ticks),
        .extended_bytes = bytes,
        .extended_mask = (uint64_t)high << 32 | low,
        .index_address = (uint64_t)(uintptr_t)&shim_image,
    };
    posix_wall_base_ns = 1700000000ull * 1000000000u;
}

static struct shim_thread *new_thread(void)
{
    struct shim_thread *thread = calloc(1, sizeof(*thread));
    pthread_mutex_init(&thread->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&thread->condition, &attributes);
    pthread_mutex_lock(&table_mutex);
    threads[thread_count] = thread;
    thread->record.id = ++thread_count;
    thread->record.handle = (uint64_t)thread->record.id + 100;
    thread->record.affinity = posix_core_mask();
    thread->record.signal_stack.flags = 2;
    thread->is_live = true;
    pthread_mutex_unlock(&table_mutex);
    return thread;
}

void shim_thread_begin(void)
{
    if (posix_info.core_count == 0) {
        initialize_info();
    }
    if (current == NULL) {
        current = new_thread();
    }
}

void shim_thread_end(void)
{
    pthread_mutex_lock(&table_mutex);
    current->is_live = false;
    pthread_mutex_unlock(&table_mutex);
}

int32_t shim_thread_id(void)
{
    return current->record.id;
}

static void *start_host(void *argument)
{
    current = argument;
    current->run(current->argument);
    shim_thread_end();
    return NULL;
}

void *shim_start(void (*run)(void *), void *argument)
{
    struct shim_thread *thread = new_thread();
    thread->run = run;
    thread->argument = argument;
    if (pthread_create(&thread->host, NULL, start_host, thread) != 0) {
        abort();
    }
    return thread;
}

void shim_join(void *token)
{
    pthread_join(((struct shim_thread *)token)->host, NULL);
}

int32_t shim_id_of(const void *token)
{
    return ((const struct shim_thread *)token)->record.id;
}

bool shim_pending(void)
{
    return posix_signal_is_pending();
}

uint64_t shim_blocked(void)
{
    return current->record.blocked;
}

uint64_t shim_park_count(void)
{
    return park_count;
}

void shim_await_parks(uint64_t count)
{
    for (int i = 0; i < 5000 && park_count < count; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

uint64_t shim_now_ns(void)
{
    return posix_now_ns();
}

/* ---- what posix/ calls */
struct posix_thread *posix_self(void)
{
    return &current->record;
}

int32_t posix_thread_id(const struct posix_thread *thread)
{
    return thread->id;
}

uint32_t posix_core(void)
{
    return 0;
}

uint64_t posix_core_mask(void)
{
    return 15;
}

uint64_t posix_thread_handle(struct posix_thread *self)
{
    return self->handle;
}

uint32_t posix_thread_count(void)
{
    return (uint32_t)thread_count;
}

void posix_thread_interrupt(struct posix_thread *thread)
{
    gate_unpark(thread->handle, GATE_UNPARK_INTERRUPT);
}

bool posix_thread_visit(int32_t id, posix_thread_visitor visitor, void *context)
{
    pthread_mutex_lock(&table_mutex);
    bool exists = id > 0 && id <= thread_count && threads[id - 1]->is_live;
    bool result = exists && visitor(&threads[id - 1]->record, context);
    pthread_mutex_unlock(&table_mutex);
    return result;
}

bool posix_thread_visit_all(posix_thread_visitor visitor, void *context)
{
    bool result = false;
    pthread_mutex_lock(&table_mutex);
    for (int i = 0; i < thread_count && !result; i++) {
        result = threads[i]->is_live && visitor(&threads[i]->record, context);
    }
    pthread_mutex_unlock(&table_mutex);
    return result;
}

int64_t gate_park(uint64_t deadline, uint64_t flags)
{
    (void)flags;
    struct shim_thread *self = current;
    int64_t result = 0;
    pthread_mutex_lock(&self->mutex);
    atomic_fetch_add(&park_count, 1);
    while (!self->has_permit && result == 0) {
        if (deadline == GATE_NEVER) {
            pthread_cond_wait(&self->condition, &self->mutex);
            continue;
        }
        uint64_t now = posix_now_ns();
        if (now >= deadline) {
            result = -ETIMEDOUT;
            break;
        }
        uint64_t left = deadline - now < 100000000u ? deadline - now : 100000000u;
        uint64_t until = host_ns() + left;
        struct timespec at = {(time_t)(until / 1000000000u), (long)(until % 1000000000u)};
        pthread_cond_timedwait(&self->condition, &self->mutex, &at);
    }
    self->has_permit = false;
    pthread_mutex_unlock(&self->mutex);
    return result;
}

int64_t gate_unpark(uint64_t handle, uint64_t flags)
{
    (void)flags;
    if (handle <= 100 || handle > 100 + THREADS_MAX || threads[handle - 101] == NULL) {
        return -ESRCH;
    }
    struct shim_thread *thread = threads[handle - 101];
    pthread_mutex_lock(&thread->mutex);
    thread->has_permit = true;
    pthread_cond_signal(&thread->condition);
    pthread_mutex_unlock(&thread->mutex);
    return 0;
}

/* A thread's run time: a clock of the host that goes forward. */
int64_t gate_thread_set(uint64_t thread, uint64_t priority, uint64_t core, uint64_t cores)
{
    (void)cores;
    (void)priority, (void)core;
    bool exists = thread > 100 && thread <= 100 + THREADS_MAX && threads[thread - 101] != NULL;
    return exists ? (int64_t)posix_now_ns() + 1 : -ESRCH;
}

noreturn void gate_exit(uint64_t status, uint64_t signal)
{
    exit(signal != 0 ? 128 + (int)signal : (int)status);
}

int64_t gate_information(uint64_t kind, uint64_t core, uint64_t count)
{
    (void)kind, (void)core;
    return count == GATE_COUNT(busy_ns) ? (int64_t)posix_now_ns() : 0;
}

static bool faults(uint64_t address, uint64_t bytes)
{
    return bytes != 0 && (address < 4096 || address >> 47 != 0);
}

int64_t posix_copy_in(void *to, uint64_t from, size_t bytes)
{
    if (faults(from, bytes)) {
        return -EFAULT;
    }
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return 0;
}

int64_t posix_copy_out(uint64_t to, const void *from, size_t bytes)
{
    if (faults(to, bytes)) {
        return -EFAULT;
    }
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}

int64_t posix_zero_out(uint64_t to, size_t bytes)
{
    if (faults(to, bytes)) {
        return -EFAULT;
    }
    memset((void *)(uintptr_t)to, 0, bytes);
    return 0;
}

int64_t posix_load_u32(uint64_t from, uint32_t *value)
{
    if (faults(from, 4)) {
        return -EFAULT;
    }
    *value = atomic_load((_Atomic uint32_t *)(uintptr_t)from);
    return 0;
}

int64_t posix_store_u32(uint64_t to, uint32_t value)
{
    if (faults(to, 4)) {
        return -EFAULT;
    }
    atomic_store((_Atomic uint32_t *)(uintptr_t)to, value);
    return 0;
}

int64_t posix_exchange_u32(uint64_t at, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    if (faults(at, 4)) {
        return -EFAULT;
    }
    *seen = expected;
    atomic_compare_exchange_strong((_Atomic uint32_t *)(uintptr_t)at, seen, desired);
    return 0;
}

int64_t posix_extended_save(uint64_t to, uint64_t mask)
{
    __asm__ volatile("xsave64 (%0)"
                     :
                     : "r"(to), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
    return 0;
}

int64_t posix_extended_restore(uint64_t from, uint64_t mask)
{
    __asm__ volatile("xrstor64 (%0)"
                     :
                     : "r"(from), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
                     : "memory");
    return 0;
}

int64_t posix_legacy_restore(uint64_t from)
{
    __asm__ volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
    return 0;
}

noreturn void posix_cell_end(uint64_t status, uint64_t signal)
{
    gate_exit(status, signal);
}

noreturn void posix_panic(const char *reason)
{
    (void)reason;
    abort();
}

void posix_crash_report(struct posix_thread *self, const struct gate_frame *frame,
                        const struct posix_signal_info *info)
{
    (void)self, (void)frame, (void)info;
}

int64_t posix_thread_settle(struct posix_thread *self)
{
    (void)self;
    return 0;
}
