/* SPDX-License-Identifier: Apache-2.0 */
/* A virtio device that does what the input says: it keeps the rules until a byte of the input has
 * it answer a register with anything, at any access, and it writes anything into rings and buffers
 * that it shares with the driver. Included once by a target, before the driver's source. */
#ifndef FUZZ_HOSTILE_DEVICE_H
#define FUZZ_HOSTILE_DEVICE_H

#include "fuzz.h"

#include <cpu/instructions.h>

#define device_read fake_read
#include "../tests/unit/kernel/virtio/fake.c"
#undef device_read
uint32_t device_read(uint64_t address, uint32_t bytes);

#define LIE_MIN 232u /* bytes of the input from which on an answer is a lie */

static struct fuzz_input *hostile_input;
static uint64_t hostile_clock;
static bool hostile_is_spoiled; /* it has written over descriptors, and cannot follow them itself */

/* The driver's waits end after a few looks. */
static inline uint64_t hostile_cycles(void)
{
    hostile_clock += 1ull << 30;
    return hostile_clock;
}
#define cpu_rdtsc hostile_cycles

uint32_t device_read(uint64_t address, uint32_t bytes)
{
    if (hostile_input->left > 0 && fuzz_take(hostile_input, 1) >= LIE_MIN) {
        return (uint32_t)fuzz_take(hostile_input, 4);
    }
    /* Its configuration, which the model does not have. */
    return address >= FAKE_CONFIG && address < FAKE_CONFIG + 64 ? (uint32_t)(address * 37 & 0xfe)
                                                                : fake_read(address, bytes);
}

/* A device that the input describes. */
static inline void hostile_make(uint32_t kind, struct fuzz_input *input)
{
    hostile_input = input;
    uint32_t shape = (uint32_t)fuzz_take(input, 1);
    fake_make(kind, (shape & 1) != 0);
    fake_place.config = FAKE_CONFIG;
    fake.features |= fuzz_take(input, 4);
    fake.never_resets = (shape & 0x70) == 0x10;
    fake.refuses_features = (shape & 0x70) == 0x20;
    fake.ignores_driver_ok = (shape & 0x70) == 0x30;
    fake.refuses_vectors = (shape & 0x70) == 0x40;
    hostile_clock = 0;
    hostile_is_spoiled = false;
}

/* The device is done with its next buffer of a queue, in order or not as the input has it; it
 * writes into those that it may write. */
static inline void hostile_use(uint32_t queue)
{
    uint32_t id = 0, room = 0;
    bool is_to_write = false;
    uint8_t *buffer = hostile_is_spoiled ? NULL : fake_next(queue, &id, &room, &is_to_write);
    if (buffer == NULL) {
        return;
    }
    uint32_t bytes = (uint32_t)fuzz_take(hostile_input, 2) % (room + 1);
    for (uint32_t i = 0; is_to_write && i < bytes && i < 16; i++) {
        buffer[i] = (uint8_t)fuzz_take(hostile_input, 1);
    }
    fake_use(queue, id, bytes);
}

/* The used ring's index runs ahead, or back. */
static inline void hostile_jump(uint32_t queue)
{
    uint16_t by = (uint16_t)fuzz_take(hostile_input, 2);
    if (fake.queues[queue].is_enabled && fake.queues[queue].size != 0) {
        fake_jump(queue, by);
    }
}

/* Writes anything over what both share of a queue. */
static inline void hostile_scribble(uint32_t queue)
{
    const struct fake_queue *state = &fake.queues[queue];
    if (state->is_enabled && state->size != 0) {
        uint32_t at = (uint32_t)fuzz_take(hostile_input, 2) % VIRTQUEUE_BYTES(state->size);
        uint32_t count = (uint32_t)fuzz_take(hostile_input, 1) % 16;
        hostile_is_spoiled |= at < VIRTQUEUE_USED_AT(state->size);
        for (uint32_t i = 0; i < count && at + i < VIRTQUEUE_BYTES(state->size); i++) {
            fake_memory(queue)[at + i] = (uint8_t)fuzz_take(hostile_input, 1);
        }
    }
}

/* One of the three. */
static inline void hostile_do(uint32_t which, uint32_t queue)
{
    static void (*const deeds[])(uint32_t queue) = {hostile_use, hostile_scribble, hostile_jump};
    deeds[which](queue);
}

#endif
