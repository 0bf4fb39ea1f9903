/* SPDX-License-Identifier: Apache-2.0 */
/* One direction of a port between a posix/ and a device that both may write what they like. */
#include <check.h>
#include <percpu/trace.h>
#include <port.h>

PERCORE struct trace_ring *percpu_trace_ring;

void percpu_trace(enum trace_event event, uint32_t a, uint64_t b, uint64_t c)
{
    (void)event, (void)a, (void)b, (void)c;
}

#define BYTES 0x100000ull
#define PHYSICAL 0x40000000ull

static struct gate_port_queue shared;
static uint8_t port_memory[BYTES];
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
                                .memory = port_memory,
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
    uint32_t refused = 0;
    CHECK_EQUAL(port_look(&queue, &batch), RESULT_OK);
    port_give(&queue, &batch, &refused);
    CHECK_EQUAL(refused, 0);
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

/* ---- a network policy: 10.0.2.15 serves TCP port 80 */

#define GUARD_PHYSICAL 0x70000000ull
#define HEAD_BYTES (GATE_PORT_ENTRY_BYTES_MIN + POLICY_HEAD_BYTES)

static const struct policy_rule rules[] = {
    {POLICY_SOURCE, 4, 0, 32, 0, 0, {10, 0, 2, 15}},
    {POLICY_IN, 4, 6, 0, 80, 80, {0}},
};
static struct guard guard;

static void start_guarded(bool is_receive)
{
    start(is_receive);
    guard = (struct guard){.policy = {rules, 2, {2, 0, 0, 0, 0, 1}}, .physical = GUARD_PHYSICAL};
    queue.guard = &guard;
}

/* A buffer with a frame of TCP from port 80 to 5000, or back. */
static uint8_t *frame_at(uint32_t offset, bool is_from_80)
{
    static const uint8_t frame[] = {9,  9, 9, 9, 9, 9,  2, 0, 0, 0,  0, 1, 8,  0, 0x45, 0, 0,
                                    40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 1, 2,    3, 4};
    uint8_t *to = port_memory + offset + GATE_PORT_ENTRY_BYTES_MIN;
    memset(port_memory + offset, 0xee, GATE_PORT_ENTRY_BYTES_MIN);
    memcpy(to, frame, sizeof(frame));
    memcpy(to + sizeof(frame), is_from_80 ? "\0\x50\x13\x88" : "\x13\x88\0\x50", 4);
    to[sizeof(frame) + 13] = 16;
    return to;
}

/* @verifies ATL-LLR-POLICY-0008~1 @robust */
TEST(a_frame_is_sent_as_it_was_judged)
{
    const struct virtqueue_descriptor *descriptors = (const void *)ring;
    start_guarded(false);
    uint8_t *frame = frame_at(0x4000, true);
    submit(0x4000, 1000);
    give();
    uint32_t id = virtqueue.available->ring[0];
    const struct guard_head *head = &guard.heads[id];
    uint64_t head_physical = GUARD_PHYSICAL + (uint64_t)((const uint8_t *)head - (uint8_t *)&guard);
    CHECK_EQUAL(descriptors[id].flags, VIRTQUEUE_INDIRECT);
    CHECK_EQUAL(descriptors[id].physical, head_physical);
    CHECK_EQUAL(descriptors[id].bytes, 2 * sizeof(struct virtqueue_descriptor));
    CHECK_EQUAL(head->parts[0].physical, head_physical + offsetof(struct guard_head, bytes));
    CHECK_EQUAL(head->parts[0].bytes, HEAD_BYTES);
    CHECK(head->parts[0].flags == VIRTQUEUE_NEXT && head->parts[0].next == 1);
    CHECK_EQUAL(head->parts[1].physical, PHYSICAL + 0x4000 + HEAD_BYTES);
    CHECK(head->parts[1].bytes == 1000 - HEAD_BYTES && head->parts[1].flags == 0);
    memset(frame, 0xff, POLICY_HEAD_BYTES); /* too late */
    CHECK(head->bytes[GATE_PORT_ENTRY_BYTES_MIN + 6] == 2 && head->bytes[0] == 0 &&
          head->bytes[GATE_PORT_ENTRY_BYTES_MIN - 1] == 0);
    use(0, 0);
    CHECK_EQUAL(collect(), 1);
    CHECK(shared.complete[0].offset == 0x4000 && shared.complete[0].bytes == 0);
    frame_at(0x5000, true);
    submit(0x5000, 60);
    give();
    id = virtqueue.available->ring[1];
    CHECK_EQUAL(descriptors[id].bytes, sizeof(struct virtqueue_descriptor));
    CHECK(guard.heads[id].parts[0].bytes == 60 && guard.heads[id].parts[0].flags == 0);
}

/* Without rules: a header of 12 bytes, as numbers of 16 bits but for the first two. */
static bool is_header_taken(uint32_t bytes, uint16_t flags_kind, uint16_t head, uint16_t segment,
                            uint16_t start_at, uint16_t offset)
{
    const uint16_t header[] = {flags_kind, head, segment, start_at, offset, 0};
    const struct virtqueue_descriptor *descriptors = (const void *)ring;
    uint32_t refused = 0;
    start_guarded(false);
    guard.policy.count = 0;
    memcpy(port_memory + 0x4000, header, sizeof(header));
    submit(0x4000, bytes + sizeof(header));
    CHECK_EQUAL(port_look(&queue, &batch), RESULT_OK);
    port_give(&queue, &batch, &refused);
    if (refused == 0) {
        const struct guard_head *given = &guard.heads[virtqueue.available->ring[0]];
        memset(port_memory + 0x4000, 0xff, sizeof(header)); /* too late */
        CHECK(memcmp(given->bytes, header, sizeof(header)) == 0);
        CHECK_EQUAL(given->parts[0].bytes, sizeof(header));
        CHECK(bytes == 0 || given->parts[1].physical == PHYSICAL + 0x4000 + sizeof(header));
        CHECK(bytes == 0 || given->parts[1].bytes == bytes);
        CHECK_EQUAL(descriptors[virtqueue.available->ring[0]].flags, VIRTQUEUE_INDIRECT);
    } else {
        CHECK(shared.complete[0].offset == 0x4000 && virtqueue.available_index == 0);
    }
    return refused == 0;
}

/* @verifies ATL-LLR-VIRTIO-1151~1 @robust */
TEST(a_header_asks_for_what_lies_in_its_frame)
{
    CHECK(is_header_taken(0, 0, 0, 0, 0, 0));
    CHECK(is_header_taken(60, 0, 0, 0, 0, 0));
    CHECK(is_header_taken(54, 1, 0, 0, 34, 16));
    CHECK(is_header_taken(52, 1, 0, 0, 34, 16));
    CHECK(!is_header_taken(51, 1, 0, 0, 34, 16));
    CHECK(!is_header_taken(1000, 1, 0, 0, 999, 0));
    CHECK(!is_header_taken(1000, 1, 0, 0, UINT16_MAX, UINT16_MAX));
    CHECK(is_header_taken(30000, 0x101, 54, 1460, 34, 16));
    CHECK(is_header_taken(30000, 0x401, 74, 1440, 54, 16));
    CHECK(!is_header_taken(30000, 0x401, 74, 0, 54, 16));     /* segments of nothing */
    CHECK(!is_header_taken(54, 0x101, 54, 1460, 34, 16));     /* nothing behind the head */
    CHECK(!is_header_taken(30000, 0x101, 51, 1460, 34, 16));  /* the sum behind it */
    CHECK(!is_header_taken(30000, 0x100, 54, 1460, 34, 16));  /* segments without sums */
    CHECK(!is_header_taken(30000, 0x301, 54, 1460, 34, 16));  /* of UDP */
    CHECK(!is_header_taken(30000, 0x8101, 54, 1460, 34, 16)); /* with ECN */
    CHECK(!is_header_taken(54, 2, 0, 0, 0, 0));
    CHECK(!is_header_taken(54, 3, 0, 0, 34, 16));
}

/* @verifies ATL-LLR-POLICY-0008~1 @robust */
TEST(a_refused_frame_comes_back_and_is_not_sent)
{
    uint32_t refused = 0;
    start_guarded(false);
    frame_at(0x4000, false);
    frame_at(0x5000, true);
    submit(0x4000, 60);
    submit(0x5000, 60);
    submit(0x6000, GATE_PORT_ENTRY_BYTES_MIN); /* without a frame */
    CHECK_EQUAL(port_look(&queue, &batch), RESULT_OK);
    port_give(&queue, &batch, &refused);
    CHECK(refused == 2 && shared.completed == 2 && shared.taken == 3);
    CHECK(shared.complete[0].offset == 0x4000 && shared.complete[0].bytes == 0);
    CHECK(shared.complete[1].offset == 0x6000 && shared.complete[1].bytes == 0);
    CHECK_EQUAL(virtqueue.available_index, 1);
}

/* @verifies ATL-LLR-POLICY-0009~2 @robust */
TEST(a_refused_frame_does_not_come_in)
{
    start_guarded(true);
    submit(0x4000, 2048);
    submit(0x5000, 2048);
    submit(0x6000, 2048);
    give();
    frame_at(0x4000, false);
    frame_at(0x5000, true);
    use(0, 60);
    use(1, 60);
    use(2, 5); /* not even a header */
    CHECK_EQUAL(collect(), 3);
    CHECK(shared.complete[0].offset == 0x4000 && shared.complete[0].bytes == 60);
    CHECK(shared.complete[1].offset == 0x5000 && shared.complete[1].bytes == 0);
    CHECK(shared.complete[2].offset == 0x6000 && shared.complete[2].bytes == 0);
    for (uint32_t i = 0; i < 60; i++) {
        CHECK(port_memory[0x5000 + i] == 0); /* it was erased */
    }
}

CHECK_MAIN()
