/* SPDX-License-Identifier: Apache-2.0 */
/* The console device: virtio 1.2, section 5.3. One port carries all streams: port 1 where the
 * device has several, else port 0. (QEMU holds the program back where port 1 takes nothing; of port
 * 0 it throws bytes away.) One buffer each way is under way. */
#include "device.h"

#include <cpu/instructions.h>
#include <cpu/string.h>
#include <driver/console.h>
#include <kernel/layout.h>
#include <virtio/virtio.h>

enum { QUEUE_INPUT, QUEUE_OUTPUT, QUEUE_CONTROL_IN, QUEUE_CONTROL_OUT };
#define BUFFER_BYTES 4096u

#define FEATURE_MULTIPORT 2u
#define PORT 1u
/* Section 5.3.6.2 */
enum { EVENT_DEVICE_READY, EVENT_PORT_ADD, EVENT_PORT_READY = 3, EVENT_PORT_OPEN = 6 };
#define CONTROL_BUFFERS 4u
#define ANSWER_CYCLES_MAX (1ull << 33) /* seconds */

struct control {
    uint32_t port;
    uint16_t event, value;
    char name[56];
};

/* Core 0's; on another core is_on is false. */
static PERCORE struct virtio_device console;
static PERCORE uint8_t input[BUFFER_BYTES], output[BUFFER_BYTES];
static PERCORE uint32_t input_at, input_end; /* equal: the device has the buffer */
static PERCORE uint32_t output_bytes;        /* that the device has; 0: the buffer is free */
static PERCORE struct control control_in[CONTROL_BUFFERS], control_out[CONTROL_BUFFERS];
static PERCORE uint32_t starts_told;
static PERCORE bool is_on, is_input_wanted, is_port_open;

/* The line that the device took the place of: for the last words of other cores, and for core 0's
 * when the device has failed. Set at attach. */
static SHARED const struct console_line *shared_other_line;

static void input_give(void)
{
    input_at = input_end = 0;
    virtio_device_give(&console, QUEUE_INPUT, input, sizeof(input), true);
}

/* Each event once after a start. */
static void control_give(uint32_t event)
{
    struct control *message = &control_out[event % CONTROL_BUFFERS];
    *message = (struct control){.port = PORT, .event = (uint16_t)event, .value = 1};
    virtio_device_give(&console, QUEUE_CONTROL_OUT, message, offsetof(struct control, name), false);
}

static void port_open(void)
{
    is_port_open = true;
    control_give(EVENT_PORT_READY);
    control_give(EVENT_PORT_OPEN);
}

/* What the device may not have read is sent again. */
static enum result device_start(void)
{
    static const uint8_t numbers[][VIRTIO_QUEUES_MAX] = {{0, 1}, {4, 5, 2, 3}};
    bool has_ports = console.features_wanted != 0;
    console.queue_count = has_ports ? 4 : 2;
    memcpy(console.queue_number, numbers[has_ports], sizeof(console.queue_number));
    is_on = virtio_device_start(&console) == RESULT_OK;
    if (!is_on) {
        output_bytes = 0;
        return RESULT_IO;
    }
    for (uint32_t i = 0; has_ports && i < CONTROL_BUFFERS; i++) {
        virtio_device_give(&console, QUEUE_CONTROL_IN, &control_in[i], sizeof(control_in[i]), true);
    }
    if (has_ports) {
        control_give(EVENT_DEVICE_READY);
    }
    if (is_port_open) {
        port_open();
    }
    input_give();
    if (output_bytes > 0) {
        virtio_device_give(&console, QUEUE_OUTPUT, output, output_bytes, false);
    }
    return RESULT_OK;
}

/* Waits, bounded, until the device tells of the first port: true: it is the one. What it tells
 * later changes nothing and is not read.
 *
 * @impl ATL-LLR-VIRTIO-0013~1 */
static bool await_port(void)
{
    struct virtqueue_taken taken = {0};
    enum result result;
    uint64_t begin = cpu_rdtsc();
    do {
        cpu_pause();
        result = virtqueue_take(&console.queues[QUEUE_CONTROL_IN], &taken);
    } while (result == RESULT_AGAIN && cpu_rdtsc() - begin < ANSWER_CYCLES_MAX);
    struct control message = control_in[taken.id];
    return result == RESULT_OK && taken.bytes >= offsetof(struct control, name) &&
           message.port == PORT && message.event == EVENT_PORT_ADD;
}

/* Takes what the device is done with; starts a device again that broke a rule.
 *
 * @impl ATL-LLR-VIRTIO-0010~1 */
static void collect(void)
{
    struct virtqueue_taken from = {0}, to;
    enum result in = RESULT_AGAIN, out = RESULT_AGAIN;
    if (is_on && input_at == input_end) {
        in = virtqueue_take(&console.queues[QUEUE_INPUT], &from);
        input_at = 0;
        input_end = from.bytes;
    }
    if (is_on && output_bytes > 0) {
        out = virtqueue_take(&console.queues[QUEUE_OUTPUT], &to);
        output_bytes = out == RESULT_OK ? 0 : output_bytes;
    }
    if (in == RESULT_IO || out == RESULT_IO) {
        (void)!device_start();
    } else if (in == RESULT_OK && from.bytes == 0) {
        input_give();
    }
}

static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    collect();
    if (!is_on) {
        return shared_other_line->send(bytes, count);
    }
    if (output_bytes > 0) {
        return 0;
    }
    output_bytes = MIN(count, BUFFER_BYTES);
    memcpy(output, bytes, output_bytes);
    virtio_device_give(&console, QUEUE_OUTPUT, output, output_bytes, false);
    return output_bytes;
}

static bool receive(uint8_t *byte)
{
    if (input_at == input_end) {
        return false;
    }
    *byte = input[input_at++];
    if (input_at == input_end && is_on) {
        input_give();
    }
    return true;
}

static void enable(uint8_t causes)
{
    is_input_wanted = (causes & CONSOLE_LINE_RECEIVE) != 0;
}

/* @impl ATL-LLR-VIRTIO-0010~1 */
static bool pending(void)
{
    bool was_sending = output_bytes > 0;
    if (is_on && !virtio_device_interrupt(&console)) {
        (void)!device_start();
    }
    collect();
    if (console.starts > starts_told) {
        starts_told = console.starts;
        console_log(CONSOLE_ERROR, "atoll: the virtio console broke a rule: %s\n",
                    is_on ? "it was reset" : "it is off");
    }
    return (is_input_wanted && input_at < input_end) || (was_sending && output_bytes == 0);
}

static bool is_idle(void)
{
    collect();
    return output_bytes == 0 && shared_other_line->is_idle();
}

/* @impl ATL-LLR-VIRTIO-0012~1 */
void virtio_console_attach(void)
{
    static const struct console_line line = {NULL, send, receive, enable, pending, is_idle};
    console.place = &shared_facts.virtio_console;
    console.vector = VECTOR_UART;
    console.features_wanted = FEATURE_MULTIPORT;
    bool is_there = console.place->kind != 0;
    if (is_there && device_start() == RESULT_OK && console.features != 0 && await_port()) {
        port_open();
    } else {
        console.features_wanted = 0;
        is_there = is_there && device_start() == RESULT_OK;
    }
    if (!is_there) {
        console_log(CONSOLE_ERROR, "atoll: there is no virtio console that works\n");
        return;
    }
    starts_told = console.starts;
    shared_other_line = shared_console_line;
    shared_console_line = &line;
}
