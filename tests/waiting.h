/* SPDX-License-Identifier: Apache-2.0 */
/* An order between threads without a delay: who acts on a thread that waits sees it wait first, by
 * the state that /proc gives it. */
#ifndef TESTS_WAITING_H
#define TESTS_WAITING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The state of a thread of this process: 'R', 'S' while it waits in a call ...; 0: there is none.
 */
__attribute__((unused)) static char threads_state(int id)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", id);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t bytes = read(file, text, sizeof(text) - 1);
    close(file);
    const char *end_of_name = bytes > 0 ? strrchr(text, ')') : NULL;
    return end_of_name != NULL ? end_of_name[2] : 0;
}

/* Until so many of the other threads wait in calls. Without an allocator: tests count memory. Who
 * has just been woken may still be told of as waiting, on Atoll: that it waits again is to be asked
 * when something shows that it has run. */
__attribute__((unused)) static void threads_await_waiting(int count)
{
    char names[2048] __attribute__((aligned(8)));
    int self = (int)syscall(SYS_gettid);
    for (int waiting = 0; waiting < count; sched_yield()) {
        int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        waiting = 0;
        for (long bytes; (bytes = syscall(SYS_getdents64, folder, names, sizeof(names))) > 0;) {
            for (long at = 0; at < bytes; at += ((struct dirent *)(void *)(names + at))->d_reclen) {
                int id = atoi(((struct dirent *)(void *)(names + at))->d_name);
                waiting += id > 0 && id != self && threads_state(id) == 'S';
            }
        }
        close(folder);
    }
}

#endif
