/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of breakpoints: the core that meets one judges them at once, in the exception, and
 * goes on if none holds; no other core hears of it. */
#include "internal.h"

#include "../isolation/cell.h"
#include "expression.h"

#include <cpu/string.h>
#include <gate/gate.h>

/* @impl ATL-LLR-DEBUG-0756~1 */
bool debug_conditions_parse(struct debug_text *text, struct debug_conditions *conditions)
{
    conditions->bytes = 0;
    (void)debug_text_word(text, ";");
    while (debug_text_word(text, "X")) {
        uint64_t bytes;
        uint32_t room = DEBUG_CONDITION_BYTES - conditions->bytes;
        if (!debug_text_number(text, &bytes) || !debug_text_word(text, ",") ||
            room < sizeof(uint16_t) || bytes > room - sizeof(uint16_t)) {
            return false;
        }
        uint16_t length = (uint16_t)bytes;
        memcpy(conditions->programs + conditions->bytes, &length, sizeof(length));
        conditions->bytes += sizeof(length);
        if (debug_text_hex(text, conditions->programs + conditions->bytes, length) != length) {
            return false;
        }
        conditions->bytes += length;
    }
    return text->left == 0;
}

static bool read_register(void *context, uint32_t number, uint64_t *value)
{
    static PERCORE struct debug_registers registers;
    uint32_t offset, bytes = debug_register_place(number, &offset);
    if (bytes == 0 || bytes > sizeof(*value)) {
        return false;
    }
    debug_registers_read(context, &registers);
    *value = 0;
    memcpy(value, (const uint8_t *)&registers + offset, bytes);
    return true;
}

static bool read_memory(void *context, uint64_t address, void *to, uint32_t bytes)
{
    (void)context;
    return debug_memory_read(gate_cell.root.value, address, to, bytes) == bytes;
}

/* @impl ATL-LLR-DEBUG-0756~1 */
bool debug_conditions_hold(const struct debug_conditions *conditions)
{
    if (conditions->bytes == 0 || percpu_current == NULL) {
        return true;
    }
    const struct debug_expression_world world = {read_register, read_memory, percpu_current};
    for (uint32_t at = 0; at < conditions->bytes;) {
        uint16_t length;
        uint64_t value;
        memcpy(&length, conditions->programs + at, sizeof(length));
        at += sizeof(length);
        if (!debug_expression_run(conditions->programs + at, length, &world, &value) ||
            value != 0) {
            return true;
        }
        at += length;
    }
    return false;
}
