/* SPDX-License-Identifier: Apache-2.0 */
/* How the machine goes on: packet vCont (GDB manual, "Packets"). */
#include "server.h"

#include <cpu/string.h>

void debug_plan_simple(const struct debug_listed *thread, enum debug_action_kind kind,
                       enum debug_action_kind others, uint32_t signal)
{
    struct debug_plan *plan = &debug_server()->plan;
    plan->action_count = 0;
    plan->others = others;
    if (thread != NULL) {
        plan->actions[plan->action_count++] =
            (struct debug_action){.thread = thread->thread.handle, .kind = kind, .signal = signal};
    }
}

/* c, C signal, s, S signal, r start,end */
static bool parse_action(struct debug_text *text, struct debug_action *action)
{
    uint64_t signal = 0;
    *action = (struct debug_action){.kind = DEBUG_ACTION_CONTINUE};
    bool has_signal = debug_text_word(text, "C");
    if (has_signal || debug_text_word(text, "c")) {
        /* as it is */
    } else if (debug_text_word(text, "r")) {
        action->kind = DEBUG_ACTION_STEP;
        return debug_text_number(text, &action->start) && debug_text_word(text, ",") &&
               debug_text_number(text, &action->end);
    } else {
        action->kind = DEBUG_ACTION_STEP;
        has_signal = debug_text_word(text, "S");
        if (!has_signal && !debug_text_word(text, "s")) {
            return false;
        }
    }
    if (has_signal && !debug_text_number(text, &signal)) {
        return false;
    }
    action->signal = (uint32_t)signal;
    return true;
}

/* ---- non-stop mode */

/* :thread, :-1 or nothing: all. */
static bool parse_whom(struct debug_text *text, uint64_t *id, bool *is_all)
{
    *is_all = !debug_text_word(text, ":") || debug_text_word(text, "-1");
    return *is_all || (debug_text_number(text, id) && debug_list_find(*id) != NULL);
}

static bool parse_any(struct debug_text *text, struct debug_action *action)
{
    if (debug_text_word(text, "t")) {
        *action = (struct debug_action){.kind = DEBUG_ACTION_STOP};
        return true;
    }
    return parse_action(text, action);
}

static bool apply_to(const struct debug_listed *thread, const struct debug_action *action)
{
    if (action->kind == DEBUG_ACTION_STOP) {
        return debug_nonstop_stop(thread, 0);
    }
    if (debug_nonstop_can_go(thread)) {
        debug_nonstop_go(thread, action);
    }
    return true;
}

/* Services are stopped only by name. @is_named by position: an earlier action was for that one */
static bool apply(const struct debug_action *action, bool is_all, uint64_t id, bool *is_named)
{
    bool is_done = true;
    for (uint32_t i = 0; i < debug_list_count(); i++) {
        const struct debug_listed *thread = debug_list_at(i);
        bool is_meant = is_all
                            ? action->kind != DEBUG_ACTION_STOP || !debug_nonstop_is_service(thread)
                            : thread->id == id;
        if (is_meant && !is_named[i]) {
            is_named[i] = true;
            is_done = apply_to(thread, action) && is_done;
        }
    }
    return is_done;
}

/* Good throughout, and not too many steps? */
static bool is_possible(struct debug_text text)
{
    uint32_t steps = debug_server()->plan.action_count;
    do {
        struct debug_action action;
        uint64_t id;
        bool is_all;
        if (!parse_any(&text, &action) || !parse_whom(&text, &id, &is_all)) {
            return false;
        }
        if (action.kind == DEBUG_ACTION_STEP) {
            steps += is_all ? debug_list_count() : 1;
        }
    } while (debug_text_word(&text, ";"));
    return text.left == 0 && steps <= DEBUG_ACTIONS_MAX;
}

/* @impl ATL-LLR-DEBUG-0842~1 */
bool debug_plan_apply(struct debug_text text)
{
    static PERCORE bool is_named[DEBUG_THREADS_MAX];
    bool is_done = is_possible(text);
    memset(is_named, 0, sizeof(is_named));
    while (is_done && text.left > 0) {
        struct debug_action action;
        uint64_t id = 0;
        bool is_all;
        (void)parse_any(&text, &action);
        (void)parse_whom(&text, &id, &is_all);
        (void)debug_text_word(&text, ";");
        is_done = apply(&action, is_all, id, is_named);
    }
    return is_done;
}

/* ---- all-stop mode */

static bool is_named_before(const struct debug_plan *plan, uint64_t handle)
{
    for (uint32_t i = 0; i < plan->action_count; i++) {
        if (plan->actions[i].thread == handle) {
            return true;
        }
    }
    return false;
}

/* Of one thread. The leftmost action that names a thread counts. */
static bool plan_add(struct debug_plan *plan, struct debug_action action, uint64_t id)
{
    const struct debug_listed *thread = debug_list_find(id);
    if (thread == NULL) {
        return false;
    }
    action.thread = thread->thread.handle;
    if (is_named_before(plan, action.thread)) {
        return true;
    }
    if (plan->action_count == DEBUG_ACTIONS_MAX) {
        return false;
    }
    plan->actions[plan->action_count++] = action;
    return true;
}

/* Of all threads that nothing before named: a signal or a step is for the one that stopped. */
static bool plan_rest(struct debug_plan *plan, struct debug_action action)
{
    const struct debug_listed *selected = debug_selected();
    plan->others = DEBUG_ACTION_CONTINUE;
    bool is_plain = action.kind == DEBUG_ACTION_CONTINUE && action.signal == 0;
    return is_plain || selected == NULL || plan_add(plan, action, selected->id);
}

/* @impl ATL-LLR-DEBUG-0019~1 */
bool debug_plan_parse(struct debug_text *text)
{
    struct debug_plan *plan = &debug_server()->plan;
    plan->action_count = 0;
    plan->others = DEBUG_ACTION_STOP;
    do {
        struct debug_action action;
        uint64_t id;
        if (!parse_action(text, &action)) {
            return false;
        }
        bool is_all = !debug_text_word(text, ":") || debug_text_word(text, "-1");
        if (!is_all && !debug_text_number(text, &id)) {
            return false;
        }
        if (is_all ? !plan_rest(plan, action) : !plan_add(plan, action, id)) {
            return false;
        }
    } while (debug_text_word(text, ";"));
    return text->left == 0;
}
