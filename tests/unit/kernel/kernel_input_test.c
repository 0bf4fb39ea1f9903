/* SPDX-License-Identifier: Apache-2.0 */
/* The console's input: plain with its end mark, framed with everything that can be wrong. */
#include <check.h>
#include <input.h>

static struct input input;
static uint8_t out[8192];
static uint32_t out_count;

static void feed(const void *bytes, size_t count, bool is_framed)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++) {
        if (is_framed ? input_take_framed(&input, at[i]) : input_take_plain(&input, at[i])) {
            CHECK(out_count < sizeof(out));
            out[out_count++] = at[i];
        }
    }
}

static void reset(void)
{
    input = (struct input){0};
    out_count = 0;
}

#define FRAMED(text) feed(text, sizeof(text) - 1, true)
#define PLAIN(text) feed(text, sizeof(text) - 1, false)

/* @verifies ATL-LLR-BOOT-0024~1 */
TEST(plain_bytes_pass_until_control_d_at_a_line_start)
{
    reset();
    PLAIN("a\004b\n\xa7\x00\xff");
    CHECK_EQUAL(out_count, 7);
    CHECK(!input.is_ended);
    PLAIN("\n\004more");
    CHECK_EQUAL(out_count, 8);
    CHECK(input.is_ended);
    reset();
    PLAIN("\004");
    CHECK(input.is_ended && out_count == 0);
    reset();
    PLAIN("x\r\004");
    CHECK(input.is_ended && out_count == 2);
}

/* @verifies ATL-LLR-BOOT-0025~2 */
TEST(frames_carry_any_bytes)
{
    reset();
    FRAMED("\xa7\x00\x05\x00"
           "\xa7\x00\x04\x00\n"
           "\xa7\x00\x01\x00z");
    CHECK_EQUAL(out_count, 6);
    CHECK_BYTES(out, "\xa7\x00\x04\x00\nz", 6);
    FRAMED("\xa7\x00\x00\x00"
           "\xa7\x00\x01\x00x");
    CHECK(input.is_ended);
    CHECK_EQUAL(out_count, 6);
}

/* @verifies ATL-LLR-BOOT-0025~2 */
TEST(the_longest_frame_passes)
{
    static uint8_t frame[4 + 4096] = {0xa7, 0, 0x00, 0x10};
    reset();
    feed(frame, sizeof(frame), true);
    CHECK_EQUAL(out_count, 4096);
}

/* @verifies ATL-LLR-BOOT-0025~2 @robust */
TEST(what_is_malformed_is_skipped)
{
    reset();
    FRAMED("noise\xa7\x00\x01\x00"
           "a");
    CHECK_EQUAL(out_count, 1);
    FRAMED("\xa7\x01\x01\x00\xa7\x00\x01\x00" /* a stream that is not input */
           "b");
    CHECK_EQUAL(out_count, 2);
    FRAMED("\xa7\x00\x01\x10\xa7\x00\x01\x00" /* 4097 bytes */
           "c");
    CHECK_EQUAL(out_count, 3);
    FRAMED("\xa7\xa7\x00\x01\x00" /* the first mark is noise, the second a frame's */
           "d");
    CHECK_EQUAL(out_count, 4);
    FRAMED("\xa7\x00\x02\xa7\x00\x01\x00" /* a length of 0xa702: its last byte begins a frame */
           "e");
    CHECK_EQUAL(out_count, 5);
    CHECK_BYTES(out, "abcde", 5);
}

/* @verifies ATL-LLR-BOOT-0025~2 @robust */
TEST(random_bytes_never_give_more_than_came)
{
    reset();
    srand(3);
    for (uint32_t i = 0; i < 1000000 && !input.is_ended; i++) {
        uint8_t byte = (uint8_t)(rand() % 4 == 0 ? 0xa7 : rand() % 8);
        (void)input_take_framed(&input, byte);
        CHECK(input.remaining <= 4096);
    }
}

CHECK_MAIN()
