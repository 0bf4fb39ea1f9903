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

/* Whether the byte can follow the others of a header. */
static bool fits(const struct input *input, uint8_t byte)
{
    switch (input->header_used) {
    case 0:
        return byte == CONSOLE_FRAME_MARK;
    case 1:
        return byte == CONSOLE_STREAM_INPUT;
    case 2:
        return true;
    default:
        return (input->header[2] | byte << 8) <= (int)CONSOLE_PAYLOAD_BYTES_MAX;
    }
}

/* @impl ATL-LLR-BOOT-0025~2 */
bool input_take_framed(struct input *input, uint8_t byte)
{
    if (input->is_ended) {
        return false;
    }
    if (input->remaining > 0) {
        input->remaining--;
        return true;
    }
    if (!fits(input, byte)) {
        input->header_used = 0;
        if (byte != CONSOLE_FRAME_MARK) {
            return false; /* else it may be the beginning of a good frame */
        }
    }
    input->header[input->header_used++] = byte;
    if (input->header_used == sizeof(input->header)) {
        input->header_used = 0;
        input->remaining = input->header[2] | (uint32_t)byte << 8;
        input->is_ended = input->remaining == 0;
    }
    return false;
}
