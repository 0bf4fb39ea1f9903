/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a 16550 serial port, counted from its first (National Semiconductor PC16550D). */
#ifndef KERNEL_DRIVER_UART_REGISTERS_H
#define KERNEL_DRIVER_UART_REGISTERS_H

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
#define MODEM_ON 0x0bu /* DTR, RTS, and OUT2, which lets interrupts through */
#define FIFO_BYTES 16u
#define STATUS_RECEIVED 0x01u
#define STATUS_HOLDING_EMPTY 0x20u
#define STATUS_ALL_EMPTY 0x40u

#endif
