/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550 serial port (National Semiconductor PC16550D), or where there is none the debug port
 * 0xe9 of QEMU and Xen, which takes output only. No state but shared_facts.uart_port. */
#ifndef KERNEL_DRIVER_UART_H
#define KERNEL_DRIVER_UART_H

#include <percpu/base.h>

#define UART_ENABLE_RECEIVE 1u
#define UART_ENABLE_TRANSMIT 2u

/* Sends what the transmitter takes now without waiting, and returns how many bytes that was. */
uint32_t uart_transmit(const uint8_t *bytes, uint64_t count);
/* False: nothing there. */
bool uart_receive(uint8_t *byte);

void uart_enable_interrupts(uint8_t causes);
/* Reads, and thereby acknowledges, the cause; false: the line is quiet. */
bool uart_interrupt_pending(void);

/* Polled: all bytes, waiting a bounded time for each FIFO-full. False: gave up. */
bool uart_write_polled(const uint8_t *bytes, uint64_t count);
/* Waits, bounded, until the last bit has left. */
void uart_drain(void);

/* Sends a serial port's interrupt to core 0 from now on, in the manner of the console's (ioapic.c).
 * Core 0, own root.
 * Errors: RESULT_INVALID there is no I/O APIC, or it has no such input, or core 0's APIC id is not
 *         one that it can address */
enum result ioapic_route_uart(uint32_t gsi, uint8_t vector);

#endif
