/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of the tests of posix/inet. */
#ifndef POSIX_INET_MACHINE_H
#define POSIX_INET_MACHINE_H

#include <isolation/gate_abi.h>

#define CORES 3u

void machine_has_queues(uint32_t queues);
/* @features  GATE_PORT_* */
void machine_has_port(void *memory, uint64_t bytes, uint32_t features);

#endif
