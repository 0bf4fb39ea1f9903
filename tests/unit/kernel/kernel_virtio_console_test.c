/* SPDX-License-Identifier: Apache-2.0 */
/* The console device as a line of the console, with a device that breaks rules while it is used. */
#include "console.c"

#include <check.h>
#include <fake.h>
#include <pthread.h>

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

void console_log(enum console_stream level, const char *format, ...)
{
    CHECK(format != NULL);
    errors += level == CONSOLE_ERROR;
}

/* A device without ports, or with port `port`, attached. Offsets: numbers of its queues. */
static uint32_t in, out;

static enum result attach(bool is_pci, bool has_ports, uint32_t port)
{
    fake_make(VIRTIO_CONSOLE, is_pci);
    shared_facts.virtio_console = fake_place;
    console = (struct virtio_device){0};
    input_at = input_end = output_bytes = starts_told = other_bytes = errors = 0;
    is_on = is_input_wanted = is_port_open = false;
    memset(control_in, 0, sizeof(control_in));
    control_in[0] = (struct control){.port = port, .event = EVENT_PORT_ADD, .value = 1};
    fake.features |= has_ports ? FEATURE_MULTIPORT : 0;
    in = has_ports && port == PORT ? 4 : 0;
    out = in + 1;
    shared_console_line = &before;
    virtio_console_attach();
    return shared_console_line != &before ? RESULT_OK : RESULT_IO;
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

/* @verifies ATL-LLR-VIRTIO-0012~1 */
TEST(bytes_go_both_ways)
{
    for (unsigned i = 0; i < 2; i++) {
        uint8_t byte = 0;
        CHECK_EQUAL(attach(i == 1, false, 0), RESULT_OK);
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

/* @verifies ATL-LLR-VIRTIO-0012~1 */
TEST(long_output_goes_in_pieces)
{
    static uint8_t bytes[BUFFER_BYTES + 10];
    CHECK_EQUAL(attach(false, false, 0), RESULT_OK);
    memset(bytes, 'x', sizeof(bytes));
    CHECK_EQUAL(shared_console_line->send(bytes, sizeof(bytes)), BUFFER_BYTES);
}

/* @verifies ATL-LLR-VIRTIO-0012~1 */
TEST(input_that_is_not_wanted_raises_nothing)
{
    uint8_t byte;
    CHECK_EQUAL(attach(false, false, 0), RESULT_OK);
    device_types("z");
    CHECK(!shared_console_line->pending());
    shared_console_line->enable(CONSOLE_LINE_RECEIVE);
    CHECK(shared_console_line->receive(&byte) && byte == 'z');
}

/* @verifies ATL-LLR-VIRTIO-0012~1 @robust */
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

static void check_control(uint32_t event, uint32_t port)
{
    uint32_t id, bytes;
    bool is_to_write;
    const struct control *message = fake_next(3, &id, &bytes, &is_to_write);
    CHECK(message != NULL && bytes == 8 && !is_to_write);
    CHECK(message->event == event && message->value == 1);
    CHECK(event == EVENT_DEVICE_READY || message->port == port);
}

/* The device's answer must lie ready: attach waits for it. */
static void *device_adds_port(void *argument)
{
    const struct control *message = argument;
    uint32_t id, bytes;
    bool is_to_write;
    while (atomic_load((_Atomic unsigned *)&fake.queues[3].notified) == 0) {
    }
    struct control *buffer = fake_next(2, &id, &bytes, &is_to_write);
    *buffer = *message;
    fake_use(2, id, message->value);
    return NULL;
}

/* @verifies ATL-LLR-VIRTIO-0013~1 */
TEST(port_1_is_taken_and_opened)
{
    struct control add = {.port = PORT, .event = EVENT_PORT_ADD, .value = 8};
    pthread_t thread;
    fake_make(VIRTIO_CONSOLE, false);
    CHECK_EQUAL(pthread_create(&thread, NULL, device_adds_port, &add), 0);
    CHECK_EQUAL(attach(false, true, PORT), RESULT_OK);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    check_control(EVENT_DEVICE_READY, 0);
    check_control(EVENT_PORT_READY, PORT);
    check_control(EVENT_PORT_OPEN, PORT);
    CHECK_EQUAL(put("x"), 1);
    CHECK_STRING(device_takes(5), "x");
    CHECK_EQUAL(fake.wrong_accesses, 0);
    fake.status |= 0x40;
    CHECK(!shared_console_line
               ->pending()); /* started again, the port is opened again, nothing awaited */
    check_control(EVENT_DEVICE_READY, 0);
    check_control(EVENT_PORT_READY, PORT);
    check_control(EVENT_PORT_OPEN, PORT);
    CHECK(is_on && errors == 1);
}

/* @verifies ATL-LLR-VIRTIO-0013~1 @robust */
TEST(without_port_1_port_0_is_taken)
{
    struct control wrong[] = {{.port = 0, .event = EVENT_PORT_ADD, .value = 8},
                              {.port = PORT, .event = EVENT_PORT_OPEN, .value = 8},
                              {.port = PORT, .event = EVENT_PORT_ADD, .value = 7},   /* short */
                              {.port = PORT, .event = EVENT_PORT_ADD, .value = 65}}; /* long */
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pthread_t thread;
        fake_make(VIRTIO_CONSOLE, false);
        CHECK_EQUAL(pthread_create(&thread, NULL, device_adds_port, &wrong[i]), 0);
        CHECK_EQUAL(attach(false, true, 0), RESULT_OK);
        CHECK_EQUAL(pthread_join(thread, NULL), 0);
        CHECK_EQUAL(fake.driver_features, 1ull << 32);
        CHECK(fake.queues[0].is_enabled && !fake.queues[2].is_enabled);
        CHECK_EQUAL(put("x"), 1);
        CHECK_STRING(device_takes(1), "x");
    }
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
        CHECK_EQUAL(attach(i % 2 == 1, false, 0), RESULT_OK);
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
    CHECK_EQUAL(attach(false, false, 0), RESULT_OK);
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
    CHECK_EQUAL(attach(false, false, 0), RESULT_OK);
    shared_console_line->enable(CONSOLE_LINE_RECEIVE);
    for (unsigned i = 0; i < 100; i++) {
        device_types("");
        CHECK(!shared_console_line->pending());
    }
    CHECK_EQUAL(errors, 0);
}

CHECK_MAIN()
