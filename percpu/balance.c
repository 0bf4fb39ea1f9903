/* SPDX-License-Identifier: Apache-2.0 */
/* Balanced placement, the idle core's side: it looks at the published lengths of the other queues
 * and asks the longest for one thread. Lengths are hints: who asks in vain gets none, and the
 * next question waits for a quantum, as does an idle core that found nothing to ask for. The busy
 * core's side, which knows what a thread may leave, is above (isolation/gate). */
#include "outbox.h"

#include <percpu/operations.h>

static PERCORE uint64_t ask_ns; /* not before */

static bool longest_queue(core_id_t *core)
{
    uint32_t longest = 0;
    for (uint16_t other = 0; other < percpu_core_count; other++) {
        uint32_t ready = atomic_load_explicit(&outbox_of_remote((core_id_t){other})->state->ready,
                                              memory_order_relaxed);
        if (other != percpu_self.value && ready > longest) {
            longest = ready;
            *core = (core_id_t){other};
        }
    }
    return longest != 0;
}

/* @impl ATL-LLR-PERCPU-0024~1 */
uint64_t percpu_balance(uint64_t deadline_ns)
{
    if (!percpu_config.is_balanced || percpu_core_count == 1) {
        return deadline_ns;
    }
    uint64_t now_ns = percpu_operation_now();
    core_id_t core;
    if (now_ns >= ask_ns) {
        ask_ns = now_ns + percpu_config.quantum_ns;
        if (longest_queue(&core)) {
            /* Without a credit the question is put a quantum later. */
            const struct percpu_message question = {.kind = PERCPU_MESSAGE_THREAD_ASK};
            (void)!percpu_channel_request(core, &question);
        }
    }
    return MIN(deadline_ns, ask_ns);
}
