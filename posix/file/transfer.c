/* SPDX-License-Identifier: Apache-2.0 */
/* The application's buffers of one read or write call. */
#include "abi.h"
#include <posix/file.h>

#define VECTORS_MAX 1024u

struct posix_vector posix_transfer_front(struct posix_transfer *transfer)
{
    while (transfer->count != 0 && transfer->vectors->bytes == transfer->skip) {
        transfer->vectors++;
        transfer->count--;
        transfer->skip = 0;
    }
    if (transfer->count == 0 || transfer->remaining == 0) {
        return (struct posix_vector){0, 0};
    }
    uint64_t bytes = transfer->vectors->bytes - transfer->skip;
    bytes = bytes < transfer->remaining ? bytes : transfer->remaining;
    return (struct posix_vector){transfer->vectors->address + transfer->skip, bytes};
}

enum direction { DIRECTION_IN, DIRECTION_OUT, DIRECTION_ZERO };

static int64_t copy_part(enum direction direction, uint8_t *buffer, struct posix_vector part)
{
    switch (direction) {
    case DIRECTION_IN:
        return posix_copy_in(buffer, part.address, part.bytes);
    case DIRECTION_OUT:
        return posix_copy_out(part.address, buffer, part.bytes);
    case DIRECTION_ZERO:
        return posix_zero_out(part.address, part.bytes);
    }
    return -EFAULT;
}

static int64_t transfer_any(struct posix_transfer *transfer, enum direction direction,
                            uint8_t *buffer, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        struct posix_vector part = posix_transfer_front(transfer);
        if (part.bytes == 0) {
            break;
        }
        part.bytes = part.bytes < bytes - done ? part.bytes : bytes - done;
        if (copy_part(direction, buffer != NULL ? buffer + done : NULL, part) < 0) {
            return done != 0 ? (int64_t)done : -EFAULT;
        }
        posix_transfer_advance(transfer, part.bytes);
        done += part.bytes;
    }
    return (int64_t)done;
}

int64_t posix_transfer_in(struct posix_transfer *transfer, void *to, size_t bytes)
{
    return transfer_any(transfer, DIRECTION_IN, to, bytes);
}

int64_t posix_transfer_out(struct posix_transfer *transfer, const void *from, size_t bytes)
{
    /* DIRECTION_OUT only reads the buffer. */
    return transfer_any(transfer, DIRECTION_OUT, (uint8_t *)(uintptr_t)from, bytes);
}

int64_t posix_transfer_zero(struct posix_transfer *transfer, size_t bytes)
{
    return transfer_any(transfer, DIRECTION_ZERO, NULL, bytes);
}

/* @impl ATL-LLR-FILE-0001~1 */
int64_t posix_transfer_load(struct posix_transfer *transfer, uint64_t vectors, uint64_t count,
                            struct posix_vector *inline_vectors, void **allocated)
{
    *allocated = NULL;
    *transfer = (struct posix_transfer){.vectors = inline_vectors};
    if (count > VECTORS_MAX) {
        return -EINVAL;
    }
    struct posix_vector *copy = inline_vectors;
    if (count > POSIX_VECTORS_INLINE) {
        copy = posix_allocate(count * sizeof(*copy));
        if (copy == NULL) {
            return -ENOMEM;
        }
        *allocated = copy;
    }
    if (posix_copy_in(copy, vectors, count * sizeof(*copy)) < 0) {
        return -EFAULT;
    }
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (copy[i].bytes > INT64_MAX) {
            return -EINVAL;
        }
        uint64_t room = POSIX_TRANSFER_BYTES_MAX - total;
        total += copy[i].bytes < room ? copy[i].bytes : room;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!posix_transfer_is_user(copy[i].address, copy[i].bytes)) {
            return -EFAULT;
        }
    }
    transfer->vectors = copy;
    transfer->count = (uint32_t)count;
    transfer->remaining = total;
    return 0;
}
