/* SPDX-License-Identifier: Apache-2.0 */
/* The doorbell beside the memory shared with a neighbour, ivshmem's: a port of the gate. Its
 * interrupt is masked from when it came until a thread waits for the next one: whoever rings all
 * the time interrupts core 0 once for each time that the library OS has looked. */
#include "device.h"

#include <gate/gate.h>
#include <kernel/layout.h>
#include <virtio/virtio.h>

static const struct facts_virtio *const place = &shared_facts.virtio_doorbell;
static PERCORE uint64_t waiter; /* handle of the thread that the next ring wakes; 0: none */

/* @impl ATL-LLR-NEIGHBOUR-1041~1 */
void virtio_doorbell_interrupt(void)
{
    device_write(place->msix + MSIX_MASK, 4, 1);
    (void)!percpu_signal_send_remote(percpu_self, GATE_THREAD_INDEX(waiter),
                                     GATE_THREAD_GENERATION(waiter), false);
}

/* @impl ATL-LLR-NEIGHBOUR-1041~1 */
static int64_t kick(uint64_t, uint64_t flags)
{
    if (flags == GATE_KICK_ARM) {
        waiter = percpu_thread_handle(percpu_current);
        device_write(place->msix + MSIX_MASK, 4, 0);
    } else {
        device_write(place->notify, place->notify_bytes, (uint32_t)flags);
    }
    return device_read(place->registers + 8, 4); /* by which number others ring us */
}

/* @impl ATL-LLR-NEIGHBOUR-1040~1 */
void virtio_doorbell_start(void)
{
    bool is_there = virtio_msix_route(place, 0, VECTOR_DOORBELL) == RESULT_OK;
    gate_kicks[GATE_PORT_DOORBELL] = is_there ? kick : NULL;
}
