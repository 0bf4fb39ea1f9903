/* SPDX-License-Identifier: Apache-2.0 */
/* Names of AF_UNIX sockets: paths, which are nodes of the tree, and abstract names, which are in a
 * table of their own, each type for itself. */
#include "unix.h"

#include "../file/status.h"
#include "../file/tree.h"

#define FAMILY_BYTES sizeof(uint16_t)
#define ADDRESS_BYTES_MAX (FAMILY_BYTES + UNIX_PATH_BYTES_MAX)
#define BUCKET_COUNT 64u
#define CHOSEN_DIGITS 5u /* of a name that a socket gets by itself */
#define CHOSEN_COUNT (1u << 4 * CHOSEN_DIGITS)

/* Above the locks of the tree and of sockets. */
static struct posix_lock names_lock;
static struct unix_name *buckets[BUCKET_COUNT];
static uint32_t last_chosen;

/* ---- the node behind a path: open refuses it */

static int64_t node_refuse_open(struct posix_file *file)
{
    (void)file;
    return -ENXIO;
}

static const struct posix_file_operations node_operations = {
    .open = node_refuse_open,
    .release = posix_file_release_node,
};

/* ---- addresses */

bool unix_address_is_valid(const struct socket_address *address)
{
    return address->bytes > FAMILY_BYTES && address->bytes <= ADDRESS_BYTES_MAX &&
           address->family == AF_UNIX;
}

static bool is_abstract(const struct socket_address *address)
{
    return address->storage[FAMILY_BYTES] == 0;
}

/* Of a valid address that is no abstract one; it may lack the NUL, but behind it there are zeros.
 */
static const char *path_of(const struct socket_address *address)
{
    return (const char *)address->storage + FAMILY_BYTES;
}

static struct unix_name *make_name(const struct socket_address *address, uint32_t type)
{
    struct unix_name *name = posix_allocate(sizeof(*name));
    if (name != NULL) {
        name->references = 1;
        name->type = type;
        name->address = *address;
        if (!is_abstract(address)) {
            name->address.bytes = (uint32_t)(FAMILY_BYTES + __builtin_strlen(path_of(address)) + 1);
        }
    }
    return name;
}

void unix_name_put(struct unix_name *name)
{
    if (name != NULL &&
        atomic_fetch_sub_explicit(&name->references, 1, memory_order_acq_rel) == 1) {
        posix_free(name);
    }
}

/* ---- abstract names; names_lock is held */

static struct unix_name **bucket_of(const struct socket_address *address)
{
    uint32_t hash = 0;
    for (uint32_t i = 0; i < address->bytes; i++) {
        hash = hash * 31 + address->storage[i];
    }
    return &buckets[hash % BUCKET_COUNT];
}

static struct unix_name *find_abstract(const struct socket_address *address, uint32_t type)
{
    struct unix_name *name = *bucket_of(address);
    while (name != NULL &&
           (name->type != type || name->address.bytes != address->bytes ||
            __builtin_memcmp(name->address.storage, address->storage, address->bytes) != 0)) {
        name = name->next;
    }
    return name;
}

static void give_name(struct unix_socket *self, struct unix_name *name)
{
    name->owner = self;
    self->name = name;
}

static int64_t add_abstract(struct unix_socket *self, struct unix_name *name)
{
    if (find_abstract(&name->address, name->type) != NULL) {
        return -EADDRINUSE;
    }
    struct unix_name **bucket = bucket_of(&name->address);
    name->next = *bucket;
    *bucket = name;
    give_name(self, name);
    return 0;
}

static void remove_abstract(const struct unix_name *name)
{
    struct unix_name **place = bucket_of(&name->address);
    while (*place != name) {
        place = &(*place)->next;
    }
    *place = name->next;
}

static int64_t find_node(const char *path, uint32_t flags, struct posix_node **node)
{
    struct posix_node *start = tree_working_directory();
    struct walk walk;
    tree_acquire();
    int64_t result = walk_path(&walk, start, path, flags);
    if (result == 0) {
        result = walk.node != NULL ? 0 : -ENOENT;
    }
    if (result == 0) {
        *node = node_get(walk.node);
    }
    walk_finish(&walk);
    tree_release();
    node_put(start);
    return result;
}

/* ---- giving names */

/* names_lock is held. */
static int64_t add_path(struct unix_socket *self, struct unix_name *name)
{
    struct posix_node *node = node_create(NODE_DEVICE, S_IFSOCK | (0777 & ~open_mask()));
    if (node == NULL) {
        return -ENOMEM;
    }
    node->device_file.operations = &node_operations;
    node->device_file.stream = (uintptr_t)name;
    struct posix_node *start = tree_working_directory();
    int64_t result = names_add_at(start, path_of(&name->address), node, true);
    node_put(start);
    if (result < 0) {
        node_put(node);
        return result == -EEXIST ? -EADDRINUSE : result;
    }
    name->node = node;
    give_name(self, name);
    return 0;
}

/* What bind says to a socket that has a name: a path is looked at first. */
static int64_t refuse_second(const struct socket_address *address)
{
    struct posix_node *node = NULL;
    int64_t result = is_abstract(address) ? -ENOENT : find_node(path_of(address), WALK_NAME, &node);
    if (node != NULL) {
        node_put(node);
        return -EADDRINUSE;
    }
    return result == -ENOENT ? -EINVAL : result;
}

/* @impl ATL-LLR-NET-0722~1 */
int64_t unix_bind(struct socket *socket, const struct socket_address *address)
{
    struct unix_socket *self = unix_of(socket);
    if (address->bytes == FAMILY_BYTES && address->family == AF_UNIX) {
        return unix_name_choose(self);
    }
    if (!unix_address_is_valid(address)) {
        return -EINVAL;
    }
    struct unix_name *name = make_name(address, socket->type);
    if (name == NULL) {
        return -ENOMEM;
    }
    posix_lock_acquire(&names_lock);
    int64_t result;
    if (self->name != NULL) {
        result = refuse_second(address);
    } else {
        result = is_abstract(address) ? add_abstract(self, name) : add_path(self, name);
    }
    posix_lock_release(&names_lock);
    if (result < 0) {
        unix_name_put(name);
    }
    return result;
}

static void write_digits(struct socket_address *address, uint32_t number)
{
    for (uint32_t i = 0; i < CHOSEN_DIGITS; i++) {
        uint32_t shift = 4 * (CHOSEN_DIGITS - 1 - i);
        address->storage[FAMILY_BYTES + 1 + i] =
            (uint8_t) "0123456789abcdef"[number >> shift & 0xf];
    }
}

/* @impl ATL-LLR-NET-0722~1 */
int64_t unix_name_choose(struct unix_socket *self)
{
    struct socket_address address = {.bytes = FAMILY_BYTES + 1 + CHOSEN_DIGITS};
    address.family = AF_UNIX;
    struct unix_name *name = make_name(&address, self->socket.type);
    if (name == NULL) {
        return -ENOMEM;
    }
    posix_lock_acquire(&names_lock);
    int64_t result = self->name != NULL ? 0 : -EADDRINUSE;
    for (uint32_t i = 0; i < CHOSEN_COUNT && result == -EADDRINUSE; i++) {
        last_chosen = (last_chosen + 1) % CHOSEN_COUNT;
        write_digits(&name->address, last_chosen);
        result = add_abstract(self, name);
    }
    bool is_used = self->name == name;
    posix_lock_release(&names_lock);
    if (!is_used) {
        unix_name_put(name);
    }
    return result == -EADDRINUSE ? -ENOSPC : result;
}

void unix_name_share(struct unix_socket *self, const struct unix_socket *from)
{
    struct unix_name *name = from->name;
    if (name != NULL) {
        atomic_fetch_add_explicit(&name->references, 1, memory_order_relaxed);
        self->name = name;
    }
}

void unix_name_drop(struct unix_socket *self)
{
    struct posix_node *node = NULL;
    struct unix_name *name = self->name;
    if (name == NULL) {
        return; /* most have none, and nobody else gives it one any more */
    }
    posix_lock_acquire(&names_lock);
    if (name->owner == self) {
        name->owner = NULL;
        node = name->node;
        if (node != NULL) {
            node->device_file.stream = 0;
        } else {
            remove_abstract(name);
        }
    }
    posix_lock_release(&names_lock);
    if (node != NULL) {
        node_put(node);
    }
}

/* ---- finding by name */

/* names_lock is held. */
static int64_t get_owner(const struct unix_name *name, uint32_t type, struct unix_socket **found)
{
    if (name == NULL || name->owner == NULL) {
        return -ECONNREFUSED;
    }
    if (name->type != type) {
        return -EPROTOTYPE;
    }
    *found = unix_get(name->owner);
    return 0;
}

/* @impl ATL-LLR-NET-0722~1 */
int64_t unix_find(const struct socket_address *address, uint32_t type, struct unix_socket **found)
{
    if (!unix_address_is_valid(address)) {
        return -EINVAL;
    }
    if (is_abstract(address)) {
        posix_lock_acquire(&names_lock);
        int64_t result = get_owner(find_abstract(address, type), type, found);
        posix_lock_release(&names_lock);
        return result;
    }
    struct posix_node *node = NULL;
    int64_t result = find_node(path_of(address), WALK_FOLLOW, &node);
    if (result < 0) {
        return result;
    }
    result = -ECONNREFUSED;
    if (node->kind == NODE_DEVICE && node->device_file.operations == &node_operations) {
        posix_lock_acquire(&names_lock);
        result = get_owner((const struct unix_name *)node->device_file.stream, // NOLINT
                           type, found);
        posix_lock_release(&names_lock);
    }
    node_put(node);
    return result;
}

/* ---- showing names */

void unix_name_show(const struct unix_socket *self, struct socket_address *address)
{
    const struct unix_name *name = self->name;
    address->bytes = 0;
    if (name != NULL) {
        *address = name->address;
    }
}

int64_t unix_name(struct socket *socket, enum socket_end end, struct socket_address *address)
{
    struct unix_socket *self = unix_of(socket);
    struct unix_socket *shown = self;
    if (end == SOCKET_PEER) {
        unix_lock(self);
        shown = self->state != UNIX_CONNECTING && self->peer != NULL ? unix_get(self->peer) : NULL;
        unix_unlock(self);
        if (shown == NULL) {
            return -ENOTCONN;
        }
    }
    unix_name_show(shown, address);
    if (address->bytes == 0) {
        address->bytes = FAMILY_BYTES;
        address->family = AF_UNIX;
    }
    if (end == SOCKET_PEER) {
        unix_put(shown);
    }
    return 0;
}
