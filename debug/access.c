/* SPDX-License-Identifier: Apache-2.0 */
/* Registers and memory of the selected thread. */
#include "server.h"

#include "../isolation/cell.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <kernel/image.h>

#define REGISTER_COUNT 76u
#define ORIGINAL_RAX 75u
#define PIECE_BYTES 1024u

static PERCORE struct debug_registers cached;

static void fail(struct debug_reply *reply)
{
    debug_reply_text(reply, "E0e");
}

static void finish(struct debug_reply *reply, bool is_done)
{
    debug_reply_text(reply, is_done ? "OK" : "E0e");
}

uint32_t debug_register_place(uint64_t number, uint32_t *offset)
{
    static const struct {
        uint8_t count, bytes;
    } groups[] = {{17, 8}, {7, 4}, {8, 10}, {8, 4}, {16, 16}, {1, 4}, {2, 8}, {16, 16}};
    *offset = 0;
    for (size_t i = 0; i < ARRAY_COUNT(groups); i++) {
        if (number < groups[i].count) {
            *offset += (uint32_t)number * groups[i].bytes;
            return groups[i].bytes;
        }
        number -= groups[i].count;
        *offset += (uint32_t)groups[i].count * groups[i].bytes;
    }
    return 0;
}

static int64_t load(void)
{
    const struct debug_listed *selected = debug_selected();
    const uint8_t *answer;
    if (selected == NULL) {
        return RESULT_NO_THREAD;
    }
    struct debug_question question = {.kind = DEBUG_QUESTION_REGISTERS,
                                      .core = selected->thread.core,
                                      .address = selected->thread.handle};
    int64_t result = debug_ask(&question, NULL, &answer);
    if (result == RESULT_OK) {
        memcpy(&cached, answer, sizeof(cached));
    }
    return result;
}

static bool store(void)
{
    const struct debug_listed *selected = debug_selected();
    const uint8_t *answer;
    struct debug_question question = {.kind = DEBUG_QUESTION_REGISTERS_SET,
                                      .core = selected->thread.core,
                                      .bytes = sizeof(cached),
                                      .address = selected->thread.handle};
    return debug_ask(&question, &cached, &answer) == RESULT_OK;
}

/* Registers that nobody but a core has that does not answer. @impl ATL-LLR-DEBUG-1271~1 */
static void put_unavailable(struct debug_reply *reply, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        debug_reply_text(reply, "xx");
    }
}

/* The number of the interrupted Linux call, which is never repeated: as Linux says it, -1. */
static void put_original_rax(struct debug_reply *reply)
{
    const uint64_t none = UINT64_MAX;
    debug_reply_hex(reply, &none, sizeof(none));
}

void debug_registers_put_all(struct debug_reply *reply, const struct debug_registers *registers)
{
    debug_reply_hex(reply, registers, sizeof(*registers));
    put_original_rax(reply);
}

/* @impl ATL-LLR-DEBUG-0020~1 */
void debug_registers_get(struct debug_reply *reply)
{
    int64_t result = load();
    if (result == RESULT_OK) {
        debug_registers_put_all(reply, &cached);
    } else if (result == RESULT_TIMED_OUT) {
        put_unavailable(reply, sizeof(cached) + sizeof(uint64_t));
    } else {
        fail(reply);
    }
}

void debug_registers_put(struct debug_text *text, struct debug_reply *reply)
{
    struct debug_registers registers;
    bool is_whole = load() == RESULT_OK &&
                    debug_text_hex(text, &registers, sizeof(registers)) == sizeof(registers);
    if (is_whole) {
        cached = registers;
    }
    finish(reply, is_whole && store());
}

void debug_register_get(struct debug_text *text, struct debug_reply *reply)
{
    uint64_t number = 0;
    uint32_t offset, bytes = 0;
    if (debug_text_number(text, &number)) {
        bytes = debug_register_place(number, &offset);
    }
    int64_t result = bytes != 0 ? load() : RESULT_INVALID;
    if (number == ORIGINAL_RAX) {
        put_original_rax(reply);
    } else if (result == RESULT_TIMED_OUT) {
        put_unavailable(reply, bytes);
    } else if (result != RESULT_OK) {
        fail(reply);
    } else {
        debug_reply_hex(reply, (const uint8_t *)&cached + offset, bytes);
    }
}

void debug_register_put(struct debug_text *text, struct debug_reply *reply)
{
    uint64_t number;
    uint32_t offset;
    if (!debug_text_number(text, &number) || !debug_text_word(text, "=")) {
        fail(reply);
        return;
    }
    if (number == ORIGINAL_RAX) {
        finish(reply, true);
        return;
    }
    uint32_t bytes = debug_register_place(number, &offset);
    uint8_t value[16];
    bool is_whole =
        bytes != 0 && load() == RESULT_OK && debug_text_hex(text, value, bytes) == bytes;
    if (is_whole) {
        memcpy((uint8_t *)&cached + offset, value, bytes);
    }
    finish(reply, is_whole && store());
}

/* ---- memory */

static uint32_t selected_core(void)
{
    const struct debug_listed *selected = debug_selected();
    return selected != NULL ? selected->thread.core : 0;
}

/* address,bytes */
static bool parse_range(struct debug_text *text, uint64_t *address, uint64_t *bytes)
{
    return debug_text_number(text, address) && debug_text_word(text, ",") &&
           debug_text_number(text, bytes);
}

/* @impl ATL-LLR-DEBUG-0020~1 */
void debug_memory_get(struct debug_text *text, struct debug_reply *reply, bool is_binary)
{
    static PERCORE uint8_t piece[PIECE_BYTES];
    uint64_t address, bytes;
    if (!parse_range(text, &address, &bytes)) {
        fail(reply);
        return;
    }
    bytes = MIN(bytes, DEBUG_PACKET_BYTES_MAX / 2 - 8);
    if (is_binary) {
        debug_reply_text(reply, "b");
    }
    for (uint64_t done = 0; done < bytes;) {
        uint32_t wanted = (uint32_t)MIN(bytes - done, PIECE_BYTES);
        uint32_t got = debug_reach_read(selected_core(), address + done, piece, wanted);
        if (is_binary) {
            (void)debug_reply_binary(reply, piece, got);
        } else {
            debug_reply_hex(reply, piece, got);
        }
        done += got;
        if (got < wanted) {
            if (done == 0) {
                debug_reply_clear(reply);
                fail(reply);
            }
            return;
        }
    }
}

void debug_memory_put(struct debug_text *text, struct debug_reply *reply, bool is_binary)
{
    static PERCORE uint8_t piece[PIECE_BYTES];
    uint64_t address, bytes;
    bool is_good = parse_range(text, &address, &bytes) && debug_text_word(text, ":");
    for (uint64_t done = 0; is_good && done < bytes;) {
        uint32_t wanted = (uint32_t)MIN(bytes - done, PIECE_BYTES), there = 0;
        if (is_binary) {
            there = MIN(wanted, text->left);
            memcpy(piece, text->at, there);
            text->at += there;
            text->left -= there;
        } else {
            there = (uint32_t)debug_text_hex(text, piece, wanted);
        }
        is_good = there == wanted &&
                  debug_reach_write(selected_core(), address + done, piece, wanted) == wanted;
        done += wanted;
    }
    finish(reply, is_good);
}

/* ---- thread-local variables: System V ABI, variant II: below the thread pointer */

#define ELF_SEGMENTS_OFFSET 32u
#define ELF_SEGMENT_COUNT 56u
#define SEGMENT_BYTES 56u
#define SEGMENT_TLS 7u

/* Memory size and alignment of the program's PT_TLS. */
static bool find_tls(uint64_t *bytes, uint64_t *alignment)
{
    const char *path = (const char *)boot_image() + boot_image()->program_path_offset;
    uint32_t length = 0;
    while (path[length] != '\0') {
        length++;
    }
    const struct image_file *file = debug_file_find((const uint8_t *)path, length);
    if (file == NULL || file->bytes < PAGE_BYTES) {
        return false;
    }
    const uint8_t *elf = debug_file_content(file);
    uint64_t at;
    uint16_t count;
    memcpy(&at, elf + ELF_SEGMENTS_OFFSET, sizeof(at));
    memcpy(&count, elf + ELF_SEGMENT_COUNT, sizeof(count));
    for (uint32_t i = 0; i < count && at + SEGMENT_BYTES <= PAGE_BYTES; i++, at += SEGMENT_BYTES) {
        uint32_t kind;
        memcpy(&kind, elf + at, sizeof(kind));
        if (kind == SEGMENT_TLS) {
            memcpy(bytes, elf + at + 40, sizeof(*bytes));
            memcpy(alignment, elf + at + 48, sizeof(*alignment));
            return *alignment == 0 || (*alignment & (*alignment - 1)) == 0;
        }
    }
    return false;
}

/* thread,offset,link map: the program is static and has one module. */
void debug_tls_get(struct debug_text *text, struct debug_reply *reply)
{
    uint64_t id, offset, bytes, alignment;
    const struct debug_listed *thread = NULL;
    if (debug_text_number(text, &id) && debug_text_word(text, ",") &&
        debug_text_number(text, &offset)) {
        thread = debug_list_find(id);
    }
    if (thread == NULL || !find_tls(&bytes, &alignment)) {
        fail(reply);
        return;
    }
    struct debug_question question = {.kind = DEBUG_QUESTION_REGISTERS,
                                      .core = thread->thread.core,
                                      .address = thread->thread.handle};
    const uint8_t *answer;
    if (debug_ask(&question, NULL, &answer) != RESULT_OK) {
        fail(reply);
        return;
    }
    uint64_t base = ((const struct debug_registers *)(const void *)answer)->fs_base;
    debug_reply_number(reply, base - ALIGN_UP(bytes, MAX(alignment, 1ull)) + offset);
}
