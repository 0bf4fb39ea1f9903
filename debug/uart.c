/* SPDX-License-Identifier: Apache-2.0 */
/* The second serial port: 16550 at 0x2f8, interrupt 3. National Semiconductor PC16550D,
 * "Registers". */
#include "line.h"

#include <cpu/instructions.h>
#include <driver/console.h>
#include <driver/device.h>
#include <kernel/facts.h>
#include <uart_registers.h>

#define PORT 0x2f8
#define GSI 3u
#define FIFO_ENABLE 0x07u    /* receive interrupt at the first byte; both queues emptied */
#define INTERRUPT_SEND 0x02u /* when the sender is empty */

static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    bool is_empty = (cpu_in8(PORT + REGISTER_STATUS) & STATUS_HOLDING_EMPTY) != 0;
    uint32_t sent = is_empty ? MIN(count, FIFO_BYTES) : 0;
    for (uint32_t i = 0; i < sent; i++) {
        cpu_out8(PORT + REGISTER_DATA, bytes[i]);
    }
    return sent;
}

static bool receive(uint8_t *byte)
{
    if ((cpu_in8(PORT + REGISTER_STATUS) & STATUS_RECEIVED) == 0) {
        return false;
    }
    *byte = cpu_in8(PORT + REGISTER_DATA);
    return true;
}

static void arm(bool is_sending)
{
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, 0);
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE,
             CONSOLE_LINE_RECEIVE | (is_sending ? INTERRUPT_SEND : 0));
}

void debug_uart_acknowledge(void)
{
    (void)cpu_in8(PORT + REGISTER_INTERRUPT_CAUSE);
}

const struct debug_carrier *debug_uart_initialize(void)
{
    static const struct debug_carrier uart = {"the second serial line", send, receive, arm};
    cpu_out8(PORT + REGISTER_SCRATCH, 0x5a);
    if (cpu_in8(PORT + REGISTER_SCRATCH) != 0x5a) {
        return NULL;
    }
    cpu_out8(PORT + REGISTER_LINE, LINE_DIVISOR);
    cpu_out8(PORT + REGISTER_DATA, 1); /* 115200 */
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, 0);
    cpu_out8(PORT + REGISTER_LINE, LINE_8N1);
    cpu_out8(PORT + REGISTER_FIFO, FIFO_ENABLE);
    cpu_out8(PORT + REGISTER_MODEM, MODEM_ON);
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, CONSOLE_LINE_RECEIVE);
    struct facts_interrupt interrupt = shared_facts.uart; /* in the manner of the first port's */
    interrupt.gsi = GSI;
    return ioapic_route(&interrupt, DEBUG_LINE_VECTOR) == RESULT_OK ? &uart : NULL;
}
