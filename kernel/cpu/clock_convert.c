/* SPDX-License-Identifier: Apache-2.0 */
#include "clock_convert.h"

static uint64_t accepted(unsigned __int128 hz)
{
    return hz >= CLOCK_HZ_MIN && hz <= CLOCK_HZ_MAX ? (uint64_t)hz : 0;
}

uint64_t clock_multiplier(uint64_t hz)
{
    ASSERT(hz >= CLOCK_HZ_MIN && hz <= CLOCK_HZ_MAX);
    /* 1e9 * 2^32 fits 64 bits. */
    return (NS_PER_SECOND << 32) / hz;
}

/* @impl ATL-LLR-BOOT-0017~1 */
uint64_t clock_hz_from_scale(uint32_t scale, int8_t shift)
{
    if (scale == 0 || shift < -32 || shift > 32) {
        return 0;
    }
    unsigned __int128 hz = (NS_PER_SECOND << 32) / scale;
    return accepted(shift < 0 ? hz << -shift : hz >> shift);
}

uint64_t clock_hz_from_ratio(uint64_t ticks, uint64_t reference_ticks, uint64_t reference_hz)
{
    /* Bounds keep the product in 64 bits: 2^34 ticks is more than 100 ms of any TSC. */
    if (reference_ticks == 0 || ticks >> 34 != 0 || reference_hz >> 30 != 0) {
        return 0;
    }
    return accepted(ticks * reference_hz / reference_ticks);
}
