/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for names, and reaches the first of them. Prints the server of /etc/resolv.conf, the
 * addresses of each name in order, the name of each address that is given as one, then what a
 * server at the first name says. Arguments: its port, names and addresses. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES_MAX 100

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void show_server(void)
{
    char text[256];
    FILE *file = fopen("/etc/resolv.conf", "r");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
        stop("/etc/resolv.conf");
    }
    fputs(text, stdout);
    fclose(file);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void show_addresses(const char *name)
{
    static char texts[ADDRESSES_MAX][INET6_ADDRSTRLEN];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    size_t count = 0;
    int error = getaddrinfo(name, NULL, &hints, &found);
    printf("%s", name);
    if (error != 0) {
        printf(": %s\n", error == EAI_NONAME ? "no such name" : gai_strerror(error));
        return;
    }
    for (const struct addrinfo *one = found; one != NULL && count < ADDRESSES_MAX;
         one = one->ai_next) {
        getnameinfo(one->ai_addr, one->ai_addrlen, texts[count++], INET6_ADDRSTRLEN, NULL, 0,
                    NI_NUMERICHOST);
    }
    qsort(texts, count, sizeof(texts[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        printf(" %s", texts[i]);
    }
    puts("");
    freeaddrinfo(found);
}

static void show_name(const char *address)
{
    char name[NI_MAXHOST];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, NULL, &hints, &found) != 0 ||
        getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof(name), NULL, 0, NI_NAMEREQD) !=
            0) {
        stop(address);
    }
    printf("%s is %s\n", address, name);
    freeaddrinfo(found);
}

static void reach(const char *name, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char text[100];
    if (getaddrinfo(name, port, &hints, &found) != 0) {
        stop(name);
    }
    int peer = socket(found->ai_family, SOCK_STREAM, 0);
    if (peer < 0 || connect(peer, found->ai_addr, found->ai_addrlen) != 0) {
        stop("connect");
    }
    ssize_t bytes = read(peer, text, sizeof(text));
    if (bytes < 0) {
        stop("read");
    }
    printf("%s says %.*s\n", name, (int)bytes, text);
    close(peer);
    freeaddrinfo(found);
}

int main(int argc, char **argv)
{
    show_server();
    for (int i = 2; i < argc; i++) {
        if (isdigit((unsigned char)argv[i][0])) {
            show_name(argv[i]);
        } else {
            show_addresses(argv[i]);
        }
    }
    reach(argv[2], argv[1]);
    return 0;
}
