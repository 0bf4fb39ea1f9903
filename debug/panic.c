/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's last words and the end of the cell go into the crash record first. The linker puts
 * these functions in place of the kernel's own. */
#include "record.h"

#include <cpu/time.h>
#include <driver/console.h>
#include <kernel/layout.h>
#include <main.h>
#include <percpu/operations.h>

#define LINE_BYTES 128u
#define DIGITS_MAX 10u

noreturn void __real_percpu_operation_panic(const char *reason);
noreturn void __wrap_percpu_operation_panic(const char *reason);
noreturn void __real_percpu_assert_failed(const char *expression, const char *file, int line);
noreturn void __wrap_percpu_assert_failed(const char *expression, const char *file, int line);
noreturn void __real_report_kernel_trap(const struct kernel_trap *trap, uint64_t address);
noreturn void __real_stop_self(void);
noreturn void __wrap_stop_self(void);

struct thread;
enum result __real_gate_upcall_fault(struct thread *thread, uint64_t vector, uint64_t error,
                                     uint64_t address);
enum result __wrap_gate_upcall_fault(struct thread *thread, uint64_t vector, uint64_t error,
                                     uint64_t address);

struct line {
    char text[LINE_BYTES];
    uint32_t used;
};

static void put(struct line *line, const char *text)
{
    while (*text != '\0' && line->used < LINE_BYTES - 1) {
        line->text[line->used++] = *text++;
    }
}

static void put_number(struct line *line, uint32_t value)
{
    char digits[DIGITS_MAX + 1] = "";
    uint32_t at = DIGITS_MAX;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(line, digits + at);
}

/* @impl ATL-LLR-DEBUG-0709~1 */
noreturn void __wrap_percpu_operation_panic(const char *reason)
{
    debug_watchdog_end();
    debug_record_write(&(struct debug_fault){0}, reason);
    __real_percpu_operation_panic(reason);
}

/* @impl ATL-LLR-DEBUG-0709~1 */
noreturn void __wrap_percpu_assert_failed(const char *expression, const char *file, int line)
{
    struct line text = {.used = 0};
    debug_watchdog_end();
    put(&text, "assertion failed: ");
    put(&text, expression);
    put(&text, " (");
    put(&text, file);
    put(&text, ":");
    put_number(&text, (uint32_t)line);
    put(&text, ")");
    debug_record_write(&(struct debug_fault){0}, text.text);
    __real_percpu_assert_failed(expression, file, line);
}

/* @impl ATL-LLR-DEBUG-0709~1 */
noreturn void __wrap_report_kernel_trap(const struct kernel_trap *trap, uint64_t address)
{
    struct debug_fault fault = {.vector = trap->vector,
                                .error = trap->error,
                                .rip = trap->rip,
                                .rsp = trap->rsp,
                                .address = address};
    debug_watchdog_end();
    debug_record_write(&fault, trap->vector == VECTOR_NMI ? "watchdog: no pass of the scheduler"
                                                          : "exception in the kernel");
    __real_report_kernel_trap(trap, address);
}

/* An exception is to become a signal. */
enum result __wrap_gate_upcall_fault(struct thread *thread, uint64_t vector, uint64_t error,
                                     uint64_t address)
{
    debug_page_own()->fault = (struct debug_fault){.time_ns = cpu_now_ns(),
                                                   .vector = vector,
                                                   .error = error,
                                                   .rip = thread->frame.rip,
                                                   .rsp = thread->frame.rsp,
                                                   .address = address,
                                                   .thread = percpu_thread_handle(thread)};
    return __real_gate_upcall_fault(thread, vector, error, address);
}

/* Another core ends the machine. */
noreturn void __wrap_stop_self(void)
{
    debug_watchdog_end();
    __real_stop_self();
}

/* Core 0: a signal has ended the cell. The fault is the newest one that became a signal, if it is
 * for one that exceptions have. @impl ATL-LLR-DEBUG-0709~1 */
void debug_record_signal(uint32_t signal)
{
    struct debug_fault fault = {0};
    struct line text = {.used = 0};
    put(&text, "the program was ended by signal ");
    put_number(&text, signal);
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        const struct debug_fault *last = &debug_page_of_remote(core)->fault;
        if (debug_signal_is_of_exception(signal) && last->time_ns > fault.time_ns) {
            fault = *last;
        }
    }
    debug_record_write(&fault, text.text);
}
