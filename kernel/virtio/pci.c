/* SPDX-License-Identifier: Apache-2.0 */
#include "pci.h"

#include <driver/device.h>

#define WORD_BAR 4u
#define WORD_SUBSYSTEM 11u
#define WORD_CAPABILITIES 13u
#define BAR_COUNT 6u
#define BAR_IS_PORT 1u
#define BAR_TYPE 6u
#define BAR_WIDE 4u
#define CAPABILITIES_MAX 48u
#define CAPABILITY_WORD_FIRST 16u
#define CAPABILITY_VENDOR 0x09u
#define CAPABILITY_MSIX 0x11u

#define VENDOR_VIRTIO 0x1af4u
#define DEVICE_FIRST 0x1000u
#define DEVICE_MODERN 0x1040u
#define DEVICE_LAST 0x107fu
#define DEVICE_IVSHMEM (DEVICE_MODERN + PCI_KIND_IVSHMEM)
#define IVSHMEM_DOORBELL 12u
/* virtio 1.2, section 4.1.4 */
#define STRUCTURE_COMMON 1u
#define STRUCTURE_NOTIFY 2u
#define STRUCTURE_DEVICE 4u
#define COMMON_BYTES 56u

/* Address of a part of a memory BAR; 0: there is no such one. */
static uint64_t inside_bar(const uint32_t *words, uint32_t index, uint32_t offset)
{
    uint32_t low = index < BAR_COUNT ? words[WORD_BAR + index] : BAR_IS_PORT;
    uint64_t base = low & ~0xfu;
    if ((low & BAR_TYPE) == BAR_WIDE && index + 1 < BAR_COUNT) {
        base |= (uint64_t)words[WORD_BAR + index + 1] << 32;
    }
    return (low & BAR_IS_PORT) != 0 || base == 0 || base > UINT64_MAX - UINT32_MAX ? 0
                                                                                   : base + offset;
}

/* @at the capability's first word; a structure is 5 words at most. The first of a kind counts. */
static void take_capability(const uint32_t *words, uint32_t at, struct facts_virtio *found)
{
    uint32_t structure = words[at] >> 24, bytes = words[at + 3];
    if ((words[at] & 0xff) == CAPABILITY_MSIX && found->msix == 0) {
        found->msix = inside_bar(words, words[at + 1] & 7, words[at + 1] & ~7u);
        found->msix_control = at * 4;
    } else if ((words[at] & 0xff) != CAPABILITY_VENDOR) {
        return;
    } else if (structure == STRUCTURE_COMMON && bytes >= COMMON_BYTES && found->registers == 0) {
        found->registers = inside_bar(words, words[at + 1] & 0xff, words[at + 2]);
    } else if (structure == STRUCTURE_NOTIFY && bytes >= 2 && found->notify == 0) {
        found->notify = inside_bar(words, words[at + 1] & 0xff, words[at + 2]);
        found->notify_bytes = (uint32_t)MIN(bytes, DEVICE_BYTES_MAX);
        found->notify_multiplier = words[at + 4];
    } else if (structure == STRUCTURE_DEVICE && bytes >= VIRTIO_CONFIG_BYTES &&
               found->config == 0) {
        found->config = inside_bar(words, words[at + 1] & 0xff, words[at + 2]);
    }
}

/* @impl ATL-LLR-VIRTIO-0007~2
 * @impl ATL-LLR-NEIGHBOUR-1010~1 ATL-LLR-NEIGHBOUR-1040~1 */
enum result pci_parse_virtio(const uint32_t words[static PCI_CONFIG_WORDS],
                             struct facts_virtio *found)
{
    uint32_t device = words[0] >> 16;
    if ((words[0] & 0xffff) != VENDOR_VIRTIO || device < DEVICE_FIRST ||
        (device > DEVICE_LAST && device != DEVICE_IVSHMEM)) {
        return RESULT_INVALID;
    }
    bool is_modern = device >= DEVICE_MODERN; /* else it can also speak the old way */
    struct facts_virtio new = {
        .kind = is_modern ? device - DEVICE_MODERN : words[WORD_SUBSYSTEM] >> 16, .is_pci = true};
    if (device == DEVICE_IVSHMEM) {
        new.registers = inside_bar(words, 0, 0);
        new.notify = inside_bar(words, 0, IVSHMEM_DOORBELL);
        new.notify_bytes = sizeof(uint32_t);
        new.config = inside_bar(words, 2, 0);
    }
    uint32_t at = (words[WORD_CAPABILITIES] & 0xff) / 4; /* 0: there are none */
    for (uint32_t i = 0;
         i < CAPABILITIES_MAX && at >= CAPABILITY_WORD_FIRST && at + 5 <= PCI_CONFIG_WORDS; i++) {
        take_capability(words, at, &new);
        at = (words[at] >> 8 & 0xff) / 4;
    }
    *found = new;
    return RESULT_OK;
}
