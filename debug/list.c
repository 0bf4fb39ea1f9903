/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of all cores as the debugger sees them, and memory by core. Ids are Linux's where
 * posix/ tells them: they stay when a thread moves. */
#include "server.h"

#include "../isolation/cell.h"
#include "../isolation/gate/internal.h"

#include <cpu/string.h>
#include <gate/gate.h>
#include <kernel/image.h>
#include <kernel/layout.h>

#define ID_MADE_UP 1000000u /* + core * 4096 + index: of a thread that posix/ does not name */
#define STACK_BYTES_MAX (1u << 20)
#define RECORD_BYTES_MAX 4096u

static PERCORE struct debug_listed listed[DEBUG_THREADS_MAX];
static PERCORE uint32_t listed_count;

/* ---- memory */

/* Alike on all cores: read here. The rest is a core's own: only it looks, as long as it answers. */
static bool is_common(uint64_t address)
{
    return address / GATE_SLOT_BYTES < gate_cell.shared_slot_count;
}

static uint32_t ask_piece(uint32_t core, uint64_t address, uint32_t bytes, uint8_t *to)
{
    struct debug_question question = {
        .kind = DEBUG_QUESTION_READ, .core = core, .bytes = bytes, .address = address};
    const uint8_t *answer;
    int64_t result = debug_ask(&question, NULL, &answer);
    uint32_t done = result > 0 ? MIN((uint32_t)result, bytes) : 0;
    memcpy(to, answer, done);
    return done;
}

/* @impl ATL-LLR-DEBUG-0015~1 */
uint32_t debug_reach_read(uint32_t core, uint64_t address, void *to, uint32_t bytes)
{
    if (is_common(address) || core == percpu_self.value) {
        return debug_memory_read(gate_cell.root.value, address, to, bytes);
    }
    uint32_t done = 0;
    while (done < bytes) {
        uint32_t piece = MIN(bytes - done, DEBUG_DATA_BYTES);
        uint32_t got = ask_piece(core, address + done, piece, (uint8_t *)to + done);
        done += got;
        if (got < piece) {
            break;
        }
    }
    return done;
}

/* A page that is not there yet, or that is the image's, gets a frame from its slot's owner. */
static uint32_t write_common(uint64_t address, const void *from, uint32_t bytes)
{
    uint32_t done = 0;
    bool is_filled = true;
    while (done < bytes && is_filled) {
        uint64_t at = address + done;
        uint32_t got = debug_memory_write(gate_cell.root.value, at, (const uint8_t *)from + done,
                                          bytes - done);
        done += got;
        if (done < bytes) {
            struct debug_question question = {.kind = DEBUG_QUESTION_FILL,
                                              .core = isolation_slot_owner(address + done).value,
                                              .address = address + done};
            const uint8_t *answer;
            is_filled = debug_ask(&question, NULL, &answer) == RESULT_OK;
        }
    }
    return done;
}

/* @impl ATL-LLR-DEBUG-0015~1 */
uint32_t debug_reach_write(uint32_t core, uint64_t address, const void *from, uint32_t bytes)
{
    if (is_common(address)) {
        return write_common(address, from, bytes);
    }
    uint32_t done = 0;
    while (done < bytes) {
        struct debug_question question = {.kind = DEBUG_QUESTION_WRITE,
                                          .core = core,
                                          .address = address + done,
                                          .bytes = MIN(bytes - done, DEBUG_DATA_BYTES)};
        const uint8_t *answer;
        int64_t got = debug_ask(&question, (const uint8_t *)from + done, &answer);
        done += got > 0 ? (uint32_t)got : 0;
        if (got < (int64_t)question.bytes) {
            break;
        }
    }
    return done;
}

/* ---- posix/'s table */

const struct debug_places *debug_places(void)
{
    const struct image_file *file =
        debug_file_find((const uint8_t *)DEBUG_PLACES_PATH, sizeof(DEBUG_PLACES_PATH) - 1);
    if (file == NULL || file->bytes != sizeof(struct debug_places)) {
        return NULL;
    }
    const struct debug_places *places = (const void *)debug_file_content(file);
    return places->magic == DEBUG_PLACES_MAGIC ? places : NULL;
}

/* @impl ATL-LLR-DEBUG-0016~1 */
bool debug_table_read(struct debug_table *table)
{
    const struct debug_places *places = debug_places();
    if (places == NULL ||
        debug_memory_read(gate_cell.root.value, shared_plan.posix_base + places->table, table,
                          sizeof(*table)) != sizeof(*table)) {
        return false;
    }
    uint32_t record = table->record_bytes;
    return table->magic == DEBUG_TABLE_MAGIC && table->version == DEBUG_TABLE_VERSION &&
           table->stack_bytes >= PAGE_BYTES && table->stack_bytes <= STACK_BYTES_MAX &&
           (table->stack_bytes & (table->stack_bytes - 1)) == 0 && record <= RECORD_BYTES_MAX &&
           table->id_offset <= record && record - table->id_offset >= sizeof(uint32_t) &&
           table->name_offset <= record && record - table->name_offset >= DEBUG_NAME_BYTES &&
           table->call_offset <= record && record - table->call_offset >= sizeof(uint64_t);
}

/* A thread in the application has its empty posix stack in the words, just below its record; one in
 * posix/ runs on it. */
static uint64_t record_of(const struct debug_table *table, const struct debug_thread *thread)
{
    bool is_inside = gate_is_in_posix(&gate_cell, thread->rip);
    uint64_t at = is_inside ? thread->rsp : thread->stack - 1;
    return ALIGN_DOWN(at, (uint64_t)table->stack_bytes) + table->stack_bytes - table->record_bytes;
}

static void name(struct debug_listed *entry, const struct debug_table *table)
{
    uint64_t record = record_of(table, &entry->thread);
    uint64_t root = gate_cell.root.value;
    int32_t id = 0;
    char text[DEBUG_NAME_BYTES];
    if (debug_memory_read(root, record + table->id_offset, &id, sizeof(id)) == sizeof(id) &&
        id > 0 && id < (int32_t)ID_MADE_UP) {
        entry->id = (uint32_t)id;
        if (debug_memory_read(root, record + table->name_offset, text, sizeof(text)) ==
            sizeof(text)) {
            text[sizeof(text) - 1] = '\0';
            memcpy(entry->name, text, sizeof(text));
        }
    }
}

static uint32_t made_up_id(const struct debug_thread *thread)
{
    return ID_MADE_UP + thread->core * PERCPU_THREADS_MAX +
           (uint32_t)GATE_THREAD_INDEX(thread->handle);
}

struct debug_listed debug_list_entry(const struct debug_thread *thread)
{
    struct debug_listed entry = {.thread = *thread, .id = made_up_id(thread)};
    struct debug_table table;
    if (debug_table_read(&table)) {
        name(&entry, &table);
    }
    return entry;
}

/* Two threads are never one to the debugger, whatever posix/ says. */
static void add(const struct debug_thread *thread)
{
    struct debug_listed entry = debug_list_entry(thread);
    if (debug_list_find(entry.id) != NULL) {
        entry.id = made_up_id(thread);
        entry.name[0] = '\0';
    }
    if (listed_count < DEBUG_THREADS_MAX) {
        listed[listed_count++] = entry;
    }
}

static void add_core(uint32_t core)
{
    struct debug_question question = {.kind = DEBUG_QUESTION_THREADS, .core = core};
    while (question.address < PERCPU_THREADS_MAX) {
        const uint8_t *answer;
        int64_t count = debug_ask(&question, NULL, &answer);
        if (count <= 0) {
            return;
        }
        const struct debug_thread *threads = (const void *)answer;
        for (int64_t i = 0; i < count; i++) {
            add(&threads[i]);
            question.address = GATE_THREAD_INDEX(threads[i].handle) + 1ull;
        }
    }
}

/* @impl ATL-LLR-DEBUG-0016~1 */
void debug_list_build(void)
{
    listed_count = 0;
    for (uint32_t core = 0; core < percpu_core_count; core++) {
        add_core(core);
    }
}

uint32_t debug_list_count(void)
{
    return listed_count;
}

const struct debug_listed *debug_list_at(uint32_t position)
{
    return position < listed_count ? &listed[position] : NULL;
}

const struct debug_listed *debug_list_find(uint64_t id)
{
    for (uint32_t i = 0; i < listed_count; i++) {
        if (listed[i].id == id) {
            return &listed[i];
        }
    }
    return NULL;
}

const char *debug_state_name(const struct debug_listed *thread)
{
    if (!debug_is_stopped_remote(thread->thread.core)) {
        return "no answer";
    }
    static const char *const names[] = {"free", "ready", "running", "parked", "waiting"};
    bool is_stopped = debug_server()->is_nonstop && debug_nonstop_event(thread->id) != NULL;
    return is_stopped ? "stopped" : names[MIN(thread->thread.state, ARRAY_COUNT(names) - 1)];
}

/* GDB wants to know where it is: not of a core that does not answer. */
uint64_t debug_list_running(void)
{
    for (uint32_t i = 0; i < listed_count; i++) {
        if (listed[i].thread.is_current && debug_is_stopped_remote(listed[i].thread.core)) {
            return listed[i].id;
        }
    }
    return listed_count > 0 ? listed[0].id : 0;
}

const struct debug_listed *debug_list_of_handle(uint64_t handle)
{
    for (uint32_t i = 0; i < listed_count; i++) {
        if (listed[i].thread.handle == handle) {
            return &listed[i];
        }
    }
    return NULL;
}
