/* SPDX-License-Identifier: Apache-2.0 */
/* A Modbus server by libmodbus: several clients, one table of registers and coils. SIGINT ends it.
 * Argument: its port. */
#include <modbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>

#define CELLS 200
#define BACKLOG 8

static volatile sig_atomic_t is_over;

static void end(int signal)
{
    (void)signal;
    is_over = 1;
}

/* Answers one request; what cannot be read ends the connection. */
static int answer(modbus_t *context, modbus_mapping_t *cells, int client)
{
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_set_socket(context, client);
    int bytes = modbus_receive(context, request);
    return bytes > 0 ? modbus_reply(context, request, bytes, cells) : bytes;
}

static int serve(modbus_t *context, modbus_mapping_t *cells, int listener)
{
    fd_set open_ones;
    int highest = listener, requests = 0;
    FD_ZERO(&open_ones);
    FD_SET(listener, &open_ones);
    while (!is_over) {
        fd_set ready = open_ones;
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0) {
            continue; /* SIGINT */
        }
        for (int one = 0; one <= highest; one++) {
            if (!FD_ISSET(one, &ready)) {
                continue;
            }
            if (one == listener) {
                int client = modbus_tcp_accept(context, &listener);
                if (client >= 0) {
                    FD_SET(client, &open_ones);
                    highest = client > highest ? client : highest;
                }
            } else if (answer(context, cells, one) < 0) {
                close(one);
                FD_CLR(one, &open_ones);
            } else {
                requests++;
            }
        }
    }
    return requests;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = end};
    modbus_t *context = modbus_new_tcp(NULL, argc > 1 ? atoi(argv[1]) : MODBUS_TCP_DEFAULT_PORT);
    modbus_mapping_t *cells = modbus_mapping_new(CELLS, CELLS, CELLS, CELLS);
    int listener = context != NULL && cells != NULL ? modbus_tcp_listen(context, BACKLOG) : -1;
    if (listener < 0 || sigaction(SIGINT, &action, NULL) != 0) {
        perror("modbus");
        return 1;
    }
    for (int i = 0; i < CELLS; i++) {
        cells->tab_input_registers[i] = (uint16_t)(i * 3 + 7);
        cells->tab_input_bits[i] = i % 3 == 0;
    }
    printf("serving\n");
    fflush(stdout);
    printf("%d requests\n", serve(context, cells, listener));
    modbus_mapping_free(cells);
    modbus_free(context);
    return 0;
}
