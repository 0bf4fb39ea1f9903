/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of regular files in memory: pieces of a page in a radix tree of 64 children per level,
 * over what shows through of an image file. Bytes of a piece behind the end of the file are zero
 * always. A piece of a range that the application has mapped shared is the mapped page itself
 * (shared.c): its address is tagged, and it is opened for the moments in which it is touched. */
#include "node.h"
#include "shared.h"
#include <posix/memory.h>

_Static_assert(PIECE_BYTES == POSIX_PAGE_BYTES, "a piece is a page");

#define FAN_BITS 6u
#define FAN 64u

struct branch {
    void *children[FAN]; /* branches, or pieces at the lowest level */
};

#define TAG_SHARED 1u /* of a piece: a page of the application; blocks of the heap are even */

static uint64_t address_of(const void *piece)
{
    return (uintptr_t)piece & ~(uint64_t)TAG_SHARED;
}

static bool is_shared(const void *piece)
{
    return ((uintptr_t)piece & TAG_SHARED) != 0;
}

static void read_piece(const void *piece, size_t skip, void *to, size_t bytes)
{
    const uint8_t *from = (const uint8_t *)address_of(piece); // NOLINT: a tagged address
    uint32_t rights = is_shared(piece) ? shared_page_open(address_of(piece), false) : 0;
    __builtin_memcpy(to, from + skip, bytes);
    if (is_shared(piece)) {
        shared_page_close(address_of(piece), rights, false);
    }
}

/* from NULL: zeros. */
static void write_piece(void *piece, size_t skip, const void *from, size_t bytes)
{
    uint8_t *to = (uint8_t *)address_of(piece); // NOLINT: a tagged address
    uint32_t rights = is_shared(piece) ? shared_page_open(address_of(piece), true) : 0;
    if (from != NULL) {
        __builtin_memcpy(to + skip, from, bytes);
    } else {
        __builtin_memset(to + skip, 0, bytes);
    }
    if (is_shared(piece)) {
        shared_page_close(address_of(piece), rights, true);
    }
}

static void free_piece(void *piece)
{
    if (is_shared(piece)) {
        shared_page_remove(address_of(piece));
    } else {
        posix_page_free(piece);
    }
}

/* How many pieces a tree of a height can hold; saturates. */
static uint64_t span(uint32_t height)
{
    return height * FAN_BITS >= 63 ? UINT64_MAX : 1ull << (height * FAN_BITS);
}

static uint32_t child_index(uint64_t index, uint32_t level)
{
    uint32_t shift = level * FAN_BITS;
    return shift >= 64 ? 0 : (uint32_t)(index >> shift) % FAN;
}

static void *find_piece(const struct file_data *data, uint64_t index)
{
    if (data->height == 0 || index >= span(data->height)) {
        return NULL;
    }
    void *at = data->root;
    for (uint32_t level = data->height; level != 0 && at != NULL; level--) {
        at = ((struct branch *)at)->children[child_index(index, level - 1)];
    }
    return at;
}

/* Bytes of the image that show at a piece. */
static size_t image_part(const struct file_data *data, uint64_t index)
{
    uint64_t start = index * PIECE_BYTES;
    if (data->image == NULL || start >= data->image_bytes) {
        return 0;
    }
    uint64_t rest = data->image_bytes - start;
    return rest < PIECE_BYTES ? rest : PIECE_BYTES;
}

/* Whether what shows through at a piece holds: 0, -EIO or -ENOMEM. */
static int64_t check_image_part(const struct file_data *data, uint64_t index)
{
    size_t part = image_part(data, index);
    return part != 0 ? posix_image_verify(data->image, index * PIECE_BYTES, part) : 0;
}

/* Fills a fresh, zeroed piece with what showed through there. */
static bool fill_piece(const struct file_data *data, uint64_t index, uint8_t *piece)
{
    size_t part = image_part(data, index);
    if (check_image_part(data, index) < 0) {
        return false;
    }
    if (part != 0) {
        __builtin_memcpy(piece, posix_image_window(data->image) + index * PIECE_BYTES, part);
    }
    return true;
}

static bool grow_root(struct file_data *data, uint64_t index)
{
    while (data->height == 0 || index >= span(data->height)) {
        struct branch *branch = posix_allocate(sizeof(*branch));
        if (branch == NULL) {
            return false;
        }
        branch->children[0] = data->root;
        data->root = branch;
        data->height++;
    }
    return true;
}

/* Where the piece at an index is or will be kept; NULL: no memory. Branches that were made on the
 * way stay: they are empty and are freed with the rest. */
static void **make_place(struct file_data *data, uint64_t index)
{
    if (!grow_root(data, index)) {
        return NULL;
    }
    void **place = &data->root;
    for (uint32_t level = data->height; level != 0; level--) {
        place = &((struct branch *)*place)->children[child_index(index, level - 1)];
        if (*place == NULL && level > 1) {
            *place = posix_allocate(sizeof(struct branch));
            if (*place == NULL) {
                return NULL;
            }
        }
    }
    return place;
}

/* A new piece with what shows through; where a shared mapping reaches nothing does, but a damaged
 * block of the image: the mapped page appears with zeros. NULL: no memory, or damaged. */
static void *new_piece(const struct file_data *data, uint64_t index)
{
    uint64_t address = shared_address(data, index);
    if (address != 0 && image_part(data, index) != 0) {
        return NULL;
    }
    if (address != 0) {
        return shared_page_add(address) ? (void *)(address | TAG_SHARED) : NULL; // NOLINT: tagged
    }
    uint8_t *piece = posix_page_allocate();
    if (piece != NULL && !fill_piece(data, index, piece)) {
        posix_page_free(piece);
        return NULL;
    }
    return piece;
}

/* The piece at an index, made if it is not there; NULL: no memory, or damaged. */
static void *make_piece(struct file_data *data, uint64_t index)
{
    void **place = make_place(data, index);
    if (place != NULL && *place == NULL) {
        *place = new_piece(data, index);
        data->piece_count += *place != NULL ? 1 : 0;
    }
    return place != NULL ? *place : NULL;
}

/* Why make_piece gave none. */
static int64_t piece_error(const struct file_data *data, uint64_t index)
{
    return check_image_part(data, index) == -EIO ? -EIO : -ENOSPC;
}

int64_t data_read(const struct file_data *data, void *to, uint64_t offset, size_t bytes)
{
    uint8_t *out = to;
    while (bytes != 0) {
        uint64_t index = offset / PIECE_BYTES;
        size_t skip = offset % PIECE_BYTES;
        size_t part = PIECE_BYTES - skip < bytes ? PIECE_BYTES - skip : bytes;
        const void *piece = find_piece(data, index);
        size_t shown = image_part(data, index);
        if (piece != NULL) {
            read_piece(piece, skip, out, part);
        } else {
            size_t rest = shown > skip ? shown - skip : 0;
            size_t from_image = rest < part ? rest : part;
            int64_t error = from_image != 0 ? check_image_part(data, index) : 0;
            if (error < 0) {
                return out != to ? out - (uint8_t *)to : error;
            }
            if (from_image != 0) {
                __builtin_memcpy(out, posix_image_window(data->image) + offset, from_image);
            }
            __builtin_memset(out + from_image, 0, part - from_image);
        }
        out += part;
        offset += part;
        bytes -= part;
    }
    return out - (uint8_t *)to;
}

/* @impl ATL-LLR-FILE-0003~1 */
int64_t data_write(struct file_data *data, const void *from, uint64_t offset, size_t bytes)
{
    const uint8_t *in = from;
    size_t done = 0;
    while (done < bytes) {
        void *piece = make_piece(data, offset / PIECE_BYTES);
        if (piece == NULL) {
            break;
        }
        size_t skip = offset % PIECE_BYTES;
        size_t part = PIECE_BYTES - skip < bytes - done ? PIECE_BYTES - skip : bytes - done;
        write_piece(piece, skip, in + done, part);
        done += part;
        offset += part;
    }
    if (done != 0 && offset > data->bytes) {
        data->bytes = offset;
    }
    return done != 0 || bytes == 0 ? (int64_t)done : piece_error(data, offset / PIECE_BYTES);
}

/* Frees pieces with indices in [start, end) and branches that become empty. base: index of the
 * first piece below this branch; level 0 are pieces. Recursion is bounded by the height (10). */
static void prune(struct file_data *data, void **place, uint32_t level, uint64_t base,
                  uint64_t start, uint64_t end)
{
    if (*place == NULL) {
        return;
    }
    if (level == 0) {
        free_piece(*place);
        *place = NULL;
        data->piece_count--;
        return;
    }
    struct branch *branch = *place;
    uint64_t step = span(level - 1);
    bool is_empty = true;
    for (uint32_t i = 0; i < FAN; i++) {
        uint64_t first = base + i * step;
        uint64_t behind = first + step < first ? UINT64_MAX : first + step;
        if (first < end && behind > start) {
            prune(data, &branch->children[i], level - 1, first, start, end);
        }
        is_empty = is_empty && branch->children[i] == NULL;
    }
    if (is_empty) {
        posix_free(branch);
        *place = NULL;
    }
}

static void drop_pieces(struct file_data *data, uint64_t start, uint64_t end)
{
    if (data->height != 0 && start < end) {
        prune(data, &data->root, data->height, 0, start, end);
        if (data->root == NULL) {
            data->height = 0;
        }
    }
}

/* Zeroes the part of one piece that is there or shows through. */
static int64_t clear_part(struct file_data *data, uint64_t start, uint64_t end)
{
    uint64_t index = start / PIECE_BYTES;
    void *piece = find_piece(data, index);
    if (piece == NULL && image_part(data, index) > start % PIECE_BYTES) {
        piece = make_piece(data, index);
        if (piece == NULL) {
            return piece_error(data, index);
        }
    }
    if (piece != NULL && start < end) {
        write_piece(piece, start % PIECE_BYTES, NULL, end - start);
    }
    return 0;
}

int64_t data_resize(struct file_data *data, uint64_t bytes)
{
    if (bytes < data->bytes) {
        uint64_t rounded = (bytes + PIECE_BYTES - 1) / PIECE_BYTES;
        /* Only a piece that is there holds bytes behind the new end: image bytes are cut below. */
        void *piece = bytes % PIECE_BYTES != 0 ? find_piece(data, bytes / PIECE_BYTES) : NULL;
        if (piece != NULL) {
            write_piece(piece, bytes % PIECE_BYTES, NULL, PIECE_BYTES - bytes % PIECE_BYTES);
        }
        drop_pieces(data, rounded, UINT64_MAX);
        data->image_bytes = bytes < data->image_bytes ? bytes : data->image_bytes;
    }
    data->bytes = bytes;
    return 0;
}

int64_t data_clear(struct file_data *data, uint64_t start, uint64_t end)
{
    end = end < data->bytes ? end : data->bytes;
    while (start < end) {
        uint64_t next = (start / PIECE_BYTES + 1) * PIECE_BYTES;
        uint64_t part_end = next < end ? next : end;
        bool is_whole = start % PIECE_BYTES == 0 && (part_end == next || part_end == data->bytes);
        if (is_whole && start >= data->image_bytes) {
            uint64_t last = (end == data->bytes ? end + PIECE_BYTES - 1 : end) / PIECE_BYTES;
            drop_pieces(data, start / PIECE_BYTES, last);
            part_end = last * PIECE_BYTES < end ? last * PIECE_BYTES : end;
        } else {
            int64_t result = clear_part(data, start, part_end);
            if (result < 0) {
                return result;
            }
        }
        start = part_end;
    }
    return 0;
}

int64_t data_fill(struct file_data *data, uint64_t start, uint64_t end)
{
    for (uint64_t index = start / PIECE_BYTES; index * PIECE_BYTES < end; index++) {
        if (make_piece(data, index) == NULL) {
            return piece_error(data, index);
        }
    }
    return 0;
}

static bool has_data(const struct file_data *data, uint64_t index)
{
    return image_part(data, index) != 0 || find_piece(data, index) != NULL;
}

/* The lowest index >= from that has a piece; UINT64_MAX: none. */
static uint64_t next_piece(void *const *place, uint32_t level, uint64_t base, uint64_t from)
{
    if (*place == NULL) {
        return UINT64_MAX;
    }
    if (level == 0) {
        return base;
    }
    const struct branch *branch = *place;
    uint64_t step = span(level - 1);
    for (uint32_t i = 0; i < FAN; i++) {
        uint64_t first = base + i * step;
        if (first + step > from) {
            uint64_t found = next_piece(&branch->children[i], level - 1, first, from);
            if (found != UINT64_MAX) {
                return found;
            }
        }
    }
    return UINT64_MAX;
}

uint64_t data_next(const struct file_data *data, uint64_t offset, bool hole)
{
    uint64_t index = offset / PIECE_BYTES;
    if (hole) {
        while (index * PIECE_BYTES < data->bytes && has_data(data, index)) {
            index++;
        }
    } else if (!has_data(data, index)) {
        index = data->height != 0 ? next_piece(&data->root, data->height, 0, index) : UINT64_MAX;
        if (index == UINT64_MAX) {
            return data->bytes;
        }
    }
    uint64_t found = index * PIECE_BYTES;
    found = found > offset ? found : offset;
    return found < data->bytes ? found : data->bytes;
}

/* Whether a piece is a mapped page (shared), or can become one. */
static bool is_usable(const struct file_data *data, uint64_t index, bool shared)
{
    const void *piece = find_piece(data, index);
    return shared ? is_shared(piece)
                  : piece != NULL || (has_data(data, index) && check_image_part(data, index) == 0);
}

/* The next index in [from, end) that is usable; end: none. */
static uint64_t next_used(const struct file_data *data, uint64_t from, uint64_t end, bool shared)
{
    while (from < end) {
        uint64_t found = data_next(data, from * PIECE_BYTES, false) / PIECE_BYTES;
        if (found >= end || (found <= from && !has_data(data, from))) {
            return end;
        }
        from = found > from ? found : from;
        if (is_usable(data, from, shared)) {
            return from;
        }
        from++;
    }
    return end;
}

uint64_t data_next_run(const struct file_data *data, struct data_run *run, bool shared)
{
    run->first = next_used(data, run->first, run->end, shared);
    uint64_t end = run->first;
    while (end < run->end && is_usable(data, end, shared)) {
        end++;
    }
    return end - run->first;
}

int64_t data_prepare_share(struct file_data *data, struct data_run run)
{
    for (uint64_t count; (count = data_next_run(data, &run, false)) != 0; run.first += count) {
        for (uint64_t i = 0; i < count; i++) {
            if (make_place(data, run.first + i) == NULL) {
                return -ENOMEM;
            }
        }
    }
    return 0;
}

void data_share(struct file_data *data, uint64_t index, uint64_t address)
{
    void **place = make_place(data, index); /* data_prepare_share was there: it is */
    uint64_t rest = data->bytes - index * PIECE_BYTES;
    (void)data_read(data, (void *)address, index * PIECE_BYTES, // NOLINT: fresh memory, all zeros
                    rest < PIECE_BYTES ? rest : PIECE_BYTES);
    if (*place != NULL) {
        posix_page_free(*place);
    } else {
        data->piece_count++;
    }
    *place = (void *)(address | TAG_SHARED); // NOLINT: a tagged address
}

void data_unshare(struct file_data *data, uint64_t index, void *piece)
{
    void **place = make_place(data, index);
    read_piece(*place, 0, piece, PIECE_BYTES);
    *place = piece;
}

void data_free(struct file_data *data)
{
    drop_pieces(data, 0, UINT64_MAX);
}
