/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger's line: any bytes, and behind them a good packet that must arrive. What is handed
 * over is read as text and sent back, escaped, and must come through a second receiver unchanged.
 * @verifies ATL-LLR-DEBUG-0001~1 ATL-LLR-DEBUG-0002~1 ATL-LLR-DEBUG-0003~1 @robust */
#include "fuzz.h"
#include <packet.h>

static struct debug_receiver receiver, second;
static struct debug_reply reply;

static void use_text(void)
{
    struct debug_text text = {receiver.body, receiver.bytes};
    uint8_t bytes[64];
    uint64_t value;
    while (text.left > 0) {
        uint32_t before = text.left;
        if (!debug_text_number(&text, &value) && !debug_text_word(&text, "vCont;") &&
            debug_text_hex(&text, bytes, sizeof(bytes)) == 0) {
            text.at++;
            text.left--;
        }
        FUZZ_REQUIRE(text.left < before);
    }
}

static void send_back(void)
{
    debug_reply_clear(&reply);
    size_t taken = debug_reply_binary(&reply, receiver.body, receiver.bytes);
    FUZZ_REQUIRE(taken == receiver.bytes || reply.bytes >= DEBUG_PACKET_BYTES_MAX - 1);
    char footer[4];
    snprintf(footer, sizeof(footer), "#%02x", debug_reply_finish(&reply));
    FUZZ_REQUIRE(debug_receiver_take(&second, '$') == DEBUG_INPUT_BEGIN);
    for (uint32_t i = 0; i < reply.bytes; i++) {
        FUZZ_REQUIRE(debug_receiver_take(&second, reply.body[i]) == DEBUG_INPUT_NONE);
    }
    (void)debug_receiver_take(&second, '#');
    (void)debug_receiver_take(&second, (uint8_t)footer[1]);
    FUZZ_REQUIRE(debug_receiver_take(&second, (uint8_t)footer[2]) == DEBUG_INPUT_PACKET);
    FUZZ_REQUIRE(second.bytes == taken && memcmp(second.body, receiver.body, taken) == 0);
}

static enum debug_input take(uint8_t byte)
{
    enum debug_input input = debug_receiver_take(&receiver, byte);
    FUZZ_REQUIRE(receiver.bytes <= DEBUG_PACKET_BYTES_MAX);
    if (input == DEBUG_INPUT_PACKET) {
        use_text();
        send_back();
    }
    return input;
}

void fuzz_one(const uint8_t *input, size_t bytes)
{
    memset(&receiver, 0, sizeof(receiver));
    memset(&second, 0, sizeof(second));
    for (size_t i = 0; i < bytes; i++) {
        (void)take(input[i]);
    }
    static const uint8_t good[] = {'$', 'g', '#', '6', '7'};
    for (size_t i = 0; i + 1 < sizeof(good); i++) {
        (void)take(good[i]);
    }
    FUZZ_REQUIRE(take('7') == DEBUG_INPUT_PACKET);
    FUZZ_REQUIRE(receiver.bytes == 1 && receiver.body[0] == 'g');
}
