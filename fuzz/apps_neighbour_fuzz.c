/* SPDX-License-Identifier: Apache-2.0 */
/* Side 1 of a channel to a neighbour, whose peer first keeps the rules and from its first scribble
 * on writes what it likes into its own area. Checked against a model: while the peer keeps the
 * rules each message comes once, whole and in order, a link never breaks, and the end of a life is
 * told as it was; afterwards nothing but its own area changes, and a life that has failed stays so.
 * @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1003~1 @robust
 * @verifies ATL-LLR-NEIGHBOUR-1004~1 ATL-LLR-NEIGHBOUR-1005~1 @robust */
#include "fuzz.h"
#include <neighbour.h>
#include <stdbool.h>

#define STEPS_MAX 4096u
#define AREA_BYTES (NEIGHBOUR_BYTES / 2)
#define SENT_MAX NEIGHBOUR_SLOTS

/* Messages under way to a side, oldest first: length and seed. */
struct flight {
    uint32_t bytes[SENT_MAX], seed[SENT_MAX];
    uint32_t begin, end;
};

struct run {
    uint8_t *memory;
    struct neighbour sides[2];
    struct flight flights[2]; /* by receiver */
    uint32_t seed;
    bool is_hostile;
};

static void fill(uint8_t *message, uint32_t bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < bytes; i++) {
        message[i] = (uint8_t)(seed * 167 + i * 13);
    }
}

/* A new life of either side: what was under way either way is lost. */
static void join(struct run *run, uint32_t side)
{
    FUZZ_REQUIRE(neighbour_join(&run->sides[side], run->memory, NEIGHBOUR_BYTES, side) ==
                 NEIGHBOUR_OK);
    run->flights[0].begin = run->flights[0].end;
    run->flights[1].begin = run->flights[1].end;
}

static void send(struct run *run, uint32_t side, uint32_t bytes)
{
    uint8_t message[NEIGHBOUR_MESSAGE_BYTES_MAX];
    struct flight *flight = &run->flights[1 - side];
    enum neighbour_status was = run->sides[side].end;
    fill(message, bytes, run->seed);
    enum neighbour_status status = neighbour_send(&run->sides[side], message, bytes);
    FUZZ_REQUIRE(status != NEIGHBOUR_INVALID);
    FUZZ_REQUIRE(was == NEIGHBOUR_OK || status == was);
    FUZZ_REQUIRE(run->is_hostile || status != NEIGHBOUR_BROKEN);
    if (status == NEIGHBOUR_OK && !run->is_hostile) {
        FUZZ_REQUIRE(flight->end - flight->begin < SENT_MAX);
        flight->bytes[flight->end % SENT_MAX] = bytes;
        flight->seed[flight->end % SENT_MAX] = run->seed;
        flight->end++;
    }
    run->seed++;
}

static void receive(struct run *run, uint32_t side)
{
    /* Exactly as large as the message may be: the sanitizer sees what goes beyond. */
    uint8_t *buffer = malloc(NEIGHBOUR_MESSAGE_BYTES_MAX);
    uint8_t expected[NEIGHBOUR_MESSAGE_BYTES_MAX];
    struct flight *flight = &run->flights[side];
    uint32_t bytes = 0;
    FUZZ_REQUIRE(buffer != NULL);
    enum neighbour_status was = run->sides[side].end;
    enum neighbour_status status =
        neighbour_receive(&run->sides[side], buffer, NEIGHBOUR_MESSAGE_BYTES_MAX, &bytes);
    FUZZ_REQUIRE(was == NEIGHBOUR_OK || status == was);
    FUZZ_REQUIRE(status != NEIGHBOUR_OK || (bytes > 0 && bytes <= NEIGHBOUR_MESSAGE_BYTES_MAX));
    if (!run->is_hostile) {
        FUZZ_REQUIRE(status != NEIGHBOUR_BROKEN);
        bool has_message = flight->begin != flight->end;
        FUZZ_REQUIRE(status != NEIGHBOUR_OK || has_message);
        if (status == NEIGHBOUR_OK) {
            uint32_t at = flight->begin++ % SENT_MAX;
            FUZZ_REQUIRE(bytes == flight->bytes[at]);
            fill(expected, bytes, flight->seed[at]);
            FUZZ_REQUIRE(memcmp(buffer, expected, bytes) == 0);
        } else if (was == NEIGHBOUR_OK && status != NEIGHBOUR_RESET) {
            FUZZ_REQUIRE(!has_message);
        }
    }
    free(buffer);
}

/* What look promises is kept at once, unless the peer writes in between. */
static void look(struct run *run, uint32_t side)
{
    uint32_t bits = neighbour_look(&run->sides[side]);
    FUZZ_REQUIRE((bits & NEIGHBOUR_FAILED) == 0 || (bits & NEIGHBOUR_LEFT) != 0);
    if ((bits & NEIGHBOUR_READABLE) != 0) {
        uint8_t byte;
        uint32_t bytes;
        struct flight *flight = &run->flights[side];
        enum neighbour_status status =
            neighbour_receive(&run->sides[side], &byte, sizeof(byte), &bytes);
        FUZZ_REQUIRE(status != NEIGHBOUR_AGAIN);
        flight->begin += status == NEIGHBOUR_OK && !run->is_hostile;
    }
    if ((bits & NEIGHBOUR_WRITABLE) != 0) {
        send(run, side, NEIGHBOUR_MESSAGE_BYTES_MAX);
    }
}

static void scribble(struct run *run, struct fuzz_input *input)
{
    uint8_t where = (uint8_t)fuzz_take(input, 1);
    /* The words and what is between them, or the first slots. */
    uint32_t offset = where < 128 ? (where & 63u) * 4 : AREA_BYTES / 2 + (where & 127u) * 8;
    uint32_t value = (uint32_t)fuzz_take(input, 4);
    run->is_hostile = true;
    memcpy(run->memory + offset, &value, sizeof(value));
}

static void step(struct run *run, struct fuzz_input *input)
{
    uint8_t code = (uint8_t)fuzz_take(input, 1);
    uint32_t side = code & 1;
    switch (code >> 1 & 7) {
    case 0:
    case 1:
        send(run, side, 1 + (uint32_t)fuzz_take(input, 2) % NEIGHBOUR_MESSAGE_BYTES_MAX);
        break;
    case 2:
    case 3:
        receive(run, side);
        break;
    case 4:
        look(run, side);
        break;
    case 5:
        neighbour_leave(&run->sides[side]);
        break;
    case 6:
        join(run, side);
        break;
    default:
        scribble(run, input);
        break;
    }
}

void fuzz_one(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    struct run *run = calloc(1, sizeof(*run));
    FUZZ_REQUIRE(run != NULL);
    run->memory = aligned_alloc(NEIGHBOUR_SLOT_BYTES, NEIGHBOUR_BYTES);
    FUZZ_REQUIRE(run->memory != NULL);
    memset(run->memory, 0, NEIGHBOUR_BYTES);
    join(run, 0);
    join(run, 1);
    for (uint32_t i = 0; i < STEPS_MAX && input.left > 0; i++) {
        step(run, &input);
    }
    /* Whatever happened: two sides that keep the rules come together again. */
    join(run, 0);
    join(run, 1);
    run->is_hostile = false;
    receive(run, 0);
    receive(run, 1);
    send(run, 0, NEIGHBOUR_MESSAGE_BYTES_MAX);
    FUZZ_REQUIRE(run->flights[1].end != run->flights[1].begin);
    receive(run, 1);
    FUZZ_REQUIRE(run->flights[1].end == run->flights[1].begin);
    free(run->memory);
    free(run);
}
