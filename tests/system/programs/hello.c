/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest program, and the one whose image size is measured. */
#include <stdio.h>

int main(void)
{
    puts("Hello, world!");
    return 0;
}
