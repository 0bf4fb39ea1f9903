/* SPDX-License-Identifier: Apache-2.0 */
/* The stack machine of breakpoints' conditions: each operation, and everything that can be wrong.
 */
#include <check.h>
#include <expression.h>

#define MEMORY_BASE 0x1000u
static const uint8_t memory[16] = {0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xff};

static bool read_register(void *context, uint32_t number, uint64_t *value)
{
    (void)context;
    *value = 1000 + number;
    return number < 17;
}

static bool read_memory(void *context, uint64_t address, void *to, uint32_t bytes)
{
    (void)context;
    if (address < MEMORY_BASE || address - MEMORY_BASE > sizeof(memory) - bytes) {
        return false;
    }
    memcpy(to, &memory[address - MEMORY_BASE], bytes);
    return true;
}

static const struct debug_expression_world world = {read_register, read_memory, NULL};
static uint64_t value;

#define RUNS(...)                                                                                  \
    ({                                                                                             \
        const uint8_t code[] = {__VA_ARGS__};                                                      \
        value = 0xdead;                                                                            \
        debug_expression_run(code, sizeof(code), &world, &value);                                  \
    })
#define GIVES(expected, ...)                                                                       \
    do {                                                                                           \
        CHECK(RUNS(__VA_ARGS__));                                                                  \
        CHECK_EQUAL(value, (uint64_t)(expected));                                                  \
    } while (0)
#define FAILS(...)                                                                                 \
    do {                                                                                           \
        CHECK(!RUNS(__VA_ARGS__));                                                                 \
        CHECK_EQUAL(value, 0xdead);                                                                \
    } while (0)
#define C8(x) 0x22, (x)
#define MINUS_ONE C8(0), 0x12
#define END 0x27
#define MINIMUM 0x25, 0x80, 0, 0, 0, 0, 0, 0, 0

/* @verifies ATL-LLR-DEBUG-0755~1 */
TEST(each_operation_is_as_the_manual_says)
{
    GIVES(9, C8(4), C8(5), 0x02, END);
    GIVES(-1, C8(4), C8(5), 0x03, END);
    GIVES(20, C8(4), C8(5), 0x04, END);
    GIVES(-2, C8(0), C8(9), 0x03, C8(4), 0x05, END);
    GIVES(2, C8(9), C8(4), 0x06, END);
    GIVES(-1, C8(0), C8(9), 0x03, C8(4), 0x07, END);
    GIVES(1, C8(9), C8(4), 0x08, END);
    GIVES(0x90, C8(9), C8(4), 0x09, END);
    GIVES(-1, MINUS_ONE, C8(4), 0x0a, END);
    GIVES(UINT64_MAX >> 4, MINUS_ONE, C8(4), 0x0b, END);
    GIVES(1, C8(0), 0x0e, END);
    GIVES(0, C8(7), 0x0e, END);
    GIVES(4, C8(6), C8(12), 0x0f, END);
    GIVES(14, C8(6), C8(12), 0x10, END);
    GIVES(10, C8(6), C8(12), 0x11, END);
    GIVES(-1, MINUS_ONE, END);
    GIVES(1, C8(6), C8(6), 0x13, END);
    GIVES(1, MINUS_ONE, C8(6), 0x14, END);
    GIVES(0, MINUS_ONE, C8(6), 0x15, END);
    GIVES(-128, C8(0x80), 0x16, 8, END);
    GIVES(0x34, 0x23, 0x12, 0x34, 0x2a, 8, END);
    GIVES(0x12345678, 0x24, 0x12, 0x34, 0x56, 0x78, END);
    GIVES(0x8000000000000000, MINIMUM, END);
    GIVES(1006, 0x26, 0, 6, END);
    GIVES(12, C8(6), 0x28, 0x02, END);
    GIVES(6, C8(6), C8(7), 0x29, END);
    GIVES(1, C8(6), C8(7), 0x2b, 0x03, END);
    GIVES(6, C8(6), C8(7), 0x32, 1, END);
    GIVES(7, C8(6), C8(7), 0x32, 0, END);
    GIVES(2, C8(1), C8(2), C8(3), 0x33, END); /* 3 1 2 */
    GIVES(1, C8(1), C8(2), C8(3), 0x33, 0x29, END);
}

/* @verifies ATL-LLR-DEBUG-0755~1 */
TEST(memory_and_jumps)
{
    GIVES(0x88, 0x23, 0x10, 0, 0x17, END);
    GIVES(0x7788, 0x23, 0x10, 0, 0x18, END);
    GIVES(0x55667788, 0x23, 0x10, 0, 0x19, END);
    GIVES(0x1122334455667788, 0x23, 0x10, 0, 0x1a, END);
    GIVES(1, C8(1), 0x20, 0, 8, C8(2), END, C8(1), END);
    GIVES(2, C8(0), 0x20, 0, 8, C8(2), END, C8(1), END);
    GIVES(1, 0x21, 0, 6, C8(2), END, C8(1), END);
    /* Ten times back: 10 9 ... 0. */
    GIVES(0, C8(10), C8(1), 0x03, 0x28, 0x20, 0, 2, END);
}

/* @verifies ATL-LLR-DEBUG-0755~1 @robust */
TEST(what_is_wrong_gives_no_value)
{
    CHECK(!debug_expression_run(NULL, 0, &world, &value));
    FAILS(END);
    FAILS(C8(1));
    FAILS(0x22);
    FAILS(0x25, 1, 2, 3, 4, 5, 6, 7);
    FAILS(C8(1), 0x02, END);
    FAILS(0x28, END);
    FAILS(C8(1), C8(2), 0x33, END);
    FAILS(C8(1), 0x32, 1, END);
    FAILS(C8(1), 0x16, 0, END);
    FAILS(C8(1), 0x2a, 65, END);
    FAILS(C8(1), 0x17, END);
    FAILS(0x23, 0x10, 9, 0x1a, END);
    FAILS(0x26, 0, 99, END);
    for (uint8_t divide = 0x05; divide <= 0x08; divide++) {
        FAILS(C8(1), C8(0), divide, END);
    }
    static const uint8_t unknown[] = {0x00, 0x01, 0x0c, 0x0d, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f,
                                      0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x34, 0xff};
    for (size_t i = 0; i < sizeof(unknown); i++) {
        FAILS(C8(1), C8(1), C8(1), unknown[i], 0, 0, END);
    }
    FAILS(0x21, 0xff, 0xff, END);
    FAILS(0x21, 0, 0);        /* for ever */
    FAILS(C8(1), 0x21, 0, 0); /* until the stack is full */
}

/* @verifies ATL-LLR-DEBUG-0755~1 @robust */
TEST(what_does_not_fit_is_defined)
{
    GIVES(INT64_MIN, MINIMUM, MINUS_ONE, 0x05, END);
    GIVES(0, MINIMUM, MINUS_ONE, 0x07, END);
    GIVES(0, C8(1), C8(64), 0x09, END);
    GIVES(0, MINUS_ONE, C8(64), 0x0b, END);
    GIVES(-1, MINUS_ONE, C8(200), 0x0a, END);
    GIVES(-1, MINUS_ONE, 0x16, 64, END);
    uint8_t code[DEBUG_EXPRESSION_STACK * 2 + 3];
    for (uint32_t i = 0; i <= DEBUG_EXPRESSION_STACK; i++) {
        code[2 * i] = 0x22;
        code[2 * i + 1] = (uint8_t)i;
    }
    code[sizeof(code) - 1] = END;
    CHECK(!debug_expression_run(code, sizeof(code), &world, &value));
    code[sizeof(code) - 3] = END; /* one word fewer: the stack is just full */
    CHECK(debug_expression_run(code, sizeof(code), &world, &value));
    CHECK_EQUAL(value, DEBUG_EXPRESSION_STACK - 1);
}

CHECK_MAIN()
