/* SPDX-License-Identifier: Apache-2.0 */
/* A core's queues and a device that tells the truth, is reset, or lies about its buffers. */
#include "check.h"
#include "device.h"
#include "packet.h"
#include "queue.h"

#include <isolation/gate_abi.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES 2048u
#define BUFFERS 8u /* half of them receive */
#define RECEIVE_COUNT (BUFFERS / 2)
#define HEAD_BYTES ((sizeof(struct gate_port) + 4095) & ~4095ull)
#define PORT_BYTES (HEAD_BYTES + BUFFERS * BUFFER_BYTES)
#define FRAME_BYTES 60u
#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN
#define HEADER_BUFFERS 10u

static _Alignas(4096) uint8_t memory[PORT_BYTES];
static struct gate_port *const port = (struct gate_port *)(void *)memory;
static uint32_t delivered, taken; /* frames; receive buffers that the device has had */
static uint32_t failures;         /* calls of the port to come in which the device breaks a rule */
static uint32_t restarts, offs;

const struct gate_info posix_info = {.core_count = 1,
                                     .port_queues = 1,
                                     .port_address = (uintptr_t)memory,
                                     .port_bytes = PORT_BYTES,
                                     .port_features = GATE_PORT_MERGED};

uint32_t posix_core(void)
{
    return 0;
}

void *posix_allocate(size_t bytes)
{
    return calloc(1, bytes);
}

void posix_free(void *allocated)
{
    free(allocated);
}

void posix_report(const char *format, ...)
{
    (void)format;
}

int64_t gate_kick(uint64_t which, uint64_t flags)
{
    (void)which;
    (void)flags;
    return failures != 0 && failures-- != 0 ? -5 : 0;
}

/* A program that reads each frame at once. */
bool device_passes_on(const uint8_t *frame, size_t bytes, bool is_checked)
{
    (void)is_checked;
    CHECK_EQUAL(bytes, FRAME_BYTES);
    CHECK_EQUAL(frame[0], 0x5a);
    delivered++;
    return true;
}

void device_deliver(struct pbuf *frame, bool is_checked)
{
    (void)frame;
    (void)is_checked;
    CHECK(false);
}

_Atomic uint32_t packet_hearers;

void packet_note(const uint8_t *frame, size_t bytes, bool is_sent,
                 const struct packet_socket *sender)
{
    (void)frame, (void)bytes, (void)is_sent, (void)sender;
}

void device_fails(bool is_off)
{
    offs += is_off;
    restarts += !is_off;
}

struct pbuf *pbuf_alloced_custom(pbuf_layer layer, u16_t bytes, pbuf_type type,
                                 struct pbuf_custom *pbuf, void *payload, u16_t payload_bytes)
{
    (void)layer, (void)bytes, (void)type, (void)pbuf, (void)payload, (void)payload_bytes;
    return NULL;
}

struct pbuf *pbuf_alloc(pbuf_layer layer, u16_t bytes, pbuf_type type)
{
    (void)layer, (void)bytes, (void)type;
    return NULL;
}

err_t pbuf_take(struct pbuf *pbuf, const void *bytes, u16_t count)
{
    (void)pbuf, (void)bytes, (void)count;
    return ERR_OK;
}

u16_t pbuf_copy_partial(const struct pbuf *pbuf, void *bytes, u16_t count, u16_t offset)
{
    (void)pbuf, (void)bytes, (void)offset;
    return count;
}

/* The device completes the next receive buffer. The header that it writes says of how many buffers
 * the frame is; bytes 0: the device was reset, and the buffer holds what it held. */
static void complete(uint32_t buffers, uint32_t bytes)
{
    struct gate_port_queue *queue = &port->receive;
    CHECK(taken < queue->submitted);
    uint32_t offset = queue->submit[taken++ % GATE_PORT_ENTRIES].offset;
    if (bytes != 0) {
        memset(memory + offset, 0, HEADER_BYTES);
        memory[offset + HEADER_BUFFERS] = (uint8_t)buffers;
        memory[offset + HEADER_BUFFERS + 1] = (uint8_t)(buffers >> 8);
        memory[offset + HEADER_BYTES] = 0x5a;
    }
    queue->complete[queue->completed % GATE_PORT_ENTRIES] = (struct gate_port_entry){offset, bytes};
    queue->completed++;
}

/* What of the completions so far is delivered, and that no buffer is lost. */
static uint32_t serve(void)
{
    delivered = 0;
    (void)device_serve();
    CHECK_EQUAL(port->receive.submitted - taken, RECEIVE_COUNT);
    return delivered;
}

TEST(whole_frames_are_delivered)
{
    queue_start();
    CHECK_EQUAL(port->receive.submitted, RECEIVE_COUNT);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    complete(0, HEADER_BYTES + FRAME_BYTES); /* of devices that do not fill it in */
    CHECK_EQUAL(serve(), 2);
    complete(1, HEADER_BYTES); /* no frame at all */
    complete(1, 1);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

/* @verifies ATL-LLR-NET-0940~1 */
TEST(a_frame_of_several_buffers_is_dropped_whole)
{
    complete(3, BUFFER_BYTES);
    complete(1, BUFFER_BYTES); /* no header is here: the frame goes on */
    CHECK_EQUAL(serve(), 0);
    complete(1, 5); /* its end */
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

/* @verifies ATL-LLR-NET-0940~1 */
TEST(a_reset_ends_what_was_begun)
{
    complete(4, BUFFER_BYTES);
    complete(0, 0);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    complete(0, 0); /* the first one's buffer again: its header begins no other frame */
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 2);
}

/* @verifies ATL-LLR-NET-0940~1 @robust */
TEST(a_count_that_cannot_be_costs_its_own_frame)
{
    complete(RECEIVE_COUNT + 1, HEADER_BYTES + FRAME_BYTES);
    complete(65535, HEADER_BYTES + FRAME_BYTES);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

/* Segmentation is not offered: its fields mean nothing, however large.
 * @verifies ATL-LLR-VIRTIO-0870~1 @robust */
TEST(headers_that_lie_harm_nothing)
{
    uint8_t *header = memory + port->receive.submit[taken % GATE_PORT_ENTRIES].offset;
    complete(1, HEADER_BYTES + FRAME_BYTES);
    memset(header, 0xff, HEADER_BUFFERS);
    CHECK_EQUAL(serve(), 1);
    for (uint32_t bytes = 0; bytes <= HEADER_BYTES; bytes++) {
        complete(1, bytes);
        CHECK_EQUAL(serve(), 0); /* no frame */
    }
}

/* @verifies ATL-LLR-NET-0941~1 @robust */
TEST(a_device_that_fails_is_told_of_and_one_that_goes_on_is_off)
{
    failures = 1;
    CHECK(!device_serve());
    CHECK(restarts == 1 && offs == 0 && failures == 0);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
    failures = 4;
    CHECK(!device_serve());
    CHECK(restarts == 2 && offs == 0 && failures == 0);
    failures = UINT32_MAX;
    CHECK(!device_serve());
    uint32_t left = failures;
    CHECK(restarts == 2 && offs == 1 && left > UINT32_MAX - 20);
    CHECK(!device_serve());
    CHECK(offs == 1 && failures == left - 1); /* once is enough */
}

CHECK_MAIN()
