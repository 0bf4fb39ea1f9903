/* SPDX-License-Identifier: Apache-2.0 */
/* Lives of the two sides of a channel between machines, as apps/neighbour/neighbour.c lives them, on
 * x86-TSO with store buffers as in credits_wakeup.pml. Both sides keep the rules; at any step side 0
 * may send, side 1 receive, and either leave, or begin a new life as after a crash. (The other
 * direction is the same with the sides exchanged; they share nothing but the lives.)
 *
 * Properties: what a receiver takes is the next message of the life that it is linked to; no side
 * ever finds that the other broke a rule; only what was a link is reset, and only when the other's
 * life is over; who is
 * told that the other has left has received everything that it sent.
 *
 * -DLIVES_1=3 was checked too: 12 million states in 650 MB.
 * -DMUTATE_x breaks the protocol in one place; pan must then report an error.
 *
 * @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1003~1 ATL-LLR-NEIGHBOUR-1005~1 */

#ifndef LIVES_0
#define LIVES_0 2
#endif
#ifndef LIVES_1
#define LIVES_1 2
#endif
#define LIVES (self == 0 -> LIVES_0 : LIVES_1)
#define LIVES_MAX 4
#define MESSAGES 2         /* of a life */
#define SLOTS 1
#define BUFFER_DEPTH 3

#define GENERATION(s) (s)
#define MET(s) (2 + (s))
#define LEFT(s) (4 + (s))
#define HEAD(s) (6 + (s))
#define TAIL(s) (8 + (s))
#define SLOT(s) (10 + (s)) /* generation and position */
#define WORDS 12
#define MESSAGE(generation, position) ((generation) * 4 + (position))

#define STORE(word, value) buffer[self] ! word, value
#define FENCE (len(buffer[self]) == 0)
#define DISTANCE(to, from) ((256 + (to) - (from)) % 256)

mtype = { OPEN, CLOSED, RESET };

byte memory[WORDS];
chan buffer[2] = [BUFFER_DEPTH] of { byte, byte };

/* What is true, whoever knows it: by side and generation. */
bool is_over[2 * LIVES_MAX];
byte greeted[2 * LIVES_MAX];
byte sent[2 * LIVES_MAX];
#define OF(side, generation) ((side) * LIVES_MAX + (generation))

active [2] proctype store_buffer()
{
    byte word, value;
end:
    do
    :: atomic { buffer[_pid] ? word, value -> memory[word] = value; word = 0; value = 0 }
    od
}

/* a: the peer's generation, b: whom it has met; both 0 while its life changes. */
inline peer_life()
{
    a = memory[GENERATION(peer)];
    b = memory[MET(peer)];
#ifndef MUTATE_LIFE_READ_ONCE
    if
    :: memory[GENERATION(peer)] != a -> atomic { a = 0; b = 0 }
    :: else -> skip
    fi
#endif
}

inline finish(why)
{
    STORE(LEFT(self), generation);
    state = why
}

inline reset()
{
    assert(is_over[OF(peer, met)] && greeted[OF(peer, met)] == generation);
    finish(RESET)
}

/* Something makes no sense: it must be a new life. */
inline distrust()
{
#ifdef MUTATE_NO_SECOND_LOOK
    assert(false);
#endif
    peer_life();
    assert(a != met || b != generation);
    reset()
}

inline join()
{
    atomic { is_over[OF(self, generation)] = true; generation++; met = 0; is_linked = false;
             head = 0; tail = 0; peer_tail = 0; state = OPEN }
    STORE(GENERATION(self), 0);
    FENCE;
    STORE(MET(self), 0);
    STORE(LEFT(self), 0);
    STORE(HEAD(self), 0);
    STORE(TAIL(self), 0);
    STORE(GENERATION(self), generation)
}

inline greet()
{
    if
    :: a != 0 && met != a ->
        if
        :: memory[LEFT(peer)] != a ->
            atomic { met = a; greeted[OF(self, generation)] = a }
            STORE(MET(self), a)
        :: else -> skip
        fi
    :: else -> skip
    fi;
#ifdef MUTATE_ONE_SIDED_LINK
    is_linked = (a != 0 && met == a)
#else
    is_linked = (a != 0 && met == a && b == generation)
#endif
}

inline link_up()
{
    peer_life();
    if
    :: is_linked && (a != met || b != generation) -> reset()
    :: is_linked && a == met && b == generation -> skip
    :: else -> greet()
    fi
}

inline send()
{
    link_up();
    if
    :: state == OPEN && is_linked && memory[LEFT(peer)] != met ->
        a = memory[TAIL(peer)];
        if
        :: DISTANCE(head, a) > DISTANCE(head, peer_tail) -> distrust()
        :: else ->
            peer_tail = a;
            if
            :: DISTANCE(head, a) < SLOTS ->
#ifdef MUTATE_HEAD_FIRST
                STORE(HEAD(self), head + 1);
#endif
                STORE(SLOT(self), MESSAGE(generation, head));
                atomic { head++; sent[OF(self, generation)] = head }
#ifndef MUTATE_HEAD_FIRST
                STORE(HEAD(self), head)
#endif
            :: else -> skip
            fi
        fi
    :: else -> skip
    fi
}

inline take()
{
    if
    :: memory[SLOT(peer)] != MESSAGE(met, tail) -> distrust()
    :: else -> tail++; STORE(TAIL(self), tail)
    fi
}

inline conclude()
{
    peer_life();
    if
#ifdef MUTATE_END_UNCHECKED
    :: true ->
#else
    :: a == met && b == generation ->
#endif
        assert(tail == sent[OF(peer, met)]);
        finish(CLOSED)
#ifndef MUTATE_END_UNCHECKED
    :: else -> reset()
#endif
    fi
}

inline receive()
{
    link_up();
    if
    :: state == OPEN && is_linked ->
#ifndef MUTATE_END_AFTER_HEAD
        has_left = (memory[LEFT(peer)] == met);
#endif
        a = memory[HEAD(peer)];
#ifdef MUTATE_END_AFTER_HEAD
        has_left = (memory[LEFT(peer)] == met);
#endif
        if
        :: DISTANCE(a, tail) > SLOTS -> distrust()
        :: a == tail && has_left -> conclude()
        :: a == tail && !has_left -> skip
        :: else -> take()
        fi
    :: else -> skip
    fi
}

proctype side(byte self)
{
    byte peer = 1 - self;
    byte generation, met, head, tail, peer_tail, a, b;
    bool is_linked, has_left;
    mtype state = CLOSED;
    do
    :: generation < LIVES -> join()
    :: self == 0 && state == OPEN && head < MESSAGES -> send()
    :: self == 1 && state == OPEN -> receive()
    :: state == OPEN -> finish(CLOSED)
    :: generation == LIVES && state != OPEN -> break
    od
}

init { atomic { run side(0); run side(1) } }
