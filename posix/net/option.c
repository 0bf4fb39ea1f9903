/* SPDX-License-Identifier: Apache-2.0 */
/* getsockopt and setsockopt at SOL_SOCKET. The other levels belong to protocols. */
#include "socket.h"

#include <posix/syscalls.h>
#include <posix/time.h>

#define SEND_BYTES_MIN 4608u
#define RECEIVE_BYTES_MIN 2304u
#define US_PER_S 1000000
#define NS_PER_US 1000u

/* Kept, and of no effect but where socket_has asks. */
#define SWITCHES                                                                                   \
    (1u << SO_DEBUG | 1u << SO_REUSEADDR | 1u << SO_DONTROUTE | 1u << SO_BROADCAST |               \
     1u << SO_KEEPALIVE | 1u << SO_OOBINLINE | 1u << SO_REUSEPORT | 1u << SO_PASSCRED)

static bool is_switch(uint32_t option)
{
    return option < 32 && (SWITCHES >> option & 1) != 0;
}

/* Linux doubles what is asked for, to have room for what a packet costs besides. */
static uint32_t buffer_bytes(int32_t wanted, uint32_t least, bool is_forced)
{
    uint32_t value = (uint32_t)wanted;
    uint32_t most = is_forced ? INT32_MAX / 2 : SOCKET_BUFFER_BYTES;
    if (is_forced && wanted < 0) {
        value = 0;
    }
    value = (value < most ? value : most) * 2;
    return value > least ? value : least;
}

static int64_t load_timeout(uint64_t from, uint32_t bytes, uint64_t *timeout_ns)
{
    struct posix_timeval time;
    if (bytes < sizeof(time)) {
        return -EINVAL;
    }
    if (posix_copy_in(&time, from, sizeof(time)) != 0) {
        return -EFAULT;
    }
    if (time.microseconds < 0 || time.microseconds >= US_PER_S) {
        return -EDOM;
    }
    if (time.seconds < 0) {
        *timeout_ns = 0;
    } else if (time.seconds == 0 && time.microseconds == 0) {
        *timeout_ns = GATE_NEVER;
    } else {
        struct posix_timespec precise = {time.seconds, time.microseconds * (int64_t)NS_PER_US};
        *timeout_ns = posix_timespec_to_ns(&precise);
    }
    return 0;
}

static int64_t set_timeout(struct socket *socket, uint32_t option, uint64_t from, uint32_t bytes)
{
    uint64_t timeout_ns;
    int64_t result = load_timeout(from, bytes, &timeout_ns);
    if (result == 0) {
        posix_lock_acquire(&socket->lock);
        if (option == SO_RCVTIMEO || option == SO_RCVTIMEO_NEW) {
            socket->receive_timeout_ns = timeout_ns;
        } else {
            socket->send_timeout_ns = timeout_ns;
        }
        posix_lock_release(&socket->lock);
    }
    return result;
}

static int64_t set_linger(struct socket *socket, uint64_t from, uint32_t bytes)
{
    struct linux_linger linger;
    if (bytes < sizeof(linger)) {
        return -EINVAL;
    }
    if (posix_copy_in(&linger, from, sizeof(linger)) != 0) {
        return -EFAULT;
    }
    posix_lock_acquire(&socket->lock);
    socket->linger.is_on = linger.is_on != 0;
    if (linger.is_on != 0) {
        socket->linger.seconds = linger.seconds;
    }
    posix_lock_release(&socket->lock);
    return 0;
}

/* The socket is locked. */
static int64_t set_number(struct socket *socket, uint32_t option, int32_t value)
{
    if (is_switch(option)) {
        socket->switches &= ~(1u << option);
        socket->switches |= value != 0 ? 1u << option : 0;
        return 0;
    }
    switch (option) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        socket->send_bytes_max = buffer_bytes(value, SEND_BYTES_MIN, option == SO_SNDBUFFORCE);
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        socket->receive_bytes_max =
            buffer_bytes(value, RECEIVE_BYTES_MIN, option == SO_RCVBUFFORCE);
        return 0;
    case SO_PRIORITY:
        socket->priority = value;
        return 0;
    case SO_RCVLOWAT:
        socket->receive_low = value < 0 ? INT32_MAX : value == 0 ? 1 : value;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int64_t set_option(struct socket *socket, uint32_t option, uint64_t from, uint32_t bytes)
{
    int32_t value;
    if (bytes < sizeof(value)) {
        return -EINVAL;
    }
    if (posix_copy_in(&value, from, sizeof(value)) != 0) {
        return -EFAULT;
    }
    switch (option) {
    case SO_LINGER:
        return set_linger(socket, from, bytes);
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
    case SO_RCVTIMEO_NEW:
    case SO_SNDTIMEO_NEW:
        return set_timeout(socket, option, from, bytes);
    default:
        break;
    }
    posix_lock_acquire(&socket->lock);
    int64_t result = set_number(socket, option, value);
    posix_lock_release(&socket->lock);
    return result;
}

static int64_t set_of_protocol(struct socket *socket, int32_t level, uint32_t option, uint64_t from,
                               uint32_t bytes)
{
    uint8_t value[SOCKET_OPTION_BYTES_MAX];
    if (socket->operations->set_option == NULL) {
        return -EOPNOTSUPP;
    }
    bytes = bytes < sizeof(value) ? bytes : sizeof(value);
    if (posix_copy_in(value, from, bytes) != 0) {
        return -EFAULT;
    }
    return socket->operations->set_option(socket, level, option, value, bytes);
}

/* @impl ATL-LLR-NET-0715~1 */
int64_t posix_setsockopt(uint64_t descriptor, uint64_t level, uint64_t option, uint64_t from,
                         uint64_t bytes)
{
    struct posix_file *file;
    struct socket *socket;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    result = (int32_t)bytes < 0 ? -EINVAL
             : (int32_t)level == SOL_SOCKET
                 ? set_option(socket, (uint32_t)option, from, (uint32_t)bytes)
                 : set_of_protocol(socket, (int32_t)level, (uint32_t)option, from, (uint32_t)bytes);
    if (result == 0 && socket->operations->settings_changed != NULL) {
        socket->operations->settings_changed(socket);
    }
    posix_file_put(file);
    return result;
}

struct value {
    uint32_t bytes;
    union {
        uint8_t bytes_of[SOCKET_OPTION_BYTES_MAX];
        int32_t number;
        struct linux_linger linger;
        struct posix_timeval time;
        struct socket_credentials credentials;
    };
};

static void get_timeout(struct value *value, uint64_t timeout_ns)
{
    value->bytes = sizeof(value->time);
    value->time = (struct posix_timeval){0, 0};
    if (timeout_ns != GATE_NEVER) {
        value->time = posix_timeval_of_ns(timeout_ns);
    }
}

static int64_t get_number(struct socket *socket, uint32_t option, int32_t *number)
{
    if (is_switch(option)) {
        *number = socket_has(socket, option);
        return 0;
    }
    switch (option) {
    case SO_TYPE:
        *number = (int32_t)socket->type;
        return 0;
    case SO_ERROR:
        *number = (int32_t)-socket_take_error(socket);
        return 0;
    case SO_DOMAIN:
        *number = (int32_t)socket->domain;
        return 0;
    case SO_PROTOCOL:
        *number = (int32_t)socket->protocol;
        return 0;
    case SO_SNDBUF:
        *number = (int32_t)socket->send_bytes_max;
        return 0;
    case SO_RCVBUF:
        *number = (int32_t)socket->receive_bytes_max;
        return 0;
    case SO_PRIORITY:
        *number = socket->priority;
        return 0;
    case SO_RCVLOWAT:
        *number = socket->receive_low;
        return 0;
    case SO_SNDLOWAT:
        *number = 1;
        return 0;
    case SO_ACCEPTCONN:
        *number = socket->is_listening;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

/* The socket is locked. */
static int64_t get_option(struct socket *socket, uint32_t option, struct value *value)
{
    switch (option) {
    case SO_LINGER:
        value->bytes = sizeof(value->linger);
        value->linger = socket->linger;
        return 0;
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        get_timeout(value, socket->receive_timeout_ns);
        return 0;
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        get_timeout(value, socket->send_timeout_ns);
        return 0;
    case SO_PEERCRED:
        value->bytes = sizeof(value->credentials);
        value->credentials = socket->peer;
        return 0;
    default:
        value->bytes = sizeof(value->number);
        return get_number(socket, option, &value->number);
    }
}

static int64_t get(struct socket *socket, int32_t level, uint32_t option, struct value *value)
{
    if (level != SOL_SOCKET) {
        return socket->operations->get_option(socket, level, option, value->bytes_of,
                                              &value->bytes);
    }
    posix_lock_acquire(&socket->lock);
    int64_t result = get_option(socket, option, value);
    posix_lock_release(&socket->lock);
    return result;
}

static int64_t get_and_store(struct socket *socket, int32_t level, uint32_t option, uint64_t to,
                             uint64_t bytes_at)
{
    struct value value;
    uint32_t room;
    if (level != SOL_SOCKET && socket->operations->get_option == NULL) {
        return -EOPNOTSUPP;
    }
    if (posix_load_u32(bytes_at, &room) != 0) {
        return -EFAULT;
    }
    if (room > INT32_MAX) {
        return -EINVAL;
    }
    int64_t result = get(socket, level, option, &value);
    if (result < 0) {
        return result;
    }
    uint32_t bytes = value.bytes < room ? value.bytes : room;
    if (bytes != 0 && posix_copy_out(to, &value.number, bytes) != 0) {
        return -EFAULT;
    }
    return posix_store_u32(bytes_at, bytes);
}

/* @impl ATL-LLR-NET-0715~1 */
int64_t posix_getsockopt(uint64_t descriptor, uint64_t level, uint64_t option, uint64_t to,
                         uint64_t bytes_at)
{
    struct posix_file *file;
    struct socket *socket;
    int64_t result = socket_get(descriptor, &file, &socket);
    if (result < 0) {
        return result;
    }
    result = get_and_store(socket, (int32_t)level, (uint32_t)option, to, bytes_at);
    posix_file_put(file);
    return result;
}
