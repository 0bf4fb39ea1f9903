/* SPDX-License-Identifier: Apache-2.0 */
/* Makes so many connections to itself, each closed by the server first, and says how many of them
 * the core still has: the lines of /dev/network tell them as "ended". */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static long ended(void)
{
    char text[4096];
    long sum = 0;
    FILE *file = fopen("/dev/network", "r");
    check(file != NULL, "/dev/network");
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    for (const char *at = text; (at = strstr(at, "ended ")) != NULL; at++) {
        sum += atol(at + strlen("ended "));
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(name);
    char byte;
    int count = argc == 2 ? atoi(argv[1]) : 0, server = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(server, (struct sockaddr *)&name, bytes) == 0 && listen(server, 8) == 0 &&
              getsockname(server, (struct sockaddr *)&name, &bytes) == 0,
          "server");
    long most = 0;
    for (int i = 1; i <= count; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        check(connect(client, (struct sockaddr *)&name, sizeof(name)) == 0, "connect");
        int accepted = accept(server, NULL, NULL);
        check(accepted >= 0 && close(accepted) == 0 && read(client, &byte, 1) == 0 &&
                  close(client) == 0,
              "close");
        if (i % 100 == 0) {
            most = ended() > most ? ended() : most;
        }
    }
    /* The last to come wait until the timer of TCP has run. */
    while (ended() > 1024) {
        usleep(10000);
    }
    printf("%ld wait, %s\n", ended(), most > 1000 ? "as many as may" : "fewer");
    return 0;
}
