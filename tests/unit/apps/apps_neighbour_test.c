/* SPDX-License-Identifier: Apache-2.0 */
/* Two sides of a channel on one memory, first honest, then one of them lying. The offsets are those
 * of docs/NEIGHBOUR.md, spelled out here on purpose. */
#include <check.h>
#include <neighbour.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#define AREA_BYTES (NEIGHBOUR_BYTES / 2)
#define MAGIC 0
#define VERSION 4
#define GENERATION 8
#define MET 12
#define LEFT 16
#define RINGS 20
#define BELL 24
#define HEAD 64
#define TAIL_ASKED 68
#define TAIL 128
#define HEAD_ASKED 132
#define SLOTS 16384
#define KIND 0
#define LENGTH 4
#define POSITION 8
#define WRITER 12

static _Alignas(64) uint8_t memory[NEIGHBOUR_BYTES];
static struct neighbour sides[2];
static uint8_t buffer[NEIGHBOUR_MESSAGE_BYTES_MAX + 1];

static uint32_t *word(uint32_t side, uint32_t offset)
{
    return (uint32_t *)&memory[side * AREA_BYTES + offset];
}

static enum neighbour_status receive(uint32_t side, uint32_t *bytes)
{
    return neighbour_receive(&sides[side], buffer, NEIGHBOUR_MESSAGE_BYTES_MAX, bytes);
}

static enum neighbour_status join(uint32_t side)
{
    return neighbour_join(&sides[side], memory, sizeof(memory), side);
}

static void fill(uint8_t *message, uint32_t bytes, uint32_t seed)
{
    for (uint32_t i = 0; i < bytes; i++) {
        message[i] = (uint8_t)(seed * 131 + i * 7);
    }
}

static void send_one(uint32_t side, uint32_t bytes, uint32_t seed)
{
    uint8_t message[NEIGHBOUR_MESSAGE_BYTES_MAX];
    fill(message, bytes, seed);
    CHECK_EQUAL(neighbour_send(&sides[side], message, bytes), NEIGHBOUR_OK);
}

static void receive_one(uint32_t side, uint32_t bytes, uint32_t seed)
{
    uint8_t message[NEIGHBOUR_MESSAGE_BYTES_MAX];
    uint32_t got = 0;
    fill(message, bytes, seed);
    CHECK_EQUAL(receive(side, &got), NEIGHBOUR_OK);
    CHECK_EQUAL(got, bytes);
    CHECK_BYTES(buffer, message, bytes);
}

/* Both join and have met. */
static void begin(void)
{
    uint32_t bytes;
    memset(memory, 0, sizeof(memory));
    CHECK_EQUAL(join(0), NEIGHBOUR_OK);
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_look(&sides[0]), NEIGHBOUR_WRITABLE);
    CHECK_EQUAL(neighbour_look(&sides[1]), NEIGHBOUR_WRITABLE);
}

/* @verifies ATL-LLR-NEIGHBOUR-1001~1 */
TEST(arguments_are_judged)
{
    struct neighbour side;
    CHECK_EQUAL(neighbour_join(&side, NULL, NEIGHBOUR_BYTES, 0), NEIGHBOUR_INVALID);
    CHECK_EQUAL(neighbour_join(&side, memory + 4, NEIGHBOUR_BYTES, 0), NEIGHBOUR_INVALID);
    CHECK_EQUAL(neighbour_join(&side, memory, NEIGHBOUR_BYTES - 1, 0), NEIGHBOUR_INVALID);
    CHECK_EQUAL(neighbour_join(&side, memory, NEIGHBOUR_BYTES, 2), NEIGHBOUR_INVALID);
    begin();
    CHECK_EQUAL(neighbour_send(&sides[0], buffer, 0), NEIGHBOUR_INVALID);
    CHECK_EQUAL(neighbour_send(&sides[0], buffer, NEIGHBOUR_MESSAGE_BYTES_MAX + 1),
                NEIGHBOUR_INVALID);
    CHECK_EQUAL(*word(0, HEAD), 0);
}

/* @verifies ATL-LLR-NEIGHBOUR-1001~1 */
TEST(join_writes_the_words_of_the_page)
{
    memset(memory, 0, sizeof(memory));
    *word(1, GENERATION) = 7;
    *word(1, HEAD) = *word(1, TAIL) = *word(1, MET) = *word(1, LEFT) = 9;
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_BYTES(&memory[AREA_BYTES], "ATNB\1\0\0\0\10\0\0\0\0\0\0\0\0\0\0\0", 20);
    CHECK_EQUAL(*word(1, HEAD), 0);
    CHECK_EQUAL(*word(1, TAIL), 0);
    *word(1, GENERATION) = UINT32_MAX;
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(*word(1, GENERATION), 1);
    for (uint32_t i = 0; i < AREA_BYTES; i++) {
        CHECK_EQUAL(memory[i], 0);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 */
TEST(nobody_is_there_until_both_have_met)
{
    uint32_t bytes;
    memset(memory, 0, sizeof(memory));
    CHECK_EQUAL(join(0), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_send(&sides[0], "x", 1), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_look(&sides[0]), 0);
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(neighbour_send(&sides[0], "x", 1), NEIGHBOUR_AGAIN); /* greets */
    CHECK_EQUAL(neighbour_send(&sides[1], "y", 1), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_OK);
    CHECK_EQUAL(bytes, 1);
    CHECK_EQUAL(buffer[0], 'y');
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 */
TEST(messages_of_every_size_both_ways)
{
    begin();
    for (uint32_t bytes = 1; bytes <= NEIGHBOUR_MESSAGE_BYTES_MAX; bytes += bytes < 200 ? 1 : 47) {
        send_one(0, bytes, bytes);
        send_one(1, bytes, bytes + 1);
        receive_one(1, bytes, bytes);
        receive_one(0, bytes, bytes + 1);
    }
    send_one(0, NEIGHBOUR_MESSAGE_BYTES_MAX, 5);
    receive_one(1, NEIGHBOUR_MESSAGE_BYTES_MAX, 5);
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 */
TEST(a_slot_is_as_the_page_says)
{
    begin();
    send_one(0, 1, 3);
    send_one(0, 50, 3);
    const uint8_t *slot = &memory[SLOTS + 64];
    CHECK_BYTES(slot, "\1\0\1\0\60\0\0\0\1\0\0\0\1\0\0\0", 16);
    CHECK_BYTES(slot + 64, "\1\0\0\0\2\0\0\0\2\0\0\0\1\0\0\0", 16);
    CHECK_EQUAL(*word(0, HEAD), 3);
    receive_one(1, 1, 3);
    receive_one(1, 50, 3);
    CHECK_EQUAL(*word(1, TAIL), 3);
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 */
TEST(a_long_message_is_cut_to_the_buffer)
{
    uint32_t bytes = 0;
    uint8_t small[8] = {0};
    begin();
    send_one(0, 100, 1);
    send_one(0, 1, 2);
    CHECK_EQUAL(neighbour_receive(&sides[1], small, 4, &bytes), NEIGHBOUR_OK);
    CHECK_EQUAL(bytes, 100);
    CHECK_EQUAL(small[4], 0);
    receive_one(1, 1, 2);
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 */
TEST(a_message_goes_whole_or_not_at_all)
{
    begin();
    for (uint32_t i = 0; i < 3; i++) {
        send_one(0, NEIGHBOUR_MESSAGE_BYTES_MAX, i);
    }
    send_one(0, 48, 3);
    CHECK_EQUAL(neighbour_look(&sides[0]), 0);
    CHECK_EQUAL(neighbour_send(&sides[0], buffer, NEIGHBOUR_MESSAGE_BYTES_MAX), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(*word(0, HEAD), 193);
    send_one(0, 63 * 48, 4);
    CHECK_EQUAL(neighbour_send(&sides[0], "x", 1), NEIGHBOUR_AGAIN);
    receive_one(1, NEIGHBOUR_MESSAGE_BYTES_MAX, 0);
    CHECK_EQUAL(neighbour_look(&sides[0]), NEIGHBOUR_WRITABLE);
    send_one(0, NEIGHBOUR_MESSAGE_BYTES_MAX, 5);
    receive_one(1, NEIGHBOUR_MESSAGE_BYTES_MAX, 1);
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 */
TEST(positions_wrap)
{
    const uint32_t start = UINT32_MAX - 100;
    begin();
    sides[0].head = sides[0].peer_tail = start;
    sides[1].tail = sides[1].peer_head = start;
    *word(0, HEAD) = *word(1, TAIL) = start;
    for (uint32_t i = 0; i < 50; i++) {
        send_one(0, 200, i);
        receive_one(1, 200, i);
    }
    CHECK_EQUAL(*word(0, HEAD), 250 - 101);
}

/* @verifies ATL-LLR-NEIGHBOUR-1005~1 */
TEST(what_was_sent_before_leaving_is_received)
{
    uint32_t bytes;
    begin();
    send_one(0, 10, 1);
    send_one(0, 100, 2);
    neighbour_leave(&sides[0]);
    CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_CLOSED);
    CHECK_EQUAL(neighbour_look(&sides[1]),
                NEIGHBOUR_READABLE | NEIGHBOUR_WRITABLE | NEIGHBOUR_LEFT);
    receive_one(1, 10, 1);
    receive_one(1, 100, 2);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_CLOSED);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_CLOSED);
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_CLOSED);
    CHECK_EQUAL(*word(1, LEFT), *word(1, GENERATION));
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 */
TEST(a_peer_that_has_left_is_not_greeted)
{
    uint32_t bytes;
    begin();
    neighbour_leave(&sides[0]);
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(*word(1, MET), 0);
    CHECK_EQUAL(join(0), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_send(&sides[0], "x", 1), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_OK);
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 ATL-LLR-NEIGHBOUR-1005~1 */
TEST(a_restart_is_told_and_a_new_life_works)
{
    uint32_t bytes;
    for (uint32_t with_message = 0; with_message < 2; with_message++) {
        begin();
        send_one(0, 60, 1);
        CHECK_EQUAL(join(0), NEIGHBOUR_OK);
        if (with_message == 0) {
            CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_RESET);
        } else {
            CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_RESET);
        }
        CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_RESET);
        CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_RESET);
        CHECK_EQUAL(neighbour_look(&sides[1]),
                    NEIGHBOUR_READABLE | NEIGHBOUR_WRITABLE | NEIGHBOUR_LEFT | NEIGHBOUR_FAILED);
        CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN); /* the old life is not met */
        CHECK_EQUAL(join(1), NEIGHBOUR_OK);
        CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
        send_one(0, 70, 2);
        receive_one(1, 70, 2);
        send_one(1, 80, 3);
        receive_one(0, 80, 3);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 */
TEST(a_greeting_of_the_last_life_does_not_link)
{
    uint32_t bytes;
    begin();
    CHECK_EQUAL(join(0), NEIGHBOUR_OK); /* side 1 has met the life before */
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_send(&sides[0], "x", 1), NEIGHBOUR_AGAIN);
}

struct lie {
    uint32_t offset, value;
};

/* Side 0 lies in one word, with a message of two slots under way in each direction. */
static void lie_and_look(struct lie lie, bool is_for_sender)
{
    uint32_t bytes;
    begin();
    send_one(1, 60, 1);
    receive_one(0, 60, 1);
    send_one(0, 60, 1);
    receive_one(1, 60, 1);
    CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_OK); /* it knows tail = 2 */
    send_one(0, 60, 2);
    *word(0, lie.offset) = lie.value;
    enum neighbour_status status =
        is_for_sender ? neighbour_send(&sides[1], "x", 1) : receive(1, &bytes);
    CHECK_EQUAL(status, NEIGHBOUR_BROKEN);
    CHECK_EQUAL(neighbour_send(&sides[1], "x", 1), NEIGHBOUR_BROKEN);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_BROKEN);
    CHECK_EQUAL(*word(1, LEFT), *word(1, GENERATION));
    CHECK_EQUAL(*word(1, TAIL), 2);
    CHECK_EQUAL(*word(1, HEAD), 3);
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(join(0), NEIGHBOUR_OK);
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
    send_one(0, 5, 9);
    receive_one(1, 5, 9);
}

/* @verifies ATL-LLR-NEIGHBOUR-1004~1 @robust */
TEST(every_lie_to_the_receiver_is_found)
{
    static const struct lie lies[] = {
        {HEAD, 3 + 256},
        {HEAD, 1},
        {HEAD, UINT32_MAX},
        {HEAD, 3},
        {SLOTS + 2 * 64 + KIND, 0},
        {SLOTS + 2 * 64 + KIND, 2},
        {SLOTS + 2 * 64 + KIND, 0x20001},
        {SLOTS + 2 * 64 + KIND, 0x80010001},
        {SLOTS + 2 * 64 + LENGTH, 0},
        {SLOTS + 2 * 64 + LENGTH, 47},
        {SLOTS + 2 * 64 + LENGTH, 49},
        {SLOTS + 2 * 64 + LENGTH, UINT32_MAX},
        {SLOTS + 2 * 64 + POSITION, 3},
        {SLOTS + 2 * 64 + POSITION, 258},
        {SLOTS + 2 * 64 + WRITER, 0},
        {SLOTS + 2 * 64 + WRITER, 2},
        {SLOTS + 3 * 64 + KIND, 0x10001},
        {SLOTS + 3 * 64 + LENGTH, 0},
        {SLOTS + 3 * 64 + LENGTH, 0x80000001},
    };
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        lie_and_look(lies[i], false);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1004~1 @robust */
TEST(every_lie_to_the_sender_is_found)
{
    static const struct lie lies[] = {
        {TAIL, 4}, {TAIL, 1}, {TAIL, 0}, {TAIL, UINT32_MAX}, {TAIL, 3 - 257u}};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        lie_and_look(lies[i], true);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1004~1 @robust */
TEST(a_head_that_goes_back_is_found)
{
    uint32_t bytes;
    begin();
    for (uint32_t i = 0; i < 4; i++) {
        send_one(0, 48, i);
    }
    receive_one(1, 48, 0);
    *word(0, HEAD) = 3;
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_BROKEN);
}

/* @verifies ATL-LLR-NEIGHBOUR-1004~1 @robust */
TEST(a_message_of_too_many_slots_is_found)
{
    uint32_t bytes;
    begin();
    for (uint32_t i = 0; i <= NEIGHBOUR_MESSAGE_SLOTS_MAX; i++) {
        send_one(0, 48, i);
        *word(0, SLOTS + i * 64 + KIND) = i < NEIGHBOUR_MESSAGE_SLOTS_MAX ? 0x10001 : 1;
    }
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_BROKEN);
}

/* @verifies ATL-LLR-NEIGHBOUR-1004~1 @robust */
TEST(a_message_without_an_end_is_found)
{
    uint32_t bytes;
    begin();
    for (uint32_t i = 0; i < NEIGHBOUR_SLOTS; i++) {
        send_one(0, 48, i);
        *word(0, SLOTS + i * 64 + KIND) = 0x10001;
    }
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_BROKEN);
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 @robust */
TEST(another_version_is_refused)
{
    uint32_t bytes;
    for (uint32_t i = 0; i < 2; i++) {
        memset(memory, 0, sizeof(memory));
        CHECK_EQUAL(join(0), NEIGHBOUR_OK);
        CHECK_EQUAL(join(1), NEIGHBOUR_OK);
        (*word(0, i == 0 ? MAGIC : VERSION))++;
        CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_BROKEN);
        CHECK_EQUAL(*word(1, MET), 0);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1002~1 @robust */
TEST(a_life_that_changes_ends_the_link)
{
    static const struct lie lies[] = {{GENERATION, 0}, {GENERATION, 2}, {MET, 0}, {MET, 9}};
    uint32_t bytes;
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        begin();
        send_one(0, 60, 2);
        *word(0, lies[i].offset) = lies[i].value;
        CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_RESET);
    }
}

/* ---- two threads: one life after the other, messages in order, nothing of two lives mixed */
#define LIVES 40u
#define LIFE_MESSAGES 300u

static uint32_t message_bytes(uint32_t number)
{
    return 8 + number * 37 % 400;
}

static void *run_sender(void *unused)
{
    (void)unused;
    uint8_t message[512];
    for (uint32_t life = 1; life <= LIVES; life++) {
        struct neighbour side;
        (void)neighbour_join(&side, memory, sizeof(memory), 0);
        uint32_t sent = 0, limit = life % 3 == 0 ? LIFE_MESSAGES / 2 : LIFE_MESSAGES;
        while (sent < limit) {
            fill(message, message_bytes(sent), life * 1000 + sent);
            memcpy(message, (uint32_t[]){life, sent}, 8);
            enum neighbour_status status = neighbour_send(&side, message, message_bytes(sent));
            if (status == NEIGHBOUR_OK) {
                sent++;
            } else if (status == NEIGHBOUR_AGAIN) {
                sched_yield();
            } else {
                return (void *)1; /* the receiver leaves after us alone */
            }
        }
        if (life % 3 != 0) { /* else it dies without a word */
            uint32_t bytes;
            neighbour_leave(&side);
            while (side.peer[GENERATION / 4] == side.met && side.peer[LEFT / 4] != side.met) {
                sched_yield();
            }
            (void)neighbour_receive(&side, message, sizeof(message), &bytes);
        }
    }
    return NULL;
}

/* @verifies ATL-LLR-NEIGHBOUR-1003~1 ATL-LLR-NEIGHBOUR-1005~1 */
TEST(lives_on_two_threads)
{
    pthread_t thread;
    void *result;
    uint8_t expected[512];
    uint32_t last_life = 0, next = 0, bytes = 0;
    memset(memory, 0, sizeof(memory));
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    CHECK_EQUAL(pthread_create(&thread, NULL, run_sender, NULL), 0);
    while (last_life < LIVES || next < LIFE_MESSAGES) {
        enum neighbour_status status = receive(1, &bytes);
        if (status == NEIGHBOUR_OK) {
            uint32_t head[2];
            memcpy(head, buffer, sizeof(head));
            CHECK(head[0] == last_life || (head[0] > last_life && head[1] == 0));
            next = head[0] == last_life ? next : 0;
            last_life = head[0];
            CHECK_EQUAL(head[1], next);
            CHECK_EQUAL(bytes, message_bytes(next));
            fill(expected, bytes, last_life * 1000 + next);
            CHECK_BYTES(buffer + 8, expected + 8, bytes - 8);
            next++;
        } else if (status == NEIGHBOUR_AGAIN) {
            sched_yield();
        } else {
            CHECK(status == NEIGHBOUR_CLOSED || status == NEIGHBOUR_RESET);
            CHECK(status == NEIGHBOUR_RESET || next == LIFE_MESSAGES);
            CHECK_EQUAL(join(1), NEIGHBOUR_OK);
        }
    }
    CHECK_EQUAL(receive(1, &bytes) == NEIGHBOUR_OK, 0);
    neighbour_leave(&sides[1]);
    CHECK_EQUAL(pthread_join(thread, &result), 0);
    CHECK(result == NULL);
}

/* ---- doorbells: numbers 7 and 9 */
static bool rings(uint32_t side)
{
    uint32_t number = UINT32_MAX;
    bool is_due = neighbour_ring(&sides[side], &number) != 0;
    CHECK(!is_due || number == (side == 0 ? 9 : 7));
    return is_due;
}

static void begin_with_bells(void)
{
    uint32_t bytes;
    memset(memory, 0, sizeof(memory));
    CHECK_EQUAL(join(0), NEIGHBOUR_OK);
    neighbour_bell(&sides[0], 7);
    CHECK(!rings(0)); /* nobody is there */
    CHECK_EQUAL(join(1), NEIGHBOUR_OK);
    neighbour_bell(&sides[1], 9);
    CHECK(rings(1) && !rings(1));
    CHECK_EQUAL(neighbour_ask(&sides[0], NEIGHBOUR_READABLE), 0); /* not linked yet */
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN);
    CHECK(rings(0));
    CHECK_EQUAL(receive(1, &bytes), NEIGHBOUR_AGAIN);
    CHECK(rings(1));
    CHECK_EQUAL(receive(0, &bytes), NEIGHBOUR_AGAIN);
    CHECK(!rings(0) && !rings(1));
    CHECK_EQUAL(*word(1, BELL), 9);
    CHECK_EQUAL(*word(1, RINGS), *word(1, GENERATION));
}

/* @verifies ATL-LLR-NEIGHBOUR-1045~1 */
TEST(only_who_asked_is_rung)
{
    begin_with_bells();
    send_one(0, 1, 0);
    CHECK(!rings(0));
    CHECK_EQUAL(neighbour_ask(&sides[1], NEIGHBOUR_READABLE), 0); /* it is there */
    receive_one(1, 1, 0);
    CHECK(!rings(1));
    CHECK_EQUAL(neighbour_ask(&sides[1], NEIGHBOUR_READABLE), 1);
    CHECK_EQUAL(*word(1, HEAD_ASKED), 1);
    send_one(0, 100, 1); /* passes what was asked for with its first slot */
    send_one(0, 1, 2);
    CHECK(rings(0));
    send_one(0, 1, 3);
    CHECK(!rings(0)); /* once */
    for (uint32_t i = 0; i < 250; i++) {
        send_one(0, 1, i);
    }
    CHECK_EQUAL(neighbour_send(&sides[0], buffer, 100), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_ask(&sides[0], NEIGHBOUR_WRITABLE), 1);
    CHECK_EQUAL(*word(0, TAIL_ASKED), 1);
    receive_one(1, 100, 1);
    CHECK(rings(1));
    receive_one(1, 1, 2);
    CHECK(!rings(1));
    neighbour_leave(&sides[1]);
    CHECK(rings(1));
    CHECK_EQUAL(neighbour_ask(&sides[0], NEIGHBOUR_READABLE), 0); /* the end is told by a look */
}

/* @verifies ATL-LLR-NEIGHBOUR-1045~1 @robust */
TEST(what_a_peer_says_of_its_bell_is_judged)
{
    uint32_t number = 0;
    begin_with_bells();
    CHECK_EQUAL(neighbour_ask(&sides[1], NEIGHBOUR_READABLE), 1);
    *word(1, BELL) = NEIGHBOUR_BELL_MAX + 1;
    send_one(0, 1, 0);
    CHECK_EQUAL(neighbour_ring(&sides[0], &number), 0);
    receive_one(1, 1, 0);
    begin_with_bells();
    *word(1, RINGS) += 1; /* of another life: it does not ring */
    CHECK_EQUAL(neighbour_ask(&sides[0], NEIGHBOUR_READABLE), 0);
    CHECK_EQUAL(neighbour_ask(&sides[1], NEIGHBOUR_READABLE), 1);
    send_one(0, 1, 0);
    CHECK(!rings(0)); /* and is not rung */
    begin_with_bells();
    *word(1, GENERATION) = 0;
    *word(1, RINGS) = 0;
    neighbour_leave(&sides[0]);
    CHECK(!rings(0)); /* no life */
    begin();
    send_one(0, 1, 0);
    CHECK_EQUAL(neighbour_ask(&sides[0], NEIGHBOUR_READABLE), 0);
    CHECK_EQUAL(neighbour_ring(&sides[0], &number), 0); /* without a bell */
}

/* Both sleep until they are rung; a ring that is lost is a test that does not end. */
#define RUNG_MESSAGES 20000u
static sem_t bells[2];

static void after_call(uint32_t side, enum neighbour_status status, uint32_t missing)
{
    uint32_t number;
    bool is_asked = status == NEIGHBOUR_AGAIN && neighbour_ask(&sides[side], missing);
    if (neighbour_ring(&sides[side], &number)) {
        sem_post(&bells[number]);
    }
    if (is_asked) {
        sem_wait(&bells[side]);
    } else if (status == NEIGHBOUR_AGAIN) {
        sched_yield();
    }
}

static void *send_rung(void *argument)
{
    for (uint32_t i = 0; i < RUNG_MESSAGES;) {
        uint32_t bytes = message_bytes(i);
        enum neighbour_status status = neighbour_send(&sides[0], memory + SLOTS, bytes);
        if (status != NEIGHBOUR_OK && status != NEIGHBOUR_AGAIN) {
            return (void *)1;
        }
        after_call(0, status, NEIGHBOUR_WRITABLE);
        i += status == NEIGHBOUR_OK;
    }
    return argument;
}

/* @verifies ATL-LLR-NEIGHBOUR-1045~1 */
TEST(no_ring_is_lost_on_two_threads)
{
    pthread_t thread;
    void *result;
    uint32_t bytes;
    memset(memory, 0, sizeof(memory));
    for (uint32_t side = 0; side < 2; side++) {
        CHECK_EQUAL(sem_init(&bells[side], 0, 0), 0);
        CHECK_EQUAL(join(side), NEIGHBOUR_OK);
        neighbour_bell(&sides[side], side);
    }
    CHECK_EQUAL(pthread_create(&thread, NULL, send_rung, NULL), 0);
    for (uint32_t i = 0; i < RUNG_MESSAGES;) {
        enum neighbour_status status = receive(1, &bytes);
        CHECK(status == NEIGHBOUR_OK || status == NEIGHBOUR_AGAIN);
        CHECK(status != NEIGHBOUR_OK || bytes == message_bytes(i));
        after_call(1, status, NEIGHBOUR_READABLE);
        i += status == NEIGHBOUR_OK;
    }
    CHECK_EQUAL(pthread_join(thread, &result), 0);
    CHECK(result == NULL);
}

CHECK_MAIN()
