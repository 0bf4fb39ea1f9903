/* SPDX-License-Identifier: Apache-2.0 */
/* Random sequences of requests, replies, credit waits, signals and drains on two cores, against a
 * model. One host thread plays both cores: the section of PERCORE variables is exchanged at each
 * step, so a run repeats exactly. Checked: each message arrives once, in order and unchanged;
 * credits match the model; a thread that waits for a credit gets one; a core with news has an
 * interrupt under way; signals are neither lost nor sent to a thread that is gone; all credits come
 * home at the end.
 * @verifies ATL-LLR-PERCPU-0001~1 ATL-LLR-PERCPU-0002~1 ATL-LLR-PERCPU-0003~1 @robust
 * @verifies ATL-LLR-PERCPU-0004~1 ATL-LLR-PERCPU-0005~1 ATL-LLR-PERCPU-0006~1 @robust
 * @verifies ATL-LLR-PERCPU-0007~1 ATL-LLR-PERCPU-0008~1 @robust */
#include "fuzz.h"
#include <outbox.h>
#include <percpu/channel.h>
#include <percpu/operations.h>
#include <percpu/scheduler.h>

#define CORES 2u
#define THREADS 8u
#define FLIGHT_MAX (4u * PERCPU_REQUESTS_MAX)
#define STEPS_MAX 4096u
#define SETTLE_ROUNDS 8u
#define SECTION_BYTES_MAX (1u << 20)
#define OUTBOX_BYTES_MAX (1u << 16)

extern uint8_t __start_percore[], __stop_percore[];

/* Sequence numbers that are under way in one direction, oldest first. */
struct flight {
    uint64_t sequence[FLIGHT_MAX];
    bool is_reply[FLIGHT_MAX];
    uint32_t begin, end;
};

enum waiting { IDLE, AWAITS_CREDIT, AWAITS_REPLY };

struct core {
    uint8_t percore[SECTION_BYTES_MAX];
    alignas(64) uint8_t outbox[OUTBOX_BYTES_MAX];
    struct thread threads[THREADS];
    alignas(64) uint8_t extended[THREADS * 64];
    struct thread *handles[THREADS];
    uint64_t credits;
    bool interrupted;
    /* requests taken and not answered */
    struct percpu_message deferred[PERCPU_REQUESTS_MAX];
    uint32_t deferred_count;
    /* threads */
    enum waiting waiting[THREADS];
    uint32_t credit_queue[THREADS];
    uint32_t credit_queue_count;
    /* signals sent to this core and not taken by a drain */
    bool unpark_expected[THREADS], interrupt_expected[THREADS];
};

static struct core cores[CORES];
static struct flight flights[CORES]; /* by receiver */
static uint32_t current;
static uint64_t next_sequence;

/* Frames and block grants are another target's. */
void grant_initialize(void)
{
}

void frames_initialize(void)
{
}

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

void percpu_operation_ipi(core_id_t core)
{
    cores[core.value].interrupted = true;
}

void percpu_operation_invalidate(uint64_t address, uint64_t bytes)
{
    (void)address;
    (void)bytes;
}

void percpu_operation_switch(struct thread *from, struct thread *to)
{
    (void)from;
    (void)to;
}

uint64_t percpu_operation_now(void)
{
    return 1;
}

void percpu_operation_idle(uint64_t deadline_ns)
{
    (void)deadline_ns;
}

noreturn void percpu_operation_panic(const char *reason)
{
    fprintf(stderr, "panic: %s\n", reason);
    abort();
}

static size_t section_bytes(void)
{
    return (size_t)(__stop_percore - __start_percore);
}

static void become(uint32_t core)
{
    if (core != current) {
        memcpy(cores[current].percore, __start_percore, section_bytes());
        memcpy(__start_percore, cores[core].percore, section_bytes());
        current = core;
    }
}

static struct core *self(void)
{
    return &cores[current];
}

static core_id_t peer(void)
{
    return (core_id_t){(uint16_t)(1 - current)};
}

static void fill(struct percpu_message *message, uint64_t sequence)
{
    for (uint32_t i = 0; i < PERCPU_MESSAGE_ARGUMENTS; i++) {
        message->arguments[i] = sequence * 0x9e3779b97f4a7c15ull + i;
    }
}

static void launch(uint32_t to, uint64_t sequence, bool is_reply)
{
    struct flight *flight = &flights[to];
    FUZZ_REQUIRE(flight->end - flight->begin < FLIGHT_MAX);
    flight->sequence[flight->end % FLIGHT_MAX] = sequence;
    flight->is_reply[flight->end % FLIGHT_MAX] = is_reply;
    flight->end++;
}

/* The oldest message under way to this core must be this one. */
static void land(const struct percpu_message *message, bool is_reply)
{
    struct flight *flight = &flights[current];
    struct percpu_message expected;
    FUZZ_REQUIRE(flight->begin != flight->end);
    uint32_t at = flight->begin++ % FLIGHT_MAX;
    FUZZ_REQUIRE(flight->is_reply[at] == is_reply && (message->is_reply != 0) == is_reply);
    fill(&expected, flight->sequence[at]);
    FUZZ_REQUIRE(memcmp(expected.arguments, message->arguments, sizeof(expected.arguments)) == 0);
}

static void take_request(core_id_t from, const struct percpu_message *request)
{
    FUZZ_REQUIRE(from.value == peer().value && self()->deferred_count < PERCPU_REQUESTS_MAX);
    land(request, false);
    self()->deferred[self()->deferred_count++] = *request;
}

static void take_reply(core_id_t from, const struct percpu_message *reply)
{
    FUZZ_REQUIRE(from.value == peer().value && reply->token == 0);
    FUZZ_REQUIRE(reply->kind == PERCPU_MESSAGE_CALL);
    land(reply, true);
}

/* Sends if the model has a credit; the code must agree. */
static bool request(uint16_t kind, uint64_t token)
{
    struct percpu_message message = {.kind = kind, .token = token};
    fill(&message, next_sequence);
    enum result result = percpu_channel_request(peer(), &message);
    FUZZ_REQUIRE(percpu_channel_credits_free() == self()->credits - (result == RESULT_OK));
    FUZZ_REQUIRE(result == (self()->credits > 0 ? RESULT_OK : RESULT_AGAIN));
    if (result != RESULT_OK) {
        return false;
    }
    self()->credits--;
    launch(peer().value, next_sequence++, false);
    return true;
}

static void thread_continue(struct thread *thread, const struct percpu_message *message)
{
    uint32_t index = thread->index;
    if (message != NULL) {
        FUZZ_REQUIRE(self()->waiting[index] == AWAITS_REPLY);
        FUZZ_REQUIRE(message->token == percpu_thread_handle(thread));
        land(message, true);
        self()->waiting[index] = IDLE;
        return;
    }
    FUZZ_REQUIRE(self()->waiting[index] == AWAITS_CREDIT && self()->credit_queue_count > 0);
    FUZZ_REQUIRE(self()->credit_queue[0] == index); /* FIFO */
    self()->credit_queue_count--;
    memmove(self()->credit_queue, self()->credit_queue + 1,
            self()->credit_queue_count * sizeof(uint32_t));
    self()->waiting[index] = AWAITS_REPLY;
    self()->credits = percpu_channel_credits_free(); /* the reply that woke us is not counted yet */
    FUZZ_REQUIRE(request(PERCPU_MESSAGE_MAP, percpu_thread_handle(thread)));
}

static void answer(uint32_t choice)
{
    if (self()->deferred_count == 0) {
        return;
    }
    uint32_t at = choice % self()->deferred_count;
    struct percpu_message reply = self()->deferred[at];
    self()->deferred[at] = self()->deferred[--self()->deferred_count];
    fill(&reply, next_sequence);
    percpu_channel_reply(peer(), &reply);
    launch(peer().value, next_sequence++, true);
}

/* With must_queue the thread queues even if there is a credit, which the next drain must give it.
 */
static void ask_from_thread(uint32_t index, bool must_queue)
{
    struct thread *thread = self()->handles[index];
    if (self()->waiting[index] != IDLE) {
        return;
    }
    percpu_thread_wait(thread, thread_continue);
    /* A newcomer must not overtake those who wait. */
    if (!must_queue && self()->credit_queue_count == 0 &&
        request(PERCPU_MESSAGE_MAP, percpu_thread_handle(thread))) {
        self()->waiting[index] = AWAITS_REPLY;
        return;
    }
    self()->waiting[index] = AWAITS_CREDIT;
    self()->credit_queue[self()->credit_queue_count++] = index;
    percpu_channel_await_credit(peer(), thread);
}

static void signal_peer(uint32_t index, bool interrupt, bool is_stale)
{
    struct core *other = &cores[peer().value];
    uint32_t generation = other->threads[index].generation + is_stale;
    enum result result = percpu_signal_send_remote(peer(), index, generation, interrupt);
    FUZZ_REQUIRE(result == (is_stale ? RESULT_NO_THREAD : RESULT_OK));
    if (!is_stale) {
        other->unpark_expected[index] |= !interrupt;
        other->interrupt_expected[index] |= interrupt;
    }
}

static void check_signals(void)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        struct thread *thread = self()->handles[i];
        FUZZ_REQUIRE(!self()->unpark_expected[i] || thread->permit);
        FUZZ_REQUIRE(thread->interrupt == self()->interrupt_expected[i]);
        FUZZ_REQUIRE(!thread->permit || self()->unpark_expected[i] ||
                     self()->interrupt_expected[i]);
        thread->permit = false;
        thread->interrupt = false;
        self()->unpark_expected[i] = false;
        self()->interrupt_expected[i] = false;
    }
}

static void drain(void)
{
    self()->interrupted = false;
    percpu_channel_drain();
    self()->credits = percpu_channel_credits_free();
    FUZZ_REQUIRE(flights[current].begin == flights[current].end || self()->interrupted);
    FUZZ_REQUIRE(self()->credits == 0 || self()->credit_queue_count == 0 || self()->interrupted);
    if (!self()->interrupted) {
        FUZZ_REQUIRE(!channel_has_work());
        check_signals();
    }
}

/* Whoever has news from the other core has been told. */
static void check_notified(void)
{
    for (uint32_t c = 0; c < CORES; c++) {
        bool has_news = flights[c].begin != flights[c].end;
        for (uint32_t i = 0; i < THREADS; i++) {
            has_news = has_news || cores[c].unpark_expected[i] || cores[c].interrupt_expected[i];
        }
        FUZZ_REQUIRE(!has_news || cores[c].interrupted);
    }
}

static void start_core(uint32_t c)
{
    struct percpu_config config = {
        .self = {(uint16_t)c},
        .core_count = CORES,
        .thread_count = THREADS,
        .threads = cores[c].threads,
        .extended = cores[c].extended,
        .extended_stride = 64,
        .quantum_ns = 1000000,
        .outbox = {cores[0].outbox, cores[1].outbox},
        .memory_limit = {CORES * LARGE_PAGE_BYTES},
    };
    become(c);
    percpu_initialize(&config);
    percpu_channel_handle(PERCPU_MESSAGE_CALL, take_request, take_reply);
    percpu_channel_handle(PERCPU_MESSAGE_MAP, take_request, NULL);
    for (uint32_t i = 0; i < THREADS; i++) {
        struct thread *thread = NULL;
        FUZZ_REQUIRE(percpu_thread_allocate(&thread) == RESULT_OK);
        self()->handles[thread->index] = thread;
    }
    self()->credits = percpu_channel_credits_free();
    FUZZ_REQUIRE(self()->credits == PERCPU_REQUESTS_MAX);
}

static void start(void)
{
    FUZZ_REQUIRE(section_bytes() <= SECTION_BYTES_MAX);
    FUZZ_REQUIRE(percpu_outbox_bytes(CORES, THREADS, (paddr_t){CORES * LARGE_PAGE_BYTES}) <=
                 OUTBOX_BYTES_MAX);
    for (uint32_t c = 0; c < CORES; c++) {
        size_t behind = offsetof(struct core, outbox);
        memset(cores[c].percore, 0, section_bytes());
        memset((uint8_t *)&cores[c] + behind, 0, sizeof(cores[c]) - behind);
    }
    memset(__start_percore, 0, section_bytes());
    memset(flights, 0, sizeof(flights));
    current = 0;
    next_sequence = 1;
    for (uint32_t c = 0; c < CORES; c++) {
        start_core(c);
    }
    for (uint32_t c = 0; c < CORES; c++) {
        become(c);
        drain();
    }
}

/* One byte: core, operation, operand. */
static void step(uint8_t code)
{
    uint32_t operand = (code >> 4) & 7;
    become(code & 1);
    switch ((code >> 1) & 7) {
    case 0:
        (void)request(PERCPU_MESSAGE_CALL, 0);
        break;
    case 1:
        ask_from_thread(operand, true);
        break;
    case 2:
        answer(operand);
        break;
    case 3:
        ask_from_thread(operand, false);
        break;
    case 4:
        signal_peer(operand, (code & 0x80) != 0, false);
        break;
    case 5:
        signal_peer(operand, (code & 0x80) != 0, true);
        break;
    default:
        drain();
        break;
    }
    check_notified();
}

/* Everybody answers and drains until nothing is under way; then all must be home. */
static void settle(void)
{
    for (uint32_t round = 0; round < SETTLE_ROUNDS; round++) {
        for (uint32_t c = 0; c < CORES; c++) {
            become(c);
            drain();
            while (self()->deferred_count > 0) {
                answer(0);
            }
        }
    }
    for (uint32_t c = 0; c < CORES; c++) {
        become(c);
        FUZZ_REQUIRE(percpu_channel_credits_free() == PERCPU_REQUESTS_MAX * (CORES - 1u));
        FUZZ_REQUIRE(flights[c].begin == flights[c].end && self()->credit_queue_count == 0);
        for (uint32_t i = 0; i < THREADS; i++) {
            FUZZ_REQUIRE(self()->waiting[i] == IDLE);
        }
    }
}

void fuzz_one(const uint8_t *input, size_t bytes)
{
    start();
    for (size_t i = 0; i < bytes && i < STEPS_MAX; i++) {
        step(input[i]);
    }
    settle();
}
