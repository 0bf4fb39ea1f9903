/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of regular files in memory: pieces of a page in a radix tree of 64 children per level,
 * over what shows through of an image file. Bytes of a piece behind the end of the file are zero
 * always. */
#include "node.h"

#define FAN_BITS 6u
#define FAN 64u

struct branch {
    void *children[FAN]; /* branches, or pieces at the lowest level */
};

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

static uint8_t *find_piece(const struct file_data *data, uint64_t index)
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

/* Fills a fresh, zeroed piece with what showed through there. */
static bool fill_piece(const struct file_data *data, uint64_t index, uint8_t *piece)
{
    size_t part = image_part(data, index);
    if (part != 0) {
        const uint8_t *window = posix_image_window(data->image);
        if (window == NULL) {
            return false;
        }
        __builtin_memcpy(piece, window + index * PIECE_BYTES, part);
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

/* The piece at an index, made if it is not there; NULL: no memory. Branches that were made on the
 * way stay: they are empty and are freed with the rest. */
static uint8_t *make_piece(struct file_data *data, uint64_t index)
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
    if (*place == NULL) {
        uint8_t *piece = posix_allocate(PIECE_BYTES);
        if (piece == NULL || !fill_piece(data, index, piece)) {
            posix_free(piece);
            return NULL;
        }
        *place = piece;
        data->piece_count++;
    }
    return *place;
}

void data_read(const struct file_data *data, void *to, uint64_t offset, size_t bytes)
{
    uint8_t *out = to;
    while (bytes != 0) {
        uint64_t index = offset / PIECE_BYTES;
        size_t skip = offset % PIECE_BYTES;
        size_t part = PIECE_BYTES - skip < bytes ? PIECE_BYTES - skip : bytes;
        const uint8_t *piece = find_piece(data, index);
        size_t shown = image_part(data, index);
        const uint8_t *window =
            piece == NULL && shown > skip ? posix_image_window(data->image) : NULL;
        if (piece != NULL) {
            __builtin_memcpy(out, piece + skip, part);
        } else {
            size_t from_image = window != NULL ? (shown - skip < part ? shown - skip : part) : 0;
            if (from_image != 0) {
                __builtin_memcpy(out, window + offset, from_image);
            }
            __builtin_memset(out + from_image, 0, part - from_image);
        }
        out += part;
        offset += part;
        bytes -= part;
    }
}

/* @impl ATL-LLR-FILE-0003~1 */
int64_t data_write(struct file_data *data, const void *from, uint64_t offset, size_t bytes)
{
    const uint8_t *in = from;
    size_t done = 0;
    while (done < bytes) {
        uint8_t *piece = make_piece(data, offset / PIECE_BYTES);
        if (piece == NULL) {
            break;
        }
        size_t skip = offset % PIECE_BYTES;
        size_t part = PIECE_BYTES - skip < bytes - done ? PIECE_BYTES - skip : bytes - done;
        __builtin_memcpy(piece + skip, in + done, part);
        done += part;
        offset += part;
    }
    if (done != 0 && offset > data->bytes) {
        data->bytes = offset;
    }
    return done != 0 || bytes == 0 ? (int64_t)done : -ENOSPC;
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
        posix_free(*place);
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
    uint8_t *piece = find_piece(data, index);
    if (piece == NULL && image_part(data, index) > start % PIECE_BYTES) {
        piece = make_piece(data, index);
        if (piece == NULL) {
            return -ENOSPC;
        }
    }
    if (piece != NULL && start < end) {
        __builtin_memset(piece + start % PIECE_BYTES, 0, end - start);
    }
    return 0;
}

int64_t data_resize(struct file_data *data, uint64_t bytes)
{
    if (bytes < data->bytes) {
        uint64_t rounded = (bytes + PIECE_BYTES - 1) / PIECE_BYTES;
        /* Only a piece that is there holds bytes behind the new end: image bytes are cut below. */
        uint8_t *piece = bytes % PIECE_BYTES != 0 ? find_piece(data, bytes / PIECE_BYTES) : NULL;
        if (piece != NULL) {
            __builtin_memset(piece + bytes % PIECE_BYTES, 0, PIECE_BYTES - bytes % PIECE_BYTES);
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
            return -ENOSPC;
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

void data_free(struct file_data *data)
{
    drop_pieces(data, 0, UINT64_MAX);
}
