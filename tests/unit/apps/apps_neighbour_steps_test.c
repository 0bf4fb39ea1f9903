/* SPDX-License-Identifier: Apache-2.0 */
/* An honest peer that leaves, restarts or both right behind any one of the loads that a call makes:
 * it is never called broken, and no message is lost, invented or mixed but by a restart. */
#include <check.h>

static uint32_t load_and_step(const volatile uint32_t *from);
#define NEIGHBOUR_LOAD(address_) load_and_step(address_)
#define NEIGHBOUR_STORE(address_, value_) __atomic_store_n(address_, value_, __ATOMIC_RELEASE)
#define NEIGHBOUR_FENCE() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#include <neighbour.c>

#define LOADS_MAX 32u

static _Alignas(64) uint8_t memory[NEIGHBOUR_BYTES];
static struct neighbour sides[2];
static uint32_t loads_left; /* the peer acts behind the last of them; 0: it does not */
static void (*act)(void);

static uint32_t load_and_step(const volatile uint32_t *from)
{
    uint32_t value = *from;
    if (loads_left > 0 && --loads_left == 0) {
        act();
    }
    return value;
}

static void join(uint32_t side)
{
    CHECK_EQUAL(neighbour_join(&sides[side], memory, sizeof(memory), side), NEIGHBOUR_OK);
}

static void peer_leaves(void)
{
    neighbour_leave(&sides[0]);
}

static void peer_restarts(void)
{
    uint32_t bytes;
    join(0);
    (void)neighbour_receive(&sides[0], NULL, 0, &bytes); /* greets */
}

static void peer_leaves_and_restarts(void)
{
    peer_leaves();
    peer_restarts();
}

static void peer_sends(void)
{
    (void)neighbour_send(&sides[0], "late", 4);
}

static void peer_sends_and_leaves(void)
{
    peer_sends();
    peer_leaves();
}

static void (*const acts[])(void) = {peer_leaves, peer_restarts, peer_leaves_and_restarts,
                                     peer_sends, peer_sends_and_leaves};
#define ACTS (sizeof(acts) / sizeof(acts[0]))

/* Linked, with messages of side 0 under way, one of which has been received before. */
static void begin(uint32_t message_count)
{
    uint8_t byte;
    uint32_t bytes;
    memset(memory, 0, sizeof(memory));
    join(0);
    join(1);
    CHECK_EQUAL(neighbour_receive(&sides[0], &byte, 1, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_receive(&sides[1], &byte, 1, &bytes), NEIGHBOUR_AGAIN);
    for (uint32_t i = 0; i < message_count; i++) {
        CHECK_EQUAL(neighbour_send(&sides[0], &(uint8_t){(uint8_t)i}, 1), NEIGHBOUR_OK);
    }
    if (message_count > 1) {
        CHECK_EQUAL(neighbour_receive(&sides[1], &byte, 1, &bytes), NEIGHBOUR_OK);
        CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_OK);
        CHECK_EQUAL(neighbour_receive(&sides[0], &byte, 1, &bytes), NEIGHBOUR_OK);
        CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_OK);
    }
}

/* Takes all that comes and returns how it ended: AGAIN, CLOSED or RESET. The look that meets the
 * restart may see nothing; the next one must tell. */
static enum neighbour_status receive_all(uint32_t next, uint32_t count, bool may_be_late)
{
    for (bool is_again = false;;) {
        uint8_t text[8] = {0};
        uint32_t bytes = 0;
        enum neighbour_status status = neighbour_receive(&sides[1], text, sizeof(text), &bytes);
        if (status == NEIGHBOUR_AGAIN && !is_again) {
            is_again = true;
            continue;
        }
        if (status != NEIGHBOUR_OK) {
            CHECK(status != NEIGHBOUR_BROKEN && status != NEIGHBOUR_INVALID);
            CHECK(status == NEIGHBOUR_RESET || next >= count);
            return status;
        }
        if (next < count) {
            CHECK_EQUAL(bytes, 1);
            CHECK_EQUAL(text[0], next);
        } else {
            CHECK(may_be_late && next == count && memcmp(text, "late", 4) == 0);
        }
        next++;
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1005~1 @robust */
TEST(a_peer_acts_while_a_message_is_received)
{
    for (uint32_t count = 0; count < 4; count++) {
        for (uint32_t step = 1; step <= LOADS_MAX; step++) {
            for (size_t i = 0; i < ACTS; i++) {
                begin(count);
                act = acts[i];
                loads_left = step;
                enum neighbour_status ended = receive_all(count > 1, count, i >= 3);
                loads_left = 0;
                bool restarted = i == 1 || i == 2;
                CHECK(ended != NEIGHBOUR_RESET || restarted);
                CHECK(ended != NEIGHBOUR_CLOSED || !restarted);
            }
        }
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1005~1 @robust */
TEST(a_peer_that_has_left_restarts_while_its_last_message_is_received)
{
    for (uint32_t step = 1; step <= LOADS_MAX; step++) {
        begin(1);
        peer_leaves();
        act = peer_restarts;
        loads_left = step;
        enum neighbour_status ended = receive_all(0, 1, false);
        loads_left = 0;
        CHECK(ended == NEIGHBOUR_RESET || ended == NEIGHBOUR_CLOSED);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1005~1 @robust */
TEST(a_peer_acts_while_a_message_is_sent)
{
    for (uint32_t count = 0; count < 4; count++) {
        for (uint32_t step = 1; step <= LOADS_MAX; step++) {
            for (size_t i = 0; i < ACTS; i++) {
                begin(count);
                act = acts[i];
                loads_left = step;
                enum neighbour_status status = neighbour_send(&sides[1], "y", 1);
                uint32_t bits = neighbour_look(&sides[1]);
                loads_left = 0;
                bool restarted = i == 1 || i == 2;
                CHECK(status == NEIGHBOUR_OK || (status == NEIGHBOUR_CLOSED && i != 3) ||
                      (status == NEIGHBOUR_RESET && restarted));
                CHECK((bits & NEIGHBOUR_FAILED) == 0 || restarted);
            }
        }
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 @robust */
TEST(a_peer_acts_while_it_is_greeted)
{
    for (uint32_t step = 1; step <= LOADS_MAX; step++) {
        for (size_t i = 0; i < 3; i++) {
            uint32_t bytes;
            memset(memory, 0, sizeof(memory));
            join(0);
            join(1);
            act = acts[i];
            loads_left = step;
            /* The peer's first life never greets: there is no link that could be lost. */
            for (uint32_t k = 0; k < 4; k++) {
                CHECK_EQUAL(neighbour_receive(&sides[1], NULL, 0, &bytes), NEIGHBOUR_AGAIN);
            }
            loads_left = 0;
        }
    }
}

CHECK_MAIN()
