/* SPDX-License-Identifier: Apache-2.0 */
/* C functions over the gate page that the kernel fills: gate_<name>, one for each call. */
#define GATE_STUB_BYTES 32

#define GATE_CALL(number, name, arguments)                                                         \
    .globl gate_##name; .type gate_##name, @function; gate_##name:                                 \
    jmp posix_gate_page + number * GATE_STUB_BYTES; .size gate_##name, . - gate_##name;

    .text
#include <gate_table.inc>

    .section .note.GNU-stack, "", @progbits
