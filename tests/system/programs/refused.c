/* SPDX-License-Identifier: Apache-2.0 */
/* For the build with hooks: runs small pieces of work, each again and again with the 1st, 2nd, 3rd
 * ... allocation of a kind refused, until a run ends without one (tests/system/hooks/refuse.h).
 * Every run must do its work or end with an errno that tells of want, leave right data, and give
 * back all that it took: memory regions, descriptors, threads, and what posix/ and the kernel keep
 * for them.
 *
 *     refused KIND [WORK]...     one line for each work: its name and how often it was refused */
#define _GNU_SOURCE
#include "../hooks/refuse.h"
#include "refused_files.h"
#include "refused_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <isolation/gate_abi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ROUNDS_MAX 3000
#define WARM_UPS 3
#define SETTLE_MS_MAX 2000
#define REGIONS_KEPT_MAX 20
#define FRAMES_KEPT_MAX 300 /* chunks of 64, of two kinds, on each core */
#define TEXT_BYTES_MAX 65536

/* Each returns 0 or the errno of what failed, and has undone all that it did. */
static const struct {
    const char *name;
    int (*run)(void);
} works[] = {{"threads", work_threads},
             {"waiting", work_waiting},
             {"signals", work_signals},
             {"timers", work_timers},
             {"memory", work_memory},
             {"files", work_files},
             {"names", work_names},
             {"mapping", work_mapping},
             {"image_file", work_image_file},
             {"pipes", work_pipes},
             {"events", work_events},
             {"descriptors", work_descriptors},
             {"many", work_many},
             {"proc", work_proc},
             {"socket_pairs", work_socket_pairs},
             {"socket_names", work_socket_names},
             {"tcp", work_tcp},
             {"udp", work_udp}};
#define WORK_COUNT (sizeof(works) / sizeof(works[0]))

static const char *const kinds[REFUSE_KINDS] = {"allocation", "frame", "frame_of_call"};

/* What is in use, of which nothing may be left over. */
struct use {
    long objects, threads, descriptors, credits;
    long regions, frames_free; /* a libc and the heap of posix/ may keep a few */
};

static int fail(const char *work, long n, const char *text, long is, long was)
{
    printf("FAIL %s, the %ld-th refused: %s (%ld, %ld)\n", work, n, text, is, was);
    return 1;
}

static long control(int kind, unsigned long n)
{
    return prctl(REFUSE_CONTROL, (unsigned long)kind, n, 0, 0);
}

static long lines_of(const char *path)
{
    static char text[TEXT_BYTES_MAX];
    int file = open(path, O_RDONLY);
    long lines = 0, got;
    while (file >= 0 && (got = read(file, text, sizeof(text))) > 0) {
        for (long i = 0; i < got; i++) {
            lines += text[i] == '\n';
        }
    }
    close(file);
    return lines;
}

static long descriptors_in_use(void)
{
    long count = 0;
    for (int i = 0; i < 1024; i++) {
        count += fcntl(i, F_GETFD) >= 0;
    }
    return count;
}

static struct gate_core_counts counts_of(unsigned long core)
{
    struct gate_core_counts counts = {.frames_free = core};
    if (control(REFUSE_COUNT_CORE, (unsigned long)&counts) < 0) {
        perror("counts");
        exit(2);
    }
    return counts;
}

static struct use use_now(void)
{
    struct use use = {.regions = lines_of("/proc/self/maps"), .descriptors = descriptors_in_use()};
    for (long core = 0; core < sysconf(_SC_NPROCESSORS_ONLN); core++) {
        struct gate_core_counts counts = counts_of((unsigned long)core);
        use.threads += (long)counts.threads_live;
        use.frames_free += (long)counts.frames_free;
        use.credits += (long)(counts.credits_total - counts.credits_free);
    }
    use.objects = control(REFUSE_COUNT_OBJECTS, 0);
    return use;
}

static int is_want(int error)
{
    return error == ENOMEM || error == EAGAIN || error == ENOSPC || error == ENOLCK ||
           error == ENOBUFS;
}

/* A thread that has been joined may still be on its way out, and a message without an answer. */
static struct use use_settled(const struct use *before)
{
    struct use now = use_now();
    for (int i = 0;
         i < SETTLE_MS_MAX && (now.threads > before->threads || now.credits > before->credits);
         i++) {
        usleep(1000);
        now = use_now();
    }
    return now;
}

static int compare(const char *work, long n, const struct use *before)
{
    struct use now = use_settled(before);
    return (now.objects != before->objects &&
            fail(work, n, "objects of posix/ in use", now.objects, before->objects)) ||
           (now.threads > before->threads &&
            fail(work, n, "threads", now.threads, before->threads)) ||
           (now.credits > before->credits &&
            fail(work, n, "credits", now.credits, before->credits)) ||
           (now.regions > before->regions + REGIONS_KEPT_MAX &&
            fail(work, n, "regions", now.regions, before->regions)) ||
           (now.frames_free < before->frames_free - FRAMES_KEPT_MAX &&
            fail(work, n, "frames free", now.frames_free, before->frames_free)) ||
           (now.descriptors != before->descriptors &&
            fail(work, n, "descriptors", now.descriptors, before->descriptors));
}

/* Each core judges its own tables. */
static int audits_hold(void)
{
    cpu_set_t all, one;
    int holds = sched_getaffinity(0, sizeof(all), &all) == 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        holds = holds && (!CPU_ISSET(core, &all) || (sched_setaffinity(0, sizeof(one), &one) == 0 &&
                                                     control(REFUSE_AUDIT, 0) == 0));
    }
    return sched_setaffinity(0, sizeof(all), &all) == 0 && holds;
}

static int repeat(int kind, const char *name, int (*run)(void))
{
    for (int i = 0; i < WARM_UPS; i++) {
        int error = run();
        if (error != 0) {
            return fail(name, 0, "an undisturbed run fails", error, 0);
        }
    }
    const struct use before = use_now();
    for (long n = 1; n <= ROUNDS_MAX; n++) {
        control(kind, (unsigned long)n);
        int error = run();
        int is_over = control(kind, 0) != 0 && error == 0;
        if (error != 0 && !is_want(error)) {
            return fail(name, n, "error", error, 0);
        }
        if (compare(name, n, &before) != 0) {
            return 1;
        }
        if (is_over && !audits_hold()) {
            return fail(name, n, "the audit does not hold", 0, 0);
        }
        if (is_over) {
            printf("%s %ld\n", name, n - 1);
            return 0;
        }
    }
    return fail(name, ROUNDS_MAX, "no end", 0, 0);
}

static int is_chosen(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return 1;
        }
    }
    return argc == 2;
}

int main(int argc, char **argv)
{
    int kind = 0;
    while (argc < 2 || strcmp(argv[1], kinds[kind]) != 0) {
        if (argc < 2 || ++kind == REFUSE_KINDS) {
            fprintf(stderr, "usage: refused KIND [WORK]...\n");
            return 2;
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < WORK_COUNT; i++) {
        if (is_chosen(argc, argv, works[i].name) &&
            repeat(kind, works[i].name, works[i].run) != 0) {
            return 1;
        }
    }
    return 0;
}
