/* SPDX-License-Identifier: Apache-2.0 */
/* The console call for threads of every core. The kernel serves core 0 alone, so threads of other
 * cores leave what they ask for with threads of posix/'s own there: one for output, which waits
 * while the device has no room, and one for input (file/console_watch.c), so that nobody who reads
 * waits behind a write; that one waits for input for all, also for core 0's. */
#include "internal.h"

/* On the stack of the thread that asks. */
struct request {
    struct request *next;
    uint64_t operation, stream, buffer, bytes;
    int64_t result;
    uint64_t handle;
    _Atomic uint32_t is_done; /* set last: from then on the request may be gone */
};

static struct service {
    _Atomic uint64_t handle; /* 0: it does not run */
    _Atomic(struct request *) newest;
} output, input;

static struct request *reversed(struct request *request)
{
    struct request *reversed = NULL;
    while (request != NULL) {
        struct request *next = request->next;
        request->next = reversed;
        reversed = request;
        request = next;
    }
    return reversed;
}

/* Does everything that was asked for, in that order. */
static void serve(struct service *service)
{
    struct request *request = reversed(atomic_exchange(&service->newest, NULL));
    while (request != NULL) {
        struct request *next = request->next;
        uint64_t handle = request->handle;
        request->result =
            gate_console(request->operation, request->stream, request->buffer, request->bytes);
        atomic_store_explicit(&request->is_done, 1, memory_order_release);
        gate_unpark(handle, 0);
        request = next;
    }
}

void posix_console_serve_input(void)
{
    serve(&input);
}

static void serve_output(void)
{
    for (;;) {
        serve(&output);
        gate_park(GATE_NEVER, 0);
    }
}

/* Moves the calling thread to the console; on its way out it goes where it belongs. Not -EAGAIN,
 * which would mean that there is no input. */
static int64_t come(void)
{
    int64_t handle = gate_thread_set(0, GATE_KEEP, POSIX_CONSOLE_CORE, 0);
    if (handle <= 0) {
        return -ENOMEM;
    }
    atomic_store(&posix_self()->handle, (uint64_t)handle);
    atomic_store(&posix_self()->has_to_move, true);
    posix_words.pending = 1; /* a signal to the old handle */
    return 0;
}

static int64_t ask(struct service *service, struct request *request)
{
    request->handle = posix_thread_handle(posix_self());
    request->next = atomic_load_explicit(&service->newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&service->newest, &request->next, request)) {
    }
    gate_unpark(service->handle, 0);
    while (atomic_load_explicit(&request->is_done, memory_order_acquire) == 0) {
        gate_park(GATE_NEVER, GATE_PARK_KEEP_EXTENDED);
    }
    return request->result;
}

/* @impl ATL-LLR-FILE-1100~1 */
int64_t posix_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    struct service *service = operation == GATE_CONSOLE_WRITE ? &output : &input;
    if (posix_core() != POSIX_CONSOLE_CORE && service->handle != 0) {
        struct request request = {
            .operation = operation, .stream = stream, .buffer = buffer, .bytes = bytes};
        return ask(service, &request);
    }
    int64_t moved = posix_core() != POSIX_CONSOLE_CORE ? come() : 0;
    return moved == 0 ? gate_console(operation, stream, buffer, bytes) : moved;
}

int64_t posix_console_start(uint64_t input_handle)
{
    input.handle = input_handle;
    if (output.handle == 0) {
        int64_t started = posix_service_start(POSIX_CONSOLE_CORE, serve_output);
        if (started < 0) {
            return started;
        }
        output.handle = (uint64_t)started;
    }
    return 0;
}
