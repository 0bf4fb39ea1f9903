/* SPDX-License-Identifier: Apache-2.0 */
/* Extended mode (GDB manual, "Remote Protocol", packets ! and vRun): the debugger outlives the
 * program. When that has ended, or was killed, the machine stands still until it is left, or told
 * to run the program again: then it resets itself, and what the boot after it has to know waits in
 * a note beside the crash records, where a warm reset does not reach. Core 0. */
#include "line.h"
#include "record.h"
#include "server.h"

#include "../isolation/cell.h"

#include <cpu/instructions.h>
#include <cpu/string.h>
#include <driver/console.h>
#include <kernel/image.h>

#define NOTE_MAGIC 0x314e555254534c41ull /* "ALSTRUN1" */
#define PATH_BYTES_MAX 256u

struct note {
    uint64_t magic;
    struct debug_agreement agreement;
    uint32_t reserved, crc; /* of everything before */
};

static PERCORE bool is_extended;
static PERCORE enum debug_end end;
static PERCORE uint8_t end_code; /* of the program: its status or GDB's number of its signal */

void debug_extended_set(bool is_on)
{
    is_extended = is_on;
}

bool debug_extended_keep(enum debug_end how, uint8_t code)
{
    bool is_kept = is_extended && !debug_server()->is_nonstop;
    if (is_kept) {
        end = how;
        end_code = code;
    }
    return is_kept;
}

enum debug_end debug_extended_ended(void)
{
    return end;
}

void debug_end_put(struct debug_reply *reply, enum debug_end how, uint8_t code)
{
    debug_reply_text(reply, how == DEBUG_END_STATUS ? "W" : "X");
    debug_reply_hex(reply, &code, 1);
}

void debug_extended_put(struct debug_reply *reply)
{
    debug_end_put(reply, end, end_code);
}

static noreturn void reset(void)
{
    console_panic_begin();
    debug_line_flush();
    cpu_cli();
    /* Without handlers any fault becomes a triple fault, which resets the machine. */
    cpu_lidt(&(struct cpu_descriptor_table){0});
    for (;;) {
        __builtin_trap();
    }
}

/* The name of the image's program, or none; no arguments: they are the image's. */
static bool is_own_program(struct debug_text *text)
{
    const char *own = (const char *)boot_image() + boot_image()->program_path_offset;
    char path[PATH_BYTES_MAX] = "";
    (void)debug_text_hex(text, path, sizeof(path) - 1);
    size_t i = 0;
    while (path[i] != '\0' && path[i] == own[i]) {
        i++;
    }
    return text->left == 0 && (path[0] == '\0' || path[i] == own[i]);
}

/* @impl ATL-LLR-DEBUG-1272~1 */
bool debug_extended_run(struct debug_text *text, const struct debug_agreement *agreement)
{
    if (end == DEBUG_END_NONE || !debug_text_word(text, ";") || !is_own_program(text)) {
        return false;
    }
    struct note note = {.magic = NOTE_MAGIC, .agreement = *agreement};
    note.crc = debug_record_checksum(&note, offsetof(struct note, crc));
    debug_memory_physical(DEBUG_RESTART_PHYSICAL, &note, sizeof(note), true);
    reset();
}

/* @impl ATL-LLR-DEBUG-1272~1 */
bool debug_extended_resume(struct debug_agreement *agreement)
{
    struct note note;
    const uint64_t nothing = 0;
    debug_memory_physical(DEBUG_RESTART_PHYSICAL, &note, sizeof(note), false);
    debug_memory_physical(DEBUG_RESTART_PHYSICAL, (void *)&nothing, sizeof(nothing), true);
    if (note.magic != NOTE_MAGIC ||
        note.crc != debug_record_checksum(&note, offsetof(struct note, crc))) {
        return false;
    }
    *agreement = note.agreement;
    is_extended = true;
    return true;
}
