/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a socket and a pair of them and prints the errno of each; with -DNUMBERS=0 it calls
 * nothing. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#ifndef NUMBERS
#define NUMBERS 1
#endif

int main(void)
{
#if NUMBERS
    int ends[2];
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("socket %d\n", made >= 0 ? 0 : errno);
    printf("socketpair %d\n", socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 ? 0 : errno);
#endif
    return 0;
}
