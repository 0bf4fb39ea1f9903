/* SPDX-License-Identifier: Apache-2.0 */
/* Makes files for --out below /out, then ends as told: exit STATUS, crash, thread. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void make(const char *path, const void *bytes, size_t count, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0 || write(fd, bytes, count) != (ssize_t)count || close(fd) != 0) {
        perror(path);
        exit(99);
    }
}

static void make_large(const char *path, size_t count)
{
    unsigned char *bytes = malloc(count);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (unsigned char)(i * 31 + i / 251);
    }
    make(path, bytes, count, 0600);
    free(bytes);
}

static void *write_for_ever(void *argument)
{
    for (unsigned i = 0;; i++) {
        make(i % 2 != 0 ? "/out/busy" : "/tmp/busy", &i, sizeof(i), 0600);
    }
    return argument;
}

int main(int argc, char **argv)
{
    mkdir("/out", 0755);
    mkdir("/out/sub", 0700);
    mkdir("/out/sub/deep", 0755);
    make("/out/text", "hello\n", 6, 0640);
    make("/out/empty", "", 0, 0644);
    make_large("/out/sub/large", 300000);
    make("/out/sub/deep/last", "z", 1, 0644);
    if (symlink("text", "/out/link") != 0) {
        return 98;
    }
    int fd = open("/out/mapped", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 10000) != 0) {
        return 97;
    }
    char *memory = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memory[9999] = 'm'; /* and it stays mapped */
    if (argc > 1 && strcmp(argv[1], "crash") == 0) {
        *(volatile int *)(size_t)(argc - 2) = 1;
    }
    if (argc > 1 && strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, write_for_ever, NULL);
        sched_yield();
        return 5;
    }
    return argc > 1 ? atoi(argv[1]) : 0;
}
