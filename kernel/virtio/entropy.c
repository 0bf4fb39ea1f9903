/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device: virtio 1.2, section 5.4. Without interrupts: what it gave since the last
 * reseed is taken at the next one. */
#include "device.h"

#include <cpu/instructions.h>
#include <crypto/entropy.h>
#include <driver/console.h>
#include <virtio/virtio.h>

#define SAMPLES_BYTES 64u
#define ANSWER_CYCLES_MAX (1ull << 32) /* a second: a busy host is not a device that is dead */

static PERCORE struct virtio_device source;
static PERCORE uint8_t samples[SAMPLES_BYTES];
static PERCORE bool is_on;

static void start(void)
{
    is_on = virtio_device_start(&source) == RESULT_OK;
    if (is_on) {
        virtio_device_give(&source, 0, samples, sizeof(samples), true);
    }
}

/* True: something was added. */
static bool refresh(void)
{
    struct virtqueue_taken taken = {0};
    enum result result = is_on ? virtqueue_take(&source.queues[0], &taken) : RESULT_AGAIN;
    if (result == RESULT_OK) {
        entropy_mix(samples, taken.bytes);
        virtio_device_give(&source, 0, samples, sizeof(samples), true);
    } else if (result == RESULT_IO) {
        start();
    }
    return taken.bytes > 0;
}

/* @impl ATL-LLR-VIRTIO-0011~1 */
void virtio_entropy_start(void)
{
    source.place = &shared_facts.virtio_entropy;
    source.queue_count = 1;
    if (source.place->kind == 0) {
        return;
    }
    start();
    bool has_answered = false;
    uint64_t begin = cpu_rdtsc();
    while (is_on && !has_answered && cpu_rdtsc() - begin < ANSWER_CYCLES_MAX) {
        cpu_pause();
        has_answered = refresh();
    }
    entropy_set_refresh(refresh);
    console_log(CONSOLE_LOG, "atoll: the entropy device %s\n",
                has_answered ? "adds to the generator"
                : is_on      ? "has not answered yet"
                             : "does not follow the protocol: left off");
}
