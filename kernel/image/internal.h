/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the image validator share. */
#ifndef KERNEL_IMAGE_INTERNAL_H
#define KERNEL_IMAGE_INTERNAL_H

#include <kernel/image.h>

/* A payload under judgement. The header is valid as memory; its fields are checked in order. */
struct image_check {
    const struct image_header *header;
    const uint8_t *bytes;
    const char **reason;
};

/* Fails with the text if the condition does not hold; for functions that have `check`. */
#define IMAGE_REQUIRE(check_, condition_, text_)                                                   \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            *(check_)->reason = (text_);                                                           \
            return RESULT_FORMAT;                                                                  \
        }                                                                                          \
    } while (0)

/* True if [offset, offset + bytes) lies in the index, behind the header. */
bool image_index_holds(const struct image_check *check, uint64_t offset, uint64_t bytes);

/* Strings and file table; the index bounds are valid. Leave the reason on failure. */
enum result image_check_strings(const struct image_check *check);
enum result image_check_files(const struct image_check *check);

#endif
