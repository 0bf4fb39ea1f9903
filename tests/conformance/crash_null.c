/* SPDX-License-Identifier: Apache-2.0 */
/* Dies by SIGSEGV from a write through a null pointer, after flushing a line: expected end 139.
 *
 * @verifies ATL-HLR-CONF-0011~1 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int *volatile null = argc > 1 ? (int *)strtoul(argv[1], NULL, 0) : NULL;
    puts("before the fault");
    fflush(stdout);
    *null = 1;
    puts("survived");
    return 0;
}
