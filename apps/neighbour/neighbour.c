/* SPDX-License-Identifier: Apache-2.0 */
/* See neighbour.h; the order of accesses is explained in docs/NEIGHBOUR.md. */
#include "neighbour.h"

#ifndef NEIGHBOUR_LOAD
#define NEIGHBOUR_LOAD(address_) __atomic_load_n(address_, __ATOMIC_ACQUIRE)
#define NEIGHBOUR_STORE(address_, value_) __atomic_store_n(address_, value_, __ATOMIC_RELEASE)
#define NEIGHBOUR_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

#define MAGIC 0x424e5441u /* "ATNB" */
#define VERSION 1u
/* Words of an area: three cache lines, and the slots in its second half. */
#define AREA_WORDS (NEIGHBOUR_BYTES / 2 / 4)
#define WORD_MAGIC 0u
#define WORD_VERSION 1u
#define WORD_GENERATION 2u
#define WORD_MET 3u
#define WORD_LEFT 4u
#define WORD_RINGS 5u
#define WORD_BELL 6u
#define WORD_HEAD 16u
#define WORD_TAIL_ASKED 17u
#define WORD_TAIL 32u
#define WORD_HEAD_ASKED 33u
#define WORD_SLOTS (AREA_WORDS / 2)
/* Words of a slot. */
#define SLOT_WORDS (NEIGHBOUR_SLOT_BYTES / 4)
#define SLOT_KIND 0u /* kind in the low half, flags in the high half */
#define SLOT_LENGTH 1u
#define SLOT_POSITION 2u
#define SLOT_GENERATION 3u
#define SLOT_PAYLOAD 4u
#define KIND_DATA 1u
#define FLAG_MORE 0x10000u

/* Words in the shared memory are little-endian.
 *
 * @impl ATL-LLR-NEIGHBOUR-1006~1 */
static uint32_t wire(uint32_t value)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return value >> 24 | (value >> 8 & 0xff00u) | (value << 8 & 0xff0000u) | value << 24;
#else
    return value;
#endif
}

static uint32_t load(const volatile uint32_t *area, uint32_t word)
{
    return wire(NEIGHBOUR_LOAD(&area[word]));
}

static void store(volatile uint32_t *area, uint32_t word, uint32_t value)
{
    NEIGHBOUR_STORE(&area[word], wire(value));
}

static enum neighbour_status end(struct neighbour *side, enum neighbour_status why)
{
    side->end = why;
    side->is_changed = 1;
    store(side->own, WORD_LEFT, side->generation);
    return why;
}

/* @impl ATL-LLR-NEIGHBOUR-1001~1 */
enum neighbour_status neighbour_join(struct neighbour *side, void *memory, uint64_t bytes,
                                     uint32_t number)
{
    volatile uint32_t *areas = memory;
    uint32_t before;
    if (memory == 0 || (uintptr_t)memory % NEIGHBOUR_SLOT_BYTES != 0 || bytes < NEIGHBOUR_BYTES ||
        number > 1) {
        return NEIGHBOUR_INVALID;
    }
    side->own = areas + number * AREA_WORDS;
    side->peer = areas + (1 - number) * AREA_WORDS;
    before = load(side->own, WORD_GENERATION);
    side->generation = before + 1 != 0 ? before + 1 : 1;
    side->met = 0;
    side->is_linked = 0;
    side->head = 0;
    side->tail = 0;
    side->peer_head = 0;
    side->peer_tail = 0;
    side->end = NEIGHBOUR_OK;
    side->has_bell = 0;
    side->is_changed = 1;
    side->rung_head = 0;
    side->rung_tail = 0;
    store(side->own, WORD_GENERATION, 0);
    NEIGHBOUR_FENCE(); /* whoever sees a word of this life sees that the last one is over */
    store(side->own, WORD_MAGIC, MAGIC);
    store(side->own, WORD_VERSION, VERSION);
    store(side->own, WORD_MET, 0);
    store(side->own, WORD_LEFT, 0);
    store(side->own, WORD_HEAD, 0);
    store(side->own, WORD_TAIL, 0);
    store(side->own, WORD_GENERATION, side->generation);
    return NEIGHBOUR_OK;
}

/* What the peer says of its life. met is 0 unless it belongs to the generation. */
struct life {
    uint32_t generation, met;
};

static struct life peer_life(const struct neighbour *side)
{
    struct life life;
    life.generation = load(side->peer, WORD_GENERATION);
    life.met = load(side->peer, WORD_MET);
    if (load(side->peer, WORD_GENERATION) != life.generation) {
        life.generation = 0;
        life.met = 0;
    }
    return life;
}

static int has_left(const struct neighbour *side, uint32_t generation)
{
    return load(side->peer, WORD_LEFT) == generation;
}

/* What was read of the peer before was of the life that this side is linked to. */
static int is_same_life(const struct neighbour *side)
{
    struct life life;
    NEIGHBOUR_FENCE();
    life = peer_life(side);
    return life.generation == side->met && life.met == side->generation;
}

/* OK: both sides have met. A peer that has left is not greeted: nobody would answer.
 *
 * @impl ATL-LLR-NEIGHBOUR-1002~1 */
static enum neighbour_status link_up(struct neighbour *side)
{
    struct life life;
    if (side->end != NEIGHBOUR_OK) {
        return side->end;
    }
    if (side->is_linked) {
        return is_same_life(side) ? NEIGHBOUR_OK : end(side, NEIGHBOUR_RESET);
    }
    life = peer_life(side);
    if (life.generation == 0) {
        return NEIGHBOUR_AGAIN;
    }
    if (side->met != life.generation && !has_left(side, life.generation)) {
        if (load(side->peer, WORD_MAGIC) != MAGIC || load(side->peer, WORD_VERSION) != VERSION) {
            return end(side, NEIGHBOUR_BROKEN);
        }
        side->met = life.generation;
        side->is_changed = 1;
        store(side->own, WORD_MET, side->met);
    }
    side->is_linked = side->met == life.generation && life.met == side->generation;
    return side->is_linked ? NEIGHBOUR_OK : NEIGHBOUR_AGAIN;
}

/* What was read makes no sense: of a new life, or a lie. */
static enum neighbour_status distrust(struct neighbour *side)
{
    return end(side, is_same_life(side) ? NEIGHBOUR_BROKEN : NEIGHBOUR_RESET);
}

/* Payload bytes of a slot that holds the right thing; 0: a lie. */
static uint32_t slot_judge(const struct neighbour *side, const uint32_t *slot, uint32_t position)
{
    uint32_t bytes = wire(slot[SLOT_LENGTH]);
    uint32_t kind = wire(slot[SLOT_KIND]);
    int has_more = kind == (KIND_DATA | FLAG_MORE);
    if ((kind != KIND_DATA && !has_more) || wire(slot[SLOT_POSITION]) != position ||
        wire(slot[SLOT_GENERATION]) != side->met || bytes > NEIGHBOUR_PAYLOAD_BYTES ||
        (has_more && bytes != NEIGHBOUR_PAYLOAD_BYTES)) {
        return 0;
    }
    return bytes;
}

/* Copies the message that begins at the tail. Slots that it takes; 0: a lie. */
static uint32_t take(const struct neighbour *side, uint32_t available, uint8_t *buffer,
                     uint32_t capacity, uint32_t *total)
{
    uint32_t limit =
        available < NEIGHBOUR_MESSAGE_SLOTS_MAX ? available : NEIGHBOUR_MESSAGE_SLOTS_MAX;
    uint32_t slot[SLOT_WORDS], i, k;
    *total = 0;
    for (i = 0; i < limit; i++) {
        uint32_t position = side->tail + i, bytes;
        const volatile uint32_t *from =
            &side->peer[WORD_SLOTS + position % NEIGHBOUR_SLOTS * SLOT_WORDS];
        const uint8_t *payload = (const uint8_t *)&slot[SLOT_PAYLOAD];
        for (k = 0; k < SLOT_WORDS; k++) {
            slot[k] = from[k];
        }
        bytes = slot_judge(side, slot, position);
        if (bytes == 0) {
            return 0;
        }
        for (k = 0; k < bytes && *total + k < capacity; k++) {
            buffer[*total + k] = payload[k];
        }
        *total += bytes;
        if ((wire(slot[SLOT_KIND]) & FLAG_MORE) == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* @impl ATL-LLR-NEIGHBOUR-1003~1
 * @impl ATL-LLR-NEIGHBOUR-1004~1 */
enum neighbour_status neighbour_receive(struct neighbour *side, void *buffer, uint32_t capacity,
                                        uint32_t *bytes)
{
    enum neighbour_status status = link_up(side);
    uint32_t head, total, slots;
    int is_over;
    if (status != NEIGHBOUR_OK) {
        return status;
    }
    is_over = has_left(side, side->met); /* before the head, which is final then */
    head = load(side->peer, WORD_HEAD);
    if (head - side->tail > NEIGHBOUR_SLOTS || head - side->tail < side->peer_head - side->tail) {
        return distrust(side);
    }
    if (head == side->tail) {
        if (!is_over) {
            return NEIGHBOUR_AGAIN;
        }
        return end(side, is_same_life(side) ? NEIGHBOUR_CLOSED : NEIGHBOUR_RESET);
    }
    slots = take(side, head - side->tail, buffer, capacity, &total);
    if (slots == 0) {
        return distrust(side);
    }
    side->peer_head = head;
    side->tail += slots;
    store(side->own, WORD_TAIL, side->tail);
    *bytes = total;
    return NEIGHBOUR_OK;
}

static void put(struct neighbour *side, const uint8_t *payload, uint32_t bytes, uint32_t flags)
{
    volatile uint32_t *to = &side->own[WORD_SLOTS + side->head % NEIGHBOUR_SLOTS * SLOT_WORDS];
    uint32_t slot[SLOT_WORDS], k;
    uint8_t *into = (uint8_t *)&slot[SLOT_PAYLOAD];
    slot[SLOT_KIND] = wire(KIND_DATA | flags);
    slot[SLOT_LENGTH] = wire(bytes);
    slot[SLOT_POSITION] = wire(side->head);
    slot[SLOT_GENERATION] = wire(side->generation);
    for (k = 0; k < NEIGHBOUR_PAYLOAD_BYTES; k++) {
        into[k] = k < bytes ? payload[k] : 0;
    }
    for (k = 0; k < SLOT_WORDS; k++) {
        to[k] = slot[k];
    }
    side->head++;
}

/* Free slots, or why there will be none: then *status is not OK. */
static uint32_t room(struct neighbour *side, enum neighbour_status *status)
{
    uint32_t tail, used;
    *status = link_up(side);
    if (*status != NEIGHBOUR_OK) {
        return 0;
    }
    if (has_left(side, side->met)) {
        *status = NEIGHBOUR_CLOSED; /* what it sent before can still be received */
        return 0;
    }
    tail = load(side->peer, WORD_TAIL);
    used = side->head - tail;
    if (used > side->head - side->peer_tail) {
        *status = distrust(side);
        return 0;
    }
    side->peer_tail = tail;
    return NEIGHBOUR_SLOTS - used;
}

/* @impl ATL-LLR-NEIGHBOUR-1003~1
 * @impl ATL-LLR-NEIGHBOUR-1004~1 */
enum neighbour_status neighbour_send(struct neighbour *side, const void *message, uint32_t bytes)
{
    const uint8_t *from = message;
    enum neighbour_status status;
    uint32_t free_slots, done = 0;
    if (bytes == 0 || bytes > NEIGHBOUR_MESSAGE_BYTES_MAX) {
        return NEIGHBOUR_INVALID;
    }
    free_slots = room(side, &status);
    if (status != NEIGHBOUR_OK) {
        return status;
    }
    if ((bytes + NEIGHBOUR_PAYLOAD_BYTES - 1) / NEIGHBOUR_PAYLOAD_BYTES > free_slots) {
        return NEIGHBOUR_AGAIN;
    }
    while (bytes - done > NEIGHBOUR_PAYLOAD_BYTES) {
        put(side, from + done, NEIGHBOUR_PAYLOAD_BYTES, FLAG_MORE);
        done += NEIGHBOUR_PAYLOAD_BYTES;
    }
    put(side, from + done, bytes - done, 0);
    store(side->own, WORD_HEAD, side->head); /* the whole message at once */
    return NEIGHBOUR_OK;
}

/* @impl ATL-LLR-NEIGHBOUR-1005~1 */
uint32_t neighbour_look(struct neighbour *side)
{
    enum neighbour_status status;
    uint32_t free_slots = room(side, &status), bits = 0;
    if (status == NEIGHBOUR_AGAIN) {
        return 0;
    }
    if (status == NEIGHBOUR_CLOSED) {
        return NEIGHBOUR_READABLE | NEIGHBOUR_WRITABLE | NEIGHBOUR_LEFT;
    }
    if (status != NEIGHBOUR_OK) {
        return NEIGHBOUR_READABLE | NEIGHBOUR_WRITABLE | NEIGHBOUR_LEFT | NEIGHBOUR_FAILED;
    }
    bits |= free_slots >= NEIGHBOUR_MESSAGE_SLOTS_MAX ? NEIGHBOUR_WRITABLE : 0;
    bits |= load(side->peer, WORD_HEAD) != side->tail ? NEIGHBOUR_READABLE : 0;
    return bits;
}

/* @impl ATL-LLR-NEIGHBOUR-1005~1 */
void neighbour_leave(struct neighbour *side)
{
    if (side->end == NEIGHBOUR_OK) {
        (void)end(side, NEIGHBOUR_CLOSED);
    }
}

/* @impl ATL-LLR-NEIGHBOUR-1045~1 */
void neighbour_bell(struct neighbour *side, uint32_t number)
{
    side->has_bell = 1;
    store(side->own, WORD_BELL, number);
    store(side->own, WORD_HEAD_ASKED, side->tail - 1); /* behind: no question */
    store(side->own, WORD_TAIL_ASKED, side->peer_tail - 1);
    store(side->own, WORD_RINGS, side->generation);
}

/* @impl ATL-LLR-NEIGHBOUR-1045~1 */
uint32_t neighbour_ask(struct neighbour *side, uint32_t missing)
{
    if (!side->has_bell || !side->is_linked || side->end != NEIGHBOUR_OK) {
        return 0;
    }
    if ((missing & NEIGHBOUR_READABLE) != 0) {
        store(side->own, WORD_HEAD_ASKED, side->tail);
    }
    if ((missing & NEIGHBOUR_WRITABLE) != 0) {
        store(side->own, WORD_TAIL_ASKED, side->peer_tail);
    }
    /* Either the peer sees the question, or what it wrote before is seen below. */
    return is_same_life(side) && load(side->peer, WORD_RINGS) == side->met &&
           !has_left(side, side->met) &&
           ((missing & NEIGHBOUR_READABLE) == 0 || load(side->peer, WORD_HEAD) == side->tail) &&
           ((missing & NEIGHBOUR_WRITABLE) == 0 || load(side->peer, WORD_TAIL) == side->peer_tail);
}

/* A position that goes from one value to another passes the one that was asked for. */
static int passes(uint32_t asked, uint32_t from, uint32_t to)
{
    return to - asked - 1 < to - from;
}

/* @impl ATL-LLR-NEIGHBOUR-1045~1 */
uint32_t neighbour_ring(struct neighbour *side, uint32_t *number)
{
    uint32_t head = side->rung_head, tail = side->rung_tail, is_due = side->is_changed, generation;
    side->rung_head = side->head;
    side->rung_tail = side->tail;
    side->is_changed = 0;
    if (!side->has_bell || (!is_due && head == side->head && tail == side->tail)) {
        return 0;
    }
    NEIGHBOUR_FENCE(); /* as in neighbour_ask, seen from the other side */
    generation = load(side->peer, WORD_GENERATION);
    *number = load(side->peer, WORD_BELL);
    return generation != 0 && load(side->peer, WORD_RINGS) == generation &&
           *number <= NEIGHBOUR_BELL_MAX &&
           (is_due || passes(load(side->peer, WORD_HEAD_ASKED), head, side->head) ||
            passes(load(side->peer, WORD_TAIL_ASKED), tail, side->tail));
}
