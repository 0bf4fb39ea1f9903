/* SPDX-License-Identifier: Apache-2.0 */
/* One side of a channel to a neighbour, as a program of the host that maps the shared file: what an
 * RTOS would do, and what a hostile machine could.
 * `usage` has its commands.
 *
 * Ends with status 0 when all went as the peer should, else 1. */
#include "ivshmem.h"
#include "neighbour.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS 50000 /* between two looks, where there is no doorbell */
#define DOORBELL "unix:"
#define LIE_MESSAGES 3u
#define WORD_GENERATION 2u
#define WORD_LEFT 4u
#define WORD_BELL 6u
#define WORD_HEAD 16u
#define WORD_TAIL 32u

static const char usage[] =
    "usage: host FILE|unix:SOCKET 0|1 COMMAND NUMBER\n"
    "  FILE: the memory; SOCKET: of the server that has it, and doorbells (./atoll neighbour)\n"
    "  echo COUNT  sends back COUNT messages, then leaves; 0: until the peer leaves\n"
    "  ping COUNT  sends COUNT messages, expects each back, then leaves\n"
    "  die COUNT   as ping, but ends without leaving\n"
    "  lie SEED    pings a little, then writes at random into its own area until the peer's life\n"
    "              has ended; with an even SEED into its indices alone\n"
    "  storm COUNT pings a little, rings COUNT times for nothing, pings a little again, then "
    "leaves\n"
    "  stop 0      sends the message \"stop\", expects it back, then leaves\n";

static struct neighbour side;
static struct ivshmem machine;
static bool has_bell;
static bool is_rung;
static uint8_t message[NEIGHBOUR_MESSAGE_BYTES_MAX];

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
}

/* What was written is rung, if the peer waits for it. */
static void ring(void)
{
    uint32_t number;
    if (neighbour_ring(&side, &number)) {
        ivshmem_ring(&machine, number);
    }
}

/* A device learns of this machine later than the peer may see its life: what it rings until then
 * nobody hears. So a sleep without end is for who has been rung once. */
static void wait_for(uint32_t missing)
{
    bool is_asked = neighbour_ask(&side, missing);
    ring();
    if (has_bell) {
        is_rung |= ivshmem_wait(&machine, is_asked && is_rung ? -1 : LOOK_NS);
    } else {
        wait_a_little();
    }
}

static enum neighbour_status receive(uint32_t *bytes)
{
    enum neighbour_status status;
    while ((status = neighbour_receive(&side, message, sizeof(message), bytes)) ==
           NEIGHBOUR_AGAIN) {
        wait_for(NEIGHBOUR_READABLE);
    }
    ring();
    return status;
}

static enum neighbour_status send(const void *from, uint32_t bytes)
{
    enum neighbour_status status;
    while ((status = neighbour_send(&side, from, bytes)) == NEIGHBOUR_AGAIN) {
        wait_for(NEIGHBOUR_WRITABLE);
    }
    ring();
    return status;
}

static int fail(const char *what, enum neighbour_status status)
{
    static const char *const texts[] = {"ok",
                                        "later",
                                        "the peer has left",
                                        "the peer has restarted",
                                        "the peer broke a rule",
                                        "wrong argument"};
    fprintf(stderr, "%s: %s\n", what, texts[status]);
    return 1;
}

static int echo(unsigned long count)
{
    uint32_t bytes;
    for (unsigned long i = 0; count == 0 || i < count; i++) {
        enum neighbour_status status = receive(&bytes);
        if (status == NEIGHBOUR_CLOSED && count == 0) {
            return 0;
        }
        status = status == NEIGHBOUR_OK ? send(message, bytes) : status;
        if (status != NEIGHBOUR_OK) {
            return fail("echo", status);
        }
    }
    return 0;
}

static int ping(unsigned long count)
{
    static uint8_t sent[NEIGHBOUR_MESSAGE_BYTES_MAX];
    for (unsigned long i = 0; i < count; i++) {
        uint32_t wanted = (uint32_t)(1 + i * 97 % NEIGHBOUR_MESSAGE_BYTES_MAX), bytes;
        for (uint32_t k = 0; k < wanted; k++) {
            sent[k] = (uint8_t)(i * 31 + k * 17);
        }
        enum neighbour_status status = send(sent, wanted);
        status = status == NEIGHBOUR_OK ? receive(&bytes) : status;
        if (status != NEIGHBOUR_OK) {
            return fail("ping", status);
        }
        if (bytes != wanted || memcmp(message, sent, bytes) != 0) {
            fprintf(stderr, "ping: message %lu came back changed\n", i);
            return 1;
        }
    }
    return 0;
}

static int stop(void)
{
    uint32_t bytes;
    enum neighbour_status status = send("stop", 4);
    status = status == NEIGHBOUR_OK ? receive(&bytes) : status;
    return status == NEIGHBOUR_OK ? 0 : fail("stop", status);
}

/* Rings that bring nothing. The peer's number is where its area says. */
static int storm(unsigned long count)
{
    if (ping(LIE_MESSAGES) != 0) {
        return 1;
    }
    uint32_t number = side.peer[WORD_BELL];
    for (unsigned long i = 0; i < count; i++) {
        ivshmem_ring(&machine, number);
    }
    return ping(LIE_MESSAGES);
}

/* Writes wherever this side may. Which words and values follows from the seed. */
static int lie(unsigned long seed)
{
    static const uint32_t words[] = {WORD_HEAD, WORD_TAIL, 0, 1, 2, 3, 4, 4096, 4097, 4098, 4099};
    const bool is_of_indices = seed % 2 == 0;
    const uint32_t area_words = NEIGHBOUR_BYTES / 2 / 4;
    unsigned short state[3] = {0x330e, (unsigned short)seed, (unsigned short)(seed >> 16)};
    if (ping(LIE_MESSAGES) != 0) {
        return 1;
    }
    uint32_t generation = side.met, number = side.peer[WORD_BELL];
    while (side.peer[WORD_GENERATION] == generation && side.peer[WORD_LEFT] != generation) {
        long choice = nrand48(state);
        uint32_t word = words[(uint32_t)nrand48(state) % (is_of_indices ? 2 : 11)];
        if (!is_of_indices && choice % 3 == 0) {
            word = (uint32_t)nrand48(state) % area_words;
        }
        side.own[word] = choice % 2 == 0 ? (uint32_t)jrand48(state)
                                         : side.own[word] + (uint32_t)choice % 512 - 256;
        if (choice % 64 == 0 && has_bell) {
            ivshmem_ring(&machine, number); /* who sleeps sees no lie */
        }
        if (choice % 64 == 0) {
            wait_a_little();
        }
    }
    return 0;
}

/* The next life may begin at once: the peer has received everything, or has ended its own. */
static void leave(void)
{
    neighbour_leave(&side);
    ring();
    while (side.is_linked && side.peer[WORD_GENERATION] == side.met &&
           side.peer[WORD_LEFT] != side.met) {
        wait_a_little();
    }
}

static void *map(const char *name)
{
    has_bell = strncmp(name, DOORBELL, strlen(DOORBELL)) == 0;
    if (has_bell) {
        name += strlen(DOORBELL);
        if (ivshmem_connect(&machine, name, NEIGHBOUR_BYTES) != 0) {
            fprintf(stderr, "%s: no server of doorbells: %s\n", name, strerror(errno));
            exit(1);
        }
        return machine.memory;
    }
    int file = open(name, O_RDWR);
    void *memory = file < 0
                       ? MAP_FAILED
                       : mmap(NULL, NEIGHBOUR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED || lseek(file, 0, SEEK_END) < (off_t)NEIGHBOUR_BYTES) {
        fprintf(stderr, "%s: cannot be mapped, or holds less than %u bytes\n", name,
                NEIGHBOUR_BYTES);
        exit(1);
    }
    return memory;
}

int main(int argc, char **argv)
{
    if (argc != 5 || (strcmp(argv[2], "0") != 0 && strcmp(argv[2], "1") != 0)) {
        fputs(usage, stderr);
        return 1;
    }
    unsigned long number = strtoul(argv[4], NULL, 10);
    (void)neighbour_join(&side, map(argv[1]), NEIGHBOUR_BYTES, argv[2][0] - '0');
    if (has_bell) {
        neighbour_bell(&side, machine.number);
    }
    ring();
    printf("joined\n");
    fflush(stdout);
    if (strcmp(argv[3], "lie") == 0) {
        return lie(number);
    }
    if (strcmp(argv[3], "die") == 0) {
        return ping(number);
    }
    int status = strcmp(argv[3], "ping") == 0    ? ping(number)
                 : strcmp(argv[3], "storm") == 0 ? storm(number)
                 : strcmp(argv[3], "stop") == 0  ? stop()
                                                 : echo(number);
    leave();
    return status;
}
