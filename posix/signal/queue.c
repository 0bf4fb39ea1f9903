/* SPDX-License-Identifier: Apache-2.0 */
/* Dispositions and queues of pending signals, and who is told of a new one. */
#include "../core/internal.h"
#include "internal.h"

#define NODE_COUNT POSIX_SIGNAL_LIMIT_MAX
#define SET_BITS(signal) (1ull << ((signal)-1))
#define SET_SYNCHRONOUS                                                                            \
    (SET_BITS(SIGSEGV) | SET_BITS(SIGBUS) | SET_BITS(SIGILL) | SET_BITS(SIGTRAP) |                 \
     SET_BITS(SIGFPE) | SET_BITS(SIGSYS))
#define SET_CORE                                                                                   \
    (SET_SYNCHRONOUS | SET_BITS(SIGQUIT) | SET_BITS(SIGABRT) | SET_BITS(SIGXCPU) |                 \
     SET_BITS(SIGXFSZ))
#define SET_STOP (SET_BITS(SIGSTOP) | SET_BITS(SIGTSTP) | SET_BITS(SIGTTIN) | SET_BITS(SIGTTOU))
/* Stopping needs somebody who continues: the four stop signals are ignored, and documented so. */
#define SET_IGNORED                                                                                \
    (SET_STOP | SET_BITS(SIGCHLD) | SET_BITS(SIGCONT) | SET_BITS(SIGURG) | SET_BITS(SIGWINCH))
#define SET_UNBLOCKABLE (SET_BITS(SIGKILL) | SET_BITS(SIGSTOP))

/* One queued signal, or the place for one that its owner keeps (is_reserved). */
struct posix_signal_node {
    struct posix_signal_node *next;
    struct posix_signal_info info;
    bool is_reserved, is_queued;
    posix_signal_taken taken; /* of a reserved one, with key */
    uint64_t key;
};

/* What left a queue. */
struct taken {
    struct posix_signal_info info;
    posix_signal_taken call; /* NULL: nobody wants to know */
    uint64_t key;
};

static struct posix_lock lock; /* rank below the table of threads */
static struct posix_signal_action actions[POSIX_SIGNAL_COUNT + 1];
static struct posix_signal_queue process_queue;
static struct posix_signal_node nodes[NODE_COUNT];
static struct posix_signal_node *free_nodes;
static uint32_t nodes_used_once;
static uint32_t nodes_in_use;
static _Atomic uint64_t nodes_limit = NODE_COUNT; /* RLIMIT_SIGPENDING */
static _Atomic(posix_signal_observer) observer;

uint64_t posix_signal_limit(void)
{
    return atomic_load_explicit(&nodes_limit, memory_order_relaxed);
}

void posix_signal_set_limit(uint64_t limit)
{
    atomic_store_explicit(&nodes_limit, limit, memory_order_relaxed);
}

void posix_signal_observe(posix_signal_observer observe)
{
    atomic_store(&observer, observe);
}

/* NULL: no more, or the limit is reached and holds for this one. */
static struct posix_signal_node *take_node(bool is_limited)
{
    struct posix_signal_node *node = free_nodes;
    if (is_limited && nodes_in_use >= posix_signal_limit()) {
        return NULL;
    }
    if (node != NULL) {
        free_nodes = node->next;
    } else if (nodes_used_once < NODE_COUNT) {
        node = &nodes[nodes_used_once++];
    } else {
        return NULL;
    }
    nodes_in_use++;
    return node;
}

static void give_node(struct posix_signal_node *node)
{
    node->next = free_nodes;
    free_nodes = node;
    nodes_in_use--;
}

struct posix_signal_node *posix_signal_reserve(posix_signal_taken taken)
{
    posix_lock_acquire(&lock);
    struct posix_signal_node *node = take_node(true);
    if (node != NULL) {
        *node = (struct posix_signal_node){.is_reserved = true, .taken = taken};
    }
    posix_lock_release(&lock);
    return node;
}

void posix_signal_unreserve(struct posix_signal_node *node)
{
    posix_lock_acquire(&lock);
    node->is_reserved = false;
    node->taken = NULL;
    if (!node->is_queued) {
        give_node(node);
    }
    posix_lock_release(&lock);
}

enum posix_signal_default posix_signal_default_of(int signal)
{
    uint64_t bit = posix_signal_bit(signal);
    if ((bit & SET_IGNORED) != 0) {
        return POSIX_DEFAULT_IGNORE;
    }
    return (bit & SET_CORE) != 0 ? POSIX_DEFAULT_CORE : POSIX_DEFAULT_TERMINATE;
}

static bool is_ignored(const struct posix_signal_action *action, int signal)
{
    return action->handler == SIG_IGN ||
           (action->handler == SIG_DFL && posix_signal_default_of(signal) == POSIX_DEFAULT_IGNORE);
}

static void append(struct posix_signal_queue *queue, struct posix_signal_node *node)
{
    node->is_queued = true;
    node->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = node;
    } else {
        queue->first = node;
    }
    queue->last = node;
}

/* A standard signal is pending once; a real-time one as often as it was sent.
 * @impl ATL-LLR-SIGNAL-0001~1 */
static int64_t enqueue(struct posix_signal_queue *queue, const struct posix_signal_info *info)
{
    uint64_t bit = posix_signal_bit(info->signal);
    uint64_t pending = atomic_load_explicit(&queue->pending, memory_order_relaxed);
    bool is_realtime = info->signal >= POSIX_SIGNAL_REALTIME_MIN;
    if (!is_realtime && (pending & bit) != 0) {
        return 0;
    }
    struct posix_signal_node *node = take_node(is_realtime || info->code < 0);
    if (node == NULL && is_realtime && info->code != SI_USER) {
        return -EAGAIN;
    }
    if (node != NULL) { /* else the signal is not lost, only who sent it */
        *node = (struct posix_signal_node){.info = *info};
        append(queue, node);
    }
    atomic_store(&queue->pending, pending | bit);
    return 0;
}

/* The signal of a timer. Those of timer_create queue beside others of their number, as on Linux;
 * that of setitimer is a standard signal like any other. */
static bool enqueue_reserved(struct posix_signal_queue *queue, struct posix_signal_node *node)
{
    uint64_t bit = posix_signal_bit(node->info.signal);
    uint64_t pending = atomic_load_explicit(&queue->pending, memory_order_relaxed);
    if (node->is_queued || (node->info.code != SI_TIMER && (pending & bit) != 0)) {
        return false;
    }
    append(queue, node);
    atomic_store(&queue->pending, pending | bit);
    return true;
}

/* Takes the first node of the signal out of the queue; *more tells whether another one stays. */
static struct posix_signal_node *unlink_node(struct posix_signal_queue *queue, int signal,
                                             bool *more)
{
    struct posix_signal_node *found = NULL;
    struct posix_signal_node *previous = NULL;
    *more = false;
    for (struct posix_signal_node *node = queue->first; node != NULL && !*more;) {
        struct posix_signal_node *next = node->next;
        if (node->info.signal == signal && found != NULL) {
            *more = true;
        } else if (node->info.signal == signal) {
            found = node;
            *(previous != NULL ? &previous->next : &queue->first) = next;
            if (queue->last == node) {
                queue->last = previous;
            }
        } else {
            previous = node;
        }
        node = next;
    }
    return found;
}

static bool dequeue(struct posix_signal_queue *queue, uint64_t set, struct taken *taken)
{
    uint64_t pending = atomic_load_explicit(&queue->pending, memory_order_relaxed);
    uint64_t candidates = pending & set;
    if (candidates == 0) {
        return false;
    }
    /* A fault must be seen before the handler of another signal runs on top of it. */
    uint64_t first =
        (candidates & SET_SYNCHRONOUS) != 0 ? candidates & SET_SYNCHRONOUS : candidates;
    int signal = __builtin_ctzll(first) + 1;
    bool more;
    struct posix_signal_node *node = unlink_node(queue, signal, &more);
    if (!more) {
        atomic_store(&queue->pending, pending & ~posix_signal_bit(signal));
    }
    if (node == NULL) {
        *taken = (struct taken){.info = {.signal = signal}};
        return true;
    }
    *taken = (struct taken){node->info, node->taken, node->key};
    node->is_queued = false;
    if (!node->is_reserved) {
        give_node(node);
    }
    return true;
}

static void discard(struct posix_signal_queue *queue, uint64_t set)
{
    struct taken ignored;
    while (dequeue(queue, set, &ignored)) {
    }
}

static bool interrupt_if_open(struct posix_thread *thread, void *context)
{
    uint64_t bit = *(const uint64_t *)context;
    if ((atomic_load(&thread->blocked) & bit) != 0) {
        return false;
    }
    posix_thread_interrupt(thread);
    return true;
}

/* Tells a thread for each signal of the set that waits for anybody. */
static void tell_somebody(uint64_t set)
{
    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        uint64_t bit = rest & -rest;
        posix_thread_visit_all(interrupt_if_open, &bit);
    }
}

static bool copy_mask(struct posix_thread *thread, void *context)
{
    *(uint64_t *)context = atomic_load(&thread->blocked) | atomic_load(&thread->awaited);
    return true;
}

/* An ignored signal is dropped unless it is blocked: a handler may come, or somebody waits for it.
 * As on Linux it is the first thread's mask that counts if the process is meant. */
static bool is_unwanted(struct posix_thread *target, int signal)
{
    posix_lock_acquire(&lock);
    bool ignored = is_ignored(&actions[signal], signal);
    posix_lock_release(&lock);
    if (!ignored) {
        return false;
    }
    uint64_t mask = 0;
    if (target != NULL) {
        copy_mask(target, &mask);
    } else {
        posix_thread_visit(POSIX_PROCESS_ID, copy_mask, &mask);
    }
    return (mask & posix_signal_bit(signal)) == 0;
}

/* A signal to continue takes those to stop with it, and the other way round. */
static void discard_opposite(struct posix_signal_queue *queue, int signal)
{
    uint64_t bit = posix_signal_bit(signal);
    uint64_t opposite = signal == SIGCONT ? SET_STOP : SET_BITS(SIGCONT);
    if (((SET_STOP | SET_BITS(SIGCONT)) & bit) != 0) {
        discard(queue, opposite);
        discard(&process_queue, opposite);
    }
}

/* After something was queued. */
static void tell(struct posix_thread *target, int signal)
{
    uint64_t bit = posix_signal_bit(signal);
    posix_signal_observer observe = atomic_load_explicit(&observer, memory_order_relaxed);
    if (observe != NULL) {
        observe(signal);
    }
    if (target == NULL) {
        tell_somebody(bit);
    } else if ((atomic_load(&target->blocked) & bit) == 0) {
        posix_thread_interrupt(target);
    }
}

static struct posix_signal_queue *queue_of(struct posix_thread *target)
{
    return target != NULL ? &target->signals : &process_queue;
}

/* @impl ATL-LLR-SIGNAL-0002~1 */
int64_t posix_signal_send(struct posix_thread *target, const struct posix_signal_info *info)
{
    if (info->signal == SIGKILL) {
        posix_cell_end(0, SIGKILL);
    }
    bool is_dropped = is_unwanted(target, info->signal);
    posix_lock_acquire(&lock);
    discard_opposite(queue_of(target), info->signal);
    int64_t result = is_dropped ? 0 : enqueue(queue_of(target), info);
    posix_lock_release(&lock);
    if (result == 0 && !is_dropped) {
        tell(target, info->signal);
    }
    return result;
}

/* @impl ATL-LLR-SIGNAL-0005~1 */
bool posix_signal_send_reserved(struct posix_thread *target, struct posix_signal_node *node,
                                const struct posix_signal_info *info, uint64_t key)
{
    if (info->signal == SIGKILL) {
        posix_cell_end(0, SIGKILL);
    }
    if (is_unwanted(target, info->signal)) {
        return false;
    }
    posix_lock_acquire(&lock);
    if (!node->is_queued) {
        node->info = *info;
        node->key = key;
    }
    bool queued = enqueue_reserved(queue_of(target), node);
    posix_lock_release(&lock);
    if (queued) {
        tell(target, info->signal);
    }
    return queued;
}

/* @impl ATL-LLR-SIGNAL-0003~1 */
void posix_signal_force(const struct posix_signal_info *info)
{
    struct posix_thread *self = posix_self();
    uint64_t bit = posix_signal_bit(info->signal);
    posix_lock_acquire(&lock);
    struct posix_signal_action *action = &actions[info->signal];
    uint64_t blocked = atomic_load(&self->blocked);
    if ((blocked & bit) != 0 || action->handler == SIG_IGN) {
        *action = (struct posix_signal_action){.handler = SIG_DFL};
        atomic_store(&self->blocked, blocked & ~bit);
    }
    discard(&self->signals, bit); /* an older one must not stand in for this fault */
    enqueue(&self->signals, info);
    posix_lock_release(&lock);
    posix_words.pending = 1;
}

bool posix_signal_take(struct posix_thread *self, uint64_t set, struct posix_signal_info *info)
{
    struct taken taken;
    posix_lock_acquire(&lock);
    bool found = dequeue(&self->signals, set, &taken) || dequeue(&process_queue, set, &taken);
    posix_lock_release(&lock);
    if (!found) {
        return false;
    }
    *info = taken.info;
    if (taken.call != NULL) {
        taken.call(taken.key, info);
    }
    return true;
}

bool posix_signal_take_to_deliver(struct posix_thread *self, uint64_t set,
                                  struct posix_signal_info *info)
    __attribute__((alias("posix_signal_take")));

struct posix_signal_action posix_signal_action_take(int signal)
{
    posix_lock_acquire(&lock);
    struct posix_signal_action action = actions[signal];
    if ((action.flags & SA_RESETHAND) != 0 && action.handler > SIG_IGN) {
        actions[signal].handler = SIG_DFL;
    }
    posix_lock_release(&lock);
    return action;
}

static bool discard_of_thread(struct posix_thread *thread, void *context)
{
    posix_lock_acquire(&lock);
    discard(&thread->signals, *(const uint64_t *)context);
    posix_lock_release(&lock);
    return false;
}

struct posix_signal_action posix_signal_action_exchange(int signal,
                                                        const struct posix_signal_action *action)
{
    posix_lock_acquire(&lock);
    struct posix_signal_action old = actions[signal];
    bool discards = false;
    if (action != NULL) {
        actions[signal] = *action;
        actions[signal].mask &= ~SET_UNBLOCKABLE;
        discards = is_ignored(action, signal);
    }
    uint64_t bit = posix_signal_bit(signal);
    if (discards) {
        discard(&process_queue, bit);
    }
    posix_lock_release(&lock);
    if (discards) {
        posix_thread_visit_all(discard_of_thread, &bit);
    }
    return old;
}

void posix_signal_default(int signal)
{
    posix_lock_acquire(&lock);
    actions[signal] = (struct posix_signal_action){.handler = SIG_DFL};
    posix_lock_release(&lock);
}

__attribute__((always_inline)) static inline uint64_t pending_of(const struct posix_thread *self)
{
    return atomic_load(&self->signals.pending) | atomic_load(&process_queue.pending);
}

uint64_t posix_signal_pending_set(const struct posix_thread *self)
{
    return pending_of(self);
}

uint64_t posix_signal_deliverable(const struct posix_thread *self)
{
    return pending_of(self) & ~atomic_load(&self->blocked);
}

bool posix_signal_is_pending(void)
{
    const struct posix_thread *self = posix_self();
    return (pending_of(self) & ~atomic_load(&self->blocked)) != 0;
}

/* @impl ATL-LLR-SIGNAL-0004~1 */
void posix_signal_set_blocked(struct posix_thread *self, uint64_t blocked)
{
    uint64_t old = atomic_load_explicit(&self->blocked, memory_order_relaxed);
    uint64_t new = blocked & ~SET_UNBLOCKABLE;
    if (new == old) {
        return;
    }
    atomic_store(&self->blocked, new);
    if (pending_of(self) == 0) {
        return;
    }
    if (posix_signal_deliverable(self) != 0) {
        posix_words.pending = 1;
    }
    /* We may have been the one who was told of a signal for anybody. */
    uint64_t passed_on = atomic_load(&process_queue.pending) & new & ~old;
    if (passed_on != 0) {
        tell_somebody(passed_on);
    }
}

void posix_signal_drop(struct posix_thread *self)
{
    /* Who sends to a thread has found it in the table, and holds its lock until all is done. */
    if (atomic_load(&self->signals.pending) != 0) {
        posix_lock_acquire(&lock);
        discard(&self->signals, UINT64_MAX);
        posix_lock_release(&lock);
    }
    uint64_t passed_on = atomic_load(&process_queue.pending);
    if (passed_on != 0) {
        tell_somebody(passed_on);
    }
}
