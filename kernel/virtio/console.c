/* SPDX-License-Identifier: Apache-2.0 */
/* The console device: virtio 1.2, section 5.3. What ports it has is asked once, and then it is
 * started anew with the queues of those that are used; later nothing that it tells of them is read.
 * Of each port one buffer each way is under way. */
#include "console.h"
#include "device.h"

#include <cpu/instructions.h>
#include <cpu/string.h>
#include <driver/console.h>
#include <kernel/layout.h>
#include <kernel/region.h>
#include <virtio/virtio.h>

#define BUFFER_BYTES 4096u

#define FEATURE_MULTIPORT 2u
#define PORT_NUMBER_MAX 126u /* whose queues have 8-bit numbers */
/* Section 5.3.6.2 */
enum { EVENT_READY, EVENT_PORT_ADD, EVENT_PORT_READY = 3, EVENT_PORT_OPEN = 6, EVENT_PORT_NAME };
#define CONTROL_IN_QUEUE 2u /* the device's number; the next one is the other way */
#define CONTROL_MESSAGES_MAX 1000u
#define ANSWER_CYCLES_MAX (1ull << 33) /* seconds */

static const char names[][12] = {"", "atoll.log" IF_DEBUG(, "atoll.debug")}; /* zeros behind */
#define PORTS (sizeof(names) / sizeof(names[0]))

struct control {
    uint32_t port;
    uint16_t event, value;
    char name[56];
};

struct port {
    uint32_t number, queue;       /* the device's; ours of its input, the next is its output's */
    uint32_t input_at, input_end; /* equal: the device has the buffer */
    uint32_t output_bytes;        /* that the device has; 0: the buffer is free */
    bool is_there;
    uint8_t input[BUFFER_BYTES], output[BUFFER_BYTES];
};

/* Core 0's; on another core is_on is false. */
static PERCORE struct virtio_device console;
static PERCORE struct port ports[PORTS];
static PERCORE struct control control_in[VIRTIO_QUEUE_SIZE], control_out[VIRTIO_QUEUE_SIZE];
static PERCORE uint32_t control_queue; /* ours, as that of a port */
static PERCORE uint32_t starts_told;
static PERCORE bool is_on, is_input_wanted;

/* The line that the device took the place of: for the last words of other cores, and for core 0's
 * when the device has failed. Set at attach. */
static SHARED const struct console_line *shared_other_line;

static void input_give(struct port *port)
{
    port->input_at = port->input_end = 0;
    virtio_device_give(&console, port->queue, port->input, BUFFER_BYTES, true);
}

static void output_give(const struct port *port)
{
    if (port->output_bytes > 0) {
        virtio_device_give(&console, port->queue + 1, port->output, port->output_bytes, false);
    }
}

/* To a device with ports; one that takes none of so many is told no more. */
static void control_give(uint32_t event, uint32_t port)
{
    uint32_t at = console.queues[control_queue + 1].free;
    if (console.features_wanted != 0 && at < VIRTIO_QUEUE_SIZE) {
        control_out[at] = (struct control){.port = port, .event = (uint16_t)event, .value = 1};
        virtio_device_give(&console, control_queue + 1, &control_out[at],
                           offsetof(struct control, name), false);
    }
}

static void queues_add(uint32_t number)
{
    console.queue_number[console.queue_count++] = (uint8_t)number;
    console.queue_number[console.queue_count++] = (uint8_t)(number + 1);
}

/* What the device may not have read is sent again. */
static enum result device_start(void)
{
    bool has_ports = console.features_wanted != 0;
    console.queue_count = 0;
    for (struct port *port = ports; port < ports + PORTS; port++) {
        port->queue = console.queue_count;
        if (port->is_there) {
            queues_add(port->number == 0 ? 0 : 2 * port->number + 2);
        }
    }
    control_queue = console.queue_count;
    if (has_ports) {
        queues_add(CONTROL_IN_QUEUE);
    }
    is_on = virtio_device_start(&console) == RESULT_OK;
    if (is_on && has_ports) {
        for (uint32_t i = 0; i < VIRTIO_QUEUE_SIZE; i++) {
            virtio_device_give(&console, control_queue, &control_in[i], sizeof(*control_in), true);
        }
        control_give(EVENT_READY, 0);
    }
    for (struct port *port = ports; port < ports + PORTS; port++) {
        if (!is_on) {
            port->output_bytes = 0;
        } else if (port->is_there) {
            control_give(EVENT_PORT_READY, port->number);
            control_give(EVENT_PORT_OPEN, port->number);
            input_give(port);
            output_give(port);
        }
    }
    return is_on ? RESULT_OK : RESULT_IO;
}

/* ---- which ports there are */

/* Judges a message. @name_bytes of the message's that the device wrote @added a bit for port 0 and
 * for port 1. @impl ATL-LLR-VIRTIO-0013~2 */
static void control_take(struct control *message, uint32_t name_bytes, uint32_t *added)
{
    if (message->event == EVENT_PORT_ADD && message->port <= PORT_NUMBER_MAX) {
        *added |= message->port <= 1 ? 1u << message->port : 0;
        control_give(EVENT_PORT_READY, message->port); /* then its name is told */
    }
    bool is_name = message->event == EVENT_PORT_NAME && message->port - 1 < PORT_NUMBER_MAX;
    memset(message->name + name_bytes, 0, sizeof(message->name) - name_bytes);
    for (uint32_t i = PORT_LOG; is_name && i < PORTS; i++) {
        bool is_named = memcmp(message->name, names[i], sizeof(names[i])) == 0;
        if (is_named || ports[i].number == message->port) {
            ports[i].is_there = is_named;
            ports[i].number = is_named ? message->port : 0;
        }
    }
}

/* Hears, for a bounded time, until the device has read all that it was told and says no more.
 * False: it has no port for the program. */
static bool ports_learn(void)
{
    struct virtqueue *in = &console.queues[control_queue], *out = in + 1;
    uint32_t added = 0, heard = 0;
    uint64_t begin = cpu_rdtsc();
    struct virtqueue_taken taken;
    enum result result;
    bool is_told;
    do {
        cpu_pause();
        is_told = virtqueue_take(out, &taken) == RESULT_AGAIN &&
                  out->available_index == out->used_index && heard > 0;
        result = virtqueue_take(in, &taken);
        if (result == RESULT_OK) {
            struct control *from = &control_in[taken.id], message = *from;
            virtio_device_give(&console, control_queue, from, sizeof(*from), true);
            if (taken.bytes >= offsetof(struct control, name)) {
                control_take(&message, taken.bytes - offsetof(struct control, name), &added);
            }
            heard++;
        }
    } while ((result == RESULT_OK || (result == RESULT_AGAIN && !is_told)) &&
             heard < CONTROL_MESSAGES_MAX && cpu_rdtsc() - begin < ANSWER_CYCLES_MAX);
    for (uint32_t i = PORT_LOG; i < PORTS; i++) {
        added &= ports[i].number == 1 ? ~2u : ~0u;
    }
    ports[PORT_PROGRAM].number = added >> 1;
    ports[PORT_PROGRAM].is_there = added != 0;
    return added != 0;
}

/* ---- bytes */

/* Takes what the device is done with; starts a device again that broke a rule.
 *
 * @impl ATL-LLR-VIRTIO-0010~1 */
static void collect(struct port *port)
{
    struct virtqueue_taken from = {0}, to;
    enum result in = RESULT_AGAIN, out = RESULT_AGAIN;
    if (!is_on || !port->is_there) {
        return;
    }
    if (port->input_at == port->input_end) {
        in = virtqueue_take(&console.queues[port->queue], &from);
        port->input_at = 0;
        port->input_end = from.bytes;
    }
    if (port->output_bytes > 0) {
        out = virtqueue_take(&console.queues[port->queue + 1], &to);
        port->output_bytes = out == RESULT_OK ? 0 : port->output_bytes;
    }
    if (in == RESULT_IO || out == RESULT_IO) {
        (void)!device_start();
    } else if (in == RESULT_OK && from.bytes == 0) {
        input_give(port);
    }
}

/* @impl ATL-LLR-VIRTIO-1120~1 */
bool virtio_console_collect(uint32_t which)
{
    collect(&ports[which]);
    return is_on && ports[which].is_there;
}

/* @impl ATL-LLR-VIRTIO-0012~2 */
uint32_t virtio_console_send(uint32_t which, const uint8_t *bytes, uint32_t count)
{
    struct port *port = &ports[which];
    collect(port);
    if (!is_on || port->output_bytes > 0) {
        return 0;
    }
    port->output_bytes = MIN(count, BUFFER_BYTES);
    memcpy(port->output, bytes, port->output_bytes);
    output_give(port);
    return port->output_bytes;
}

/* @impl ATL-LLR-VIRTIO-0012~2 */
bool virtio_console_receive(uint32_t which, uint8_t *byte)
{
    struct port *port = &ports[which];
    if (port->input_at == port->input_end) {
        return false;
    }
    *byte = port->input[port->input_at++];
    if (port->input_at == port->input_end && is_on) {
        input_give(port);
    }
    return true;
}

/* ---- lines of the console */

static uint32_t send(const uint8_t *bytes, uint32_t count)
{
    uint32_t sent = virtio_console_send(PORT_PROGRAM, bytes, count);
    return is_on ? sent : shared_other_line->send(bytes, count);
}

/* Of a device that has failed it takes nothing: then its lines go with all else, in their order.
 * @impl ATL-LLR-VIRTIO-1120~1 */
static uint32_t send_log(const uint8_t *bytes, uint32_t count)
{
    return virtio_console_send(PORT_LOG, bytes, count);
}

static bool receive(uint8_t *byte)
{
    return virtio_console_receive(PORT_PROGRAM, byte);
}

static void enable(uint8_t causes)
{
    is_input_wanted = (causes & CONSOLE_LINE_RECEIVE) != 0;
}

/* @impl ATL-LLR-VIRTIO-0010~1 */
static bool pending(void)
{
    struct port *port = &ports[PORT_PROGRAM];
    bool was_sending = port->output_bytes > 0;
    if (is_on && !virtio_device_interrupt(&console)) {
        (void)!device_start();
    }
    collect(port);
    if (console.starts > starts_told) {
        starts_told = console.starts;
        console_log(CONSOLE_ERROR, "atoll: the virtio console broke a rule: %s\n",
                    is_on ? "it was reset" : "it is off");
    }
    return (is_input_wanted && port->input_at < port->input_end) ||
           (was_sending && port->output_bytes == 0);
}

static bool is_idle(void)
{
    bool is_idle = shared_other_line->is_idle();
    for (struct port *port = ports; port < ports + PORTS; port++) {
        collect(port);
        is_idle = is_idle && port->output_bytes == 0;
    }
    return is_idle;
}

/* @impl ATL-LLR-VIRTIO-0012~2 ATL-LLR-VIRTIO-1413~1 */
void virtio_console_attach(void)
{
    static const struct console_line line = {NULL, send, receive, enable, pending, is_idle};
    static const struct console_line log = {.send = send_log};
    console.place = &shared_facts.virtio_console;
    console.vector = VECTOR_UART;
    console.features_wanted = FEATURE_MULTIPORT;
    bool is_there = console.place->kind != 0;
    if (is_there && (device_start() != RESULT_OK || console.features == 0 || !ports_learn())) {
        console.features_wanted = 0;
        for (uint32_t i = 0; i < PORTS; i++) {
            ports[i].number = 0;
            ports[i].is_there = i == PORT_PROGRAM;
        }
    }
    for (uint32_t i = PORTS; is_there && device_start() != RESULT_OK && --i > PORT_PROGRAM;) {
        ports[i].is_there = false;
    }
    if (!is_there || !is_on) {
        console_log(CONSOLE_ERROR, "atoll: there is no virtio console that works\n");
        return;
    }
    starts_told = console.starts;
    shared_other_line = shared_console_line;
    shared_console_line = &line;
    shared_console_log = ports[PORT_LOG].is_there ? &log : NULL;
}
