/* SPDX-License-Identifier: Apache-2.0 */
/* Writes numbered lines until there is input, then "over": a console that is used all the time. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (unsigned i = 0; poll(&input, 1, 2) == 0; i++) {
        char line[32];
        int bytes = snprintf(line, sizeof(line), "line %u\n", i);
        if (write(STDOUT_FILENO, line, (size_t)bytes) != bytes) {
            return 1;
        }
    }
    return write(STDOUT_FILENO, "over\n", 5) != 5;
}
