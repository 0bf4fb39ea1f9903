/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <driver/console.h>

#define END_OF_TRANSMISSION 0x04u
#define FRAME_BEGIN (CONSOLE_FRAME_MARK | CONSOLE_STREAM_INPUT << 8)

/* @impl ATL-LLR-BOOT-0024~1 */
bool input_take_plain(struct input *input, uint8_t byte)
{
    bool is_end = byte == END_OF_TRANSMISSION && !input->is_inside_line;
    input->is_ended = input->is_ended || is_end;
    input->is_inside_line = byte != '\n' && byte != '\r';
    return !input->is_ended;
}

/* @impl ATL-LLR-BOOT-0025~2 */
bool input_take_framed(struct input *input, uint8_t byte)
{
    if (input->remaining > 0) {
        input->remaining--;
        return true;
    }
    input->header = input->header >> 8 | (uint32_t)byte << 24;
    uint32_t bytes = input->header >> 16;
    bool is_frame = (uint16_t)input->header == FRAME_BEGIN && bytes <= CONSOLE_PAYLOAD_BYTES_MAX;
    if (is_frame && !input->is_ended) { /* none is under way at the end */
        input->header = 0;
        input->remaining = bytes;
        input->is_ended = bytes == 0;
    }
    return false;
}
