/* SPDX-License-Identifier: Apache-2.0 */
/* The console of a domain of Xen as a line of the console: its two pages, with another side that is
 * honest, and one that writes what it likes. */
#include <check.h>
#include <cpu/instructions.h>

static int64_t fake_call(bool is_amd, uint64_t number, uint64_t command, const void *argument);
#define cpu_hypercall fake_call
#include "xen.c"

#define INPUT 1024u
#define OUTPUT 2048u
#define LIES 100000u

struct facts shared_facts;
const struct console_line *shared_console_line;
const struct console_line *shared_console_copy;

noreturn void percpu_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

/* What the machine is, what Xen answers, and what it was asked. */
static uint32_t vendor_ebx, hypervisor_ebx;
static uint64_t console_page, console_event, placed_at;
static int64_t place_answer, vector_answer;
static bool was_amd;
static unsigned sends;
static int reason;

struct cpu_id cpu_features_leaf(uint32_t leaf, uint32_t subleaf)
{
    CHECK((leaf == 0 || leaf == 0x40000000) && subleaf == 0);
    return (struct cpu_id){.ebx = leaf == 0 ? vendor_ebx : hypervisor_ebx};
}

static int64_t fake_hvm(uint64_t command, const void *argument)
{
    struct {
        uint16_t domain;
        uint32_t index;
        uint64_t value;
    } asked;
    if (command == 23) {
        CHECK_BYTES(argument, "\0\0\0\0\x42", 5); /* the first core, VECTOR_UART */
        return vector_answer;
    }
    memcpy(&asked, argument, sizeof(asked));
    CHECK(command == 1 && asked.domain == 0x7ff0 && (asked.index == 17 || asked.index == 18));
    asked.value = asked.index == 17 ? console_page : console_event;
    memcpy((void *)(uintptr_t)argument, &asked, sizeof(asked));
    return asked.value == UINT64_MAX ? -1 : 0;
}

static int64_t fake_call(bool is_amd, uint64_t number, uint64_t command, const void *argument)
{
    struct {
        uint16_t domain, size;
        uint32_t space;
        uint64_t index, page;
    } place;
    was_amd = is_amd;
    if (number == 34) {
        return fake_hvm(command, argument);
    }
    if (number == 12) {
        memcpy(&place, argument, sizeof(place));
        CHECK(command == 7 && place.domain == 0x7ff0 && place.space == 0 && place.index == 0);
        placed_at = place.page;
        return place_answer;
    }
    if (number == 29) {
        CHECK_EQUAL(command, 2);
        reason = *(const int *)argument;
        return 0;
    }
    CHECK(number == 32 && command == 4 && *(const uint32_t *)argument == console_event);
    sends++;
    return 0;
}

static uint32_t other_send(const uint8_t *bytes, uint32_t count)
{
    CHECK(bytes != NULL);
    return count;
}

static const struct console_line before = {.send = other_send};

static void machine(void)
{
    shared_facts = (struct facts){
        .memory = {{4 << 20, 64 << 20}},
        .memory_range_count = 1,
        .image_physical = 2 << 20,
        .image_bytes = 2 << 20,
        .physical_address_bits = 40,
    };
    shared_console_line = &before;
    shared_console_copy = NULL;
    vendor_ebx = VENDOR_AMD_EBX;
    hypervisor_ebx = SIGNATURE_EBX;
    console_page = 0xfefff;
    console_event = 2;
    placed_at = 0;
    place_answer = vector_answer = 0;
    sends = 0;
    reason = -1;
    pages = NULL;
}

/* The pages as the other side has them, with something behind them. */
static struct {
    struct pages pages;
    uint8_t behind[64];
} there;

static void attach_at(uint32_t input_index, uint32_t output_index)
{
    machine();
    console_discover_xen();
    memset(&there, 0, sizeof(there));
    there.pages.input_taken = there.pages.input_given = input_index;
    there.pages.output_taken = there.pages.output_given = output_index;
    shared_facts.xen_console = (uint64_t)&there;
    console_attach_xen();
    CHECK(shared_console_line != &before && shared_console_copy == &before);
}

static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

/* @verifies ATL-LLR-BOOT-1320~1 */
TEST(the_console_is_where_xen_says)
{
    machine();
    console_discover_xen();
    CHECK_EQUAL(shared_facts.xen_console, LAYOUT_DEVICE_BASE);
    CHECK_EQUAL(shared_facts.device_page_count, 2);
    CHECK_EQUAL(shared_facts.device_pages[0], 0xfefff000);
    CHECK_EQUAL(placed_at, 0xff000);
    CHECK(was_amd && shared_event == 2);
    machine();
    vendor_ebx = 0x756e6547; /* Intel */
    console_event = 4096 + 5;
    console_discover_xen();
    CHECK(!was_amd && shared_facts.xen_console != 0 && shared_event == 5);
}

static void none(void)
{
    console_discover_xen();
    CHECK_EQUAL(shared_facts.xen_console, 0);
    console_attach_xen();
    CHECK(shared_console_line == &before && shared_console_copy == NULL);
}

/* @verifies ATL-LLR-BOOT-1320~1 ATL-LLR-BOOT-1322~1 @robust */
TEST(a_machine_without_the_console_keeps_its_line)
{
    /* Nothing, memory, the image or below it, beyond all addresses, and all that wraps. */
    const uint64_t nowhere[] = {UINT64_MAX, 0,          1,          0x300,
                                0x3fff,     1ull << 28, 1ull << 52, (1ull << 52) + 0x3fff};
    for (size_t i = 0; i < ARRAY_COUNT(nowhere); i++) {
        machine();
        console_page = nowhere[i];
        none();
        CHECK_EQUAL(placed_at, 0);
    }
    machine();
    shared_facts.has_uart = true;
    none();
    machine();
    hypervisor_ebx = 0x4b4d564b; /* KVM */
    none();
    CHECK_EQUAL(placed_at, 0);
    machine();
    place_answer = -22;
    none();
    machine();
    vector_answer = -22;
    console_discover_xen();
    console_attach_xen();
    CHECK(shared_console_line == &before && shared_console_copy == NULL && pages == NULL);
}

/* Indices wrap. @verifies ATL-LLR-BOOT-1320~1 */
TEST(output_waits_for_room_and_none_is_lost)
{
    attach_at(0, UINT32_MAX - 999);
    uint8_t text[3 * OUTPUT];
    uint32_t given = 0, taken = 0;
    for (uint32_t i = 0; i < sizeof(text); i++) {
        text[i] = pattern(i);
    }
    while (taken < sizeof(text)) {
        uint32_t sent = shared_console_line->send(text + given, sizeof(text) - given);
        given += sent;
        CHECK(given - taken == MIN(OUTPUT, sizeof(text) - taken));
        CHECK_EQUAL(shared_console_line->send(text, given < sizeof(text)), 0);
        CHECK(!shared_console_line->is_idle());
        for (uint32_t i = 0; i < 777 && there.pages.output_taken != there.pages.output_given; i++) {
            CHECK_EQUAL(there.pages.output[there.pages.output_taken++ % OUTPUT], pattern(taken++));
        }
    }
    CHECK(shared_console_line->is_idle());
    CHECK_EQUAL(sends, 1 + (sizeof(text) - OUTPUT + 776) / 777);
}

/* Who found no room is told when there is some. @verifies ATL-LLR-BOOT-1321~1 */
TEST(input_is_taken_byte_by_byte_and_none_is_lost)
{
    attach_at(UINT32_MAX - 99, 0);
    uint8_t byte;
    uint32_t given = 0, taken = 0;
    CHECK(!shared_console_line->receive(&byte));
    for (unsigned round = 1; round <= 5; round++) {
        while (there.pages.input_given - there.pages.input_taken < INPUT) {
            there.pages.input[there.pages.input_given++ % INPUT] = pattern(given++);
        }
        while (shared_console_line->receive(&byte)) {
            CHECK_EQUAL(byte, pattern(taken++));
        }
        CHECK(taken == given && sends == round);
        CHECK_EQUAL(there.pages.input_taken, there.pages.input_given);
    }
}

/* As Xen does it: who finds a bit set changes nothing behind it. */
static bool xen_tells(uint32_t event)
{
    uint64_t bit = 1ull << event % 64, group = 1ull << event / 64;
    if ((atomic_fetch_or(&there.pages.events[event / 64], bit) & bit) != 0 ||
        (atomic_fetch_or(&there.pages.groups, group) & group) != 0) {
        return false;
    }
    bool is_new = there.pages.is_told == 0;
    there.pages.is_told = 1;
    return is_new;
}

/* @verifies ATL-LLR-BOOT-1321~1 */
TEST(an_event_is_told_once_and_the_next_one_again)
{
    attach_at(0, 0);
    CHECK(!shared_console_line->pending());
    for (unsigned i = 0; i < 3; i++) {
        CHECK(xen_tells(2) && !xen_tells(2));
        CHECK(shared_console_line->pending() && !shared_console_line->pending());
    }
    CHECK(xen_tells(1)); /* another one, of the same group: it does not stand in the way */
    CHECK(shared_console_line->pending());
    CHECK(xen_tells(2));
}

/* @verifies ATL-LLR-BOOT-1322~1 @robust */
TEST(indices_that_cannot_be_are_as_if_there_were_nothing)
{
    uint8_t byte;
    attach_at(0, 0);
    there.pages.input_given = INPUT + 1;
    CHECK(!shared_console_line->receive(&byte));
    there.pages.input_given = UINT32_MAX;
    CHECK(!shared_console_line->receive(&byte));
    there.pages.output_taken = 1; /* what was not given */
    CHECK_EQUAL(shared_console_line->send((const uint8_t *)"x", 1), 0);
    there.pages.output_taken = UINT32_MAX - OUTPUT;
    CHECK_EQUAL(shared_console_line->send((const uint8_t *)"x", 1), 0);
    CHECK(sends == 0 && there.pages.input_taken == 0 && there.pages.output_given == 0);
    there.pages.input_given = INPUT; /* and what is right again goes on */
    there.pages.output_taken = 0;
    CHECK(shared_console_line->receive(&byte));
    CHECK_EQUAL(shared_console_line->send((const uint8_t *)"x", 1), 1);
}

/* Both pages are written over all the time; our own indices are not believed from there.
 * @verifies ATL-LLR-BOOT-1322~1 @robust */
TEST(a_side_that_lies_leads_nowhere)
{
    uint8_t text[OUTPUT + 1] = {0}, byte;
    uint64_t state = 1;
    attach_at(0, 0);
    memset(there.behind, 0x5a, sizeof(there.behind));
    for (uint32_t i = 0; i < LIES; i++) {
        uint32_t *indices[] = {&there.pages.input_taken, &there.pages.input_given,
                               &there.pages.output_taken, &there.pages.output_given};
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t lie = (uint32_t)(state >> 32);
        *indices[lie % 4] = (lie & 4) != 0 ? lie : *indices[lie / 8 % 4] + (lie >> 20);
        uint32_t sent = shared_console_line->send(text, sizeof(text));
        CHECK(sent <= OUTPUT);
        for (uint32_t taken = 0; shared_console_line->receive(&byte); taken++) {
            CHECK(taken < INPUT);
        }
    }
    for (size_t i = 0; i < sizeof(there.behind); i++) {
        CHECK_EQUAL(there.behind[i], 0x5a);
    }
    for (size_t i = 0; i < ARRAY_COUNT(there.pages.events); i++) {
        CHECK_EQUAL(there.pages.events[i], 0);
    }
}

/* On another core, whose page this is not. @verifies ATL-LLR-BOOT-1320~1 */
TEST(another_core_leaves_the_pages_alone)
{
    attach_at(0, 0);
    pages = NULL; /* PERCORE */
    CHECK_EQUAL(shared_console_line->send((const uint8_t *)"last", 4), 4);
    CHECK(shared_console_line->is_idle() && there.pages.output_given == 0 && sends == 0);
}

/* @verifies ATL-LLR-BOOT-1247~2 */
TEST(a_domain_says_how_it_ended)
{
    machine();
    power_off_xen(false);
    CHECK_EQUAL(reason, 0);
    power_off_xen(true);
    CHECK_EQUAL(reason, 3);
    reason = -1;
    hypervisor_ebx = 0;
    power_off_xen(true);
    CHECK_EQUAL(reason, -1);
}

CHECK_MAIN()
