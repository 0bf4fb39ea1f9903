/* SPDX-License-Identifier: Apache-2.0 */
/* The doorbell of a channel between machines (docs/NEIGHBOUR.md), on x86-TSO with store buffers as in
 * credits_wakeup.pml: side 0 sends and asks for room, side 1 receives and asks for messages, and each
 * sleeps once the other has promised to ring. A ring is remembered until it is taken.
 *
 * Property: nobody sleeps for ever: pan finds each end in which a side has not done all its messages
 * (an invalid end state).
 *
 * -DMUTATE_x breaks the protocol in one place; pan must then report an error.
 *
 * @verifies ATL-LLR-NEIGHBOUR-1045~1 */

#define MESSAGES 4
#define SLOTS 1
#define BUFFER_DEPTH 3

#define HEAD 0
#define TAIL 1
#define HEAD_ASKED 2
#define TAIL_ASKED 3
#define WORDS 4
#define NOBODY 255 /* a position that is passed by nothing */

#define STORE(word, value) buffer[self] ! word, value
#define FENCE (len(buffer[self]) == 0)

byte memory[WORDS];
bool bell[2];
chan buffer[2] = [BUFFER_DEPTH] of { byte, byte };

active [2] proctype store_buffer()
{
    byte word, value;
end:
    do
    :: atomic { buffer[_pid] ? word, value -> memory[word] = value; word = 0; value = 0 }
    od
}

/* The position went from `from` one further. */
inline ring(asked, from)
{
#ifndef MUTATE_RING_WITHOUT_FENCE
    FENCE;
#endif
    if
    :: memory[asked] == from -> bell[1 - self] = true
    :: else -> skip
    fi
}

/* Sleeps unless what was missing has come. */
inline ask_and_sleep(asked, position, word)
{
    STORE(asked, position);
#ifndef MUTATE_ASK_WITHOUT_FENCE
    FENCE;
#endif
#ifdef MUTATE_ASK_WITHOUT_LOOK
    atomic { bell[self] -> bell[self] = false }
#else
    if
    :: memory[word] != position -> skip
    :: else -> atomic { bell[self] -> bell[self] = false }
    fi
#endif
}

proctype sender(byte self)
{
    byte head;
    byte tail;
    do
    :: head == MESSAGES -> break
    :: else ->
        tail = memory[TAIL];
        if
        :: head - tail < SLOTS ->
            head++;
            STORE(HEAD, head);
            ring(HEAD_ASKED, head - 1)
        :: else -> ask_and_sleep(TAIL_ASKED, tail, TAIL)
        fi
    od
}

proctype receiver(byte self)
{
    byte tail;
    do
    :: tail == MESSAGES -> break
    :: else ->
        if
        :: memory[HEAD] != tail ->
            tail++;
            STORE(TAIL, tail);
            ring(TAIL_ASKED, tail - 1)
        :: else -> ask_and_sleep(HEAD_ASKED, tail, HEAD)
        fi
    od
}

init
{
    atomic {
        memory[HEAD_ASKED] = NOBODY;
        memory[TAIL_ASKED] = NOBODY;
        run sender(0);
        run receiver(1)
    }
}
