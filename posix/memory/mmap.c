/* SPDX-License-Identifier: Apache-2.0 */
/* mmap, munmap, mprotect. */
#include "abi.h"
#include "slot.h"
#include <posix/file.h>
#include <posix/syscalls.h>

#define LOW_SEARCH_BASE 0x40000000ull /* MAP_32BIT searches [1 GiB, 2 GiB) as Linux does */
#define LOW_SEARCH_END 0x80000000ull

#define AT_ONCE_BYTES_MAX (4 * POSIX_PAGE_BYTES)

/* One mmap, checked. */
struct request {
    uint64_t address, bytes; /* bytes is a page multiple > 0 */
    uint32_t protection, flags, region_flags;
    uint64_t offset;
    enum posix_region_kind kind;
    const struct image_file *file;
    uint64_t file_bytes; /* of a file that is mapped: behind its last page is nothing */
};

/* A few writable pages are nearly always written at once: their frames now spare the faults. Only
 * where frames come without a message, from this core's own memory; as a wish.
 *
 * @impl ATL-LLR-POSIX-1020~1 */
static bool is_filled(const struct request *request, uint64_t start, uint64_t bytes)
{
    bool is_asked = (request->flags & MAP_POPULATE) != 0;
    bool is_small = (request->protection & PROT_WRITE) != 0 && bytes <= AT_ONCE_BYTES_MAX &&
                    slot_index(start) % posix_info.core_count == posix_core();
    return request->kind == POSIX_REGION_ANONYMOUS && (is_asked || is_small);
}

/* Addresses without rights are names alone: thread libraries and run-times reserve them to give
 * rights to a part later. */
static void describe(const struct request *request, uint64_t start, uint64_t bytes,
                     struct slot_mapping *mapping)
{
    bool is_reserved = request->kind == POSIX_REGION_ANONYMOUS && request->protection == 0;
    mapping->start = start;
    mapping->end = start + bytes;
    mapping->protection = request->protection;
    mapping->gate_flags = is_filled(request, start, bytes) ? GATE_MAP_POPULATE : 0;
    mapping->kind = request->kind;
    mapping->flags = request->region_flags | (is_reserved ? POSIX_REGION_RESERVED : 0);
    mapping->file = request->file;
    mapping->offset = request->offset;
}

/* Of what comes behind the first `done` bytes of a mapping: as far as it is alike, pages of a file,
 * or pages that nothing is mapped in, whose use is SIGBUS: those behind the end of the file, and
 * damaged ones of the image, which was touched before. */
static void cut_part(const struct request *request, uint64_t done, struct slot_mapping *part)
{
    part->offset += done;
    uint64_t inside = request->file_bytes > part->offset ? request->file_bytes - part->offset : 0;
    int64_t error = 0;
    inside = inside < request->bytes - done ? inside : request->bytes - done;
    if (inside != 0 && request->kind == POSIX_REGION_IMAGE) {
        inside = posix_image_run(request->file, part->offset, inside, &error);
    }
    part->kind = inside == 0 || error < 0 ? POSIX_REGION_BEYOND_END : part->kind;
    part->end = inside == 0 ? part->end : part->start + POSIX_PAGE_UP(inside);
}

/* Maps at start, locked, everything free there. */
static int64_t map_here(struct slot *slot, const struct request *request, uint64_t start)
{
    bool is_whole = request->kind == POSIX_REGION_FILE || request->file_bytes == UINT64_MAX;
    int64_t result = 0;
    uint64_t done = 0;
    while (result == 0 && done < request->bytes) {
        struct slot_mapping part;
        describe(request, start + done, request->bytes - done, &part);
        if (!is_whole) {
            cut_part(request, done, &part);
        }
        result = slot_map(slot, &part);
        done = result == 0 ? part.end - start : done;
    }
    if (result < 0 && done != 0) {
        (void)slot_unmap(slot, start, start + done, false); /* whole regions: needs no memory */
    }
    return result < 0 ? result : (int64_t)start;
}

static int64_t map_fixed(const struct request *request)
{
    uint64_t start = request->address;
    uint64_t end = start + request->bytes;
    if (end < start || end > posix_info.shared_slot_count * GATE_SLOT_BYTES) {
        return -ENOMEM;
    }
    if (start < GATE_USER_FLOOR) {
        return -EPERM;
    }
    if (slot_index(start) != slot_index(end - 1)) {
        return -ENOMEM;
    }
    struct slot *slot = slot_acquire(slot_index(start));
    if (slot == NULL) {
        return -ENOMEM;
    }
    int64_t result = 0;
    if (!region_is_free(&slot->tree, start, end)) {
        result = (request->flags & MAP_FIXED_NOREPLACE) != 0 ? -EEXIST : 0;
        if (result == 0) {
            result = slot_unmap(slot, start, end, false);
        }
    }
    if (result == 0) {
        result = map_here(slot, request, start);
    }
    slot_release(slot);
    return result;
}

static int64_t map_in_slot(const struct request *request, uint32_t index)
{
    struct slot *slot = slot_acquire(index);
    if (slot == NULL) {
        return -ENOMEM;
    }
    int64_t result = map_here(slot, request, slot->free_from); /* often: what was given back last */
    if (result == -EEXIST) {
        uint64_t start = slot_find_place(slot, request->bytes, POSIX_PAGE_BYTES);
        result = start != 0 ? map_here(slot, request, start) : -ENOMEM;
    }
    slot_release(slot);
    return result;
}

/* At the hint if that is free; -ENOMEM: it is not. */
static int64_t map_at_hint(const struct request *request)
{
    uint64_t start = POSIX_PAGE_DOWN(request->address);
    uint64_t end = start + request->bytes;
    if (end < start || !slot_range_is_mappable(start, end) ||
        slot_index(start) != slot_index(end - 1)) {
        return -ENOMEM;
    }
    struct slot *slot = slot_acquire(slot_index(start));
    if (slot == NULL) {
        return -ENOMEM;
    }
    int64_t result = -ENOMEM;
    if (region_is_free(&slot->tree, start, end)) {
        result = map_here(slot, request, start);
    }
    slot_release(slot);
    return result;
}

static int64_t map_low(const struct request *request)
{
    struct slot *slot = slot_acquire(0);
    if (slot == NULL) {
        return -ENOMEM;
    }
    uint64_t start = region_find_gap(&slot->tree, LOW_SEARCH_BASE, request->bytes);
    int64_t result = -ENOMEM;
    if (start != 0 && start + request->bytes <= LOW_SEARCH_END) {
        result = map_here(slot, request, start);
    }
    slot_release(slot);
    return result;
}

/* The home slot of the core that runs this, then every other slot: own ones first, because the
 * kernel serves those without a message. */
static int64_t map_anywhere(const struct request *request)
{
    uint32_t core = posix_core();
    uint32_t home = slot_of_core(core);
    int64_t result = map_in_slot(request, home);
    for (uint32_t pass = 0; result == -ENOMEM && pass < 2; pass++) {
        for (uint32_t index = 0; result == -ENOMEM && index < posix_info.shared_slot_count;
             index++) {
            bool is_own = index % posix_info.core_count == core;
            if (index != home && is_own == (pass == 0)) {
                result = map_in_slot(request, index);
            }
        }
    }
    return result;
}

static void span_release(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        slot_release(slot_at(first + i));
    }
}

/* Locks count slots from first on, in rising order; false: not all of them are there and empty. */
static bool span_acquire(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct slot *slot = slot_acquire(first + i);
        bool is_empty = slot != NULL && slot->tree.count == 0;
        if (!is_empty) {
            span_release(first, slot != NULL ? i + 1 : i);
            return false;
        }
    }
    return true;
}

/* A reservation that is larger than a slot: a region in each of several slots that follow each
 * other. They are of several cores, but nobody's tables are concerned.
 *
 * @impl ATL-LLR-MEMORY-0021~1 */
static int64_t map_span(const struct request *request)
{
    uint32_t count = (uint32_t)((request->bytes + GATE_SLOT_BYTES - 1) / GATE_SLOT_BYTES);
    if (request->kind != POSIX_REGION_ANONYMOUS || request->protection != 0) {
        return -ENOMEM;
    }
    for (uint64_t first = slot_span_first(); first + count <= posix_info.shared_slot_count;
         first++) {
        if (!span_acquire((uint32_t)first, count)) {
            continue;
        }
        uint64_t start = first * GATE_SLOT_BYTES;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t rest = request->bytes - i * GATE_SLOT_BYTES;
            struct slot_mapping mapping;
            describe(request, start + i * GATE_SLOT_BYTES,
                     rest < GATE_SLOT_BYTES ? rest : GATE_SLOT_BYTES, &mapping);
            (void)slot_map(slot_at((uint32_t)first + i), &mapping); /* empty, and has nodes */
        }
        span_release((uint32_t)first, count);
        return (int64_t)start;
    }
    return -ENOMEM;
}

static int64_t place_and_map(const struct request *request)
{
    if ((request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0) {
        return map_fixed(request);
    }
    if ((request->flags & MAP_32BIT) != 0) {
        return map_low(request);
    }
    if (request->bytes > GATE_SLOT_BYTES) {
        return map_span(request);
    }
    if (request->address != 0) {
        int64_t result = map_at_hint(request);
        if (result != -ENOMEM) {
            return result;
        }
    }
    return map_anywhere(request);
}

/* A private copy of a file that lives in memory: mapped writable, filled, then protected. */
static int64_t map_copy(struct request *request, struct posix_file *file)
{
    uint32_t protection = request->protection;
    request->protection = PROT_READ | PROT_WRITE;
    int64_t start = place_and_map(request);
    if (start < 0) {
        return start;
    }
    uint64_t rest =
        request->file_bytes > request->offset ? request->file_bytes - request->offset : 0;
    uint64_t bytes = rest < request->bytes ? rest : request->bytes;
    uint64_t done = 0;
    int64_t result = 1;
    while (done < bytes && result > 0) {
        result =
            posix_file_read_at(file, (uint64_t)start + done, bytes - done, request->offset + done);
        done += result > 0 ? (uint64_t)result : 0;
    }
    if (result >= 0 && protection != request->protection) {
        result = posix_mprotect((uint64_t)start, request->bytes, protection);
    }
    if (result < 0) {
        (void)posix_munmap((uint64_t)start, request->bytes);
        return result;
    }
    return start;
}

static int64_t check_access(const struct request *request, const struct posix_mapping *mapping)
{
    bool is_shared = (request->flags & MAP_TYPE) != MAP_PRIVATE;
    if (is_shared && (request->protection & PROT_WRITE) != 0 && !mapping->is_writable) {
        return -EACCES;
    }
    if (!mapping->is_readable) {
        return -EACCES;
    }
    return mapping->kind == POSIX_MAPPING_NONE ? -ENODEV : 0;
}

/* The file's own memory, coherent with read, write and every other mapping of it. */
static int64_t map_shared(struct request *request, struct posix_node *node)
{
    struct posix_shared_range range = {0, request->bytes, request->offset, request->protection};
    bool is_fixed = (request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
    request->kind = POSIX_REGION_FILE;
    posix_shared_acquire();
    bool is_sealed = posix_shared_is_sealed(node);
    request->region_flags |= is_sealed ? POSIX_REGION_NO_WRITE : 0;
    if (is_sealed && (request->protection & PROT_WRITE) != 0) {
        posix_shared_release();
        return -EPERM;
    }
    int64_t start = posix_shared_find(node, &range);
    if (start > 0 && (!is_fixed || request->address == (uint64_t)start)) {
        range.start = (uint64_t)start;
        start = posix_shared_join(node, &range);
    } else if (start > 0) {
        start = -ENODEV;
    } else if (start == 0) {
        start = place_and_map(request);
        range.start = (uint64_t)start;
        int64_t result = start > 0 ? posix_shared_attach(node, &range) : 0;
        if (result < 0) {
            (void)posix_memory_remove(range.start, range.start + range.bytes);
            start = result;
        }
    }
    posix_shared_release();
    return start;
}

static int64_t map_by_kind(struct request *request, const struct posix_mapping *mapping)
{
    bool is_shared = (request->flags & MAP_TYPE) != MAP_PRIVATE;
    if (mapping->kind == POSIX_MAPPING_ZERO) {
        request->offset = 0;
        return place_and_map(request);
    }
    request->region_flags |= is_shared && !mapping->is_writable ? POSIX_REGION_NO_WRITE : 0;
    if (is_shared && (mapping->is_writable || mapping->kind == POSIX_MAPPING_COPY)) {
        return map_shared(request, mapping->file->node);
    }
    request->file_bytes = mapping->bytes;
    if (mapping->kind == POSIX_MAPPING_COPY) {
        return map_copy(request, mapping->file);
    }
    request->kind = POSIX_REGION_IMAGE;
    request->file = mapping->image_file;
    return place_and_map(request);
}

/* The first region of a shared mapping of a file in a range. */
static bool find_shared(uint64_t start, uint64_t end, struct posix_region_info *region)
{
    while (posix_memory_find(start, true, region) && region->start < end) {
        if (region->kind == POSIX_REGION_FILE) {
            return true;
        }
        start = region->end;
    }
    return false;
}

/* Ends every shared mapping of a file in a range: nothing of them is left there. */
static int64_t detach_shared(uint64_t start, uint64_t end)
{
    struct posix_region_info region;
    int64_t result = 0;
    while (result == 0 && posix_shared_exists() && find_shared(start, end, &region)) {
        start = region.start > start ? region.start : start;
        uint64_t part_end = region.end < end ? region.end : end;
        result = posix_shared_detach(start, part_end, true);
        start = part_end;
    }
    return result;
}

/* Nothing that can be refused comes behind this: a call that fails ends no mapping. */
static int64_t make_room(const struct request *request)
{
    if ((request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != MAP_FIXED) {
        return 0;
    }
    return detach_shared(request->address, request->address + request->bytes);
}

/* Before a slot is locked: looking at the image may take any lock of memory/. */
static int64_t touch_image(const struct request *request, const struct posix_mapping *mapping)
{
    uint64_t rest = mapping->bytes > request->offset ? mapping->bytes - request->offset : 0;
    return mapping->kind == POSIX_MAPPING_IMAGE
               ? posix_image_touch(mapping->image_file, request->offset,
                                   rest < request->bytes ? rest : request->bytes)
               : 0;
}

/* @impl ATL-LLR-MEMORY-0007~1 */
static int64_t map_file(struct request *request, uint64_t descriptor)
{
    struct posix_mapping mapping;
    int64_t result = posix_file_mapping(descriptor, &mapping);
    if (result < 0) {
        return result;
    }
    result = check_access(request, &mapping);
    if (result == 0) {
        result = touch_image(request, &mapping);
    }
    if (result == 0) {
        result = make_room(request);
    }
    if (result == 0) {
        result = map_by_kind(request, &mapping);
    }
    posix_file_put(mapping.file);
    return result;
}

static int64_t check_request(struct request *request, uint64_t bytes)
{
    uint32_t type = request->flags & MAP_TYPE;
    if (bytes == 0 || type < MAP_SHARED || type > MAP_SHARED_VALIDATE) {
        return -EINVAL;
    }
    request->bytes = POSIX_PAGE_UP(bytes);
    if (request->bytes == 0) {
        return -ENOMEM;
    }
    if (request->offset + request->bytes < request->offset) {
        return -EOVERFLOW;
    }
    if ((request->flags & MAP_HUGETLB) != 0) {
        return -ENOMEM; /* no huge pages are set aside; large memory uses them by itself */
    }
    if ((request->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0 &&
        request->address % POSIX_PAGE_BYTES != 0) {
        return -EINVAL;
    }
    if ((request->protection & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC) &&
        posix_info.write_execute == 0) {
        return -EACCES;
    }
    return 0;
}

/* @impl ATL-LLR-MEMORY-0006~1 */
int64_t posix_mmap(uint64_t address, uint64_t bytes, uint64_t protection, uint64_t flags,
                   uint64_t descriptor, uint64_t offset)
{
    struct request request = {
        .address = address,
        .bytes = bytes,
        .protection = (uint32_t)protection & PROT_ALL,
        .flags = (uint32_t)flags,
        .region_flags = 0,
        .offset = offset,
        .kind = POSIX_REGION_ANONYMOUS,
        .file = NULL,
        .file_bytes = UINT64_MAX,
    };
    if (offset % POSIX_PAGE_BYTES != 0) {
        return -EINVAL;
    }
    bool is_anonymous = (flags & MAP_ANONYMOUS) != 0;
    if (!is_anonymous) {
        struct posix_file *file = posix_file_get(descriptor);
        if (file == NULL) {
            return -EBADF;
        }
        posix_file_put(file);
    }
    int64_t result = check_request(&request, bytes);
    if (result < 0) {
        return result;
    }
    if ((flags & MAP_TYPE) != MAP_PRIVATE) {
        request.region_flags |= POSIX_REGION_SHARED;
    }
    if (!is_anonymous) {
        return map_file(&request, descriptor);
    }
    request.offset = 0;
    if ((request.flags & MAP_FIXED) != 0) {
        result = make_room(&request);
    }
    return result == 0 ? place_and_map(&request) : result;
}

int64_t posix_memory_remove(uint64_t start, uint64_t end)
{
    struct slot *slot = slot_acquire(slot_index(start));
    if (slot == NULL) {
        return -ENOMEM;
    }
    int64_t result = slot_unmap(slot, start, end, false);
    slot_release(slot);
    return result;
}

/* @impl ATL-LLR-MEMORY-0004~1 */
int64_t posix_munmap(uint64_t address, uint64_t bytes)
{
    if (address % POSIX_PAGE_BYTES != 0 || bytes == 0) {
        return -EINVAL;
    }
    uint64_t end = address + POSIX_PAGE_UP(bytes);
    uint64_t top = GATE_PRIVATE_SLOT * GATE_SLOT_BYTES;
    if (end <= address || end > top) {
        return -EINVAL;
    }
    uint64_t shared_end = posix_info.shared_slot_count * GATE_SLOT_BYTES;
    end = end < shared_end ? end : shared_end;
    while (address < end) {
        struct posix_region_info region;
        uint64_t slot_end = (slot_index(address) + 1) * GATE_SLOT_BYTES;
        uint64_t part_end = end < slot_end ? end : slot_end;
        int64_t result;
        if (!posix_shared_exists() || !find_shared(address, part_end, &region)) {
            result = posix_memory_remove(address, part_end);
        } else if (region.start > address) {
            part_end = region.start;
            result = posix_memory_remove(address, part_end);
        } else {
            part_end = region.end < part_end ? region.end : part_end;
            result = posix_shared_detach(address, part_end, false);
        }
        if (result < 0) {
            return result;
        }
        address = part_end;
    }
    return 0;
}

/* @impl ATL-LLR-MEMORY-0005~1 */
int64_t posix_mprotect(uint64_t address, uint64_t bytes, uint64_t protection)
{
    uint32_t wanted = (uint32_t)protection;
    if ((protection & (PROT_GROWSDOWN | PROT_GROWSUP)) == (PROT_GROWSDOWN | PROT_GROWSUP) ||
        address % POSIX_PAGE_BYTES != 0) {
        return -EINVAL;
    }
    if (bytes == 0) {
        return 0;
    }
    uint64_t end = address + POSIX_PAGE_UP(bytes);
    if (end <= address) {
        return -ENOMEM;
    }
    if ((protection & ~(uint64_t)(PROT_ALL | 8u)) != 0) {
        return -EINVAL; /* no region grows by itself */
    }
    wanted &= PROT_ALL;
    if ((wanted & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC) &&
        posix_info.write_execute == 0) {
        return -EACCES;
    }
    while (address < end) {
        uint32_t index = slot_index(address);
        if (!slot_range_is_mappable(address, address + POSIX_PAGE_BYTES)) {
            return -ENOMEM;
        }
        uint64_t slot_end = (index + 1) * GATE_SLOT_BYTES;
        uint64_t part_end = end < slot_end ? end : slot_end;
        struct slot *slot = slot_acquire(index);
        if (slot == NULL) {
            return -ENOMEM;
        }
        int64_t result = slot_protect(slot, address, part_end, wanted);
        slot_release(slot);
        if (result == 0 && posix_shared_exists()) {
            posix_shared_protect(address, part_end, wanted);
        }
        if (result < 0) {
            return result;
        }
        address = part_end;
    }
    return 0;
}

int64_t posix_memory_map_shared(struct posix_node *node, const struct posix_shared_range *range,
                                uint32_t region_flags, bool fixed)
{
    struct request request = {
        .address = range->start,
        .bytes = range->bytes,
        .protection = range->protection,
        .flags = MAP_SHARED | (fixed ? MAP_FIXED_NOREPLACE : 0),
        .region_flags = region_flags,
        .offset = range->offset,
        .file_bytes = UINT64_MAX,
    };
    return map_shared(&request, node);
}

int64_t posix_memory_map_at(const struct posix_map_request *wanted)
{
    struct request request = {
        .address = wanted->address,
        .bytes = wanted->bytes,
        .protection = wanted->protection,
        .flags = MAP_FIXED_NOREPLACE,
        .offset = wanted->offset,
        .kind = wanted->kind,
        .file = wanted->file,
        .file_bytes = wanted->file != NULL ? wanted->file->bytes : UINT64_MAX,
    };
    int64_t result = map_fixed(&request);
    return result < 0 ? result : 0;
}

const uint8_t *posix_memory_map_window(const struct image_file *file)
{
    struct slot *slot = slot_acquire(slot_of_core(posix_core()));
    if (slot == NULL) {
        return NULL;
    }
    uint64_t bytes = POSIX_PAGE_UP(file->bytes);
    struct slot_mapping mapping = {.start = slot_find_place(slot, bytes, POSIX_PAGE_BYTES),
                                   .protection = PROT_READ,
                                   .kind = POSIX_REGION_POSIX,
                                   .file = file};
    mapping.end = mapping.start + bytes;
    int64_t result = mapping.start != 0 ? slot_map(slot, &mapping) : -ENOMEM;
    slot_release(slot);
    return result == 0 ? (const uint8_t *)(uintptr_t)mapping.start : NULL; // NOLINT: an address
}
