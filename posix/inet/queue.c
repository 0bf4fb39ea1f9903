/* SPDX-License-Identifier: Apache-2.0 */
/* This core's queues: see queue.h. A received frame goes to lwIP where it lies, and its buffer back
 * to the device when lwIP and the program are done with it. When most buffers wait for the program,
 * frames are copied instead, so that a program that does not read cannot stop the network. */
#include "queue.h"

#include "device.h"
#include "packet.h"
#include "traffic.h"
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
    struct queues *queues;
    uint16_t index;
};

struct queues {
    struct gate_port *port; /* NULL: this core has none */
    uint32_t device;
    struct traffic *traffic;
    uint8_t *memory; /* of this core's ports */
    uint8_t *buffers;
    struct buffer *receiving; /* a record for each receive buffer */
    uint32_t receive_count, held_count;
    uint32_t received; /* completions that were looked at */
    bool is_watched;   /* the next frame wakes the stack's thread */
    bool is_off;       /* the device, for good */
    bool is_link_down; /* as the first core saw it last */
    /* Of a frame that takes several buffers: */
    uint32_t missing, part_count;
    bool is_dropping;
    struct part {
        uint16_t index, bytes; /* of the first without the device's header */
    } parts[PARTS_MAX];
};
static PERCORE struct queues all[NET_DEVICES];

static uint8_t *buffer_at(const struct queues *queues, uint32_t index)
{
    return queues->buffers + (size_t)index * BUFFER_BYTES;
}

static void submit(struct queues *queues, uint32_t index)
{
    struct gate_port_queue *queue = &queues->port->receive;
    uint32_t place = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    queue->submit[place % GATE_PORT_ENTRIES] = (struct gate_port_entry){
        (uint32_t)(buffer_at(queues, index) - queues->memory), BUFFER_BYTES};
    atomic_store_explicit(&queue->submitted, place + 1, memory_order_release);
}

static uint32_t index_of(const struct queues *queues, const struct gate_port_entry *entry)
{
    return (uint32_t)(queues->memory + entry->offset - queues->buffers) / BUFFER_BYTES;
}

bool queue_is_here(uint32_t device)
{
    return all[device].port != NULL;
}

/* What lies behind the ports' heads is divided evenly among the devices of the machine.
 *
 * @impl ATL-LLR-POSIX-0910~1 @impl ATL-LLR-NET-1292~1 */
void queue_start(uint32_t device, bool is_link_up)
{
    struct queues *queues = &all[device];
    uint32_t core = posix_core();
    uint32_t devices = device_end();
    uint64_t head = (devices * sizeof(struct gate_port) + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    uint64_t bytes = head < posix_info.port_bytes ? posix_info.port_bytes - head : 0;
    uint64_t share = bytes / devices & ~(uint64_t)(PAGE - 1);
    if (core >= posix_info.networks[device].queues || share < 4 * BUFFER_BYTES) {
        return;
    }
    uint64_t count = share / BUFFER_BYTES;
    uint32_t half = (uint32_t)(count / 2 < GATE_PORT_ENTRIES ? count / 2 : GATE_PORT_ENTRIES);
    queues->receiving = posix_allocate(half * sizeof(*queues->receiving));
    if (queues->receiving == NULL) {
        posix_report("no memory for eth%u on core %u", device, core);
        return;
    }
    queues->device = device;
    queues->traffic = traffic_of(TRAFFIC_DEVICE(device));
    queues->memory = (uint8_t *)(uintptr_t)(posix_info.port_address + core * posix_info.port_bytes);
    queues->port = (struct gate_port *)(void *)queues->memory + device;
    queues->receive_count = half;
    queues->is_link_down = !is_link_up;
    queues->buffers = queues->memory + head + device * share;
    transmit_start(device, queues->port, buffer_at(queues, half), half * BUFFER_BYTES);
    for (uint32_t i = 0; i < queues->receive_count; i++) {
        queues->receiving[i].index = (uint16_t)i;
        queues->receiving[i].queues = queues;
        submit(queues, i);
    }
}

void queue_count(struct queue_counts *counts)
{
    *counts = (struct queue_counts){0};
    for (uint32_t i = 0; i < NET_DEVICES; i++) {
        counts->receiving += all[i].receive_count;
        counts->held += all[i].held_count;
        counts->sending += transmit_count(i);
    }
}

/* A device that breaks a rule is started again by the kernel, and everything that it had comes
 * back; one that goes on like that is off.
 *
 * @impl ATL-LLR-NET-0941~1 */
static int64_t kick(struct queues *queues, uint64_t flags)
{
    int64_t completed = gate_kick(GATE_PORT_NETWORK + queues->device, flags);
    if (completed >= 0 || queues->is_off) {
        return completed;
    }
    for (uint32_t i = 0; i < RESTARTS_MAX && completed < 0; i++) {
        completed = gate_kick(GATE_PORT_NETWORK + queues->device, flags);
    }
    queues->is_off = completed < 0;
    device_fails(queues->device, queues->is_off);
    return completed;
}

static void flush(struct queues *queues)
{
    struct gate_port_queue *queue = &queues->port->transmit;
    transmit_close(queues->device);
    uint32_t submitted = atomic_load_explicit(&queue->submitted, memory_order_relaxed);
    for (uint32_t i = 0; i < GATE_PORT_ENTRIES / GATE_KICK_ENTRIES_MAX; i++) {
        if (atomic_load_explicit(&queue->taken, memory_order_acquire) == submitted) {
            return;
        }
        queues->is_watched = false; /* for the stack's own thread: who kicks does not wait */
        if (kick(queues, 0) < 0) {
            return;
        }
    }
}

void device_flush(void)
{
    for (uint32_t i = 0; i < net_device_end; i++) {
        if (all[i].port != NULL) {
            flush(&all[i]);
        }
    }
}

void queue_collect(uint32_t device)
{
    struct queues *queues = &all[device];
    flush(queues);
    queues->is_watched = false;
    (void)kick(queues, 0);
}

bool device_is_watched(void)
{
    bool are_watched = true;
    for (uint32_t i = 0; i < net_device_end; i++) {
        are_watched = are_watched && (all[i].port == NULL || all[i].is_watched);
    }
    return are_watched;
}

/* lwIP and the program are done with a buffer. */
static void give_back(struct pbuf *pbuf)
{
    struct buffer *buffer = (struct buffer *)pbuf;
    struct queues *queues = buffer->queues;
    queues->held_count--;
    submit(queues, buffer->index);
}

/* What is in a buffer, for lwIP; the buffer goes back to the device when lwIP is done with it, or
 * at once. NULL: no memory.
 *
 * @impl ATL-LLR-POSIX-0972~1 */
static struct pbuf *wrap(struct queues *queues, uint32_t index, uint8_t *data, uint16_t bytes)
{
    if (queues->held_count + BUFFERS_KEPT < queues->receive_count) {
        struct buffer *buffer = &queues->receiving[index];
        buffer->pbuf.custom_free_function = give_back;
        queues->held_count++;
        return pbuf_alloced_custom(PBUF_RAW, bytes, PBUF_REF, &buffer->pbuf, data, bytes);
    }
    struct pbuf *pbuf = pbuf_alloc(PBUF_RAW, bytes, PBUF_RAM);
    if (pbuf != NULL) {
        pbuf_take(pbuf, data, bytes);
    }
    submit(queues, index);
    return pbuf;
}

static bool is_checked(const uint8_t *header)
{
    return (header[0] & (HEADER_NEEDS_CHECKSUM | HEADER_DATA_VALID)) != 0;
}

static void receive_whole(struct queues *queues, uint32_t index, uint8_t *buffer, uint32_t bytes)
{
    uint8_t *data = buffer + HEADER_BYTES;
    struct queue_frame frame = {queues->device, data, bytes, NULL, is_checked(buffer)};
    traffic_note(queues->traffic, TRAFFIC_RECEIVED, bytes);
    packet_hear(queues->device, data, bytes);
    if (device_passes_on(&frame)) {
        submit(queues, index);
        return;
    }
    struct pbuf *pbuf = wrap(queues, index, data, (uint16_t)bytes);
    if (pbuf != NULL) {
        device_deliver(queues->device, pbuf, frame.is_checked);
    } else {
        traffic_note_dropped(queues->traffic, TRAFFIC_RECEIVED);
    }
}

/* The parts of a frame as one chain, from the last to the first: tot_len counts what follows. NULL:
 * no memory. */
static struct pbuf *chain_parts(struct queues *queues)
{
    struct pbuf *chain = NULL;
    for (uint32_t i = queues->part_count; i-- != 0;) {
        const struct part *part = &queues->parts[i];
        uint8_t *data = buffer_at(queues, part->index) + (i == 0 ? HEADER_BYTES : 0);
        struct pbuf *pbuf = wrap(queues, part->index, data, part->bytes);
        if (pbuf == NULL) {
            while (i-- != 0) {
                submit(queues, queues->parts[i].index);
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

static void drop_parts(struct queues *queues)
{
    for (uint32_t i = 0; i < queues->part_count; i++) {
        submit(queues, queues->parts[i].index);
    }
}

/* The last buffer of a frame that takes several has come.
 *
 * @impl ATL-LLR-NET-1151~1 */
static void receive_parts(struct queues *queues)
{
    uint32_t bytes = 0;
    const uint8_t *buffer = buffer_at(queues, queues->parts[0].index);
    struct queue_frame frame = {queues->device, buffer + HEADER_BYTES, queues->parts[0].bytes, NULL,
                                is_checked(buffer)};
    for (uint32_t i = 0; i < queues->part_count; i++) {
        bytes += queues->parts[i].bytes;
    }
    if (bytes > UINT16_MAX) {
        drop_parts(queues); /* no pbuf counts so far */
        return;
    }
    struct pbuf *chain = chain_parts(queues);
    traffic_note(queues->traffic, TRAFFIC_RECEIVED, bytes);
    if (chain == NULL) {
        traffic_note_dropped(queues->traffic, TRAFFIC_RECEIVED);
        return;
    }
    chain->flags |= QUEUE_FLAG_ONE_FRAME;
    frame.chain = chain;
    frame.data = chain->payload; /* where it was copied to, perhaps */
    packet_hear_chain(queues->device, chain, false);
    if (device_passes_on(&frame)) {
        pbuf_free(chain);
    } else {
        device_deliver(queues->device, chain, frame.is_checked);
    }
}

/* The first buffer of a frame that says that it takes several. Where they can be segments that are
 * larger than the MTU they are kept until the last has come; else they are more than we have
 * announced and are dropped, with all their buffers. The first is full, or the device lies. */
static void begin_parts(struct queues *queues, uint32_t index, uint32_t bytes, uint32_t buffers)
{
    if (buffers > queues->receive_count) {
        submit(queues, index); /* more than there are: it lies */
        return;
    }
    queues->is_dropping =
        (posix_info.networks[queues->device].features & GATE_PORT_GUEST_SEGMENTS) == 0 ||
        buffers > PARTS_MAX || bytes != BUFFER_BYTES;
    queues->missing = buffers - 1;
    queues->part_count = 0;
    if (queues->is_dropping) {
        submit(queues, index);
    } else {
        queues->parts[queues->part_count++] =
            (struct part){(uint16_t)index, BUFFER_BYTES - HEADER_BYTES};
    }
}

static void add_part(struct queues *queues, uint32_t index, uint32_t bytes)
{
    queues->missing--;
    if (queues->is_dropping) {
        submit(queues, index);
        return;
    }
    queues->parts[queues->part_count++] = (struct part){(uint16_t)index, (uint16_t)bytes};
    if (queues->missing == 0) {
        receive_parts(queues);
    }
}

/* A buffer without bytes was abandoned when the device was reset: what was begun ends there, and
 * its header is an older frame's.
 *
 * @impl ATL-LLR-NET-0940~2 ATL-LLR-VIRTIO-0870~1 */
static void receive_buffer(struct queues *queues, uint32_t index, uint32_t bytes)
{
    uint8_t *buffer = buffer_at(queues, index);
    bool is_merged = (posix_info.networks[queues->device].features & GATE_PORT_MERGED) != 0;
    uint32_t buffers = buffer[HEADER_BUFFERS] | (uint32_t)buffer[HEADER_BUFFERS + 1] << 8;
    if (bytes == 0) {
        if (queues->missing != 0 && !queues->is_dropping) {
            drop_parts(queues);
        }
        queues->missing = 0;
        submit(queues, index);
    } else if (queues->missing != 0) {
        add_part(queues, index, bytes);
    } else if (bytes <= HEADER_BYTES) {
        submit(queues, index);
    } else if (is_merged && buffers > 1) {
        begin_parts(queues, index, bytes, buffers);
    } else {
        receive_whole(queues, index, buffer, bytes - HEADER_BYTES);
    }
}

static uint32_t completed(const struct queues *queues)
{
    return atomic_load_explicit(&queues->port->receive.completed, memory_order_acquire);
}

static void receive(struct queues *queues)
{
    struct gate_port_queue *queue = &queues->port->receive;
    for (uint32_t end = completed(queues); queues->received != end;) {
        const struct gate_port_entry *entry =
            &queue->complete[queues->received++ % GATE_PORT_ENTRIES];
        receive_buffer(queues, index_of(queues, entry), entry->bytes);
    }
}

bool queue_link_is_up(uint32_t device)
{
    const struct gate_port *first = (const struct gate_port *)(uintptr_t)posix_info.port_address;
    return atomic_load_explicit(&first[device].is_link_down, memory_order_acquire) == 0;
}

/* The kernel wakes the first core's stack when the link changes.
 *
 * @impl ATL-LLR-NET-1152~1 */
static void look_at_link(struct queues *queues)
{
    bool is_down = !queue_link_is_up(queues->device);
    if (posix_core() == 0 && is_down != queues->is_link_down) {
        queues->is_link_down = is_down;
        device_link_changes(queues->device);
    }
}

/* @impl ATL-LLR-POSIX-0910~1 */
static bool serve(struct queues *queues)
{
    (void)kick(queues, GATE_KICK_ARM);
    bool has_received = queues->received != completed(queues);
    queues->is_watched = !has_received;
    look_at_link(queues);
    receive(queues);
    return has_received;
}

bool device_serve(void)
{
    bool has_more = false;
    for (uint32_t i = 0; i < net_device_end; i++) {
        has_more |= all[i].port != NULL && serve(&all[i]);
    }
    return has_more;
}
