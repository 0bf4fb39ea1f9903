/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that send and receive: what the application gives becomes a struct socket_message. */
#include "socket.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define VECTORS_MAX 1024u
#define MESSAGES_MAX 1024u

/* One buffer of the application as a transfer. */
static int64_t load_buffer(struct posix_transfer *data, struct posix_vector *vector,
                           uint64_t address, uint64_t bytes)
{
    vector->address = address;
    vector->bytes = bytes < POSIX_TRANSFER_BYTES_MAX ? bytes : POSIX_TRANSFER_BYTES_MAX;
    *data = (struct posix_transfer){vector, 1, 0, vector->bytes};
    return posix_transfer_is_user(address, vector->bytes) ? 0 : -EFAULT;
}

/* @impl ATL-LLR-NET-0706~1 */
int64_t posix_sendto(uint64_t descriptor, uint64_t address, uint64_t bytes, uint64_t flags,
                     uint64_t to, uint64_t to_bytes)
{
    struct posix_file *file;
    struct socket *socket;
    struct posix_vector vector;
    struct socket_address name;
    struct socket_message message = {.flags = (uint32_t)flags & ~MSG_BATCH, .name = &name};
    name.bytes = 0;
    int64_t result = load_buffer(&message.data, &vector, address, bytes);
    if (result == 0) {
        result = socket_get(descriptor, &file, &socket);
    }
    if (result < 0) {
        return result;
    }
    if (to != 0) {
        result = address_load(&name, to, to_bytes);
    }
    if (result == 0) {
        message.deadline_ns = socket_deadline(file, message.flags, socket->send_timeout_ns);
        result = socket->operations->send(socket, &message);
    }
    posix_file_put(file);
    return result;
}

/* @impl ATL-LLR-NET-0707~1 */
int64_t posix_recvfrom(uint64_t descriptor, uint64_t address, uint64_t bytes, uint64_t flags,
                       uint64_t to, uint64_t bytes_at)
{
    struct posix_file *file;
    struct socket *socket;
    struct posix_vector vector;
    struct socket_address name;
    struct socket_message message = {.flags = (uint32_t)flags};
    name.bytes = 0;
    message.name = to != 0 ? &name : NULL;
    int64_t result = load_buffer(&message.data, &vector, address, bytes);
    if (result == 0) {
        result = socket_get(descriptor, &file, &socket);
    }
    if (result < 0) {
        return result;
    }
    message.deadline_ns = socket_deadline(file, message.flags, socket->receive_timeout_ns);
    result = socket->operations->receive(socket, &message);
    socket_rights_discard(message.rights);
    if (result >= 0 && to != 0) {
        int64_t stored = address_store(&name, to, bytes_at);
        result = stored < 0 ? stored : result;
    }
    posix_file_put(file);
    return result;
}

/* The application's struct msghdr and what it leads to, but control data. */
struct header {
    struct linux_msghdr raw;
    struct posix_vector inline_vectors[POSIX_VECTORS_INLINE];
    void *allocated;
    struct socket_address name;
};

/* On failure nothing is to be freed. */
static int64_t load_header(struct header *header, uint64_t from, struct posix_transfer *data,
                           bool has_name)
{
    if (posix_copy_in(&header->raw, from, sizeof(header->raw)) != 0) {
        return -EFAULT;
    }
    header->name.bytes = 0;
    if (header->raw.name != 0 && header->raw.name_bytes < 0) {
        return -EINVAL;
    }
    if (has_name && header->raw.name != 0 && header->raw.name_bytes != 0) {
        uint64_t bytes = (uint64_t)header->raw.name_bytes;
        uint64_t most = sizeof(header->name.storage);
        int64_t loaded = address_load(&header->name, header->raw.name, bytes < most ? bytes : most);
        if (loaded < 0) {
            return loaded;
        }
    }
    if (header->raw.vector_count > VECTORS_MAX) {
        return -EMSGSIZE;
    }
    int64_t result = posix_transfer_load(data, header->raw.vectors, header->raw.vector_count,
                                         header->inline_vectors, &header->allocated);
    if (result < 0) {
        posix_free(header->allocated);
    }
    return result;
}

/* @impl ATL-LLR-NET-0706~1 */
static int64_t send_one(struct posix_file *file, uint64_t from, uint32_t flags)
{
    struct socket *socket = file->context;
    struct header header;
    struct socket_message message = {.flags = flags, .name = &header.name};
    int64_t result = load_header(&header, from, &message.data, true);
    if (result < 0) {
        return result;
    }
    result = header.raw.control_bytes > INT32_MAX
                 ? -ENOBUFS
                 : control_load(&message, header.raw.control, header.raw.control_bytes);
    if (result == 0) {
        message.deadline_ns = socket_deadline(file, flags, socket->send_timeout_ns);
        result = socket->operations->send(socket, &message);
    }
    socket_rights_discard(message.rights);
    posix_free(message.control);
    posix_free(header.allocated);
    return result;
}

/* One message of a socket by send_one or receive_one. */
static int64_t message_call(uint64_t descriptor, uint64_t at, uint32_t flags,
                            int64_t (*one)(struct posix_file *, uint64_t, uint32_t))
{
    struct posix_file *file;
    struct socket *socket;
    if ((flags & MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result == 0) {
        result = one(file, at, flags);
        posix_file_put(file);
    }
    return result;
}

int64_t posix_sendmsg(uint64_t descriptor, uint64_t from, uint64_t flags)
{
    return message_call(descriptor, from, (uint32_t)flags & ~MSG_BATCH, send_one);
}

#define AT(structure, member) (uint64_t) offsetof(struct structure, member)

/* What came besides the bytes, into the application's struct msghdr. */
static int64_t store_results(const struct socket *socket, struct socket_message *message,
                             const struct header *header, uint64_t at)
{
    if (header->raw.name != 0 &&
        address_store(&header->name, header->raw.name, at + AT(linux_msghdr, name_bytes)) < 0) {
        return -EFAULT;
    }
    uint64_t used = control_store(socket, message, header->raw.control, header->raw.control_bytes);
    uint32_t flags = message->result_flags | (message->flags & MSG_CMSG_CLOEXEC);
    if (posix_store_u32(at + AT(linux_msghdr, flags), flags) != 0) {
        return -EFAULT;
    }
    return posix_copy_out(at + AT(linux_msghdr, control_bytes), &used, sizeof(used));
}

/* @impl ATL-LLR-NET-0707~1 */
static int64_t receive_one(struct posix_file *file, uint64_t at, uint32_t flags)
{
    struct socket *socket = file->context;
    struct header header;
    struct socket_message message = {.flags = flags};
    int64_t result = load_header(&header, at, &message.data, false);
    if (result < 0) {
        return result;
    }
    message.name = header.raw.name != 0 ? &header.name : NULL;
    message.deadline_ns = socket_deadline(file, flags, socket->receive_timeout_ns);
    result = socket->operations->receive(socket, &message);
    if (result >= 0) {
        int64_t stored = store_results(socket, &message, &header, at);
        result = stored < 0 ? stored : result;
    }
    socket_rights_discard(message.rights);
    posix_free(header.allocated);
    return result;
}

int64_t posix_recvmsg(uint64_t descriptor, uint64_t at, uint64_t flags)
{
    return message_call(descriptor, at, (uint32_t)flags, receive_one);
}

static int64_t store_bytes(uint64_t at, int64_t bytes)
{
    return posix_store_u32(at + AT(linux_mmsghdr, bytes), (uint32_t)bytes);
}

/* @impl ATL-LLR-NET-0708~1 */
int64_t posix_sendmmsg(uint64_t descriptor, uint64_t from, uint64_t count, uint64_t flags)
{
    struct posix_file *file;
    struct socket *socket;
    if (((uint32_t)flags & MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    uint32_t wanted = (uint32_t)count < MESSAGES_MAX ? (uint32_t)count : MESSAGES_MAX;
    uint32_t done = 0;
    while (done < wanted && result >= 0) {
        uint64_t at = from + done * sizeof(struct linux_mmsghdr);
        result = send_one(file, at, (uint32_t)flags | MSG_BATCH);
        if (result >= 0) {
            result = store_bytes(at, result);
        }
        done += result >= 0 ? 1 : 0;
    }
    if (socket->operations->flush != NULL) {
        socket->operations->flush(socket);
    }
    posix_file_put(file);
    return done != 0 ? done : result;
}

/* Until when recvmmsg goes on; it looks between messages only, as Linux does. */
static int64_t load_limit(uint64_t from, uint64_t *deadline_ns)
{
    struct posix_timespec time;
    *deadline_ns = GATE_NEVER;
    if (from == 0) {
        return 0;
    }
    if (posix_copy_in(&time, from, sizeof(time)) != 0) {
        return -EFAULT;
    }
    if (!posix_timespec_is_valid(&time)) {
        return -EINVAL;
    }
    *deadline_ns = posix_deadline_after(posix_timespec_to_ns(&time));
    return 0;
}

static int64_t store_limit(uint64_t to, uint64_t deadline_ns)
{
    uint64_t now = posix_now_ns();
    struct posix_timespec rest = posix_timespec_of_ns(deadline_ns > now ? deadline_ns - now : 0);
    return to != 0 ? posix_copy_out(to, &rest, sizeof(rest)) : 0;
}

/* An error behind the first message is kept for the next call. */
static int64_t receive_many(struct posix_file *file, uint64_t at, uint32_t count, uint32_t flags,
                            uint64_t deadline_ns)
{
    struct socket *socket = file->context;
    posix_lock_acquire(&socket->lock);
    int64_t result = socket_take_error(socket);
    posix_lock_release(&socket->lock);
    uint32_t done = 0;
    while (done < count && result >= 0) {
        result = receive_one(file, at, flags & ~MSG_WAITFORONE);
        if (result >= 0) {
            result = store_bytes(at, result);
        }
        if (result < 0) {
            break;
        }
        done++;
        at += sizeof(struct linux_mmsghdr);
        flags |= (flags & MSG_WAITFORONE) != 0 ? MSG_DONTWAIT : 0;
        if (posix_now_ns() >= deadline_ns) {
            break;
        }
    }
    bool is_error = result < 0 && result > -ERESTARTSYS && result != -EAGAIN;
    if (done != 0 && is_error) {
        posix_lock_acquire(&socket->lock);
        socket->error = (int32_t)result;
        posix_lock_release(&socket->lock);
    }
    return done != 0 ? done : result;
}

/* @impl ATL-LLR-NET-0708~1 */
int64_t posix_recvmmsg(uint64_t descriptor, uint64_t at, uint64_t count, uint64_t flags,
                       uint64_t timeout)
{
    struct posix_file *file;
    struct socket *socket;
    uint64_t deadline_ns;
    if (((uint32_t)flags & MSG_CMSG_COMPAT) != 0) {
        return -EINVAL;
    }
    int64_t result = load_limit(timeout, &deadline_ns);
    if (result == 0) {
        result = socket_get(descriptor, &file, &socket);
    }
    if (result < 0) {
        return result;
    }
    result = receive_many(file, at, (uint32_t)count, (uint32_t)flags, deadline_ns);
    posix_file_put(file);
    if (result > 0 && store_limit(timeout, deadline_ns) != 0) {
        result = -EFAULT;
    }
    return result;
}
