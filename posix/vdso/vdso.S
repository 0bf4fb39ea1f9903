/* SPDX-License-Identifier: Apache-2.0 */
/* The finished vDSO image as a section of posix.elf; VDSO_IMAGE is its path. */
    .section .vdso, "ax", @progbits
    .incbin VDSO_IMAGE
    .section .note.GNU-stack, "", @progbits
