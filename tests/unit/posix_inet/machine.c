/* SPDX-License-Identifier: Apache-2.0 */
/* The information page: constant for posix/, written here. */
#include "machine.h"

struct gate_info posix_info = {.core_count = CORES};

void machine_has_queues(uint32_t queues)
{
    posix_info.port_queues = queues;
}
