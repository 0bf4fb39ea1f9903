/* SPDX-License-Identifier: Apache-2.0 */
/* What kernel and posix/ say of an image's payload, for `./atoll inspect`: their own validators,
 * with a faster checksum. */
#include <kernel/image.h>
#include <posix/load.h>
#include <stdlib.h>

uint32_t atoll_crc32c(uint32_t crc, const uint8_t *data, size_t bytes);
const char *atoll_image_verdict(const void *payload, uint64_t bytes);

noreturn void percpu_assert_failed(const char *, const char *, int)
{
    abort();
}

static uint32_t update(uint32_t state, const void *bytes, uint64_t bytes_count)
{
    return ~atoll_crc32c(~state, bytes, bytes_count);
}

/* NULL: valid; else the reason. */
const char *atoll_image_verdict(const void *payload, uint64_t bytes)
{
    const struct image_header *header = NULL;
    const char *reason = NULL;
    bool is_valid = image_validate(update, payload, bytes, &header, &reason) == RESULT_OK &&
                    posix_index_validate(header, &reason) == RESULT_OK;
    return is_valid ? NULL : reason;
}
