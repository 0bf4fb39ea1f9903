/* SPDX-License-Identifier: Apache-2.0 */
/* What `./atoll bench` boots to see how long a boot takes. */
#include "../programs/bench.h"
#include <unistd.h>

int main(void)
{
    BENCH_HERE();
    return write(1, "hello\n", 6) == 6 ? 0 : 1;
}
