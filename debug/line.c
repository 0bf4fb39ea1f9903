/* SPDX-License-Identifier: Apache-2.0 */
#include "line.h"

#include <cpu/instructions.h>
#include <cpu/time.h>

#define SEND_NS_MAX 10000000000ull

static PERCORE const struct debug_carrier *carrier;
static PERCORE const uint8_t *queued;
static PERCORE uint32_t queued_count;
static PERCORE bool is_dead; /* it has taken nothing for too long */

/* @impl ATL-LLR-DEBUG-0004~1 ATL-LLR-DEBUG-1123~1 */
const char *debug_line_initialize(void)
{
    carrier = debug_port_initialize();
    if (carrier == NULL) {
        carrier = debug_uart_initialize();
    }
    return carrier != NULL ? carrier->name : NULL;
}

bool debug_line_receive(uint8_t *byte)
{
    return carrier != NULL && carrier->receive(byte);
}

void debug_line_send(const uint8_t *bytes, uint32_t count)
{
    uint64_t deadline = cpu_now_ns() + (is_dead ? 0 : SEND_NS_MAX);
    while (carrier != NULL && count > 0) {
        uint32_t sent = carrier->send(bytes, count);
        bytes += sent;
        count -= sent;
        if (sent > 0) {
            is_dead = false;
            deadline = cpu_now_ns() + SEND_NS_MAX;
        } else if (cpu_now_ns() > deadline) {
            is_dead = true;
            return;
        }
        cpu_pause();
    }
}

static void send_piece(void)
{
    if (queued_count > 0 && carrier != NULL) {
        uint32_t sent = carrier->send(queued, queued_count);
        queued += sent;
        queued_count -= sent;
        if (queued_count == 0) {
            carrier->arm(false);
        }
    }
}

/* @impl ATL-LLR-DEBUG-0752~1 */
void debug_line_service(void)
{
    debug_uart_acknowledge();
    debug_port_acknowledge();
    send_piece();
}

void debug_line_queue(const uint8_t *bytes, uint32_t count)
{
    ASSERT(queued_count == 0);
    queued = bytes;
    queued_count = carrier != NULL ? count : 0;
    debug_line_settle();
    send_piece();
}

/* @impl ATL-LLR-DEBUG-0847~1 */
void debug_line_settle(void)
{
    if (carrier != NULL) {
        carrier->arm(queued_count != 0);
    }
}

bool debug_line_is_sending(void)
{
    return queued_count != 0;
}

void debug_line_flush(void)
{
    if (queued_count != 0) {
        carrier->arm(false);
        debug_line_send(queued, queued_count);
        queued_count = 0;
    }
}
