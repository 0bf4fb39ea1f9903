/* SPDX-License-Identifier: Apache-2.0 */
/* Ends with the status of argv[1] (its low 8 bits arrive), by return, or with argv[2] = "exit",
 * "_exit", "thread" by those ways. Output that stdio still holds must not be lost but with _exit.
 *
 * @verifies ATL-HLR-CONF-0011~1
 *   ATL-LLR-GATE-0020~1 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void at_exit(void)
{
    fputs("exit handlers ran\n", stdout);
}

static void *exit_here(void *status)
{
    exit((int)(long)status);
}

int main(int argc, char **argv)
{
    int status = argc > 1 ? atoi(argv[1]) : 0;
    const char *way = argc > 2 ? argv[2] : "return";
    pthread_t thread;
    atexit(at_exit);
    printf("status %d by %s\n", status, way);
    if (strcmp(way, "exit") == 0) {
        exit(status);
    } else if (strcmp(way, "_exit") == 0) {
        _exit(status);
    } else if (strcmp(way, "thread") == 0) {
        if (pthread_create(&thread, NULL, exit_here, (void *)(long)status) == 0) {
            pause();
        }
        return 99;
    }
    return status;
}
