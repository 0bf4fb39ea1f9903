/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake with a device, over both transports, and with one that leaves it at each step. */
#include <check.h>
#include <device.h>
#include <fake.h>
#include <kernel/layout.h>

#define VECTOR 0x42u

static struct virtio_device device;
static const bool transports[] = {false, true};

static void make(bool is_pci)
{
    fake_make(VIRTIO_CONSOLE, is_pci);
    device = (struct virtio_device){.place = &fake_place,
                                    .vector = VECTOR,
                                    .queue_count = 4,
                                    .queue_number = {4, 5, 2, 3},
                                    .features_wanted = 2};
}

/* @verifies ATL-LLR-VIRTIO-0009~1 */
TEST(a_device_is_brought_up)
{
    for (size_t i = 0; i < 2; i++) {
        make(transports[i]);
        fake.features |= 0x7fffffff | 1ull << 33;
        CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
        CHECK_EQUAL(fake.status, FAKE_STATUS_RUNNING);
        CHECK_EQUAL(fake.driver_features, 1ull << 32 | 2);
        CHECK_EQUAL(device.features, 2);
        for (uint32_t q = 0; q < FAKE_QUEUES; q++) {
            CHECK_EQUAL(fake.queues[q].is_enabled, q >= 2 && q < 6);
        }
        CHECK(fake_memory(4) == device.memory[0] && fake_memory(3) == device.memory[3]);
        const uint32_t *address = fake.queues[4].address;
        CHECK(address[2] - address[0] == VIRTQUEUE_AVAILABLE_AT(VIRTIO_QUEUE_SIZE) &&
              address[4] - address[0] == VIRTQUEUE_USED_AT(VIRTIO_QUEUE_SIZE));
        CHECK_EQUAL(fake.queues[4].size, VIRTIO_QUEUE_SIZE);
        CHECK_EQUAL(fake.wrong_accesses, 0);
        CHECK(virtio_device_interrupt(&device));
    }
}

/* @verifies ATL-LLR-VIRTIO-0009~1 */
TEST(interrupts_go_to_core_0)
{
    make(true);
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    CHECK(fake.msix[0] == 0xfee03000 && fake.msix[1] == 0 && fake.msix[2] == VECTOR);
    CHECK(fake.msix[3] == 0 && fake.config_vector == 0 && fake.queues[4].vector == 0);
    make(false);
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    CHECK(fake.routed_gsi == 47 && fake.routed_vector == VECTOR);
    make(true);
    device.vector = 0;
    fake.refuses_vectors = true; /* none are asked for */
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    CHECK_EQUAL(fake.msix[2], 0);
}

/* Core 0's pair, core 1's, and the control queue behind them. */
static void make_pairs(void)
{
    make(true);
    device.pairs = 2;
    device.queue_count = 3;
    memcpy(device.queue_number, (const uint8_t[]){0, 1, 4}, 3);
}

/* @verifies ATL-LLR-VIRTIO-0830~1 */
TEST(a_pair_lies_on_its_core)
{
    make_pairs();
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    for (uint32_t q = 0; q < FAKE_QUEUES; q++) {
        CHECK_EQUAL(fake.queues[q].is_enabled, q < 5);
        CHECK_EQUAL(fake.queues[q].vector, q == 2 || q == 3);
    }
    CHECK(fake.msix[4] == 0xfee07000 && fake.msix[6] == VECTOR && fake.msix[7] == 0);
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t own = (uintptr_t)device.memory[i] - LAYOUT_PERCORE_BASE;
        CHECK_EQUAL(fake.queues[2 + i].address[0], (uint32_t)(FAKE_OTHER_CORE + own));
        CHECK(fake_memory(i) == device.memory[i]);
    }
    CHECK_EQUAL(device.notify[2], FAKE_NOTIFY + 4 * 4);
}

/* @verifies ATL-LLR-VIRTIO-0830~1 @robust */
TEST(a_pair_that_would_be_notified_elsewhere_is_refused)
{
    for (uint32_t q = 0; q < 5; q++) {
        make_pairs();
        fake.queues[q].notify_offset = 5;
        CHECK_EQUAL(virtio_device_start(&device), RESULT_IO);
    }
    make_pairs();
    shared_facts.apic_id[1] = 255;
    CHECK_EQUAL(virtio_device_start(&device), RESULT_IO);
}

/* @verifies ATL-LLR-VIRTIO-0005~1 */
TEST(a_buffer_reaches_the_device)
{
    static char buffer[16];
    for (size_t i = 0; i < 2; i++) {
        uint32_t id, bytes;
        bool is_to_write;
        make(transports[i]);
        CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
        virtio_device_give(&device, 1, buffer, 16, true);
        CHECK_EQUAL(fake.queues[5].notified, 1);
        CHECK(fake_next(5, &id, &bytes, &is_to_write) == buffer && bytes == 16 && is_to_write);
        CHECK_EQUAL(fake.wrong_accesses, 0);
    }
}

/* @verifies ATL-LLR-VIRTIO-1420~1 @robust */
TEST(a_device_that_looks_by_itself_is_not_notified)
{
    static char buffers[3][16];
    for (size_t i = 0; i < 2; i++) {
        make(transports[i]);
        CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
        struct virtqueue_used *used = device.queues[1].used;
        used->flags = 1;
        virtio_device_give(&device, 1, buffers[0], 16, true);
        virtio_device_give(&device, 1, buffers[1], 16, true);
        CHECK_EQUAL(fake.queues[5].notified, 0);
        used->flags = 0xfffe; /* the other bits say nothing */
        virtio_device_give(&device, 1, buffers[2], 16, true);
        CHECK_EQUAL(fake.queues[5].notified, 1);
        CHECK_EQUAL(device.queues[1].available->index, 3);
    }
}

static void check_off(const char *what)
{
    if (virtio_device_start(&device) != RESULT_IO || fake.wrong_accesses != 0) {
        fprintf(stderr, "%s\n", what);
        CHECK(false);
    }
    CHECK(fake.status == 0 || fake.never_resets);
}

/* @verifies ATL-LLR-VIRTIO-0009~1 @robust */
TEST(a_device_that_leaves_the_handshake_is_off)
{
    for (size_t i = 0; i < 2; i++) {
        make(transports[i]);
        fake.never_resets = true;
        fake.status = 15;
        check_off("never resets");
        make(transports[i]);
        fake.features = 0xffffffff;
        check_off("no VERSION_1");
        make(transports[i]);
        fake.refuses_features = true;
        check_off("refuses features");
        make(transports[i]);
        fake.ignores_driver_ok = true;
        check_off("ignores DRIVER_OK");
        make(transports[i]);
        fake.refuses_vectors = true;
        check_off("refuses vectors");
        make(transports[i]);
        fake.queues[3].size_max = 0;
        check_off("has no such queue");
        make(transports[i]);
        fake.queues[5].size_max = 3;
        check_off("a queue is too short");
    }
    make(true);
    fake.queues[2].notify_offset = FAKE_NOTIFY_BYTES / 4;
    check_off("notification out of range");
    make(true);
    fake.queues[2].notify_offset = 0xffff;
    fake_place.notify_multiplier = 0xffffffff;
    check_off("notification far out of range");
    make(true);
    fake_place.msix = 0;
    check_off("no message interrupts");
    make(true);
    shared_facts.apic_id[0] = 255;
    check_off("core 0 cannot be addressed");
}

/* @verifies ATL-LLR-VIRTIO-0004~4 */
TEST(queues_have_eight_entries_whatever_there_is_room_for)
{
    make(false);
    fake.queues[4].size_max = 65535;
    fake.queues[5].size_max = 9;
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    CHECK(fake.queues[4].size == 8 && fake.queues[5].size == 8);
}

/* @verifies ATL-LLR-VIRTIO-0010~1 @robust */
TEST(a_device_is_started_a_few_times_only)
{
    make(false);
    for (unsigned i = 0; i < 5; i++) {
        CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    }
    CHECK_EQUAL(virtio_device_start(&device), RESULT_IO);
    CHECK_EQUAL(fake.status, 0);
}

/* @verifies ATL-LLR-VIRTIO-0010~1 @robust */
TEST(a_device_that_asks_for_a_reset_is_noticed)
{
    make(false);
    CHECK_EQUAL(virtio_device_start(&device), RESULT_OK);
    fake.interrupt_status = 3;
    fake.status |= 0x40; /* DEVICE_NEEDS_RESET */
    CHECK(!virtio_device_interrupt(&device));
    CHECK_EQUAL(fake.interrupt_status, 0);
    fake.status = 0; /* it has reset itself */
    CHECK(!virtio_device_interrupt(&device));
}

CHECK_MAIN()
