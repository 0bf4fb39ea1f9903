/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs a core's stack: see stack.h.
 *
 * The owner word is the only thing that cores contend for. Whoever pushes work looks at it after
 * the push; the holder looks for work after it has let go: one of both sees the other. */
#include "stack.h"

#include "device.h"
#include "support.h"
#include "timers.h"

#include <lwip/init.h>
#include <lwip/sys.h>
#include <posix/thread.h>

#define NS_PER_MS 1000000ull
#define FREE 0u
#define HELD 1u
#define BUSY_TURNS_MAX 16u
#define FRAMES_MAX 1000u  /* as many as Linux's netdev_max_backlog */
#define FRAME_BYTES 2048u /* of one that was not put together, at most */

struct request {
    struct request *next;
    void (*run)(void *argument);
    void *argument;
    uint64_t handle;
    _Atomic uint32_t is_done; /* set last: from then on its stack frame may be gone */
};

struct stack {
    alignas(64) _Atomic uint32_t owner;
    _Atomic(struct request *) requests;   /* the newest first */
    _Atomic(struct net_packet *) packets; /* the newest first */
    _Atomic uint32_t frames;              /* of the device, among them */
    /* Until when the stack's own thread parks: its word, which holders compare with theirs. */
    _Atomic uint64_t parked_until_ns;
    _Atomic bool is_waited_for; /* by that thread, which has to look at the device */
    _Atomic uint64_t thread;    /* handle of that thread; 0: there is no stack */
    struct posix_lock starting;
    _Atomic uint32_t counts[NET_COUNTS]; /* written by the holder */
};
static struct stack stacks[NET_CORES_MAX];

/* The time as the present holder sees it: all its timers start at one instant. */
static PERCORE uint64_t now_ms;

uint64_t net_now_ms(void)
{
    return now_ms;
}

uint32_t sys_now(void)
{
    return (uint32_t)now_ms;
}

void net_stack_note(enum net_count count)
{
    _Atomic uint32_t *value = &stacks[posix_core()].counts[count];
    uint32_t before = atomic_load_explicit(value, memory_order_relaxed);
    atomic_store_explicit(value, before + 1, memory_order_relaxed);
}

uint32_t net_stack_count(uint32_t core, enum net_count count)
{
    return atomic_load_explicit(&stacks[core].counts[count], memory_order_relaxed);
}

static bool take(struct stack *stack)
{
    uint32_t expected = FREE;
    bool is_ours = atomic_compare_exchange_strong(&stack->owner, &expected, HELD);
    if (is_ours) {
        now_ms = posix_now_ns() / NS_PER_MS;
    }
    return is_ours;
}

static struct request *oldest_first(struct request *newest)
{
    struct request *first = NULL;
    while (newest != NULL) {
        struct request *next = newest->next;
        newest->next = first;
        first = newest;
        newest = next;
    }
    return first;
}

static struct net_packet *oldest_packet_first(struct net_packet *newest)
{
    struct net_packet *first = NULL;
    while (newest != NULL) {
        struct net_packet *next = newest->next;
        newest->next = first;
        first = newest;
        newest = next;
    }
    return first;
}

static void serve_requests(struct stack *stack)
{
    struct request *request = oldest_first(atomic_exchange(&stack->requests, NULL));
    while (request != NULL) {
        struct request *next = request->next;
        uint64_t handle = request->handle;
        if (GATE_THREAD_CORE(handle) != posix_core()) {
            net_stack_note(NET_COUNT_MESSAGES);
        }
        request->run(request->argument);
        atomic_store_explicit(&request->is_done, 1, memory_order_release);
        gate_unpark(handle, 0);
        request = next;
    }
}

/* Of a frame that the device put together out of several, so many. */
static uint32_t weight(const struct net_packet *packet)
{
    return 1 + packet->bytes / FRAME_BYTES;
}

static void serve_packets(struct stack *stack)
{
    struct net_packet *packet = oldest_packet_first(atomic_exchange(&stack->packets, NULL));
    while (packet != NULL) {
        struct net_packet *next = packet->next;
        if (packet->is_message) {
            net_stack_note(NET_COUNT_MESSAGES);
        }
        if (packet->kind == NET_PACKET_FRAME) {
            atomic_fetch_sub_explicit(&stack->frames, weight(packet), memory_order_relaxed);
        }
        net_packet_serve(packet);
        packet = next;
    }
}

static bool has_work(struct stack *stack)
{
    return atomic_load(&stack->requests) != NULL || atomic_load(&stack->packets) != NULL;
}

static PERCORE uint32_t busy_turns; /* of the stack's own thread, one after the other */
static PERCORE bool is_sharing;     /* it has the priority of the program's threads */

static uint64_t next_ns(void)
{
    uint64_t next_ms = timers_next();
    return next_ms == UINT64_MAX ? GATE_NEVER : next_ms * NS_PER_MS;
}

/* Does what was left here, lets go, and sees to it that the stack's thread wakes for its timers. */
static void let_go(struct stack *stack)
{
    uint64_t timer_ns = GATE_NEVER;
    do {
        while (has_work(stack)) {
            serve_requests(stack);
            serve_packets(stack);
        }
        device_flush();
        timer_ns = next_ns();
        atomic_store(&stack->owner, FREE);
    } while (has_work(stack) && take(stack));
    if (timer_ns < atomic_load(&stack->parked_until_ns) || atomic_load(&stack->is_waited_for)) {
        gate_unpark(atomic_load(&stack->thread), 0);
    }
}

/* Work was left: whoever can do it first does. */
static void attend(struct stack *stack, uint32_t core)
{
    if (core == posix_core()) {
        if (take(stack)) {
            let_go(stack);
        }
    } else if (atomic_load(&stack->owner) == FREE) {
        gate_unpark(atomic_load(&stack->thread), 0);
    }
}

void net_call(uint32_t core, void (*run)(void *argument), void *argument)
{
    struct stack *stack = &stacks[core];
    if (core == posix_core() && take(stack)) {
        run(argument);
        let_go(stack);
        return;
    }
    struct request request = {
        .run = run, .argument = argument, .handle = posix_thread_handle(posix_self())};
    request.next = atomic_load_explicit(&stack->requests, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&stack->requests, &request.next, &request)) {
    }
    attend(stack, core);
    while (atomic_load_explicit(&request.is_done, memory_order_acquire) == 0) {
        gate_park(GATE_NEVER, GATE_PARK_KEEP_EXTENDED);
    }
}

bool net_stack_takes_frames(uint32_t core)
{
    return atomic_load_explicit(&stacks[core].frames, memory_order_relaxed) < FRAMES_MAX;
}

void net_stack_post(uint32_t core, struct net_packet *packet)
{
    if (atomic_load(&stacks[core].thread) == 0) {
        core = posix_core();
    }
    packet->is_message = core != posix_core();
    struct stack *stack = &stacks[core];
    if (packet->kind == NET_PACKET_FRAME) {
        atomic_fetch_add_explicit(&stack->frames, weight(packet), memory_order_relaxed);
    }
    packet->next = atomic_load_explicit(&stack->packets, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&stack->packets, &packet->next, packet)) {
    }
    /* On this core the caller holds the stack and looks before it lets go. */
    if (core != posix_core() && atomic_load(&stack->owner) == FREE) {
        gate_unpark(atomic_load(&stack->thread), 0);
    }
}

/* What the stack's own thread does with it. Returns until when it may park; 0: not at all.
 * @impl ATL-LLR-NET-0831~1 */
static uint64_t serve_once(struct stack *stack)
{
    timers_run(now_ms);
    bool has_more = device_serve();
    uint64_t until_ns = next_ns();
    atomic_store(&stack->parked_until_ns, until_ns);
    let_go(stack);
    return has_more || !device_is_watched() ? 0 : until_ns;
}

/* Packets go before the program, but not for ever: after so many turns without a pause the thread
 * takes its turns with the program's, until a turn finds nothing.
 *
 * @impl ATL-LLR-POSIX-0974~1 */
static void share_core(bool was_busy)
{
    busy_turns = was_busy ? busy_turns + 1 : 0;
    bool is_to_share = busy_turns >= BUSY_TURNS_MAX;
    if (is_to_share != is_sharing) {
        is_sharing = is_to_share;
        gate_thread_set(0, is_to_share ? GATE_PRIORITY_DEFAULT : POSIX_SERVICE_PRIORITY, GATE_KEEP,
                        0);
    }
}

/* The stack's own thread. Whoever started it holds the stack for it. */
static noreturn void serve(void)
{
    struct stack *stack = &stacks[posix_core()];
    net_support_start();
    now_ms = posix_now_ns() / NS_PER_MS;
    lwip_init();
    net_interface_start();
    bool is_ours = true;
    for (;;) {
        uint64_t until_ns = GATE_NEVER;
        if (is_ours) {
            until_ns = serve_once(stack);
            share_core(until_ns == 0);
        }
        if (until_ns != 0) {
            gate_park(until_ns, 0);
        }
        /* Said before the try: a holder that we do not see gone sees it, and wakes us. */
        atomic_store(&stack->is_waited_for, true);
        is_ours = take(stack);
        if (is_ours) {
            atomic_store(&stack->is_waited_for, false);
        }
    }
}

/* @impl ATL-LLR-POSIX-0901~1 */
int64_t net_stack_start(uint32_t core)
{
    struct stack *stack = &stacks[core];
    if (atomic_load(&stack->thread) != 0) {
        return 0;
    }
    posix_lock_acquire(&stack->starting);
    int64_t handle = 0;
    if (atomic_load(&stack->thread) == 0) {
        atomic_store(&stack->owner, HELD);
        handle = posix_service_start(core, serve);
        if (handle >= 0) {
            atomic_store(&stack->thread, (uint64_t)handle);
        }
    }
    posix_lock_release(&stack->starting);
    return handle < 0 ? handle : 0;
}
