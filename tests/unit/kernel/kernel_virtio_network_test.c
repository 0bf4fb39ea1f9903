/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a network device with a pair of queues for each of two cores: how long it is waited
 * for when it is told to use them. The clock moves by being read. */
#include <cpu/instructions.h>

static uint64_t read_clock(void);
#define cpu_rdtsc read_clock
#include "network.c"

#include <check.h>
#include <fake.h>

#define CORES 2u
#define CONTROL_QUEUE (CORES * VIRTIO_PAIR) /* the device's number */
#define SELF 7u                             /* who kicks */
#define CLOCK_STEP (1ull << 20)
#define AGAIN_CYCLES (1ull << 29) /* core 0 may be held so long */

PERCORE core_id_t percpu_self;
PERCORE struct thread *percpu_current;
PERCORE gate_kick gate_kicks[GATE_PORT_DOORBELL + 1];

static uint64_t now;
static uint64_t answer_cycles;           /* after an order; 0: never */
static uint64_t asked_at;                /* 0: no order waits */
static unsigned told;                    /* interrupts of core 1 */
static uint32_t completions[DIRECTIONS]; /* what was sent; what was received */
static struct said said[CORES];
static struct gate_port port_memory[CORES];
static struct image_header image;

static uint64_t read_clock(void)
{
    uint32_t id, bytes;
    bool is_to_write;
    now += CLOCK_STEP;
    if (asked_at != 0 && answer_cycles != 0 && now - asked_at >= answer_cycles) {
        asked_at = 0;
        CHECK(fake_next(CONTROL_QUEUE, &id, &bytes, &is_to_write) == (const void *)nics[0].order);
        CHECK(bytes == ORDER_BYTES && !is_to_write && nics[0].order[2] == CORES);
        nics[0].order[ORDER_BYTES] = 0;
        fake_use(CONTROL_QUEUE, id, 1);
    }
    return now;
}

static void device_hears(uint32_t queue)
{
    asked_at = queue == CONTROL_QUEUE ? now : asked_at;
}

/* ---- the rest of the kernel */

void cpu_apic_send(core_id_t core, uint32_t vector)
{
    CHECK(core.value == 1 && vector == VECTOR_NETWORK);
    told++;
}

void *gate_staging_own(enum gate_staging page)
{
    CHECK(page == GATE_STAGING_NETWORK);
    return &said[percpu_self.value];
}

const void *gate_staging_of_remote(core_id_t core, enum gate_staging page)
{
    CHECK(page == GATE_STAGING_NETWORK);
    return &said[core.value];
}

void console_log(enum console_stream level, const char *format, ...)
{
    CHECK(level == CONSOLE_LOG && format != NULL);
}

uint64_t percpu_thread_handle(const struct thread *thread)
{
    CHECK(thread == NULL);
    return SELF;
}

struct thread *percpu_thread_find(uint64_t handle)
{
    CHECK(handle == 0 || handle == SELF);
    return NULL;
}

void percpu_unpark(struct thread *thread, bool interrupt)
{
    CHECK(thread != NULL && !interrupt);
}

enum result port_look(const struct port_queue *queue, struct port_batch *batch)
{
    CHECK(queue != NULL);
    *batch = (struct port_batch){0};
    return RESULT_OK;
}

void port_give(struct port_queue *queue, const struct port_batch *batch, uint32_t *count)
{
    CHECK(queue != NULL && batch->count == 0 && *count == 0);
}

enum result port_collect(struct port_queue *queue, uint32_t *count)
{
    *count += completions[queue->is_receive];
    completions[queue->is_receive] = 0;
    return RESULT_OK;
}

void port_abandon(struct port_queue *queue)
{
    CHECK(queue != NULL);
}

/* ---- tests */

/* The machine starts, and with it the device, which answers orders after so many cycles. */
static struct nic *boot(uint64_t cycles)
{
    static const uint8_t mac[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    fake_make(VIRTIO_NETWORK, true);
    fake.features |= FEATURE_MAC | FEATURES_OF_PAIRS;
    fake.on_notify = device_hears;
    for (uint32_t i = 0; i < CONTROL_QUEUE; i++) {
        fake.queues[i].size_max = GATE_PORT_ENTRIES;
    }
    memcpy(fake.config, mac, sizeof(mac));
    fake_place.config = FAKE_CONFIG;
    fake_place.pairs = CORES;
    memset(nics, 0, sizeof(nics));
    memset(said, 0, sizeof(said));
    memset(&shared_facts.info, 0, sizeof(shared_facts.info));
    shared_facts.core_count = CORES;
    shared_facts.image_physical = (uint64_t)&image - LAYOUT_IMAGE_BASE;
    shared_facts.virtio_networks[0] = fake_place;
    for (uint32_t i = 0; i < CORES; i++) {
        shared_regions[i].port.value = (uint64_t)&port_memory[i] - LAYOUT_DIRECT_BASE;
    }
    answer_cycles = cycles;
    asked_at = 0;
    told = 0;
    virtio_network_start();
    return &nics[0];
}

/* The device breaks a rule on core 1, which empties its queues; the device is started again.
 * Returns for how many cycles that held core 0. */
static uint64_t break_and_restart(struct nic *nic)
{
    uint32_t phase = said[0].phase;
    said[1].followed = phase;
    said[1].broken = phase;
    look(nic);
    CHECK(said[0].phase == phase + 1 && told == 1);
    said[1].followed = phase + 1;
    uint64_t begin = now;
    look(nic);
    return now - begin;
}

/* A busy host may take seconds while the machine starts.
 * @verifies ATL-LLR-VIRTIO-0831~1 */
TEST(waits_at_boot)
{
    struct nic *nic = boot(1ull << 32);
    CHECK(nic->info->queues == CORES && said[0].phase == 1 && gate_kicks[0] == kick);
    CHECK(fake.wrong_accesses == 0);
}

/* @verifies ATL-LLR-VIRTIO-0831~1 */
TEST(has_one_pair_without_an_answer)
{
    struct nic *nic = boot(0);
    CHECK(nic->info->queues == 1 && said[0].phase == 1);
}

/* @verifies ATL-LLR-VIRTIO-0832~1 */
TEST(starts_again)
{
    struct nic *nic = boot(CLOCK_STEP);
    CHECK(break_and_restart(nic) < AGAIN_CYCLES);
    CHECK(said[0].phase == 3 && fake.status == FAKE_STATUS_RUNNING);
}

/* @verifies ATL-LLR-VIRTIO-1411~1 @robust */
TEST(silence_after_a_fault_ends_it_soon)
{
    struct nic *nic = boot(CLOCK_STEP);
    answer_cycles = 0;
    CHECK(break_and_restart(nic) < AGAIN_CYCLES);
    CHECK(said[0].phase == PHASE_OFF && fake.status == 0);
}

static bool is_interrupted(const struct nic *nic, uint32_t queue)
{
    return (nic->device.queues[queue].available->flags & NO_INTERRUPT) == 0;
}

/* Who waits does so for what is received, on a device that was started again, too.
 * @verifies ATL-LLR-VIRTIO-0805~2 */
TEST(what_was_sent_wakes_nobody)
{
    struct nic *nic = boot(CLOCK_STEP);
    CHECK(!is_interrupted(nic, RECEIVE) && !is_interrupted(nic, TRANSMIT));
    for (uint32_t i = 0; i < 2; i++) {
        completions[false] = 3;
        CHECK_EQUAL(kick(0, GATE_KICK_ARM), 3);
        CHECK(is_interrupted(nic, RECEIVE) && !is_interrupted(nic, TRANSMIT));
        completions[true] = 2;
        CHECK_EQUAL(kick(0, GATE_KICK_ARM), 2);
        CHECK(!is_interrupted(nic, RECEIVE) && !is_interrupted(nic, TRANSMIT));
        CHECK_EQUAL(kick(0, 0), 0);
        CHECK(!is_interrupted(nic, RECEIVE) && !is_interrupted(nic, TRANSMIT));
        told = 0;
        (void)break_and_restart(nic);
    }
}

CHECK_MAIN()
