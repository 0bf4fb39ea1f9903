/* SPDX-License-Identifier: Apache-2.0 */
/* This core's queues: see queue.h. A received frame goes to lwIP where it lies, and its buffer back
 * to the device when lwIP and the program are done with it. When most buffers wait for the program,
 * frames are copied instead, so that a program that does not read cannot stop the network. */
#include "queue.h"

#include "device.h"
#include "packet.h"
#include "transmit.h"

#define BUFFER_BYTES 2048u
#define HEADER_BYTES GATE_PORT_ENTRY_BYTES_MIN /* virtio 1.2, 5.1.6: struct virtio_net_hdr */
#define HEADER_NEEDS_CHECKSUM 1u
#define HEADER_DATA_VALID 2u
#define HEADER_BUFFERS 10u
#define BUFFERS_KEPT 64u /* of those that receive: what the program may not hold */
#define PARTS_MAX 33u    /* 64 KiB and a header */
#define PAGE 4096u
#define RESTARTS_MAX 8u /* the kernel gives up earlier */

struct buffer {
    struct pbuf_custom pbuf; /* first */
    uint16_t index;
};

struct queues {
    struct gate_port *port; /* NULL: this core has none */
    uint8_t *buffers;
    struct buffer *receiving; /* a record for each receive buffer */
    uint32_t receive_count, held_count;
    uint32_t received; /* completions that were looked at */
    bool is_watched;   /* the next completion wakes the stack's thread */
    bool is_off;       /* the device, for good */
    bool is_link_down; /* as the first core saw it last */
    /* Of a frame that takes several buffers: */
    uint32_t missing, part_count;
    bool is_dropping;
    struct part {
        uint16_t index, bytes; /* of the first without the device's header */
    } parts[PARTS_MAX];
};
static PERCORE struct queues queues;

static uint8_t *buffer_at(uint32_t index)
{
    return queues.buffers + (size_t)index * BUFFER_BYTES;
}

static void submit(uint32_t index)
{
    struct gate_port_queue *queue = &queues.port->receive;
    uint32_t place = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    queue->submit[place % GATE_PORT_ENTRIES] = (struct gate_port_entry){
        (uint32_t)(buffer_at(index) - (uint8_t *)queues.port), BUFFER_BYTES};
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

/* @impl ATL-LLR-POSIX-0910~1 */
void queue_start(void)
{
    uint32_t core = posix_core();
    uint32_t head = (sizeof(struct gate_port) + PAGE - 1) & ~(PAGE - 1);
    if (core >= posix_info.port_queues || posix_info.port_bytes < head + 4 * BUFFER_BYTES) {
        return;
    }
    uint64_t count = (posix_info.port_bytes - head) / BUFFER_BYTES;
    uint32_t half = (uint32_t)(count / 2 < GATE_PORT_ENTRIES ? count / 2 : GATE_PORT_ENTRIES);
    uint8_t *base = (uint8_t *)(uintptr_t)(posix_info.port_address + core * posix_info.port_bytes);
    queues.receiving = posix_allocate(half * sizeof(*queues.receiving));
    if (queues.receiving == NULL) {
        posix_report("no memory for the network of core %u", core);
        return;
    }
    queues.receive_count = half;
    queues.port = (struct gate_port *)(void *)base;
    queues.is_link_down = !queue_link_is_up();
    queues.buffers = base + head;
    transmit_start(queues.port, buffer_at(half), half * BUFFER_BYTES);
    for (uint32_t i = 0; i < queues.receive_count; i++) {
        queues.receiving[i].index = (uint16_t)i;
        submit(i);
    }
}

void queue_count(struct queue_counts *counts)
{
    *counts = (struct queue_counts){queues.receive_count, queues.held_count, transmit_count()};
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
    transmit_close();
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
    submit(buffer->index);
}

/* What is in a buffer, for lwIP; the buffer goes back to the device when lwIP is done with it, or
 * at once. NULL: no memory.
 *
 * @impl ATL-LLR-POSIX-0972~1 */
static struct pbuf *wrap(uint32_t index, uint8_t *data, uint16_t bytes)
{
    if (queues.held_count + BUFFERS_KEPT < queues.receive_count) {
        struct buffer *buffer = &queues.receiving[index];
        buffer->pbuf.custom_free_function = give_back;
        queues.held_count++;
        return pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_REF, &buffer->pbuf, data, bytes);
    }
    struct pbuf *pbuf = pbuf_alloc(PBUF_RAW, bytes, PBUF_RAM);
    if (pbuf != NULL) {
        pbuf_take(pbuf, data, bytes);
    }
    submit(index);
    return pbuf;
}

static bool is_checked(const uint8_t *header)
{
    return (header[0] & (HEADER_NEEDS_CHECKSUM | HEADER_DATA_VALID)) != 0;
}

static void receive_whole(uint32_t index, uint8_t *buffer, uint32_t bytes)
{
    uint8_t *data = buffer + HEADER_BYTES;
    struct queue_frame frame = {data, bytes, NULL, is_checked(buffer)};
    packet_hear(data, bytes, false);
    if (device_passes_on(&frame)) {
        submit(index);
        return;
    }
    struct pbuf *pbuf = wrap(index, data, (uint16_t)bytes);
    if (pbuf != NULL) {
        device_deliver(pbuf, frame.is_checked);
    }
}

/* The parts of a frame as one chain, from the last to the first: tot_len counts what follows. NULL:
 * no memory. */
static struct pbuf *chain_parts(void)
{
    struct pbuf *chain = NULL;
    for (uint32_t i = queues.part_count; i-- != 0;) {
        const struct part *part = &queues.parts[i];
        uint8_t *data = buffer_at(part->index) + (i == 0 ? HEADER_BYTES : 0);
        struct pbuf *pbuf = wrap(part->index, data, part->bytes);
        if (pbuf == NULL) {
            while (i-- != 0) {
                submit(queues.parts[i].index);
            }
            if (chain != NULL) {
                pbuf_free(chain);
            }
            return NULL;
        }
        pbuf->next = chain;
        pbuf->tot_len = (uint16_t)(pbuf->len + (chain != NULL ? chain->tot_len : 0));
        chain = pbuf;
    }
    return chain;
}

static void drop_parts(void)
{
    for (uint32_t i = 0; i < queues.part_count; i++) {
        submit(queues.parts[i].index);
    }
}

/* The last buffer of a frame that takes several has come.
 *
 * @impl ATL-LLR-NET-1151~1 */
static void receive_parts(void)
{
    uint32_t bytes = 0;
    const uint8_t *buffer = buffer_at(queues.parts[0].index);
    struct queue_frame frame = {buffer + HEADER_BYTES, queues.parts[0].bytes, NULL,
                                is_checked(buffer)};
    for (uint32_t i = 0; i < queues.part_count; i++) {
        bytes += queues.parts[i].bytes;
    }
    if (bytes > UINT16_MAX) {
        drop_parts(); /* no pbuf counts so far */
        return;
    }
    struct pbuf *chain = chain_parts();
    if (chain == NULL) {
        return;
    }
    chain->flags |= QUEUE_FLAG_ONE_FRAME;
    frame.chain = chain;
    frame.data = chain->payload; /* where it was copied to, perhaps */
    packet_hear_chain(chain, false);
    if (device_passes_on(&frame)) {
        pbuf_free(chain);
    } else {
        device_deliver(chain, frame.is_checked);
    }
}

/* The first buffer of a frame that says that it takes several. Where they can be segments that are
 * larger than the MTU they are kept until the last has come; else they are more than we have
 * announced and are dropped, with all their buffers. The first is full, or the device lies. */
static void begin_parts(uint32_t index, uint32_t bytes, uint32_t buffers)
{
    if (buffers > queues.receive_count) {
        submit(index); /* more than there are: it lies */
        return;
    }
    queues.is_dropping = (posix_info.port_features & GATE_PORT_GUEST_SEGMENTS) == 0 ||
                         buffers > PARTS_MAX || bytes != BUFFER_BYTES;
    queues.missing = buffers - 1;
    queues.part_count = 0;
    if (queues.is_dropping) {
        submit(index);
    } else {
        queues.parts[queues.part_count++] =
            (struct part){(uint16_t)index, BUFFER_BYTES - HEADER_BYTES};
    }
}

static void add_part(uint32_t index, uint32_t bytes)
{
    queues.missing--;
    if (queues.is_dropping) {
        submit(index);
        return;
    }
    queues.parts[queues.part_count++] = (struct part){(uint16_t)index, (uint16_t)bytes};
    if (queues.missing == 0) {
        receive_parts();
    }
}

/* A buffer without bytes was abandoned when the device was reset: what was begun ends there, and
 * its header is an older frame's.
 *
 * @impl ATL-LLR-NET-0940~2 ATL-LLR-VIRTIO-0870~1 */
static void receive_buffer(uint32_t index, uint32_t bytes)
{
    uint8_t *buffer = buffer_at(index);
    bool is_merged = (posix_info.port_features & GATE_PORT_MERGED) != 0;
    uint32_t buffers = buffer[HEADER_BUFFERS] | (uint32_t)buffer[HEADER_BUFFERS + 1] << 8;
    if (bytes == 0) {
        if (queues.missing != 0 && !queues.is_dropping) {
            drop_parts();
        }
        queues.missing = 0;
        submit(index);
    } else if (queues.missing != 0) {
        add_part(index, bytes);
    } else if (bytes <= HEADER_BYTES) {
        submit(index);
    } else if (is_merged && buffers > 1) {
        begin_parts(index, bytes, buffers);
    } else {
        receive_whole(index, buffer, bytes - HEADER_BYTES);
    }
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
        receive_buffer(index_of(entry), entry->bytes);
    }
    return has_any;
}

bool queue_link_is_up(void)
{
    const struct gate_port *first = (const struct gate_port *)(uintptr_t)posix_info.port_address;
    return atomic_load_explicit(&first->is_link_down, memory_order_acquire) == 0;
}

/* The kernel wakes the first core's stack when the link changes.
 *
 * @impl ATL-LLR-NET-1152~1 */
static void look_at_link(void)
{
    bool is_down = !queue_link_is_up();
    if (posix_core() == 0 && is_down != queues.is_link_down) {
        queues.is_link_down = is_down;
        device_link_changes();
    }
}

/* @impl ATL-LLR-POSIX-0910~1 */
bool device_serve(void)
{
    if (queues.port == NULL) {
        return false;
    }
    int64_t completed = kick(GATE_KICK_ARM);
    queues.is_watched = completed <= 0;
    look_at_link();
    bool has_received = receive();
    return has_received || completed > 0;
}
