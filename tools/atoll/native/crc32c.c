/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli, reflected 0x82f63b78) of a buffer, eight bytes a step with eight tables.
 * Called by tools/atoll/native_code.py; continues from `crc` (0 to start). */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u

uint32_t atoll_crc32c(uint32_t crc, const uint8_t *data, size_t bytes);

static uint32_t tables[8][256];

__attribute__((constructor)) static void build_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; bit++) {
            value = (value >> 1) ^ ((value & 1) ? POLYNOMIAL : 0);
        }
        tables[0][byte] = value;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int step = 1; step < 8; step++) {
            uint32_t before = tables[step - 1][byte];
            tables[step][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

uint32_t atoll_crc32c(uint32_t crc, const uint8_t *data, size_t bytes)
{
    crc = ~crc;
    while (bytes >= 8) {
        uint64_t word;
        memcpy(&word, data, sizeof(word));
        word ^= crc;
        crc = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
              tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
              tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
              tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
        data += 8;
        bytes -= 8;
    }
    while (bytes-- > 0) {
        crc = (crc >> 8) ^ tables[0][(crc ^ *data++) & 0xff];
    }
    return ~crc;
}
