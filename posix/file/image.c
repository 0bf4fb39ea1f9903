/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the image: the sorted index, windows through which posix/ reads content, checksums. */
#include "image.h"
#include <posix/instructions.h>
#include <posix/memory.h>

struct state {
    const uint8_t *_Atomic window;
    _Atomic uint8_t verified; /* enum */
};
enum { NOT_VERIFIED, VERIFIED, DAMAGED };

static struct state *states; /* one for each file; written once at start */

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
    states = posix_allocate((posix_image()->file_count + 1) * sizeof(*states));
    return states != NULL ? 0 : -ENOMEM;
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

/* @impl ATL-LLR-FILE-0005~1 */
int64_t posix_image_verify(const struct image_file *file)
{
    struct state *state = &states[image_file_index(file)];
    uint8_t verified = atomic_load_explicit(&state->verified, memory_order_relaxed);
    if (verified == NOT_VERIFIED) {
        const uint8_t *window = posix_image_window(file);
        if (window == NULL) {
            return -ENOMEM;
        }
        verified = image_crc32c(window, file->bytes) == file->crc ? VERIFIED : DAMAGED;
        if (verified == DAMAGED) {
            posix_report("%s: the content does not match its checksum",
                         posix_image_string(file->path_offset));
        }
        atomic_store_explicit(&state->verified, verified, memory_order_relaxed);
    }
    return verified == VERIFIED ? 0 : -EIO;
}
