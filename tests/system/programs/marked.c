/* SPDX-License-Identifier: Apache-2.0 */
/* A program with events of its own (atoll/trace.h); the arguments choose:
 *     all 0        one of each kind, on two threads, and what posix/ notes of futexes and epoll
 *     storm N      N events as fast as they can be made, on each of two threads
 *     bursts N     N events, a line, and after a line of input again, until the input ends
 *     nonsense 0   writes over its own rings */
#include "../../waiting.h"

#include <atoll/trace.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

static long count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int is_told;

static void require(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "%s: errno %d\n", what, errno);
        exit(1);
    }
}

static void *storm(void *unused)
{
    for (long i = 0; i < count; i++) {
        ATOLL_TRACE_COUNTER("storm", i);
    }
    return unused;
}

static void *second_thread(void *unused)
{
    prctl(PR_SET_NAME, "second");
    ATOLL_TRACE_BEGIN("wait for it");
    pthread_mutex_lock(&mutex);
    while (!is_told) {
        pthread_cond_wait(&condition, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    ATOLL_TRACE_END();
    return unused;
}

static void write_markers(void)
{
    char text[3000];
    int file = open("/sys/kernel/tracing/trace_marker", O_WRONLY);
    require(file >= 0, "trace_marker");
    memset(text, 'x', sizeof(text));
    require(write(file, "plain text\n", 11) == 11, "a text");
    require(write(file, "B|1|as atrace", 13) == 13 && write(file, "E|1", 3) == 3, "a span");
    require(write(file, "C|1|level|-7", 12) == 12, "a counter");
    require(write(file, text, sizeof(text)) == 1024, "a long text is cut");
    const void *volatile nowhere = (void *)1;
    require(write(file, nowhere, 5) == -1 && errno == EFAULT, "a bad address");
    require(read(file, text, 1) == -1 && errno == EBADF, "it is not for reading");
    require(open("/sys/kernel/tracing/trace_marker", O_WRONLY | O_CREAT | O_TRUNC, 0600) >= 0,
            "as echo opens it");
}

static void wait_with_epoll(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ends[2], epoll = epoll_create1(0);
    require(pipe(ends) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event) == 0, "epoll");
    require(write(ends[1], "x", 1) == 1 && epoll_wait(epoll, &event, 1, -1) == 1, "it is ready");
    printf("descriptor %d\n", ends[0]);
}

static void note_all(void)
{
    pthread_t thread;
    errno = 77;
    ATOLL_TRACE_BEGIN("outer");
    ATOLL_TRACE_BEGIN("inner");
    ATOLL_TRACE_COUNTER("level", 5);
    ATOLL_TRACE_INSTANT("it happened", -3);
    ATOLL_TRACE_END();
    require(errno == 77, "events leave errno alone");
    require(pthread_create(&thread, NULL, second_thread, NULL) == 0, "a thread");
    threads_await_waiting(1);
    usleep(20000);
    pthread_mutex_lock(&mutex);
    is_told = 1;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    pthread_join(thread, NULL);
    write_markers();
    wait_with_epoll();
    ATOLL_TRACE_END();
}

static void make_bursts(void)
{
    char line[16];
    do {
        for (long i = 0; i < count; i++) {
            ATOLL_TRACE_COUNTER("burst", i);
        }
        puts("burst");
        fflush(stdout);
    } while (fgets(line, sizeof(line), stdin) != NULL);
}

static void write_over(void)
{
    struct atoll_trace_rings *rings = (void *)getauxval(ATOLL_TRACE_AUXILIARY);
    require(rings != NULL, "rings");
    ATOLL_TRACE_INSTANT("before", 1);
    struct atoll_trace_ring *ring = rings->rings[ATOLL_TRACE_PROGRAM][0];
    struct atoll_trace_ring *posix = rings->rings[ATOLL_TRACE_POSIX][0];
    for (uint64_t i = 1; i < 5; i++) { /* slots that claim to be whole */
        struct atoll_trace_slot *slot = &ring->slots[ring->claimed % ATOLL_TRACE_SLOTS];
        memset(slot, 0xff, sizeof(*slot));
        slot->event = i == 1   ? ATOLL_TRACE_EVENT_MARKER
                      : i == 2 ? ATOLL_TRACE_EVENT_SYSCALL_ENTER
                               : 0xffffffff;
        slot->tsc = i == 1 ? rings->tsc_base : slot->tsc;
        slot->sequence = ++ring->claimed;
    }
    rings->name_count = 0xffffffff;
    memset(&rings->rings[ATOLL_TRACE_POSIX], 0xff, sizeof(rings->rings[ATOLL_TRACE_POSIX]));
    rings->names[5].bytes = 0xffffffff;
    posix->claimed += 1ull << 62;
}

int main(int argument_count, char **arguments)
{
    const char *what = argument_count > 2 ? arguments[1] : "";
    count = argument_count > 2 ? atol(arguments[2]) : 0;
    if (strcmp(what, "all") == 0) {
        note_all();
    } else if (strcmp(what, "storm") == 0) {
        pthread_t thread;
        require(pthread_create(&thread, NULL, storm, NULL) == 0, "a thread");
        storm(NULL);
        pthread_join(thread, NULL);
    } else if (strcmp(what, "bursts") == 0) {
        make_bursts();
    } else if (strcmp(what, "nonsense") == 0) {
        write_over();
    } else {
        return 1;
    }
    puts("done");
    return 0;
}
