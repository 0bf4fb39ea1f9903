/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a port between a posix/ and a device that both may write what they like. */
#include <check.h>
#include <port.h>

#define BYTES 0x100000ull
#define PHYSICAL 0x40000000ull

static struct gate_port_queue shared;
static struct virtqueue_slot slots[GATE_PORT_ENTRIES];
static alignas(16) uint8_t ring[VIRTQUEUE_BYTES(GATE_PORT_ENTRIES)];
static struct virtqueue virtqueue = {.memory = ring, .slots = slots, .size = GATE_PORT_ENTRIES};
static struct port_queue queue;
static struct port_batch batch;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

static void start(bool is_receive)
{
    shared = (struct gate_port_queue){0};
    virtqueue_empty(&virtqueue);
    queue = (struct port_queue){.shared = &shared,
                                .ring = &virtqueue,
                                .is_receive = is_receive,
                                .physical = PHYSICAL,
                                .bytes = BYTES};
}

static void submit(uint32_t offset, uint32_t bytes)
{
    shared.submit[shared.submitted % GATE_PORT_ENTRIES] = (struct gate_port_entry){offset, bytes};
    shared.submitted++;
}

static void give(void)
{
    CHECK_EQUAL(port_look(&queue, &batch), RESULT_OK);
    port_give(&queue, &batch);
}

/* The device is done with what it got as entry number `index`. */
static void use(uint16_t index, uint32_t bytes)
{
    struct virtqueue_used *used = queue.ring->used;
    uint16_t id = queue.ring->available->ring[index % GATE_PORT_ENTRIES];
    used->ring[used->index % GATE_PORT_ENTRIES].id = id;
    used->ring[used->index % GATE_PORT_ENTRIES].bytes = bytes;
    used->index++;
}

static uint32_t collect(void)
{
    uint32_t count = 0;
    CHECK_EQUAL(port_collect(&queue, &count), RESULT_OK);
    return count;
}

/* @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-VIRTIO-0801~1 */
TEST(what_is_submitted_comes_back_once)
{
    const struct virtqueue_descriptor *descriptors = (const void *)ring;
    start(true);
    submit(0x3000, 2048);
    submit(BYTES - 12, 12);
    give();
    CHECK_EQUAL(shared.taken, 2);
    CHECK(descriptors[0].physical == PHYSICAL + 0x3000 && descriptors[0].bytes == 2048);
    CHECK_EQUAL(descriptors[0].flags, 2);
    CHECK_EQUAL(collect(), 0);
    use(1, 12);
    use(0, 100);
    CHECK_EQUAL(collect(), 2);
    CHECK_EQUAL(shared.completed, 2);
    CHECK(shared.complete[0].offset == BYTES - 12 && shared.complete[0].bytes == 12);
    CHECK(shared.complete[1].offset == 0x3000 && shared.complete[1].bytes == 100);
    start(false);
    submit(0x4000, 60);
    give();
    CHECK_EQUAL(descriptors[0].flags, 0);
    use(0, 77); /* what it says that it wrote where it only reads */
    CHECK_EQUAL(collect(), 1);
    CHECK(shared.complete[0].offset == 0x4000 && shared.complete[0].bytes == 0);
}

/* @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-VIRTIO-0801~1 */
TEST(indices_wrap_and_a_call_takes_and_completes_a_bounded_number)
{
    start(true);
    shared.submitted = queue.taken = queue.completed = UINT32_MAX - 300;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t completed = queue.completed;
        uint16_t first = virtqueue.available_index;
        for (uint32_t i = 0; i < GATE_PORT_ENTRIES; i++) {
            submit(i * 2048, 2048);
        }
        for (uint32_t calls = 0; calls < GATE_PORT_ENTRIES / GATE_KICK_ENTRIES_MAX; calls++) {
            give();
            CHECK_EQUAL(batch.count, GATE_KICK_ENTRIES_MAX);
        }
        CHECK_EQUAL(shared.taken, shared.submitted);
        for (uint16_t i = 0; i < GATE_PORT_ENTRIES; i++) {
            use((uint16_t)(first + i), i + 1);
        }
        for (uint32_t calls = 0; calls < GATE_PORT_ENTRIES / GATE_KICK_ENTRIES_MAX; calls++) {
            CHECK_EQUAL(collect(), GATE_KICK_ENTRIES_MAX);
        }
        CHECK_EQUAL(collect(), 0);
        for (uint32_t i = 0; i < GATE_PORT_ENTRIES; i++) {
            const struct gate_port_entry *entry =
                &shared.complete[(completed + i) % GATE_PORT_ENTRIES];
            CHECK(entry->offset == i * 2048 && entry->bytes == i + 1);
        }
    }
}

static void refused(void)
{
    struct port_queue before = queue;
    uint16_t index = queue.ring->available->index;
    CHECK_EQUAL(port_look(&queue, &batch), RESULT_INVALID);
    CHECK(memcmp(&before, &queue, sizeof(queue)) == 0);
    CHECK_EQUAL(queue.ring->available->index, index);
}

/* @verifies ATL-LLR-VIRTIO-0800~1 @robust */
TEST(entries_outside_of_the_memory_are_refused_with_all_others)
{
    const struct gate_port_entry bad[] = {
        {0, 0},
        {0, 11},
        {0, BYTES + 1},
        {BYTES, 12},
        {BYTES - 11, 12},
        {BYTES - 12, 13},
        {UINT32_MAX, 12},
        {12, UINT32_MAX},
        {UINT32_MAX, UINT32_MAX},
        {0x80000000, 0x80000000},
        {BYTES + 1, 12},
        {0, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        start(i % 2 == 0);
        submit(0x3000, 2048);
        submit(bad[i].offset, bad[i].bytes);
        submit(0x4000, 2048);
        refused();
        CHECK_EQUAL(shared.taken, 0);
    }
    start(true);
    submit(0, BYTES);
    submit(BYTES - 12, 12);
    give();
}

/* @verifies ATL-LLR-VIRTIO-0800~1 @robust */
TEST(indices_that_jump_are_refused)
{
    const uint32_t jumps[] = {GATE_PORT_ENTRIES + 1, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        start(true);
        for (uint32_t n = 0; n < GATE_PORT_ENTRIES; n++) {
            shared.submit[n] = (struct gate_port_entry){0x3000, 64};
        }
        shared.submitted = jumps[i];
        refused();
        shared.submitted = 3;
        give();
        shared.submitted = 3 + jumps[i];
        refused();
        shared.submitted = 2; /* back, but not behind what was completed */
        refused();
        use(0, 12);
        CHECK_EQUAL(collect(), 1);
        shared.submitted = 1 + GATE_PORT_ENTRIES; /* as many as there are */
        give();
        shared.submitted = 2 + GATE_PORT_ENTRIES;
        refused();
    }
}

/* @verifies ATL-LLR-VIRTIO-0800~1 ATL-LLR-VIRTIO-0801~1 @robust */
TEST(what_others_write_over_the_kernels_own_is_not_read)
{
    start(true);
    submit(0x3000, 64);
    give();
    shared.taken = 77;
    shared.completed = 0x80000000;
    memset(shared.submit, 0xff, sizeof(shared.submit));
    use(0, 64);
    CHECK_EQUAL(collect(), 1);
    CHECK(shared.completed == 1 && shared.complete[0].offset == 0x3000);
    shared.submit[1] = (struct gate_port_entry){0x5000, 64};
    shared.submitted = 2;
    give();
    CHECK_EQUAL(shared.taken, 2);
}

/* @verifies ATL-LLR-VIRTIO-0801~1 ATL-LLR-VIRTIO-0802~1 @robust */
TEST(a_device_that_breaks_a_rule_gets_its_buffers_taken_away)
{
    uint32_t count = 0;
    start(true);
    for (uint32_t i = 0; i < 5; i++) {
        submit(0x3000 + i * 64, 64);
    }
    give();
    use(1, 64);
    use(0, 65); /* more than there is room for */
    CHECK_EQUAL(port_collect(&queue, &count), RESULT_IO);
    CHECK(count == 1 && shared.completed == 1 && shared.complete[0].offset == 0x3040);
    port_abandon(&queue);
    CHECK_EQUAL(shared.completed, 5);
    bool is_back[5] = {false, true};
    for (uint32_t i = 1; i < 5; i++) {
        CHECK_EQUAL(shared.complete[i].bytes, 0);
        is_back[(shared.complete[i].offset - 0x3000) / 64] = true;
    }
    CHECK(is_back[0] && is_back[2] && is_back[3] && is_back[4]);
    virtqueue_empty(&virtqueue);
    port_abandon(&queue); /* nothing is given */
    CHECK_EQUAL(shared.completed, 5);
    submit(0x3000, 64);
    give();
    use(0, 20);
    CHECK_EQUAL(collect(), 1);
}

CHECK_MAIN()
