/* SPDX-License-Identifier: Apache-2.0 */
/* A core's queues and a device that tells the truth, is reset, or lies about its buffers. */
#include "check.h"
#include "device.h"
#include "machine.h"
#include "packet.h"
#include "queue.h"
#include "traffic.h"
#include "transmit.h"

#include <isolation/gate_abi.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES 2048u
#define BUFFERS 160u /* half of them receive */
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
static uint32_t allocations_left = UINT32_MAX; /* until there is no memory */

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

/* A program that reads each frame at once, or keeps it. */
static uint8_t got[70000];
static uint32_t got_bytes;
static struct pbuf *kept;
static bool is_keeping;

static uint32_t copy_out(const struct pbuf *pbuf)
{
    got_bytes = 0;
    for (; pbuf != NULL; pbuf = pbuf->next) {
        memcpy(got + got_bytes, pbuf->payload, pbuf->len);
        got_bytes += pbuf->len;
        CHECK(pbuf->next == NULL || pbuf->tot_len == pbuf->len + pbuf->next->tot_len);
    }
    return got_bytes;
}

PERCORE uint32_t net_device_end;

struct traffic *traffic_of(uint32_t interface)
{
    static struct traffic traffic[TRAFFIC_INTERFACES];
    return &traffic[interface];
}

uint32_t device_end(void)
{
    return 1;
}

bool device_passes_on(const struct queue_frame *frame)
{
    CHECK_EQUAL(frame->data[0], 0x5a);
    if (frame->chain == NULL) {
        CHECK_EQUAL(frame->bytes, FRAME_BYTES);
        delivered++;
        return true;
    }
    CHECK(frame->data == frame->chain->payload && frame->bytes == frame->chain->len);
    CHECK((frame->chain->flags & QUEUE_FLAG_ONE_FRAME) != 0);
    CHECK_EQUAL(copy_out(frame->chain), frame->chain->tot_len);
    delivered++;
    return !is_keeping;
}

void device_deliver(uint32_t device, struct pbuf *frame, bool is_checked)
{
    CHECK_EQUAL(device, 0);
    CHECK(is_keeping && kept == NULL);
    (void)is_checked;
    kept = frame;
}

void packet_note_chain(uint32_t device, const struct pbuf *chain, bool is_sent)
{
    (void)device, (void)chain, (void)is_sent;
}

void transmit_start(uint32_t device, struct gate_port *of, uint8_t *frames, uint32_t bytes)
{
    CHECK(device == 0 && of == port &&
          frames == memory + HEAD_BYTES + RECEIVE_COUNT * BUFFER_BYTES);
    CHECK_EQUAL(bytes, RECEIVE_COUNT * BUFFER_BYTES);
}

void transmit_close(uint32_t device)
{
    (void)device;
}

uint32_t transmit_count(uint32_t device)
{
    (void)device;
    return 0;
}

_Atomic uint32_t packet_hearers;

void packet_note_received(uint32_t device, const uint8_t *frame, size_t bytes)
{
    (void)device, (void)frame, (void)bytes;
}

static uint32_t link_changes;

void device_link_changes(uint32_t device)
{
    CHECK_EQUAL(device, 0);
    link_changes++;
}

void device_fails(uint32_t device, bool is_off)
{
    CHECK_EQUAL(device, 0);
    offs += is_off;
    restarts += !is_off;
}

struct pbuf *pbuf_alloced_custom(pbuf_layer layer, u16_t bytes, pbuf_type type,
                                 struct pbuf_custom *pbuf, void *payload, u16_t payload_bytes)
{
    (void)layer, (void)type, (void)payload_bytes;
    pbuf->pbuf = (struct pbuf){
        .payload = payload, .len = bytes, .tot_len = bytes, .flags = PBUF_FLAG_IS_CUSTOM, .ref = 1};
    return &pbuf->pbuf;
}

struct pbuf *pbuf_alloc(pbuf_layer layer, u16_t bytes, pbuf_type type)
{
    (void)layer, (void)type;
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left--;
    struct pbuf *pbuf = calloc(1, sizeof(*pbuf) + bytes);
    *pbuf = (struct pbuf){.payload = pbuf + 1, .len = bytes, .tot_len = bytes, .ref = 1};
    return pbuf;
}

err_t pbuf_take(struct pbuf *pbuf, const void *bytes, u16_t count)
{
    memcpy(pbuf->payload, bytes, count);
    return ERR_OK;
}

u8_t pbuf_free(struct pbuf *pbuf)
{
    while (pbuf != NULL) {
        struct pbuf *next = pbuf->next;
        if ((pbuf->flags & PBUF_FLAG_IS_CUSTOM) != 0) {
            ((struct pbuf_custom *)pbuf)->custom_free_function(pbuf);
        } else {
            free(pbuf);
        }
        pbuf = next;
    }
    return 1;
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
    machine_has_queues(1);
    machine_has_port(memory, PORT_BYTES, GATE_PORT_MERGED);
    net_device_end = device_end();
    queue_start(0, false); /* the link has come since the caller looked */
    CHECK_EQUAL(port->receive.submitted, RECEIVE_COUNT);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    complete(0, HEADER_BYTES + FRAME_BYTES); /* of devices that do not fill it in */
    CHECK_EQUAL(serve(), 2);
    CHECK_EQUAL(link_changes, 1);
    complete(1, HEADER_BYTES); /* no frame at all */
    complete(1, 1);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

/* @verifies ATL-LLR-NET-0940~2 */
TEST(a_frame_of_several_buffers_is_dropped_whole)
{
    complete(3, BUFFER_BYTES);
    complete(1, BUFFER_BYTES); /* no header is here: the frame goes on */
    CHECK_EQUAL(serve(), 0);
    complete(1, 5); /* its end */
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

/* @verifies ATL-LLR-NET-0940~2 */
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

/* @verifies ATL-LLR-NET-0940~2 @robust */
TEST(a_count_that_cannot_be_costs_its_own_frame)
{
    complete(RECEIVE_COUNT + 1, HEADER_BYTES + FRAME_BYTES);
    complete(65535, HEADER_BYTES + FRAME_BYTES);
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
}

static const uint8_t *place_of(uint32_t number)
{
    return memory + port->receive.submit[number % GATE_PORT_ENTRIES].offset;
}

/* The device completes the buffers of a frame of so many bytes; the bytes of what it is. */
static void complete_parts(uint32_t bytes)
{
    uint32_t buffers = (bytes + HEADER_BYTES + BUFFER_BYTES - 1) / BUFFER_BYTES;
    uint32_t done = 0;
    for (uint32_t i = 0; i < buffers; i++) {
        uint32_t skip = i == 0 ? HEADER_BYTES : 0;
        uint32_t part = bytes - done < BUFFER_BYTES - skip ? bytes - done : BUFFER_BYTES - skip;
        uint8_t *to = (uint8_t *)(uintptr_t)place_of(taken) + skip;
        complete(buffers, part + skip);
        for (uint32_t at = 0; at < part; at++) {
            to[at] = done + at == 0 ? 0x5a : (uint8_t)((done + at) * 31);
        }
        if (i != 0 && part >= HEADER_BYTES) {
            to[0] = (uint8_t)(done * 31);
        }
        done += part;
    }
}

static void check_got(uint32_t bytes)
{
    CHECK_EQUAL(got_bytes, bytes);
    for (uint32_t at = 1; at < bytes; at++) {
        CHECK_EQUAL(got[at], (uint8_t)(at * 31));
    }
}

/* @verifies ATL-LLR-NET-1151~1 */
TEST(segments_of_several_buffers_are_one_frame)
{
    static const uint32_t sizes[] = {2037, 2048, 4084, 4085, 30000, 65535};
    machine_has_port(memory, PORT_BYTES, GATE_PORT_MERGED | GATE_PORT_GUEST_SEGMENTS);
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        complete_parts(sizes[i]);
        complete(1, HEADER_BYTES + FRAME_BYTES);
        CHECK_EQUAL(serve(), 2);
        check_got(sizes[i]);
    }
    complete_parts(65536); /* no pbuf counts so far */
    CHECK_EQUAL(serve(), 0);
}

/* @verifies ATL-LLR-NET-1151~1 ATL-LLR-POSIX-0972~1 @robust */
TEST(a_program_that_keeps_segments_does_not_keep_the_last_buffers)
{
    struct pbuf *frames[3];
    is_keeping = true;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t before = port->receive.submitted;
        complete_parts(60000); /* 30 buffers; 16 may be held */
        delivered = 0;
        (void)device_serve();
        CHECK_EQUAL(delivered, 1);
        CHECK_EQUAL(port->receive.submitted - before, i == 0 ? 14 : 30);
        frames[i] = kept;
        kept = NULL;
    }
    complete_parts(60000);
    allocations_left = 7;
    delivered = 0;
    (void)device_serve();
    CHECK(delivered == 0 && kept == NULL);
    allocations_left = UINT32_MAX;
    is_keeping = false;
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(copy_out(frames[i]), 60000);
        check_got(60000);
        pbuf_free(frames[i]);
    }
    CHECK_EQUAL(serve(), 0); /* all buffers are back */
}

/* @verifies ATL-LLR-NET-0940~2 ATL-LLR-NET-1151~1 @robust */
TEST(what_a_device_says_of_segments_cannot_lose_a_buffer)
{
    complete(4, BUFFER_BYTES);
    complete(1, BUFFER_BYTES);
    complete(0, 0); /* reset */
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
    complete(2, BUFFER_BYTES - 1); /* the first is not full: it lies */
    complete(1, BUFFER_BYTES);
    complete(34, BUFFER_BYTES); /* more than 64 KiB */
    for (uint32_t i = 1; i < 34; i++) {
        complete(1, BUFFER_BYTES);
    }
    complete(1, HEADER_BYTES + FRAME_BYTES);
    CHECK_EQUAL(serve(), 1);
    srand(3);
    for (uint32_t i = 0; i < 20000; i++) {
        uint32_t bytes = (uint32_t)rand() % 4 == 0 ? (uint32_t)rand() % 64 : BUFFER_BYTES;
        bytes = bytes == HEADER_BYTES + FRAME_BYTES || bytes == BUFFER_BYTES ? bytes : bytes % 13;
        uint32_t count = bytes == BUFFER_BYTES ? 2 + (uint32_t)rand() % 40 : (uint32_t)rand() % 2;
        complete(count, bytes);
        if (port->receive.submitted - taken < 4) {
            (void)device_serve();
        }
    }
    complete(0, 0);
    (void)serve();
    machine_has_port(memory, PORT_BYTES, GATE_PORT_MERGED);
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

/* @verifies ATL-LLR-NET-1152~1 */
TEST(a_link_that_changes_is_told_of_once)
{
    CHECK(queue_link_is_up(0));
    link_changes = 0;
    port->is_link_down = 1;
    (void)serve();
    (void)serve();
    CHECK(!queue_link_is_up(0) && link_changes == 1);
    port->is_link_down = 0;
    (void)serve();
    CHECK(queue_link_is_up(0) && link_changes == 2);
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
