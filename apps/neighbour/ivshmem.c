/* SPDX-License-Identifier: Apache-2.0 */
/* See ivshmem.h; the server's messages are 64-bit numbers, some with a descriptor: QEMU's
 * docs/specs/ivshmem-spec. */
#define _GNU_SOURCE
#include "ivshmem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOL_VERSION 0
#define MEMORY (-1)

/* One message; its descriptor, or -1. 1, 0: none yet, or the server is gone. */
static int take(int server, int flags, int64_t *value, int *descriptor)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec piece = {value, sizeof(*value)};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    *descriptor = -1;
    if (recvmsg(server, &message, flags | MSG_CMSG_CLOEXEC) != sizeof(*value)) {
        return 0;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(descriptor, CMSG_DATA(header), sizeof(*descriptor));
    }
    return 1;
}

/* A machine has come, with its bell, or gone. */
static void note(struct ivshmem *machine, int64_t number, int bell)
{
    if (number < 0 || number >= (int64_t)IVSHMEM_MACHINES_MAX) {
        if (bell >= 0) {
            close(bell);
        }
        return;
    }
    if (machine->bells[number] >= 0) {
        close(machine->bells[number]);
    }
    machine->bells[number] = bell;
}

static void take_news(struct ivshmem *machine)
{
    int64_t value;
    int descriptor;
    while (take(machine->server, MSG_DONTWAIT, &value, &descriptor)) {
        note(machine, value, descriptor);
    }
}

static int map(struct ivshmem *machine, int memory, uint64_t bytes)
{
    struct stat stat;
    if (memory < 0 || fstat(memory, &stat) != 0 || (uint64_t)stat.st_size < bytes) {
        errno = EPROTO;
        return -1;
    }
    machine->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    close(memory);
    return machine->memory != MAP_FAILED ? 0 : -1;
}

int ivshmem_connect(struct ivshmem *machine, const char *socket_path, uint64_t bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t version, number, memory;
    int descriptor;
    size_t length = strlen(socket_path) + 1;
    if (length > sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, socket_path, length);
    memset(machine->bells, 0xff, sizeof(machine->bells));
    machine->server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (machine->server < 0 ||
        connect(machine->server, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return -1;
    }
    if (!take(machine->server, 0, &version, &descriptor) || version != PROTOCOL_VERSION ||
        !take(machine->server, 0, &number, &descriptor) || number < 0 ||
        number >= (int64_t)IVSHMEM_MACHINES_MAX ||
        !take(machine->server, 0, &memory, &descriptor) || memory != MEMORY) {
        errno = EPROTO;
        return -1;
    }
    machine->number = (uint32_t)number;
    if (map(machine, descriptor, bytes) != 0) {
        return -1;
    }
    while (machine->bells[number] < 0) { /* the others' come first */
        int64_t other;
        if (!take(machine->server, 0, &other, &descriptor)) {
            errno = EPROTO;
            return -1;
        }
        note(machine, other, descriptor);
    }
    return 0;
}

void ivshmem_ring(struct ivshmem *machine, uint32_t number)
{
    const uint64_t one = 1;
    take_news(machine);
    if (number < IVSHMEM_MACHINES_MAX && machine->bells[number] >= 0) {
        (void)!write(machine->bells[number], &one, sizeof(one));
    }
}

bool ivshmem_wait(struct ivshmem *machine, int64_t nanoseconds)
{
    uint64_t count;
    struct pollfd bell = {.fd = machine->bells[machine->number], .events = POLLIN};
    struct timespec limit = {.tv_sec = nanoseconds / 1000000000,
                             .tv_nsec = nanoseconds % 1000000000};
    int ready;
    do {
        ready = ppoll(&bell, 1, nanoseconds < 0 ? NULL : &limit, NULL);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 && read(bell.fd, &count, sizeof(count)) == sizeof(count);
}
