/* SPDX-License-Identifier: Apache-2.0 */
/* The console as a service of core 0, and the end of the cell. */
#include "main.h"

#include <driver/console.h>
#include <gate/gate.h>
#include <isolation/audit.h>

#define SIGNAL_KILL 9

static int64_t service_write(uint32_t stream, const void *bytes, uint64_t count)
{
    uint64_t taken = console_write(stream, bytes, count);
    return taken == 0 ? (int64_t)RESULT_AGAIN : (int64_t)taken;
}

static int64_t service_read(void *bytes, uint64_t count)
{
    return console_read(bytes, count);
}

static int64_t service_poll(void)
{
    return console_input_available();
}

static noreturn void service_cell_end(uint64_t status, uint64_t signal)
{
    if (signal == SIGNAL_KILL) {
        report_out_of_memory();
    }
    end_machine(signal != 0 ? CONSOLE_EXIT_SIGNAL : CONSOLE_EXIT_NORMAL, (uint8_t)status,
                (uint8_t)signal);
}

static enum result service_audit(void)
{
    struct audit_report report = {0};
    enum result result = isolation_audit(&report);
    if (result != RESULT_OK) {
        console_log(CONSOLE_ERROR, "atoll: audit: core %u breaks rule %s at 0x%lx (entry 0x%lx)\n",
                    percpu_self.value, report.first_rule, report.first_address, report.first_entry);
    }
    return result;
}

static void end_requested(core_id_t from, const struct percpu_message *request)
{
    (void)from;
    service_cell_end(request->arguments[0], request->arguments[1]);
}

void console_service_initialize(core_id_t self)
{
    const struct gate_services services = {
        .console_write = service_write,
        .console_read = service_read,
        .console_poll = service_poll,
        .cell_end = service_cell_end,
        .audit = service_audit,
    };
    gate_services_set(&services);
    if (self.value == 0) {
        console_start_interrupts();
        percpu_channel_handle(PERCPU_MESSAGE_CELL_END, end_requested);
    }
}

void console_service_interrupt(void)
{
    console_interrupt();
    gate_console_ready();
}
