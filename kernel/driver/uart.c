/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550 serial port (National Semiconductor PC16550D), or where there is none the debug port
 * 0xe9 of QEMU and Xen, which takes output only. No state but shared_facts.has_uart. */
#include "uart_registers.h"

#include <cpu/instructions.h>
#include <driver/console.h>
#include <driver/device.h>
#include <kernel/layout.h>

#define PORT(register_) (0x3f8 + (register_))
#define DEBUG_PORT 0xe9

#define FIFO_ENABLE 0xc1u /* receive interrupt at 14 bytes or idle; received bytes stay */
#define CAUSE_NONE 0x01u

static bool is_present(void)
{
    cpu_out8(PORT(REGISTER_SCRATCH), 0x5a);
    bool first = cpu_in8(PORT(REGISTER_SCRATCH)) == 0x5a;
    cpu_out8(PORT(REGISTER_SCRATCH), 0xa5);
    return first && cpu_in8(PORT(REGISTER_SCRATCH)) == 0xa5;
}

static enum result start(void)
{
    return shared_facts.has_uart ? ioapic_route(&shared_facts.uart, VECTOR_UART) : RESULT_INVALID;
}

/* Where there is no port, QEMU's isa-debugcon or Xen's debug console takes all; where nothing is,
 * nobody hears. @impl ATL-LLR-BOOT-0048~2 */
static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    uint16_t to = DEBUG_PORT;
    if (shared_facts.has_uart) {
        to = PORT(REGISTER_DATA);
        bool is_empty = (cpu_in8(PORT(REGISTER_STATUS)) & STATUS_HOLDING_EMPTY) != 0;
        count = is_empty ? MIN(count, FIFO_BYTES) : 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        cpu_out8(to, bytes[i]);
    }
    return count;
}

static bool receive(uint8_t *byte)
{
    if ((cpu_in8(PORT(REGISTER_STATUS)) & STATUS_RECEIVED) == 0) {
        return false;
    }
    *byte = cpu_in8(PORT(REGISTER_DATA));
    return true;
}

/* The register's bits are CONSOLE_LINE_*. */
static void enable(uint8_t causes)
{
    cpu_out8(PORT(REGISTER_INTERRUPT_ENABLE), causes);
}

static bool pending(void)
{
    return (cpu_in8(PORT(REGISTER_INTERRUPT_CAUSE)) & CAUSE_NONE) == 0;
}

static bool is_idle(void)
{
    return !shared_facts.has_uart || (cpu_in8(PORT(REGISTER_STATUS)) & STATUS_ALL_EMPTY) != 0;
}

static const struct console_line uart_line = {start, send, receive, enable, pending, is_idle};

/* 115200 8N1 and FIFOs, no interrupts. */
void console_discover(void)
{
    shared_console_line = &uart_line;
    shared_facts.has_uart = is_present();
    if (!shared_facts.has_uart) {
        return;
    }
    cpu_out8(PORT(REGISTER_INTERRUPT_ENABLE), 0);
    cpu_out8(PORT(REGISTER_LINE), LINE_DIVISOR);
    cpu_out8(PORT(REGISTER_DATA), 1); /* 115200 / 1 */
    cpu_out8(PORT(REGISTER_DIVISOR_HIGH), 0);
    cpu_out8(PORT(REGISTER_LINE), LINE_8N1);
    cpu_out8(PORT(REGISTER_FIFO), FIFO_ENABLE);
    cpu_out8(PORT(REGISTER_MODEM), MODEM_ON);
}
