/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device on a device that breaks every rule at any time: no more than it was given room
 * for is mixed into the generator, and each call ends.
 * @verifies ATL-LLR-VIRTIO-0009~1 ATL-LLR-VIRTIO-0011~1 @robust */
#include "hostile_device.h"

#include "entropy.c"

#define STEPS_MAX 256u

static bool (*refresh_of_generator)(void);

void entropy_mix(const void *bytes, size_t count)
{
    FUZZ_REQUIRE(bytes == samples && count <= sizeof(samples));
}

void entropy_set_refresh(bool (*function)(void))
{
    refresh_of_generator = function;
}

void console_log(enum console_stream level, const char *format, ...)
{
    FUZZ_REQUIRE(format != NULL && level <= CONSOLE_ERROR);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct fuzz_input input = {bytes, size};
    hostile_make(VIRTIO_ENTROPY, &input);
    shared_facts.virtio_entropy = fake_place;
    source = (struct virtio_device){0};
    is_on = false;
    virtio_entropy_start();
    for (uint32_t step = 0; step < STEPS_MAX && input.left > 0; step++) {
        uint32_t what = (uint32_t)fuzz_take(&input, 1) & 3;
        if (what == 3) {
            (void)refresh_of_generator();
        } else {
            hostile_do(what, 0);
        }
    }
}
