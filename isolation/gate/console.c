/* SPDX-License-Identifier: Apache-2.0 */
/* The console call. The device belongs to core 0. Bytes are copied from the program by the core of
 * the calling thread into its own staging page, where core 0 reads them; input travels the other
 * way in core 0's staging page. So no core ever touches the program's memory for another core's
 * thread. */
#include "internal.h"

#include <cpu/string.h>

#define CONSOLE_CORE ((core_id_t){0})

/* This core's side: one thread at a time has the staging page, the others wait in line. */
static PERCORE struct gate_line writing;

/* Core 0's side: writes that wait for room in the device's ring, at most one from each core. */
static PERCORE struct percpu_message pending[CORE_COUNT_MAX]; /* kind: NONE where there is none */
/* Handles of the threads that found no input, each once; all are unparked when there is some. When
 * there are more, the oldest is unparked early and asks again. */
#define READERS_MAX 16u
static PERCORE uint64_t readers[READERS_MAX]; /* 0: none */
static PERCORE uint32_t reader_oldest;

static void write_replied(struct thread *thread, const struct percpu_message *reply)
{
    gate_line_release(&writing, thread);
    gate_complete_by_value(thread, reply);
}

/* Core 0: gives staged bytes to the device, or remembers them until there is room. */
static void write_for(core_id_t from, const struct percpu_message *request)
{
    int64_t taken = gate_services.console_write((uint32_t)request->arguments[1],
                                                gate_staging_of_remote(from, GATE_STAGING_WRITE),
                                                request->arguments[2]);
    if (taken == RESULT_AGAIN) {
        pending[from.value] = *request;
        return;
    }
    pending[from.value].kind = PERCPU_MESSAGE_NONE;
    if (from.value == percpu_self.value) {
        const struct percpu_message reply = {.arguments = {(uint64_t)taken}};
        write_replied(percpu_thread_find(request->token), &reply);
    } else {
        gate_reply(from, request, taken);
    }
}

static int64_t write(uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    struct thread *thread = percpu_current;
    if ((stream != 1 && stream != 2 && stream != GATE_CONSOLE_STREAM_FILES) || bytes == 0 ||
        bytes > GATE_CONSOLE_BYTES_MAX) {
        return RESULT_INVALID;
    }
    if (!gate_line_is_free(&writing)) {
        return 0;
    }
    writing.owner = thread;
    enum result copied = gate_copy_from_user(gate_staging_own(GATE_STAGING_WRITE), buffer, bytes);
    if (copied != RESULT_OK) {
        gate_line_release(&writing, thread);
        return copied;
    }
    const struct percpu_message request = {
        .kind = PERCPU_MESSAGE_CONSOLE,
        .token = percpu_thread_handle(thread),
        .arguments = {GATE_CONSOLE_WRITE, stream, bytes},
    };
    if (percpu_self.value == CONSOLE_CORE.value) {
        percpu_thread_wait(thread, NULL);
        write_for(CONSOLE_CORE, &request);
        return 0;
    }
    gate_request_or_repeat(CONSOLE_CORE, request, write_replied);
    if (thread->continuation != write_replied) {
        gate_line_release(&writing, thread); /* it waits for a credit, and asks again */
    }
    return 0;
}

/* Core 0: empties a place. No reader, or one that has gone meanwhile, is no error. */
static void reader_wake(uint64_t *handle)
{
    (void)gate_handle_unpark(*handle, 0, 0, 0, 0);
    *handle = 0;
}

static void reader_remember(uint64_t handle)
{
    for (uint32_t i = 0; i < READERS_MAX; i++) {
        if (readers[i] == handle) {
            return;
        }
    }
    uint64_t *oldest = &readers[reader_oldest++ % READERS_MAX];
    reader_wake(oldest);
    *oldest = handle;
}

/* Core 0: how many bytes of input lie at *at; 0: the end; RESULT_AGAIN: none yet, and the thread
 * that token names will be unparked. */
static int64_t input_available(uint64_t token, const uint8_t **at)
{
    int64_t available = gate_services.console_input(at);
    if (available == RESULT_AGAIN) {
        reader_remember(token);
    }
    return available;
}

static int64_t read_local(uint64_t operation, uint64_t buffer, uint64_t bytes)
{
    const uint8_t *input;
    int64_t available = input_available(percpu_thread_handle(percpu_current), &input);
    if (available <= 0 || operation == GATE_CONSOLE_POLL) {
        return available;
    }
    uint64_t count = MIN((uint64_t)available, bytes);
    TRY(gate_copy_to_user(buffer, input, count)); /* a copy that fails loses nothing */
    gate_services.console_input_take(count);
    return (int64_t)count;
}

/* Another core's thread gets input inside the reply; should its copy fail (its buffer was valid
 * when it asked), those few bytes are lost with an error to the reader. */
#define INLINE_BYTES_MAX ((PERCPU_MESSAGE_ARGUMENTS - 1) * sizeof(uint64_t))

static void read_requested(core_id_t from, const struct percpu_message *request)
{
    struct percpu_message reply = {.kind = request->kind, .token = request->token};
    const uint8_t *input;
    int64_t available = input_available(request->token, &input);
    if (available > 0 && request->arguments[0] == GATE_CONSOLE_READ) {
        uint64_t count = MIN(MIN((uint64_t)available, request->arguments[2]), INLINE_BYTES_MAX);
        memcpy(&reply.arguments[1], input, count);
        gate_services.console_input_take(count);
        available = (int64_t)count;
    }
    reply.arguments[0] = (uint64_t)available;
    percpu_channel_reply(from, &reply);
}

void gate_console_requested(core_id_t from, const struct percpu_message *request)
{
    if (request->arguments[0] == GATE_CONSOLE_WRITE) {
        write_for(from, request);
    } else {
        read_requested(from, request);
    }
}

/* The count and the bytes wait in the thread's scratch words; the repeated call finds them there
 * and copies. */
static void read_replied(struct thread *thread, const struct percpu_message *reply)
{
    if ((int64_t)reply->arguments[0] <= 0 || thread->frame.rdi == GATE_CONSOLE_POLL) {
        gate_complete_by_value(thread, reply);
        return;
    }
    gate_repeat_with_reply(thread, reply);
}

static int64_t read_remote(uint64_t operation, uint64_t buffer, uint64_t bytes)
{
    struct thread *thread = percpu_current;
    uint64_t count = thread->gate_work[0];
    if (count != 0) {
        TRY(gate_copy_to_user(buffer, &thread->gate_work[1], count));
        return (int64_t)count;
    }
    const struct percpu_message request = {.kind = PERCPU_MESSAGE_CONSOLE,
                                           .arguments = {operation, 0, bytes}};
    thread->resume = RESUME_RESTART;
    return gate_request_or_repeat(CONSOLE_CORE, request, read_replied);
}

/* @impl ATL-LLR-GATE-0027~1 */
int64_t gate_handle_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes,
                            uint64_t)
{
    if (operation == GATE_CONSOLE_WRITE) {
        return write(stream, buffer, bytes);
    }
    if ((operation != GATE_CONSOLE_READ && operation != GATE_CONSOLE_POLL) || stream != 0 ||
        (operation == GATE_CONSOLE_READ && (bytes == 0 || bytes > GATE_CONSOLE_BYTES_MAX))) {
        return RESULT_INVALID;
    }
    return percpu_self.value == CONSOLE_CORE.value ? read_local(operation, buffer, bytes)
                                                   : read_remote(operation, buffer, bytes);
}

/* Core 0: the device has room or input again. */
void gate_console_ready(void)
{
    for (uint16_t core = 0; core < percpu_core_count; core++) {
        const struct percpu_message waiting = pending[core];
        if (waiting.kind != PERCPU_MESSAGE_NONE) {
            write_for((core_id_t){core}, &waiting);
        }
    }
    const uint8_t *input;
    if (gate_services.console_input(&input) != RESULT_AGAIN) {
        for (uint32_t i = 0; i < READERS_MAX; i++) {
            reader_wake(&readers[(reader_oldest + i) % READERS_MAX]);
        }
    }
}
