/* SPDX-License-Identifier: Apache-2.0 */
/* Places in struct thread that the assembly uses; gate.c locks each by static_assert. */
#ifndef ISOLATION_GATE_OFFSETS_H
#define ISOLATION_GATE_OFFSETS_H

#define THREAD_R15 0
#define THREAD_R14 8
#define THREAD_R13 16
#define THREAD_R12 24
#define THREAD_RBP 32
#define THREAD_RBX 40
#define THREAD_R11 48
#define THREAD_R10 56
#define THREAD_R9 64
#define THREAD_R8 72
#define THREAD_RAX 80
#define THREAD_RCX 88
#define THREAD_RDX 96
#define THREAD_RSI 104
#define THREAD_RDI 112
#define THREAD_RIP 120
#define THREAD_CS 128
#define THREAD_RFLAGS 136
#define THREAD_RSP 144
#define THREAD_SS 152
#define THREAD_RESUME 216

#define WORDS_RETURN_RIP 8
#define WORDS_RETURN_FLAGS 16

#endif
