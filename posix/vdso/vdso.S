/* SPDX-License-Identifier: Apache-2.0 */
/* The finished vDSO image as a section of posix.elf; VDSO_IMAGE is its path. The last word of its
 * page leads it to the date. */
    .section .vdso, "ax", @progbits
    .incbin VDSO_IMAGE
    .org 0xff8 /* vdso_wall_distance */
    .quad posix_wall_base_ns - .
    .section .note.GNU-stack, "", @progbits
