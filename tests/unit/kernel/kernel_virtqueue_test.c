/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue with a device that keeps the rules, and with one that breaks each of them. */
#include <check.h>
#include <queue.h>

static struct virtqueue queue;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

/* The device's side: one more entry of the used ring. */
static void use(uint32_t id, uint32_t bytes)
{
    struct virtqueue_memory *memory = &queue.memory;
    memory->used[memory->used_index % VIRTQUEUE_SIZE] = (struct virtqueue_used){id, bytes};
    memory->used_index++;
}

static void start(void)
{
    queue = (struct virtqueue){0};
}

/* @verifies ATL-LLR-VIRTIO-0005~1 */
TEST(the_device_sees_what_it_is_given)
{
    start();
    CHECK_EQUAL(virtqueue_give(&queue, 0x123456789000, 100, false), RESULT_OK);
    CHECK_EQUAL(virtqueue_give(&queue, 0x2000, 200, true), RESULT_OK);
    const struct virtqueue_memory *memory = &queue.memory;
    CHECK(memory->available_index == 2 && memory->available[0] == 0 && memory->available[1] == 1);
    CHECK(memory->descriptors[0].physical == 0x123456789000 && memory->descriptors[0].bytes == 100);
    CHECK_EQUAL(memory->descriptors[0].flags, 0);
    CHECK(memory->descriptors[1].physical == 0x2000 && memory->descriptors[1].bytes == 200);
    CHECK_EQUAL(memory->descriptors[1].flags, 2);
    CHECK_EQUAL(memory->available_flags, 0);
}

/* @verifies ATL-LLR-VIRTIO-0005~1 @robust */
TEST(a_full_queue_takes_nothing)
{
    start();
    for (uint64_t i = 1; i <= VIRTQUEUE_SIZE; i++) {
        CHECK_EQUAL(virtqueue_give(&queue, i * 0x1000, 1, true), RESULT_OK);
    }
    CHECK_EQUAL(virtqueue_give(&queue, 0x9000, 1, true), RESULT_AGAIN);
    CHECK_EQUAL(queue.memory.available_index, VIRTQUEUE_SIZE);
    CHECK_EQUAL(queue.memory.descriptors[0].physical, 0x1000);
}

/* @verifies ATL-LLR-VIRTIO-0005~1 ATL-LLR-VIRTIO-0006~1 */
TEST(indices_wrap)
{
    struct virtqueue_taken taken;
    start();
    for (uint32_t i = 0; i < 70000; i++) {
        CHECK_EQUAL(virtqueue_give(&queue, 0x1000, i % 100 + 1, true), RESULT_OK);
        CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_AGAIN);
        use(0, i % 100);
        CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
        CHECK_EQUAL(taken.bytes, i % 100);
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 */
TEST(buffers_come_back_in_any_order)
{
    struct virtqueue_taken taken;
    start();
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQUAL(virtqueue_give(&queue, 0x1000 * (i + 1), 10, true), RESULT_OK);
    }
    for (uint32_t i = 0; i < 4; i++) {
        use(3 - i, i + 1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
        CHECK_EQUAL(taken.bytes, i + 1);
        CHECK_EQUAL(taken.id, 3 - i);
    }
    CHECK_EQUAL(queue.given, 0);
}

/* @verifies ATL-LLR-VIRTIO-0006~1 */
TEST(what_the_device_says_it_wrote_where_it_reads_is_ignored)
{
    struct virtqueue_taken taken = {7, 7};
    start();
    CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, false), RESULT_OK);
    use(0, 0xffffffff);
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
    CHECK_EQUAL(taken.bytes, 0);
}

static void check_broken(void)
{
    struct virtqueue_taken taken = {7, 7};
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_IO);
    queue.memory.used_index = queue.used_index; /* it does not heal */
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_IO);
    CHECK_EQUAL(taken.bytes, 7);
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(a_descriptor_out_of_range_breaks_the_queue)
{
    const uint32_t ids[] = {4, 5, 8, 31, 32, 33, 0x10000, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        start();
        CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
        use(ids[i], 1);
        check_broken();
    }
}

/* @verifies ATL-LLR-VIRTIO-0006~1 @robust */
TEST(a_descriptor_that_the_device_does_not_have_breaks_the_queue)
{
    struct virtqueue_taken taken;
    start();
    CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
    use(1, 1);
    check_broken();
    start();
    CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
    CHECK_EQUAL(virtqueue_give(&queue, 0x2000, 10, true), RESULT_OK);
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
        CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
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
        CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
        queue.memory.used_index = jumps[i];
        check_broken();
        start(); /* nothing was given at all */
        queue.memory.used_index = jumps[i];
        check_broken();
    }
}

/* @verifies ATL-LLR-VIRTIO-0005~1 ATL-LLR-VIRTIO-0006~1 @robust */
TEST(what_the_device_writes_over_descriptors_is_not_read)
{
    struct virtqueue_taken taken;
    start();
    CHECK_EQUAL(virtqueue_give(&queue, 0x1000, 10, true), RESULT_OK);
    memset(queue.memory.descriptors, 0xff, sizeof(queue.memory.descriptors));
    memset(queue.memory.available, 0xff, sizeof(queue.memory.available));
    queue.memory.available_index = 0x1234;
    use(0, 10);
    CHECK_EQUAL(virtqueue_take(&queue, &taken), RESULT_OK);
    CHECK_EQUAL(taken.bytes, 10);
    CHECK_EQUAL(virtqueue_give(&queue, 0x2000, 20, false), RESULT_OK);
    CHECK(queue.memory.available_index == 2 && queue.memory.available[1] == 0);
    CHECK(queue.memory.descriptors[0].physical == 0x2000 && queue.memory.descriptors[0].next == 0);
}

CHECK_MAIN()
