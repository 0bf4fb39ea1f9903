/* SPDX-License-Identifier: Apache-2.0 */
/* Memory between cores: wholly free 2 MiB blocks move by message.
 *
 *     asker A                 giver G                      home H of the block
 *       BLOCK_GRANT  -------->  detaches a block
 *                               BLOCK_HOME(block, A) ------>  publishes owner A
 *                               <------------------- reply
 *       attaches <---- reply
 *
 * If G or A is the home itself, the step in the middle is left out: that core writes its own table.
 * Only the home ever writes the owner entry of a block, and always between the detach on one core
 * and the attach on the other, so an allocated frame's published owner is always right. No thread
 * and no memory is held in between: the middle message carries all that G must know later.
 *
 * A block of another home that becomes wholly free goes home by BLOCK_HOME(block, H) when this core
 * has more free blocks than it keeps; without a credit it stays until the next one becomes free.
 *
 * One search at a time on each core. It asks every peer once a round; a peer that lacks a credit
 * for the middle step answers RESULT_AGAIN and is asked again in another round. */
#include "frames.h"
#include "outbox.h"

#define ROUNDS_MAX 17u

/* arguments of both kinds */
enum { ARGUMENT_BLOCK, ARGUMENT_ASKER };

struct search {
    bool must_repeat;            /* a peer could not answer for lack of a credit */
    uint16_t peer;               /* the one being asked */
    uint32_t asked;              /* so many questions, in all rounds */
    struct thread_queue waiting; /* for its end; empty: none is under way */
    struct thread credit;        /* stands in the credit queue for the search; in no pool */
};

static PERCORE struct search search;

static void finish(enum result status)
{
    struct percpu_message message = {
        .kind = PERCPU_MESSAGE_BLOCK_GRANT, .is_reply = true, .status = status};
    struct thread_queue waiting = search.waiting;
    search.waiting = (struct thread_queue){0};
    search.asked = 0;
    search.must_repeat = false;
    struct thread *thread;
    while ((thread = thread_queue_take(&waiting)) != NULL) {
        ASSERT(thread->state == THREAD_WAITING && thread->continuation != NULL);
        /* May ask again: that is a new search with a new queue. */
        thread->continuation(thread, &message);
    }
}

static void ask(void)
{
    struct percpu_message request = {.kind = PERCPU_MESSAGE_BLOCK_GRANT};
    core_id_t peer = {search.peer};
    if (percpu_channel_request(peer, &request) != RESULT_OK) {
        percpu_channel_await_credit(peer, &search.credit);
    }
}

static void credit_came(struct thread *thread, const struct percpu_message *)
{
    ASSERT(thread == &search.credit && search.waiting.first != NULL);
    ask();
}

/* Asks the peer after the one that was asked last, or ends the search. */
static void ask_next(void)
{
    uint32_t peers = percpu_core_count - 1u;
    if (search.asked != 0 && search.asked % peers == 0) {
        if (!search.must_repeat || search.asked == ROUNDS_MAX * peers) {
            finish(RESULT_NO_MEMORY);
            return;
        }
        search.must_repeat = false;
    }
    search.asked++;
    do {
        search.peer = (uint16_t)((search.peer + 1u) % percpu_core_count);
    } while (search.peer == percpu_self.value);
    ask();
}

/* @impl ATL-LLR-PERCPU-0020~1 */
enum result percpu_frames_grant_request(struct thread *thread, thread_continuation continuation)
{
    if (percpu_core_count == 1) {
        return RESULT_NO_MEMORY;
    }
    percpu_thread_wait(thread, continuation);
    bool is_under_way = search.waiting.first != NULL;
    thread_queue_append(&search.waiting, thread);
    if (!is_under_way) {
        ask_next();
    }
    return RESULT_OK;
}

static void grant_replied(core_id_t from, const struct percpu_message *reply)
{
    ASSERT(search.waiting.first != NULL && from.value == search.peer);
    if (reply->status != RESULT_OK) {
        search.must_repeat |= reply->status == RESULT_AGAIN;
        ask_next();
        return;
    }
    paddr_t block = {reply->arguments[ARGUMENT_BLOCK]};
    if (frames_home(block).value == percpu_self.value) {
        frames_owner_publish(block, percpu_self);
    }
    frames_block_attach(block);
    /* This peer has blocks: it is the first to be asked the next time. */
    search.peer = (uint16_t)((search.peer + percpu_core_count - 1u) % percpu_core_count);
    finish(RESULT_OK);
}

static void grant_answer(core_id_t asker, enum result status, paddr_t block)
{
    const struct percpu_message reply = {.kind = PERCPU_MESSAGE_BLOCK_GRANT,
                                         .status = status,
                                         .arguments = {[ARGUMENT_BLOCK] = block.value}};
    percpu_channel_reply(asker, &reply);
}

static enum result send_home(core_id_t home, paddr_t block, core_id_t asker)
{
    const struct percpu_message request = {
        .kind = PERCPU_MESSAGE_BLOCK_HOME,
        .arguments = {[ARGUMENT_BLOCK] = block.value, [ARGUMENT_ASKER] = asker.value}};
    return percpu_channel_request(home, &request);
}

/* @impl ATL-LLR-PERCPU-0020~1
 * @impl ATL-LLR-PERCPU-0021~1 */
static void grant_requested(core_id_t asker, const struct percpu_message *)
{
    paddr_t block;
    if (!frames_block_detach(&block, false)) {
        grant_answer(asker, RESULT_NO_MEMORY, (paddr_t){0});
        return;
    }
    core_id_t home = frames_home(block);
    if (home.value == percpu_self.value) {
        frames_owner_publish(block, asker);
    } else if (home.value != asker.value) {
        if (send_home(home, block, asker) != RESULT_OK) {
            frames_block_attach(block);
            grant_answer(asker, RESULT_AGAIN, (paddr_t){0});
        }
        return; /* home_replied answers */
    }
    grant_answer(asker, RESULT_OK, block);
}

/* @impl ATL-LLR-PERCPU-0021~1 */
static void home_requested(core_id_t giver, const struct percpu_message *request)
{
    paddr_t block = {request->arguments[ARGUMENT_BLOCK]};
    core_id_t asker = {(uint16_t)request->arguments[ARGUMENT_ASKER]};
    ASSERT(percpu_frame_owner_remote(block).value == giver.value);
    frames_owner_publish(block, asker);
    if (asker.value == percpu_self.value) {
        frames_block_attach(block);
    }
    percpu_channel_reply(giver, request);
}

static void home_replied(core_id_t home, const struct percpu_message *reply)
{
    core_id_t asker = {(uint16_t)reply->arguments[ARGUMENT_ASKER]};
    if (asker.value != home.value) {
        grant_answer(asker, RESULT_OK, (paddr_t){reply->arguments[ARGUMENT_BLOCK]});
    }
}

void grant_return_surplus(void)
{
    paddr_t block;
    if (!frames_block_detach(&block, true)) {
        return;
    }
    core_id_t home = frames_home(block);
    if (send_home(home, block, home) != RESULT_OK) {
        frames_block_attach(block);
    }
}

void grant_initialize(void)
{
    search = (struct search){
        .peer = percpu_self.value,
        .credit = {.state = THREAD_WAITING, .continuation = credit_came},
    };
    percpu_channel_handle(PERCPU_MESSAGE_BLOCK_GRANT, grant_requested, grant_replied);
    percpu_channel_handle(PERCPU_MESSAGE_BLOCK_HOME, home_requested, home_replied);
}
