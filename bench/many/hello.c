// SPDX-License-Identifier: Apache-2.0
// Says hello and waits for the end of its input, so that many can be there at once.
#include <stdio.h>

int main(void)
{
    puts("Hello, world!");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return ferror(stdin) != 0; // too little memory to wait in
}
