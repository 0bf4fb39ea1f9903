/* SPDX-License-Identifier: Apache-2.0 */
/* Linked to a program that others wrote: the marks stand before its main and behind its end. */
#include "../programs/bench.h"

__attribute__((constructor)) static void begin(void)
{
    BENCH_HERE();
    BENCH_BEGIN(0);
}

__attribute__((destructor)) static void end(void)
{
    BENCH_END(0);
}
