/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of the debugger: bytes to packets and back, with everything that can be wrong. */
#include <check.h>
#include <packet.h>

static struct debug_receiver receiver;
static struct debug_reply reply;

/* Feeds all; what the last byte made of it. */
static enum debug_input feed(const void *bytes, size_t count)
{
    enum debug_input input = DEBUG_INPUT_NONE;
    for (size_t i = 0; i < count; i++) {
        input = debug_receiver_take(&receiver, ((const uint8_t *)bytes)[i]);
    }
    return input;
}

#define FEED(text) feed(text, sizeof(text) - 1)

static void check_good_packet(void)
{
    CHECK_EQUAL(FEED("$m40,8#2b"), DEBUG_INPUT_DAMAGED);
    CHECK_EQUAL(FEED("$m40,8#35"), DEBUG_INPUT_PACKET);
    CHECK_STRING((const char *)receiver.body, "m40,8");
}

/* @verifies ATL-LLR-DEBUG-0001~1 */
TEST(a_packet_is_handed_over_with_its_escapes_undone)
{
    receiver = (struct debug_receiver){0};
    CHECK_EQUAL(FEED("+$#00"), DEBUG_INPUT_PACKET);
    CHECK_EQUAL(receiver.bytes, 0);
    CHECK_EQUAL(FEED("$g#67"), DEBUG_INPUT_PACKET);
    CHECK_EQUAL(receiver.bytes, 1);
    /* } 0x03 is #, } 0x04 is $, } 0x5d is } itself; a bare 0x03 is data in here */
    CHECK_EQUAL(FEED("$X}\003}\004}\135\003#36"), DEBUG_INPUT_PACKET);
    CHECK_EQUAL(receiver.bytes, 5);
    CHECK_BYTES(receiver.body, "X#$}\003", 5);
    check_good_packet();
}

/* @verifies ATL-LLR-DEBUG-0001~1 @robust */
TEST(damage_costs_one_packet)
{
    receiver = (struct debug_receiver){0};
    CHECK_EQUAL(FEED("$g#68"), DEBUG_INPUT_DAMAGED);
    check_good_packet();
    CHECK_EQUAL(FEED("$g#zz"), DEBUG_INPUT_NONE); /* the second z is outside again */
    check_good_packet();
    CHECK_EQUAL(FEED("$g#6$"), DEBUG_INPUT_BEGIN);
    check_good_packet();
    CHECK_EQUAL(FEED("$mmmm$"), DEBUG_INPUT_BEGIN);
    check_good_packet();
    CHECK_EQUAL(FEED("$x}#f5"), DEBUG_INPUT_DAMAGED); /* nothing follows the escape */
    check_good_packet();
    CHECK_EQUAL(FEED("#00+-"), DEBUG_INPUT_REPEAT);
    CHECK_EQUAL(FEED("\003"), DEBUG_INPUT_INTERRUPT);
    check_good_packet();
}

/* @verifies ATL-LLR-DEBUG-0001~1 @robust */
TEST(the_longest_packet_passes_and_a_longer_one_does_not)
{
    static uint8_t bytes[DEBUG_PACKET_BYTES_MAX + 8];
    for (size_t more = 0; more < 2; more++) {
        receiver = (struct debug_receiver){0};
        size_t count = DEBUG_PACKET_BYTES_MAX + more;
        memset(bytes, 'a', sizeof(bytes));
        bytes[0] = '$';
        char sum[4];
        snprintf(sum, sizeof(sum), "#%02x", (unsigned)('a' * count & 0xff));
        memcpy(bytes + 1 + count, sum, 3);
        CHECK_EQUAL(feed(bytes, count + 4), more == 0 ? DEBUG_INPUT_PACKET : DEBUG_INPUT_DAMAGED);
        check_good_packet();
    }
}

/* @verifies ATL-LLR-DEBUG-0002~1 */
TEST(a_reply_is_escaped_and_summed)
{
    debug_reply_clear(&reply);
    debug_reply_text(&reply, "T05");
    debug_reply_number(&reply, 0);
    debug_reply_number(&reply, 0xfedcba9876543210);
    debug_reply_decimal(&reply, 18446744073709551615ull);
    debug_reply_hex(&reply, "\x00\xa5\xff", 3);
    CHECK_EQUAL(debug_reply_binary(&reply, "$#}*a", 5), 5);
    const char wanted[] = "T050fedcba987654321018446744073709551615"
                          "00a5ff}\004}\003}\135}\012a";
    CHECK_EQUAL(reply.bytes, sizeof(wanted) - 1);
    CHECK_BYTES(reply.body, wanted, sizeof(wanted) - 1);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(wanted) - 1; i++) {
        sum += (uint8_t)wanted[i];
    }
    CHECK_EQUAL(debug_reply_finish(&reply), sum & 0xff);
}

/* @verifies ATL-LLR-DEBUG-0002~1 @robust */
TEST(a_reply_that_does_not_fit_becomes_an_error)
{
    debug_reply_clear(&reply);
    static uint8_t bytes[DEBUG_PACKET_BYTES_MAX];
    memset(bytes, '$', sizeof(bytes));
    CHECK_EQUAL(debug_reply_binary(&reply, bytes, sizeof(bytes)), sizeof(bytes) / 2);
    CHECK_EQUAL(reply.bytes, DEBUG_PACKET_BYTES_MAX);
    CHECK(!reply.is_too_long);
    debug_reply_byte(&reply, 'x');
    (void)debug_reply_finish(&reply);
    CHECK_EQUAL(reply.bytes, 3);
    CHECK_BYTES(reply.body, "E01", 3);
}

static struct debug_text text_of(const char *text)
{
    return (struct debug_text){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* @verifies ATL-LLR-DEBUG-0003~1 @robust */
TEST(numbers_words_and_pairs_are_taken_from_the_front)
{
    uint64_t value = 5;
    struct debug_text text = text_of("vCont;1fF,0123456789abcdef:");
    CHECK(!debug_text_word(&text, "vCont?"));
    CHECK(debug_text_word(&text, "vCont;"));
    CHECK(debug_text_number(&text, &value));
    CHECK_EQUAL(value, 0x1ff);
    CHECK(!debug_text_number(&text, &value));
    CHECK(debug_text_word(&text, ","));
    CHECK(debug_text_number(&text, &value));
    CHECK_EQUAL(value, 0x0123456789abcdef);
    text = text_of("11112222333344445");
    CHECK(!debug_text_number(&text, &value));
    CHECK_EQUAL(text.left, 17);
    uint8_t bytes[4];
    text = text_of("00fFa");
    CHECK_EQUAL(debug_text_hex(&text, bytes, sizeof(bytes)), 2);
    CHECK_BYTES(bytes, "\x00\xff", 2);
    CHECK_EQUAL(text.left, 1);
    text = text_of("");
    CHECK(!debug_text_number(&text, &value) && !debug_text_word(&text, "x"));
}

CHECK_MAIN()
