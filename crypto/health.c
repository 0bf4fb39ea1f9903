/* SPDX-License-Identifier: Apache-2.0 */
#include "health.h"

/* @impl ATL-LLR-ENTROPY-0005~1
 * @impl ATL-LLR-ENTROPY-0006~1 */
void health_begin(struct health *health, struct health_limits limits)
{
    *health = (struct health){.limits = limits};
}

/* @impl ATL-LLR-ENTROPY-0005~1 */
static void repetition(struct health *health, uint8_t sample)
{
    if (health->repeated > 0 && sample == health->last) {
        health->repeated++;
    } else {
        health->last = sample;
        health->repeated = 1;
    }
    health->has_failed = health->has_failed || health->repeated >= health->limits.repetitions;
}

/* @impl ATL-LLR-ENTROPY-0006~1 */
static void proportion(struct health *health, uint8_t sample)
{
    if (health->window_at == 0) {
        health->window_first = sample;
        health->window_count = 0;
    }
    if (sample == health->window_first) {
        health->window_count++;
    }
    health->has_failed = health->has_failed || health->window_count >= health->limits.proportion;
    health->window_at = (uint16_t)((health->window_at + 1u) % HEALTH_WINDOW);
}

/* @impl ATL-LLR-ENTROPY-0005~1
 * @impl ATL-LLR-ENTROPY-0006~1 */
bool health_sample(struct health *health, uint8_t sample)
{
    if (!health->has_failed) {
        repetition(health, sample);
        proportion(health, sample);
    }
    return !health->has_failed;
}
