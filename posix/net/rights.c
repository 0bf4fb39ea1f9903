/* SPDX-License-Identifier: Apache-2.0 */
/* Open files in messages. */
#include "../file/descriptor.h"
#include "socket.h"

#include <posix/thread.h>

static struct socket_rights *make(uint32_t count)
{
    return posix_allocate(sizeof(struct socket_rights) + count * sizeof(struct posix_file *));
}

static void put_files(struct posix_file *const *files, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        posix_file_put(files[i]);
    }
}

/* @impl ATL-LLR-NET-0710~1 */
int64_t socket_rights_add(struct socket_rights **rights, const int32_t *descriptors, uint32_t count)
{
    struct socket_rights *old = *rights;
    uint32_t before = old != NULL ? old->count : 0;
    if (count > SCM_RIGHTS_MAX || before + count > SCM_RIGHTS_MAX) {
        return -EINVAL;
    }
    struct socket_rights *more = make(before + count);
    if (more == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct posix_file *file = descriptor_get_any((uint64_t)(uint32_t)descriptors[i]);
        if (file == NULL) {
            put_files(more->files + before, i);
            posix_free(more);
            return -EBADF;
        }
        more->files[before + i] = file;
    }
    for (uint32_t i = 0; i < before; i++) {
        more->files[i] = old->files[i];
    }
    more->count = before + count;
    posix_free(old);
    *rights = more;
    return 0;
}

struct socket_rights *socket_rights_copy(const struct socket_rights *rights)
{
    struct socket_rights *copy = make(rights->count);
    if (copy != NULL) {
        copy->count = rights->count;
        for (uint32_t i = 0; i < rights->count; i++) {
            copy->files[i] = rights->files[i];
            atomic_fetch_add_explicit(&copy->files[i]->references, 1, memory_order_relaxed);
        }
    }
    return copy;
}

/* A file may be a socket with files in its messages, and so on: the thread keeps what it meets on
 * the way for the outermost call, so that its stack stays flat however deep they lie.
 * @impl ATL-LLR-NET-0711~1
 * @impl ATL-LLR-NET-0805~1 */
void socket_rights_discard(struct socket_rights *rights)
{
    struct posix_thread *self = posix_self();
    if (rights == NULL) {
        return;
    }
    if (self->discarded != NULL) {
        rights->next = *self->discarded;
        *self->discarded = rights;
        return;
    }
    self->discarded = &rights;
    while (rights != NULL) {
        struct socket_rights *first = rights;
        rights = first->next;
        put_files(first->files, first->count);
        posix_free(first);
    }
    self->discarded = NULL;
}
