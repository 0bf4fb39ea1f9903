/* SPDX-License-Identifier: Apache-2.0 */
/* The host's implementation of the six operations, and the machine of host threads around it. */
#include "../../tests/perturb/perturb.h"

#include "host.h"

#include <errno.h>
#include <link.h>
#include <linux/futex.h>
#include <percpu/channel.h>
#include <percpu/operations.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PARTITION_BYTES_DEFAULT (8ull << 20)
#define QUANTUM_NS_DEFAULT 1000000u
#define EXTENDED_STRIDE 64u
/* Another look after so long: a host that lost a wake-up hangs visibly, not for ever. */
#define IDLE_NS_MAX 10000000000ull

struct host_core {
    pthread_t pthread;
    _Atomic uint32_t interrupt; /* pending IPI; the futex */
    void *outbox, *threads, *extended, *tables;
    host_function function;
    void *argument;
    bool is_busy, must_end;
};

static struct host_config host;
static struct host_core cores[CORE_COUNT_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Atomic bool must_finish;

static PERCORE uint64_t manual_ns;
static PERCORE bool time_is_manual;
PERCORE uint64_t host_ipis_sent;
static PERCORE uint64_t ipis_received;
static PERCORE int64_t blocks_attached;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: assertion failed on core %u: %s\n", file, line, percpu_self.value,
            expression);
    abort();
}

noreturn void percpu_operation_panic(const char *reason)
{
    fprintf(stderr, "core %u: panic: %s\n", percpu_self.value, reason);
    abort();
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
                  const struct timespec *timeout)
{
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

void percpu_operation_ipi(core_id_t core)
{
    host_ipis_sent += core.value != percpu_self.value;
    atomic_store_explicit(&cores[core.value].interrupt, 1, memory_order_release);
    futex(&cores[core.value].interrupt, FUTEX_WAKE, 1, NULL);
}

void percpu_operation_invalidate(uint64_t address, uint64_t bytes)
{
    (void)address;
    (void)bytes;
}

void percpu_operation_switch(struct thread *from, struct thread *to)
{
    (void)from;
    (void)to;
}

uint64_t percpu_operation_now(void)
{
    if (time_is_manual) {
        return manual_ns;
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool interrupt_take(void)
{
    _Atomic uint32_t *pending = &cores[percpu_self.value].interrupt;
    if (atomic_exchange_explicit(pending, 0, memory_order_acquire) == 0) {
        return false;
    }
    ipis_received++;
    percpu_channel_is_due = true;
    return true;
}

void percpu_operation_idle(uint64_t deadline_ns)
{
    while (!interrupt_take()) {
        uint64_t now_ns = percpu_operation_now();
        if (deadline_ns <= now_ns) {
            return;
        }
        uint64_t wait_ns = MIN(deadline_ns - now_ns, IDLE_NS_MAX);
        struct timespec timeout = {.tv_sec = (time_t)(wait_ns / 1000000000u),
                                   .tv_nsec = (long)(wait_ns % 1000000000u)};
        futex(&cores[percpu_self.value].interrupt, FUTEX_WAIT, 0, &timeout);
    }
}

static uint64_t partition_start(core_id_t core)
{
    return host.memory_start + core.value * host.partition_bytes;
}

static void block_attach(paddr_t block)
{
    HOST_CHECK(IS_ALIGNED(block.value, LARGE_PAGE_BYTES));
    blocks_attached++;
}

static void block_detach(paddr_t block)
{
    HOST_CHECK(IS_ALIGNED(block.value, LARGE_PAGE_BYTES));
    blocks_attached--;
}

static paddr_t memory_limit(void)
{
    return (paddr_t){host.memory_start + host.core_count * host.partition_bytes};
}

static void core_initialize(uint16_t self)
{
    struct percpu_config config = {
        .self = {self},
        .core_count = host.core_count,
        .thread_count = host.thread_count,
        .threads = cores[self].threads,
        .extended = cores[self].extended,
        .extended_stride = EXTENDED_STRIDE,
        .quantum_ns = host.quantum_ns,
        .is_balanced = host.is_balanced,
        .memory_limit = memory_limit(),
        .frame_tables = cores[self].tables,
        .block_attach = block_attach,
        .block_detach = block_detach,
    };
    for (uint16_t core = 0; core < host.core_count; core++) {
        config.outbox[core] = cores[core].outbox;
        config.partition[core] = (paddr_t){partition_start((core_id_t){core})};
    }
    config.partition[host.core_count] = memory_limit();
    percpu_initialize(&config);
    if (host.add_frames) {
        percpu_frames_add(config.partition[self], config.partition[self + 1]);
    }
    percpu_perturb_seed(host.seed == 0 ? 0 : host.seed * 64 + self + 1);
}

static void *core_main(void *argument)
{
    struct host_core *core = argument;
    core_initialize((uint16_t)(core - cores));
    pthread_mutex_lock(&mutex);
    core->is_busy = false;
    pthread_cond_broadcast(&changed);
    for (;;) {
        while (!core->is_busy && !core->must_end) {
            pthread_cond_wait(&changed, &mutex);
        }
        if (core->must_end) {
            break;
        }
        pthread_mutex_unlock(&mutex);
        core->function(core->argument);
        pthread_mutex_lock(&mutex);
        core->is_busy = false;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *zeroed(uint64_t bytes)
{
    uint64_t size = ALIGN_UP(MAX(bytes, (uint64_t)PAGE_BYTES), PAGE_BYTES);
    void *memory = aligned_alloc(PAGE_BYTES, size);
    if (memory == NULL) {
        percpu_operation_panic("no host memory");
    }
    return memset(memory, 0, size);
}

static void wait_until_idle(void)
{
    pthread_mutex_lock(&mutex);
    for (uint16_t core = 0; core < host.core_count; core++) {
        while (cores[core].is_busy) {
            pthread_cond_wait(&changed, &mutex);
        }
    }
    pthread_mutex_unlock(&mutex);
}

static void machine_create(const struct host_config *config)
{
    host = *config;
    host_prepare();
    host.quantum_ns = host.quantum_ns == 0 ? QUANTUM_NS_DEFAULT : host.quantum_ns;
    host.partition_bytes =
        host.partition_bytes == 0 ? PARTITION_BYTES_DEFAULT : host.partition_bytes;
    for (uint16_t core = 0; core < host.core_count; core++) {
        cores[core] = (struct host_core){
            .outbox =
                zeroed(percpu_outbox_bytes(host.core_count, host.thread_count, memory_limit())),
            .threads = zeroed(host.thread_count * sizeof(struct thread)),
            .extended = zeroed((uint64_t)host.thread_count * EXTENDED_STRIDE),
            .tables = zeroed(percpu_frames_table_bytes(memory_limit())),
            .is_busy = true,
        };
    }
}

static void machine_destroy(void)
{
    for (uint16_t core = 0; core < host.core_count; core++) {
        free(cores[core].outbox);
        free(cores[core].threads);
        free(cores[core].extended);
        free(cores[core].tables);
    }
}

/* Zeroes this thread's instances of the program's thread-local variables, which all are PERCORE. */
static int percore_clear(struct dl_phdr_info *program, size_t bytes, void *argument)
{
    (void)bytes;
    (void)argument;
    for (size_t i = 0; i < program->dlpi_phnum; i++) {
        if (program->dlpi_phdr[i].p_type == PT_TLS) {
            memset(program->dlpi_tls_data, 0, program->dlpi_phdr[i].p_memsz);
        }
    }
    return 1; /* the program comes first; the libraries keep theirs */
}

void host_enter(const struct host_config *config)
{
    dl_iterate_phdr(percore_clear, NULL);
    machine_create(config);
    core_initialize(0);
}

void host_leave(void)
{
    machine_destroy();
}

void host_start(const struct host_config *config)
{
    machine_create(config);
    for (uint16_t core = 0; core < host.core_count; core++) {
        if (pthread_create(&cores[core].pthread, NULL, core_main, &cores[core]) != 0) {
            percpu_operation_panic("no host thread");
        }
    }
    wait_until_idle();
}

void host_stop(void)
{
    pthread_mutex_lock(&mutex);
    for (uint16_t core = 0; core < host.core_count; core++) {
        cores[core].must_end = true;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    for (uint16_t core = 0; core < host.core_count; core++) {
        pthread_join(cores[core].pthread, NULL);
    }
    machine_destroy();
}

static void order(uint16_t core, host_function function, void *argument)
{
    cores[core].function = function;
    cores[core].argument = argument;
    cores[core].is_busy = true;
}

void host_on(uint16_t core, host_function function, void *argument)
{
    pthread_mutex_lock(&mutex);
    order(core, function, argument);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    wait_until_idle();
}

void host_on_all(host_function function, void *argument)
{
    pthread_mutex_lock(&mutex);
    for (uint16_t core = 0; core < host.core_count; core++) {
        order(core, function, argument);
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    wait_until_idle();
}

struct thread *host_thread_start(host_step step, uint8_t priority)
{
    struct thread *thread;
    if (percpu_thread_allocate(&thread) != RESULT_OK) {
        return NULL;
    }
    thread->frame.rip = (uint64_t)(uintptr_t)step;
    percpu_thread_set_priority(thread, priority);
    percpu_thread_ready(thread);
    return thread;
}

void host_loop(void)
{
    while (!atomic_load_explicit(&must_finish, memory_order_acquire)) {
        if (percpu_channel_is_due) {
            percpu_channel_drain();
        }
        struct thread *thread = percpu_schedule();
        if (thread == NULL) {
            percpu_operation_idle(percpu_next_event_ns());
        } else {
            ((host_step)(uintptr_t)thread->frame.rip)(thread);
            interrupt_take(); /* as if at the end of the step */
        }
    }
}

void host_prepare(void)
{
    atomic_store(&must_finish, false);
}

void host_finish(void)
{
    atomic_store_explicit(&must_finish, true, memory_order_release);
    for (uint16_t core = 0; core < host.core_count; core++) {
        percpu_operation_ipi((core_id_t){core});
    }
}

void host_time_set(uint64_t now_ns)
{
    time_is_manual = true;
    manual_ns = now_ns;
}

uint64_t host_ipis_received(void)
{
    return ipis_received;
}

int64_t host_blocks_attached(void)
{
    return blocks_attached;
}
