/* SPDX-License-Identifier: Apache-2.0 */
/* What the two judges of a payload share: kernel/image judges what the kernel uses, and posix/load
 * the rest. Both have a `reason` to which they write. */
#ifndef KERNEL_IMAGE_CHECK_H
#define KERNEL_IMAGE_CHECK_H

#include <kernel/image.h>

/* Fails with the text if the condition does not hold. */
#define IMAGE_REQUIRE(condition_, text_)                                                           \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            *reason = (text_);                                                                     \
            return RESULT_FORMAT;                                                                  \
        }                                                                                          \
    } while (0)

static inline bool image_in_pages(uint64_t bytes)
{
    return IS_ALIGNED(bytes, PAGE_BYTES);
}

/* True if [offset, offset + bytes) lies in [start, end). */
static inline bool image_within(uint64_t offset, uint64_t bytes, uint64_t start, uint64_t end)
{
    return offset >= start && offset <= end && bytes <= end - offset;
}

/* True if it lies in the index, behind the header. */
static inline bool image_within_index(const struct image_header *header, uint64_t offset,
                                      uint64_t bytes)
{
    return image_within(offset, bytes, sizeof(*header), header->index_bytes);
}

static inline const void *image_at(const struct image_header *header, uint64_t offset)
{
    return (const uint8_t *)header + offset;
}

#endif
