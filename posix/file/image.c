/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the image: the sorted index, windows through which posix/ reads content, digests. */
#include "image.h"
#include <posix/instructions.h>
#include <posix/memory.h>

struct state {
    const uint8_t *_Atomic window;
    uint64_t first_block; /* of all files' blocks */
};
enum block_state { NOT_VERIFIED, VERIFIED, DAMAGED };

static struct state *states;    /* one for each file; written once at start */
static _Atomic uint8_t *blocks; /* enum block_state, for each block of each file */

static const struct image_file *files(void)
{
    return (const struct image_file *)((const char *)posix_image() + posix_image()->file_offset);
}

const struct image_file *image_file_at(uint32_t index)
{
    return index < posix_image()->file_count ? &files()[index] : NULL;
}

uint32_t image_file_index(const struct image_file *file)
{
    return (uint32_t)(file - files());
}

/* @impl ATL-LLR-FILE-0004~1 */
uint32_t image_lower_bound(const char *path)
{
    uint32_t low = 0;
    uint32_t high = posix_image()->file_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (__builtin_strcmp(posix_image_string(files()[middle].path_offset), path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct image_file *posix_image_exact(const char *path)
{
    const struct image_file *file = image_file_at(image_lower_bound(path));
    if (file != NULL && __builtin_strcmp(posix_image_string(file->path_offset), path) == 0) {
        return file;
    }
    return NULL;
}

int64_t image_initialize(void)
{
    uint32_t count = posix_image()->file_count;
    uint64_t block = 0;
    states = posix_allocate((count + 1) * sizeof(*states));
    if (states == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        states[i].first_block = block;
        block += (files()[i].bytes + IMAGE_BLOCK_BYTES - 1) / IMAGE_BLOCK_BYTES;
    }
    blocks = posix_allocate(posix_image()->digest_count + 1);
    return blocks != NULL ? 0 : -ENOMEM;
}

const uint8_t *posix_image_window(const struct image_file *file)
{
    static const uint8_t empty;
    if (file->bytes == 0) {
        return &empty;
    }
    struct state *state = &states[image_file_index(file)];
    const uint8_t *window = atomic_load_explicit(&state->window, memory_order_acquire);
    if (window == NULL) {
        /* Two threads may both map: one window is kept, the other stays unused. */
        window = posix_memory_map_window(file);
        const uint8_t *expected = NULL;
        if (window != NULL && !atomic_compare_exchange_strong(&state->window, &expected, window)) {
            window = expected;
        }
    }
    return window;
}

uint32_t image_crc32c_more(uint32_t crc, const uint8_t *bytes, uint64_t count)
{
    while (count >= sizeof(uint64_t)) {
        uint64_t word;
        __builtin_memcpy(&word, bytes, sizeof(word));
        crc = instruction_crc32_u64(crc, word);
        bytes += sizeof(word);
        count -= sizeof(word);
    }
    while (count != 0) {
        crc = instruction_crc32_u8(crc, *bytes++);
        count--;
    }
    return crc;
}

uint32_t image_crc32c(const uint8_t *bytes, uint64_t count)
{
    return ~image_crc32c_more(UINT32_MAX, bytes, count);
}

static uint32_t digest_of(uint64_t block)
{
    const char *index = (const char *)posix_image();
    return ((const uint32_t *)(index + posix_image()->digest_offset))[block];
}

/* The state of the block that holds an offset; not verified: for want of memory. */
static enum block_state look_at_block(const struct image_file *file, uint64_t offset)
{
    uint64_t number = offset / IMAGE_BLOCK_BYTES;
    uint64_t block = states[image_file_index(file)].first_block + number;
    uint8_t state = atomic_load_explicit(&blocks[block], memory_order_relaxed);
    const uint8_t *window = state == NOT_VERIFIED ? posix_image_window(file) : NULL;
    if (window != NULL) {
        uint64_t start = number * IMAGE_BLOCK_BYTES;
        uint64_t rest = file->bytes - start;
        uint64_t count = rest < IMAGE_BLOCK_BYTES ? rest : IMAGE_BLOCK_BYTES;
        state = image_crc32c(window + start, count) == digest_of(block) ? VERIFIED : DAMAGED;
        uint8_t before = atomic_exchange_explicit(&blocks[block], state, memory_order_relaxed);
        if (state == DAMAGED && before == NOT_VERIFIED) {
            posix_report("%s: the content does not match its checksum, bytes %lu to %lu",
                         posix_image_string(file->path_offset), start, start + count - 1);
        }
    }
    return state;
}

/* @impl ATL-LLR-FILE-0005~2 */
uint64_t posix_image_run(const struct image_file *file, uint64_t offset, uint64_t bytes,
                         int64_t *error)
{
    enum block_state state = look_at_block(file, offset);
    uint64_t end = offset + bytes;
    uint64_t at = (offset / IMAGE_BLOCK_BYTES + 1) * IMAGE_BLOCK_BYTES;
    while (at < end && look_at_block(file, at) == state) {
        at += IMAGE_BLOCK_BYTES;
    }
    *error = state == VERIFIED ? 0 : state == DAMAGED ? -EIO : -ENOMEM;
    return (at < end ? at : end) - offset;
}

int64_t posix_image_verify(const struct image_file *file, uint64_t offset, uint64_t bytes)
{
    int64_t error = 0;
    for (uint64_t done = 0; done < bytes && error == 0;) {
        done += posix_image_run(file, offset + done, bytes - done, &error);
    }
    return error;
}

int64_t posix_image_touch(const struct image_file *file, uint64_t offset, uint64_t bytes)
{
    int64_t error = 0;
    for (uint64_t done = 0; done < bytes && error != -ENOMEM;) {
        done += posix_image_run(file, offset + done, bytes - done, &error);
    }
    return error == -ENOMEM ? error : 0;
}
