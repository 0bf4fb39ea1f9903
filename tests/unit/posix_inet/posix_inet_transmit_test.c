/* SPDX-License-Identifier: Apache-2.0 */
/* What a core sends, as the device finds it: frames that it cuts again are those that lwIP sent. */
#include "check.h"
#include "queue.h"
#include "traffic.h"
#include "transmit.h"

#include <lwip/inet_chksum.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN
#define RING_BYTES (8u * 16384u)
#define DEVICE 1u /* the second one */
#define PORT_BYTES (8 * 4096u + RING_BYTES)
#define HEAD_4 54u
#define HEAD_6 74u
#define FRAME_MAX 1514u
#define FRAMES_MAX 4096u
#define FIN 1u
#define PUSH 8u
#define ACK 16u
#define SYN 2u

static _Alignas(4096) uint8_t memory[PORT_BYTES];
static struct gate_port *const port = (struct gate_port *)(void *)memory + DEVICE;
const struct gate_info posix_info = {.networks[DEVICE].features =
                                         GATE_PORT_CHECKSUM | GATE_PORT_SEGMENTS};
static bool is_stuck; /* the device gives nothing back */
static bool is_late;  /* or only when it is asked for it */

struct frame {
    uint32_t bytes;
    uint8_t data[FRAME_MAX];
};
static struct frame sent[FRAMES_MAX], seen[FRAMES_MAX];
static uint32_t sent_count, seen_count, cut_count, taken;

static uint32_t word(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void set_word(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t long_word(const uint8_t *at)
{
    return word(at) << 16 | word(at + 2);
}

static void set_long(uint8_t *at, uint32_t value)
{
    set_word(at, value >> 16);
    set_word(at + 2, value);
}

u16_t inet_chksum(const void *data, u16_t bytes)
{
    const uint8_t *at = data;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < bytes; i += 2) {
        sum += word(at + i);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return __builtin_bswap16((uint16_t)~sum);
}

u16_t pbuf_copy_partial(const struct pbuf *pbuf, void *bytes, u16_t count, u16_t offset)
{
    memcpy(bytes, (const uint8_t *)pbuf->payload + offset, count);
    return count;
}

static uint32_t head_of(const uint8_t *frame)
{
    return word(frame + 12) == 0x0800 ? HEAD_4 : HEAD_6;
}

/* As the wire has it: sums and identification, which the device makes, are left out. */
static void see(const uint8_t *head, uint32_t head_bytes, const uint8_t *data, uint32_t bytes,
                uint32_t at, uint8_t flags)
{
    struct frame *frame = &seen[seen_count++];
    CHECK(seen_count <= FRAMES_MAX && head_bytes + bytes <= FRAME_MAX);
    memcpy(frame->data, head, head_bytes);
    memcpy(frame->data + head_bytes, data + at, bytes);
    frame->bytes = head_bytes + bytes;
    uint8_t *tcp = frame->data + head_bytes - 20;
    set_long(tcp + 4, long_word(tcp + 4) + at);
    tcp[13] = flags;
    if (head_bytes == HEAD_4) {
        set_word(frame->data + 16, frame->bytes - 14);
    } else {
        set_word(frame->data + 18, frame->bytes - HEAD_6 + 20);
    }
}

/* The device takes a buffer, and cuts it as the header says. */
static void look_at(const uint8_t *buffer, uint32_t bytes)
{
    const uint8_t *frame = buffer + HEADER_BYTES;
    uint32_t head_bytes = head_of(frame), data_bytes = bytes - HEADER_BYTES - head_bytes;
    uint32_t segment = buffer[4] | (uint32_t)buffer[5] << 8;
    uint8_t flags = frame[head_bytes - 20 + 13];
    bool is_4 = head_bytes == HEAD_4;
    CHECK(buffer[0] == 1 && buffer[6] == head_bytes - 20 && buffer[7] == 0 && buffer[8] == 16);
    CHECK_EQUAL(is_4 ? word(frame + 16) + 14u : word(frame + 18) + 54u, bytes - HEADER_BYTES);
    CHECK(!is_4 || inet_chksum(frame + 14, 20) == 0);
    if (buffer[1] == 0) {
        CHECK(segment == 0 && buffer[2] == 0);
        see(frame, head_bytes, frame + head_bytes, data_bytes, 0, flags);
        return;
    }
    CHECK_EQUAL(buffer[1], is_4 ? 1 : 4);
    CHECK(buffer[2] == head_bytes && buffer[3] == 0 && segment != 0 && data_bytes > segment);
    cut_count++;
    for (uint32_t at = 0; at < data_bytes; at += segment) {
        bool is_last = at + segment >= data_bytes;
        see(frame, head_bytes, frame + head_bytes, is_last ? data_bytes - at : segment, at,
            is_last ? flags : flags & ~(PUSH | FIN));
    }
}

struct traffic *traffic_of(uint32_t interface)
{
    static struct traffic traffic[TRAFFIC_INTERFACES];
    return &traffic[interface];
}

static uint32_t under_way[GATE_PORT_ENTRIES], under_way_count;

static void give_back(void)
{
    struct gate_port_queue *queue = &port->transmit;
    for (uint32_t i = 0; i < under_way_count; i++) { /* in any order */
        uint32_t other = i + (uint32_t)rand() % (under_way_count - i);
        uint32_t offset = under_way[other];
        under_way[other] = under_way[i];
        queue->complete[queue->completed++ % GATE_PORT_ENTRIES] =
            (struct gate_port_entry){offset, 0};
    }
    under_way_count = 0;
}

static void flush(void)
{
    struct gate_port_queue *queue = &port->transmit;
    transmit_close(DEVICE);
    for (; taken != queue->submitted; taken++) {
        const struct gate_port_entry *entry = &queue->submit[taken % GATE_PORT_ENTRIES];
        look_at(memory + entry->offset, entry->bytes);
        CHECK(under_way_count < GATE_PORT_ENTRIES);
        under_way[under_way_count++] = entry->offset;
    }
    queue->taken = taken;
    if (!is_stuck && !is_late) {
        give_back();
    }
}

void queue_collect(uint32_t device)
{
    CHECK_EQUAL(device, DEVICE);
    flush();
    if (!is_stuck) {
        give_back();
    }
}

static void start(void)
{
    static bool is_started;
    if (!is_started) {
        transmit_start(DEVICE, port, memory + PORT_BYTES - RING_BYTES, RING_BYTES);
        is_started = true;
    }
    sent_count = seen_count = cut_count = 0;
}

/* A segment of TCP, as lwIP makes it. */
static struct frame *make(bool is_4, uint32_t sequence, uint32_t bytes, uint8_t flags)
{
    struct frame *frame = &sent[sent_count++];
    CHECK(sent_count <= FRAMES_MAX);
    memset(frame, 0, sizeof(*frame));
    uint32_t head_bytes = is_4 ? HEAD_4 : HEAD_6;
    frame->bytes = head_bytes + bytes;
    uint8_t *at = frame->data;
    memset(at, 0x52, 12);
    set_word(at + 12, is_4 ? 0x0800 : 0x86dd);
    at[14] = is_4 ? 0x45 : 0x60;
    if (is_4) {
        set_word(at + 16, 40 + bytes);
        at[23] = 6;
        memset(at + 26, 10, 8);
        uint16_t sum = inet_chksum(at + 14, 20);
        memcpy(at + 24, &sum, sizeof(sum));
    } else {
        set_word(at + 18, 20 + bytes);
        at[20] = 6;
        memset(at + 22, 0xfd, 32);
    }
    uint8_t *tcp = at + head_bytes - 20;
    set_word(tcp, 80);
    set_word(tcp + 2, 5000);
    set_long(tcp + 4, sequence);
    tcp[12] = 0x50;
    tcp[13] = flags;
    set_word(tcp + 14, 4096);
    for (uint32_t i = 0; i < bytes; i++) {
        at[head_bytes + i] = (uint8_t)(sequence + i * 7);
    }
    return frame;
}

static bool try_send(const struct frame *frame)
{
    struct pbuf pbuf = {.payload = (void *)(uintptr_t)frame->data,
                        .len = (u16_t)frame->bytes,
                        .tot_len = (u16_t)frame->bytes};
    return transmit_frame(DEVICE, &pbuf);
}

static void send(const struct frame *frame)
{
    CHECK(try_send(frame));
}

static void compare(void)
{
    flush();
    CHECK_EQUAL(seen_count, sent_count);
    for (uint32_t i = 0; i < sent_count; i++) {
        uint32_t tcp = head_of(sent[i].data) - 20;
        memset(seen[i].data + tcp + 16, 0, 2); /* its sum is the device's affair */
        if (tcp == HEAD_4 - 20) {
            memcpy(seen[i].data + 24, sent[i].data + 24, 2); /* that of IP was looked at */
        }
        CHECK_EQUAL(seen[i].bytes, sent[i].bytes);
        CHECK(memcmp(seen[i].data, sent[i].data, sent[i].bytes) == 0);
    }
    CHECK(is_stuck || transmit_count(DEVICE) == 0);
}

/* @verifies ATL-LLR-NET-1150~1 */
TEST(segments_in_a_row_are_one_frame)
{
    for (uint32_t is_4 = 0; is_4 < 2; is_4++) {
        start();
        for (uint32_t i = 0; i < 10; i++) {
            send(make(is_4, 0xfffff000u + i * 1000, 1000, ACK)); /* numbers wrap around */
        }
        send(make(is_4, 0xfffff000u + 10000, 321, ACK | PUSH));
        compare();
        CHECK_EQUAL(cut_count, 1);
    }
}

/* @verifies ATL-LLR-NET-1150~1 */
TEST(what_does_not_follow_is_a_frame_of_its_own)
{
    start();
    send(make(true, 1000, 1000, ACK));
    send(make(true, 1999, 1000, ACK)); /* sent again, in part */
    send(make(true, 3000, 1000, ACK)); /* a hole before it */
    send(make(true, 4000, 1001, ACK)); /* longer than the first */
    send(make(true, 5001, 999, ACK));  /* shorter: the last */
    send(make(true, 6000, 999, ACK));
    send(make(false, 6999, 999, ACK));
    send(make(false, 7998, 999, ACK | PUSH));
    send(make(false, 8997, 999, ACK));
    send(make(false, 9996, 999, ACK | FIN));
    send(make(false, 10996, 0, ACK));
    send(make(true, 1, 0, SYN));
    compare();
    CHECK_EQUAL(cut_count, 3);
}

/* @verifies ATL-LLR-NET-1150~1 */
TEST(segments_that_differ_stay_apart)
{
    for (uint32_t is_4 = 0; is_4 < 2; is_4++) {
        uint32_t head_bytes = is_4 ? HEAD_4 : HEAD_6;
        for (uint32_t at = 0; at < head_bytes; at++) {
            uint32_t in_tcp = at + 20 - head_bytes;
            bool is_expected =
                (is_4 ? (at >= 16 && at < 20) || at == 24 || at == 25 : at == 18 || at == 19) ||
                (at + 20 >= head_bytes && (in_tcp == 16 || in_tcp == 17));
            if (is_expected || at == 12 || at == 13) {
                continue;
            }
            start();
            send(make(is_4, 5000, 500, ACK));
            struct frame *frame = make(is_4, 5500, 500, ACK);
            frame->data[at] ^= 0x40;
            uint32_t before = port->transmit.submitted;
            send(frame);
            transmit_close(DEVICE);
            CHECK_EQUAL(port->transmit.submitted, before + 2);
            taken = port->transmit.submitted; /* nobody looks at what is no frame */
            for (uint32_t i = before; i != taken; i++) {
                port->transmit.complete[port->transmit.completed++ % GATE_PORT_ENTRIES] =
                    port->transmit.submit[i % GATE_PORT_ENTRIES];
            }
        }
    }
}

/* @verifies ATL-LLR-NET-1150~1 */
TEST(a_frame_ends_before_64_kib)
{
    for (uint32_t is_4 = 0; is_4 < 2; is_4++) {
        start();
        for (uint32_t i = 0; i < 100; i++) {
            send(make(is_4, i * 1440, 1440, ACK));
        }
        compare();
        CHECK_EQUAL(cut_count, 3);
    }
}

/* @verifies ATL-LLR-NET-1150~1 ATL-LLR-POSIX-0910~1 */
TEST(frames_of_any_kind_come_in_order)
{
    srand(7);
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t sequence[2] = {(uint32_t)rand(), (uint32_t)rand()};
        uint32_t mss = 1 + (uint32_t)rand() % 1400;
        start();
        for (uint32_t i = 0; i < 200; i++) {
            uint32_t is_4 = rand() % 8 == 0;
            uint32_t bytes = rand() % 8 == 0 ? 1 + (uint32_t)rand() % mss : mss;
            uint8_t flags = rand() % 16 == 0 ? ACK | PUSH : rand() % 64 == 0 ? ACK | FIN : ACK;
            sequence[is_4] -= rand() % 32 == 0 ? mss : 0;
            send(make(is_4, sequence[is_4], bytes, flags));
            sequence[is_4] += bytes;
            if (rand() % 64 == 0) {
                flush();
            }
        }
        compare();
    }
}

/* @verifies ATL-LLR-POSIX-0910~1 */
TEST(what_was_sent_is_asked_for_when_there_is_no_room)
{
    start();
    is_late = true;
    for (uint32_t i = 0; i < 3 * GATE_PORT_ENTRIES; i++) {
        send(make(true, 1000 * i, 1000, ACK | PUSH));
        flush();
    }
    compare();
    is_late = false;
}

/* @verifies ATL-LLR-POSIX-0910~1 @robust */
TEST(a_device_that_keeps_all_costs_what_has_no_room)
{
    uint32_t count = 0;
    start();
    is_stuck = true;
    while (try_send(make(true, 1, 1460, ACK))) { /* each a frame of its own */
        count++;
    }
    sent_count--;
    CHECK(count >= RING_BYTES / 1600 && count <= RING_BYTES / 1526);
    CHECK(!try_send(&sent[0]));
    compare();
    is_stuck = false;
    for (uint32_t i = 0; i < count; i++) { /* the latest first */
        port->transmit.complete[port->transmit.completed++ % GATE_PORT_ENTRIES] =
            port->transmit.submit[(taken - 1 - i) % GATE_PORT_ENTRIES];
    }
    CHECK_EQUAL(transmit_count(DEVICE), 0);
    start();
    send(make(true, 1, 1460, ACK));
    compare();
}

CHECK_MAIN()
