/* SPDX-License-Identifier: Apache-2.0 */
/* Shared mappings of files: see shared.h. */
#include "shared.h"
#include "tree.h"
#include <posix/memory.h>

#define PAGE_ERROR_PRESENT 1u
#define PAGE_ERROR_WRITE 2u
#define PAGE_ERROR_FETCH 16u
#define READ_WRITE (GATE_READ | GATE_WRITE)

static struct posix_lock shared_lock;
static struct file_mapping *mappings;
static _Atomic uint32_t mapping_count; /* so that programs without any pay nothing */

/* ---- pages */

static uint32_t rights_at(uint64_t address)
{
    struct posix_region_info region;
    return posix_memory_find(address, false, &region) ? region.protection : READ_WRITE;
}

static bool lacks(uint32_t rights, bool write)
{
    return write ? (rights & GATE_WRITE) == 0 : rights == 0;
}

uint32_t shared_page_open(uint64_t address, bool write)
{
    uint32_t rights = rights_at(address);
    if (lacks(rights, write) && gate_protect(address, PIECE_BYTES, READ_WRITE) < 0) {
        posix_panic("a page of a file cannot be opened");
    }
    return rights;
}

void shared_page_close(uint64_t address, uint32_t rights, bool write)
{
    if (lacks(rights, write) && gate_protect(address, PIECE_BYTES, rights) < 0) {
        posix_panic("a page of a file cannot be closed");
    }
}

bool shared_page_add(uint64_t address)
{
    uint32_t rights = rights_at(address);
    if (gate_map(address, PIECE_BYTES, READ_WRITE, GATE_MAP_POPULATE, 0) < 0) {
        return false;
    }
    if (rights != READ_WRITE) {
        (void)gate_protect(address, PIECE_BYTES, rights);
    }
    return true;
}

void shared_page_remove(uint64_t address)
{
    if (gate_unmap(address, PIECE_BYTES, 0) < 0) {
        posix_panic("a page of a file cannot be unmapped");
    }
}

uint64_t shared_address(const struct file_data *data, uint64_t index)
{
    uint64_t at = index * PIECE_BYTES;
    for (const struct file_mapping *m = data->mappings; m != NULL; m = m->next_of_node) {
        if (at >= m->offset && at - m->offset < m->end - m->start) {
            return m->start + (at - m->offset);
        }
    }
    return 0;
}

/* ---- the list; shared_lock held */

static struct file_mapping *find(uint64_t address)
{
    struct file_mapping *mapping = mappings;
    while (mapping != NULL && (address < mapping->start || address >= mapping->end)) {
        mapping = mapping->next;
    }
    return mapping;
}

/* node->lock held. */
static void add(struct file_mapping *mapping)
{
    mapping->next = mappings;
    mappings = mapping;
    mapping->next_of_node = mapping->node->data.mappings;
    mapping->node->data.mappings = mapping;
    atomic_fetch_add(&mapping_count, 1);
}

/* node->lock held; the reference stays the caller's to give back. */
static void take_out(struct file_mapping *mapping)
{
    struct file_mapping **place = &mappings;
    while (*place != mapping) {
        place = &(*place)->next;
    }
    *place = mapping->next;
    place = &mapping->node->data.mappings;
    while (*place != mapping) {
        place = &(*place)->next_of_node;
    }
    *place = mapping->next_of_node;
    atomic_fetch_sub(&mapping_count, 1);
}

static struct data_run run_of(const struct file_mapping *mapping, uint64_t start, uint64_t end)
{
    uint64_t offset = mapping->offset - mapping->start; /* modulo 2^64 */
    return (struct data_run){(start + offset) / PIECE_BYTES, (end + offset) / PIECE_BYTES};
}

static uint64_t address_in(const struct file_mapping *mapping, uint64_t index)
{
    return mapping->start + (index * PIECE_BYTES - mapping->offset);
}

/* ---- mapping */

/* Moves the file's pages into the range, whose addresses nobody knows yet, but those of damaged
 * blocks of the image: an access to them is SIGBUS. node->lock held. -ENOMEM: nothing moved; pages
 * that are mapped already go with the region. */
static int64_t move_in(const struct file_mapping *mapping, uint32_t rights)
{
    struct file_data *data = &mapping->node->data;
    const struct data_run all = run_of(mapping, mapping->start, mapping->end);
    uint64_t shown = data->image != NULL ? data->image_bytes : 0;
    uint64_t end = all.end * PIECE_BYTES < shown ? all.end * PIECE_BYTES : shown;
    uint64_t start = all.first * PIECE_BYTES;
    int64_t result = start < end ? posix_image_touch(data->image, start, end - start) : 0;
    result = result == 0 ? data_prepare_share(data, all) : result;
    struct data_run run = all;
    for (uint64_t n; result == 0 && (n = data_next_run(data, &run, false)) != 0; run.first += n) {
        result = gate_map(address_in(mapping, run.first), n * PIECE_BYTES, READ_WRITE,
                          GATE_MAP_POPULATE, 0);
    }
    if (result < 0) {
        return result;
    }
    run = all;
    for (uint64_t n; (n = data_next_run(data, &run, false)) != 0; run.first += n) {
        uint64_t address = address_in(mapping, run.first);
        for (uint64_t i = 0; i < n; i++) {
            data_share(data, run.first + i, address + i * PIECE_BYTES);
        }
        if (rights != READ_WRITE) {
            result = gate_protect(address, n * PIECE_BYTES, rights);
        }
    }
    return 0;
}

static struct file_mapping *make(struct posix_node *node, uint64_t start, uint64_t bytes,
                                 uint64_t offset)
{
    struct file_mapping *mapping = posix_allocate(sizeof(*mapping));
    if (mapping != NULL) {
        *mapping = (struct file_mapping){
            .node = node_get(node), .start = start, .end = start + bytes, .offset = offset};
    }
    return mapping;
}

static void discard(struct file_mapping *mapping)
{
    node_put(mapping->node);
    posix_free(mapping);
}

/* @impl ATL-LLR-FILE-0034~1 */
int64_t posix_shared_attach(struct posix_node *node, const struct posix_shared_range *range)
{
    struct file_mapping *mapping = make(node, range->start, range->bytes, range->offset);
    if (mapping == NULL) {
        return -ENOMEM;
    }
    posix_lock_acquire(&node->lock);
    int64_t result = move_in(mapping, range->protection);
    if (result == 0) {
        add(mapping);
    }
    posix_lock_release(&node->lock);
    if (result < 0) {
        discard(mapping);
    }
    return result;
}

int64_t posix_shared_find(struct posix_node *node, const struct posix_shared_range *range)
{
    int64_t result = 0;
    uint64_t end = range->offset + range->bytes;
    for (const struct file_mapping *m = node->data.mappings; m != NULL; m = m->next_of_node) {
        uint64_t mapped_end = m->offset + (m->end - m->start);
        uint64_t start = m->start + (range->offset - m->offset);
        if (range->offset >= mapped_end || m->offset >= end) {
            continue;
        }
        if (range->offset >= m->offset && end <= mapped_end &&
            (range->protection & ~rights_at(start)) == 0) {
            return (int64_t)start;
        }
        result = -ENODEV;
    }
    return result;
}

int64_t posix_shared_join(struct posix_node *node, const struct posix_shared_range *range)
{
    struct file_mapping *mapping = make(node, range->start, range->bytes, range->offset);
    if (mapping == NULL) {
        return -ENOMEM;
    }
    posix_lock_acquire(&node->lock);
    add(mapping);
    posix_lock_release(&node->lock);
    return (int64_t)range->start;
}

void posix_shared_acquire(void)
{
    posix_lock_acquire(&shared_lock);
}

void posix_shared_release(void)
{
    posix_lock_release(&shared_lock);
}

/* ---- unmapping */

/* Pages for the mapped pages of a run, chained by their first word. */
static int64_t allocate_blocks(const struct file_data *data, struct data_run run, void **chain)
{
    for (uint64_t n; (n = data_next_run(data, &run, true)) != 0; run.first += n) {
        for (uint64_t i = 0; i < n; i++) {
            void **block = posix_page_allocate();
            if (block == NULL) {
                while ((block = *chain) != NULL) {
                    *chain = *block;
                    posix_page_free((void *)block);
                }
                return -ENOMEM;
            }
            *block = *chain;
            *chain = (void *)block;
        }
    }
    return 0;
}

/* Moves the pages of [start, end) back into the file. node->lock held. */
static int64_t move_out(const struct file_mapping *mapping, uint64_t start, uint64_t end)
{
    struct file_data *data = &mapping->node->data;
    struct data_run run = run_of(mapping, start, end);
    void *chain = NULL;
    int64_t result = allocate_blocks(data, run, &chain);
    if (result < 0) {
        return result;
    }
    for (uint64_t n; (n = data_next_run(data, &run, true)) != 0; run.first += n) {
        for (uint64_t i = 0; i < n; i++) {
            void *block = chain;
            chain = *(void **)block;
            data_unshare(data, run.first + i, block);
        }
    }
    return 0;
}

/* Ends [start, end) of a mapping, inside it; upper is there if the middle goes. node->lock held.
 * True: nothing is left of the mapping. */
static bool cut(struct file_mapping *mapping, uint64_t start, uint64_t end,
                struct file_mapping *upper)
{
    if (start == mapping->start && end == mapping->end) {
        take_out(mapping);
        return true;
    }
    if (start == mapping->start) {
        mapping->offset += end - start;
        mapping->start = end;
        return false;
    }
    if (end < mapping->end) {
        *upper = (struct file_mapping){.node = node_get(mapping->node),
                                       .start = end,
                                       .end = mapping->end,
                                       .offset = mapping->offset + (end - mapping->start)};
        add(upper);
    }
    mapping->end = start;
    return false;
}

/* Whether another mapping holds the pages from start on; *end comes down to where that changes. */
static bool is_held_by_another(const struct file_mapping *mapping, uint64_t start, uint64_t *end)
{
    bool is_held = false;
    for (const struct file_mapping *m = mappings; m != NULL; m = m->next) {
        if (m == mapping || m->end <= start || m->start >= *end) {
            continue;
        }
        is_held = is_held || m->start <= start;
        uint64_t border = m->start > start ? m->start : m->end;
        *end = border < *end ? border : *end;
    }
    return is_held;
}

/* Ends one mapping of the pages from *start on, up to where something changes. */
static int64_t detach_part(uint64_t *start, uint64_t end)
{
    struct file_mapping *mapping = find(*start);
    if (mapping == NULL) { /* a region that lost its mapping: only the region is left */
        int64_t result = posix_memory_remove(*start, end);
        *start = end;
        return result;
    }
    uint64_t part_end = end < mapping->end ? end : mapping->end;
    bool is_held = is_held_by_another(mapping, *start, &part_end);
    bool is_middle = *start != mapping->start && part_end != mapping->end;
    struct file_mapping *upper = is_middle ? posix_allocate(sizeof(*upper)) : NULL;
    if (is_middle && upper == NULL) {
        return -ENOMEM;
    }
    struct posix_node *node = mapping->node;
    bool is_over = false;
    posix_lock_acquire(&node->lock);
    int64_t result = is_held ? 0 : move_out(mapping, *start, part_end);
    if (result == 0) {
        is_over = cut(mapping, *start, part_end, upper);
    }
    posix_lock_release(&node->lock);
    if (result < 0) {
        posix_free(upper);
        return result;
    }
    if (is_over) {
        discard(mapping);
    }
    result = is_held ? 0 : posix_memory_remove(*start, part_end);
    *start = part_end;
    return result;
}

/* @impl ATL-LLR-FILE-0034~1 */
int64_t posix_shared_detach(uint64_t start, uint64_t end, bool all)
{
    int64_t result = 0;
    posix_lock_acquire(&shared_lock);
    while (result == 0 && start < end) {
        uint64_t part = start;
        result = detach_part(&part, end);
        struct posix_region_info region;
        bool is_gone = !all || !posix_memory_find(start, false, &region);
        start = is_gone ? part : start;
    }
    posix_lock_release(&shared_lock);
    return result;
}

bool posix_shared_exists(void)
{
    return atomic_load_explicit(&mapping_count, memory_order_relaxed) != 0;
}

/* ---- what else happens to mapped pages */

void posix_shared_protect(uint64_t start, uint64_t end, uint32_t protection)
{
    posix_lock_acquire(&shared_lock);
    for (const struct file_mapping *m = mappings; m != NULL; m = m->next) {
        if (m->start >= end || m->end <= start) {
            continue;
        }
        posix_lock_acquire(&m->node->lock);
        struct data_run run =
            run_of(m, start > m->start ? start : m->start, end < m->end ? end : m->end);
        for (uint64_t n; (n = data_next_run(&m->node->data, &run, true)) != 0; run.first += n) {
            (void)gate_protect(address_in(m, run.first), n * PIECE_BYTES, protection);
        }
        posix_lock_release(&m->node->lock);
    }
    posix_lock_release(&shared_lock);
}

struct posix_node *posix_shared_node(uint64_t address, uint64_t *offset)
{
    posix_lock_acquire(&shared_lock);
    const struct file_mapping *mapping = find(address);
    struct posix_node *node = mapping != NULL ? node_get(mapping->node) : NULL;
    if (mapping != NULL) {
        *offset = mapping->offset + (address - mapping->start);
    }
    posix_lock_release(&shared_lock);
    return node;
}

void posix_shared_node_put(struct posix_node *node)
{
    node_put(node);
}

uint64_t shared_describe(uint64_t address, char **path)
{
    static const char gone[] = "/ (deleted)";
    uint64_t offset = 0;
    struct posix_node *node = posix_shared_node(address, &offset);
    *path = NULL;
    if (node == NULL) {
        return 0;
    }
    char *text = posix_allocate(POSIX_PATH_BYTES_MAX);
    if (text != NULL) {
        tree_acquire();
        int64_t length = tree_path(node, text, POSIX_PATH_BYTES_MAX);
        tree_release();
        if (length < 0) {
            __builtin_memcpy(text, gone, sizeof(gone));
        }
    }
    *path = text;
    uint64_t number = node->number;
    node_put(node);
    return number;
}

static bool is_allowed(uint64_t address, uint64_t error)
{
    uint32_t rights = rights_at(address);
    if ((error & PAGE_ERROR_WRITE) != 0) {
        return (rights & GATE_WRITE) != 0;
    }
    return (error & PAGE_ERROR_FETCH) != 0 ? (rights & GATE_EXECUTE) != 0 : rights != 0;
}

/* @impl ATL-LLR-FILE-0035~1 */
enum posix_shared_fault posix_shared_fault(uint64_t address, uint64_t error)
{
    if (!posix_shared_exists() || (error & PAGE_ERROR_PRESENT) != 0) {
        return POSIX_SHARED_FAULT_OTHER;
    }
    enum posix_shared_fault result = POSIX_SHARED_FAULT_OTHER;
    posix_lock_acquire(&shared_lock);
    const struct file_mapping *mapping = find(address);
    if (mapping != NULL && is_allowed(address, error)) {
        struct posix_node *node = mapping->node;
        uint64_t at = POSIX_PAGE_DOWN(address) - mapping->start + mapping->offset;
        posix_lock_acquire(&node->lock);
        bool is_there = at < node->data.bytes && data_fill(&node->data, at, at + 1) == 0;
        posix_lock_release(&node->lock);
        result = is_there ? POSIX_SHARED_FAULT_RESOLVED : POSIX_SHARED_FAULT_BUS;
    }
    posix_lock_release(&shared_lock);
    return result;
}
