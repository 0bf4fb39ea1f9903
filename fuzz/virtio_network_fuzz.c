/* SPDX-License-Identifier: Apache-2.0 */
/* The network driver between a device that breaks every rule at any time and a ring 3 that may
 * write what it likes into its port memory: each kick ends with a count or an error, the device is
 * started a bounded number of times, and nothing but buffers is written. While ring 3 keeps the
 * rules, each buffer that it submitted comes back at most once, with no more bytes than it has.
 * @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-VIRTIO-0801~1 ATL-LLR-VIRTIO-0802~1 @robust
 * @verifies ATL-LLR-VIRTIO-0804~1 ATL-LLR-VIRTIO-0009~1 @robust
 * @verifies ATL-LLR-VIRTIO-1150~1 ATL-LLR-VIRTIO-1151~1 @robust */
#include "hostile_device.h"

#include <driver/console.h>
#include <isolation/gate_abi.h>
#include <kernel/image.h>
#include <kernel/layout.h>
#include <percpu/scheduler.h>
#include <percpu/trace.h>
#include <policy/policy.h>

/* The image and the port memory lie where the host has them. */
static struct {
    struct image_header header;
    struct policy_rule rules[2];
} fuzz_image;
#undef LAYOUT_IMAGE_BASE
#define LAYOUT_IMAGE_BASE ((uintptr_t)&fuzz_image)
#undef LAYOUT_DIRECT_BASE
#define LAYOUT_DIRECT_BASE 0ull

#include "network.c"

#define STEPS_MAX 512u
#define PORT_BYTES 0x20000u
#define BUFFER_BYTES 2048u
#define BUFFERS 59u /* behind struct gate_port */
#define BUFFER_AT(index_) ((uint32_t)(PORT_BYTES - (BUFFERS - (index_)) * BUFFER_BYTES))
#define HANDLE 0x100000001ull
#define RESETS_MAX 24u /* a few for each of five starts */
_Static_assert(sizeof(struct gate_port) <= BUFFER_AT(0), "buffers lie behind it");

PERCORE struct trace_ring *percpu_trace_ring;
PERCORE struct thread *percpu_current;
static struct thread thread = {.state = THREAD_RUNNING};
static uint8_t *port_memory;
static uint8_t outstanding[DIRECTIONS][BUFFERS];
static uint32_t completions_read[DIRECTIONS];
static bool is_ring3_hostile;
static gate_kick kick_port;
static struct nic *nic;
static const struct gate_network *const info = &shared_facts.info.networks[0];
PERCORE gate_kick gate_kicks[GATE_PORT_DOORBELL + 1];
PERCORE core_id_t percpu_self;
static alignas(64) uint8_t staging[4096];

void percpu_trace(enum trace_event event, uint32_t a, uint64_t b, uint64_t c)
{
    (void)event, (void)a, (void)b, (void)c;
}

void *gate_staging_own(enum gate_staging page)
{
    FUZZ_REQUIRE(page == GATE_STAGING_NETWORK);
    return staging;
}

const void *gate_staging_of_remote(core_id_t core, enum gate_staging page)
{
    FUZZ_REQUIRE(core.value == 0);
    return gate_staging_own(page);
}

void cpu_apic_send(core_id_t core, uint32_t command)
{
    (void)core, (void)command;
    FUZZ_REQUIRE(!"there is one core");
}

uint64_t percpu_thread_handle(const struct thread *of)
{
    FUZZ_REQUIRE(of == &thread);
    return HANDLE;
}

struct thread *percpu_thread_find(uint64_t handle)
{
    FUZZ_REQUIRE(handle == 0 || handle == HANDLE);
    return handle == HANDLE ? &thread : NULL;
}

void percpu_unpark(struct thread *woken, bool interrupt)
{
    FUZZ_REQUIRE(woken == &thread && !interrupt);
}

void console_log(enum console_stream level, const char *format, ...)
{
    FUZZ_REQUIRE(format != NULL && level <= CONSOLE_ERROR);
}

static struct gate_port_queue *shared_of(uint32_t direction)
{
    struct gate_port *port = (struct gate_port *)port_memory;
    return direction == RECEIVE ? &port->receive : &port->transmit;
}

/* Segments larger than the MTU of both versions of IP or of none, and not without what they need.
 */
static void check_features(uint32_t features)
{
    uint32_t came = features & GATE_PORT_GUEST_SEGMENTS, sent = features & GATE_PORT_SEGMENTS;
    FUZZ_REQUIRE(kick_port == NULL || came == 0 ||
                 (came == GATE_PORT_GUEST_SEGMENTS && (features & GATE_PORT_MERGED) != 0 &&
                  (features & GATE_PORT_GUEST_CHECKSUM) != 0));
    FUZZ_REQUIRE(kick_port == NULL || sent == 0 ||
                 (sent == GATE_PORT_SEGMENTS && (features & GATE_PORT_CHECKSUM) != 0 &&
                  (nic->device.features & FEATURE_INDIRECT) != 0));
}

static void begin(struct fuzz_input *input)
{
    hostile_make(VIRTIO_NETWORK, input);
    for (uint32_t i = 0; i < FAKE_QUEUES; i++) {
        fake.queues[i].size_max = GATE_PORT_ENTRIES;
    }
    fake.features |= FEATURE_MAC | (fuzz_take(input, 1) & 1 ? FEATURE_INDIRECT : 0);
    memset(&fuzz_image, 0, sizeof(fuzz_image));
    fuzz_image.header.policy_count = (uint16_t)(fuzz_take(input, 1) % 3);
    fuzz_image.header.policy_offset = (uint32_t)offsetof(typeof(fuzz_image), rules);
    for (uint32_t i = 0; i < fuzz_image.header.policy_count; i++) {
        fuzz_image.rules[i] = (struct policy_rule){
            .kind = (uint8_t)fuzz_take(input, 1), .version = 4, .protocol = 17, .port_max = 65535};
    }
    memset(port_memory, 0, PORT_BYTES);
    memset(outstanding, 0, sizeof(outstanding));
    memset(completions_read, 0, sizeof(completions_read));
    nic = &nics[0];
    memset(nics, 0, sizeof(nics));
    memset(gate_kicks, 0, sizeof(gate_kicks));
    is_ring3_hostile = false;
    percpu_current = &thread;
    shared_facts.virtio_networks[0] = fake_place;
    shared_facts.info.port_bytes = PORT_BYTES;
    shared_facts.core_count = 1;
    shared_regions[0].port.value = (uintptr_t)port_memory;
    memset(staging, 0, sizeof(staging));
    memset(shared_facts.info.networks, 0, sizeof(shared_facts.info.networks));
    virtio_network_start();
    kick_port = gate_kicks[GATE_PORT_NETWORK];
    const uint8_t *mac = info->mac;
    FUZZ_REQUIRE(kick_port == NULL || ((mac[0] & MAC_GROUP) == 0 && info->mtu >= MTU_MIN &&
                                       (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) != 0 &&
                                       (info->features & ~FEATURES_OF_HEADERS) == 0));
    check_features(info->features);
}

/* What ring 3 asks of the device in the header of a frame: mostly what may be asked. */
static void write_header(uint32_t index, uint32_t bytes)
{
    uint8_t *header = port_memory + BUFFER_AT(index);
    static const uint8_t right[] = {1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0};
    uint8_t at = (uint8_t)fuzz_take(hostile_input, 1);
    memcpy(header, right, sizeof(right));
    header[1] = (uint8_t)((at & 0x80) != 0 ? 4 : (at & 0x40) != 0 ? 1 : 0);
    if (at % 16 < sizeof(right)) {
        header[at % 16] = (uint8_t)fuzz_take(hostile_input, 1);
    }
    if (bytes > GATE_PORT_ENTRY_BYTES_MIN + 40) {
        header[GATE_PORT_ENTRY_BYTES_MIN + 12] = 8; /* IPv4 */
    }
}

/* Where ring 3 may have frames cut, the device has no header but those that were judged. */
static void check_headers(void)
{
    for (uint32_t id = 0; id < GATE_PORT_ENTRIES; id++) {
        const struct guard_head *head = &nic->guard.heads[id];
        uint16_t words[GATE_PORT_ENTRY_BYTES_MIN / 2];
        if (!nic->slots[TRANSMIT][id].is_given || nic->queues[TRANSMIT].guard == NULL) {
            continue;
        }
        memcpy(words, head->bytes, sizeof(words));
        uint32_t bytes = head->parts[0].bytes - GATE_PORT_ENTRY_BYTES_MIN +
                         ((head->parts[0].flags & VIRTQUEUE_NEXT) != 0 ? head->parts[1].bytes : 0);
        uint32_t kind = words[0] >> 8, sum_end = (uint32_t)words[3] + words[4] + 2;
        FUZZ_REQUIRE((words[0] & 0xff) <= 1 && (kind == 0 || kind == 1 || kind == 4));
        FUZZ_REQUIRE((words[0] & 0xff) == 0 ? kind == 0 : sum_end <= bytes);
        FUZZ_REQUIRE(kind == 0 || (words[1] >= sum_end && words[1] < bytes && words[2] != 0));
        FUZZ_REQUIRE(nic->guard.policy.count == 0 || words[0] == 0);
    }
}

static void submit(uint32_t direction)
{
    struct gate_port_queue *queue = shared_of(direction);
    uint32_t count = (uint32_t)fuzz_take(hostile_input, 1) % 40;
    for (uint32_t i = 0; i < count && queue->submitted - completions_read[direction] < BUFFERS;
         i++) {
        uint32_t index = (uint32_t)fuzz_take(hostile_input, 1) % BUFFERS;
        uint32_t room = BUFFER_BYTES - GATE_PORT_ENTRY_BYTES_MIN;
        uint32_t bytes =
            GATE_PORT_ENTRY_BYTES_MIN + (uint32_t)fuzz_take(hostile_input, 2) % (room + 1);
        if (outstanding[direction][index] == 0) {
            outstanding[direction][index] = 1;
            if (direction == TRANSMIT) {
                write_header(index, bytes);
            }
            queue->submit[queue->submitted % GATE_PORT_ENTRIES] =
                (struct gate_port_entry){BUFFER_AT(index), bytes};
            queue->submitted++;
        }
    }
}

/* Anything, anywhere in what ring 3 shares with the kernel. */
static void scribble_port(void)
{
    uint32_t at = (uint32_t)fuzz_take(hostile_input, 2) % (uint32_t)sizeof(struct gate_port);
    uint32_t count = (uint32_t)fuzz_take(hostile_input, 1) % 16;
    is_ring3_hostile = true;
    for (uint32_t i = 0; i < count && at + i < sizeof(struct gate_port); i++) {
        port_memory[at + i] = (uint8_t)fuzz_take(hostile_input, 1);
    }
}

static void read_completions(void)
{
    for (uint32_t direction = 0; direction < DIRECTIONS && !is_ring3_hostile; direction++) {
        struct gate_port_queue *queue = shared_of(direction);
        FUZZ_REQUIRE(queue->completed - completions_read[direction] <= GATE_PORT_ENTRIES);
        for (; completions_read[direction] != queue->completed; completions_read[direction]++) {
            const struct gate_port_entry *entry =
                &queue->complete[completions_read[direction] % GATE_PORT_ENTRIES];
            uint32_t index = (entry->offset - BUFFER_AT(0)) / BUFFER_BYTES;
            FUZZ_REQUIRE(entry->offset >= BUFFER_AT(0) && index < BUFFERS &&
                         entry->offset == BUFFER_AT(index));
            FUZZ_REQUIRE(outstanding[direction][index] == 1); /* once */
            FUZZ_REQUIRE(entry->bytes <= (direction == RECEIVE ? BUFFER_BYTES : 0));
            outstanding[direction][index] = 0;
        }
    }
}

static void kick_once(uint64_t flags)
{
    int64_t result = kick_port(GATE_PORT_NETWORK, flags);
    FUZZ_REQUIRE(result == RESULT_IO || (result == RESULT_INVALID && is_ring3_hostile) ||
                 (result >= 0 && result <= 2 * DIRECTIONS * (int64_t)GATE_KICK_ENTRIES_MAX));
    /* One that runs has the features that ring 3 was told of, however often it was started. */
    FUZZ_REQUIRE(result < 0 || (nic->device.features & FEATURES_OF_HEADERS) == info->features);
    check_headers();
    FUZZ_REQUIRE(is_ring3_hostile || ((const struct gate_port *)port_memory)->is_link_down <= 1);
    read_completions();
}

static void step(uint32_t what)
{
    uint32_t queue = what >> 3 & 1;
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        hostile_do(what & 7, queue);
        break;
    case 3:
        submit(queue);
        break;
    case 4:
        kick_once(0);
        break;
    case 5:
        kick_once(GATE_KICK_ARM);
        break;
    case 6:
        virtio_network_interrupt(GATE_PORT_NETWORK);
        break;
    default:
        if ((what >> 4) % 8 == 0) {
            scribble_port();
        } else {
            submit(queue);
            kick_once(0);
        }
    }
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    port_memory = aligned_alloc(64, PORT_BYTES);
    FUZZ_REQUIRE(port_memory != NULL);
    begin(&input);
    for (uint32_t i = 0; i < STEPS_MAX && input.left > 0 && kick_port != NULL; i++) {
        step((uint32_t)fuzz_take(&input, 1));
    }
    FUZZ_REQUIRE(fake.resets <= RESETS_MAX);
    free(port_memory);
}
