/* SPDX-License-Identifier: Apache-2.0 */
/* National Semiconductor PC16550D, "Registers". */
#include "line.h"

#include <cpu/instructions.h>
#include <cpu/time.h>
#include <driver/console.h>
#include <driver/device.h>
#include <kernel/facts.h>
#include <uart_registers.h>

#define PORT 0x2f8
#define GSI 3u
#define FIFO_ENABLE 0x07u    /* receive interrupt at the first byte; both queues emptied */
#define INTERRUPT_SEND 0x02u /* when the sender is empty */
#define SEND_NS_MAX 10000000000ull

static PERCORE const uint8_t *queued;
static PERCORE uint32_t queued_count;

/* @impl ATL-LLR-DEBUG-0004~1 */
bool debug_line_initialize(void)
{
    cpu_out8(PORT + REGISTER_SCRATCH, 0x5a);
    if (cpu_in8(PORT + REGISTER_SCRATCH) != 0x5a) {
        return false;
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
    return ioapic_route(&interrupt, DEBUG_LINE_VECTOR) == RESULT_OK;
}

bool debug_line_receive(uint8_t *byte)
{
    if ((cpu_in8(PORT + REGISTER_STATUS) & STATUS_RECEIVED) == 0) {
        return false;
    }
    *byte = cpu_in8(PORT + REGISTER_DATA);
    return true;
}

static bool await_room(void)
{
    uint64_t deadline = cpu_now_ns() + SEND_NS_MAX;
    while ((cpu_in8(PORT + REGISTER_STATUS) & STATUS_HOLDING_EMPTY) == 0) {
        if (cpu_now_ns() > deadline) {
            return false;
        }
        cpu_pause();
    }
    return true;
}

void debug_line_send(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i % FIFO_BYTES == 0 && !await_room()) {
            return;
        }
        cpu_out8(PORT + REGISTER_DATA, bytes[i]);
    }
}

/* @impl ATL-LLR-DEBUG-0752~1 */
void debug_line_service(void)
{
    (void)cpu_in8(PORT + REGISTER_INTERRUPT_CAUSE); /* ends an interrupt of the sender */
    if (queued_count == 0 || (cpu_in8(PORT + REGISTER_STATUS) & STATUS_HOLDING_EMPTY) == 0) {
        return;
    }
    uint32_t count = MIN(queued_count, FIFO_BYTES);
    queued_count -= count;
    if (queued_count == 0) {
        cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, CONSOLE_LINE_RECEIVE);
    }
    for (uint32_t i = 0; i < count; i++) {
        cpu_out8(PORT + REGISTER_DATA, *queued++);
    }
}

void debug_line_queue(const uint8_t *bytes, uint32_t count)
{
    ASSERT(queued_count == 0);
    queued = bytes;
    queued_count = count;
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, CONSOLE_LINE_RECEIVE | INTERRUPT_SEND);
}

/* @impl ATL-LLR-DEBUG-0847~1 */
void debug_line_settle(void)
{
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, 0);
    cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE,
             CONSOLE_LINE_RECEIVE | (queued_count != 0 ? INTERRUPT_SEND : 0));
}

bool debug_line_is_sending(void)
{
    return queued_count != 0;
}

void debug_line_flush(void)
{
    if (queued_count != 0) {
        cpu_out8(PORT + REGISTER_INTERRUPT_ENABLE, CONSOLE_LINE_RECEIVE);
        debug_line_send(queued, queued_count);
        queued_count = 0;
    }
}
