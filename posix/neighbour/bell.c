/* SPDX-License-Identifier: Apache-2.0 */
/* See bell.h. The kernel masks the interrupt when it comes, and takes it off when this thread arms
 * it; so a peer that rings for nothing is answered as seldom as this thread likes. */
#include "bell.h"

#include "../core/internal.h"

#include <posix/time.h>

#define BELL_CORE 0u
#define SIDES 2u
#define NUMBER_MAX 0xffffu
/* From a ring that brought nothing to the next one that counts. */
#define REST_NS_MIN 50000u
#define REST_NS_MAX 4000000u

struct bell_counts bell_counts;

static struct posix_lock lock;           /* guards the next three */
static struct posix_wait_queue awaiting; /* its first words */
static int64_t number;                   /* of this machine; below 0: -ENODEV */
static bool is_known;
static _Atomic uint64_t handle;         /* of the service thread; 0: it does not run */
static _Atomic uint32_t to_ring[SIDES]; /* number of a machine, plus 1; 0: none */
static _Atomic uint64_t finishing;      /* handle of the thread that waits for these */

static void ring(uint32_t whom)
{
    atomic_fetch_add_explicit(&bell_counts.rings, 1, memory_order_relaxed);
    gate_kick(GATE_PORT_DOORBELL, (uint64_t)whom << 16);
}

/* What threads of other cores want; true: there was something. */
static bool ring_for_others(void)
{
    bool has_rung = false;
    for (uint32_t side = 0; side < SIDES; side++) {
        uint32_t whom = atomic_load(&to_ring[side]);
        while (whom != 0) {
            ring(whom - 1);
            has_rung = true;
            if (atomic_compare_exchange_strong(&to_ring[side], &whom, 0)) {
                whom = 0;
            }
        }
    }
    uint64_t waiting = has_rung ? atomic_load(&finishing) : 0;
    if (waiting != 0) {
        gate_unpark(waiting, 0);
    }
    return has_rung;
}

static void announce(int64_t own)
{
    posix_lock_acquire(&lock);
    number = own >= 0 && own <= (int64_t)NUMBER_MAX ? own : -ENODEV;
    is_known = true;
    posix_wake(&awaiting, UINT32_MAX);
    posix_lock_release(&lock);
}

/* @impl ATL-LLR-NEIGHBOUR-1047~1 */
static void serve(void)
{
    uint64_t rest_until_ns = 0, rest_ns = REST_NS_MIN;
    bool has_rung = false;
    announce(gate_kick(GATE_PORT_DOORBELL, GATE_KICK_ARM));
    for (;;) {
        uint64_t now_ns = posix_now_ns();
        if (now_ns >= rest_until_ns) {
            gate_kick(GATE_PORT_DOORBELL, GATE_KICK_ARM); /* before the look: no ring is missed */
            atomic_fetch_add_explicit(&bell_counts.bell_looks, 1, memory_order_relaxed);
            if (!device_look() && !has_rung) {
                bool is_new = now_ns - rest_until_ns > REST_NS_MAX;
                rest_ns = is_new                      ? REST_NS_MIN
                          : rest_ns < REST_NS_MAX / 2 ? 2 * rest_ns
                                                      : REST_NS_MAX;
                rest_until_ns = now_ns + rest_ns;
            }
            has_rung = ring_for_others();
            gate_park(GATE_NEVER, 0);
        } else {
            gate_park(rest_until_ns, 0);
        }
        has_rung |= ring_for_others();
    }
}

/* @impl ATL-LLR-NEIGHBOUR-1046~1 */
int64_t bell_start(void)
{
    posix_lock_acquire(&lock);
    if (handle == 0) {
        int64_t started = posix_service_start(BELL_CORE, serve);
        handle = started > 0 ? (uint64_t)started : 0;
    }
    while (handle != 0 && !is_known) {
        (void)posix_wait(&awaiting, &lock, GATE_NEVER);
        posix_lock_acquire(&lock);
    }
    int64_t result = handle != 0 ? number : -ENODEV;
    posix_lock_release(&lock);
    return result;
}

void bell_ring(uint32_t side, uint32_t whom)
{
    if (posix_core() == BELL_CORE) {
        ring(whom);
    } else {
        atomic_store(&to_ring[side % SIDES], whom + 1);
        gate_unpark(handle, 0);
    }
}

void bell_finish(void)
{
    atomic_store(&finishing, posix_thread_handle(posix_self()));
    while (to_ring[0] != 0 || to_ring[1] != 0) {
        gate_park(GATE_NEVER, 0);
    }
}
