/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of breakpoints, as GDB compiles them for the target (GDB manual, "The GDB Agent
 * Expression Mechanism"): a program for a stack machine of 64-bit words. Pure, bounded, no state
 * but the caller's.
 *
 * Error policy: whatever the program is, it ends: with a value, or with false. Non-goals: floating
 * point, tracing, trace state variables and printf, which no condition has: they are errors. */
#ifndef DEBUG_EXPRESSION_H
#define DEBUG_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEBUG_EXPRESSION_STACK 64u      /* words */
#define DEBUG_EXPRESSION_STEPS_BACK 64u /* jumps that lead back, at most */

/* What the program can see. Each returns false for what there is not. */
struct debug_expression_world {
    bool (*read_register)(void *context, uint32_t number, uint64_t *value);
    bool (*read_memory)(void *context, uint64_t address, void *to, uint32_t bytes);
    void *context;
};

/* Runs a program. False: it is malformed, divides by zero, needs what there is not, overflows or
 * empties the stack, or goes back too often; *value is not set then. */
bool debug_expression_run(const uint8_t *code, uint32_t bytes,
                          const struct debug_expression_world *world, uint64_t *value);

#endif
