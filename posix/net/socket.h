/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: what the calls and the address families share. A family is a row of the table in
 * socket.c; what its sockets do is a table of operations, as the operations of files are
 * (posix/file.h). The calls check and copy what comes from the application; operations get it in
 * posix/'s memory, but for the bytes of messages.
 *
 * Locks: operations are called with no lock held; socket->lock ranks above the file's own.
 * Error policy: Linux errno, negated. */
#ifndef POSIX_NET_SOCKET_H
#define POSIX_NET_SOCKET_H

#include "abi.h"

#include <posix/file.h>

#define SOCKET_OPTION_BYTES_MAX 256u
#define SOCKET_BUFFER_BYTES 212992u /* Linux's default of either direction, and its limit */

struct socket_address {
    uint32_t bytes; /* 0: none */
    union {
        uint16_t family;
        uint8_t storage[128];
    };
};

/* Linux's struct ucred. */
struct socket_credentials {
    int32_t process;
    uint32_t user, group;
};
#define SOCKET_CREDENTIALS_OWN ((struct socket_credentials){1, 0, 0})
#define SOCKET_CREDENTIALS_NONE ((struct socket_credentials){0, UINT32_MAX, UINT32_MAX})

/* Open files on their way in a message, referenced. */
struct socket_rights {
    struct socket_rights *next; /* of those that the same thread gives back: rights.c */
    uint32_t count;
    struct posix_file *files[];
};

/* What a family tells of a received message in its control data. */
#define SOCKET_ENTRY_BYTES_MAX 20u
struct socket_entry {
    uint32_t level, type, bytes; /* bytes of data; 0: nothing */
    uint8_t data[SOCKET_ENTRY_BYTES_MAX];
};

struct socket_message {
    struct posix_transfer data;
    uint32_t flags;              /* MSG_* of the call */
    uint32_t result_flags;       /* out: MSG_TRUNC, MSG_CTRUNC */
    uint64_t deadline_ns;        /* 0: do not wait */
    struct socket_address *name; /* send: to whom, or bytes == 0; receive: out, NULL: not wanted */
    uint8_t *control;            /* send: the application's, copied, for the family to parse */
    uint64_t control_bytes;
    struct socket_entry entry; /* receive: out */
    struct socket_rights *rights;
    struct socket_credentials credentials;
    bool has_credentials; /* send: they were given; receive: of the first byte */
};

enum socket_shut { SOCKET_SHUT_RECEIVE = 1, SOCKET_SHUT_SEND = 2, SOCKET_SHUT_BOTH = 3 };
enum socket_end { SOCKET_OWN, SOCKET_PEER };

struct socket;
struct socket_operations {
    int64_t (*bind)(struct socket *socket, const struct socket_address *name);
    /* Of connect, pair, listen, accept and shutdown NULL is -EOPNOTSUPP. */
    int64_t (*connect)(struct socket *socket, const struct socket_address *name,
                       uint64_t deadline_ns);
    int64_t (*pair)(struct socket *one, struct socket *other);
    int64_t (*listen)(struct socket *socket, uint32_t backlog);
    /* *accepted: a socket without a file, the caller's. */
    int64_t (*accept)(struct socket *socket, uint64_t deadline_ns, struct socket **accepted);
    int64_t (*name)(struct socket *socket, enum socket_end end, struct socket_address *name);
    /* Bytes moved. What is in message->rights after it, the caller gives back. */
    int64_t (*send)(struct socket *socket, struct socket_message *message);
    /* Sends what messages with MSG_BATCH left; NULL: they leave nothing. */
    void (*flush)(struct socket *socket);
    int64_t (*receive)(struct socket *socket, struct socket_message *message);
    int64_t (*shutdown)(struct socket *socket, enum socket_shut ends);
    int64_t (*ioctl)(struct socket *socket, uint64_t request, uint64_t argument);
    uint32_t (*poll)(struct socket *socket);
    /* Options of a protocol's level, in posix/'s memory; NULL: it has none. A value that is asked
     * for has room for SOCKET_OPTION_BYTES_MAX. */
    int64_t (*set_option)(struct socket *socket, int32_t level, uint32_t option, const void *value,
                          uint32_t bytes);
    int64_t (*get_option)(struct socket *socket, int32_t level, uint32_t option, void *value,
                          uint32_t *bytes);
    void (*settings_changed)(struct socket *socket); /* after any option was set; NULL: nothing */
    void (*release)(struct socket *socket);
};

/* Generic state, at the start of a family's own structure. */
struct socket {
    const struct socket_operations *operations;
    uint64_t number; /* st_ino */
    uint32_t domain, type, protocol;
    struct posix_lock lock;  /* guards what follows, and the family's state */
    struct posix_file *file; /* who is told of changes; NULL: none yet, or closed */
    int32_t error;           /* SO_ERROR, an errno, negated; 0: none */
    uint32_t shut;           /* enum socket_shut */
    bool is_listening;
    struct socket_credentials peer;               /* SO_PEERCRED */
    uint64_t receive_timeout_ns, send_timeout_ns; /* GATE_NEVER: none */
    uint32_t send_bytes_max, receive_bytes_max;
    int32_t receive_low, priority;
    uint32_t switches; /* bit n: option n is on */
    struct linux_linger linger;
};

/* ---- socket.c */
/* Sets what every new socket has. */
void socket_initialize(struct socket *socket, const struct socket_operations *operations,
                       uint32_t domain, uint32_t type);
/* -EAFNOSUPPORT and what the family says. */
int64_t socket_create(uint32_t domain, uint32_t type, uint32_t protocol, struct socket **socket);
/* An open file for the socket, which it takes over. NULL: no memory, the socket is the caller's. */
struct posix_file *socket_open(struct socket *socket, uint32_t flags);
/* The socket of a descriptor and its file, referenced for the caller. -EBADF | -ENOTSOCK */
int64_t socket_get(uint64_t descriptor, struct posix_file **file, struct socket **socket);
/* Until when a call with these flags may wait. */
uint64_t socket_deadline(const struct posix_file *file, uint32_t flags, uint64_t timeout_ns);
/* posix_wait with the errors of socket calls; deadline 0: -EAGAIN at once. Not locked on return. */
int64_t socket_wait(struct posix_wait_queue *queue, struct socket *socket, uint64_t deadline_ns);
/* The pending error, which is taken; 0: none. The lock is held. */
int64_t socket_take_error(struct socket *socket);
static inline bool socket_has(const struct socket *socket, uint32_t option)
{
    return (socket->switches >> option & 1) != 0;
}
/* As a write that finds nobody to read: SIGPIPE for the caller. */
void socket_signal_pipe(void);

/* ---- rights.c */
/* -EBADF | -EINVAL more than SCM_RIGHTS_MAX | -ENOMEM: *rights is as it was. Adds to *rights. */
int64_t socket_rights_add(struct socket_rights **rights, const int32_t *descriptors,
                          uint32_t count);
/* What they take of memory; NULL is allowed. */
static inline uint64_t socket_rights_bytes(const struct socket_rights *rights)
{
    return rights != NULL ? sizeof(*rights) + rights->count * sizeof(rights->files[0]) : 0;
}
/* The same files once more; NULL: no memory. */
struct socket_rights *socket_rights_copy(const struct socket_rights *rights);
/* Gives the files back; called from inside itself it leaves that to the outer call: files in a
 * message may be sockets with messages in them, to any depth. NULL is allowed. No lock is held. */
void socket_rights_discard(struct socket_rights *rights);

/* ---- control.c */
/* Copies the control data of a message that is sent; posix_free(message->control) follows.
 * -EFAULT | -ENOBUFS */
int64_t control_load(struct socket_message *message, uint64_t from, uint64_t bytes);
/* Makes rights and credentials of it; what is in message->rights then is the caller's in any case.
 * -EINVAL | -EBADF | -ESRCH | -ENOMEM */
int64_t control_parse(struct socket_message *message);
/* Stores what came with a message; the bytes that are used. Takes message->rights. */
uint64_t control_store(const struct socket *socket, struct socket_message *message, uint64_t to,
                       uint64_t bytes);

/* ---- address.c */
/* -EINVAL | -EFAULT */
int64_t address_load(struct socket_address *address, uint64_t from, uint64_t bytes);
/* As much as the length at bytes_at allows, and the whole length there. -EINVAL | -EFAULT */
int64_t address_store(const struct socket_address *address, uint64_t to, uint64_t bytes_at);

#endif
