/* SPDX-License-Identifier: Apache-2.0 */
/* The console call, of threads of core 0, which has the device; posix/ brings there what the other
 * cores ask for. */
#include "internal.h"

#include <driver/console.h>

/* Threads whose write found no room; they repeat it when there is some. */
static PERCORE struct thread_queue writers;
/* Bytes on their way from the program to the device. */
static PERCORE uint8_t staged[GATE_CONSOLE_BYTES_MAX];

/* Handle of the thread that is unparked when there is input: posix/ has one for all; 0: none. */
static PERCORE uint64_t listener;

static int64_t write(uint64_t stream, uint64_t buffer, uint64_t bytes)
{
    if (stream != 1 && stream != 2 && stream != GATE_CONSOLE_STREAM_FILES) {
        return RESULT_INVALID;
    }
    TRY(gate_copy_from_user(staged, buffer, bytes));
    int64_t taken = console_write((uint32_t)stream, staged, bytes);
    if (taken == RESULT_AGAIN) {
        struct thread *thread = percpu_current;
        thread->resume = RESUME_RESTART;
        percpu_thread_wait(thread, NULL);
        thread_queue_append(&writers, thread);
    }
    return taken;
}

static int64_t read(uint64_t operation, uint64_t buffer, uint64_t bytes)
{
    const uint8_t *input;
    int64_t available = console_input(&input);
    if (available == RESULT_AGAIN && operation == GATE_CONSOLE_LISTEN) {
        listener = percpu_thread_handle(percpu_current);
    }
    if (available <= 0 || operation != GATE_CONSOLE_READ) {
        return available;
    }
    uint64_t count = MIN((uint64_t)available, bytes);
    TRY(gate_copy_to_user(buffer, input, count)); /* a copy that fails loses nothing */
    console_input_take(count);
    return (int64_t)count;
}

/* @impl ATL-LLR-GATE-0027~3 */
int64_t gate_handle_console(uint64_t operation, uint64_t stream, uint64_t buffer, uint64_t bytes,
                            uint64_t)
{
    if (percpu_self.value != 0) {
        return RESULT_OTHER_CORE;
    }
    if (operation < GATE_CONSOLE_WRITE || operation > GATE_CONSOLE_LISTEN ||
        (operation <= GATE_CONSOLE_READ && (bytes == 0 || bytes > GATE_CONSOLE_BYTES_MAX)) ||
        (operation != GATE_CONSOLE_WRITE && stream != 0)) {
        return RESULT_INVALID;
    }
    return operation == GATE_CONSOLE_WRITE ? write(stream, buffer, bytes)
                                           : read(operation, buffer, bytes);
}

void gate_console_ready(bool has_room)
{
    /* All of them: which is first is the scheduler's to say, and none waits for one below it. */
    for (struct thread *next; has_room && (next = thread_queue_take(&writers)) != NULL;) {
        percpu_thread_ready(next);
    }
    const uint8_t *input;
    if (listener != 0 && console_input(&input) != RESULT_AGAIN) {
        (void)gate_handle_unpark(listener, 0, 0, 0, 0); /* it may have gone meanwhile */
        listener = 0;
    }
}
