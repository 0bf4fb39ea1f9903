/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of posix/net in a posix.elf without it: not offered, and counted. rax = the number.
 * @impl ATL-LLR-NET-0723~1 */
    .text
#define CALL_ABSENT(name)                                                                          \
    .globl posix_##name;                                                                           \
    posix_##name:
#include <posix_net_absent.inc>
    mov %rax, %rdi
    jmp posix_syscall_refuse

    .section .note.GNU-stack, "", @progbits
