/* SPDX-License-Identifier: Apache-2.0 */
/* A thread as the kernel knows it: registers, a permit, a place in one queue of its core. Lives in
 * its core's pool for ever; a handle carries the generation. */
#ifndef PERCPU_THREAD_H
#define PERCPU_THREAD_H

#include <percpu/base.h>

enum thread_state {
    THREAD_FREE,
    THREAD_READY,   /* in a run queue */
    THREAD_RUNNING, /* percpu_current */
    THREAD_PARKED,  /* waits for its permit or its deadline */
    THREAD_WAITING, /* the kernel works for it: a reply, a credit, the console; permits do not wake
                       it */
};

enum thread_resume {
    RESUME_GATE,    /* returns from a gate call: rax, callee-saved registers, rip, rsp are valid */
    RESUME_FULL,    /* every register is valid: IRETQ */
    RESUME_RESTART, /* repeats the gate call whose number and arguments are in the frame */
};

/* Order is known to the assembly (offsets locked there); equals struct gate_frame of the gate ABI.
 */
struct thread_frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t rip, cs, rflags, rsp, ss;
};

struct percpu_message;
struct thread;

/* Called on the thread's core when what it WAITs for has come; message may be NULL (credit). */
typedef void (*thread_continuation)(struct thread *thread, const struct percpu_message *message);

#define THREAD_NEVER UINT64_MAX
#define DEADLINE_NONE 0u

struct thread {
    /* What moves with it to another core: */
    struct thread_frame frame;
    uint64_t fs_base, gs_base;
    uint64_t words[4]; /* struct gate_words' switched part */
    uint8_t resume;    /* enum thread_resume */
    uint8_t priority;  /* 0..31, larger first */
    bool permit;
    bool interrupt;  /* an INTERRUPT has not been delivered yet */
    bool fifo;       /* no quantum: runs until it waits or a higher priority is ready */
    uint64_t run_ns; /* time on a core, without what runs since it was loaded last */
    uint64_t cores;  /* bit c: a balanced placement may move it to core c; 0: it stays */
    /* What it is on this core: */
    void *extended;      /* XSAVE area, 64-aligned, allocated with the pool */
    uint8_t state;       /* enum thread_state */
    uint16_t index;      /* in the pool */
    uint32_t generation; /* never 0 */
    uint64_t quantum_end_ns;
    uint64_t deadline_ns;           /* THREAD_NEVER: none */
    uint32_t deadline_slot;         /* position in the deadline heap, or DEADLINE_NONE */
    struct thread *next, *previous; /* run queue or free list or credit queue */
    thread_continuation continuation;
    uint64_t work[8]; /* scratch of the memory operation that the kernel does for it */
    void *cell;       /* this thread's cell (isolation's struct cell) */
};
#define THREAD_MOVED_BYTES offsetof(struct thread, extended)

#endif
