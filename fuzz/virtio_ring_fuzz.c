/* SPDX-License-Identifier: Apache-2.0 */
/* A virtqueue whose device writes what it likes wherever both sides can, against a model that knows
 * which buffers the device has. Also the parser of a PCI function's configuration space.
 * @verifies ATL-LLR-VIRTIO-0005~1 ATL-LLR-VIRTIO-0006~1 @robust
 * @verifies ATL-LLR-VIRTIO-0007~2 @robust */
#include "fuzz.h"
#include <pci.h>
#include <queue.h>

#define QUEUE_SIZE_MAX 256u
#define STEPS_MAX 4096u

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: ASSERT(%s)\n", file, line, expression);
    abort();
}

struct model {
    struct {
        bool is_given, is_to_write;
        uint32_t bytes;
        uint64_t physical;
    } buffers[QUEUE_SIZE_MAX];
    uint32_t given_count;
    bool is_broken;
};

static void give(struct virtqueue *queue, struct model *model, uint32_t bytes, bool is_to_write)
{
    uint32_t before = queue->available_index;
    uint64_t physical = 0x1000ull * (before + 1);
    enum result result = virtqueue_give(
        queue, physical,
        (struct virtqueue_descriptor){physical, bytes, is_to_write ? VIRTQUEUE_WRITE : 0, 0});
    FUZZ_REQUIRE((result == RESULT_OK) == (model->given_count < queue->size));
    if (result != RESULT_OK) {
        FUZZ_REQUIRE(result == RESULT_AGAIN && queue->available_index == before);
        return;
    }
    uint16_t id = queue->available->ring[before % queue->size];
    FUZZ_REQUIRE(id < queue->size && !model->buffers[id].is_given);
    const struct virtqueue_descriptor *descriptor =
        (const struct virtqueue_descriptor *)(const void *)queue->memory + id;
    FUZZ_REQUIRE(descriptor->physical == physical && descriptor->bytes == bytes);
    FUZZ_REQUIRE(descriptor->flags == (is_to_write ? 2 : 0) && descriptor->next == 0);
    FUZZ_REQUIRE(queue->available->index == queue->available_index);
    model->buffers[id].is_given = true;
    model->buffers[id].is_to_write = is_to_write;
    model->buffers[id].bytes = bytes;
    model->buffers[id].physical = physical;
    model->given_count++;
}

static void take(struct virtqueue *queue, struct model *model)
{
    struct virtqueue_taken taken = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
    enum result result = virtqueue_take(queue, &taken);
    FUZZ_REQUIRE(!model->is_broken || result == RESULT_IO);
    if (result == RESULT_OK) {
        FUZZ_REQUIRE(taken.id < queue->size && model->buffers[taken.id].is_given);
        FUZZ_REQUIRE(taken.bytes <=
                     (model->buffers[taken.id].is_to_write ? model->buffers[taken.id].bytes : 0));
        FUZZ_REQUIRE(taken.physical == model->buffers[taken.id].physical);
        model->buffers[taken.id].is_given = false;
        model->given_count--;
    } else {
        FUZZ_REQUIRE(result == RESULT_AGAIN || result == RESULT_IO);
        FUZZ_REQUIRE(taken.id == UINT32_MAX);
        model->is_broken = result == RESULT_IO;
    }
}

/* As a device that keeps the rules would, with an id and a length of the input. */
static void use(struct virtqueue *queue, uint32_t id, uint32_t bytes)
{
    struct virtqueue_used *used = queue->used;
    used->ring[used->index % queue->size].id = id;
    used->ring[used->index % queue->size].bytes = bytes;
    used->index++;
}

static void scribble(struct virtqueue *queue, struct fuzz_input *input)
{
    size_t at = fuzz_take(input, 2) % VIRTQUEUE_BYTES(queue->size);
    queue->memory[at] = (uint8_t)fuzz_take(input, 1);
}

static void try_ring(struct fuzz_input *input, uint16_t size)
{
    /* Exactly as much as there is: sanitizers see what lies beyond. */
    uint8_t *memory = aligned_alloc(16, VIRTQUEUE_BYTES(size));
    struct virtqueue_slot *slots = calloc(size, sizeof(*slots));
    struct virtqueue ring = {.memory = memory, .slots = slots, .size = size}, *queue = &ring;
    struct model model = {0};
    FUZZ_REQUIRE(memory != NULL && slots != NULL);
    virtqueue_empty(queue);
    for (uint32_t i = 0; i < STEPS_MAX && input->left > 0; i++) {
        uint8_t step = (uint8_t)fuzz_take(input, 1);
        if (step % 5 <= 1) {
            give(queue, &model, (uint32_t)fuzz_take(input, 2) + 1, step % 5 == 1);
        } else if (step % 5 == 2) {
            take(queue, &model);
        } else if (step % 5 == 3) {
            use(queue, (uint32_t)fuzz_take(input, 1), (uint32_t)fuzz_take(input, 2));
        } else {
            scribble(queue, input);
        }
    }
    free(slots);
    free(memory);
}

static void try_pci(struct fuzz_input *input)
{
    uint32_t words[PCI_CONFIG_WORDS];
    struct facts_virtio found = {.kind = UINT32_MAX};
    for (uint32_t i = 0; i < PCI_CONFIG_WORDS; i++) {
        words[i] = (uint32_t)fuzz_take(input, 4);
    }
    words[0] = words[0] << 16 | 0x1af4;
    if (pci_parse_virtio(words, &found) != RESULT_OK) {
        FUZZ_REQUIRE(found.kind == UINT32_MAX && found.registers == 0);
        return;
    }
    FUZZ_REQUIRE(found.notify == 0 || found.notify_bytes >= 2);
    FUZZ_REQUIRE(found.msix == 0 || (found.msix_control >= 0x40 && found.msix_control < 0x100));
}

void fuzz_one(const uint8_t *bytes, size_t count)
{
    struct fuzz_input input = {bytes, count};
    uint8_t what = (uint8_t)fuzz_take(&input, 1);
    if ((what & 1) != 0) {
        try_pci(&input);
    } else {
        try_ring(&input, (what & 2) != 0 ? QUEUE_SIZE_MAX : 4);
    }
}
