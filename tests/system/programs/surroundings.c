/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what the program was given: arguments, environment, working directory, host name; each
 * string between brackets, so that blanks are seen. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    char text[PATH_MAX];
    for (int i = 0; i < argc; i++) {
        printf("argument %d [%s]\n", i, argv[i]);
    }
    for (char **variable = environ; *variable != NULL; variable++) {
        printf("variable [%s]\n", *variable);
    }
    if (getcwd(text, sizeof(text)) == NULL) {
        perror("getcwd");
        return 1;
    }
    printf("directory [%s]\n", text);
    if (gethostname(text, sizeof(text)) != 0) {
        perror("gethostname");
        return 1;
    }
    printf("host [%s]\n", text);
    return 0;
}
