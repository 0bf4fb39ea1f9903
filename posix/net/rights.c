/* SPDX-License-Identifier: Apache-2.0 */
/* Open files in messages. */
#include "../file/descriptor.h"
#include "socket.h"

/* What is to be given back, and whether a thread does so. */
static struct posix_lock discard_lock;
static struct socket_rights *discarded;
static bool is_discarding;

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

/* The next ones to give back; NULL: this thread is done. */
static struct socket_rights *take_discarded(void)
{
    posix_lock_acquire(&discard_lock);
    struct socket_rights *rights = discarded;
    if (rights != NULL) {
        discarded = rights->next;
    } else {
        is_discarding = false;
    }
    posix_lock_release(&discard_lock);
    return rights;
}

/* @impl ATL-LLR-NET-0711~1 */
void socket_rights_discard(struct socket_rights *rights)
{
    if (rights == NULL) {
        return;
    }
    posix_lock_acquire(&discard_lock);
    rights->next = discarded;
    discarded = rights;
    bool is_ours = !is_discarding;
    is_discarding = true;
    posix_lock_release(&discard_lock);
    while (is_ours && (rights = take_discarded()) != NULL) {
        put_files(rights->files, rights->count);
        posix_free(rights);
    }
}
