/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration spaces of virtio devices, with each field that is checked made wrong once. */
#include <check.h>
#include <pci.h>

static uint32_t words[PCI_CONFIG_WORDS];
static struct facts_virtio found;

static void put_structure(uint32_t at, uint32_t next, uint32_t kind, uint32_t bar, uint32_t offset)
{
    words[at] = 0x09 | next * 4 << 8 | 20 << 16 | kind << 24;
    words[at + 1] = bar;
    words[at + 2] = offset;
    words[at + 3] = 0x1000;
    words[at + 4] = 4;
}

/* As QEMU's: MSI-X in BAR 1, everything else in BARs 4 and 5. */
static void make(void)
{
    memset(words, 0, sizeof(words));
    memset(&found, 0xaa, sizeof(found));
    words[0] = 0x10441af4;
    words[1] = 0x00100003;
    words[5] = 0xfebf1000;
    words[8] = 0xfe00000c;
    words[9] = 0x00000001;
    words[13] = 0x40;
    words[16] = 0x11 | 21 * 4 << 8 | 1u << 16;
    words[17] = 0x1 | 0x20;
    put_structure(21, 26, 1, 4, 0);
    put_structure(26, 31, 2, 4, 0x3000);
    put_structure(31, 36, 3, 4, 0x1000);
    put_structure(36, 0, 4, 4, 0x2000);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 */
TEST(registers_are_found)
{
    make();
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.kind, 4);
    CHECK_EQUAL(found.registers, 0x1fe000000);
    CHECK_EQUAL(found.notify, 0x1fe003000);
    CHECK(found.notify_bytes == 0x1000 && found.notify_multiplier == 4);
    CHECK_EQUAL(found.config, 0x1fe002000);
    CHECK_EQUAL(found.msix, 0xfebf1020);
    CHECK_EQUAL(found.msix_control, 0x40);
    words[0] = 0x10051af4; /* can also speak the old way */
    words[11] = 0x00041af4;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.kind, 4);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 @robust */
TEST(other_devices_are_told_apart)
{
    const uint32_t ids[] = {0x10448086, 0xffffffff, 0x0fff1af4, 0x10801af4, 0};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        make();
        words[0] = ids[i];
        CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_INVALID);
        CHECK_EQUAL(found.kind, 0xaaaaaaaa);
    }
}

static void check_missing(uint32_t index, uint32_t value)
{
    make();
    words[index] = value;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK(found.registers == 0 || found.notify == 0);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 @robust */
TEST(a_configuration_that_is_too_short_is_none)
{
    make();
    words[36 + 3] = 11;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.config, 0);
    make();
    words[36 + 1] = 6; /* there are six BARs */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.config, 0);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 @robust */
TEST(registers_without_addresses_are_not_found)
{
    check_missing(13, 0);         /* none either */
    check_missing(13, 0x3c);      /* inside the header */
    check_missing(13, 0xf0);      /* leaves configuration space */
    check_missing(8, 0xc001);     /* ports */
    check_missing(22, 6);         /* no such BAR */
    check_missing(22, 255);       /* none either */
    check_missing(24, 55);        /* too short */
    check_missing(29, 1);         /* too short */
    check_missing(9, 0xffffffff); /* runs over the end of all addresses */
    make();
    words[8] = words[9] = 0; /* not assigned */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK(found.registers == 0 && found.notify == 0);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 @robust */
TEST(a_list_without_end_ends)
{
    make();
    words[31] = 0x09 | 26 * 4 << 8 | 3u << 24;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    make();
    words[16] = 0x40 << 8;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.registers, 0);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 @robust */
TEST(a_structure_that_leaves_configuration_space_is_not_read)
{
    make();
    words[13] = 0xf0;
    words[60] = 0x09 | 2u << 24;
    words[61] = 4;
    words[63] = 0x1000;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.notify, 0);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 */
TEST(the_first_structure_of_a_kind_counts)
{
    make();
    put_structure(31, 0, 1, 4, 0x9000);
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.registers, 0x1fe000000);
}

/* @verifies ATL-LLR-VIRTIO-0007~2 */
TEST(a_device_without_message_interrupts_has_none)
{
    make();
    words[16] = 0x05 | 21 * 4 << 8;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.msix, 0);
    make();
    words[17] = 7; /* no such BAR */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.msix, 0);
}

/* An ivshmem function with a doorbell, as QEMU's. */
static void make_ivshmem(void)
{
    make();
    words[0] = 0x11101af4;
    words[4] = 0xfebf2000;
    words[6] = 0xfd00000c;
    words[7] = 0x00000002;
    words[8] = words[9] = 0;
    words[13] = 0x40;
    words[16] = 0x11;
}

/* @verifies ATL-LLR-NEIGHBOUR-1010~1 @robust */
TEST(memory_shared_with_a_neighbour_is_bar_2)
{
    make_ivshmem();
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.kind, PCI_KIND_IVSHMEM);
    CHECK_EQUAL(found.config, 0x2fd000000);
    words[6] = 0xfd000008; /* a narrow one */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.config, 0xfd000000);
    words[6] = 0xc001;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.config, 0);
    words[6] = 0x0000000c;
    words[7] = 0;
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.config, 0); /* nobody gave it an address */
    for (uint32_t device = 0x1080; device < 0x1200; device += 0x10) {
        words[0] = device << 16 | 0x1af4;
        CHECK_EQUAL(pci_parse_virtio(words, &found), device == 0x1110 ? RESULT_OK : RESULT_INVALID);
    }
}

/* @verifies ATL-LLR-NEIGHBOUR-1040~1 @robust */
TEST(a_doorbell_is_in_bar_0_and_msix)
{
    make_ivshmem();
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.registers, 0xfebf2000);
    CHECK_EQUAL(found.notify, 0xfebf200c);
    CHECK_EQUAL(found.notify_bytes, 4);
    CHECK_EQUAL(found.msix, 0xfebf1020);
    CHECK_EQUAL(found.msix_control, 0x40);
    words[13] = 0; /* the plain one has no interrupt */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK_EQUAL(found.msix, 0);
    words[4] = 0xc001; /* nor has it registers that are no memory */
    CHECK_EQUAL(pci_parse_virtio(words, &found), RESULT_OK);
    CHECK(found.registers == 0 && found.notify == 0);
}

CHECK_MAIN()
