/* SPDX-License-Identifier: Apache-2.0 */
/* In debug images: notes the program's system calls in this core's ring (debug/calls.h), with what
 * their arguments point to, as far as posix/syscalls.toml says it. noted.S calls this for the
 * numbers that the stub has selected; while it has selected none, a call costs what noted.S costs.
 *
 * Memory of the program is copied by the functions that handlers use, with no lock held: before the
 * handler what it will read, behind it what it has written. What cannot be read is left out. */
#include "noted.h"

#include "internal.h"

#include <debug/calls.h>
#include <posix/syscalls.h>

#define DATA_BYTES_MAX                                                                             \
    (DEBUG_CALL_RECORD_SLOTS_MAX * (DEBUG_CALL_SLOT_BYTES - sizeof(uint64_t)) -                    \
     sizeof(struct debug_call_head))
#define SLOT_CONTENT_BYTES (DEBUG_CALL_SLOT_BYTES - sizeof(uint64_t))
#define POSITION_MASK ((1ull << DEBUG_CALL_POSITION_BITS) - 1)
#define CREDIT ((uint64_t)DEBUG_CALL_RECORD_SLOTS_MAX << DEBUG_CALL_POSITION_BITS)
#define TEXT_BYTES_MAX 32u /* of data, as strace shows it */
#define VECTORS_MAX 8u     /* buffers of a readv */
#define SOCKET_NAME_MAX 110u
#define MASK_OFFSET 296u /* of the signal mask in Linux's struct ucontext */

PERCORE struct debug_calls posix_noted_calls;
_Static_assert(offsetof(struct debug_calls, selected) == 0, "noted.S");
_Static_assert(SYSCALL_COUNT < DEBUG_CALL_NUMBERS, "noted.S");
_Static_assert(sizeof(struct noted_call) == NOTED_BYTES, "noted.S");

struct record {
    struct debug_call_head head;
    uint8_t data[DATA_BYTES_MAX];
};

/* ---- the ring */

/* Claims a record's slots; those of a call that begins with a credit for its end. False: there is
 * no room. */
static bool claim(uint32_t slots, uint64_t credit, bool has_credit, uint64_t *position)
{
    struct debug_calls *calls = &posix_noted_calls;
    uint64_t old = atomic_load(&calls->claimed), following;
    do {
        uint64_t aside = has_credit && old >= CREDIT ? old - CREDIT : old;
        following = aside + slots + credit;
        uint64_t used = (following & POSITION_MASK) + (following >> DEBUG_CALL_POSITION_BITS) -
                        atomic_load(&calls->taken);
        if (used > DEBUG_CALL_SLOTS) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&calls->claimed, &old, following));
    *position = old & POSITION_MASK;
    return true;
}

static void fill(const struct record *record, uint64_t position)
{
    struct debug_call_slot *slots = posix_noted_calls.slots;
    const uint8_t *bytes = (const uint8_t *)record;
    size_t left = sizeof(record->head) + record->head.data_bytes;
    for (uint32_t i = 0; i < record->head.slots; i++) {
        size_t piece = left < SLOT_CONTENT_BYTES ? left : SLOT_CONTENT_BYTES;
        __builtin_memcpy(slots[(position + i) % DEBUG_CALL_SLOTS].content,
                         bytes + i * SLOT_CONTENT_BYTES, piece);
        left -= piece;
    }
    for (uint32_t i = record->head.slots; i > 0; i--) {
        atomic_store_explicit(&slots[(position + i - 1) % DEBUG_CALL_SLOTS].sequence, position + i,
                              memory_order_release);
    }
}

/* @impl ATL-LLR-POSIX-1001~1 */
static bool put(struct record *record, uint64_t credit, bool has_credit)
{
    uint64_t position;
    size_t bytes = sizeof(record->head) + record->head.data_bytes;
    record->head.slots = (uint8_t)((bytes + SLOT_CONTENT_BYTES - 1) / SLOT_CONTENT_BYTES);
    if (!claim(record->head.slots, credit, has_credit, &position)) {
        atomic_fetch_add(&posix_noted_calls.lost, 1);
        return false;
    }
    fill(record, position);
    return true;
}

/* ---- what arguments point to */

/* Where the next item's bytes go; NULL: there is no room for so many. */
static uint8_t *item_place(struct record *record, size_t bytes)
{
    size_t at = record->head.data_bytes + sizeof(struct debug_call_item);
    return at + bytes <= DATA_BYTES_MAX ? record->data + at : NULL;
}

static void item_add(struct record *record, uint32_t argument, uint32_t part, size_t bytes)
{
    struct debug_call_item item = {(uint8_t)argument, (uint8_t)part, (uint16_t)bytes};
    __builtin_memcpy(record->data + record->head.data_bytes, &item, sizeof(item));
    record->head.data_bytes += (uint16_t)(sizeof(item) + bytes);
}

/* True: it is there. */
static bool copy(struct record *record, uint32_t argument, uint32_t part, uint64_t from,
                 size_t bytes)
{
    uint8_t *place = item_place(record, bytes);
    if (from == 0 || place == NULL || posix_copy_in(place, from, bytes) != 0) {
        return false;
    }
    item_add(record, argument, part, bytes);
    return true;
}

static void copy_string(struct record *record, uint32_t argument, uint64_t from, size_t limit)
{
    uint8_t *place = item_place(record, limit);
    if (place == NULL) {
        return;
    }
    int64_t length = posix_copy_in_string((char *)place, from, limit);
    if (length >= 0 || length == -ENAMETOOLONG) {
        item_add(record, argument, 0, length >= 0 ? (size_t)length + 1 : limit);
    }
}

struct vector {
    uint64_t base, bytes;
};

/* The vectors and the beginning of each one's data, `left` bytes of which are there. */
static void copy_vectors(struct record *record, uint32_t argument, uint32_t part, uint64_t from,
                         uint64_t count, uint64_t left)
{
    struct vector vectors[VECTORS_MAX];
    count = count < VECTORS_MAX ? count : VECTORS_MAX;
    if (!copy(record, argument, part, from, count * sizeof(vectors[0]))) {
        return;
    }
    __builtin_memcpy(vectors, record->data + record->head.data_bytes - count * sizeof(vectors[0]),
                     count * sizeof(vectors[0]));
    for (uint64_t i = 0; i < count && left > 0; i++) {
        uint64_t bytes = vectors[i].bytes < left ? vectors[i].bytes : left;
        left -= bytes;
        (void)copy(record, argument, part + 1 + (uint32_t)i, vectors[i].base,
                   bytes < TEXT_BYTES_MAX ? bytes : TEXT_BYTES_MAX);
    }
}

/* struct msghdr: itself, its name (part 1), its control data (2), its vectors (from 3 on). */
static void copy_message(struct record *record, uint32_t argument, uint64_t from, uint64_t left)
{
    struct {
        uint64_t name;
        uint32_t name_bytes, padding;
        uint64_t vectors, count, control, control_bytes, flags;
    } message;
    if (!copy(record, argument, 0, from, sizeof(message))) {
        return;
    }
    __builtin_memcpy(&message, record->data + record->head.data_bytes - sizeof(message),
                     sizeof(message));
    uint64_t control = message.control_bytes;
    (void)copy(record, argument, 1, message.name,
               message.name_bytes < SOCKET_NAME_MAX ? message.name_bytes : SOCKET_NAME_MAX);
    (void)copy(record, argument, 2, message.control,
               control < 2 * TEXT_BYTES_MAX ? control : 2 * TEXT_BYTES_MAX);
    copy_vectors(record, argument, 3, message.vectors, message.count, left);
}

#include <posix_noted.inc>

/* How many units there are at an argument. */
static uint64_t units(const struct noted_argument *row, const struct debug_call_head *head)
{
    uint32_t value;
    switch (row->count) {
    case NOTED_ONE:
        return 1;
    case NOTED_RESULT:
        return (uint64_t)head->result;
    default:
        if (row->count < NOTED_AT) {
            return head->arguments[row->count - 1];
        }
        return posix_copy_in(&value, head->arguments[row->count - NOTED_AT], sizeof(value)) == 0
                   ? value
                   : 0;
    }
}

static void copy_argument(struct record *record, const struct noted_argument *row)
{
    uint64_t from = record->head.arguments[row->argument];
    bool is_end = record->head.kind == DEBUG_CALL_LEAVE;
    uint64_t left = is_end ? (uint64_t)record->head.result : UINT64_MAX;
    uint64_t count = units(row, &record->head), limit = row->limit;
    switch (row->kind) {
    case NOTED_STRING:
        copy_string(record, row->argument, from, limit);
        break;
    case NOTED_VECTORS:
        copy_vectors(record, row->argument, 0, from, count, left);
        break;
    case NOTED_MESSAGE:
        copy_message(record, row->argument, from, left);
        break;
    default:
        count = count < limit ? count : limit;
        (void)copy(record, row->argument, 0, from, count * row->unit);
        break;
    }
}

static void copy_arguments(struct record *record, uint32_t when)
{
    uint64_t number = record->head.number < SYSCALL_COUNT ? record->head.number : SYSCALL_COUNT;
    for (uint32_t i = noted_first[number]; i < noted_first[number + 1]; i++) {
        if ((noted_arguments[i].when & when) != 0) {
            copy_argument(record, &noted_arguments[i]);
        }
    }
}

/* ---- calls and signals */

static void begin_record(struct record *record, uint8_t kind, uint64_t number)
{
    struct posix_thread *self = posix_self();
    record->head = (struct debug_call_head){.time_ns = posix_now_ns(),
                                            .number = number,
                                            .session = (uint32_t)posix_noted_calls.session,
                                            .thread = self->id,
                                            .kind = kind};
    __builtin_memcpy(record->head.name, self->name, sizeof(record->head.name));
}
_Static_assert(POSIX_THREAD_NAME_BYTES == DEBUG_CALL_NAME_BYTES, "names");

static void begin_call(struct record *record, uint8_t kind, const struct noted_call *call)
{
    uint64_t made = posix_self()->call; /* numbers that Linux does not have are one row */
    begin_record(record, kind, call->number < SYSCALL_COUNT ? call->number : made);
    __builtin_memcpy(record->head.arguments, call->arguments, sizeof(record->head.arguments));
}

/* @impl ATL-LLR-POSIX-1000~1 ATL-LLR-POSIX-1002~1 */
void posix_note_enter(struct noted_call *call)
{
    struct record record;
    begin_call(&record, DEBUG_CALL_ENTER, call);
    copy_arguments(&record, NOTED_BEFORE);
    if (call->number == SYSCALL_RT_SIGRETURN) { /* it has no argument but the program's stack */
        (void)copy(&record, 0, 0, posix_self()->frame->rsp + MASK_OFFSET, sizeof(uint64_t));
    }
    bool has_end = call->number != SYSCALL_EXIT && call->number != SYSCALL_EXIT_GROUP;
    bool is_noted = put(&record, has_end ? CREDIT : 0, false);
    call->session = record.head.session | (is_noted ? NOTED_CREDIT : 0) | NOTED_BEGUN;
}

/* The end of a call whose beginning was lost is not noted: it is counted already. One that began
 * before anybody looked has no credit, and is counted if there is no room.
 * @impl ATL-LLR-POSIX-1000~1 ATL-LLR-POSIX-1002~1 */
int64_t posix_note_leave(const struct noted_call *call, int64_t result)
{
    struct record record;
    begin_call(&record, DEBUG_CALL_LEAVE, call);
    bool is_same =
        (call->session & NOTED_BEGUN) != 0 && (uint32_t)call->session == record.head.session;
    bool has_credit = is_same && (call->session & NOTED_CREDIT) != 0;
    if (is_same && !has_credit) {
        return result;
    }
    record.head.result = result;
    if (result >= 0) {
        copy_arguments(&record, NOTED_BEHIND);
    }
    (void)put(&record, 0, has_credit);
    return result;
}

/* @impl ATL-LLR-POSIX-1003~1 */
void posix_note_signal(const struct posix_signal_info *info)
{
    struct record record;
    if (posix_noted_calls.session == 0) {
        return;
    }
    begin_record(&record, DEBUG_CALL_SIGNAL, (uint64_t)info->signal);
    __builtin_memcpy(item_place(&record, sizeof(*info)), info, sizeof(*info));
    item_add(&record, 0, 0, sizeof(*info));
    (void)put(&record, 0, false);
}
