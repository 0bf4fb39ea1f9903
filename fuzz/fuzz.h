/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzz target is: one function that takes one input. main.c calls it, either in AFL++'s
 * persistent mode or once for each file on the command line.
 *
 * A target must give the same answer for the same input, keep no state between inputs, and stop the
 * process (FUZZ_REQUIRE, a sanitizer) when something is wrong. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_INPUT_BYTES_MAX (1u << 20)

void fuzz_one(const uint8_t *input, size_t bytes);

/* An invariant that no input may break; in every build. */
#define FUZZ_REQUIRE(condition_)                                                                   \
    do {                                                                                           \
        if (!(condition_)) {                                                                       \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition_);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Takes bytes from the front of an input; zero when it is used up. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint64_t fuzz_take(struct fuzz_input *input, size_t bytes)
{
    uint64_t value = 0;
    size_t taken = bytes < input->left ? bytes : input->left;
    memcpy(&value, input->at, taken);
    input->at += taken;
    input->left -= taken;
    return value;
}

#endif
