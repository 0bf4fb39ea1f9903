/* SPDX-License-Identifier: Apache-2.0 */
#include "transmit.h"

#include "queue.h"
#include "traffic.h"

#include <lwip/inet_chksum.h>

#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN /* virtio 1.2, 5.1.6: struct virtio_net_hdr */
#define HEADER_NEEDS_CHECKSUM 1u
#define HEADER_KIND 1u
#define KIND_IP4 1u
#define KIND_IP6 4u
#define HEADER_HEAD_BYTES 2u
#define HEADER_SEGMENT_BYTES 4u
#define HEADER_CHECKSUM_START 6u
#define HEADER_CHECKSUM_OFFSET 8u

#define ALIGNMENT 64u
#define ETHERNET_BYTES 14u
#define IP4_BYTES 20u
#define IP4_LENGTH (ETHERNET_BYTES + 2)
#define IP4_CHECKSUM (ETHERNET_BYTES + 10)
#define IP6_BYTES 40u
#define IP6_LENGTH (ETHERNET_BYTES + 4)
#define IP_BYTES_MAX 65535u
#define PROTOCOL_TCP 6u
#define TCP_BYTES 20u
#define TCP_SEQUENCE 4u
#define TCP_FLAGS 13u
#define TCP_CHECKSUM 16u
#define FLAG_FIN 1u
#define FLAG_PUSH 8u
#define FLAG_ACK 16u

/* A frame of TCP to which what follows may be added. */
struct open_frame {
    uint8_t *buffer; /* the device's header first; NULL: there is none */
    uint32_t bytes;  /* of the buffer, so far */
    uint32_t limit;  /* and at most */
    uint32_t head_bytes, segment_bytes, segments;
    uint32_t next_sequence;
    bool is_ended; /* nothing can follow */
};

struct transmit {
    struct gate_port *port; /* NULL: this core has none */
    uint8_t *base;          /* of this core's port memory: the array of its ports */
    struct traffic *traffic;
    uint8_t *memory;
    uint32_t bytes, head; /* of the ring; where its next frame begins */
    uint32_t reaped;      /* completions that were looked at */
    /* Frames in the ring, those that were given back last among them; indices run freely. */
    uint32_t oldest, newest;
    struct {
        uint32_t offset;
        bool is_done;
    } frames[GATE_PORT_ENTRIES];
    struct open_frame open;
};
static PERCORE struct transmit transmits[GATE_NETWORKS];

void transmit_start(uint32_t device, struct gate_port *port, uint8_t *memory, uint32_t bytes)
{
    struct transmit *transmit = &transmits[device];
    transmit->base = (uint8_t *)(port - device);
    transmit->traffic = traffic_of(TRAFFIC_DEVICE(device));
    transmit->memory = memory;
    transmit->bytes = bytes;
    transmit->port = port;
}

static uint32_t offset_of(const struct transmit *transmit, uint32_t frame)
{
    return transmit->frames[frame % GATE_PORT_ENTRIES].offset;
}

/* The device is done with the frame at an offset, most often the oldest. */
static void give_back(struct transmit *transmit, uint32_t offset)
{
    uint32_t frame = transmit->oldest;
    while (frame != transmit->newest && offset_of(transmit, frame) != offset) {
        frame++;
    }
    transmit->frames[frame % GATE_PORT_ENTRIES].is_done = true;
    while (transmit->oldest != transmit->newest &&
           transmit->frames[transmit->oldest % GATE_PORT_ENTRIES].is_done) {
        transmit->oldest++;
    }
}

static void reap(struct transmit *transmit)
{
    struct gate_port_queue *queue = &transmit->port->transmit;
    uint32_t base = (uint32_t)(transmit->memory - transmit->base);
    uint32_t completed = atomic_load_explicit(&queue->completed, memory_order_acquire);
    while (transmit->reaped != completed) {
        give_back(transmit, queue->complete[transmit->reaped++ % GATE_PORT_ENTRIES].offset - base);
    }
}

uint32_t transmit_count(uint32_t device)
{
    struct transmit *transmit = &transmits[device];
    if (transmit->port != NULL) {
        queue_collect(device);
        reap(transmit);
    }
    return transmit->newest - transmit->oldest;
}

/* Where a frame of so many bytes fits, and how far it may grow there. The ring's head never meets
 * the oldest frame: they are equal only if there is none. */
static bool find_room(const struct transmit *transmit, uint32_t bytes, uint32_t *offset,
                      uint32_t *end)
{
    if (transmit->newest - transmit->oldest == GATE_PORT_ENTRIES) {
        return false;
    }
    bool is_empty = transmit->newest == transmit->oldest;
    uint32_t tail = is_empty ? 0 : offset_of(transmit, transmit->oldest);
    *offset = is_empty ? 0 : transmit->head;
    *end = *offset >= tail ? transmit->bytes : tail - ALIGNMENT;
    if (*offset >= tail && bytes > *end - *offset && tail != 0) {
        *offset = 0;
        *end = tail - ALIGNMENT;
    }
    return *offset <= *end && bytes <= *end - *offset;
}

static void submit(struct transmit *transmit, uint8_t *buffer, uint32_t bytes)
{
    struct gate_port_queue *queue = &transmit->port->transmit;
    uint32_t place = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    uint32_t offset = (uint32_t)(buffer - transmit->memory);
    transmit->frames[transmit->newest % GATE_PORT_ENTRIES].offset = offset;
    transmit->frames[transmit->newest % GATE_PORT_ENTRIES].is_done = false;
    transmit->newest++;
    traffic_note(transmit->traffic, TRAFFIC_SENT, bytes - HEADER_BYTES);
    transmit->head = (offset + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    queue->submit[place % GATE_PORT_ENTRIES] =
        (struct gate_port_entry){(uint32_t)(buffer - transmit->base), bytes};
    atomic_store_explicit(&queue->submitted, place + 1, memory_order_release);
}

static void close_open(struct transmit *transmit);

/* Room for so many bytes behind a header that asks for nothing; NULL: there is none. */
static uint8_t *take_buffer(uint32_t device, size_t bytes, uint32_t *limit)
{
    struct transmit *transmit = &transmits[device];
    uint32_t offset, end;
    close_open(transmit);
    if (transmit->port == NULL || bytes > transmit->bytes - HEADER_BYTES) {
        return NULL;
    }
    reap(transmit);
    bool has_room = find_room(transmit, (uint32_t)bytes + HEADER_BYTES, &offset, &end);
    if (!has_room) {
        queue_collect(device);
        reap(transmit);
        has_room = find_room(transmit, (uint32_t)bytes + HEADER_BYTES, &offset, &end);
    }
    if (!has_room) {
        traffic_note_dropped(transmit->traffic, TRAFFIC_SENT);
        return NULL;
    }
    *limit = end - offset;
    uint8_t *buffer = transmit->memory + offset;
    __builtin_memset(buffer, 0, HEADER_BYTES);
    return buffer;
}

static uint32_t sum_words(const uint8_t *bytes, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    }
    return sum;
}

static void put_16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* The device completes the checksum of a TCP segment, which holds that of the pseudo header.
 * @impl ATL-LLR-NET-0931~1 */
static void leave_checksum(uint8_t *header, uint8_t *frame, size_t bytes)
{
    uint8_t *packet = frame + ETHERNET_BYTES;
    bool is_4 = frame[12] == 0x08 && frame[13] == 0x00 && packet[9] == PROTOCOL_TCP;
    bool is_6 = frame[12] == 0x86 && frame[13] == 0xdd && packet[6] == PROTOCOL_TCP;
    if (!is_4 && !is_6) {
        return;
    }
    size_t start = ETHERNET_BYTES + (is_4 ? (packet[0] & 15u) * 4u : IP6_BYTES);
    uint32_t sum = is_4 ? sum_words(packet + 12, 8) : sum_words(packet + 8, 32);
    sum += PROTOCOL_TCP + (uint32_t)(bytes - start);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put_16(frame + start + TCP_CHECKSUM, sum);
    header[0] = HEADER_NEEDS_CHECKSUM;
    header[HEADER_CHECKSUM_START] = (uint8_t)start;
    header[HEADER_CHECKSUM_OFFSET] = TCP_CHECKSUM;
}

/* What a frame of several segments says of its length, and asks of the device.
 *
 * @impl ATL-LLR-NET-1150~1 */
static void leave_cutting(uint8_t *header, uint8_t *frame, const struct open_frame *open)
{
    uint32_t packet_bytes = open->bytes - HEADER_BYTES - ETHERNET_BYTES;
    bool is_4 = open->head_bytes == ETHERNET_BYTES + IP4_BYTES + TCP_BYTES;
    if (is_4) {
        put_16(frame + IP4_LENGTH, packet_bytes);
        put_16(frame + IP4_CHECKSUM, 0);
        uint16_t sum = inet_chksum(frame + ETHERNET_BYTES, IP4_BYTES);
        __builtin_memcpy(frame + IP4_CHECKSUM, &sum, sizeof(sum));
    } else {
        put_16(frame + IP6_LENGTH, packet_bytes - IP6_BYTES);
    }
    header[HEADER_KIND] = is_4 ? KIND_IP4 : KIND_IP6;
    header[HEADER_HEAD_BYTES] = (uint8_t)open->head_bytes;
    header[HEADER_SEGMENT_BYTES] = (uint8_t)open->segment_bytes;
    header[HEADER_SEGMENT_BYTES + 1] = (uint8_t)(open->segment_bytes >> 8);
}

static void close_open(struct transmit *transmit)
{
    struct open_frame *open = &transmit->open;
    uint8_t *buffer = open->buffer;
    if (buffer == NULL) {
        return;
    }
    open->buffer = NULL;
    if (open->segments > 1) {
        leave_cutting(buffer, buffer + HEADER_BYTES, open);
    }
    leave_checksum(buffer, buffer + HEADER_BYTES, open->bytes - HEADER_BYTES);
    submit(transmit, buffer, open->bytes);
}

void transmit_close(uint32_t device)
{
    close_open(&transmits[device]);
}

/* Bytes before the data of a segment of TCP that could be one of several; 0: it is none. */
static uint32_t head_of(const struct pbuf *frame)
{
    const uint8_t *bytes = frame->payload;
    uint32_t head_bytes = 0;
    if (frame->len >= ETHERNET_BYTES + IP4_BYTES + TCP_BYTES && bytes[12] == 0x08 &&
        bytes[13] == 0x00 && bytes[14] == 0x45 && ((bytes[20] & 0x3fu) | bytes[21]) == 0 &&
        bytes[23] == PROTOCOL_TCP) {
        head_bytes = ETHERNET_BYTES + IP4_BYTES + TCP_BYTES;
    } else if (frame->len >= ETHERNET_BYTES + IP6_BYTES + TCP_BYTES && bytes[12] == 0x86 &&
               bytes[13] == 0xdd && bytes[20] == PROTOCOL_TCP) {
        head_bytes = ETHERNET_BYTES + IP6_BYTES + TCP_BYTES;
    }
    if (head_bytes == 0 || frame->tot_len == head_bytes) {
        return 0;
    }
    const uint8_t *segment = bytes + head_bytes - TCP_BYTES;
    bool is_right = segment[12] == TCP_BYTES / 4 << 4 &&
                    (segment[TCP_FLAGS] & ~(FLAG_PUSH | FLAG_FIN)) == FLAG_ACK;
    return is_right ? head_bytes : 0;
}

static uint32_t sequence_of(const uint8_t *segment)
{
    uint32_t sequence;
    __builtin_memcpy(&sequence, segment + TCP_SEQUENCE, sizeof(sequence));
    return __builtin_bswap32(sequence);
}

static bool is_same(const uint8_t *one, const uint8_t *other, uint32_t from, uint32_t to)
{
    return __builtin_memcmp(one + from, other + from, to - from) == 0;
}

/* Whether two segments differ in nothing but length, identification, sequence, checksums and how
 * they end. */
static bool is_alike(const uint8_t *one, const uint8_t *other, uint32_t head_bytes)
{
    uint32_t tcp = head_bytes - TCP_BYTES;
    bool is_ip_alike = tcp == ETHERNET_BYTES + IP4_BYTES
                           ? is_same(one, other, 0, 16) && is_same(one, other, 20, 24) &&
                                 is_same(one, other, 26, tcp)
                           : is_same(one, other, 0, 18) && is_same(one, other, 20, tcp);
    return is_ip_alike && is_same(one, other, tcp, tcp + TCP_SEQUENCE) &&
           is_same(one, other, tcp + 8, tcp + TCP_FLAGS) &&
           is_same(one, other, tcp + TCP_FLAGS + 1, tcp + TCP_CHECKSUM) &&
           is_same(one, other, tcp + TCP_CHECKSUM + 2, head_bytes);
}

/* Adds a segment to the one before it, which it follows. False: it does not.
 *
 * @impl ATL-LLR-NET-1150~1 */
static bool add(struct transmit *transmit, const struct pbuf *frame, uint32_t head_bytes)
{
    struct open_frame *open = &transmit->open;
    const uint8_t *head = frame->payload;
    uint32_t bytes = frame->tot_len - head_bytes;
    if (open->buffer == NULL || open->is_ended || head_bytes != open->head_bytes ||
        bytes > open->segment_bytes || bytes > open->limit - open->bytes ||
        sequence_of(head + head_bytes - TCP_BYTES) != open->next_sequence ||
        !is_alike(open->buffer + HEADER_BYTES, head, head_bytes)) {
        return false;
    }
    pbuf_copy_partial(frame, open->buffer + open->bytes, (uint16_t)bytes, (uint16_t)head_bytes);
    uint8_t *flags = open->buffer + HEADER_BYTES + head_bytes - TCP_BYTES + TCP_FLAGS;
    *flags |= head[head_bytes - TCP_BYTES + TCP_FLAGS];
    open->bytes += bytes;
    open->next_sequence += bytes;
    open->segments++;
    open->is_ended = bytes < open->segment_bytes || *flags != FLAG_ACK;
    return true;
}

/* Others may follow a frame that was copied. */
static void open_frame(struct open_frame *open, uint8_t *buffer, uint32_t bytes, uint32_t limit,
                       uint32_t head_bytes)
{
    const uint8_t *segment = buffer + HEADER_BYTES + head_bytes - TCP_BYTES;
    uint32_t limit_of_ip = HEADER_BYTES + ETHERNET_BYTES + IP_BYTES_MAX;
    *open = (struct open_frame){
        .buffer = buffer,
        .bytes = bytes + HEADER_BYTES,
        .limit = limit < limit_of_ip ? limit : limit_of_ip,
        .head_bytes = head_bytes,
        .segment_bytes = bytes - head_bytes,
        .segments = 1,
        .next_sequence = sequence_of(segment) + bytes - head_bytes,
        .is_ended = segment[TCP_FLAGS] != FLAG_ACK,
    };
}

/* @impl ATL-LLR-POSIX-0910~1 */
bool transmit_frame(uint32_t device, const struct pbuf *frame)
{
    struct transmit *transmit = &transmits[device];
    uint32_t features = posix_info.networks[device].features;
    uint32_t limit;
    uint32_t bytes = frame->tot_len;
    bool are_cut = (features & GATE_PORT_SEGMENTS) != 0;
    uint32_t head_bytes = are_cut ? head_of(frame) : 0;
    if (head_bytes != 0 && add(transmit, frame, head_bytes)) {
        return true;
    }
    uint8_t *buffer = take_buffer(device, bytes, &limit);
    if (buffer == NULL) {
        return false;
    }
    pbuf_copy_partial(frame, buffer + HEADER_BYTES, (uint16_t)bytes, 0);
    if (head_bytes != 0) {
        open_frame(&transmit->open, buffer, bytes, limit, head_bytes);
        return true;
    }
    if ((features & GATE_PORT_CHECKSUM) != 0) {
        leave_checksum(buffer, buffer + HEADER_BYTES, bytes);
    }
    submit(transmit, buffer, bytes + HEADER_BYTES);
    return true;
}

bool transmit_bytes(uint32_t device, const void *frame, size_t bytes)
{
    struct transmit *transmit = &transmits[device];
    uint32_t limit;
    uint8_t *buffer = take_buffer(device, bytes, &limit);
    if (buffer == NULL) {
        return false;
    }
    __builtin_memcpy(buffer + HEADER_BYTES, frame, bytes);
    submit(transmit, buffer, (uint32_t)bytes + HEADER_BYTES);
    return true;
}
