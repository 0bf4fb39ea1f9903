/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets for the assembly of posix/; checked against the C structures in core/dispatch.c. */
#ifndef POSIX_CORE_FRAME_H
#define POSIX_CORE_FRAME_H

#define FRAME_R15 0
#define FRAME_R14 8
#define FRAME_R13 16
#define FRAME_R12 24
#define FRAME_RBP 32
#define FRAME_RBX 40
#define FRAME_R11 48
#define FRAME_R10 56
#define FRAME_R9 64
#define FRAME_R8 72
#define FRAME_RAX 80
#define FRAME_RCX 88
#define FRAME_RDX 96
#define FRAME_RSI 104
#define FRAME_RDI 112
#define FRAME_RIP 120
#define FRAME_CS 128
#define FRAME_RFLAGS 136
#define FRAME_RSP 144
#define FRAME_SS 152
#define FRAME_BYTES 160

/* struct posix_thread, which begins where the posix stack is empty */
#define THREAD_FRAME 0
#define THREAD_CALL 8

#define WORDS_STACK 0
#define WORDS_RETURN_RIP 8
#define WORDS_RETURN_FLAGS 16
#define WORDS_PENDING 24
#define WORDS_BYTES 40

#endif
