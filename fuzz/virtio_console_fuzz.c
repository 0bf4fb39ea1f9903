/* SPDX-License-Identifier: Apache-2.0 */
/* The console on a device that breaks every rule at any time: whatever it does, the driver ends
 * each call, starts the device a bounded number of times, and has another line for what the program
 * says.
 * @verifies ATL-LLR-VIRTIO-0009~1 ATL-LLR-VIRTIO-0010~1 ATL-LLR-VIRTIO-0012~1 ATL-LLR-VIRTIO-0013~1
 * @robust */
#include "hostile_device.h"

#include "console.c"

#define STEPS_MAX 256u
#define QUEUES 6u
#define STARTS_MAX 5u

const struct console_line *shared_console_line;
static uint64_t other_bytes;

static uint32_t other_send(const uint8_t *bytes, uint32_t count)
{
    FUZZ_REQUIRE(count == 0 || bytes != NULL);
    other_bytes += count;
    return count;
}

static bool other_is_idle(void)
{
    return true;
}

static const struct console_line other = {.send = other_send, .is_idle = other_is_idle};

void console_log(enum console_stream level, const char *format, ...)
{
    FUZZ_REQUIRE(format != NULL && level <= CONSOLE_ERROR);
}

static void begin(struct fuzz_input *input_bytes)
{
    hostile_make(VIRTIO_CONSOLE, input_bytes);
    shared_facts.virtio_console = fake_place;
    console = (struct virtio_device){0};
    input_at = input_end = output_bytes = starts_told = 0;
    is_on = is_input_wanted = is_port_open = false;
    memset(control_in, 0, sizeof(control_in));
    control_in[0] = (struct control){.port = PORT, .event = EVENT_PORT_ADD};
    shared_console_line = &other;
    virtio_console_attach();
}

static void send_some(void)
{
    static const uint8_t text[2 * BUFFER_BYTES];
    uint32_t count = (uint32_t)fuzz_take(hostile_input, 2) % sizeof(text);
    uint64_t before = other_bytes;
    uint32_t sent = shared_console_line->send(text, count);
    FUZZ_REQUIRE(sent <= count);
    /* A device that is off takes nothing, and nothing is lost. */
    FUZZ_REQUIRE(is_on || other_bytes - before == sent);
}

void fuzz_one(const uint8_t *bytes, size_t size)
{
    struct fuzz_input source = {bytes, size};
    begin(&source);
    for (uint32_t step = 0; step < STEPS_MAX && source.left > 0; step++) {
        uint8_t byte;
        uint32_t what = (uint32_t)fuzz_take(&source, 1), queue = (what >> 3) % QUEUES;
        switch (what & 7) {
        case 0:
        case 1:
        case 2:
            hostile_do(what & 7, queue);
            break;
        case 3:
            send_some();
            break;
        case 4:
            while (shared_console_line->receive != NULL && shared_console_line->receive(&byte)) {
            }
            break;
        case 5:
            if (shared_console_line->pending != NULL) {
                (void)shared_console_line->pending();
            }
            break;
        case 6:
            if (shared_console_line->enable != NULL) {
                shared_console_line->enable((uint8_t)(what >> 3));
            }
            break;
        default:
            (void)shared_console_line->is_idle();
        }
        FUZZ_REQUIRE(input_at <= input_end && input_end <= BUFFER_BYTES);
        FUZZ_REQUIRE(output_bytes <= BUFFER_BYTES);
    }
    FUZZ_REQUIRE(fake.resets <= 2 * STARTS_MAX + 2);
}
