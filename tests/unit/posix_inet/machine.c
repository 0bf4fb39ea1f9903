/* SPDX-License-Identifier: Apache-2.0 */
/* The information page: constant for posix/, written here. */
#include "machine.h"

struct gate_info posix_info = {.core_count = CORES};

void machine_has_queues(uint32_t queues)
{
    posix_info.networks[0].queues = queues;
}

void machine_has_port(void *memory, uint64_t bytes, uint32_t features)
{
    posix_info.port_address = (uintptr_t)memory;
    posix_info.port_bytes = bytes;
    posix_info.networks[0].features = features;
}
