/* SPDX-License-Identifier: Apache-2.0 */
/* A byte ring of one core: no sharing, no atomics. Counters run freely; the size is a power of two
 * and belongs to the type's user. Pure. */
#ifndef KERNEL_DRIVER_RING_H
#define KERNEL_DRIVER_RING_H

#include <percpu/base.h>

struct ring {
    uint8_t *bytes;
    uint32_t size;       /* power of two */
    uint32_t head, tail; /* written, read */
};

static inline uint32_t ring_used(const struct ring *ring)
{
    return ring->head - ring->tail;
}

static inline uint32_t ring_room(const struct ring *ring)
{
    return ring->size - ring_used(ring);
}

/* @ring has room for it */
static inline void ring_put(struct ring *ring, uint8_t byte)
{
    ring->bytes[ring->head & (ring->size - 1)] = byte;
    ring->head++;
}

/* @ring is not empty */
static inline uint8_t ring_get(struct ring *ring)
{
    uint8_t byte = ring->bytes[ring->tail & (ring->size - 1)];
    ring->tail++;
    return byte;
}

/* @bytes at most ring_room */
static inline void ring_put_all(struct ring *ring, const uint8_t *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        ring_put(ring, from[i]);
    }
}

#endif
