/* SPDX-License-Identifier: Apache-2.0 */
/* C functions over the gate page that the kernel fills: gate_<name>, one for each call. */
#define GATE_STUB_BYTES 32

#define GATE_CALL(number, name, arguments)                                                         \
    .globl gate_##name; .type gate_##name, @function; gate_##name:                                 \
    jmp posix_gate_page + number * GATE_STUB_BYTES; .size gate_##name, . - gate_##name;

    .text
#include <gate_table.inc>

/* For debuggers: in a stub of the gate page the return address is at rsp, as behind any call. The
 * page is a hole, so this is written by hand (DWARF 4, section 6.4.1). */
    .section .debug_frame, "", @progbits
common:
    .long common_end - common_id
common_id:
    .long 0xffffffff
    .byte 1, 0                 /* version, no augmentation */
    .byte 1, 0x78, 16          /* factors 1 and -8; the return address is register 16 */
    .byte 0x0c, 7, 8, 0x90, 1  /* the caller's rsp = rsp + 8, and the address lies below it */
    .balign 8
common_end:
    .long page_end - page_common
page_common:
    .long common
    .quad posix_gate_page, 0x1000
    .balign 8
page_end:

    .section .note.GNU-stack, "", @progbits
