/* SPDX-License-Identifier: Apache-2.0 */
/* madvise, mincore, msync, mlock, munlock: calls that say something about a range and change at
 * most its contents. */
#include "abi.h"
#include "slot.h"
#include <posix/syscalls.h>

/* Contents of [start, end) inside one region go back to what they were at first. Locked. */
static int64_t discard(struct region *region, uint64_t start, uint64_t end)
{
    if (region->kind == POSIX_REGION_POSIX) {
        return -EINVAL;
    }
    if (!slot_is_backed(region->kind, region->flags) ||
        (region->flags & POSIX_REGION_SHARED) != 0) {
        return 0; /* shared memory keeps its contents, as a file would */
    }
    if (region->kind != POSIX_REGION_IMAGE) {
        return gate_unmap(start, end - start, GATE_UNMAP_DISCARD);
    }
    if ((region->flags & POSIX_REGION_NO_WRITE) != 0) {
        return 0; /* never written: nothing to forget */
    }
    int64_t result = gate_unmap(start, end - start, 0);
    if (result == 0) {
        struct slot_mapping mapping = {.start = start,
                                       .end = end,
                                       .protection = region->protection,
                                       .kind = POSIX_REGION_IMAGE,
                                       .file = region->file,
                                       .offset = region->offset + (start - region->start)};
        result = slot_map_pages(&mapping);
    }
    return result;
}

/* Calls action for each region's part of [start, end); the range may have holes: they make the
 * result -ENOMEM, after everything else is done, as Linux does it. action NULL: only the check. */
static int64_t for_each_part(uint64_t start, uint64_t end,
                             int64_t (*action)(struct region *, uint64_t, uint64_t))
{
    bool has_hole = false;
    while (start < end) {
        if (!slot_range_is_mappable(start, start + POSIX_PAGE_BYTES)) {
            return -ENOMEM;
        }
        uint64_t slot_end = (slot_index(start) + 1) * GATE_SLOT_BYTES;
        uint64_t part_end = end < slot_end ? end : slot_end;
        struct slot *slot = slot_acquire(slot_index(start));
        if (slot == NULL) {
            return -ENOMEM;
        }
        int64_t result = 0;
        uint64_t at = start;
        while (result == 0 && at < part_end) {
            struct region *region = region_at_or_after(&slot->tree, at);
            if (region == NULL || region->start >= part_end) {
                has_hole = true;
                break;
            }
            has_hole = has_hole || region->start > at;
            at = region->start > at ? region->start : at;
            uint64_t high = region->end < part_end ? region->end : part_end;
            result = action != NULL ? action(region, at, high) : 0;
            at = high;
        }
        slot_release(slot);
        if (result < 0) {
            return result;
        }
        start = part_end;
    }
    return has_hole ? -ENOMEM : 0;
}

static int64_t refuse_files(struct region *region, uint64_t start, uint64_t end)
{
    (void)start;
    (void)end;
    bool is_private = region->kind != POSIX_REGION_IMAGE &&
                      region->kind != POSIX_REGION_BEYOND_END &&
                      (region->flags & POSIX_REGION_SHARED) == 0;
    return is_private ? 0 : -EINVAL;
}

static bool is_known_advice(int32_t advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_DONTNEED_LOCKED:
        return true;
    default:
        return false;
    }
}

/* @impl ATL-LLR-MEMORY-0015~1 */
int64_t posix_madvise(uint64_t address, uint64_t bytes, uint64_t advice)
{
    if (!is_known_advice((int32_t)advice) || address % POSIX_PAGE_BYTES != 0) {
        return -EINVAL;
    }
    uint64_t rounded = POSIX_PAGE_UP(bytes);
    uint64_t end = address + rounded;
    if ((bytes != 0 && rounded == 0) || end < address) {
        return -EINVAL;
    }
    if (end == address) {
        return 0;
    }
    switch ((int32_t)advice) {
    case MADV_DONTNEED:
    case MADV_DONTNEED_LOCKED:
        return for_each_part(address, end, discard);
    case MADV_FREE:
        /* The pages may be freed at any later time, or never: allocators call this often, and
         * keeping them is the cheapest that the contract allows. */
        return for_each_part(address, end, refuse_files);
    default:
        return for_each_part(address, end, NULL);
    }
}

/* @impl ATL-LLR-MEMORY-0016~1 */
int64_t posix_mincore(uint64_t address, uint64_t bytes, uint64_t vector)
{
    if (address % POSIX_PAGE_BYTES != 0) {
        return -EINVAL;
    }
    uint64_t end = address + POSIX_PAGE_UP(bytes);
    if (end < address) {
        return -ENOMEM;
    }
    int64_t result = for_each_part(address, end, NULL);
    if (result < 0) {
        return result;
    }
    uint8_t resident[256]; /* what is mapped is never paged out */
    __builtin_memset(resident, 1, sizeof(resident));
    uint64_t pages = (end - address) / POSIX_PAGE_BYTES;
    while (pages != 0) {
        uint64_t part = pages < sizeof(resident) ? pages : sizeof(resident);
        result = posix_copy_out(vector, resident, part);
        if (result < 0) {
            return result;
        }
        vector += part;
        pages -= part;
    }
    return 0;
}

/* @impl ATL-LLR-MEMORY-0016~1 */
int64_t posix_msync(uint64_t address, uint64_t bytes, uint64_t flags)
{
    if ((flags & ~(uint64_t)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) != 0 ||
        address % POSIX_PAGE_BYTES != 0 || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC)) {
        return -EINVAL;
    }
    uint64_t end = address + POSIX_PAGE_UP(bytes);
    if (end < address) {
        return -ENOMEM;
    }
    return for_each_part(address, end, NULL);
}

static int64_t check_lock(uint64_t address, uint64_t bytes)
{
    uint64_t start = POSIX_PAGE_DOWN(address);
    uint64_t rounded = POSIX_PAGE_UP(bytes + (address - start));
    if (start + rounded < start || rounded < bytes) {
        return bytes == 0 ? 0 : -EINVAL;
    }
    return for_each_part(start, start + rounded, NULL);
}

/* @impl ATL-LLR-MEMORY-0016~1 */
int64_t posix_mlock(uint64_t address, uint64_t bytes)
{
    return check_lock(address, bytes); /* nothing is ever paged out */
}

int64_t posix_munlock(uint64_t address, uint64_t bytes)
{
    return check_lock(address, bytes);
}
