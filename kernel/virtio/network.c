/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices: virtio 1.2, section 5.1. Each is a port of the gate, with a vector of its own: a
 * core has a pair of its queues, gives them buffers of its own port memory and takes their
 * interrupts; core 0 has the registers. No device has anything to do with another. */
#include "device.h"
#include "port.h"

#include <boot/boot.h>
#include <cpu/apic.h>
#include <cpu/instructions.h>
#include <driver/console.h>
#include <gate/gate.h>
#include <kernel/region.h>
#include <percpu/scheduler.h>
#include <virtio/virtio.h>

enum { RECEIVE, TRANSMIT, DIRECTIONS, CONTROL = DIRECTIONS };

/* Section 5.1.3; the gate names those that concern headers by the same bits */
#define NO_INTERRUPT 1u /* section 2.7.6 */
#define FEATURE_MTU (1u << 3)
#define FEATURE_MAC (1u << 5)
#define FEATURE_STATUS (1u << 16)
#define FEATURE_INDIRECT (1u << 28)             /* section 6 */
#define FEATURES_OF_PAIRS (1u << 17 | 1u << 22) /* control queue, several pairs */
#define RECEIVES_SEGMENTS (GATE_PORT_GUEST_SEGMENTS | GATE_PORT_GUEST_CHECKSUM | GATE_PORT_MERGED)
#define SENDS_SEGMENTS (GATE_PORT_SEGMENTS | GATE_PORT_CHECKSUM | FEATURE_INDIRECT)
#define FEATURES_OF_HEADERS ((RECEIVES_SEGMENTS | SENDS_SEGMENTS) & ~FEATURE_INDIRECT)
/* Section 5.1.4 */
#define CONFIG_STATUS 6u
#define STATUS_LINK_UP 1u
#define CONFIG_MTU 10u
#define MTU_DEFAULT 1500u
#define MTU_MIN 68u  /* virtio 1.2, section 5.1.4.1 */
#define MAC_GROUP 1u /* in the first byte */
#define ORDER_BYTES 4u
#define ORDER_PAIRS 4u                 /* a class, whose command to set their number is 0 */
#define ANSWER_CYCLES_MAX (1ull << 33) /* seconds: a busy host is not a device that is dead */
#define AGAIN_CYCLES_MAX (1ull << 28)  /* of one that broke a rule: core 0 has others to serve */

/* A device as a core has it. */
struct nic {
    uint32_t port;
    struct gate_network *info;   /* what posix/ is told of it */
    struct virtio_device device; /* core 0's; another core's: what its pair needs */
    struct virtqueue_slot slots[DIRECTIONS][GATE_PORT_ENTRIES];
    alignas(16) uint8_t memory[DIRECTIONS][VIRTQUEUE_BYTES(GATE_PORT_ENTRIES)];
    struct port_queue queues[DIRECTIONS];
    struct guard guard;
    uint64_t waiter; /* handle of the thread that the next frame wakes; 0: none */
    /* Section 5.1.6.5: class, command and number of pairs (16 bits), and what it answers. */
    _Atomic uint8_t order[ORDER_BYTES + 1];
};
static PERCORE struct nic nics[GATE_NETWORKS];
_Static_assert(GATE_NETWORKS * sizeof(struct gate_port) < IMAGE_PORT_BYTES_MIN, "heads fit");
_Static_assert(VECTOR_NETWORK + GATE_NETWORKS <= VECTOR_DOORBELL, "a vector for each");

/* What each core that has a pair says of a device in its page for the others, who are told by its
 * vector to look. A device's life is a row of phases. While one is odd, it runs. Who finds it
 * broken says in which; core 0 then stops it and begins the next, in which each core takes its
 * buffers back and empties its rings. When all have followed, core 0 starts it and begins the next.
 * Nobody waits. percpu/models/network.pml. */
struct said {
    _Atomic uint32_t phase;    /* core 0's word */
    _Atomic uint32_t followed; /* the phase that this core has come to */
    _Atomic uint32_t broken;   /* the phase in which this core has found it broken */
};
#define PHASE_OFF UINT32_MAX /* for good */

static const struct said *said_remote(const struct nic *nic, uint32_t core)
{
    const struct said *said =
        gate_staging_of_remote((core_id_t){(uint16_t)core}, GATE_STAGING_NETWORK);
    return &said[nic->port];
}

static struct said *said_own(const struct nic *nic)
{
    struct said *said = gate_staging_own(GATE_STAGING_NETWORK);
    return &said[nic->port];
}

static void tell(const struct nic *nic, uint32_t core)
{
    cpu_apic_send((core_id_t){(uint16_t)core}, VECTOR_NETWORK + nic->port);
}

static void interrupts(struct nic *nic, bool are_wanted)
{
    nic->device.queues[TRANSMIT].available->flags = NO_INTERRUPT;
    nic->device.queues[RECEIVE].available->flags = are_wanted ? 0 : NO_INTERRUPT;
    /* The device looks at the flags after it has written the used index: either it sees them, or
     * its index is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
}

/* Nobody waits any longer: who did is told, unless it is the one that asks. */
static void disarm(struct nic *nic, uint64_t self)
{
    struct thread *thread = nic->waiter != self ? percpu_thread_find(nic->waiter) : NULL;
    if (thread != NULL) {
        percpu_unpark(thread, false);
    }
    nic->waiter = 0;
    interrupts(nic, false);
}

/* The validator of the device's configuration, at the first start. */
static bool read_configuration(struct nic *nic)
{
    uint64_t at = nic->device.place->config;
    uint8_t *mac = nic->info->mac, any = 0;
    for (uint32_t i = 0; i < sizeof(nic->info->mac); i++) {
        mac[i] = (uint8_t)device_read(at + i, 1);
        any |= mac[i];
    }
    bool has_mtu = (nic->device.features & FEATURE_MTU) != 0;
    nic->info->mtu = has_mtu ? (uint16_t)device_read(at + CONFIG_MTU, 2) : MTU_DEFAULT;
    nic->info->features = nic->device.features & FEATURES_OF_HEADERS;
    nic->device.features_wanted = nic->device.features; /* posix/ knows them: also after a reset */
    return (nic->guard.policy.count == 0 || (nic->device.features & FEATURE_INDIRECT) != 0) &&
           (nic->device.features & FEATURE_MAC) != 0 && any != 0 && (mac[0] & MAC_GROUP) == 0 &&
           nic->info->mtu >= MTU_MIN;
}

/* Has the device use all pairs: a chain of an order and the room for its answer, alone in an
 * empty queue.
 *
 * @impl ATL-LLR-VIRTIO-0831~1 ATL-LLR-VIRTIO-1411~1 */
static bool use_pairs(struct nic *nic)
{
    struct virtqueue *queue = &nic->device.queues[CONTROL];
    struct virtqueue_descriptor *descriptors = (void *)queue->memory;
    uint64_t begin = cpu_rdtsc();
    uint64_t cycles_max = nic->info->queues == 0 ? ANSWER_CYCLES_MAX : AGAIN_CYCLES_MAX;
    uint64_t physical = region_percore_physical(0, (const void *)nic->order);
    nic->order[0] = ORDER_PAIRS;
    nic->order[2] = (uint8_t)nic->device.pairs;
    nic->order[ORDER_BYTES] = UINT8_MAX;
    descriptors[0] = (struct virtqueue_descriptor){physical, ORDER_BYTES, VIRTQUEUE_NEXT, 1};
    descriptors[1] = (struct virtqueue_descriptor){physical + ORDER_BYTES, 1, VIRTQUEUE_WRITE, 0};
    atomic_store(&queue->available->index, 1);
    virtio_device_notify(&nic->device, CONTROL);
    while (atomic_load(&queue->used->index) == 0 && cpu_rdtsc() - begin < cycles_max) {
        cpu_pause();
    }
    return nic->order[ORDER_BYTES] == 0;
}

static bool start_device(struct nic *nic)
{
    return virtio_device_start(&nic->device) == RESULT_OK &&
           (nic->device.pairs == 0 || use_pairs(nic));
}

/* Without what segments of more than an MTU need beside them, they are not agreed on.
 *
 * @impl ATL-LLR-VIRTIO-1150~1 */
static uint32_t without_half(uint32_t features)
{
    bool receives = (features & RECEIVES_SEGMENTS) == RECEIVES_SEGMENTS;
    bool sends = (features & SENDS_SEGMENTS) == SENDS_SEGMENTS;
    return features &
           ~((receives ? 0 : GATE_PORT_GUEST_SEGMENTS) | (sends ? 0 : GATE_PORT_SEGMENTS));
}

static bool start_first(struct nic *nic, uint32_t pairs)
{
    nic->device.pairs = pairs;
    nic->device.queue_count = pairs != 0 ? CONTROL + 1 : DIRECTIONS;
    nic->device.features_wanted = FEATURE_MTU | FEATURE_MAC | FEATURE_STATUS |
                                  (pairs != 0 ? FEATURES_OF_PAIRS : 0) | FEATURE_INDIRECT |
                                  (nic->guard.policy.count == 0 ? FEATURES_OF_HEADERS : 0);
    if (!start_device(nic)) {
        return false;
    }
    nic->device.features_wanted = without_half(nic->device.features);
    return (nic->device.features == nic->device.features_wanted || start_device(nic)) &&
           nic->device.features == nic->device.features_wanted && read_configuration(nic) &&
           (pairs == 0 || (nic->device.features & FEATURES_OF_PAIRS) == FEATURES_OF_PAIRS);
}

/* Core 0 on its own root: where the device's life goes from here, or that it stays as it is. */
static uint32_t next_phase(struct nic *nic, uint32_t phase)
{
    bool is_broken = false;
    for (uint32_t core = 0; core < nic->info->queues; core++) {
        if (said_remote(nic, core)->followed != phase) {
            return phase;
        }
        is_broken |= said_remote(nic, core)->broken == phase;
    }
    if (phase == PHASE_OFF || ((phase & 1) != 0 && !is_broken)) {
        return phase;
    }
    if ((phase & 1) != 0) {
        return virtio_device_reset(&nic->device) == RESULT_OK ? phase + 1 : PHASE_OFF;
    }
    if (start_device(nic) && nic->device.features == nic->device.features_wanted) {
        return phase + 1;
    }
    (void)!virtio_device_reset(&nic->device);
    return PHASE_OFF;
}

static struct gate_port *port_of(const struct nic *nic, uint32_t core)
{
    struct gate_port *ports = (void *)(LAYOUT_DIRECT_BASE + shared_regions[core].port.value);
    return &ports[nic->port];
}

/* Core 0. The validator: of what the device says one bit counts.
 *
 * @impl ATL-LLR-VIRTIO-1152~1 */
static void read_link(struct nic *nic)
{
    struct gate_port *port = port_of(nic, 0);
    bool is_down =
        (nic->device.features & FEATURE_STATUS) != 0 &&
        (device_read(nic->device.place->config + CONFIG_STATUS, 2) & STATUS_LINK_UP) == 0;
    atomic_store_explicit(&port->is_link_down, is_down, memory_order_release);
}

/* What the device had comes back without bytes, unless it cannot be stopped. */
static void follow(struct nic *nic, uint32_t phase)
{
    for (uint32_t i = 0; i < DIRECTIONS && (phase & 1) == 0; i++) {
        port_abandon(&nic->queues[i]);
        virtqueue_empty(&nic->device.queues[i]);
    }
    if (percpu_self.value == 0 && (phase & 1) != 0) {
        read_link(nic);
    }
    disarm(nic, 0);
    said_own(nic)->followed = phase;
}

/* @impl ATL-LLR-VIRTIO-0804~1 ATL-LLR-VIRTIO-0832~1 ATL-LLR-VIRTIO-1291~1 */
static void look(struct nic *nic)
{
    uint32_t phase = said_remote(nic, 0)->phase;
    if (percpu_self.value != 0) {
        if (said_own(nic)->followed != phase) {
            follow(nic, phase);
            tell(nic, 0);
        }
        return;
    }
    for (uint32_t next; (next = next_phase(nic, phase)) != phase; phase = next) {
        said_own(nic)->phase = next;
        follow(nic, next);
        for (uint32_t core = 1; core < nic->info->queues; core++) {
            tell(nic, core);
        }
    }
}

/* Of all cores that may have a pair, before the device runs or its life is looked at. */
static void prepare(struct nic *nic, uint32_t core)
{
    struct gate_port *port = port_of(nic, core);
    const struct image_header *image = boot_image();
    nic->info = &shared_facts.info.networks[nic->port];
    nic->device.place = &shared_facts.virtio_networks[nic->port];
    /* image_validate has seen that the rules lie in the index. */
    nic->guard.policy.rules = (const void *)((const uint8_t *)image + image->policy_offset);
    nic->guard.policy.count = image->policy_count;
    nic->guard.physical = region_percore_physical(core, &nic->guard);
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        nic->device.queue_number[i] = (uint8_t)(core * VIRTIO_PAIR + i);
        nic->device.notify[i] =
            nic->device.place->notify + nic->device.queue_number[i] * PAGE_BYTES;
        nic->device.queues[i] = (struct virtqueue){
            .memory = nic->memory[i], .slots = nic->slots[i], .size = GATE_PORT_ENTRIES};
        virtqueue_empty(&nic->device.queues[i]);
        nic->queues[i] = (struct port_queue){
            .shared = i == RECEIVE ? &port->receive : &port->transmit,
            .ring = &nic->device.queues[i],
            .is_receive = i == RECEIVE,
            .memory = (uint8_t *)port - nic->port * sizeof(*port),
            .physical = shared_regions[core].port.value,
            .bytes = shared_facts.info.port_bytes,
            .guard = image->policy_count != 0 ? &nic->guard : NULL,
        };
    }
}

/* @impl ATL-LLR-VIRTIO-1151~1 */
static void guard_headers(struct nic *nic)
{
    if ((nic->info->features & GATE_PORT_SEGMENTS) != 0) {
        nic->queues[TRANSMIT].guard = &nic->guard;
    }
}

/* Core 0: all pairs, or else its own. */
static void start(struct nic *nic)
{
    uint32_t pairs = MIN(nic->device.place->pairs, shared_facts.core_count);
    nic->device.vector = (uint8_t)(VECTOR_NETWORK + nic->port);
    nic->device.queue_number[CONTROL] = (uint8_t)(nic->device.place->pairs * VIRTIO_PAIR);
    bool is_on = (pairs > 1 && start_first(nic, pairs)) || start_first(nic, 0);
    if (is_on) {
        nic->info->queues = MAX(nic->device.pairs, 1u);
        said_own(nic)->phase = 1;
        follow(nic, 1);
    } else {
        (void)!virtio_device_reset(&nic->device);
    }
    console_log(CONSOLE_LOG,
                "atoll: the network device of port %u %s; rules of the network policy: %u\n",
                nic->port, is_on ? "runs" : "does not follow the protocol: left off",
                nic->guard.policy.count);
}

static enum result collect(struct nic *nic, uint32_t *counts)
{
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        TRY(port_collect(&nic->queues[i], &counts[i]));
    }
    return RESULT_OK;
}

/* Who waits for frames is not woken by those that were sent: they are of use to who sends more.
 *
 * @impl ATL-LLR-VIRTIO-0805~2 */
static int64_t kick(uint64_t port, uint64_t flags)
{
    struct nic *nic = &nics[port];
    struct port_batch batches[DIRECTIONS];
    uint32_t counts[DIRECTIONS] = {0};
    uint32_t phase = said_own(nic)->followed;
    uint64_t self = percpu_thread_handle(percpu_current);
    if (phase == PHASE_OFF) {
        return RESULT_IO;
    }
    if ((phase & 1) == 0 || said_own(nic)->broken == phase) { /* until the device runs again */
        disarm(nic, self);
        nic->waiter = (flags & GATE_KICK_ARM) != 0 ? self : 0;
        return 0;
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        TRY(port_look(&nic->queues[i], &batches[i]));
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        port_give(&nic->queues[i], &batches[i], &counts[i]);
        if (batches[i].count > 0) {
            virtio_device_notify(&nic->device, i);
        }
    }
    enum result result = collect(nic, counts);
    bool is_waiting = result == RESULT_OK && counts[RECEIVE] == 0 && (flags & GATE_KICK_ARM) != 0;
    if (is_waiting) {
        disarm(nic, self); /* there is room for one that waits */
        nic->waiter = self;
        interrupts(nic, true);
        result = collect(nic, counts); /* what came while they were off */
    }
    if (nic->waiter != 0 &&
        (counts[RECEIVE] > 0 || result != RESULT_OK || (nic->waiter == self && !is_waiting))) {
        disarm(nic, self);
    }
    if (result != RESULT_OK) {
        said_own(nic)->broken = phase;
        if (percpu_self.value == 0) {
            look(nic);
        } else {
            tell(nic, 0);
        }
        return result;
    }
    return counts[RECEIVE] + counts[TRANSMIT];
}

/* @impl ATL-LLR-VIRTIO-0803~1 ATL-LLR-VIRTIO-0004~4 ATL-LLR-VIRTIO-1290~1 ATL-LLR-POLICY-1294~1 */
void virtio_network_start(void)
{
    uint32_t core = percpu_self.value;
    for (uint32_t port = 0; port < GATE_NETWORKS; port++) {
        struct nic *nic = &nics[port];
        nic->port = port;
        if (shared_facts.virtio_networks[port].kind == 0) {
            continue;
        }
        prepare(nic, core);
        if (core == 0) {
            start(nic);
        } else if (core < nic->info->queues) {
            look(nic);
        }
        guard_headers(nic);
        __builtin_memcpy(nic->guard.policy.mac, nic->info->mac, sizeof(nic->info->mac));
        gate_kicks[port] = core < nic->info->queues ? kick : NULL;
    }
}

/* @impl ATL-LLR-VIRTIO-0805~2 ATL-LLR-VIRTIO-1290~1 */
void virtio_network_interrupt(uint64_t port)
{
    struct nic *nic = &nics[port];
    if (gate_kicks[port] == NULL) {
        return;
    }
    look(nic);
    /* A device that asks for a reset: the next kick finds the queue broken. */
    nic->device.queues[RECEIVE].is_broken |= percpu_self.value == 0 &&
                                             !virtio_device_interrupt(&nic->device) &&
                                             (said_own(nic)->followed & 1) != 0;
    if (percpu_self.value == 0) {
        read_link(nic);
    }
    disarm(nic, 0);
}
