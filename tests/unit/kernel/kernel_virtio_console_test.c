/* SPDX-License-Identifier: Apache-2.0 */
/* The console device as a line of the console, with a device that breaks rules while it is used. */
#include "console.c"

#include <check.h>
#include <fake.h>

static char other[64];
static uint32_t other_bytes;
static unsigned errors;

static uint32_t other_send(const uint8_t *bytes, uint32_t count)
{
    CHECK(other_bytes + count <= sizeof(other));
    memcpy(other + other_bytes, bytes, count);
    other_bytes += count;
    return count;
}

static bool other_is_idle(void)
{
    return true;
}

static const struct console_line before = {.send = other_send, .is_idle = other_is_idle};

const struct console_line *shared_console_line;
const struct console_line *shared_console_log;

void console_log(enum console_stream level, const char *format, ...)
{
    CHECK(format != NULL);
    errors += level == CONSOLE_ERROR;
}

/* What a device with ports says: those that are no names when it has heard DEVICE_READY, names when
 * their port is ready. value: how many bytes it says that it wrote. */
static const struct control *script;
static size_t script_count;
static struct control told[16];
static uint32_t told_count;
static bool endless; /* each port that is ready is added again */
static bool has_no_program_port;

static void device_says(const struct control *message)
{
    uint32_t id, bytes;
    bool is_to_write;
    struct control *buffer = fake_next(2, &id, &bytes, &is_to_write);
    CHECK(buffer != NULL && is_to_write && bytes == sizeof(*buffer));
    *buffer = *message;
    fake_use(2, id, message->value);
}

static void device_hears(uint32_t queue)
{
    const struct control *message;
    uint32_t id, bytes;
    bool is_to_write;
    while (queue == 3 && (message = fake_next(3, &id, &bytes, &is_to_write)) != NULL) {
        CHECK(bytes == 8 && !is_to_write && message->value == 1);
        for (size_t i = 0; i < script_count; i++) {
            bool is_name = script[i].event == EVENT_PORT_NAME;
            if (is_name ? message->event == EVENT_PORT_READY && message->port == script[i].port
                        : message->event == EVENT_READY) {
                device_says(&script[i]);
            }
        }
        if (endless && message->event == EVENT_PORT_READY && message->port == 1) {
            device_says(&script[0]);
        }
        memcpy(&told[told_count++ % 16], message, bytes);
        fake_use(3, id, 0);
    }
}

/* A device, attached: without ports, or one that follows the script. Numbers of the queues of the
 * program's port, of that of the log. */
static uint32_t in, out, log_out;

static enum result attach_with(bool is_pci, const struct control *messages, size_t count)
{
    fake_make(VIRTIO_CONSOLE, is_pci);
    fake.queues[0].size_max = has_no_program_port ? 0 : fake.queues[0].size_max;
    shared_facts.virtio_console = fake_place;
    console = (struct virtio_device){0};
    memset(ports, 0, sizeof(ports));
    starts_told = other_bytes = errors = told_count = 0;
    is_on = is_input_wanted = false;
    shared_console_log = NULL;
    script = messages;
    script_count = count;
    fake.features |= count > 0 ? FEATURE_MULTIPORT : 0;
    fake.on_notify = count > 0 ? device_hears : NULL;
    shared_console_line = &before;
    virtio_console_attach();
    in = console.queue_number[0];
    out = in + 1;
    log_out = 2 * ports[PORT_LOG].number + 3;
    return shared_console_line != &before ? RESULT_OK : RESULT_IO;
}

static enum result attach(bool is_pci)
{
    return attach_with(is_pci, NULL, 0);
}

/* What the device reads: NULL if there is nothing. */
static const char *device_takes(uint32_t queue)
{
    static char text[BUFFER_BYTES + 1];
    uint32_t id, bytes;
    bool is_to_write;
    const void *buffer = fake_next(queue, &id, &bytes, &is_to_write);
    if (buffer == NULL) {
        return NULL;
    }
    CHECK(!is_to_write && bytes <= BUFFER_BYTES);
    memcpy(text, buffer, bytes);
    text[bytes] = '\0';
    fake_use(queue, id, 0);
    return text;
}

static void device_types(const char *text)
{
    uint32_t id, bytes;
    bool is_to_write;
    void *buffer = fake_next(in, &id, &bytes, &is_to_write);
    CHECK(buffer != NULL && is_to_write && bytes == BUFFER_BYTES);
    memcpy(buffer, text, strlen(text));
    fake_use(in, id, (uint32_t)strlen(text));
}

static uint32_t put(const char *text)
{
    return shared_console_line->send((const uint8_t *)text, (uint32_t)strlen(text));
}

/* @verifies ATL-LLR-VIRTIO-0012~2 */
TEST(bytes_go_both_ways)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t byte = 0;
        CHECK_EQUAL(attach(i == 1), RESULT_OK);
        shared_console_line->enable(CONSOLE_LINE_RECEIVE);
        CHECK(shared_console_line->is_idle() && !shared_console_line->pending());
        CHECK_EQUAL(put("hello"), 5);
        CHECK_EQUAL(put("more"), 0); /* the first one is under way */
        CHECK(!shared_console_line->is_idle());
        CHECK_STRING(device_takes(out), "hello");
        CHECK(shared_console_line->pending());
        CHECK(shared_console_line->is_idle());
        CHECK_EQUAL(put("more"), 4);
        CHECK_STRING(device_takes(out), "more");
        CHECK(!shared_console_line->receive(&byte));
        device_types("ab");
        CHECK(shared_console_line->pending());
        CHECK(shared_console_line->receive(&byte) && byte == 'a');
        CHECK(shared_console_line->receive(&byte) && byte == 'b');
        CHECK(!shared_console_line->receive(&byte));
        device_types("c");
        CHECK(shared_console_line->pending() && shared_console_line->receive(&byte) && byte == 'c');
        CHECK(errors == 0 && fake.wrong_accesses == 0 && fake.resets == 1 + (console.starts > 1));
    }
}

/* @verifies ATL-LLR-VIRTIO-0012~2 */
TEST(long_output_goes_in_pieces)
{
    static uint8_t bytes[BUFFER_BYTES + 10];
    CHECK_EQUAL(attach(false), RESULT_OK);
    memset(bytes, 'x', sizeof(bytes));
    CHECK_EQUAL(shared_console_line->send(bytes, sizeof(bytes)), BUFFER_BYTES);
}

/* @verifies ATL-LLR-VIRTIO-0012~2 */
TEST(input_that_is_not_wanted_raises_nothing)
{
    uint8_t byte;
    CHECK_EQUAL(attach(false), RESULT_OK);
    device_types("z");
    CHECK(!shared_console_line->pending());
    shared_console_line->enable(CONSOLE_LINE_RECEIVE);
    CHECK(shared_console_line->receive(&byte) && byte == 'z');
}

/* @verifies ATL-LLR-VIRTIO-0012~2 @robust */
TEST(without_a_device_that_works_the_line_stays)
{
    shared_console_line = &before;
    errors = 0;
    shared_facts.virtio_console.kind = 0;
    virtio_console_attach();
    CHECK(shared_console_line == &before && errors == 1);
    fake_make(VIRTIO_CONSOLE, false);
    fake.features = 0;
    shared_facts.virtio_console = fake_place;
    console = (struct virtio_device){0};
    virtio_console_attach();
    CHECK(shared_console_line == &before && fake.status == 0 && errors == 2);
}

#define ADD(port_)                                                                                 \
    {                                                                                              \
        .port = (port_), .event = EVENT_PORT_ADD, .value = 8                                       \
    }
#define NAME(port_, text_)                                                                         \
    {                                                                                              \
        .port = (port_), .event = EVENT_PORT_NAME, .value = 8 + sizeof(text_) - 1, .name = text_   \
    }

static void check_told(uint32_t at, uint32_t event, uint32_t port)
{
    CHECK(at < told_count);
    CHECK_EQUAL(told[at].event, event);
    CHECK_EQUAL(told[at].port, port);
}

/* @verifies ATL-LLR-VIRTIO-0013~2 */
TEST(port_1_is_taken_and_opened)
{
    static const struct control says[] = {ADD(1)};
    CHECK_EQUAL(attach_with(false, says, 1), RESULT_OK);
    CHECK_EQUAL(told_count, 5);
    check_told(0, EVENT_READY, 0);
    check_told(1, EVENT_PORT_READY, 1); /* asked for its name; then the device is started anew */
    check_told(2, EVENT_READY, 0);
    check_told(3, EVENT_PORT_READY, 1);
    check_told(4, EVENT_PORT_OPEN, 1);
    CHECK(in == 4 && shared_console_log == NULL);
    CHECK_EQUAL(put("x"), 1);
    CHECK_STRING(device_takes(5), "x");
    CHECK_EQUAL(fake.wrong_accesses, 0);
    fake.status |= 0x40;
    CHECK(!shared_console_line->pending()); /* started again, nothing awaited */
    CHECK_EQUAL(told_count, 8);
    check_told(6, EVENT_PORT_READY, 1);
    check_told(7, EVENT_PORT_OPEN, 1);
    CHECK(is_on && errors == 1);
}

/* @verifies ATL-LLR-VIRTIO-1120~1 */
TEST(a_port_of_our_name_is_for_the_log)
{
    static const struct control says[][5] = {
        {ADD(1), ADD(2), NAME(2, "atoll.log\0")},
        {ADD(0), ADD(1), NAME(1, "atoll.log")}, /* then port 0 is the program's */
        {ADD(2), ADD(1), ADD(0), NAME(2, "atoll.log"), NAME(1, "another")},
    };
    static const uint32_t queues[][2] = {{4, 7}, {0, 5}, {4, 7}};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(attach_with(i == 1, says[i], 5), RESULT_OK);
        CHECK(in == queues[i][0] && log_out == queues[i][1] && shared_console_log != NULL);
        CHECK_EQUAL(put("program"), 7);
        CHECK_EQUAL(shared_console_log->send((const uint8_t *)"log", 3), 3);
        CHECK_EQUAL(shared_console_log->send((const uint8_t *)"more", 4), 0);
        CHECK_STRING(device_takes(log_out), "log");
        CHECK(!shared_console_line->is_idle());
        CHECK_STRING(device_takes(out), "program");
        CHECK(shared_console_line->is_idle());
        CHECK_EQUAL(shared_console_log->send((const uint8_t *)"more", 4), 4);
        fake.status |= 0x40;
        CHECK(!shared_console_line->pending()); /* started again; what was under way comes again */
        CHECK_STRING(device_takes(log_out), "more");
        CHECK(fake.wrong_accesses == 0 && errors == 1);
    }
}

/* @verifies ATL-LLR-VIRTIO-1120~1 @robust */
TEST(names_that_are_not_ours_and_impossible_ports_are_left_off)
{
    static const struct control says[][4] = {
        {ADD(1), ADD(2), NAME(2, "atoll.logs")},
        {ADD(1), ADD(2), NAME(2, "")},
        {ADD(1), ADD(2), NAME(2, "12345678901234567890123456789012345678901234567890123456")},
        {ADD(1), ADD(0), NAME(0, "atoll.log")},
        {ADD(1),
         ADD(127),
         {.port = 127, .event = EVENT_PORT_ADD, .value = 8},
         NAME(127, "atoll.log")},
        {ADD(1), ADD(2), NAME(2, "atoll.log"), NAME(2, "taken back")},
        {ADD(1), {.port = 0xffffffff, .event = 0xffff, .value = 64}},
    };
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        CHECK_EQUAL(attach_with(false, says[i], 4), RESULT_OK);
        CHECK(in == 4 && shared_console_log == NULL && console.queue_count == 4);
        CHECK_EQUAL(fake.wrong_accesses, 0);
    }
}

/* @verifies ATL-LLR-VIRTIO-1413~1 @robust */
TEST(a_named_port_without_queues_is_left_out)
{
    static const struct control says[] = {ADD(1), ADD(100), NAME(100, "atoll.log")};
    CHECK_EQUAL(attach_with(false, says, 3), RESULT_OK);
    CHECK(in == 4 && shared_console_log == NULL && console.queue_count == 4);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(put("x"), 1);
        CHECK_STRING(device_takes(5), "x");
        CHECK(shared_console_line->is_idle() && fake.wrong_accesses == 0);
        fake.status |= 0x40; /* asks to be started again */
        (void)shared_console_line->pending();
        CHECK(in == 4 && fake.status == FAKE_STATUS_RUNNING);
    }
}

/* @verifies ATL-LLR-VIRTIO-1413~1 @robust */
TEST(a_program_port_without_queues_leaves_the_device_off)
{
    static const struct control says[] = {ADD(0), ADD(2), NAME(2, "atoll.log")};
    has_no_program_port = true;
    CHECK_EQUAL(attach_with(false, says, 3), RESULT_IO);
    has_no_program_port = false;
    CHECK(errors == 1 && fake.status == 0);
}

/* @verifies ATL-LLR-VIRTIO-0013~2 @robust */
TEST(without_a_port_for_the_program_there_are_no_ports)
{
    static const struct control says[][2] = {
        {ADD(2), ADD(3)},
        {ADD(1), NAME(1, "atoll.log")},
        {{.port = 1, .event = EVENT_PORT_OPEN, .value = 8}},
        {{.port = 1, .event = EVENT_PORT_ADD, .value = 7}},   /* short */
        {{.port = 1, .event = EVENT_PORT_ADD, .value = 65}}}; /* long */
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        CHECK_EQUAL(attach_with(false, says[i], 2), RESULT_OK);
        CHECK_EQUAL(fake.driver_features, 1ull << 32);
        CHECK(fake.queues[0].is_enabled && !fake.queues[2].is_enabled);
        CHECK(shared_console_log == NULL);
        CHECK_EQUAL(put("x"), 1);
        CHECK_STRING(device_takes(1), "x");
    }
}

/* @verifies ATL-LLR-VIRTIO-1120~1 @robust */
TEST(a_device_that_talks_without_end_is_heard_for_a_bounded_time)
{
    static const struct control says[] = {ADD(1), ADD(2), NAME(1, "x"), NAME(2, "atoll.log")};
    endless = true;
    CHECK_EQUAL(attach_with(false, says, 4), RESULT_OK);
    endless = false;
    CHECK(in == 4 && log_out == 7);
}

/* What a device may do to the used rings. */
static void jump_ahead(void)
{
    fake_jump(in, 2);
}

static void name_nobody(void)
{
    fake_use(in, 9, 1);
}

static void name_another(void)
{
    fake_use(in, 1, 1);
}

static void write_too_much(void)
{
    fake_use(in, 0, BUFFER_BYTES + 1);
}

static void finish_twice(void)
{
    fake_use(out, 0, 0);
    fake_use(out, 0, 0);
}

static void ask_for_reset(void)
{
    fake.status |= 0x40;
}

static void reset_itself(void)
{
    fake.status = 0;
}

/* @verifies ATL-LLR-VIRTIO-0010~1 @robust */
TEST(a_broken_rule_restarts_the_device_and_what_was_under_way_is_sent_again)
{
    void (*const rules[])(void) = {jump_ahead,   name_nobody,   name_another, write_too_much,
                                   finish_twice, ask_for_reset, reset_itself};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        CHECK_EQUAL(attach(i % 2 == 1), RESULT_OK);
        shared_console_line->enable(CONSOLE_LINE_RECEIVE);
        unsigned resets = fake.resets;
        CHECK_EQUAL(put("text"), 4);
        rules[i]();
        (void)shared_console_line->pending();
        CHECK_EQUAL(fake.resets, resets + 1);
        CHECK_EQUAL(errors, 1);
        CHECK_STRING(device_takes(out), "text");
        CHECK(shared_console_line->pending() && shared_console_line->is_idle());
        device_types("q");
        uint8_t byte = 0;
        CHECK(shared_console_line->pending() && shared_console_line->receive(&byte) && byte == 'q');
        CHECK_EQUAL(errors, 1);
    }
}

/* @verifies ATL-LLR-VIRTIO-0010~1 @robust */
TEST(a_device_that_goes_on_breaking_rules_is_off_and_the_other_line_is_used)
{
    CHECK_EQUAL(attach(false), RESULT_OK);
    for (unsigned i = 0; i < 10 && is_on; i++) {
        (void)put("ab");
        ask_for_reset();
        (void)shared_console_line->pending();
    }
    CHECK(!is_on && fake.status == 0);
    CHECK(errors <= 5);
    other_bytes = 0;
    CHECK_EQUAL(put("last words"), 10);
    CHECK(other_bytes == 10 && memcmp(other, "last words", 10) == 0);
    uint8_t byte;
    CHECK(shared_console_line->is_idle() && !shared_console_line->pending() &&
          !shared_console_line->receive(&byte));
}

/* @verifies ATL-LLR-VIRTIO-0010~1 @robust */
TEST(empty_input_is_asked_for_again)
{
    CHECK_EQUAL(attach(false), RESULT_OK);
    shared_console_line->enable(CONSOLE_LINE_RECEIVE);
    for (unsigned i = 0; i < 100; i++) {
        device_types("");
        CHECK(!shared_console_line->pending());
    }
    CHECK_EQUAL(errors, 0);
}

CHECK_MAIN()
