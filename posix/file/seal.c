/* SPDX-License-Identifier: Apache-2.0 */
/* Seals: see seal.h. */
#include "seal.h"

#define SEALS_KNOWN (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define SEALS_WRITE (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

int64_t seal_check_write(const struct posix_node *node, uint64_t end)
{
    bool grows = end > node->data.bytes;
    bool is_forbidden =
        (node->seals & SEALS_WRITE) != 0 || (grows && (node->seals & F_SEAL_GROW) != 0);
    return is_forbidden ? -EPERM : 0;
}

int64_t seal_check_resize(const struct posix_node *node, uint64_t bytes)
{
    uint32_t seal = bytes < node->data.bytes   ? F_SEAL_SHRINK
                    : bytes > node->data.bytes ? F_SEAL_GROW
                                               : 0;
    return (node->seals & seal) != 0 ? -EPERM : 0;
}

/* No mapping is made meanwhile: what may be written through one must not be sealed. */
static int64_t add(struct posix_node *node, uint32_t seals)
{
    posix_shared_acquire();
    posix_lock_acquire(&node->lock);
    bool is_new_write = (seals & ~node->seals & F_SEAL_WRITE) != 0;
    int64_t result = (node->seals & F_SEAL_SEAL) != 0              ? -EPERM
                     : is_new_write && node->data.mappings != NULL ? -EBUSY
                                                                   : 0;
    if (result == 0) {
        node->seals |= seals;
    }
    posix_lock_release(&node->lock);
    posix_shared_release();
    return result;
}

/* @impl ATL-LLR-EVENT-0040~1 */
int64_t seal_control(struct posix_file *file, uint32_t command, uint64_t argument)
{
    struct posix_node *node = file->node;
    if (command == F_SETPIPE_SZ || command == F_GETPIPE_SZ) {
        return -EBADF;
    }
    if (node->kind != NODE_FILE || (command != F_ADD_SEALS && command != F_GET_SEALS)) {
        return -EINVAL;
    }
    if (command == F_GET_SEALS) {
        posix_lock_acquire(&node->lock);
        int64_t seals = node->seals;
        posix_lock_release(&node->lock);
        return seals;
    }
    if ((file->flags & POSIX_O_ACCESS) == POSIX_O_RDONLY) {
        return -EPERM;
    }
    return (argument & ~(uint64_t)SEALS_KNOWN) == 0 ? add(node, (uint32_t)argument) : -EINVAL;
}

bool posix_shared_is_sealed(struct posix_node *node)
{
    posix_lock_acquire(&node->lock);
    bool is_sealed = (node->seals & SEALS_WRITE) != 0;
    posix_lock_release(&node->lock);
    return is_sealed;
}
