/* SPDX-License-Identifier: Apache-2.0 */
/* Copies standard input to standard output, or with `file PATH` that file; then writes the number
 * of bytes to standard error and ends with the status of the last argument. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_all(const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(STDOUT_FILENO, data, bytes);
        if (written < 0) {
            return -1;
        }
        data += written;
        bytes -= (size_t)written;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char buffer[10000];
    int input = STDIN_FILENO;
    unsigned long total = 0;
    if (argc > 2 && strcmp(argv[1], "file") == 0) {
        input = open(argv[2], O_RDONLY);
        if (input < 0) {
            fprintf(stderr, "open: %s\n", strerror(errno));
            return 1;
        }
    }
    for (;;) {
        ssize_t count = read(input, buffer, sizeof(buffer));
        if (count < 0 || (count > 0 && write_all(buffer, (size_t)count) != 0)) {
            fprintf(stderr, "copy: %s\n", strerror(errno));
            return 1;
        }
        if (count == 0) {
            break;
        }
        total += (unsigned long)count;
    }
    fprintf(stderr, "%lu bytes\n", total);
    return argc > 1 ? atoi(argv[argc - 1]) : 0;
}
