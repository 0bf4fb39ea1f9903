/* SPDX-License-Identifier: Apache-2.0 */
/* What a core file needs beside what GDB asks for (tools/atoll/snapshot.py): where the program has
 * memory, and a thread's registers where it left for a kernel that was interrupted. Core 0,
 * stopped.
 *
 *     qAtollMap:ADDRESS     runs of pages alike, from the address on, each
 *                           start,bytes,kind,rights,physical; and of the image's pages also
 *                           start,bytes,kind,rights,physical,place in the file,path in digits;
 *                           then +ADDRESS if there may be more from there on
 *     qAtollFrame:THREAD    as packet g */
#include "internal.h"

#include "../isolation/cell.h"
#include "../isolation/physical.h"
#include "../isolation/table.h"
#include "server.h"

#include <cpu/string.h>
#include <gate/gate.h>

#define TABLES_MAX 512u /* looked at for one packet */
#define REPLY_ROOM (DEBUG_PACKET_BYTES_MAX / 2)

enum run_kind {
    RUN_NOTHING,
    RUN_UNTOUCHED, /* reads as zeros */
    RUN_OWN,       /* has frames */
    RUN_IMAGE,     /* as the file in the image */
};

struct run {
    uint64_t start, bytes, physical;
    enum run_kind kind;
    uint32_t rights;
};

static struct run run_of(uint64_t entry, uint64_t start, uint64_t bytes)
{
    struct run run = {.start = start, .bytes = bytes, .rights = entry_rights(entry)};
    if (entry_has_frame(entry)) {
        run.physical = entry_address(entry).value & ~(bytes - 1);
        run.kind = entry_frame(entry) == ENTRY_FRAME_IMAGE ? RUN_IMAGE : RUN_OWN;
    } else if (entry_lazy(entry) == ENTRY_LAZY_ZERO && run.rights != 0) {
        run.kind = RUN_UNTOUCHED;
    }
    return run;
}

static bool can_join(const struct run *run, const struct run *next)
{
    bool has_frames = run->kind == RUN_OWN || run->kind == RUN_IMAGE;
    return run->kind == next->kind && run->rights == next->rights &&
           run->start + run->bytes == next->start &&
           (!has_frames || run->physical + run->bytes == next->physical);
}

static const struct image_file *file_of(uint64_t physical)
{
    const struct image_header *image = boot_image();
    uint64_t offset = physical - shared_facts.image_physical;
    const struct image_file *files =
        (const struct image_file *)((const uint8_t *)image + image->file_offset);
    for (uint32_t i = 0; i < image->file_count; i++) {
        if (offset >= files[i].offset && offset - files[i].offset < files[i].bytes) {
            return &files[i];
        }
    }
    return NULL;
}

static void put_fields(struct debug_reply *reply, const struct run *run)
{
    const uint64_t fields[] = {run->start, run->bytes, run->kind, run->rights, run->physical};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        debug_reply_text(reply, i > 0 ? "," : "");
        debug_reply_number(reply, fields[i]);
    }
}

static bool has_room(const struct debug_reply *reply)
{
    return reply->bytes < REPLY_ROOM;
}

/* Pages of several files may lie behind each other. A path is at most half a reply. False: no room
 * any more; the run is what is left. */
static bool put_run(struct debug_reply *reply, struct run *run)
{
    while (run->bytes > 0 && has_room(reply)) {
        struct run piece = *run;
        const struct image_file *file = run->kind == RUN_IMAGE ? file_of(run->physical) : NULL;
        uint64_t place = 0;
        if (file != NULL) {
            place = run->physical - shared_facts.image_physical - file->offset;
            piece.bytes = MIN(run->bytes, ALIGN_UP(file->bytes, PAGE_BYTES) - place);
        }
        put_fields(reply, &piece);
        if (file != NULL) {
            const char *path = (const char *)boot_image() + file->path_offset;
            uint32_t bytes = 0;
            while (path[bytes] != '\0' && bytes < REPLY_ROOM / 4) {
                bytes++;
            }
            debug_reply_text(reply, ",");
            debug_reply_number(reply, place);
            debug_reply_text(reply, ",");
            debug_reply_hex(reply, path, bytes);
        }
        debug_reply_text(reply, ";");
        run->start += piece.bytes;
        run->physical += piece.bytes;
        run->bytes -= piece.bytes;
    }
    return run->bytes == 0;
}

/* Joins what one table says from the address on. Where the next table's begins, or the first run
 * that there was no room for. */
static uint64_t map_table(struct debug_reply *reply, struct run *last, uint64_t address)
{
    static PERCORE uint64_t table[TABLE_ENTRIES];
    uint64_t bytes = debug_memory_table(gate_cell.root.value, address, table);
    uint64_t end = ALIGN_DOWN(address, bytes * TABLE_ENTRIES) + bytes * TABLE_ENTRIES;
    for (address = ALIGN_DOWN(address, bytes); address < end; address += bytes) {
        struct run next = run_of(table[address / bytes % TABLE_ENTRIES], address, bytes);
        if (entry_is_table(table[address / bytes % TABLE_ENTRIES]) && bytes > PAGE_BYTES) {
            return address;
        }
        if (can_join(last, &next)) {
            last->bytes += bytes;
        } else if (last->kind == RUN_NOTHING || put_run(reply, last)) {
            *last = next;
        } else {
            return last->start;
        }
    }
    return end;
}

/* @impl ATL-LLR-DEBUG-0701~1 */
void debug_core_map(struct debug_text *text, struct debug_reply *reply)
{
    uint64_t address, end = gate_cell.shared_slot_count * GATE_SLOT_BYTES;
    struct run last = {.kind = RUN_NOTHING};
    if (!debug_text_number(text, &address)) {
        debug_reply_text(reply, "E00");
        return;
    }
    for (uint32_t i = 0; i < TABLES_MAX && address < end && has_room(reply); i++) {
        address = map_table(reply, &last, address);
    }
    if (last.kind != RUN_NOTHING && last.start < address && !put_run(reply, &last)) {
        address = last.start;
    }
    if (address < end) {
        debug_reply_text(reply, "+");
        debug_reply_number(reply, address);
    }
}

/* @impl ATL-LLR-DEBUG-0701~1 */
void debug_core_frame(struct debug_text *text, struct debug_reply *reply)
{
    uint64_t id = 0;
    const uint8_t *answer;
    const struct debug_listed *thread = NULL;
    if (debug_text_number(text, &id)) {
        thread = debug_list_find(id);
    }
    struct debug_question question = {.kind = DEBUG_QUESTION_FRAME};
    if (thread != NULL) {
        question.core = thread->thread.core;
        question.address = thread->thread.handle;
    }
    if (thread == NULL || debug_ask(&question, NULL, &answer) != RESULT_OK) {
        debug_reply_text(reply, "E0e");
        return;
    }
    debug_registers_put_all(reply, (const struct debug_registers *)(const void *)answer);
}
