/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a mapping while other cores may hold its translation, on x86-TSO. The owner of the slot
 * clears the entry, asks each core that publishes "my TLB may hold this cell" to invalidate, and
 * reuses the frame when all have acknowledged. A core that publishes nothing is not asked: it
 * flushes before it runs the cell again. Store buffers as in credits_wakeup.pml; messages are stores
 * too and so take their turn in the buffer.
 *
 * Property: no core ever uses a translation of a frame that was reused: not by an access of the
 * program, and not by a speculative walk, which reads table pages (reused by the same rule) and may
 * happen whenever the cell's root is loaded. All that waits is woken (no invalid end state).
 *
 * -DMUTATE_x breaks the protocol in one place; pan must then report an error.
 *
 * @verifies ATL-LLR-PERCPU-0011~1 ATL-LLR-ISOL-0010~1 */

#define OTHERS 2           /* cores that are not the owner: 0, 1; the owner's buffer is number 2 */
#define OWNER OTHERS
#define ROUNDS 2           /* unmaps, each of another frame */
#define RUNS 3             /* times that a core runs the cell */
#define BUFFER_DEPTH 3

/* Words: published state of core c, mailbox of core c (owner's), acknowledgement of core c. */
#define PUBLISHED(c) (c)
#define REQUEST(c) (2 + (c))
#define ACKNOWLEDGED(c) (4 + (c))
#define ENTRY 6            /* the page-table entry: 0 or a frame number */
#define WORDS 7

#define STORE(core, word, value) buffer[core] ! word, value
#define FENCE(core) (len(buffer[core]) == 0)

byte memory[WORDS];
chan buffer[OTHERS + 1] = [BUFFER_DEPTH] of { byte, byte };
bool reused[ROUNDS + 2];   /* by frame number, 1.. */
bool owner_done;

active [OTHERS + 1] proctype store_buffer()
{
    byte word, value;
end:
    do
    :: atomic { buffer[_pid] ? word, value -> memory[word] = value; word = 0; value = 0 }
    od
}

/* Either the TLB has the translation or the hardware walks the tables. A walk by way of the cell's
 * root is only made while that is loaded. */
inline touch()
{
    atomic {
        if
        :: translation == 0 -> translation = memory[ENTRY]
        :: else -> skip
        fi;
        assert(translation == 0 || !reused[translation])
    }
}

/* An invalidation may be taken whenever the core is in its kernel: running or idle. */
inline drain()
{
    request = memory[REQUEST(self)];
    translation = 0;
    STORE(self, ACKNOWLEDGED(self), request)
}

proctype other(byte self)
{
    byte translation, request, runs;

    do
    :: runs < RUNS ->
        /* Idle to running. */
#ifdef MUTATE_FLUSH_FIRST
        translation = 0;
        touch(); /* the root is loaded by the flush: walks begin here */
        STORE(self, PUBLISHED(self), 1);
        FENCE(self);
#else
        STORE(self, PUBLISHED(self), 1);
#ifndef MUTATE_NO_PUBLISH_FENCE
        FENCE(self);
#endif
#ifndef MUTATE_NO_FLUSH
        translation = 0;
#endif
#endif
        do
        :: true -> touch()
        :: memory[REQUEST(self)] != request -> drain()
        :: true -> break
        od;
        /* Running to idle: leaves the root (which flushes), then tells so. The translation stays
         * here on purpose: the model does not rely on the flush of the way out. */
#ifdef MUTATE_IDLE_IN_ROOT
        STORE(self, PUBLISHED(self), 0);
        touch();
#else
        STORE(self, PUBLISHED(self), 0);
#endif
        runs++
    :: memory[REQUEST(self)] != request -> drain()
    :: owner_done && memory[REQUEST(self)] == request -> break
    od
}

proctype owner()
{
    byte frame, core;
    bool asked[OTHERS];

    for (frame : 1 .. ROUNDS) {
        STORE(OWNER, ENTRY, 0);
#ifndef MUTATE_NO_CLEAR_FENCE
        FENCE(OWNER);
#endif
        for (core : 0 .. OTHERS - 1) {
            if
            :: memory[PUBLISHED(core)] == 1 ->
                asked[core] = true;
                STORE(OWNER, REQUEST(core), frame)
            :: else -> asked[core] = false
            fi
        }
#ifndef MUTATE_REUSE_EARLY
        for (core : 0 .. OTHERS - 1) {
            if
            :: asked[core] -> memory[ACKNOWLEDGED(core)] == frame
            :: else -> skip
            fi
        }
#endif
        reused[frame] = true;
        /* The address gets a new frame. */
        STORE(OWNER, ENTRY, frame + 1)
    }
    core = 0;
    FENCE(OWNER);
    owner_done = true
}

init
{
    atomic {
        memory[ENTRY] = 1;
        run other(0);
        run other(1);
        run owner()
    }
}
