/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from the line to bytes of input, one at a time. Pure; the state is the caller's. */
#ifndef KERNEL_DRIVER_INPUT_H
#define KERNEL_DRIVER_INPUT_H

#include <percpu/base.h>

enum input_state {
    INPUT_MARK,
    INPUT_STREAM,
    INPUT_LENGTH_LOW,
    INPUT_LENGTH_HIGH,
    INPUT_PAYLOAD,
};

struct input {
    bool is_ended;
    /* plain */
    bool is_inside_line;
    /* framed */
    enum input_state state;
    uint32_t remaining; /* of the payload; its length while it is read */
    uint64_t errors;    /* bytes outside frames and headers that were refused, counted by run */
    bool is_skipping;
};

/* What a byte of the line means: true: it is a byte of input. After the end nothing is. */
bool input_take_plain(struct input *input, uint8_t byte);
bool input_take_framed(struct input *input, uint8_t byte);

#endif
