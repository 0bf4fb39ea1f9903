/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody at a terminal: writes as many numbered lines as the first argument says and then
 * "ready", answers each line that is typed, and ends with the status of the second argument when
 * there are no more. */
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

int main(int argument_count, char **arguments)
{
    struct termios settings;
    char line[128];
    unsigned answers = 0;
    if (argument_count != 3 || tcgetattr(STDIN_FILENO, &settings) != 0) {
        return 99;
    }
    settings.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
    for (int i = 0; i < atoi(arguments[1]); i++) {
        printf("line %d\n", i);
    }
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        printf("%u: %s", answers++, line);
    }
    printf("%u answers\n", answers);
    return atoi(arguments[2]);
}
