/* SPDX-License-Identifier: Apache-2.0 */
/* Dies by SIGFPE from a division by zero: expected end 136.
 *
 * @verifies ATL-HLR-CONF-0011~1 */
#include <stdio.h>

int main(void)
{
    puts("before the fault");
    fflush(stdout);
    __asm__ volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cltd\n idivl %%ecx" ::
                         : "eax", "ecx", "edx");
    puts("survived");
    return 0;
}
