/* SPDX-License-Identifier: Apache-2.0 */
#include "expression.h"

/* Operations, by the numbers of the manual's "Bytecode Descriptions". */
enum {
    OP_ADD = 0x02,
    OP_SUBTRACT,
    OP_MULTIPLY,
    OP_DIVIDE_SIGNED,
    OP_DIVIDE,
    OP_REMAINDER_SIGNED,
    OP_REMAINDER,
    OP_SHIFT_LEFT,
    OP_SHIFT_RIGHT_SIGNED,
    OP_SHIFT_RIGHT,
    OP_NOT = 0x0e,
    OP_BIT_AND,
    OP_BIT_OR,
    OP_BIT_XOR,
    OP_BIT_NOT,
    OP_EQUAL,
    OP_LESS_SIGNED,
    OP_LESS,
    OP_EXTEND_SIGN,
    OP_READ_8,
    OP_READ_16,
    OP_READ_32,
    OP_READ_64,
    OP_JUMP_IF = 0x20,
    OP_JUMP,
    OP_CONST_8,
    OP_CONST_16,
    OP_CONST_32,
    OP_CONST_64,
    OP_REGISTER,
    OP_END,
    OP_DUPLICATE,
    OP_POP,
    OP_EXTEND_ZERO,
    OP_SWAP,
    OP_PICK = 0x32,
    OP_ROTATE,
    OP_COUNT,
};

#define KNOWN 0x80u
#define WORD_BITS 64u

/* What each operation has: KNOWN, bytes behind it, words that it takes, words that it leaves. */
static const struct {
    uint8_t data, takes, leaves;
} shapes[OP_COUNT] = {
    [OP_ADD] = {KNOWN, 2, 1},
    [OP_SUBTRACT] = {KNOWN, 2, 1},
    [OP_MULTIPLY] = {KNOWN, 2, 1},
    [OP_DIVIDE_SIGNED] = {KNOWN, 2, 1},
    [OP_DIVIDE] = {KNOWN, 2, 1},
    [OP_REMAINDER_SIGNED] = {KNOWN, 2, 1},
    [OP_REMAINDER] = {KNOWN, 2, 1},
    [OP_SHIFT_LEFT] = {KNOWN, 2, 1},
    [OP_SHIFT_RIGHT_SIGNED] = {KNOWN, 2, 1},
    [OP_SHIFT_RIGHT] = {KNOWN, 2, 1},
    [OP_NOT] = {KNOWN, 1, 1},
    [OP_BIT_AND] = {KNOWN, 2, 1},
    [OP_BIT_OR] = {KNOWN, 2, 1},
    [OP_BIT_XOR] = {KNOWN, 2, 1},
    [OP_BIT_NOT] = {KNOWN, 1, 1},
    [OP_EQUAL] = {KNOWN, 2, 1},
    [OP_LESS_SIGNED] = {KNOWN, 2, 1},
    [OP_LESS] = {KNOWN, 2, 1},
    [OP_EXTEND_SIGN] = {KNOWN | 1, 1, 1},
    [OP_READ_8] = {KNOWN, 1, 1},
    [OP_READ_16] = {KNOWN, 1, 1},
    [OP_READ_32] = {KNOWN, 1, 1},
    [OP_READ_64] = {KNOWN, 1, 1},
    [OP_JUMP_IF] = {KNOWN | 2, 1, 0},
    [OP_JUMP] = {KNOWN | 2, 0, 0},
    [OP_CONST_8] = {KNOWN | 1, 0, 1},
    [OP_CONST_16] = {KNOWN | 2, 0, 1},
    [OP_CONST_32] = {KNOWN | 4, 0, 1},
    [OP_CONST_64] = {KNOWN | 8, 0, 1},
    [OP_REGISTER] = {KNOWN | 2, 0, 1},
    [OP_END] = {KNOWN, 1, 1},
    [OP_DUPLICATE] = {KNOWN, 1, 2},
    [OP_POP] = {KNOWN, 1, 0},
    [OP_EXTEND_ZERO] = {KNOWN | 1, 1, 1},
    [OP_SWAP] = {KNOWN, 2, 2},
    [OP_PICK] = {KNOWN | 1, 0, 1},
    [OP_ROTATE] = {KNOWN, 3, 3},
};

struct machine {
    const struct debug_expression_world *world;
    uint64_t stack[DEBUG_EXPRESSION_STACK];
    uint32_t depth;
    uint32_t at; /* of the next operation */
    uint32_t steps_back;
};

/* The two sorts of division: not by zero; the one quotient that does not fit wraps. */
static bool divide(uint8_t operation, uint64_t a, uint64_t b, uint64_t *result)
{
    if (b == 0) {
        return false;
    }
    bool is_wrapping = (int64_t)a == INT64_MIN && (int64_t)b == -1;
    switch (operation) {
    case OP_DIVIDE_SIGNED:
        *result = is_wrapping ? a : (uint64_t)((int64_t)a / (int64_t)b);
        break;
    case OP_REMAINDER_SIGNED:
        *result = is_wrapping ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
        break;
    case OP_DIVIDE:
        *result = a / b;
        break;
    default:
        *result = a % b;
    }
    return true;
}

/* By a whole word or more everything is shifted out. */
static uint64_t shift(uint8_t operation, uint64_t a, uint64_t b)
{
    bool is_far = b >= WORD_BITS;
    switch (operation) {
    case OP_SHIFT_LEFT:
        return is_far ? 0 : a << b;
    case OP_SHIFT_RIGHT:
        return is_far ? 0 : a >> b;
    default:
        return (uint64_t)((int64_t)a >> (is_far ? WORD_BITS - 1 : b));
    }
}

/* Of two words; b was on top. */
static bool combine(uint8_t operation, uint64_t a, uint64_t b, uint64_t *result)
{
    switch (operation) {
    case OP_ADD:
        *result = a + b;
        return true;
    case OP_SUBTRACT:
        *result = a - b;
        return true;
    case OP_MULTIPLY:
        *result = a * b;
        return true;
    case OP_SHIFT_LEFT:
    case OP_SHIFT_RIGHT:
    case OP_SHIFT_RIGHT_SIGNED:
        *result = shift(operation, a, b);
        return true;
    case OP_BIT_AND:
        *result = a & b;
        return true;
    case OP_BIT_OR:
        *result = a | b;
        return true;
    case OP_BIT_XOR:
        *result = a ^ b;
        return true;
    case OP_EQUAL:
        *result = a == b;
        return true;
    case OP_LESS_SIGNED:
        *result = (int64_t)a < (int64_t)b;
        return true;
    case OP_LESS:
        *result = a < b;
        return true;
    default:
        return divide(operation, a, b, result);
    }
}

/* The low `bits` of a word are a number, with a sign or without. */
static bool extend(bool is_signed, uint64_t bits, uint64_t *word)
{
    if (bits == 0 || bits > WORD_BITS) {
        return false;
    }
    uint32_t unused = (uint32_t)(WORD_BITS - bits);
    uint64_t high = *word << unused;
    *word = is_signed ? (uint64_t)((int64_t)high >> unused) : high >> unused;
    return true;
}

static bool read(const struct machine *machine, uint8_t operation, uint64_t *word)
{
    uint64_t value = 0; /* little-endian, as the program's memory is */
    uint32_t bytes = 1u << (operation - OP_READ_8);
    bool is_there = machine->world->read_memory(machine->world->context, *word, &value, bytes);
    *word = value;
    return is_there;
}

static bool jump(struct machine *machine, uint64_t to)
{
    if (to < machine->at && ++machine->steps_back > DEBUG_EXPRESSION_STEPS_BACK) {
        return false;
    }
    machine->at = (uint32_t)to;
    return true;
}

static bool pick(struct machine *machine, uint64_t below)
{
    uint32_t depth = machine->depth;
    if (below >= depth) {
        return false;
    }
    machine->stack[depth] = machine->stack[depth - 1 - below];
    return true;
}

/* The words that an operation takes are there, and there is room for those that it leaves; the
 * depth is still the old one. */
static bool act(struct machine *machine, uint8_t operation, uint64_t data)
{
    uint64_t *free = &machine->stack[machine->depth]; /* the first free word */
    uint64_t top;
    switch (operation) {
    case OP_NOT:
        free[-1] = free[-1] == 0;
        return true;
    case OP_BIT_NOT:
        free[-1] = ~free[-1];
        return true;
    case OP_EXTEND_SIGN:
    case OP_EXTEND_ZERO:
        return extend(operation == OP_EXTEND_SIGN, data, &free[-1]);
    case OP_READ_8:
    case OP_READ_16:
    case OP_READ_32:
    case OP_READ_64:
        return read(machine, operation, &free[-1]);
    case OP_JUMP_IF:
        return free[-1] == 0 || jump(machine, data);
    case OP_JUMP:
        return jump(machine, data);
    case OP_CONST_8:
    case OP_CONST_16:
    case OP_CONST_32:
    case OP_CONST_64:
        free[0] = data;
        return true;
    case OP_REGISTER:
        return machine->world->read_register(machine->world->context, (uint32_t)data, &free[0]);
    case OP_DUPLICATE:
        free[0] = free[-1];
        return true;
    case OP_END:
    case OP_POP:
        return true;
    case OP_PICK:
        return pick(machine, data);
    case OP_SWAP:
    case OP_ROTATE:
        top = free[-1];
        free[-1] = free[-2];
        free[-2] = operation == OP_SWAP ? top : free[-3];
        if (operation == OP_ROTATE) {
            free[-3] = top;
        }
        return true;
    default:
        return combine(operation, free[-2], free[-1], &free[-2]);
    }
}

/* One operation. False: the program is at its end, and *is_good says how. */
static bool step(struct machine *machine, const uint8_t *code, uint32_t bytes, bool *is_good)
{
    *is_good = false;
    uint8_t operation = machine->at < bytes ? code[machine->at] : 0;
    if (operation >= OP_COUNT || shapes[operation].data == 0) {
        return false;
    }
    uint32_t data_bytes = shapes[operation].data & ~KNOWN;
    uint32_t takes = shapes[operation].takes, leaves = shapes[operation].leaves;
    bool fits = bytes - machine->at > data_bytes && machine->depth >= takes &&
                machine->depth - takes + leaves <= DEBUG_EXPRESSION_STACK;
    if (!fits) {
        return false;
    }
    uint64_t data = 0; /* big-endian */
    for (uint32_t i = 1; i <= data_bytes; i++) {
        data = data << 8 | code[machine->at + i];
    }
    machine->at += 1 + data_bytes;
    *is_good = act(machine, operation, data);
    machine->depth += leaves - takes;
    return *is_good && operation != OP_END;
}

/* @impl ATL-LLR-DEBUG-0755~1 */
bool debug_expression_run(const uint8_t *code, uint32_t bytes,
                          const struct debug_expression_world *world, uint64_t *value)
{
    struct machine machine = {.world = world};
    bool is_good;
    while (step(&machine, code, bytes, &is_good)) {
    }
    if (is_good) {
        *value = machine.stack[machine.depth - 1];
    }
    return is_good;
}
