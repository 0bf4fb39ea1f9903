/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on names, descriptors and contents, in a folder that was empty at first. Everything that
 * could block is O_NONBLOCK. */
#include "generate.h"
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define FD_COUNT 24
#define NAME_249                                                                                   \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"          \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"          \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static const char *const names[] = {"a",
                                    "b",
                                    "c",
                                    "a",
                                    "b",
                                    "c",
                                    "d",
                                    "e",
                                    "d/x",
                                    "d/y",
                                    "e/x",
                                    "e/z",
                                    "d/e",
                                    "l",
                                    "m",
                                    "d/l",
                                    "./a",
                                    "d/../b",
                                    "d/",
                                    "a/",
                                    "a/x",
                                    "gone/x",
                                    "",
                                    ".",
                                    "d/.",
                                    "..//" NAME_249 "/x",
                                    NAME_249 "nnnnnnnnnnnnnnnnnnnnnn"};

/* For calls with two names, which Linux judges in an order of its own when one is too long. */
static const char *short_name(void)
{
    const char *name = PICK(names);
    return strlen(name) > 200 ? "b" : name;
}

static int some_fd(void)
{
    return one_in(24) ? -1 : one_in(24) ? 900 : 3 + (int)below(one_in(3) ? FD_COUNT : 8);
}

/* Descriptors that no other call would pick are closed at once: no seed runs out of them. */
static long kept(long fd)
{
    if (fd >= FD_COUNT) {
        CALL(close, fd);
    }
    return fd;
}

static void file_open(void)
{
    static const int extra[] = {O_EXCL, O_TRUNC,  O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC,
                                O_PATH, O_APPEND, O_TRUNC,  0,           O_NOATIME,  O_SYNC,
                                0,      0};
    static const int modes[] = {0644, 0600, 0755, 0777};
    const char *name = PICK(names);
    int flags = (int)below(3) | PICK(extra) | (one_in(4) ? PICK(extra) : 0) | O_NONBLOCK;
    flags |= one_in(2) ? O_CREAT : 0;
    int mode = PICK(modes);
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY)) {
        flags &= ~O_CREAT; /* Linux changed its mind about these two together in 6.4 */
    }
    line("open(%.20s, %#o, %#o) = %ld", name, flags, mode,
         kept(CALL(openat, AT_FDCWD, name, flags, mode)));
}

static void file_close(void)
{
    int fd = some_fd();
    line("close(%d) = %ld", fd, CALL(close, fd));
}

static void file_read(void)
{
    const char *where;
    int fd = some_fd();
    size_t bytes = below(one_in(8) ? BUFFER_BYTES : 600);
    void *to = place(bytes, &where);
    long offset = (long)below(9000) - 40;
    int is_positioned = one_in(2);
    long result = is_positioned ? CALL(pread64, fd, to, bytes, offset) : CALL(read, fd, to, bytes);
    line("read(%d, %s, %zu, %ld) = %ld %08x", fd, where, bytes, is_positioned ? offset : -1, result,
         result > 0 ? digest(to, (size_t)result) : 0);
}

static mode_t kind_of(int fd)
{
    struct stat status;
    return CALL(fstat, fd, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

/* A place to write from. Linux's files in memory grow even when nothing could be copied. */
static void *source(int fd, size_t bytes, const char **name)
{
    void *from = place(bytes, name);
    int is_good = kind_of(fd) == S_IFREG && from != NOT_A_POINTER;
    *name = is_good ? "good" : *name;
    return is_good ? buffer : from;
}

static void file_write(void)
{
    const char *where;
    int fd = some_fd();
    size_t bytes = below(one_in(8) ? BUFFER_BYTES : 600);
    void *from = source(fd, bytes, &where);
    long offset = (long)below(9000) - 40;
    int is_positioned = one_in(2);
    fill();
    long result =
        is_positioned ? CALL(pwrite64, fd, from, bytes, offset) : CALL(write, fd, from, bytes);
    line("write(%d, %s, %zu, %ld) = %ld", fd, where, bytes, is_positioned ? offset : -1, result);
}

static void file_vector(void)
{
    const char *where[3];
    struct iovec vector[3];
    int fd = some_fd(), is_write = one_in(2);
    long count = (long)below(5) - 1;
    fill();
    int is_pipe = kind_of(fd) == S_IFIFO;
    for (int i = 0; i < 3; i++) {
        vector[i].iov_len = one_in(30) ? (size_t)-1 : below(300);
        vector[i].iov_base = is_write ? source(fd, vector[i].iov_len, &where[i])
                                      : place(vector[i].iov_len, &where[i]);
        if (i > 0 && is_pipe) { /* how much a pipe takes before a fault depends on Linux's pages */
            vector[i].iov_base = buffer;
            where[i] = "good";
        }
    }
    count = count > 3 ? 3 : count;
    long result = is_write ? CALL(writev, fd, vector, count) : CALL(readv, fd, vector, count);
    line("%s(%d, [%s %zd, %s %zd, %s %zd], %ld) = %ld", is_write ? "writev" : "readv", fd, where[0],
         vector[0].iov_len, where[1], vector[1].iov_len, where[2], vector[2].iov_len, count,
         result);
}

/* Positions in a folder, and how fine holes are, are the file system's own affair. */
static void file_seek(void)
{
    int fd = some_fd(), whence = (int)below(7);
    long offset = (long)below(12000) - 2000;
    int is_folder = kind_of(fd) == S_IFDIR;
    if (is_folder || whence == SEEK_DATA || whence == SEEK_HOLE) {
        whence = SEEK_SET;
        offset = is_folder ? 0 : offset;
    }
    line("lseek(%d, %ld, %d) = %ld", fd, offset, whence, CALL(lseek, fd, offset, whence));
}

static void file_size(void)
{
    const char *name = PICK(names);
    int fd = some_fd();
    long size = (long)below(10000) - 100;
    if (one_in(3)) {
        line("truncate(%.20s, %ld) = %ld", name, size, CALL(truncate, name, size));
    } else if (one_in(2)) {
        line("ftruncate(%d, %ld) = %ld", fd, size, CALL(ftruncate, fd, size));
    } else {
        long length = (long)below(5000) - 20;
        line("fallocate(%d, %ld, %ld) = %ld", fd, size, length,
             CALL(fallocate, fd, 0, size, length));
    }
}

static void file_status(void)
{
    const char *name = PICK(names), *where;
    struct stat *to = place(sizeof(struct stat), &where);
    int fd = some_fd(), flags = one_in(2) ? AT_SYMLINK_NOFOLLOW : one_in(8) ? 0x40000000 : 0;
    int by_fd = one_in(3);
    long result = by_fd ? CALL(fstat, fd, to) : CALL(newfstatat, AT_FDCWD, name, to, flags);
    int is_folder = result == 0 && S_ISDIR(to->st_mode);
    line("stat(%d %.20s, %s, %#x) = %ld mode %o links %ld size %ld", by_fd ? fd : -1, name, where,
         flags, result, result == 0 ? to->st_mode : 0,
         result == 0 && !is_folder ? (long)to->st_nlink : 0,
         result == 0 && !is_folder ? (long)to->st_size : 0);
}

static void file_name(void)
{
    const char *from = short_name(), *to = short_name();
    static const int flags[] = {0, 0, 0, 1, 2, 3, 64};
    int flag = PICK(flags);
    switch (below(9)) {
    case 0:
        line("mkdir(%.20s) = %ld", from, CALL(mkdir, from, 0755));
        return;
    case 1:
        line("rmdir(%.20s) = %ld", from, CALL(rmdir, from));
        return;
    case 2:
        line("unlink(%.20s) = %ld", from, CALL(unlink, from));
        return;
    case 3:
        line("link(%.20s, %.20s) = %ld", from, to, CALL(link, from, to));
        return;
    case 4:
        line("symlink(%.20s, %.20s) = %ld", from, to, CALL(symlink, from, to));
        return;
    case 5:
        line("chmod(%.20s, %o) = %ld", from, 0600 | flag, CALL(chmod, from, 0600 | flag));
        return;
    case 6:
        line("access(%.20s, %d) = %ld", from, flag, CALL(access, from, flag));
        return;
    default:
        line("rename(%.20s, %.20s, %d) = %ld", from, to, flag,
             CALL(renameat2, AT_FDCWD, from, AT_FDCWD, to, flag));
    }
}

static void file_link_text(void)
{
    const char *name = PICK(names), *where;
    long bytes = (long)below(40) - 2;
    char *to = place(40, &where);
    long result = CALL(readlink, name, to, bytes);
    line("readlink(%.20s, %s, %ld) = %ld %.*s", name, where, bytes, result,
         result > 0 ? (int)result : 0, result > 0 ? to : "");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Order and cookies are the file system's own; the set of names and their kinds is not. */
static void file_listing(void)
{
    static char entries[64][64];
    char *sorted[64], text[700] = "";
    int fd = some_fd();
    unsigned count = 0;
    long result;
    CALL(lseek, fd, 0, SEEK_SET);
    while ((result = CALL(getdents64, fd, buffer, 512)) > 0) {
        for (long at = 0; at < result && count < 64;) {
            unsigned short length;
            memcpy(&length, buffer + at + 16, sizeof(length));
            snprintf(entries[count], 64, "%.40s:%d ", (char *)buffer + at + 19, buffer[at + 18]);
            sorted[count] = entries[count];
            count++;
            at += length;
        }
    }
    qsort(sorted, count, sizeof(sorted[0]), compare_names);
    for (unsigned i = 0; i < count; i++) {
        strncat(text, sorted[i], sizeof(text) - strlen(text) - 1);
    }
    line("getdents(%d) = %ld %s", fd, result, text);
}

static void file_descriptor(void)
{
    static const int commands[] = {F_GETFD,         F_SETFD, F_GETFL, F_DUPFD,
                                   F_DUPFD_CLOEXEC, F_SETFL, 77};
    int fd = some_fd(), to = some_fd(), command = PICK(commands);
    long argument = (long)below(FD_COUNT);
    switch (below(4)) {
    case 0:
        line("dup(%d) = %ld", fd, kept(CALL(dup, fd)));
        return;
    case 1:
        line("dup2(%d, %d) = %ld", fd, to, kept(CALL(dup2, fd, to)));
        return;
    case 2:
        argument = one_in(3) ? O_CLOEXEC : (long)below(2);
        line("dup3(%d, %d, %ld) = %ld", fd, to, argument, kept(CALL(dup3, fd, to, argument)));
        return;
    default:
        argument = command == F_SETFL ? O_NONBLOCK | (one_in(2) ? O_APPEND : 0) : argument;
        long result = CALL(fcntl, fd, command, argument);
        int is_new = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
        line("fcntl(%d, %d, %ld) = %ld", fd, command, argument, is_new ? kept(result) : result);
    }
}

static void file_events(void)
{
    static const int flags[] = {O_NONBLOCK, O_NONBLOCK | O_CLOEXEC, O_NONBLOCK | 3};
    int ends[2] = {-7, -7}, flag = PICK(flags);
    if (one_in(3)) {
        long result = CALL(pipe2, ends, flag);
        line("pipe2(%#o) = %ld %d %d", flag, result, ends[0], ends[1]);
        kept(ends[0]);
        kept(ends[1]);
    } else {
        struct pollfd polls[3];
        for (int i = 0; i < 3; i++) {
            polls[i] = (struct pollfd){some_fd(), (short)below(0x40), 0x55};
        }
        long result = CALL(poll, polls, 3, 0);
        line("poll(%d %#x, %d %#x, %d %#x) = %ld %#x %#x %#x", polls[0].fd, polls[0].events,
             polls[1].fd, polls[1].events, polls[2].fd, polls[2].events, result, polls[0].revents,
             polls[1].revents, polls[2].revents);
    }
}

static void file_folder(void)
{
    const char *where;
    size_t bytes = below(30);
    char *to = place(bytes, &where);
    if (one_in(2)) {
        unsigned mask = (unsigned)below(4) * 011;
        line("umask(%o) = %lo", mask, CALL(umask, mask));
    } else { /* the folder's name differs, its end does not */
        long result = CALL(getcwd, buffer, BUFFER_BYTES);
        line("getcwd() = %d %s, short %ld, bad %ld", result > 0,
             result > 4 ? (char *)buffer + result - 5 : "", CALL(getcwd, to, bytes > 1 ? 1 : 0),
             CALL(getcwd, NOT_A_POINTER, 4096));
    }
}

static void file_times(void)
{
    static const long parts[] = {0, 5, 999999999, 1000000000, -1, 0x3ffffffe};
    const char *name = PICK(names);
    struct timespec times[2] = {{(long)below(100000), PICK(parts)},
                                {(long)below(100000), PICK(parts)}};
    struct stat status = {0};
    long result = CALL(utimensat, AT_FDCWD, name, times, 0);
    int shown = result == 0 && times[1].tv_nsec != 0x3ffffffe && CALL(stat, name, &status) == 0;
    line("utimensat(%.20s, %ld %ld) = %ld %ld %ld", name, times[1].tv_sec, times[1].tv_nsec, result,
         shown ? (long)status.st_mtim.tv_sec : 0, shown ? (long)status.st_mtim.tv_nsec : 0);
}
