/* SPDX-License-Identifier: Apache-2.0 */
/* A program of the host as a machine at the server of QEMU's ivshmem-doorbell (./atoll neighbour):
 * the shared memory, and the doorbells of all who are there. For Linux. */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_MACHINES_MAX 65536u

struct ivshmem {
    int server;
    uint32_t number;
    int bells[IVSHMEM_MACHINES_MAX]; /* by number; -1: nobody */
    void *memory;
};

/* Connects to the server's socket and maps at least so many bytes. 0, or -1 with errno. */
int ivshmem_connect(struct ivshmem *machine, const char *socket_path, uint64_t bytes);
/* Rings a machine; of one that is not there nothing. */
void ivshmem_ring(struct ivshmem *machine, uint32_t number);
/* Waits for a ring since the last one, at most so long (below 0: for ever). Whether there was one.
 */
bool ivshmem_wait(struct ivshmem *machine, int64_t nanoseconds);

#endif
