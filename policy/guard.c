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

/* Virtio 1.2, section 5.1.6 */
struct header {
    uint8_t flags, kind;
    uint16_t head_bytes, segment_bytes, sum_start, sum_offset, buffers;
};
_Static_assert(sizeof(struct header) == HEADER_BYTES, "struct virtio_net_hdr");
#define NEEDS_SUM 1u
#define SUM_BYTES 2u
#define SEGMENTS_IPV4 1u
#define SEGMENTS_IPV6 4u

/* Whether what a header asks for lies in the frame behind it.
 *
 * @impl ATL-LLR-VIRTIO-1151~1 */
static bool is_header_right(const uint8_t *bytes, uint32_t frame_bytes)
{
    struct header header;
    __builtin_memcpy(&header, bytes, sizeof(header));
    bool is_whole = header.kind == 0;
    if (header.flags == 0) {
        return is_whole;
    }
    uint32_t sum_end = header.sum_start + header.sum_offset + SUM_BYTES;
    bool is_cut = (header.kind == SEGMENTS_IPV4 || header.kind == SEGMENTS_IPV6) &&
                  sum_end <= header.head_bytes && header.head_bytes < frame_bytes &&
                  header.segment_bytes != 0;
    return header.flags == NEEDS_SUM && sum_end <= frame_bytes && (is_whole || is_cut);
}

/* What is judged, for the device to read; 0: it is refused. */
static uint32_t copy_judged(struct guard *guard, const uint8_t *buffer, uint32_t bytes,
                            uint8_t *head)
{
    if (guard->policy.count == 0) {
        __builtin_memcpy(head, buffer, HEADER_BYTES);
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* what is judged is the copy: buffer may change */
        return is_header_right(head, bytes - HEADER_BYTES) ? HEADER_BYTES : 0;
    }
    bytes = MIN(bytes, sizeof(guard->heads[0].bytes));
    __builtin_memcpy(head, buffer, bytes);
    __builtin_memset(head, 0, HEADER_BYTES);
    return judge(guard, head, bytes, true) ? bytes : 0;
}

/* @impl ATL-LLR-POLICY-0008~1 */
bool guard_send(struct guard *guard, const uint8_t *buffer, uint32_t index,
                struct virtqueue_descriptor *descriptor)
{
    struct guard_head *head = &guard->heads[index];
    uint64_t physical = guard->physical + offsetof(struct guard, heads) + index * sizeof(*head);
    uint32_t bytes = copy_judged(guard, buffer, descriptor->bytes, head->bytes);
    if (bytes == 0) {
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
