/* SPDX-License-Identifier: Apache-2.0 */
/* What -fstack-protector-strong calls and reads; the names are the compiler's. */
#include <percpu/base.h>
#include <percpu/operations.h>

extern uintptr_t __stack_chk_guard;
noreturn void __stack_chk_fail(void);

/* Boot gives it a fixed value first, entropy a new one before seal. */
SHARED uintptr_t __stack_chk_guard;

noreturn void __stack_chk_fail(void)
{
    percpu_operation_panic("a stack frame was overwritten");
}
