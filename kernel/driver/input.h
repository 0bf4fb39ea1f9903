/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from the line to bytes of input, one at a time. Pure; the state is the caller's. */
#ifndef KERNEL_DRIVER_INPUT_H
#define KERNEL_DRIVER_INPUT_H

#include <percpu/base.h>

struct input {
    bool is_ended;
    bool is_inside_line; /* plain */
    uint32_t header;     /* framed: the last four bytes outside of payloads, the latest on top */
    uint32_t remaining;  /* framed: of the payload */
};

/* What a byte of the line means: true: it is a byte of input. After the end nothing is. */
bool input_take_plain(struct input *input, uint8_t byte);
bool input_take_framed(struct input *input, uint8_t byte);

#endif
