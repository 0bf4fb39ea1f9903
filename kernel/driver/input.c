/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <driver/console.h>

#define END_OF_TRANSMISSION 0x04u

/* @impl ATL-LLR-BOOT-0024~1 */
bool input_take_plain(struct input *input, uint8_t byte)
{
    if (input->is_ended) {
        return false;
    }
    if (byte == END_OF_TRANSMISSION && !input->is_inside_line) {
        input->is_ended = true;
        return false;
    }
    input->is_inside_line = byte != '\n' && byte != '\r';
    return true;
}

/* A header went wrong or a byte stands outside a frame: one error for each run of such bytes. */
static void skip(struct input *input, uint8_t byte)
{
    if (!input->is_skipping) {
        input->errors++;
        input->is_skipping = true;
    }
    /* The byte itself may be the beginning of a good frame. */
    input->state = byte == CONSOLE_FRAME_MARK ? INPUT_STREAM : INPUT_MARK;
}

static void length_known(struct input *input, uint8_t byte)
{
    if (input->remaining > CONSOLE_PAYLOAD_BYTES_MAX) {
        skip(input, byte);
        return;
    }
    input->is_skipping = false;
    input->is_ended = input->remaining == 0;
    input->state = input->remaining == 0 ? INPUT_MARK : INPUT_PAYLOAD;
}

/* @impl ATL-LLR-BOOT-0025~1 */
bool input_take_framed(struct input *input, uint8_t byte)
{
    if (input->is_ended) {
        return false;
    }
    switch (input->state) {
    case INPUT_MARK:
        if (byte == CONSOLE_FRAME_MARK) {
            input->state = INPUT_STREAM;
        } else {
            skip(input, byte);
        }
        return false;
    case INPUT_STREAM:
        if (byte == CONSOLE_STREAM_INPUT) {
            input->state = INPUT_LENGTH_LOW;
        } else {
            skip(input, byte);
        }
        return false;
    case INPUT_LENGTH_LOW:
        input->remaining = byte;
        input->state = INPUT_LENGTH_HIGH;
        return false;
    case INPUT_LENGTH_HIGH:
        input->remaining |= (uint32_t)byte << 8;
        length_known(input, byte);
        return false;
    case INPUT_PAYLOAD:
        input->remaining--;
        if (input->remaining == 0) {
            input->state = INPUT_MARK;
        }
        return true;
    }
    return false;
}
