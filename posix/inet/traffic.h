/* SPDX-License-Identifier: Apache-2.0 */
/* What has come and gone by each interface (/proc/net/dev: statistics.c). Each core counts for
 * itself, and whoever asks adds up. */
#ifndef POSIX_INET_TRAFFIC_H
#define POSIX_INET_TRAFFIC_H

#include "device.h"

#define TRAFFIC_LOOPBACK 0u
#define TRAFFIC_DEVICE(device) (1u + (device))
#define TRAFFIC_INTERFACES TRAFFIC_DEVICE(NET_DEVICES)

enum traffic_way { TRAFFIC_RECEIVED, TRAFFIC_SENT, TRAFFIC_WAYS };

/* Wraps around as Linux's. One frame is what the device hands over or takes at once. */
struct traffic {
    struct traffic_count {
        _Atomic uint64_t bytes, frames, dropped;
    } ways[TRAFFIC_WAYS];
};

/* This core's, of an interface. */
struct traffic *traffic_of(uint32_t interface);

static inline void traffic_add(_Atomic uint64_t *count, uint64_t more)
{
    uint64_t before = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, before + more, memory_order_relaxed);
}

/* By the core whose counts they are, in the stack. */
static inline void traffic_note(struct traffic *traffic, enum traffic_way way, uint64_t bytes)
{
    traffic_add(&traffic->ways[way].bytes, bytes);
    traffic_add(&traffic->ways[way].frames, 1);
}
static inline void traffic_note_dropped(struct traffic *traffic, enum traffic_way way)
{
    traffic_add(&traffic->ways[way].dropped, 1);
}

#endif
