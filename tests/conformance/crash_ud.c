/* SPDX-License-Identifier: Apache-2.0 */
/* Dies by SIGILL from ud2: expected end 132.
 *
 * @verifies ATL-HLR-CONF-0011~1 */
#include <stdio.h>

int main(void)
{
    puts("before the fault");
    fflush(stdout);
    __asm__ volatile("ud2");
    puts("survived");
    return 0;
}
