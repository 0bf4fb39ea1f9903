/* SPDX-License-Identifier: Apache-2.0 */
/* The first thread: from the kernel's start of posix/ to the first instruction of the program. */
#include "debug.h"
#include "internal.h"

#include <posix/instructions.h>
#include <posix/load.h>
#include <posix/memory.h>
#include <posix/net.h>
#include <posix/time.h>

#define STATUS_REFUSED 125u /* as for an image that the kernel refuses */
#define FLAGS_START 0x202u  /* interrupts on, the always-set bit */

/* The contract's stack is a place to begin; a posix stack is aligned to its size, and the load base
 * only to a page, so a block is cut out of twice its size at run time. */
alignas(64) uint8_t posix_first_stack[2 * POSIX_STACK_BYTES];

extern uint64_t __stack_chk_guard;
uint64_t __stack_chk_guard = 0x595e9fbd94fda766ull; /* until random bytes are there */
noreturn void __stack_chk_fail(void);

noreturn void __stack_chk_fail(void)
{
    posix_panic("stack overwritten in posix");
}

uint64_t posix_start_stack(void)
{
    uint64_t area = (uint64_t)(uintptr_t)posix_first_stack;
    uint64_t block = (area + POSIX_STACK_BYTES - 1) & ~(uint64_t)(POSIX_STACK_BYTES - 1);
    return posix_stack_top(posix_thread_of_stack((void *)block)); // NOLINT: inside the area
}

/* As Linux: the first thread has the name of the program's file, cut. */
static void name_thread(struct posix_thread *self, const char *path)
{
    const char *name = path;
    for (const char *at = path; *at != '\0'; at++) {
        name = *at == '/' ? at + 1 : name;
    }
    for (uint32_t i = 0; i < POSIX_THREAD_NAME_BYTES - 1 && name[i] != '\0'; i++) {
        self->name[i] = name[i];
    }
}

/* Before anything uses strings or files of the image. @impl ATL-LLR-IMAGE-0006~3 */
static void check_index(void)
{
    const char *reason = NULL;
    if (posix_index_validate(posix_image(), &reason) != RESULT_OK) {
        posix_print("atoll: cannot start: the image is damaged: %s\n", reason);
        gate_exit(STATUS_REFUSED, 0);
    }
}

/* Never returns, so the changed guard is never compared with an older one. */
__attribute__((optimize("no-stack-protector"))) noreturn void posix_start(struct posix_thread *self)
{
    uint64_t guard = 0;
    if (gate_random((uint64_t)(uintptr_t)&guard, sizeof(guard)) == 0) {
        __stack_chk_guard = guard & ~0xffull; /* a zero byte ends string overflows */
    }
    posix_thread_initialize(self);
    check_index();
    posix_wall_initialize();
    posix_memory_initialize();
    posix_file_initialize();
    posix_clock_initialize();
    posix_network_start();
    struct posix_program program = {0};
    posix_program_load(&program);
    name_thread(self, posix_image_string(posix_image()->program_path_offset));
    struct gate_frame frame = {.rip = program.entry,
                               .rsp = program.stack,
                               .rflags = FLAGS_START,
                               .cs = instruction_read_cs(),
                               .ss = instruction_read_ss()};
    self->call = POSIX_CALL_NONE;
    posix_thread_settle(self);
    posix_debug_started(&program);
    self->frame = &frame;
    posix_enter(&frame);
}
