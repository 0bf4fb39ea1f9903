/* SPDX-License-Identifier: Apache-2.0 */
/* For assembly: declares that a fault of the instruction at label `at` continues at label `to`. */
#ifndef CPU_EXCEPTION_TABLE_H
#define CPU_EXCEPTION_TABLE_H

/* clang-format off */
#ifdef __ASSEMBLER__
    .macro cpu_fixup at, to
    .pushsection cpu_extable, "a"
    .balign 4
    .long \at - .
    .long \to - .
    .popsection
    .endm
#endif
/* clang-format on */

#endif
