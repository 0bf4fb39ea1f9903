/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's memory functions against the C library's, under other names. */
#include <check.h>

#define memcpy tested_memcpy
#define memset tested_memset
#define memcmp tested_memcmp
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include <cpu/string.c>
#undef memcpy
#undef memset
#undef memcmp

#define ROOM 400u

static uint8_t from[ROOM], to[ROOM], wanted[ROOM];

static void fill(void)
{
    for (unsigned i = 0; i < ROOM; i++) {
        from[i] = (uint8_t)(i * 7 + 1);
        to[i] = wanted[i] = (uint8_t)(i * 13 + 5);
    }
}

/* @verifies ATL-LLR-BOOT-0001~2 */
TEST(copies_of_every_size_and_alignment)
{
    for (unsigned bytes = 0; bytes < 200; bytes++) {
        for (unsigned offset = 0; offset < 9; offset++) {
            fill();
            memcpy(wanted + offset, from + 3, bytes);
            CHECK(tested_memcpy(to + offset, from + 3, bytes) == to + offset);
            CHECK_BYTES(to, wanted, ROOM);
        }
    }
}

/* @verifies ATL-LLR-BOOT-0001~2 */
TEST(sets_of_every_size)
{
    for (unsigned bytes = 0; bytes < 200; bytes++) {
        fill();
        memset(wanted + bytes % 11, 0x1a5, bytes);
        CHECK(tested_memset(to + bytes % 11, 0x1a5, bytes) == to + bytes % 11);
        CHECK_BYTES(to, wanted, ROOM);
    }
}

/* @verifies ATL-LLR-BOOT-0001~2 */
TEST(comparison_tells_the_first_difference)
{
    for (unsigned bytes = 1; bytes < 100; bytes++) {
        for (unsigned at = 0; at < bytes; at++) {
            fill();
            memcpy(to, from, bytes);
            CHECK_EQUAL(tested_memcmp(to, from, bytes), 0);
            to[at]++;
            to[ROOM - 1] = from[ROOM - 1];
            CHECK((tested_memcmp(to, from, bytes) > 0) == (to[at] > from[at]));
            CHECK(tested_memcmp(to, from, bytes) != 0);
            CHECK_EQUAL(tested_memcmp(to, from, at), 0);
        }
    }
}

CHECK_MAIN()
