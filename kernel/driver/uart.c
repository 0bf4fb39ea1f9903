/* SPDX-License-Identifier: Apache-2.0 */
#include "uart.h"

#include <cpu/instructions.h>
#include <driver/console.h>
#include <kernel/facts.h>

#define UART_PORT 0x3f8
#define DEBUG_PORT 0xe9

#define REGISTER_DATA 0
#define REGISTER_INTERRUPT_ENABLE 1
#define REGISTER_DIVISOR_HIGH 1
#define REGISTER_INTERRUPT_CAUSE 2
#define REGISTER_FIFO 2
#define REGISTER_LINE 3
#define REGISTER_MODEM 4
#define REGISTER_STATUS 5
#define REGISTER_SCRATCH 7

#define LINE_DIVISOR 0x80u
#define LINE_8N1 0x03u
#define FIFO_ENABLE 0xc1u /* receive interrupt at 14 bytes or idle; received bytes stay */
#define MODEM_ON 0x0bu    /* DTR, RTS, and OUT2, which lets interrupts through */
#define STATUS_RECEIVED 0x01u
#define STATUS_HOLDING_EMPTY 0x20u
#define STATUS_ALL_EMPTY 0x40u
#define CAUSE_NONE 0x01u
#define FIFO_BYTES 16u

/* Two seconds or more on anything; what takes longer does not take bytes any more. */
#define POLLS_MAX 4000000u

static uint16_t port(uint16_t offset)
{
    return (uint16_t)(shared_facts.uart_port + offset);
}

static bool is_present(uint16_t base)
{
    uint16_t scratch = (uint16_t)(base + REGISTER_SCRATCH);
    cpu_out8(scratch, 0x5a);
    bool first = cpu_in8(scratch) == 0x5a;
    cpu_out8(scratch, 0xa5);
    return first && cpu_in8(scratch) == 0xa5;
}

/* 115200 8N1 and FIFOs, no interrupts. */
void console_discover(void)
{
    shared_facts.uart_port = 0;
    if (!is_present(UART_PORT)) {
        return;
    }
    shared_facts.uart_port = UART_PORT;
    cpu_out8(port(REGISTER_INTERRUPT_ENABLE), 0);
    cpu_out8(port(REGISTER_LINE), LINE_DIVISOR);
    cpu_out8(port(REGISTER_DATA), 1); /* 115200 / 1 */
    cpu_out8(port(REGISTER_DIVISOR_HIGH), 0);
    cpu_out8(port(REGISTER_LINE), LINE_8N1);
    cpu_out8(port(REGISTER_FIFO), FIFO_ENABLE);
    cpu_out8(port(REGISTER_MODEM), MODEM_ON);
}

uint32_t uart_transmit(const uint8_t *bytes, uint64_t count)
{
    if ((cpu_in8(port(REGISTER_STATUS)) & STATUS_HOLDING_EMPTY) == 0) {
        return 0;
    }
    uint32_t burst = (uint32_t)MIN(count, FIFO_BYTES);
    for (uint32_t i = 0; i < burst; i++) {
        cpu_out8(port(REGISTER_DATA), bytes[i]);
    }
    return burst;
}

bool uart_receive(uint8_t *byte)
{
    if ((cpu_in8(port(REGISTER_STATUS)) & STATUS_RECEIVED) == 0) {
        return false;
    }
    *byte = cpu_in8(port(REGISTER_DATA));
    return true;
}

void uart_enable_interrupts(uint8_t causes)
{
    cpu_out8(port(REGISTER_INTERRUPT_ENABLE), causes);
}

bool uart_interrupt_pending(void)
{
    return (cpu_in8(port(REGISTER_INTERRUPT_CAUSE)) & CAUSE_NONE) == 0;
}

/* QEMU's isa-debugcon, Xen's debug console; where nothing is, nobody hears.
 * @impl ATL-LLR-BOOT-0048~1 */
static void write_debug_port(const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        cpu_out8(DEBUG_PORT, bytes[i]);
    }
}

static bool await(uint8_t status)
{
    for (uint32_t i = 0; i < POLLS_MAX; i++) {
        if ((cpu_in8(port(REGISTER_STATUS)) & status) != 0) {
            return true;
        }
        cpu_pause();
    }
    return false;
}

bool uart_write_polled(const uint8_t *bytes, uint64_t count)
{
    if (shared_facts.uart_port == 0) {
        write_debug_port(bytes, count);
        return true;
    }
    while (count > 0) {
        if (!await(STATUS_HOLDING_EMPTY)) {
            return false;
        }
        uint32_t sent = uart_transmit(bytes, count);
        bytes += sent;
        count -= sent;
    }
    return true;
}

void uart_drain(void)
{
    if (shared_facts.uart_port != 0) {
        (void)await(STATUS_ALL_EMPTY);
    }
}
