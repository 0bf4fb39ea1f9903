/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of AF_PACKET on their way: see packet.h. */
#include "packet.h"

#include "abi.h"
#include "device.h"
#include "queue.h"
#include "support.h"
#include "transmit.h"

#define FRAME_COST 512u /* of one against SO_RCVBUF, besides its bytes */
#define PENDING_MAX 64u
#define GROUP 1u /* in the first byte of an address */

_Atomic uint32_t packet_hearers;
static struct packet_socket *hearers;
static struct posix_lock lock; /* of the list; comes before a socket's */

static uint16_t protocol_of(const uint8_t *frame)
{
    uint16_t protocol;
    __builtin_memcpy(&protocol, frame + 2 * ETHERNET_ADDRESS_BYTES, sizeof(protocol));
    return protocol;
}

static uint8_t kind_of(const struct packet_seen *seen)
{
    static const uint8_t everybody[ETHERNET_ADDRESS_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *frame = seen->frame;
    if (seen->is_sent) {
        return PACKET_OUTGOING;
    }
    if ((frame[0] & GROUP) != 0) {
        return __builtin_memcmp(frame, everybody, sizeof(everybody)) == 0 ? PACKET_BROADCAST
                                                                          : PACKET_MULTICAST;
    }
    return __builtin_memcmp(frame, posix_info.networks[seen->device].mac, ETHERNET_ADDRESS_BYTES) ==
                   0
               ? PACKET_HOST
               : PACKET_OTHERHOST;
}

/* Locked. Whoever sends a frame of one protocol hears only those that come; of all, the others'
 * too. */
static bool is_for(const struct packet_socket *socket, const struct packet_seen *seen)
{
    uint16_t all = __builtin_bswap16(ETH_P_ALL);
    return (socket->index == 0 || socket->index == seen->device + NET_INDEX_FIRST) &&
           (socket->protocol == all
                ? !(seen->is_sent && socket->is_deaf_to_sent)
                : !seen->is_sent && socket->protocol == protocol_of(seen->frame));
}

/* There is a frame. Locked. */
static void tell_readers(struct packet_socket *socket)
{
    if (socket->readers.first != NULL) {
        posix_wake(&socket->readers, 1);
    }
    if (socket->base.file != NULL) {
        posix_file_notify(socket->base.file, POSIX_POLL_READABLE);
    }
}

/* Locked. */
static void append(struct packet_socket *socket, const struct packet_seen *seen, uint8_t kind)
{
    size_t bytes = seen->bytes;
    uint32_t cost = (uint32_t)bytes + FRAME_COST;
    struct packet_frame *copy = NULL;
    socket->heard++;
    if (socket->received_bytes + cost <= socket->base.receive_bytes_max) {
        copy = net_memory_allocate_buffer(sizeof(*copy) + bytes);
    }
    if (copy == NULL) {
        socket->dropped++;
        return;
    }
    *copy = (struct packet_frame){
        .bytes = (uint32_t)bytes, .kind = kind, .device = (uint8_t)seen->device};
    __builtin_memcpy(copy->data, seen->frame, bytes);
    socket->received_bytes += cost;
    if (socket->last != NULL) {
        socket->last->next = copy;
    } else {
        socket->first = copy;
    }
    socket->last = copy;
    tell_readers(socket);
}

/* @impl ATL-LLR-NET-0902~1 */
void packet_note(const struct packet_seen *seen, const struct packet_socket *sender)
{
    if (seen->bytes < ETHERNET_HEADER_BYTES) {
        return; /* it is no frame */
    }
    uint8_t kind = kind_of(seen);
    posix_lock_acquire(&lock);
    for (struct packet_socket *socket = hearers; socket != NULL; socket = socket->next) {
        if (socket != sender) {
            posix_lock_acquire(&socket->base.lock);
            if (is_for(socket, seen)) {
                append(socket, seen, kind);
            }
            posix_lock_release(&socket->base.lock);
        }
    }
    posix_lock_release(&lock);
}

void packet_note_received(uint32_t device, const uint8_t *frame, size_t bytes)
{
    packet_note(&(struct packet_seen){frame, bytes, device, false}, NULL);
}

void packet_note_chain(uint32_t device, const struct pbuf *chain, bool is_sent)
{
    struct net_packet *whole = net_packet_copy(chain, NET_PACKET_TRANSMIT);
    if (whole != NULL) {
        packet_note(&(struct packet_seen){whole->data, whole->bytes, device, is_sent}, NULL);
        net_memory_free(whole);
    }
}

void packet_listen(struct packet_socket *socket)
{
    posix_lock_acquire(&lock);
    if (!socket->is_listed) {
        socket->is_listed = true;
        socket->next = hearers;
        hearers = socket;
        atomic_fetch_add(&packet_hearers, 1);
    }
    posix_lock_release(&lock);
}

void packet_stop_listening(struct packet_socket *socket)
{
    posix_lock_acquire(&lock);
    if (socket->is_listed) {
        struct packet_socket **place = &hearers;
        while (*place != socket) {
            place = &(*place)->next;
        }
        *place = socket->next;
        socket->is_listed = false;
        atomic_fetch_sub(&packet_hearers, 1);
    }
    posix_lock_release(&lock);
}

void packet_drop_received(struct packet_socket *socket)
{
    struct packet_frame *frame = socket->first;
    while (frame != NULL) {
        struct packet_frame *next = frame->next;
        net_memory_free(frame);
        frame = next;
    }
    socket->first = NULL;
    socket->last = NULL;
}

/* Takes the oldest frame out; for a peek it is put back. NULL: *result. */
static struct packet_frame *take(struct packet_socket *socket, uint64_t deadline_ns,
                                 int64_t *result)
{
    for (;;) {
        posix_lock_acquire(&socket->base.lock);
        *result = socket_take_error(&socket->base);
        struct packet_frame *frame = *result == 0 ? socket->first : NULL;
        if (frame != NULL) {
            socket->first = frame->next;
            if (socket->first == NULL) {
                socket->last = NULL;
            }
            socket->received_bytes -= frame->bytes + FRAME_COST;
        }
        if (frame != NULL || *result < 0) {
            posix_lock_release(&socket->base.lock);
            return frame;
        }
        *result = socket_wait(&socket->readers, &socket->base, deadline_ns);
        if (*result < 0) {
            return NULL;
        }
    }
}

static void put_back(struct packet_socket *socket, struct packet_frame *frame)
{
    posix_lock_acquire(&socket->base.lock);
    frame->next = socket->first;
    socket->first = frame;
    if (socket->last == NULL) {
        socket->last = frame;
    }
    socket->received_bytes += frame->bytes + FRAME_COST;
    tell_readers(socket);
    posix_lock_release(&socket->base.lock);
}

static void store_name(const struct packet_frame *frame, struct socket_address *name)
{
    struct linux_sockaddr_ll from = {.family = AF_PACKET,
                                     .protocol = protocol_of(frame->data),
                                     .device = (int32_t)(frame->device + NET_INDEX_FIRST),
                                     .hardware = ARPHRD_ETHER,
                                     .kind = frame->kind,
                                     .address_bytes = ETHERNET_ADDRESS_BYTES};
    __builtin_memcpy(from.address, frame->data + ETHERNET_ADDRESS_BYTES, ETHERNET_ADDRESS_BYTES);
    name->bytes = sizeof(from);
    __builtin_memcpy(name->storage, &from, sizeof(from));
}

/* @impl ATL-LLR-NET-0902~1 */
int64_t packet_op_receive(struct socket *base, struct socket_message *message)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    int64_t result;
    if ((message->flags & ~(MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC)) != 0) {
        return -EINVAL;
    }
    struct packet_frame *frame = take(socket, message->deadline_ns, &result);
    if (frame == NULL) {
        return result;
    }
    uint64_t bytes =
        frame->bytes < message->data.remaining ? frame->bytes : message->data.remaining;
    result = bytes != 0 ? posix_transfer_out(&message->data, frame->data, bytes) : 0;
    result = result < 0 || (uint64_t)result < bytes ? -EFAULT : result;
    if (result >= 0 && bytes < frame->bytes) {
        message->result_flags |= MSG_TRUNC;
        result = (message->flags & MSG_TRUNC) != 0 ? frame->bytes : result;
    }
    if (result >= 0 && message->name != NULL) {
        store_name(frame, message->name);
    }
    if ((message->flags & MSG_PEEK) != 0) {
        put_back(socket, frame);
    } else {
        net_memory_free(frame);
    }
    return result;
}

struct send_request {
    struct packet_socket *socket;
    struct net_packet *frames;
    bool has_room; /* for all of them */
};

/* Copies a frame for the device. False: it has no room. */
static bool send_here(const struct net_packet *frame, const struct packet_socket *sender)
{
    if (!transmit_bytes(frame->device, frame->data, frame->bytes)) {
        net_stack_note(NET_COUNT_DROPPED);
        return false;
    }
    if (atomic_load_explicit(&packet_hearers, memory_order_relaxed) != 0) {
        packet_note(&(struct packet_seen){frame->data, frame->bytes, frame->device, true}, sender);
    }
    return true;
}

static void send_in_stack(void *argument)
{
    struct send_request *request = argument;
    struct net_packet *frame = request->frames;
    request->has_room = true;
    while (frame != NULL) {
        struct net_packet *next = frame->next;
        request->has_room &= send_here(frame, request->socket);
        net_memory_free(frame);
        frame = next;
    }
}

/* By a core that has queues of their device. False: the device had no room for some. */
static bool send_all(struct packet_socket *socket, struct net_packet *frames)
{
    struct send_request request = {.socket = socket, .frames = frames};
    if (frames != NULL) {
        uint32_t queues = posix_info.networks[frames->device].queues;
        net_call(posix_core() % queues, send_in_stack, &request);
    }
    return frames == NULL || request.has_room;
}

/* Locked. */
static struct net_packet *take_pending(struct packet_socket *socket)
{
    struct net_packet *frames = socket->pending;
    socket->pending = NULL;
    socket->last_pending = NULL;
    socket->pending_count = 0;
    return frames;
}

void packet_op_flush(struct socket *base)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    posix_lock_acquire(&base->lock);
    struct net_packet *frames = take_pending(socket);
    posix_lock_release(&base->lock);
    (void)send_all(socket, frames); /* without room they are lost, as on any wire */
}

/* Adds a frame to those of sendmmsg, which are of one device. @ready  those that are to go now: of
 * another device, and of this one */
static void add_pending(struct packet_socket *socket, struct net_packet *frame, bool is_last,
                        struct net_packet *ready[static 2])
{
    posix_lock_acquire(&socket->base.lock);
    bool is_other = socket->pending != NULL && socket->pending->device != frame->device;
    ready[0] = is_other ? take_pending(socket) : NULL;
    if (socket->last_pending != NULL) {
        socket->last_pending->next = frame;
    } else {
        socket->pending = frame;
    }
    socket->last_pending = frame;
    bool is_full = ++socket->pending_count >= PENDING_MAX;
    ready[1] = is_last || is_full ? take_pending(socket) : NULL;
    posix_lock_release(&socket->base.lock);
}

/* By which device. -ENXIO: there is none | -EINVAL */
static int64_t choose_device(struct packet_socket *socket, const struct socket_address *name)
{
    struct linux_sockaddr_ll to;
    posix_lock_acquire(&socket->base.lock);
    uint32_t index = socket->index;
    posix_lock_release(&socket->base.lock);
    if (name != NULL && name->bytes != 0) {
        if (name->bytes < sizeof(to)) {
            return -EINVAL;
        }
        __builtin_memcpy(&to, name->storage, sizeof(to));
        index = (uint32_t)to.device;
    }
    uint32_t device = index - NET_INDEX_FIRST;
    return device_is_there(device) ? (int64_t)device : -ENXIO;
}

/* @impl ATL-LLR-NET-0903~1 */
int64_t packet_op_send(struct socket *base, struct socket_message *message)
{
    struct packet_socket *socket = (struct packet_socket *)base;
    uint64_t bytes = message->data.remaining;
    int64_t result = choose_device(socket, message->name);
    if (result < 0) {
        return result;
    }
    if (bytes < ETHERNET_HEADER_BYTES) {
        return -EINVAL;
    }
    uint32_t device = (uint32_t)result;
    if (bytes > packet_mtu(device) + ETHERNET_HEADER_BYTES) {
        return -EMSGSIZE;
    }
    struct net_packet *frame = net_memory_allocate_buffer(sizeof(*frame) + bytes);
    if (frame == NULL) {
        return -ENOBUFS;
    }
    frame->next = NULL;
    frame->bytes = (uint32_t)bytes;
    frame->device = (uint8_t)device;
    result = posix_transfer_in(&message->data, frame->data, bytes);
    if (result < 0 || (uint64_t)result < bytes) {
        net_memory_free(frame);
        return -EFAULT;
    }
    bool is_last = (message->flags & MSG_BATCH) == 0;
    struct net_packet *ready[2];
    add_pending(socket, frame, is_last, ready);
    if (ready[0] != NULL) {
        (void)send_all(socket, ready[0]); /* frames of other calls: without room they are lost */
    }
    return ready[1] == NULL || send_all(socket, ready[1]) ? (int64_t)bytes : -ENOBUFS;
}
