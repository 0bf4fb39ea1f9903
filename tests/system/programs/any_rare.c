/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a rare call; with -DCOMPUTED its number is nowhere in the code. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
#ifdef COMPUTED
    volatile long half = SYS_eventfd2 / 2;
    long result = syscall(half + half, 0, 0);
#else
    long result = syscall(SYS_eventfd2, 0, 0);
#endif
    printf("eventfd2 %d\n", result < 0 ? errno : 0);
    return 0;
}
