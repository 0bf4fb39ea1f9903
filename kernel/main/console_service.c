/* SPDX-License-Identifier: Apache-2.0 */
/* The console as a service of core 0, and the end of the cell. */
#include "main.h"

#include <driver/console.h>
#include <gate/gate.h>
#include <isolation/audit.h>

static noreturn void service_cell_end(uint64_t status, uint64_t signal)
{
    end_machine(signal != 0 ? CONSOLE_EXIT_SIGNAL : CONSOLE_EXIT_NORMAL, (uint8_t)status,
                (uint8_t)signal);
}

static enum result service_audit(void)
{
    struct audit_report report = {0};
    enum result result = isolation_audit(&report);
    if (result != RESULT_OK) {
        report_broken_rule(percpu_self, &report);
    }
    return result;
}

static void end_requested(core_id_t, const struct percpu_message *request)
{
    service_cell_end(request->arguments[0], request->arguments[1]);
}

void console_service_initialize(core_id_t self)
{
    gate_services = (struct gate_services){
        .console_write = console_write,
        .console_input = console_input,
        .console_input_take = console_input_take,
        .cell_end = service_cell_end,
        .audit = service_audit,
    };
    if (self.value == 0) {
        console_start_interrupts();
        percpu_channel_handle(PERCPU_MESSAGE_CELL_END, end_requested, NULL);
    }
}
