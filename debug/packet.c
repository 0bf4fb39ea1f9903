/* SPDX-License-Identifier: Apache-2.0 */
#include "packet.h"

#define BEGIN '$'
#define END '#'
#define ESCAPE '}'
#define ESCAPE_BIT 0x20u
#define INTERRUPT 0x03u
#define DIGITS_MAX 16u

enum { OUTSIDE, INSIDE, SUM_HIGH, SUM_LOW };

static int digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'a' && byte <= 'f') {
        return byte - 'a' + 10;
    }
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static void begin(struct debug_receiver *receiver)
{
    receiver->state = INSIDE;
    receiver->sum = 0;
    receiver->is_escaped = false;
    receiver->is_too_long = false;
    receiver->bytes = 0;
}

static void take_body(struct debug_receiver *receiver, uint8_t byte)
{
    receiver->sum = (uint8_t)(receiver->sum + byte);
    if (byte == ESCAPE && !receiver->is_escaped) {
        receiver->is_escaped = true;
        return;
    }
    if (receiver->bytes == DEBUG_PACKET_BYTES_MAX) {
        receiver->is_too_long = true;
        return;
    }
    receiver->body[receiver->bytes++] = receiver->is_escaped ? byte ^ ESCAPE_BIT : byte;
    receiver->is_escaped = false;
}

static enum debug_input take_outside(uint8_t byte)
{
    if (byte == INTERRUPT) {
        return DEBUG_INPUT_INTERRUPT;
    }
    return byte == '-' ? DEBUG_INPUT_REPEAT : DEBUG_INPUT_NONE;
}

static enum debug_input take_sum(struct debug_receiver *receiver, uint8_t byte)
{
    int value = digit(byte);
    if (value < 0) {
        receiver->state = OUTSIDE;
        return DEBUG_INPUT_DAMAGED;
    }
    receiver->claimed = (uint8_t)(receiver->claimed << 4 | value);
    if (receiver->state == SUM_HIGH) {
        receiver->state = SUM_LOW;
        return DEBUG_INPUT_NONE;
    }
    receiver->state = OUTSIDE;
    receiver->body[receiver->bytes] = '\0';
    bool is_good =
        receiver->claimed == receiver->sum && !receiver->is_too_long && !receiver->is_escaped;
    return is_good ? DEBUG_INPUT_PACKET : DEBUG_INPUT_DAMAGED;
}

/* A $ begins a packet wherever it stands: in a body it would have been escaped.
 * @impl ATL-LLR-DEBUG-0001~1 */
enum debug_input debug_receiver_take(struct debug_receiver *receiver, uint8_t byte)
{
    if (byte == BEGIN) {
        begin(receiver);
        return DEBUG_INPUT_BEGIN;
    }
    if (receiver->state == OUTSIDE) {
        return take_outside(byte);
    }
    if (receiver->state != INSIDE) {
        return take_sum(receiver, byte);
    }
    if (byte == END) {
        receiver->state = SUM_HIGH;
    } else {
        take_body(receiver, byte);
    }
    return DEBUG_INPUT_NONE;
}

/* ---- replies */

void debug_reply_clear(struct debug_reply *reply)
{
    reply->bytes = 0;
    reply->is_too_long = false;
}

static bool put_raw(struct debug_reply *reply, uint8_t byte)
{
    bool needs_escape = byte == BEGIN || byte == END || byte == ESCAPE || byte == '*';
    if (DEBUG_PACKET_BYTES_MAX - reply->bytes < (needs_escape ? 2u : 1u)) {
        return false;
    }
    if (needs_escape) {
        reply->body[reply->bytes++] = ESCAPE;
        byte ^= ESCAPE_BIT;
    }
    reply->body[reply->bytes++] = byte;
    return true;
}

/* @impl ATL-LLR-DEBUG-0002~1 */
void debug_reply_byte(struct debug_reply *reply, uint8_t byte)
{
    if (!put_raw(reply, byte)) {
        reply->is_too_long = true;
    }
}

/* @impl ATL-LLR-DEBUG-0002~1 */
void debug_reply_text(struct debug_reply *reply, const char *text)
{
    for (; *text != '\0'; text++) {
        debug_reply_byte(reply, (uint8_t)*text);
    }
}

static void put_digits(struct debug_reply *reply, uint64_t value, uint64_t base)
{
    uint8_t digits[20];
    uint32_t count = 0;
    do {
        digits[count++] = (uint8_t) "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count > 0) {
        debug_reply_byte(reply, digits[--count]);
    }
}

/* @impl ATL-LLR-DEBUG-0002~1 */
void debug_reply_number(struct debug_reply *reply, uint64_t value)
{
    put_digits(reply, value, 16);
}

/* @impl ATL-LLR-DEBUG-0002~1 */
void debug_reply_decimal(struct debug_reply *reply, uint64_t value)
{
    put_digits(reply, value, 10);
}

/* @impl ATL-LLR-DEBUG-0002~1 */
void debug_reply_hex(struct debug_reply *reply, const void *from, size_t count)
{
    const uint8_t *bytes = from;
    for (size_t i = 0; i < count; i++) {
        debug_reply_byte(reply, (uint8_t) "0123456789abcdef"[bytes[i] >> 4]);
        debug_reply_byte(reply, (uint8_t) "0123456789abcdef"[bytes[i] & 15]);
    }
}

/* @impl ATL-LLR-DEBUG-0002~1 */
size_t debug_reply_binary(struct debug_reply *reply, const void *from, size_t count)
{
    const uint8_t *bytes = from;
    size_t done = 0;
    while (done < count && put_raw(reply, bytes[done])) {
        done++;
    }
    return done;
}

/* @impl ATL-LLR-DEBUG-0002~1 */
uint8_t debug_reply_finish(struct debug_reply *reply)
{
    if (reply->is_too_long) {
        debug_reply_clear(reply);
        debug_reply_text(reply, "E01");
    }
    uint8_t sum = 0;
    for (uint32_t i = 0; i < reply->bytes; i++) {
        sum = (uint8_t)(sum + reply->body[i]);
    }
    return sum;
}

/* ---- a packet's text */

/* @impl ATL-LLR-DEBUG-0003~1 */
bool debug_text_word(struct debug_text *text, const char *word)
{
    uint32_t count = 0;
    for (; word[count] != '\0'; count++) {
        if (count == text->left || text->at[count] != (uint8_t)word[count]) {
            return false;
        }
    }
    text->at += count;
    text->left -= count;
    return true;
}

/* @impl ATL-LLR-DEBUG-0003~1 */
bool debug_text_number(struct debug_text *text, uint64_t *value)
{
    uint64_t number = 0;
    uint32_t count = 0;
    while (count < text->left && digit(text->at[count]) >= 0) {
        number = number << 4 | (uint64_t)digit(text->at[count]);
        count++;
        if (count > DIGITS_MAX) {
            return false;
        }
    }
    if (count == 0) {
        return false;
    }
    *value = number;
    text->at += count;
    text->left -= count;
    return true;
}

/* @impl ATL-LLR-DEBUG-0003~1 */
size_t debug_text_hex(struct debug_text *text, void *to, size_t count)
{
    uint8_t *bytes = to;
    size_t done = 0;
    while (done < count && text->left >= 2 && digit(text->at[0]) >= 0 && digit(text->at[1]) >= 0) {
        bytes[done++] = (uint8_t)(digit(text->at[0]) << 4 | digit(text->at[1]));
        text->at += 2;
        text->left -= 2;
    }
    return done;
}
