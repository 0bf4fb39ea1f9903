/* SPDX-License-Identifier: Apache-2.0 */
/* mremap: shrink, grow in place, or move by mapping anew, copying and unmapping. A shared mapping
 * of a file moves by ending and mapping the file again. */
#include "abi.h"
#include "slot.h"
#include <posix/file.h>
#include <posix/syscalls.h>

#define COPY_BYTES (64ull << 10)

struct remap {
    uint64_t old, old_bytes, new_bytes, target;
    uint32_t flags;
};

static int64_t check(const struct remap *remap)
{
    if ((remap->flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) != 0 ||
        ((remap->flags & MREMAP_FIXED) != 0 && (remap->flags & MREMAP_MAYMOVE) == 0) ||
        remap->old % POSIX_PAGE_BYTES != 0 || remap->new_bytes == 0 || remap->old_bytes == 0) {
        return -EINVAL;
    }
    if (remap->old + remap->old_bytes < remap->old) {
        return -EINVAL;
    }
    if ((remap->flags & MREMAP_FIXED) != 0) {
        uint64_t target_end = remap->target + remap->new_bytes;
        if (remap->target % POSIX_PAGE_BYTES != 0 || target_end < remap->target ||
            (remap->target < remap->old + remap->old_bytes && remap->old < target_end)) {
            return -EINVAL;
        }
    }
    return 0;
}

/* Adds pages behind the old end if the region ends there and the room is free. */
static int64_t grow_in_place(const struct remap *remap)
{
    uint64_t end = remap->old + remap->old_bytes;
    uint64_t new_end = remap->old + remap->new_bytes;
    struct slot *slot = slot_acquire(slot_index(remap->old));
    if (slot == NULL) {
        return -ENOMEM;
    }
    int64_t result = -ENOMEM;
    const struct region *region = region_at_or_after(&slot->tree, remap->old);
    if (region != NULL && region->end == end && region->kind == POSIX_REGION_ANONYMOUS &&
        new_end > end && region_is_free(&slot->tree, end, new_end)) {
        struct slot_mapping mapping = {.start = end,
                                       .end = new_end,
                                       .protection = region->protection,
                                       .kind = POSIX_REGION_ANONYMOUS,
                                       .flags = region->flags};
        result = slot_map(slot, &mapping);
    }
    slot_release(slot);
    return result;
}

static int64_t copy_pages(uint64_t to, uint64_t from, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += COPY_BYTES) {
        uint64_t part = bytes - done < COPY_BYTES ? bytes - done : COPY_BYTES;
        /* Both sides are application memory; a fault on either is found by the copy function. */
        int64_t result = posix_copy_out(to + done, (const void *)(uintptr_t)(from + done), part);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

/* Makes new_bytes of zero-filled memory at the target, or anywhere, shared if the region is. */
static int64_t map_target(const struct remap *remap, const struct posix_region_info *region,
                          uint64_t protection)
{
    uint64_t flags = MAP_ANONYMOUS;
    flags |= (region->flags & POSIX_REGION_SHARED) != 0 ? MAP_SHARED : MAP_PRIVATE;
    flags |= (remap->flags & MREMAP_FIXED) != 0 ? MAP_FIXED : 0;
    return posix_mmap((remap->flags & MREMAP_FIXED) != 0 ? remap->target : 0, remap->new_bytes,
                      protection, flags, UINT64_MAX, 0);
}

static int64_t move(const struct remap *remap, const struct posix_region_info *region)
{
    bool is_reserved = (region->flags & POSIX_REGION_RESERVED) != 0; /* nothing to copy */
    int64_t target = map_target(remap, region, is_reserved ? PROT_NONE : PROT_READ | PROT_WRITE);
    if (target < 0) {
        return target;
    }
    uint64_t bytes = remap->old_bytes < remap->new_bytes ? remap->old_bytes : remap->new_bytes;
    bytes = is_reserved ? 0 : bytes;
    int64_t result = 0;
    if ((region->protection & PROT_READ) == 0 && !is_reserved) {
        result = posix_mprotect(remap->old, remap->old_bytes,
                                region->protection == 0 ? PROT_READ : PROT_READ | PROT_WRITE);
    }
    if (result == 0) {
        result = copy_pages((uint64_t)target, remap->old, bytes);
    }
    if (result == 0 && region->protection != (PROT_READ | PROT_WRITE)) {
        result = posix_mprotect((uint64_t)target, remap->new_bytes, region->protection);
    }
    if (result == 0) {
        result = posix_munmap(remap->old, remap->old_bytes);
    }
    if (result < 0) {
        (void)posix_munmap((uint64_t)target, remap->new_bytes);
        if ((region->protection & PROT_READ) == 0 && !is_reserved) {
            (void)posix_mprotect(remap->old, remap->old_bytes, region->protection);
        }
        return result;
    }
    return target;
}

/* Where the file goes on: in place, at the target, or anywhere. */
static int64_t map_file_again(const struct remap *remap, struct posix_node *node, uint64_t offset,
                              const struct posix_region_info *region)
{
    struct posix_shared_range range = {remap->old, remap->new_bytes, offset, region->protection};
    if ((remap->flags & MREMAP_FIXED) != 0) {
        range.start = remap->target;
        return posix_memory_map_shared(node, &range, region->flags, true);
    }
    int64_t result = posix_memory_map_shared(node, &range, region->flags, true);
    if (result < 0 && (remap->flags & MREMAP_MAYMOVE) != 0) {
        range.start = 0;
        result = posix_memory_map_shared(node, &range, region->flags, false);
    }
    return result;
}

static int64_t move_file(const struct remap *remap, const struct posix_region_info *region)
{
    uint64_t offset = 0;
    struct posix_node *node = posix_shared_node(remap->old, &offset);
    if (node == NULL) {
        return -EFAULT;
    }
    int64_t result =
        (remap->flags & MREMAP_FIXED) != 0 ? posix_munmap(remap->target, remap->new_bytes) : 0;
    result = result == 0 ? posix_munmap(remap->old, remap->old_bytes) : result;
    if (result == 0) {
        result = map_file_again(remap, node, offset, region);
        if (result < 0) { /* as it was */
            struct posix_shared_range range = {remap->old, remap->old_bytes, offset,
                                               region->protection};
            (void)posix_memory_map_shared(node, &range, region->flags, true);
            result = result == -EEXIST ? -ENOMEM : result;
        }
    }
    posix_shared_node_put(node);
    return result;
}

/* Ends what lies behind the new size, in whatever regions it is: only the rest has to be one. */
static int64_t cut(struct remap *remap)
{
    uint64_t bytes = remap->old_bytes - remap->new_bytes;
    remap->old_bytes = remap->new_bytes;
    return bytes != 0 ? posix_munmap(remap->old + remap->new_bytes, bytes) : 0;
}

/* @impl ATL-LLR-MEMORY-0017~1 */
int64_t posix_mremap(uint64_t old, uint64_t old_bytes, uint64_t new_bytes, uint64_t flags,
                     uint64_t target)
{
    struct remap remap = {.old = old,
                          .old_bytes = POSIX_PAGE_UP(old_bytes),
                          .new_bytes = POSIX_PAGE_UP(new_bytes),
                          .target = target,
                          .flags = (uint32_t)flags};
    if (flags > UINT32_MAX) {
        return -EINVAL;
    }
    int64_t result = check(&remap);
    if (result < 0) {
        return result;
    }
    struct posix_region_info region;
    if (!posix_memory_find(old, false, &region)) {
        return -EFAULT;
    }
    if (region.kind == POSIX_REGION_POSIX) {
        return -EPERM;
    }
    bool is_fixed = (flags & MREMAP_FIXED) != 0;
    if (remap.new_bytes <= remap.old_bytes) {
        result = cut(&remap);
        if (result < 0 || !is_fixed) {
            return result < 0 ? result : (int64_t)old;
        }
    }
    if (region.end < old + remap.old_bytes) {
        return -EFAULT;
    }
    if (!is_fixed) {
        if (region.kind != POSIX_REGION_FILE && grow_in_place(&remap) == 0) {
            return (int64_t)old;
        }
        if ((flags & MREMAP_MAYMOVE) == 0 && region.kind != POSIX_REGION_FILE) {
            return -ENOMEM;
        }
    }
    if (region.kind == POSIX_REGION_FILE) {
        return move_file(&remap, &region);
    }
    return move(&remap, &region);
}
