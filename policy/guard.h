/* SPDX-License-Identifier: Apache-2.0 */
/* The policy at a port of the gate: what was judged is what is sent, though the program can write
 * the buffer at any time. The device gets a copy of the head, in memory that the program cannot
 * reach, and the rest where it lies. Without rules every frame passes, and what is judged is what
 * the header before it asks of the device.
 *
 * Context of every function: the core whose port it is. Refused frames are noted in the trace ring.
 */
#ifndef POLICY_GUARD_H
#define POLICY_GUARD_H

#include <isolation/gate_abi.h>
#include <policy/policy.h>
#include <queue.h>

/* In per-core memory, physically in one piece; zero but for policy and physical. */
struct guard {
    struct policy policy;
    uint64_t physical; /* of this structure */
    struct guard_head {
        alignas(16) struct virtqueue_descriptor parts[2];
        uint8_t bytes[GATE_PORT_ENTRY_BYTES_MIN + POLICY_HEAD_BYTES];
    } heads[GATE_PORT_ENTRIES];
};

/* Judges a frame to send, or without rules its header; false: it is refused.
 * @buffer     the device's header and the frame; its bytes may change during the call
 * @index      which head: the device has none of this index
 * @descriptor of the buffer, at least GATE_PORT_ENTRY_BYTES_MIN; becomes that of a table, which
 *             with rules asks nothing of the device: it must not write a checksum into what was
 *             judged
 * Req:        ATL-LLR-POLICY-0008 ATL-LLR-VIRTIO-1151 */
bool guard_send(struct guard *guard, const uint8_t *buffer, uint32_t index,
                struct virtqueue_descriptor *descriptor);

/* Judges a frame that came; false: it is refused, and was erased. Who reads the buffer all the time
 * can see it before. @bytes that the device wrote, with its header */
bool guard_receive(const struct guard *guard, uint8_t *buffer, uint32_t bytes);

#endif
