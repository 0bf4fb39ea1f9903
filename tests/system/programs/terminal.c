/* SPDX-License-Identifier: Apache-2.0 */
/* What an interactive program does with its terminal; the word says which part. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t last_signal;

static void on_signal(int signal)
{
    last_signal = signal;
}

static void handle(int signal)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(signal, &action, NULL);
}

static void show(const char *what, const char *bytes, ssize_t count)
{
    printf("%s:", what);
    for (ssize_t i = 0; i < count; i++) {
        printf(" %02x", (unsigned char)bytes[i]);
    }
    printf("\n");
}

/* Lines until the end of the input. Signals come nowhere but in the wait for it, so that a key that
 * is typed early ends the wait all the same. */
static int lines(void)
{
    char line[64];
    sigset_t none, both;
    sigemptyset(&none);
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGQUIT);
    sigprocmask(SIG_BLOCK, &both, NULL);
    handle(SIGINT);
    handle(SIGQUIT);
    printf("tty %d%d%d\n", isatty(0), isatty(1), isatty(2));
    for (;;) {
        printf("> ");
        struct pollfd input = {.fd = 0, .events = POLLIN};
        if (ppoll(&input, 1, NULL, &none) < 0) {
            printf("%s, signal %d\n", strerror(errno), (int)last_signal);
            continue;
        }
        ssize_t count = read(0, line, sizeof(line));
        if (count <= 0) {
            break;
        }
        show("line", line, count);
    }
    fprintf(stderr, "end\n");
    return 3;
}

/* Keys one by one until q; then with a time that ends a read. */
static int keys(void)
{
    struct termios before;
    struct termios raw;
    char byte = 0;
    tcgetattr(0, &before);
    raw = before;
    cfmakeraw(&raw);
    tcsetattr(0, TCSAFLUSH, &raw);
    printf("raw\r\n");
    while (read(0, &byte, 1) == 1 && byte != 'q') {
        printf("key %02x\r\n", (unsigned char)byte);
    }
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 1;
    tcsetattr(0, TCSANOW, &raw);
    printf("time %d\r\n", (int)read(0, &byte, 1));
    char three[8];
    raw.c_cc[VMIN] = 3;
    raw.c_cc[VTIME] = 0;
    tcsetattr(0, TCSANOW, &raw);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    printf("three\r\n");
    printf("ready %d\r\n", poll(&input, 1, -1));
    printf("got %d\r\n", (int)read(0, three, sizeof(three)));
    tcsetattr(0, TCSANOW, &before);
    return 0;
}

/* The size of the window, each time that it has changed. */
static int window(void)
{
    struct winsize size;
    sigset_t changes;
    int signal;
    sigemptyset(&changes);
    sigaddset(&changes, SIGWINCH);
    handle(SIGWINCH);
    sigprocmask(SIG_BLOCK, &changes, NULL);
    for (int i = 0; i < 2; i++) {
        ioctl(1, TIOCGWINSZ, &size);
        printf("%d rows, %d columns\n", size.ws_row, size.ws_col);
        if (i == 0) {
            sigwait(&changes, &signal);
        }
    }
    return 0;
}

/* A password: echo off, by the controlling terminal, whatever the streams are. */
static int password(void)
{
    struct termios settings;
    char line[64];
    int tty = open("/dev/tty", O_RDWR);
    printf("group %d\n", tcgetpgrp(tty) == getpgrp());
    tcgetattr(tty, &settings);
    settings.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(tty, TCSAFLUSH, &settings);
    dprintf(tty, "Password: ");
    ssize_t count = read(tty, line, sizeof(line));
    settings.c_lflag |= ECHO;
    tcsetattr(tty, TCSADRAIN, &settings);
    dprintf(tty, "\n");
    show("secret", line, count);
    return 0;
}

/* Never reads; the keyboard ends it. */
static int forever(void)
{
    printf("busy\n");
    for (;;) {
        __asm__ volatile("");
    }
}

int main(int argument_count, char **arguments)
{
    static const struct {
        const char *word;
        int (*run)(void);
    } parts[] = {{"lines", lines},
                 {"keys", keys},
                 {"window", window},
                 {"password", password},
                 {"forever", forever}};
    setvbuf(stdout, NULL, _IONBF, 0);
    for (size_t i = 0; argument_count > 1 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strcmp(arguments[1], parts[i].word) == 0) {
            return parts[i].run();
        }
    }
    return 99;
}
