/* SPDX-License-Identifier: Apache-2.0 */
/* Only in the build with hooks: keeps the command line, of which the kernel itself takes nothing.
 * The linker leads the call of kernel/boot/collect.c here (--wrap). */
#include "../../../kernel/boot/bytes.h"
#include "../../../kernel/boot/handover.h"

#define PVH_COMMAND_LINE 24u /* its physical address, in the start information */

typeof(handover_parse_pvh) __real_handover_parse_pvh, __wrap_handover_parse_pvh;

extern char shared_command_line[256];
SHARED char shared_command_line[256];

enum result __wrap_handover_parse_pvh(const uint8_t *bytes, struct handover *handover)
{
    const char *text = (const char *)bytes_u64(bytes + PVH_COMMAND_LINE);
    for (size_t i = 0; i < sizeof(shared_command_line) - 1 && text[i] != 0; i++) {
        shared_command_line[i] = text[i];
    }
    return __real_handover_parse_pvh(bytes, handover);
}
