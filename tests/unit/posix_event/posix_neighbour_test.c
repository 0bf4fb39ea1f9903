/* SPDX-License-Identifier: Apache-2.0 */
/* The device file of a neighbour where memory, addresses or the peer fail, with the test as the
 * peer; and when the deadline looks for those who watch. */
#include "../check.h"
#include "../posix_file/shim.h"

#include <bell.h>
#include <neighbour.h>
#include <posix/deadline.h>
#include <posix/file.h>
#include <posix/syscalls.h>

#define ADDRESS(place_) ((uint64_t)(uintptr_t)(place_))
#define HERE ((uint64_t)-100)
#define CTL_ADD 1u
#define EDGE 0x80000000u

struct linux_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

extern struct posix_deadline *shim_deadline;

static _Alignas(64) uint8_t memory[NEIGHBOUR_BYTES];
static struct neighbour peer;
static uint8_t bytes[NEIGHBOUR_MESSAGE_BYTES_MAX];

/* The doorbell, without its thread: the test calls device_look in its place. */
struct bell_counts bell_counts;
static int64_t bell_number = -ENODEV;
static uint32_t rings;

int64_t bell_start(void)
{
    return bell_number;
}

void bell_ring(uint32_t side, uint32_t number)
{
    CHECK(side == 0 && number == 3);
    rings++;
}

void bell_finish(void)
{
}

static void start(void)
{
    static const struct test_file files[] = {{"/p", 0100755, "x", 1}};
    struct test_strings none = {"", 0, 0};
    static struct test_image image;
    if (image.payload == NULL) { /* there is one tree of files */
        image = test_image_build(files, 1, "/p", none, none);
        shim_start(&image, IMAGE_FLAG_FRAMED);
        posix_file_initialize();
    }
    shim_neighbour(memory, sizeof(memory));
}

static int64_t open_end(uint64_t flags)
{
    return posix_openat(HERE, ADDRESS("/dev/neighbour0"), POSIX_O_RDWR | flags, 0);
}

static int64_t read_end(int64_t end)
{
    return posix_read((uint64_t)end, ADDRESS(bytes), sizeof(bytes));
}

/* Opened, and both have met. */
static int64_t meet(uint64_t flags)
{
    uint32_t got;
    start();
    int64_t end = open_end(flags);
    CHECK(end >= 0);
    CHECK_EQUAL(neighbour_join(&peer, memory, sizeof(memory), 1), NEIGHBOUR_OK);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_AGAIN);
    if ((flags & POSIX_O_NONBLOCK) != 0) {
        CHECK_EQUAL(read_end(end), -EAGAIN);
    }
    return end;
}

/* @verifies ATL-LLR-NEIGHBOUR-1023~1 @robust */
TEST(an_open_that_fails_leaves_nothing)
{
    start();
    shim_neighbour(NULL, 0);
    int64_t end = open_end(0); /* the directory is looked at for the first time */
    CHECK_EQUAL(end, -ENXIO);
    uint64_t before = shim_allocations;
    CHECK_EQUAL(open_end(0), -ENXIO);
    shim_neighbour(memory, sizeof(memory));
    bool has_failed = true;
    for (uint32_t nth = 1; has_failed; nth++) {
        shim_fail_allocation = nth;
        end = open_end(0);
        has_failed = shim_fail_allocation == 0;
        shim_fail_allocation = 0;
        CHECK_EQUAL(has_failed ? end : end >= 0, has_failed ? -ENOMEM : 1);
        CHECK(!has_failed || shim_allocations == before);
    }
    CHECK_EQUAL(open_end(0), -EBUSY);
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    CHECK_EQUAL(shim_allocations, before);
}

/* @verifies ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1021~1 @robust */
TEST(calls_that_fail_move_no_message)
{
    uint32_t got = 0;
    int64_t end = meet(POSIX_O_NONBLOCK);
    uint64_t before = shim_allocations;
    shim_fail_allocation = 1;
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("hello"), 5), -ENOMEM);
    CHECK_EQUAL(posix_write((uint64_t)end, 8, 5), -EFAULT);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_AGAIN);
    CHECK_EQUAL(neighbour_send(&peer, "world", 5), NEIGHBOUR_OK);
    shim_fail_allocation = 1;
    CHECK_EQUAL(read_end(end), -ENOMEM);
    CHECK_EQUAL(read_end(end), 5);
    CHECK_BYTES(bytes, "world", 5);
    CHECK_EQUAL(shim_allocations, before);
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_CLOSED);
}

/* @verifies ATL-LLR-NEIGHBOUR-1020~1 ATL-LLR-NEIGHBOUR-1021~1 @robust */
TEST(what_the_peer_does_wrong_is_an_error)
{
    int64_t end = meet(POSIX_O_NONBLOCK);
    ((uint32_t *)memory)[NEIGHBOUR_BYTES / 2 / 4 + 16] = 1000; /* the peer's head */
    CHECK_EQUAL(read_end(end), -EPROTO);
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("x"), 1), -EPROTO);
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    end = meet(POSIX_O_NONBLOCK);
    CHECK_EQUAL(neighbour_join(&peer, memory, sizeof(memory), 1), NEIGHBOUR_OK);
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("x"), 1), -ECONNRESET);
    CHECK_EQUAL(read_end(end), -ECONNRESET);
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    end = meet(POSIX_O_NONBLOCK);
    neighbour_leave(&peer);
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("x"), 1), -EPIPE);
    CHECK_EQUAL(read_end(end), 0);
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
}

/* @verifies ATL-LLR-NEIGHBOUR-1022~2 */
TEST(the_deadline_looks_while_there_is_something_to_wait_for)
{
    uint32_t got;
    int64_t end = meet(POSIX_O_NONBLOCK);
    struct linux_event event = {POSIX_POLL_IN | EDGE, 7};
    int64_t set = posix_epoll_create1(0);
    shim_deadline->expire(shim_deadline);
    CHECK_EQUAL(posix_epoll_ctl((uint64_t)set, CTL_ADD, (uint64_t)end, ADDRESS(&event)), 0);
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(&event), 1, 0), 0);
    CHECK(shim_deadline->at_ns != GATE_NEVER);
    shim_deadline->at_ns = GATE_NEVER;
    shim_deadline->expire(shim_deadline);
    CHECK(shim_deadline->at_ns != GATE_NEVER); /* nothing yet: it looks again, later */
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(&event), 1, 0), 0);
    CHECK_EQUAL(neighbour_send(&peer, "x", 1), NEIGHBOUR_OK);
    shim_deadline->at_ns = GATE_NEVER;
    shim_deadline->expire(shim_deadline);
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(&event), 1, 0), 1);
    CHECK_EQUAL(event.events, POSIX_POLL_IN);
    CHECK_EQUAL(shim_deadline->at_ns, GATE_NEVER); /* all that there can be is there */
    CHECK_EQUAL(read_end(end), 1);
    CHECK_EQUAL(read_end(end), -EAGAIN); /* now there is something to wait for again */
    CHECK(shim_deadline->at_ns != GATE_NEVER);
    CHECK_EQUAL(posix_close((uint64_t)set), 0);
    shim_deadline->at_ns = GATE_NEVER;
    shim_deadline->expire(shim_deadline);
    CHECK_EQUAL(shim_deadline->at_ns, GATE_NEVER); /* nobody watches */
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_CLOSED);
}

/* @verifies ATL-LLR-NEIGHBOUR-1046~1 */
TEST(with_a_bell_no_deadline_looks)
{
    uint32_t got, number;
    struct linux_event event = {POSIX_POLL_IN | EDGE, 7};
    start();
    bell_number = 5;
    int64_t end = open_end(POSIX_O_NONBLOCK), set = posix_epoll_create1(0);
    CHECK_EQUAL(neighbour_join(&peer, memory, sizeof(memory), 1), NEIGHBOUR_OK);
    neighbour_bell(&peer, 3);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_AGAIN);
    CHECK(neighbour_ring(&peer, &number) && number == 5);
    rings = 0;
    CHECK_EQUAL(read_end(end), -EAGAIN); /* has met, and asked */
    CHECK_EQUAL(rings, 1);
    CHECK_EQUAL(posix_epoll_ctl((uint64_t)set, CTL_ADD, (uint64_t)end, ADDRESS(&event)), 0);
    shim_deadline->at_ns = GATE_NEVER;
    shim_deadline->expire(shim_deadline); /* the watch gets to know of the room that there is */
    CHECK_EQUAL(shim_deadline->at_ns, GATE_NEVER);
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(&event), 1, 0), 0);
    CHECK_EQUAL(read_end(end), -EAGAIN);
    CHECK_EQUAL(shim_deadline->at_ns, GATE_NEVER);
    CHECK(!device_look()); /* a ring for nothing */
    CHECK_EQUAL(neighbour_send(&peer, "x", 1), NEIGHBOUR_OK);
    CHECK(neighbour_ring(&peer, &number) && number == 5);
    CHECK(device_look() && !device_look());
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(&event), 1, 0), 1);
    CHECK_EQUAL(read_end(end), 1);
    CHECK_EQUAL(shim_deadline->at_ns, GATE_NEVER);
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("y"), 1), 1);
    CHECK_EQUAL(rings, 1); /* the peer did not ask */
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
    CHECK_EQUAL(rings, 2);
    CHECK_EQUAL(posix_close((uint64_t)set), 0);
    CHECK(!device_look()); /* nothing is open */
    bell_number = -ENODEV;
}

/* @verifies ATL-LLR-NEIGHBOUR-1020~1 */
TEST(a_signal_ends_a_wait)
{
    int64_t end = meet(0);
    shim_signal_pending = true;
    CHECK_EQUAL(read_end(end), -ERESTARTSYS);
    shim_signal_pending = false;
    CHECK_EQUAL(posix_close((uint64_t)end), 0);
}

/* @verifies ATL-LLR-NEIGHBOUR-1023~1 */
TEST(the_end_of_the_program_is_a_leave)
{
    uint32_t got;
    int64_t end = meet(POSIX_O_NONBLOCK);
    CHECK_EQUAL(posix_write((uint64_t)end, ADDRESS("last"), 4), 4);
    posix_file_hand_out();
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_OK);
    CHECK_EQUAL(neighbour_receive(&peer, bytes, sizeof(bytes), &got), NEIGHBOUR_CLOSED);
}

CHECK_MAIN()
