/* SPDX-License-Identifier: Apache-2.0 */
/* This core's queues: see queue.h. A received frame goes to lwIP where it lies, and its buffer back
 * to the device when lwIP and the program are done with it. When most buffers wait for the program,
 * frames are copied instead, so that a program that does not read cannot stop the network. */
#include "queue.h"

#include "device.h"
#include "packet.h"

#define BUFFER_BYTES 2048u
#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN /* virtio 1.2, 5.1.6: struct virtio_net_hdr */
#define HEADER_NEEDS_CHECKSUM 1u
#define HEADER_DATA_VALID 2u
#define HEADER_CHECKSUM_START 6u
#define HEADER_CHECKSUM_OFFSET 8u
#define HEADER_BUFFERS 10u
#define BUFFERS_KEPT 64u /* of those that receive: what the program may not hold */
#define PAGE 4096u
#define ETHERNET_BYTES 14u
#define PROTOCOL_TCP 6u
#define TCP_CHECKSUM 16u
#define RESTARTS_MAX 8u /* the kernel gives up earlier */

struct buffer {
    struct pbuf_custom pbuf; /* first */
    uint16_t index;
};

struct queues {
    struct gate_port *port; /* NULL: this core has none */
    uint8_t *buffers;
    struct buffer *receiving; /* a record for each receive buffer */
    uint16_t *free_transmit;
    uint32_t receive_count, transmit_count; /* buffers: the first ones receive */
    uint32_t free_transmit_count, held_count;
    uint32_t received, transmitted; /* completions that were looked at */
    uint32_t dropping;              /* further buffers of a frame that takes several */
    bool is_watched;                /* the next completion wakes the stack's thread */
    bool is_off;                    /* the device, for good */
};
static PERCORE struct queues queues;

static uint8_t *buffer_at(uint32_t index)
{
    return queues.buffers + (size_t)index * BUFFER_BYTES;
}

static void submit(struct gate_port_queue *queue, uint32_t index, uint32_t bytes)
{
    uint32_t place = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    queue->submit[place % GATE_PORT_ENTRIES] =
        (struct gate_port_entry){(uint32_t)(buffer_at(index) - (uint8_t *)queues.port), bytes};
    atomic_store_explicit(&queue->submitted, place + 1, memory_order_release);
}

static uint32_t index_of(const struct gate_port_entry *entry)
{
    return (uint32_t)((uint8_t *)queues.port + entry->offset - queues.buffers) / BUFFER_BYTES;
}

bool queue_is_here(void)
{
    return queues.port != NULL;
}

static bool allocate(uint32_t receive_count, uint32_t transmit_count)
{
    queues.receiving = posix_allocate(receive_count * sizeof(*queues.receiving));
    queues.free_transmit = posix_allocate(transmit_count * sizeof(*queues.free_transmit));
    if (queues.receiving == NULL || queues.free_transmit == NULL) {
        posix_free(queues.receiving);
        posix_free(queues.free_transmit);
        return false;
    }
    queues.receive_count = receive_count;
    queues.transmit_count = transmit_count;
    return true;
}

/* @impl ATL-LLR-POSIX-0910~1 */
void queue_start(void)
{
    uint32_t core = posix_core();
    uint32_t head = (sizeof(struct gate_port) + PAGE - 1) & ~(PAGE - 1);
    if (core >= posix_info.port_queues || posix_info.port_bytes < head + 4 * BUFFER_BYTES) {
        return;
    }
    uint64_t count = (posix_info.port_bytes - head) / BUFFER_BYTES;
    uint64_t half = count / 2 < GATE_PORT_ENTRIES ? count / 2 : GATE_PORT_ENTRIES;
    uint8_t *base = (uint8_t *)(uintptr_t)(posix_info.port_address + core * posix_info.port_bytes);
    if (!allocate((uint32_t)half, (uint32_t)half)) {
        posix_report("no memory for the network of core %u", core);
        return;
    }
    queues.port = (struct gate_port *)(void *)base;
    queues.buffers = base + head;
    for (uint32_t i = 0; i < queues.receive_count; i++) {
        queues.receiving[i].index = (uint16_t)i;
        submit(&queues.port->receive, i, BUFFER_BYTES);
    }
    for (uint32_t i = 0; i < queues.transmit_count; i++) {
        queues.free_transmit[i] = (uint16_t)(queues.receive_count + i);
    }
    queues.free_transmit_count = queues.transmit_count;
}

/* Transmit buffers that the device is done with. */
static void reap(void)
{
    struct gate_port_queue *queue = &queues.port->transmit;
    uint32_t completed = atomic_load_explicit(&queue->completed, memory_order_acquire);
    while (queues.transmitted != completed) {
        const struct gate_port_entry *entry =
            &queue->complete[queues.transmitted++ % GATE_PORT_ENTRIES];
        queues.free_transmit[queues.free_transmit_count++] = (uint16_t)index_of(entry);
    }
}

void queue_count(struct queue_counts *counts)
{
    if (queues.port != NULL) {
        reap();
    }
    *counts = (struct queue_counts){queues.receive_count, queues.held_count,
                                    queues.transmit_count - queues.free_transmit_count};
}

static uint32_t sum_words(const uint8_t *bytes, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    }
    return sum;
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
    size_t start = ETHERNET_BYTES + (is_4 ? (packet[0] & 15u) * 4u : 40u);
    uint32_t sum = is_4 ? sum_words(packet + 12, 8) : sum_words(packet + 8, 32);
    sum += PROTOCOL_TCP + (uint32_t)(bytes - start);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame[start + TCP_CHECKSUM] = (uint8_t)(sum >> 8);
    frame[start + TCP_CHECKSUM + 1] = (uint8_t)sum;
    header[0] = HEADER_NEEDS_CHECKSUM;
    header[HEADER_CHECKSUM_START] = (uint8_t)start;
    header[HEADER_CHECKSUM_OFFSET] = TCP_CHECKSUM;
}

/* Takes a free transmit buffer for so many bytes, with a header that asks for nothing; NULL: there
 * is none. */
static uint8_t *take_buffer(size_t bytes, uint32_t *index)
{
    if (queues.port == NULL || bytes > BUFFER_BYTES - HEADER_BYTES) {
        return NULL;
    }
    reap();
    if (queues.free_transmit_count == 0) {
        device_flush();
        reap();
    }
    if (queues.free_transmit_count == 0) {
        return NULL;
    }
    *index = queues.free_transmit[--queues.free_transmit_count];
    uint8_t *buffer = buffer_at(*index);
    __builtin_memset(buffer, 0, HEADER_BYTES);
    return buffer;
}

/* @impl ATL-LLR-POSIX-0910~1 */
bool queue_send(const struct pbuf *frame)
{
    uint32_t index;
    size_t bytes = frame->tot_len;
    uint8_t *buffer = take_buffer(bytes, &index);
    if (buffer == NULL) {
        return false;
    }
    pbuf_copy_partial(frame, buffer + HEADER_BYTES, (uint16_t)bytes, 0);
    if ((posix_info.port_features & GATE_PORT_CHECKSUM) != 0) {
        leave_checksum(buffer, buffer + HEADER_BYTES, bytes);
    }
    submit(&queues.port->transmit, index, (uint32_t)(bytes + HEADER_BYTES));
    return true;
}

bool queue_send_bytes(const void *frame, size_t bytes)
{
    uint32_t index;
    uint8_t *buffer = take_buffer(bytes, &index);
    if (buffer == NULL) {
        return false;
    }
    __builtin_memcpy(buffer + HEADER_BYTES, frame, bytes);
    submit(&queues.port->transmit, index, (uint32_t)(bytes + HEADER_BYTES));
    return true;
}

/* A device that breaks a rule is started again by the kernel, and everything that it had comes
 * back; one that goes on like that is off, and so is this core's network.
 *
 * @impl ATL-LLR-NET-0941~1 */
static int64_t kick(uint64_t flags)
{
    int64_t completed = gate_kick(GATE_PORT_NETWORK, flags);
    if (completed >= 0 || queues.is_off) {
        return completed;
    }
    for (uint32_t i = 0; i < RESTARTS_MAX && completed < 0; i++) {
        completed = gate_kick(GATE_PORT_NETWORK, flags);
    }
    queues.is_off = completed < 0;
    device_fails(queues.is_off);
    return completed;
}

void device_flush(void)
{
    if (queues.port == NULL) {
        return;
    }
    struct gate_port_queue *queue = &queues.port->transmit;
    uint32_t submitted = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    for (uint32_t i = 0; i < GATE_PORT_ENTRIES / GATE_KICK_ENTRIES_MAX; i++) {
        if (atomic_load_explicit(&queue->taken, memory_order_acquire) == submitted) {
            return;
        }
        queues.is_watched = false; /* for the stack's own thread: who kicks does not wait */
        if (kick(0) < 0) {
            return;
        }
    }
}

bool device_is_watched(void)
{
    return queues.port == NULL || queues.is_watched;
}

/* lwIP and the program are done with a buffer. */
static void give_back(struct pbuf *pbuf)
{
    struct buffer *buffer = (struct buffer *)pbuf;
    queues.held_count--;
    submit(&queues.port->receive, buffer->index, BUFFER_BYTES);
}

/* @impl ATL-LLR-POSIX-0972~1 */
static void deliver(uint32_t index, uint8_t *frame, uint32_t bytes, bool is_checked)
{
    struct pbuf *pbuf;
    if (queues.held_count + BUFFERS_KEPT < queues.receive_count) {
        struct buffer *buffer = &queues.receiving[index];
        buffer->pbuf.custom_free_function = give_back;
        queues.held_count++;
        pbuf = pbuf_alloced_custom(PBUF_RAW, (uint16_t)bytes, PBUF_REF, &buffer->pbuf, frame,
                                   (uint16_t)bytes);
    } else {
        pbuf = pbuf_alloc(PBUF_RAW, (uint16_t)bytes, PBUF_RAM);
        if (pbuf != NULL) {
            pbuf_take(pbuf, frame, (uint16_t)bytes);
        }
        submit(&queues.port->receive, index, BUFFER_BYTES);
    }
    if (pbuf != NULL) {
        device_deliver(pbuf, is_checked);
    }
}

/* Whether a buffer holds a whole frame. Frames that take several are larger than what we have
 * announced and are dropped, with all their buffers. A buffer without bytes was abandoned when the
 * device was reset: what was begun ends there, and its header is an older frame's.
 *
 * @impl ATL-LLR-NET-0940~1 ATL-LLR-VIRTIO-0870~1 */
static bool is_frame(const uint8_t *header, uint32_t bytes)
{
    if (bytes == 0) {
        queues.dropping = 0;
        return false;
    }
    if (queues.dropping != 0) {
        queues.dropping--;
        return false;
    }
    if (bytes <= HEADER_BYTES || (posix_info.port_features & GATE_PORT_MERGED) == 0) {
        return bytes > HEADER_BYTES;
    }
    uint32_t buffers = header[HEADER_BUFFERS] | (uint32_t)header[HEADER_BUFFERS + 1] << 8;
    /* More than there are: it lies. */
    queues.dropping = buffers > 1 && buffers <= queues.receive_count ? buffers - 1 : 0;
    return buffers <= 1;
}

/* True: there was something. */
static bool receive(void)
{
    struct gate_port_queue *queue = &queues.port->receive;
    uint32_t completed = atomic_load_explicit(&queue->completed, memory_order_acquire);
    bool has_any = queues.received != completed;
    while (queues.received != completed) {
        const struct gate_port_entry *entry =
            &queue->complete[queues.received++ % GATE_PORT_ENTRIES];
        uint32_t index = index_of(entry);
        uint8_t *buffer = buffer_at(index);
        uint8_t flags = buffer[0];
        bool is_checked = (flags & (HEADER_NEEDS_CHECKSUM | HEADER_DATA_VALID)) != 0;
        uint32_t bytes = entry->bytes - HEADER_BYTES;
        bool is_whole = is_frame(buffer, entry->bytes);
        if (is_whole) {
            packet_hear(buffer + HEADER_BYTES, bytes, false);
        }
        if (is_whole && !device_passes_on(buffer + HEADER_BYTES, bytes, is_checked)) {
            deliver(index, buffer + HEADER_BYTES, bytes, is_checked);
        } else {
            submit(&queues.port->receive, index, BUFFER_BYTES);
        }
    }
    return has_any;
}

/* @impl ATL-LLR-POSIX-0910~1 */
bool device_serve(void)
{
    if (queues.port == NULL) {
        return false;
    }
    int64_t completed = kick(GATE_KICK_ARM);
    queues.is_watched = completed <= 0;
    bool has_received = receive();
    return has_received || completed > 0;
}
