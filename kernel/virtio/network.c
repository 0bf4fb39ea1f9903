/* SPDX-License-Identifier: Apache-2.0 */
/* The network device: virtio 1.2, section 5.1. Port 0 of the gate: core 0 has a pair of its queues
 * and gives them buffers of its own port memory. */
#include "device.h"
#include "port.h"

#include <boot/boot.h>
#include <driver/console.h>
#include <driver/device.h>
#include <kernel/region.h>
#include <percpu/scheduler.h>
#include <virtio/virtio.h>

enum { RECEIVE, TRANSMIT, DIRECTIONS };

/* Section 5.1.3; the gate names those that concern headers by the same bits */
#define NO_INTERRUPT 1u /* section 2.7.6 */
#define FEATURE_MTU (1u << 3)
#define FEATURE_MAC (1u << 5)
#define FEATURE_INDIRECT (1u << 28) /* section 6 */
#define FEATURES_OF_HEADERS (GATE_PORT_CHECKSUM | GATE_PORT_GUEST_CHECKSUM | GATE_PORT_MERGED)
/* Section 5.1.4 */
#define CONFIG_MTU 10u
#define MTU_DEFAULT 1500u
#define MTU_MIN 68u  /* virtio 1.2, section 5.1.4.1 */
#define MAC_GROUP 1u /* in the first byte */

static PERCORE struct virtio_device network;
static PERCORE struct virtqueue_slot slots[DIRECTIONS][GATE_PORT_ENTRIES];
static PERCORE alignas(16) uint8_t memory[DIRECTIONS][VIRTQUEUE_BYTES(GATE_PORT_ENTRIES)];
static PERCORE struct port_queue queues[DIRECTIONS];
static PERCORE struct guard guard;
static PERCORE uint64_t waiter; /* handle of the thread that the next completion wakes; 0: none */
static PERCORE bool is_on;

static void interrupts(bool are_wanted)
{
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        network.queues[i].available->flags = are_wanted ? 0 : NO_INTERRUPT;
    }
    /* The device looks at the flags after it has written the used index: either it sees them, or
     * its index is seen here. */
    atomic_thread_fence(memory_order_seq_cst);
}

/* The validator of the device's configuration, at the first start. */
static bool read_configuration(void)
{
    uint64_t at = network.place->config;
    uint8_t *mac = shared_facts.port_mac, any = 0;
    for (uint32_t i = 0; i < sizeof(shared_facts.port_mac); i++) {
        mac[i] = (uint8_t)device_read(at + i, 1);
        any |= mac[i];
    }
    bool has_mtu = (network.features & FEATURE_MTU) != 0;
    shared_facts.port_mtu = has_mtu ? (uint16_t)device_read(at + CONFIG_MTU, 2) : MTU_DEFAULT;
    shared_facts.port_features = network.features & FEATURES_OF_HEADERS;
    network.features_wanted = network.features; /* posix/ knows them: also after a reset */
    __builtin_memcpy(guard.policy.mac, mac, sizeof(guard.policy.mac));
    return (guard.policy.count == 0 || (network.features & FEATURE_INDIRECT) != 0) &&
           (network.features & FEATURE_MAC) != 0 && any != 0 && (mac[0] & MAC_GROUP) == 0 &&
           shared_facts.port_mtu >= MTU_MIN;
}

/* Starts the device, also again; what it had comes back without bytes, unless it cannot be stopped.
 *
 * @impl ATL-LLR-VIRTIO-0804~1 */
static void start(void)
{
    is_on = false;
    if (virtio_device_reset(&network) != RESULT_OK) {
        return;
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        port_abandon(&queues[i]);
    }
    is_on =
        virtio_device_start(&network) == RESULT_OK &&
        (network.starts == 1 ? read_configuration() : network.features == network.features_wanted);
    if (is_on) {
        interrupts(false);
    } else {
        (void)!virtio_device_reset(&network);
    }
}

/* @impl ATL-LLR-VIRTIO-0803~1 ATL-LLR-VIRTIO-0004~3 */
virtio_kick virtio_network_start(void)
{
    struct gate_port *port = (void *)(LAYOUT_DIRECT_BASE + shared_regions[0].port.value);
    network.place = &shared_facts.virtio_network;
    network.vector = VECTOR_NETWORK;
    /* image_validate has seen that the rules lie in the index. */
    const struct image_header *image = boot_image();
    guard.policy.rules = (const void *)((const uint8_t *)image + image->policy_offset);
    guard.policy.count = image->policy_count;
    guard.physical = region_percore_physical(&guard);
    network.features_wanted = FEATURE_MTU | FEATURE_MAC |
                              (image->policy_count == 0 ? FEATURES_OF_HEADERS : FEATURE_INDIRECT);
    network.queue_count = DIRECTIONS;
    if (network.place->kind == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        network.queue_number[i] = (uint8_t)i;
        network.queues[i] =
            (struct virtqueue){.memory = memory[i], .slots = slots[i], .size = GATE_PORT_ENTRIES};
        queues[i] = (struct port_queue){
            .shared = i == RECEIVE ? &port->receive : &port->transmit,
            .ring = &network.queues[i],
            .is_receive = i == RECEIVE,
            .memory = (void *)port,
            .physical = shared_regions[0].port.value,
            .bytes = shared_facts.port_bytes,
            .guard = image->policy_count != 0 ? &guard : NULL,
        };
    }
    start();
    shared_facts.port_queues = is_on;
    console_log(CONSOLE_LOG, "atoll: the network device %s; rules of the network policy: %u\n",
                is_on ? "is port 0" : "does not follow the protocol: left off", guard.policy.count);
    return is_on ? virtio_network_kick : NULL;
}

static enum result collect(uint32_t *count)
{
    for (uint32_t i = 0; i < DIRECTIONS; i++) {
        TRY(port_collect(&queues[i], count));
    }
    return RESULT_OK;
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

/* @impl ATL-LLR-VIRTIO-0805~1 */
int64_t virtio_network_kick(uint64_t flags)
{
    struct port_batch batches[DIRECTIONS];
    uint32_t count = 0;
    if (!is_on) {
        return RESULT_IO;
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
    uint64_t self = percpu_thread_handle(percpu_current);
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
        start();
        return result;
    }
    return count;
}

/* @impl ATL-LLR-VIRTIO-0805~1 */
void virtio_network_interrupt(void)
{
    if (is_on) {
        /* A device that asks for a reset: the next kick finds the queue broken. */
        network.queues[RECEIVE].is_broken |= !virtio_device_interrupt(&network);
        disarm(0);
    }
}
