/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <percpu/trace.h>

#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN /* the device's, before the frame */

static bool judge(const struct guard *guard, const uint8_t *buffer, uint32_t bytes, bool is_out)
{
    bool is_allowed = bytes >= HEADER_BYTES &&
                      policy_allows(&guard->policy, buffer + HEADER_BYTES,
                                    MIN(bytes - HEADER_BYTES, POLICY_HEAD_BYTES), is_out);
    if (!is_allowed) {
        TRACE(TRACE_REFUSED, is_out, bytes, 0);
    }
    return is_allowed;
}

/* @impl ATL-LLR-POLICY-0008~1 */
bool guard_send(struct guard *guard, const uint8_t *buffer, uint32_t index,
                struct virtqueue_descriptor *descriptor)
{
    struct guard_head *head = &guard->heads[index];
    uint64_t physical = guard->physical + offsetof(struct guard, heads) + index * sizeof(*head);
    uint32_t bytes = MIN(descriptor->bytes, sizeof(head->bytes));
    __builtin_memcpy(head->bytes, buffer, bytes);
    __builtin_memset(head->bytes, 0, HEADER_BYTES);
    if (!judge(guard, head->bytes, bytes, true)) {
        return false;
    }
    uint32_t parts = descriptor->bytes > bytes ? 2 : 1;
    head->parts[0] = (struct virtqueue_descriptor){physical + offsetof(struct guard_head, bytes),
                                                   bytes, parts > 1 ? VIRTQUEUE_NEXT : 0, 1};
    head->parts[1] = (struct virtqueue_descriptor){descriptor->physical + bytes,
                                                   descriptor->bytes - bytes, 0, 0};
    *descriptor = (struct virtqueue_descriptor){physical, parts * sizeof(head->parts[0]),
                                                VIRTQUEUE_INDIRECT, 0};
    return true;
}

/* @impl ATL-LLR-POLICY-0009~2 */
bool guard_receive(const struct guard *guard, uint8_t *buffer, uint32_t bytes)
{
    bool is_allowed = judge(guard, buffer, bytes, false);
    if (!is_allowed) {
        __builtin_memset(buffer, 0, bytes);
    }
    return is_allowed;
}
