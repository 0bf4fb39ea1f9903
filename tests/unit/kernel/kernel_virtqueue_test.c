/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue with a device that keeps the rules, and with one that breaks each of them. */
#include <check.h>
#include <queue.h>

static struct virtqueue queue;
#define QUEUE_SIZE_MAX 256u

static struct virtqueue_slot slots[QUEUE_SIZE_MAX];
static alignas(16) uint8_t memory[VIRTQUEUE_BYTES(QUEUE_SIZE_MAX) + 16];
static struct virtqueue_descriptor *const descriptors = (void *)memory;
static const uint16_t sizes[] = {4, QUEUE_SIZE_MAX};

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

/* The device's side: one more entry of the used ring. */
static void use(uint32_t id, uint32_t bytes)
{
    struct virtqueue_used *used = queue.used;
    used->ring[used->index % queue.size].id = id;
    used->ring[used->index % queue.size].bytes = bytes;
    used->index++;
}

static void start_of(uint16_t size)
{
    queue = (struct virtqueue){.memory = memory, .slots = slots, .size = size};
    virtqueue_empty(&queue);
}

static void start(void)
{
    start_of(4);
}

static enum result give(uint64_t physical, uint32_t bytes, bool is_for_device_to_write)
{
    uint16_t flags = is_for_device_to_write ? VIRTQUEUE_WRITE : 0;
    return virtqueue_give(&queue, physical,
                          (struct virtqueue_descriptor){physical, bytes, flags, 0});
}

/* @verifies ATL-LLR-VIRTIO-0005~1 */
TEST(an_empty_queue_ends_where_its_memory_ends)
{
    for (size_t i = 0; i < 2; i++) {
        size_t bytes = VIRTQUEUE_BYTES(sizes[i]);
        memset(memory, 0xa5, sizeof(memory));
        start_of(sizes[i]);
        CHECK(memory[0] == 0 && memory[bytes - 1] == 0 && memory[bytes] == 0xa5);
        const uint8_t *last = (const void *)&queue.used->ring[sizes[i]];
        CHECK((size_t)(last + 2 - memory) <= bytes); /* the last word is available_event */
    }
}

/* @verifies ATL-LLR-VIRTIO-0005~1 */
TEST(the_device_sees_what_it_is_given)
{
    start();
    CHECK_EQUAL(give(0x123456789000, 100, false), RESULT_OK);
    CHECK_EQUAL(give(0x2000, 200, true), RESULT_OK);
    const struct virtqueue_available *available = queue.available;
    CHECK(available->index == 2 && available->ring[0] == 0 && available->ring[1] == 1);
    CHECK(descriptors[0].physical == 0x123456789000 && descriptors[0].bytes == 100);
    CHECK_EQUAL(descriptors[0].flags, 0);
    CHECK(descriptors[1].physical == 0x2000 && descriptors[1].bytes == 200);
    CHECK_EQUAL(descriptors[1].flags, 2);
    CHECK_EQUAL(available->flags, 0);
}

/* @verifies ATL-LLR-VIRTIO-0005~1 @robust */
TEST(a_full_queue_takes_nothing)
{
    for (size_t s = 0; s < 2; s++) {
        start_of(sizes[s]);
        for (uint64_t i = 1; i <= sizes[s]; i++) {
            CHECK_EQUAL(give(i * 0x1000, 1, true), RESULT_OK);
        }
        CHECK_EQUAL(give(0x9000, 1, true), RESULT_AGAIN);
        CHECK_EQUAL(queue.available->index, sizes[s]);
        CHECK_EQUAL(descriptors[0].physical, 0x1000);
    }
}

/* @verifies ATL-LLR-VIRTIO-0005~1 ATL-LLR-VIRTIO-0006~1 */
TEST(indices_wrap)
{
    struct virtqueue_taken taken;
    for (size_t s = 0; s < 2; s++) {
        start_of(sizes[s]);
        for (uint32_t i = 0; i < 70000; i++) {
            CHECK_EQUAL(give(0x1000ull * i, i % 100 + 1, true), RESULT_OK);
            CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_AGAIN);
            use(0, i % 100);
            CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
            CHECK_EQUAL(taken.bytes, i % 100);
            CHECK_EQUAL(taken.physical, 0x1000ull * i);
        }
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 */
TEST(buffers_come_back_in_any_order)
{
    struct virtqueue_taken taken;
    for (size_t s = 0; s < 2; s++) {
        uint32_t last = sizes[s] - 1u;
        start_of(sizes[s]);
        for (uint32_t round = 0; round < 3; round++) {
            for (uint32_t i = 0; i <= last; i++) {
                CHECK_EQUAL(give(0x1000ull * (i + 1), 300, true), RESULT_OK);
            }
            for (uint32_t i = 0; i <= last; i++) {
                use(last - i, i + 1);
            }
            for (uint32_t i = 0; i <= last; i++) {
                CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
                CHECK(taken.bytes == i + 1 && taken.id == last - i);
            }
            CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_AGAIN);
        }
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 */
TEST(what_the_device_says_it_wrote_where_it_reads_is_ignored)
{
    struct virtqueue_taken taken = {7, 7, 7};
    start();
    CHECK_EQUAL(give(0x1000, 10, false), RESULT_OK);
    use(0, 0xffffffff);
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
    CHECK_EQUAL(taken.bytes, 0);
}

static void check_broken(void)
{
    struct virtqueue_taken taken = {7, 7, 7};
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_IO);
    queue.used->index = queue.used_index; /* it does not heal */
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_IO);
    CHECK_EQUAL(taken.bytes, 7);
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(a_descriptor_out_of_range_breaks_the_queue)
{
    const uint32_t ids[] = {4, 5, 8, 255, 256, 257, 0x10000, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < 2 * sizeof(ids) / sizeof(ids[0]); i++) {
        start_of(sizes[i % 2]);
        CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
        use(ids[i / 2], 1);
        check_broken();
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(a_descriptor_that_the_device_does_not_have_breaks_the_queue)
{
    struct virtqueue_taken taken;
    start();
    CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
    use(1, 1);
    check_broken();
    start();
    CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
    CHECK_EQUAL(give(0x2000, 10, true), RESULT_OK);
    use(0, 1);
    use(0, 1); /* twice */
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
    check_broken();
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(more_bytes_than_room_break_the_queue)
{
    const uint32_t bytes[] = {11, 0x10000, 0xffffffff};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        start();
        CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
        use(0, bytes[i]);
        check_broken();
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(an_index_that_runs_ahead_or_back_breaks_the_queue)
{
    const uint16_t jumps[] = {2, 4, 5, 0x7fff, 0x8000, 0xffff};
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        start();
        CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
        queue.used->index = jumps[i];
        check_broken();
        start(); /* nothing was given at all */
        queue.used->index = jumps[i];
        check_broken();
    }
}

/* @verifies ATL-LLR-VIRTIO-0005~1 ATL-LLR-VIRTIO-0006~1 @robust */
TEST(what_the_device_writes_over_descriptors_is_not_read)
{
    struct virtqueue_taken taken;
    start();
    CHECK_EQUAL(give(0x1000, 10, true), RESULT_OK);
    memset(memory, 0xff, VIRTQUEUE_USED_AT(4));
    use(0, 10);
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
    CHECK_EQUAL(taken.bytes, 10);
    CHECK_EQUAL(give(0x2000, 20, false), RESULT_OK);
    CHECK(queue.available->index == 2 && queue.available->ring[1] == 0);
    CHECK(descriptors[0].physical == 0x2000 && descriptors[0].next == 0);
}

CHECK_MAIN()
