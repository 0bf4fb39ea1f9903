/* SPDX-License-Identifier: Apache-2.0 */
/* event/ when memory is short: each allocation of each call fails once. The call returns an error,
 * and nothing is lost or half done; then it works. */
#include "../check.h"
#include "../posix_file/shim.h"

#include <posix/file.h>
#include <posix/syscalls.h>

#define ADDRESS(place_) ((uint64_t)(uintptr_t)(place_))
#define ALLOCATIONS_MAX 200u
#define F_SETPIPE_SZ 1031u
#define CTL_ADD 1u
#define EVENT_COUNT 40u

struct linux_event {
    uint32_t events;
    uint64_t data;
} __attribute__((packed));

struct linux_poll {
    int32_t descriptor;
    int16_t events, result;
};

static void start(void)
{
    static const struct test_file files[] = {{"/p", 0100755, "x", 1}};
    struct test_strings none = {"", 0, 0};
    static struct test_image image;
    if (image.payload != NULL) {
        return; /* there is one tree of files */
    }
    image = test_image_build(files, 1, "/p", none, none);
    shim_start(&image, IMAGE_FLAG_FRAMED);
    posix_file_initialize();
}

/* Runs the call with each of its allocations failing, until it has enough of them. */
static int64_t exhaust(int64_t (*call)(void))
{
    for (uint32_t nth = 1; nth < ALLOCATIONS_MAX; nth++) {
        uint64_t before = shim_allocations;
        shim_fail_allocation = nth;
        int64_t result = call();
        bool has_failed = shim_fail_allocation == 0;
        shim_fail_allocation = 0;
        if (!has_failed) {
            return result;
        }
        if (result >= 0) {
            return result; /* did with less */
        }
        CHECK_EQUAL(result, -ENOMEM);
        CHECK_EQUAL(shim_allocations, before);
    }
    return -1;
}

static int32_t ends[2];
static int64_t event, set;
static uint8_t bytes[65536];

static int64_t make_pipe(void)
{
    return posix_pipe2(ADDRESS(ends), POSIX_O_NONBLOCK);
}

static int64_t grow_pipe(void)
{
    return posix_fcntl((uint64_t)ends[0], F_SETPIPE_SZ, 1 << 20);
}

static int64_t fill_pipe(void)
{
    return posix_write((uint64_t)ends[1], ADDRESS(bytes), 4096);
}

static void close_pipe(void)
{
    CHECK_EQUAL(posix_close((uint64_t)ends[0]), 0);
    CHECK_EQUAL(posix_close((uint64_t)ends[1]), 0);
}

/* @verifies ATL-LLR-EVENT-0002~1 ATL-LLR-EVENT-0003~1 ATL-LLR-EVENT-0005~1 @robust */
TEST(pipes_without_memory)
{
    start();
    uint64_t before = shim_allocations;
    CHECK_EQUAL(exhaust(make_pipe), 0);
    CHECK_EQUAL(exhaust(fill_pipe), 4096);
    CHECK_EQUAL(exhaust(grow_pipe), 1 << 20);
    CHECK_EQUAL(posix_read((uint64_t)ends[0], ADDRESS(bytes), sizeof(bytes)), 4096);
    shim_fail_allocation = 3; /* a long write goes as far as there is memory, then tries again */
    CHECK_EQUAL(posix_write((uint64_t)ends[1], ADDRESS(bytes), sizeof(bytes)), sizeof(bytes));
    CHECK_EQUAL(shim_fail_allocation, 0);
    CHECK_EQUAL(posix_read((uint64_t)ends[0], ADDRESS(bytes), sizeof(bytes)), sizeof(bytes));
    close_pipe();
    CHECK_EQUAL(shim_allocations, before);
}

static int64_t make_event(void)
{
    return posix_eventfd2(1, POSIX_O_NONBLOCK);
}

static int64_t make_timer(void)
{
    return posix_timerfd_create(1, 0);
}

static int64_t make_signals(void)
{
    static const uint64_t signals = 1;
    return posix_signalfd4(UINT64_MAX, ADDRESS(&signals), 8, 0);
}

static int64_t make_set(void)
{
    return posix_epoll_create1(0);
}

static int64_t add_event(void)
{
    struct linux_event wanted = {1, 7};
    return posix_epoll_ctl((uint64_t)set, CTL_ADD, (uint64_t)event, ADDRESS(&wanted));
}

/* @verifies ATL-LLR-EVENT-0006~1 ATL-LLR-EVENT-0020~1 ATL-LLR-EVENT-0021~1 @robust */
TEST(event_files_without_memory)
{
    start();
    uint64_t before = shim_allocations;
    set = exhaust(make_set);
    CHECK(set >= 0);
    int64_t events[EVENT_COUNT];
    for (uint32_t i = 0; i < EVENT_COUNT; i++) { /* the table of items has to grow on the way */
        event = exhaust(make_event);
        CHECK(event >= 0);
        CHECK_EQUAL(exhaust(add_event), 0);
        events[i] = event;
    }
    struct linux_event got[EVENT_COUNT];
    shim_fail_allocation = 1; /* without memory for all of them some are reported */
    int64_t some = posix_epoll_wait((uint64_t)set, ADDRESS(got), EVENT_COUNT, 0);
    CHECK(some > 0 && some < EVENT_COUNT);
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(got), EVENT_COUNT, 0), EVENT_COUNT);
    for (uint32_t i = 0; i < EVENT_COUNT; i++) {
        CHECK_EQUAL(posix_close((uint64_t)events[i]), 0);
    }
    CHECK_EQUAL(posix_epoll_wait((uint64_t)set, ADDRESS(got), EVENT_COUNT, 0), 0);
    CHECK_EQUAL(posix_close((uint64_t)set), 0);
    int64_t timer = exhaust(make_timer);
    int64_t signals = exhaust(make_signals);
    CHECK(timer >= 0 && signals >= 0);
    CHECK_EQUAL(posix_close((uint64_t)timer), 0);
    CHECK_EQUAL(posix_close((uint64_t)signals), 0);
    CHECK_EQUAL(shim_allocations, before);
}

static int64_t poll_many(void)
{
    static struct linux_poll many[20];
    for (uint32_t i = 0; i < 20; i++) {
        many[i] = (struct linux_poll){(int32_t)event, 1, 0};
    }
    return posix_poll(ADDRESS(many), 20, 10);
}

static int64_t select_many(void)
{
    static uint64_t words[2];
    words[0] = 0;
    for (uint32_t i = 0; i < 20; i++) {
        words[0] |= 1ull << (event + i);
    }
    return posix_select(64, ADDRESS(words), 0, 0, 0);
}

/* @verifies ATL-LLR-EVENT-0007~1 ATL-LLR-EVENT-0008~1 ATL-LLR-EVENT-0009~1 @robust */
TEST(waits_without_memory)
{
    start();
    event = make_event();
    for (uint32_t i = 1; i < 20; i++) {
        CHECK_EQUAL(posix_dup2((uint64_t)event, (uint64_t)event + i), event + i);
    }
    uint64_t before = shim_allocations;
    CHECK_EQUAL(exhaust(poll_many), 20);
    CHECK_EQUAL(exhaust(select_many), 20);
    CHECK_EQUAL(shim_allocations, before);
}

CHECK_MAIN()
