/* SPDX-License-Identifier: Apache-2.0 */
/* Channels between two cores, as channel.c and signal.c build them, on x86-TSO: every store of a
 * core goes through its store buffer (a FIFO that a process of its own empties at any time); a fence
 * waits until the buffer is empty. Every word has one writer, which keeps its own copy, so that no
 * core loads a word that it may still have in its buffer.
 *
 * -DRINGS    requests and replies with credits on bounded rings. Properties: no ring overflows, no
 *            slot is read before it is written, credits are conserved, nothing dead-locks.
 * -DSIGNALS  unpark bits with acknowledging bits in two levels (group, leaf), park and permit.
 *            Property: no wake-up is lost. A lost one is an invalid end state: the receiver sleeps,
 *            a thread waits, and nobody is left to wake it.
 * Both have the attention word of each core: even while the core takes what is there, odd (a new
 * value with each drain) when it needs an interrupt; a sender sends one interrupt for each odd value
 * at most. So an interrupt must be answered by a drain even if there seems to be nothing to take.
 *
 * -DMUTATE_x  breaks the design in one place; pan must then report an error.
 *
 * @verifies ATL-LLR-PERCPU-0003~1 ATL-LLR-PERCPU-0005~1 ATL-LLR-PERCPU-0006~1
 *   ATL-LLR-PERCPU-0008~1 */

#define STORE(core, word, value) buffer[core] ! word, value
#define FENCE(core) (len(buffer[core]) == 0)

#ifdef MUTATE_NO_SLEEP_FENCE
#define SLEEP_FENCE(core) skip
#else
#define SLEEP_FENCE(core) FENCE(core)
#endif
#ifdef MUTATE_NO_SEND_FENCE
#define SEND_FENCE(core) skip
#else
#define SEND_FENCE(core) FENCE(core)
#endif

#define CORES 2
#define WORDS 16
#define BUFFER_DEPTH 3

byte memory[WORDS];
chan buffer[CORES] = [BUFFER_DEPTH] of { byte, byte };
bool interrupt[CORES]; /* pending at the core's interrupt controller */

active [CORES] proctype store_buffer()
{
    byte word, value;
end:
    do
    :: atomic { buffer[_pid] ? word, value -> memory[word] = value; word = 0; value = 0 }
    od
}

/* After a publication: the fence, then the decision whether the other core needs an interrupt. */
inline notify(self, other, attention_word, sent, seen)
{
    SEND_FENCE(self);
    atomic {
        seen = memory[attention_word];
        if
        :: (seen & 1) && seen != sent -> sent = seen; interrupt[other] = true
        :: else -> skip
        fi;
        seen = 0
    }
}

#ifdef RINGS

#ifndef CREDITS
#define CREDITS 1
#endif
#ifndef REQUESTS_0
#define REQUESTS_0 2
#endif
#ifndef REQUESTS_1
#define REQUESTS_1 1
#endif
#define REQUESTS(c) ((c) == 0 -> REQUESTS_0 : REQUESTS_1)
#define SLOTS (2 * CREDITS)

/* Words of core c. */
#define HEAD(c) (c)
#define TAIL(c) (2 + (c))
#define ATTENTION(c) (4 + (c))
#define SLOT(c, position) (6 + (c) * SLOTS + (position) % SLOTS)
/* A message: its position in the ring and whether it is a reply (then the value is even). */
#define MESSAGE(position, is_reply) (2 * (position) + (is_reply) + 1)

inline transmit(is_reply)
{
    assert(head - memory[TAIL(other)] < SLOTS);
#ifdef MUTATE_HEAD_FIRST
    STORE(self, HEAD(self), head + 1);
    STORE(self, SLOT(self, head), MESSAGE(head, is_reply));
#else
    STORE(self, SLOT(self, head), MESSAGE(head, is_reply));
    STORE(self, HEAD(self), head + 1);
#endif
    head++;
    notify(self, other, ATTENTION(other), sent, scratch)
}

proctype core(byte self)
{
    byte other = 1 - self;
    byte head, tail, sent, attention, scratch, message;
    byte credits = CREDITS, to_send = REQUESTS(self);
    byte deferred;    /* requests of the other core that wait for our reply */
    byte served, done;

take: /* zero at boot: a core that has not started gets no interrupts */
    attention = attention + 2 - (attention & 1);
    STORE(self, ATTENTION(self), attention);
    do
#ifdef MUTATE_NO_CREDIT
    :: to_send > 0 -> to_send--; transmit(0)
#else
    :: to_send > 0 && credits > 0 -> credits--; to_send--; transmit(0)
#endif
    :: deferred > 0 -> deferred--; served++; transmit(1)
    :: memory[HEAD(other)] != tail ->
        atomic {
            message = memory[SLOT(other, tail)];
            assert(message == MESSAGE(tail, 0) || message == MESSAGE(tail, 1));
            tail++
        }
        STORE(self, TAIL(self), tail);
        if
        :: message & 1 -> deferred++; assert(deferred <= CREDITS)
        :: else ->
            done++;
            credits++;
            assert(credits <= CREDITS)
        fi;
        message = 0
#ifdef MUTATE_CREDIT_EARLY
    /* A credit that comes back when the request was taken, not when its reply has come. */
    :: credits < CREDITS && memory[TAIL(other)] == head -> credits++
#endif
    :: else -> break
    od;
    assert(credits + (REQUESTS(self) - to_send) - done == CREDITS);
    if
    :: done == REQUESTS(self) && served == REQUESTS(other) -> goto finished
    :: else -> skip
    fi;
    attention++;
    STORE(self, ATTENTION(self), attention);
    SLEEP_FENCE(self);
idle:
    if
    :: memory[HEAD(other)] != tail || credits > 0 && to_send > 0 || deferred > 0 -> goto take
    :: else -> skip
    fi;
    /* Idle (or a thread runs): only an interrupt brings the core back. */
    atomic { interrupt[self] -> interrupt[self] = false };
#ifdef MUTATE_INTERRUPT_IGNORED
    goto idle;
#else
    goto take;
#endif
finished:
    assert(credits == CREDITS)
}

init { atomic { run core(0); run core(1) } }

#endif

#ifdef SIGNALS

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define SENDER 0
#define RECEIVER 1
#define THREADS 2

/* Words of the sender. DATA: what a thread waits for, in application memory. */
#define DATA(thread) (thread)
#define LEAF 2
#define GROUP 3
/* Words of the receiver. */
#define LEAF_SEEN 4
#define GROUP_SEEN 5
#define ATTENTION_WORD 6

#define BIT(word, thread) (((word) >> (thread)) & 1)

proctype sender()
{
    byte count[THREADS];
    byte leaf, group, sent, scratch, thread;

    do
    :: atomic { count[0] < ROUNDS -> thread = 0 }
        goto signal
    :: atomic { count[1] < ROUNDS -> thread = 1 }
        goto signal
    :: count[0] == ROUNDS && count[1] == ROUNDS -> break
    signal:
        count[thread]++;
        STORE(SENDER, DATA(thread), count[thread]);
        /* Equal bits cannot change under us: only a pending signal is acknowledged. */
        if
        :: BIT(memory[LEAF_SEEN], thread) != BIT(leaf, thread) ->
#ifndef MUTATE_NO_LEAF_FENCE
            FENCE(SENDER);
#endif
            if
            :: BIT(memory[LEAF_SEEN], thread) != BIT(leaf, thread) -> goto merged
            :: else -> skip
            fi
        :: else -> skip
        fi;
        leaf = leaf ^ (1 << thread);
        STORE(SENDER, LEAF, leaf);
        if
        :: memory[GROUP_SEEN] != group ->
#ifndef MUTATE_NO_GROUP_FENCE
            FENCE(SENDER);
#endif
            if
            :: memory[GROUP_SEEN] != group -> goto merged
            :: else -> skip
            fi
        :: else -> skip
        fi;
        group = 1 - group;
        STORE(SENDER, GROUP, group);
        notify(SENDER, RECEIVER, ATTENTION_WORD, sent, scratch);
    merged:
        thread = 0
    od
}

inline take_signals()
{
    if
    :: memory[GROUP] != group_seen ->
        group_seen = memory[GROUP];
        STORE(RECEIVER, GROUP_SEEN, group_seen);
#ifndef MUTATE_NO_GROUP_SEEN_FENCE
        FENCE(RECEIVER);
#endif
        scratch = memory[LEAF];
        permit = permit | (scratch ^ leaf_seen);
        leaf_seen = scratch;
        scratch = 0;
        STORE(RECEIVER, LEAF_SEEN, leaf_seen);
#ifndef MUTATE_NO_LEAF_SEEN_FENCE
        FENCE(RECEIVER);
#endif
    :: else -> skip
    fi
}

/* A thread takes its permit, looks at its condition, parks again unless it holds. */
inline run_threads()
{
    do
    :: BIT(permit, 0) ->
        permit = permit & 2;
        met[0] = memory[DATA(0)] == ROUNDS
    :: BIT(permit, 1) ->
        permit = permit & 1;
        met[1] = memory[DATA(1)] == ROUNDS
    :: else -> break
    od
}

proctype receiver()
{
    byte leaf_seen, group_seen, attention, scratch, permit;
    bool met[THREADS];

take:
    attention = attention + 2 - (attention & 1);
    STORE(RECEIVER, ATTENTION_WORD, attention);
    take_signals();
    if
    :: true -> run_threads() /* no other fence than the ones above may be relied on */
    :: true -> skip
    fi;
    attention++;
    STORE(RECEIVER, ATTENTION_WORD, attention);
    SLEEP_FENCE(RECEIVER);
idle:
    if
    :: memory[GROUP] != group_seen -> goto take
    :: else -> skip
    fi;
    run_threads();
    if
    :: met[0] && met[1] -> goto finished
    :: atomic { !(met[0] && met[1]) && interrupt[RECEIVER] -> interrupt[RECEIVER] = false }
    fi;
#ifdef MUTATE_INTERRUPT_IGNORED
    goto idle;
#else
    goto take;
#endif
finished:
    skip
}

init { atomic { run sender(); run receiver() } }

#endif
