/* SPDX-License-Identifier: Apache-2.0 */
/* /init of the Linux guest that serves the network: loads the modules that its arguments name up to
 * `become`, gives the first network device its address in QEMU's user network, and becomes the
 * program behind it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TRIES 1000 /* of 10 ms: a device appears some time after its driver */

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void load(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST)) {
        stop(path);
    }
    close(file);
}

static void set_address(int socket, struct ifreq *request, unsigned long what, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &address.sin_addr);
    memcpy(&request->ifr_addr, &address, sizeof(address));
    if (ioctl(socket, what, request) != 0) {
        stop(text);
    }
}

static void set_up(const char *name, const char *address, const char *mask)
{
    struct ifreq request = {0};
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    for (int i = 0; i < TRIES && ioctl(control, SIOCGIFFLAGS, &request) != 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    set_address(control, &request, SIOCSIFADDR, address);
    set_address(control, &request, SIOCSIFNETMASK, mask);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) {
        stop(name);
    }
    close(control);
}

int main(int argc, char **argv)
{
    int at = 1;
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    while (at < argc && strcmp(argv[at], "become") != 0) {
        load(argv[at++]);
    }
    if (at + 1 >= argc) {
        fprintf(stderr, "init: no program\n");
        return 1;
    }
    set_up("lo", "127.0.0.1", "255.0.0.0");
    set_up("eth0", "10.0.2.15", "255.255.255.0");
    execv(argv[at + 1], argv + at + 1);
    stop(argv[at + 1]);
}
