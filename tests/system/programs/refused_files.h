/* SPDX-License-Identifier: Apache-2.0 */
/* Works of refused.c with memory and files. Each returns 0 or the errno of what failed, and has
 * undone all that it did. */
#ifndef REFUSED_FILES_H
#define REFUSED_FILES_H

#include "refused_threads.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGE 4096UL
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define CONTENT_BYTES 20000
#define NAMES 40
#define MANY 1000

static char content[CONTENT_BYTES], found[CONTENT_BYTES];

/* ---- memory */

static int memory_use(char *area, size_t bytes)
{
    memset(area, 1, bytes);
    int error = ERROR_OF(mprotect(area + PAGE, PAGE, PROT_READ));
    error = first_error(error, ERROR_OF(mprotect(area + 4 * PAGE, 2 * PAGE, PROT_NONE)));
    error = first_error(error, ERROR_OF(madvise(area + 8 * PAGE, 4 * PAGE, MADV_DONTNEED)));
    error = first_error(error, error == 0 && area[8 * PAGE] != 0 ? WRONG : 0);
    error = first_error(error, ERROR_OF(munmap(area + 2 * PAGE, PAGE)));
    return first_error(error, area[PAGE] != 1 || area[3 * PAGE] != 1 ? WRONG : 0);
}

static int memory_grow(void)
{
    char *area = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        return errno;
    }
    area[0] = 5;
    char *grown = mremap(area, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    int error = grown == MAP_FAILED ? errno : 0;
    grown = grown == MAP_FAILED ? area : grown;
    error = first_error(error, grown[0] == 5 ? 0 : WRONG);
    munmap(grown, 64 * PAGE);
    return error;
}

/* Another thread may not have been given a hole of the large area meanwhile: there is none. */
static int work_memory(void)
{
    const size_t bytes = 4UL << 20;
    char *area = mmap(NULL, bytes, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        return errno;
    }
    int error = memory_use(area, 32 * PAGE);
    while (munmap(area, bytes) < 0) { /* no memory for cutting it: next time there is */
        error = first_error(error, errno);
    }
    error = first_error(error, memory_grow());
    long end = syscall(SYS_brk, 0); /* musl offers no sbrk */
    if (syscall(SYS_brk, end + 8 * (long)PAGE) == end) {
        return first_error(error, ENOMEM);
    }
    memset((void *)end, 1, 8 * PAGE);
    while (syscall(SYS_brk, end) != end) {
        error = first_error(error, ENOMEM);
    }
    return error;
}

/* ---- contents */

static void content_make(void)
{
    for (int i = 0; i < CONTENT_BYTES; i++) {
        content[i] = (char)(i * 7 + i / 256);
    }
}

/* What a write says that it wrote is there. */
static int write_and_compare(int file)
{
    ssize_t written = write(file, content, CONTENT_BYTES);
    int error = written < 0 ? errno : written < CONTENT_BYTES ? ENOSPC : 0;
    written = written < 0 ? 0 : written;
    struct stat status;
    if (fstat(file, &status) < 0 || status.st_size != written) {
        return WRONG;
    }
    ssize_t got = pread(file, found, CONTENT_BYTES, 0);
    if (got < 0) {
        return first_error(error, errno);
    }
    return first_error(error,
                       got == written && memcmp(found, content, (size_t)got) == 0 ? 0 : WRONG);
}

static int change_content(int file)
{
    const struct iovec parts[] = {{content, 100}, {content + 100, 200}};
    int error = ERROR_OF(ftruncate(file, 3 * (off_t)CONTENT_BYTES));
    error = first_error(error, ERROR_OF(pwritev(file, parts, 2, 2 * CONTENT_BYTES)));
    error = first_error(error, ERROR_OF(fallocate(file, 0, 0, 5 * CONTENT_BYTES)));
    error = first_error(
        error, ERROR_OF(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 9000)));
    return first_error(error, ERROR_OF(ftruncate(file, 50)));
}

static int copy_content(int from)
{
    int to = memfd_create("copy", MFD_CLOEXEC);
    off_t offset = 0, offset_too = 0;
    if (to < 0) {
        return errno;
    }
    ssize_t copied = copy_file_range(from, &offset, to, NULL, CONTENT_BYTES, 0);
    int error = ERROR_OF(copied);
    if (error == 0) {
        error = ERROR_OF(sendfile(to, from, &offset_too, CONTENT_BYTES));
    }
    close(to);
    return error;
}

static int work_files(void)
{
    content_make();
    int file = open("/tmp/refused", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) {
        return errno;
    }
    int error = write_and_compare(file);
    error = first_error(error, copy_content(file));
    error = first_error(error, change_content(file));
    close(file);
    return first_error(unlink("/tmp/refused") < 0 ? errno : 0, error);
}

/* ---- names */

static int names_list(const char *folder, int wanted)
{
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        return errno;
    }
    int count = 0;
    errno = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    int error = errno;
    closedir(directory);
    return first_error(error, wanted < 0 || count == wanted + 2 ? 0 : WRONG);
}

static int names_use(void)
{
    char path[64];
    int error = ERROR_OF(mkdir("/tmp/refused/a", 0700));
    error = first_error(error, ERROR_OF(mknod("/tmp/refused/a/file", S_IFREG | 0600, 0)));
    error = first_error(error, ERROR_OF(link("/tmp/refused/a/file", "/tmp/refused/a/other")));
    error = first_error(error, ERROR_OF(symlink("a/file", "/tmp/refused/link")));
    error = first_error(error, ERROR_OF(readlink("/tmp/refused/link", path, sizeof(path))));
    error = first_error(error, ERROR_OF(rename("/tmp/refused/a/other", "/tmp/refused/moved")));
    error = first_error(error, ERROR_OF(chdir("/tmp/refused/a")));
    error = first_error(error, getcwd(path, sizeof(path)) == NULL ? errno : 0);
    error = first_error(error, error == 0 ? names_list("/tmp/refused", 3) : 0);
    return error;
}

/* Enough names for the folder's table to grow, behind a link. */
static int names_many(int count)
{
    char path[64];
    int error = ERROR_OF(symlink("a/../a", "/tmp/refused/way"));
    for (int i = 0; i < count && error == 0; i++) {
        snprintf(path, sizeof(path), "/tmp/refused/way/%d", i);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        error = ERROR_OF(file);
        close_if_open(file);
    }
    error = first_error(error, ERROR_OF(rename("/tmp/refused/a", "/tmp/refused/b")));
    if (error == 0) {
        error = names_list("/tmp/refused/b", count + 1);
    }
    while (rename("/tmp/refused/b", "/tmp/refused/a") < 0 && errno != ENOENT) {
        error = first_error(error, errno);
    }
    return error;
}

static void names_unlink(const char *path, int *error)
{
    while (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR) {
        *error = first_error(*error, errno);
    }
}

/* What needs no memory or what does: in the end all of it goes. */
static int work_names(void)
{
    static const char *const files[] = {"a/file", "a/other", "link", "moved", "way"};
    if (mkdir("/tmp/refused", 0700) < 0) {
        return errno;
    }
    int error = names_use();
    char path[64];
    error = first_error(error, error == 0 ? names_many(NAMES) : 0);
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof(path), "/tmp/refused/a/%d", i);
        names_unlink(path, &error);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "/tmp/refused/%s", files[i]);
        names_unlink(path, &error);
    }
    while (chdir("/") < 0 || (rmdir("/tmp/refused/a") < 0 && errno != ENOENT) ||
           rmdir("/tmp/refused") < 0) {
        error = first_error(error, errno);
    }
    return error;
}

/* ---- mappings of files; a page that cannot be had when it is touched is SIGBUS, as on Linux */

static sigjmp_buf touched;

static void bus_error(int number)
{
    siglongjmp(touched, number);
}

static int mapping_use(char *area)
{
    struct sigaction action = {.sa_handler = bus_error}, old;
    sigaction(SIGBUS, &action, &old);
    int error = 0;
    if (sigsetjmp(touched, 1) == 0) {
        area[0] = 1;
        area[5 * PAGE] = 2;
        error = area[0] == 1 && area[5 * PAGE] == 2 && area[3 * PAGE] == 0 ? 0 : WRONG;
    } else {
        error = ENOSPC;
    }
    sigaction(SIGBUS, &old, NULL);
    return error;
}

static int mapping_make(int file)
{
    int error = ERROR_OF(ftruncate(file, 8 * PAGE));
    error = first_error(error, ERROR_OF(pwrite(file, "four", 4, 4 * PAGE)));
    if (error != 0) {
        return error;
    }
    char *area = mmap(NULL, 8 * PAGE, READ_WRITE, MAP_SHARED, file, 0);
    if (area == MAP_FAILED) {
        return errno;
    }
    error = mapping_use(area);
    int is_used = error == 0;
    error = first_error(error, ERROR_OF(msync(area, 8 * PAGE, MS_SYNC)));
    while (munmap(area + 2 * PAGE, PAGE) < 0) {
        error = first_error(error, errno);
    }
    while (munmap(area, 8 * PAGE) < 0) {
        error = first_error(error, errno);
    }
    if (is_used && (pread(file, found, 1, 5 * PAGE) != 1 || found[0] != 2)) {
        error = first_error(error, WRONG);
    }
    if (pread(file, found, 4, 4 * PAGE) != 4 || memcmp(found, "four", 4) != 0) {
        error = first_error(error, WRONG);
    }
    return error;
}

static int work_mapping(void)
{
    int file = open("/tmp/refused", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) {
        return errno;
    }
    int error = mapping_make(file);
    close(file);
    while (unlink("/tmp/refused") < 0) {
        error = first_error(error, errno);
    }
    return error;
}

/* A file of the image: read, mapped, and written to in the mapping alone. */
static int work_image_file(void)
{
    int file = open("/etc/passwd", O_RDONLY);
    if (file < 0) {
        return errno;
    }
    ssize_t got = read(file, found, CONTENT_BYTES);
    int error = ERROR_OF(got);
    char *area = mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, file, 0);
    if (area == MAP_FAILED) {
        error = first_error(error, errno);
    } else {
        error = first_error(error, got > 0 && memcmp(area, found, (size_t)got) != 0 ? WRONG : 0);
        area[0] = '#';
        munmap(area, PAGE);
    }
    close(file);
    return error;
}

/* ---- pipes, tables of descriptors, locks, synthetic files */

static int pipe_use(const int ends[2])
{
    int error = 0;
    long sent = 0;
    fcntl(ends[0], F_SETPIPE_SZ, 262144);
    while (sent < 65536) {
        ssize_t part = write(ends[1], content, 8192);
        if (part <= 0) {
            error = part < 0 ? errno : WRONG;
            break;
        }
        sent += part;
    }
    for (long got = 0; got < sent;) {
        ssize_t part = read(ends[0], found, CONTENT_BYTES);
        if (part <= 0) {
            return first_error(error, part < 0 ? errno : WRONG);
        }
        for (ssize_t i = 0; i < part; i++) {
            if (found[i] != content[(got + i) % 8192]) {
                return WRONG;
            }
        }
        got += part;
    }
    return error;
}

static int work_pipes(void)
{
    int ends[2];
    content_make();
    if (pipe2(ends, O_NONBLOCK) < 0) {
        return errno;
    }
    int error = pipe_use(ends);
    close(ends[0]);
    close(ends[1]);
    return error;
}

static int work_descriptors(void)
{
    const struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20};
    const struct flock part = {.l_type = F_UNLCK, .l_start = 14, .l_len = 2};
    int file = open("/tmp", O_RDWR | O_TMPFILE, 0600), high = -1, other = -1;
    if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        file = memfd_create("locks", 0);
    }
    if (file < 0) {
        return errno;
    }
    int error = keep_descriptor(&high, dup2(file, 900));
    error = first_error(error, keep_descriptor(&other, fcntl(file, F_DUPFD_CLOEXEC, 700)));
    error = first_error(error, ERROR_OF(fcntl(file, F_SETLK, &lock)));
    error = first_error(error, ERROR_OF(fcntl(file, F_SETLK, &part)));
    error = first_error(error, ERROR_OF(flock(file, LOCK_EX)));
    close_if_open(high);
    close_if_open(other);
    close(file);
    return error;
}

/* Arrays that no stack holds: of polled descriptors, of buffers, of members of an epoll set. */
static int work_many(void)
{
    static struct pollfd set[MANY];
    static struct iovec parts[500];
    static struct epoll_event ready[MANY];
    int events[40], error = 0, made = 0;
    int epoll = epoll_create1(0);
    if (epoll < 0) {
        return errno;
    }
    while (made < 40 && error == 0) {
        events[made] = eventfd(1, 0);
        error = ERROR_OF(events[made]);
        made += error == 0;
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)made};
        error = first_error(
            error,
            error == 0 ? ERROR_OF(epoll_ctl(epoll, EPOLL_CTL_ADD, events[made - 1], &event)) : 0);
    }
    int got = error == 0 ? epoll_wait(epoll, ready, MANY, 0) : 0;
    error = first_error(error, got < 0 ? errno : error == 0 && got == 0 ? WRONG : 0);
    for (int i = 0; i < MANY; i++) {
        set[i] = (struct pollfd){.fd = i % 2 == 0 ? -1 : epoll, .events = POLLIN};
    }
    error = first_error(error, ERROR_OF(poll(set, MANY, 0)));
    for (int i = 0; i < 500; i++) {
        parts[i] = (struct iovec){&content[i], 1};
    }
    int null = open("/dev/null", O_WRONLY);
    error = first_error(error, ERROR_OF(null));
    if (null >= 0) {
        error = first_error(error, ERROR_OF(writev(null, parts, 500)));
        close(null);
    }
    for (int i = 0; i < made; i++) {
        close(events[i]);
    }
    close(epoll);
    return error;
}

static int proc_read(const char *path)
{
    int file = open(path, O_RDONLY);
    if (file < 0) {
        return errno;
    }
    ssize_t got, sum = 0;
    while ((got = read(file, found, CONTENT_BYTES)) > 0) {
        sum += got;
    }
    int error = ERROR_OF(got);
    close(file);
    return first_error(error, sum > 0 ? 0 : WRONG);
}

static int work_proc(void)
{
    static const char *const paths[] = {"/proc/self/maps", "/proc/self/status", "/proc/meminfo",
                                        "/proc/cpuinfo",   "/proc/self/stat",   "/proc/mounts"};
    int error = names_list("/proc/self/fd", -1);
    error = first_error(error, names_list("/proc", -1));
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        error = first_error(error, proc_read(paths[i]));
    }
    return error;
}

#endif
