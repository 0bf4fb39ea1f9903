/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a network device whose queues lie on several cores (kernel/virtio/network.c). Each word
 * has one writer and is stored by an exchange, so no store is delayed. Interrupts merge. A core takes
 * an interrupt between calls, never inside; what it does there is cut where others may come between.
 *
 * Properties: a core takes back what the device had only while the device is stopped; the device is
 * started only when every core's queues are empty; when nothing moves any more, the device runs and
 * every core knows it.
 *
 * -DMUTATE_x breaks the protocol in one place; pan must then report an error.
 *
 * @verifies ATL-LLR-VIRTIO-0832~1 */

#ifndef CORES
#define CORES 3
#endif
#ifndef BREAKS
#define BREAKS 1 /* how often a core finds the device broken */
#endif

#define INTERRUPTS 1 /* of the device's own, which come by the same vector */

#define IS_ODD(phase) ((phase) % 2 == 1)

byte phase = 1;           /* core 0's word */
byte followed[CORES] = 1; /* each its core's word, as the next */
byte broken[CORES];
bool is_due[CORES]; /* an interrupt */
bool has[CORES];    /* the device has buffers of this core, or will find them when it starts */
bool runs = true;   /* the device */
byte breaks, interrupts;

/* Of core `c`, which is not core 0, but for the word. */
inline follow(c, to)
{
    if
    :: !IS_ODD(to) ->
        assert(!runs);
        has[c] = false
    :: else
    fi;
    followed[c] = to
}

/* Core 0. */
inline lead()
{
    do
    :: now = phase;
       all_followed = true;
       is_broken = false;
       i = 0;
       do
       :: i < CORES ->
#ifndef MUTATE_NO_WAIT
           all_followed = all_followed && followed[i] == now;
#endif
           is_broken = is_broken || broken[i] == now;
           i++
       :: else -> break
       od;
       if
       :: !all_followed || (IS_ODD(now) && !is_broken) -> break
       :: else
       fi;
       if
       :: IS_ODD(now) ->
#ifdef MUTATE_STOP_LATE
           phase = now + 1;
           runs = false
#else
           runs = false;
           phase = now + 1
#endif
       :: else ->
           d_step {
               i = 0;
               do
               :: i < CORES ->
                   assert(!has[i]);
                   i++
               :: else -> break
               od;
               runs = true
           };
           phase = now + 1
       fi;
       follow(0, now + 1);
       i = 1;
       do
       :: i < CORES ->
           is_due[i] = true;
           i++
       :: else -> break
       od
    od
}

active [CORES] proctype core()
{
    byte now, i;
    bool all_followed, is_broken;
end:
    do
    :: is_due[_pid] ->
        is_due[_pid] = false;
        if
        :: _pid == 0 -> lead(); all_followed = false; is_broken = false
        :: else ->
            now = phase;
            if
            :: followed[_pid] != now ->
                follow(_pid, now);
#ifndef MUTATE_NOT_TOLD
                is_due[0] = true
#endif
            :: else
            fi
        fi;
        now = 0;
        i = 0
    /* a kick that gives a buffer */
#ifdef MUTATE_GIVE_WHILE_STOPPED
    :: !has[_pid] -> has[_pid] = true
#else
    :: !has[_pid] && IS_ODD(followed[_pid]) && broken[_pid] != followed[_pid] -> has[_pid] = true
#endif
    /* a kick that finds the device broken */
    :: breaks < BREAKS && IS_ODD(followed[_pid]) && broken[_pid] != followed[_pid] ->
        breaks++;
        broken[_pid] = followed[_pid];
        is_due[0] = true
    :: interrupts < INTERRUPTS && runs && !is_due[_pid] ->
        interrupts++;
        is_due[_pid] = true
    od
}

/* Nobody can do anything but what the end labels allow. */
active proctype judge()
{
    byte i;
    timeout ->
        assert(IS_ODD(phase) && runs);
        do
        :: i < CORES ->
            assert(followed[i] == phase && broken[i] != phase);
            i++
        :: else -> break
        od
}
