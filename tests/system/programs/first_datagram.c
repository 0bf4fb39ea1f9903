/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a datagram to the gateway, to which nothing was sent before, and shows the answer.
 * Arguments: the gateway's port, how many bytes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define GATEWAY 0x0a000202u /* 10.0.2.2 */
#define BYTES_MAX 65000

int main(int argc, char **argv)
{
    static unsigned char data[BYTES_MAX];
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(GATEWAY);
    address.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : ""));
    int count = atoi(argc > 2 ? argv[2] : "");
    int made = socket(AF_INET, SOCK_DGRAM, 0);
    if (made < 0 || connect(made, (struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("connect");
        return 1;
    }
    for (int i = 0; i < BYTES_MAX; i++) {
        data[i] = (unsigned char)(i * 7);
    }
    if (send(made, data, (size_t)count, 0) != count) {
        perror("send");
        return 1;
    }
    ssize_t bytes = recv(made, data, sizeof(data), 0);
    if (bytes < 0) {
        perror("recv");
        return 1;
    }
    printf("%.*s\n", (int)bytes, (char *)data);
    return 0;
}
