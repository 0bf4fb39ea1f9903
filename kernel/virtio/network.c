/* SPDX-License-Identifier: Apache-2.0 */
/* The network device: virtio 1.2, section 5.1. Port 0 of the gate: a core has a pair of its queues,
 * gives them buffers of its own port memory and takes their interrupts; core 0 has the registers.
 */
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

static PERCORE struct virtio_device network; /* core 0's; another core's: what its pair needs */
static PERCORE struct virtqueue_slot slots[DIRECTIONS][GATE_PORT_ENTRIES];
static PERCORE alignas(16) uint8_t memory[DIRECTIONS][VIRTQUEUE_BYTES(GATE_PORT_ENTRIES)];
static PERCORE struct port_queue queues[DIRECTIONS];
static PERCORE struct guard guard;
static PERCORE uint64_t waiter; /* handle of the thread that the next completion wakes; 0: none */
/* Section 5.1.6.5: class, command and number of pairs (16 bits), and what the device answers. */
static PERCORE _Atomic uint8_t order[ORDER_BYTES + 1];

/* What each core that has a pair says in its page for the others, who are told by VECTOR_NETWORK to
 * look. The device's life is a row of phases. While one is odd, the device runs. Who finds it
 * broken says in which; core 0 then stops it and begins the next, in which each core takes its
 * buffers back and empties its rings. When all have followed, core 0 starts it and begins the next.
 * Nobody waits. percpu/models/network.pml. */
struct said {
    _Atomic uint32_t phase;    /* core 0's word */
    _Atomic uint32_t followed; /* the phase that this core has come to */
    _Atomic uint32_t broken;   /* the phase in which this core has found it broken */
};
#define PHASE_OFF UINT32_MAX /* for good */

static const struct said *said_remote(uint32_t core)
{
    return gate_staging_of_remote((core_id_t){(uint16_t)core}, GATE_STAGING_NETWORK);
}

static struct said *said_own(void)
{
    return gate_staging_own(GATE_STAGING_NETWORK);
}

static void interrupts(bool are_wanted)
{
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        network.queues[i].available->flags = are_wanted ? 0 : NO_INTERRUPT;
    }
    /* The device looks at the flags after it has written the used index: either it sees them, or
     * its index is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
}

/* Nobody waits any longer: who did is told, unless it is the one that asks. */
static void disarm(uint64_t self)
{
    struct thread *thread = waiter != self ? percpu_thread_find(waiter) : NULL;
    if (thread != NULL) {
        percpu_unpark(thread, false);
    }
    waiter = 0;
    interrupts(false);
}

/* The validator of the device's configuration, at the first start. */
static bool read_configuration(void)
{
    uint64_t at = network.place->config;
    uint8_t *mac = shared_facts.info.port_mac, any = 0;
    for (uint32_t i = 0; i < sizeof(shared_facts.info.port_mac); i++) {
        mac[i] = (uint8_t)device_read(at + i, 1);
        any |= mac[i];
    }
    bool has_mtu = (network.features & FEATURE_MTU) != 0;
    shared_facts.info.port_mtu = has_mtu ? (uint16_t)device_read(at + CONFIG_MTU, 2) : MTU_DEFAULT;
    shared_facts.info.port_features = network.features & FEATURES_OF_HEADERS;
    network.features_wanted = network.features; /* posix/ knows them: also after a reset */
    return (guard.policy.count == 0 || (network.features & FEATURE_INDIRECT) != 0) &&
           (network.features & FEATURE_MAC) != 0 && any != 0 && (mac[0] & MAC_GROUP) == 0 &&
           shared_facts.info.port_mtu >= MTU_MIN;
}

/* Has the device use all pairs: a chain of an order and the room for its answer, alone in an empty
 * queue.
 *
 * @impl ATL-LLR-VIRTIO-0831~1 */
static bool use_pairs(void)
{
    struct virtqueue *queue = &network.queues[CONTROL];
    struct virtqueue_descriptor *descriptors = (void *)queue->memory;
    uint64_t begin = cpu_rdtsc();
    uint64_t physical = region_percore_physical(0, (const void *)order);
    order[0] = ORDER_PAIRS;
    order[2] = (uint8_t)network.pairs;
    order[ORDER_BYTES] = UINT8_MAX;
    descriptors[0] = (struct virtqueue_descriptor){physical, ORDER_BYTES, VIRTQUEUE_NEXT, 1};
    descriptors[1] = (struct virtqueue_descriptor){physical + ORDER_BYTES, 1, VIRTQUEUE_WRITE, 0};
    atomic_store(&queue->available->index, 1);
    virtio_device_notify(&network, CONTROL);
    while (atomic_load(&queue->used->index) == 0 && cpu_rdtsc() - begin < ANSWER_CYCLES_MAX) {
        cpu_pause();
    }
    return order[ORDER_BYTES] == 0;
}

static bool start_device(void)
{
    return virtio_device_start(&network) == RESULT_OK && (network.pairs == 0 || use_pairs());
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

static bool start_first(uint32_t pairs)
{
    network.pairs = pairs;
    network.queue_count = pairs != 0 ? CONTROL + 1 : DIRECTIONS;
    network.features_wanted = FEATURE_MTU | FEATURE_MAC | FEATURE_STATUS |
                              (pairs != 0 ? FEATURES_OF_PAIRS : 0) | FEATURE_INDIRECT |
                              (guard.policy.count == 0 ? FEATURES_OF_HEADERS : 0);
    if (!start_device()) {
        return false;
    }
    network.features_wanted = without_half(network.features);
    return (network.features == network.features_wanted || start_device()) &&
           network.features == network.features_wanted && read_configuration() &&
           (pairs == 0 || (network.features & FEATURES_OF_PAIRS) == FEATURES_OF_PAIRS);
}

/* Core 0 on its own root: where the device's life goes from here, or that it stays as it is. */
static uint32_t next_phase(uint32_t phase)
{
    bool is_broken = false;
    for (uint32_t core = 0; core < shared_facts.info.port_queues; core++) {
        if (said_remote(core)->followed != phase) {
            return phase;
        }
        is_broken |= said_remote(core)->broken == phase;
    }
    if (phase == PHASE_OFF || ((phase & 1) != 0 && !is_broken)) {
        return phase;
    }
    if ((phase & 1) != 0) {
        return virtio_device_reset(&network) == RESULT_OK ? phase + 1 : PHASE_OFF;
    }
    if (start_device() && network.features == network.features_wanted) {
        return phase + 1;
    }
    (void)!virtio_device_reset(&network);
    return PHASE_OFF;
}

/* Core 0. The validator: of what the device says one bit counts.
 *
 * @impl ATL-LLR-VIRTIO-1152~1 */
static void read_link(void)
{
    struct gate_port *port = (void *)(LAYOUT_DIRECT_BASE + shared_regions[0].port.value);
    bool is_down = (network.features & FEATURE_STATUS) != 0 &&
                   (device_read(network.place->config + CONFIG_STATUS, 2) & STATUS_LINK_UP) == 0;
    atomic_store_explicit(&port->is_link_down, is_down, memory_order_release);
}

/* What the device had comes back without bytes, unless it cannot be stopped. */
static void follow(uint32_t phase)
{
    for (uint32_t i = 0; i < DIRECTIONS && (phase & 1) == 0; i++) {
        port_abandon(&queues[i]);
        virtqueue_empty(&network.queues[i]);
    }
    if (percpu_self.value == 0 && (phase & 1) != 0) {
        read_link();
    }
    disarm(0);
    said_own()->followed = phase;
}

/* @impl ATL-LLR-VIRTIO-0804~1 ATL-LLR-VIRTIO-0832~1 */
static void look(void)
{
    uint32_t phase = said_remote(0)->phase;
    if (percpu_self.value != 0) {
        if (said_own()->followed != phase) {
            follow(phase);
            cpu_apic_send((core_id_t){0}, VECTOR_NETWORK);
        }
        return;
    }
    for (uint32_t next; (next = next_phase(phase)) != phase; phase = next) {
        said_own()->phase = next;
        follow(next);
        for (uint16_t core = 1; core < shared_facts.info.port_queues; core++) {
            cpu_apic_send((core_id_t){core}, VECTOR_NETWORK);
        }
    }
}

/* Of all cores that may have a pair, before the device runs or its life is looked at. */
static void prepare(uint32_t core)
{
    struct gate_port *port = (void *)(LAYOUT_DIRECT_BASE + shared_regions[core].port.value);
    const struct image_header *image = boot_image();
    network.place = &shared_facts.virtio_network;
    /* image_validate has seen that the rules lie in the index. */
    guard.policy.rules = (const void *)((const uint8_t *)image + image->policy_offset);
    guard.policy.count = image->policy_count;
    guard.physical = region_percore_physical(core, &guard);
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        network.queue_number[i] = (uint8_t)(core * VIRTIO_PAIR + i);
        network.notify[i] = network.place->notify + network.queue_number[i] * PAGE_BYTES;
        network.queues[i] =
            (struct virtqueue){.memory = memory[i], .slots = slots[i], .size = GATE_PORT_ENTRIES};
        virtqueue_empty(&network.queues[i]);
        queues[i] = (struct port_queue){
            .shared = i == RECEIVE ? &port->receive : &port->transmit,
            .ring = &network.queues[i],
            .is_receive = i == RECEIVE,
            .memory = (void *)port,
            .physical = shared_regions[core].port.value,
            .bytes = shared_facts.info.port_bytes,
            .guard = image->policy_count != 0 ? &guard : NULL,
        };
    }
}

/* @impl ATL-LLR-VIRTIO-1151~1 */
static void guard_headers(void)
{
    if ((shared_facts.info.port_features & GATE_PORT_SEGMENTS) != 0) {
        queues[TRANSMIT].guard = &guard;
    }
}

/* Core 0: all pairs, or else its own. */
static void start(void)
{
    uint32_t pairs = MIN(network.place->pairs, shared_facts.core_count);
    network.vector = VECTOR_NETWORK;
    network.queue_number[CONTROL] = (uint8_t)(network.place->pairs * VIRTIO_PAIR);
    bool is_on = (pairs > 1 && start_first(pairs)) || start_first(0);
    if (is_on) {
        shared_facts.info.port_queues = MAX(network.pairs, 1u);
        said_own()->phase = 1;
        follow(1);
    } else {
        (void)!virtio_device_reset(&network);
    }
    console_log(CONSOLE_LOG, "atoll: the network device %s; rules of the network policy: %u\n",
                is_on ? "is port 0" : "does not follow the protocol: left off", guard.policy.count);
}

static enum result collect(uint32_t *count)
{
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        TRY(port_collect(&queues[i], count));
    }
    return RESULT_OK;
}

/* @impl ATL-LLR-VIRTIO-0805~1 */
static int64_t kick(uint64_t flags)
{
    struct port_batch batches[DIRECTIONS];
    uint32_t count = 0;
    uint32_t phase = said_own()->followed;
    uint64_t self = percpu_thread_handle(percpu_current);
    if (phase == PHASE_OFF) {
        return RESULT_IO;
    }
    if ((phase & 1) == 0 || said_own()->broken == phase) { /* until the device runs again */
        disarm(self);
        waiter = (flags & GATE_KICK_ARM) != 0 ? self : 0;
        return 0;
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        TRY(port_look(&queues[i], &batches[i]));
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        port_give(&queues[i], &batches[i], &count);
        if (batches[i].count > 0) {
            virtio_device_notify(&network, i);
        }
    }
    enum result result = collect(&count);
    bool is_waiting = result == RESULT_OK && count == 0 && (flags & GATE_KICK_ARM) != 0;
    if (is_waiting) {
        disarm(self); /* there is room for one that waits */
        waiter = self;
        interrupts(true);
        result = collect(&count); /* what came while they were off */
    }
    if (waiter != 0 && (count > 0 || result != RESULT_OK || (waiter == self && !is_waiting))) {
        disarm(self);
    }
    if (result != RESULT_OK) {
        said_own()->broken = phase;
        if (percpu_self.value == 0) {
            look();
        } else {
            cpu_apic_send((core_id_t){0}, VECTOR_NETWORK);
        }
        return result;
    }
    return count;
}

/* @impl ATL-LLR-VIRTIO-0803~1 ATL-LLR-VIRTIO-0004~4 */
void virtio_network_start(void)
{
    uint32_t core = percpu_self.value;
    if (shared_facts.virtio_network.kind == 0) {
        return;
    }
    prepare(core);
    if (core == 0) {
        start();
    } else if (core < shared_facts.info.port_queues) {
        look();
    }
    guard_headers();
    __builtin_memcpy(guard.policy.mac, shared_facts.info.port_mac, sizeof(guard.policy.mac));
    gate_kicks[GATE_PORT_NETWORK] = core < shared_facts.info.port_queues ? kick : NULL;
}

/* @impl ATL-LLR-VIRTIO-0805~1 */
void virtio_network_interrupt(void)
{
    if (percpu_self.value < shared_facts.info.port_queues) {
        look();
        /* A device that asks for a reset: the next kick finds the queue broken. */
        network.queues[RECEIVE].is_broken |= percpu_self.value == 0 &&
                                             !virtio_device_interrupt(&network) &&
                                             (said_own()->followed & 1) != 0;
        if (percpu_self.value == 0) {
            read_link();
        }
        disarm(0);
    }
}
