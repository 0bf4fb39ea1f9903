/* SPDX-License-Identifier: Apache-2.0 */
/* Control data of messages: open files and credentials. */
#include "../file/descriptor.h"
#include "socket.h"

#include <posix/thread.h>

#define CONTROL_BYTES_MAX 20480u /* Linux's optmem_max */
#define HEADER_BYTES sizeof(struct linux_cmsghdr)

static bool is_thread(struct posix_thread *thread, void *context)
{
    (void)thread, (void)context;
    return true;
}

/* The process is there even when its first thread has ended.
 * @impl ATL-LLR-NET-0806~1 */
static int64_t load_credentials(struct socket_message *message, const uint8_t *data, uint64_t bytes)
{
    struct socket_credentials credentials;
    if (bytes != sizeof(credentials)) {
        return -EINVAL;
    }
    __builtin_memcpy(&credentials, data, sizeof(credentials));
    if (credentials.process != POSIX_PROCESS_ID &&
        !posix_thread_visit(credentials.process, is_thread, NULL)) {
        return -ESRCH;
    }
    if (credentials.user == UINT32_MAX || credentials.group == UINT32_MAX) {
        return -EINVAL;
    }
    message->credentials = credentials;
    message->has_credentials = true;
    return 0;
}

static int64_t load_entry(struct socket_message *message, const struct linux_cmsghdr *header,
                          const uint8_t *data)
{
    uint64_t bytes = header->bytes - HEADER_BYTES;
    if (header->level != SOL_SOCKET) {
        return 0;
    }
    if (header->type == SCM_CREDENTIALS) {
        return load_credentials(message, data, bytes);
    }
    if (header->type != SCM_RIGHTS) {
        return -EINVAL;
    }
    uint64_t count = bytes / sizeof(int32_t);
    if (count > SCM_RIGHTS_MAX) {
        return -EINVAL;
    }
    return count == 0 ? 0
                      : socket_rights_add(&message->rights, (const int32_t *)data, (uint32_t)count);
}

/* As CMSG_FIRSTHDR, CMSG_NXTHDR and CMSG_OK of Linux: what is too short for a header ends it.
 * @impl ATL-LLR-NET-0713~1 */
int64_t control_parse(struct socket_message *message)
{
    const uint8_t *control = message->control;
    uint64_t bytes = message->control_bytes;
    uint64_t at = 0;
    while (bytes - at >= HEADER_BYTES) {
        struct linux_cmsghdr header;
        __builtin_memcpy(&header, control + at, sizeof(header));
        if (header.bytes < HEADER_BYTES || header.bytes > bytes - at) {
            return -EINVAL;
        }
        int64_t result = load_entry(message, &header, control + at + HEADER_BYTES);
        if (result < 0) {
            return result;
        }
        uint64_t step = CMSG_ALIGN(header.bytes);
        at = step < bytes - at ? at + step : bytes;
    }
    return 0;
}

int64_t control_load(struct socket_message *message, uint64_t from, uint64_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    if (bytes > CONTROL_BYTES_MAX) {
        return -ENOBUFS;
    }
    message->control = posix_allocate(bytes);
    if (message->control == NULL) {
        return -ENOBUFS;
    }
    message->control_bytes = bytes;
    return posix_copy_in(message->control, from, bytes);
}

/* Where the next entry goes. */
struct place {
    uint64_t at, room;
};

static int64_t store_header(struct place *place, uint32_t level, uint32_t type, uint64_t bytes)
{
    struct linux_cmsghdr header = {HEADER_BYTES + bytes, (int32_t)level, (int32_t)type};
    return posix_copy_out(place->at, &header, sizeof(header));
}

static void advance(struct place *place, uint64_t bytes)
{
    uint64_t step = CMSG_ALIGN(HEADER_BYTES + bytes);
    step = step < place->room ? step : place->room;
    place->at += step;
    place->room -= step;
}

/* Cut to the room there is. */
static void store_entry(struct place *place, struct socket_message *message,
                        const struct socket_entry *entry)
{
    uint64_t bytes = entry->bytes;
    if (place->room < HEADER_BYTES) {
        message->result_flags |= MSG_CTRUNC;
        return;
    }
    if (place->room < HEADER_BYTES + bytes) {
        message->result_flags |= MSG_CTRUNC;
        bytes = place->room - HEADER_BYTES;
    }
    if (store_header(place, entry->level, entry->type, bytes) == 0 &&
        posix_copy_out(place->at + HEADER_BYTES, entry->data, bytes) == 0) {
        advance(place, bytes);
    }
}

static void store_credentials(struct place *place, struct socket_message *message)
{
    struct socket_entry entry = {SOL_SOCKET, SCM_CREDENTIALS, sizeof(message->credentials), {0}};
    __builtin_memcpy(entry.data, &message->credentials, sizeof(message->credentials));
    store_entry(place, message, &entry);
}

/* Gives one file a descriptor and stores that. */
static int64_t store_file(struct posix_file *file, bool close_on_exec, uint64_t to)
{
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
    int64_t descriptor = descriptor_reserve();
    if (descriptor >= 0 && posix_store_u32(to, (uint32_t)descriptor) != 0) {
        descriptor_fill((uint64_t)descriptor, NULL, false);
        descriptor = -EFAULT;
    }
    if (descriptor < 0) {
        posix_file_put(file);
        return descriptor;
    }
    descriptor_fill((uint64_t)descriptor, file, close_on_exec);
    return 0;
}

/* As many as there is room and descriptors for; the others are given back. */
static void store_rights(struct place *place, struct socket_message *message)
{
    const struct socket_rights *rights = message->rights;
    uint64_t room = place->room > HEADER_BYTES ? (place->room - HEADER_BYTES) / sizeof(int32_t) : 0;
    uint32_t done = 0;
    bool close_on_exec = (message->flags & MSG_CMSG_CLOEXEC) != 0;
    while (done < rights->count && done < room &&
           store_file(rights->files[done], close_on_exec,
                      place->at + HEADER_BYTES + done * sizeof(int32_t)) == 0) {
        done++;
    }
    if (done != 0 && store_header(place, SOL_SOCKET, SCM_RIGHTS, done * sizeof(int32_t)) == 0) {
        advance(place, done * sizeof(int32_t));
    }
    if (done < rights->count) {
        message->result_flags |= MSG_CTRUNC;
    }
}

/* @impl ATL-LLR-NET-0714~1 */
uint64_t control_store(const struct socket *socket, struct socket_message *message, uint64_t to,
                       uint64_t bytes)
{
    struct place place = {to, bytes};
    bool wants_credentials = socket_has(socket, SO_PASSCRED);
    bool has_entry = message->entry.bytes != 0;
    if (to == 0 && (wants_credentials || has_entry || message->rights != NULL)) {
        message->result_flags |= MSG_CTRUNC;
    } else if (to != 0) {
        if (wants_credentials) {
            store_credentials(&place, message);
        }
        if (has_entry) {
            store_entry(&place, message, &message->entry);
        }
        if (message->rights != NULL) {
            store_rights(&place, message);
        }
    }
    socket_rights_discard(message->rights);
    message->rights = NULL;
    return place.at - to;
}
