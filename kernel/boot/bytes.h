/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian fields of tables that were made by others: no alignment is assumed. The caller has
 * checked that the field lies inside its bytes. */
#ifndef KERNEL_BOOT_BYTES_H
#define KERNEL_BOOT_BYTES_H

#include <percpu/base.h>

static inline uint16_t bytes_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (at[1] << 8));
}

static inline uint32_t bytes_u32(const uint8_t *at)
{
    return bytes_u16(at) | ((uint32_t)bytes_u16(at + 2) << 16);
}

static inline uint64_t bytes_u64(const uint8_t *at)
{
    return bytes_u32(at) | ((uint64_t)bytes_u32(at + 4) << 32);
}

/* Sum of all bytes modulo 256: 0 for a valid table. */
static inline uint8_t bytes_sum(const uint8_t *at, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + at[i]);
    }
    return sum;
}

#endif
