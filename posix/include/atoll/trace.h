/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a program in its trace, for C and C++; nothing is linked. Under ./atoll trace an event
 * is written to a ring in the program's memory. Elsewhere, as on Linux, it is written to
 * /sys/kernel/tracing/trace_marker, in the form that Perfetto and Chrome know ("B|1|name"), if the
 * program may open that file when it notes its first event; else nothing happens.
 *
 *     ATOLL_TRACE_BEGIN("parse");             a span of the calling thread begins
 *     ATOLL_TRACE_END();                      the innermost one ends
 *     ATOLL_TRACE_INSTANT("cache miss", n);   something happened; n: any number
 *     ATOLL_TRACE_COUNTER("queued", n);       a value changed
 *
 * A name is a string of at most 59 bytes, read once: a place in the program has one name for ever.
 * Any thread, also in a signal's handler; errno is kept. At most 1024 places have names. */
#ifndef ATOLL_TRACE_H
#define ATOLL_TRACE_H

#include <atoll/trace_abi.h>

#define ATOLL_TRACE_BEGIN(name) ATOLL_TRACE_SITE(ATOLL_TRACE_EVENT_BEGIN, name, 0)
#define ATOLL_TRACE_END() ATOLL_TRACE_SITE(ATOLL_TRACE_EVENT_END, "", 0)
#define ATOLL_TRACE_INSTANT(name, value) ATOLL_TRACE_SITE(ATOLL_TRACE_EVENT_INSTANT, name, value)
#define ATOLL_TRACE_COUNTER(name, value) ATOLL_TRACE_SITE(ATOLL_TRACE_EVENT_COUNTER, name, value)

#ifdef __x86_64__

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ATOLL_TRACE_UNUSED __attribute__((unused))
#define ATOLL_TRACE_SITE(event, name, value)                                                       \
    do {                                                                                           \
        static uint64_t atoll_trace_site;                                                          \
        atoll_trace_note(&atoll_trace_site, (event), (name), (uint64_t)(value));                   \
    } while (0)

#define ATOLL_TRACE_NOT_OPENED (-2)

static struct atoll_trace_rings *atoll_trace_rings ATOLL_TRACE_UNUSED;
static int atoll_trace_marker ATOLL_TRACE_UNUSED = ATOLL_TRACE_NOT_OPENED;
static __thread uint32_t atoll_trace_thread ATOLL_TRACE_UNUSED;

/* The file for events where there are no rings; below 0: there is none. */
static inline int atoll_trace_open(void)
{
    int expected = ATOLL_TRACE_NOT_OPENED;
    int file = open("/sys/kernel/tracing/trace_marker", O_WRONLY | O_CLOEXEC);
    if (!__atomic_compare_exchange_n(&atoll_trace_marker, &expected, file, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (file >= 0) {
            (void)close(file);
        }
        file = expected;
    }
    return file;
}

/* @impl ATL-LLR-POSIX-1193~1 */
static inline void atoll_trace_write(int file, uint32_t event, const char *name, uint64_t value)
{
    char text[ATOLL_TRACE_NAME_BYTES + 64];
    int length = 0, process = (int)getpid();
    switch (event) {
    case ATOLL_TRACE_EVENT_BEGIN:
        length = snprintf(text, sizeof(text), "B|%d|%.59s", process, name);
        break;
    case ATOLL_TRACE_EVENT_END:
        length = snprintf(text, sizeof(text), "E|%d", process);
        break;
    case ATOLL_TRACE_EVENT_COUNTER:
        length = snprintf(text, sizeof(text), "C|%d|%.59s|%lld", process, name, (long long)value);
        break;
    default:
        length = snprintf(text, sizeof(text), "I|%d|%.59s %lld", process, name, (long long)value);
        break;
    }
    ssize_t written = write(file, text, (size_t)length);
    (void)written;
}

/* The first event of a place: gives it its name. 0: there are no rings. */
static inline uint64_t atoll_trace_name(uint64_t *site, const char *text)
{
    struct atoll_trace_rings *rings = (struct atoll_trace_rings *)getauxval(ATOLL_TRACE_AUXILIARY);
    if (rings == 0 || rings->magic != ATOLL_TRACE_MAGIC) {
        return 0;
    }
    uint32_t index = __atomic_fetch_add(&rings->name_count, 1, __ATOMIC_RELAXED);
    if (index < ATOLL_TRACE_NAMES) {
        struct atoll_trace_name *name = &rings->names[index];
        uint32_t bytes = 0;
        while (bytes < ATOLL_TRACE_NAME_BYTES - 1 && text[bytes] != '\0') {
            name->text[bytes] = text[bytes];
            bytes++;
        }
        __atomic_store_n(&name->bytes, bytes, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&atoll_trace_rings, rings, __ATOMIC_RELEASE);
    __atomic_store_n(site, (uint64_t)index + 1, __ATOMIC_RELEASE);
    return (uint64_t)index + 1;
}

/* What only the first event of a place or of a thread needs, and each one where there are no rings;
 * the name, 0: there are none. */
static __attribute__((noinline, cold, unused)) uint64_t
atoll_trace_first(uint64_t *site, uint32_t event, const char *text, uint64_t value)
{
    int error, file = __atomic_load_n(&atoll_trace_marker, __ATOMIC_ACQUIRE);
    if (file == -1) {
        return 0;
    }
    error = errno;
    uint64_t name = __atomic_load_n(site, __ATOMIC_ACQUIRE);
    if (name == 0 && file == ATOLL_TRACE_NOT_OPENED) {
        name = atoll_trace_name(site, text);
        file = name == 0 ? atoll_trace_open() : file;
    }
    if (name != 0 && atoll_trace_thread == 0) {
        atoll_trace_thread = (uint32_t)syscall(SYS_gettid);
    } else if (name == 0 && file >= 0) {
        atoll_trace_write(file, event, text, value);
    }
    errno = error;
    return name;
}

/* RDTSCP tells time and core at one instant: where the thread goes afterwards does not matter.
 * @impl ATL-LLR-POSIX-1192~1 */
static inline void atoll_trace_note(uint64_t *site, uint32_t event, const char *text,
                                    uint64_t value)
{
    uint64_t name = __atomic_load_n(site, __ATOMIC_ACQUIRE);
    uint32_t thread = atoll_trace_thread;
    if (__builtin_expect(name == 0 || thread == 0, 0)) {
        name = atoll_trace_first(site, event, text, value);
        thread = atoll_trace_thread;
        if (name == 0) {
            return;
        }
    }
    uint64_t low, high, core; /* whose upper halves it clears */
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(core));
    struct atoll_trace_ring *ring = atoll_trace_rings->rings[ATOLL_TRACE_PROGRAM][core];
    uint64_t position = __atomic_fetch_add(&ring->claimed, 1, __ATOMIC_RELAXED);
    struct atoll_trace_slot *slot = &ring->slots[position % ATOLL_TRACE_SLOTS];
    __asm__("" : "+r"(slot)); /* one address for all fields */
    slot->tsc = high << 32 | low;
    slot->event = event;
    slot->thread = thread;
    slot->u.fields[0] = name;
    slot->u.fields[1] = value;
    __atomic_store_n(&slot->sequence, position + 1, __ATOMIC_RELEASE);
}

#else
#define ATOLL_TRACE_SITE(event, name, value) ((void)(name), (void)(value))
#endif

#endif
