/* SPDX-License-Identifier: Apache-2.0 */
/* /init of the Linux guest that serves the network: loads the modules that its arguments name up to
 * `become`, switches on a network device for each of the addresses, with commas between them, that
 * follow (0.0.0.0: without one), and becomes the program behind them. */
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
#include <sys/sysmacros.h>
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
    if (strcmp(address, "0.0.0.0") != 0) {
        set_address(control, &request, SIOCSIFADDR, address);
        set_address(control, &request, SIOCSIFNETMASK, mask);
    }
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) != 0) {
        stop(name);
    }
    close(control);
}

static void set_up_all(char *addresses)
{
    char name[] = "eth0", *next;
    for (char *address = strtok_r(addresses, ",", &next); address != NULL;
         address = strtok_r(NULL, ",", &next)) {
        set_up(name, address, "255.255.255.0");
        name[3]++;
    }
}

int main(int argc, char **argv)
{
    int at = 1;
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    while (at < argc && strcmp(argv[at], "become") != 0) {
        load(argv[at++]);
    }
    if (at + 2 >= argc) {
        fprintf(stderr, "init: no program\n");
        return 1;
    }
    if (symlink("/proc/self/fd/1", "/dev/stdout") != 0 ||
        mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) != 0 ||
        mknod("/dev/urandom", S_IFCHR | 0666, makedev(1, 9)) != 0) {
        stop("/dev");
    }
    set_up("lo", "127.0.0.1", "255.0.0.0");
    set_up_all(argv[at + 1]);
    execv(argv[at + 2], argv + at + 2);
    stop(argv[at + 2]);
}
