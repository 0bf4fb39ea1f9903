/* SPDX-License-Identifier: Apache-2.0 */
/* The console on a device that breaks every rule at any time: whatever it does, the driver ends
 * each call, starts the device a bounded number of times, and has another line for what the program
 * says.
 * @verifies ATL-LLR-VIRTIO-0009~1 ATL-LLR-VIRTIO-0010~1 ATL-LLR-VIRTIO-0012~2 ATL-LLR-VIRTIO-0013~2
 * @robust */
#include "hostile_device.h"

#include "console.c"

#define STEPS_MAX 256u
#define QUEUES FAKE_QUEUES
#define MESSAGES_MAX 16u
#define STARTS_MAX 5u

const struct console_line *shared_console_line;
const struct console_line *shared_console_log;
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

/* What it is told by the control queue it answers at once, as QEMU does, or as the input has it:
 * with messages of any port and event, names of any length, or not at all. */
static void answer(uint32_t queue)
{
    uint32_t id = 0, room = 0, left = MESSAGES_MAX;
    bool is_to_write = false;
    const struct control *heard;
    while (queue == CONTROL_IN_QUEUE + 1 && !hostile_is_spoiled && left-- > 0 &&
           (heard = fake_next(queue, &id, &room, &is_to_write)) != NULL) {
        FUZZ_REQUIRE(room == offsetof(struct control, name) && !is_to_write);
        FUZZ_REQUIRE(heard->port <= PORT_NUMBER_MAX && heard->value == 1);
        uint32_t to_id = 0, what = (uint32_t)fuzz_take(hostile_input, 1);
        struct control *to = fake_next(CONTROL_IN_QUEUE, &to_id, &room, &is_to_write);
        if (to != NULL) {
            FUZZ_REQUIRE(room == sizeof(*to) && is_to_write);
            uint16_t event = (what & 8) != 0 ? EVENT_PORT_NAME : EVENT_PORT_ADD;
            *to = (struct control){.port = what & 7, .event = event, .name = "atoll.log"};
            uint32_t bytes = what >= LIE_MIN ? (uint32_t)fuzz_take(hostile_input, 1) : sizeof(*to);
            for (uint32_t i = 0; what >= LIE_MIN && i < 16; i++) {
                ((uint8_t *)to)[i] = (uint8_t)fuzz_take(hostile_input, 1);
            }
            fake_use(CONTROL_IN_QUEUE, to_id, bytes);
        }
        if ((what & 16) == 0) {
            fake_use(queue, id, 0);
        }
    }
}

static void begin(struct fuzz_input *input_bytes)
{
    hostile_make(VIRTIO_CONSOLE, input_bytes);
    fake.on_notify = answer;
    shared_facts.virtio_console = fake_place;
    console = (struct virtio_device){0};
    memset(ports, 0, sizeof(ports));
    starts_told = 0;
    is_on = is_input_wanted = false;
    memset(control_in, 0, sizeof(control_in));
    shared_console_line = &other;
    shared_console_log = NULL;
    virtio_console_attach();
}

static void send_some(uint32_t (*send_to)(const uint8_t *bytes, uint32_t count))
{
    static const uint8_t text[2 * BUFFER_BYTES];
    uint32_t count = (uint32_t)fuzz_take(hostile_input, 2) % sizeof(text);
    uint64_t before = other_bytes;
    uint32_t sent = send_to(text, count);
    FUZZ_REQUIRE(sent <= count);
    /* A device that is off takes nothing, and nothing is lost. */
    FUZZ_REQUIRE(is_on || other_bytes - before == sent);
}

static void check_ports(void)
{
    for (uint32_t i = 0; i < PORTS; i++) {
        const struct port *port = &ports[i];
        FUZZ_REQUIRE(port->input_at <= port->input_end && port->input_end <= BUFFER_BYTES);
        FUZZ_REQUIRE(port->output_bytes <= BUFFER_BYTES && port->number <= PORT_NUMBER_MAX);
        FUZZ_REQUIRE(i == PORT_PROGRAM || !port->is_there || port->number > 0);
        FUZZ_REQUIRE(i == PORT_PROGRAM || !port->is_there ||
                     port->number != ports[PORT_PROGRAM].number);
    }
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
            send_some((what & 8) != 0 && shared_console_log != NULL ? shared_console_log->send
                                                                    : shared_console_line->send);
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
        check_ports();
    }
    FUZZ_REQUIRE(fake.resets <= 2 * STARTS_MAX + 2);
}
