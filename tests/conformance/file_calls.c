/* SPDX-License-Identifier: Apache-2.0 */
/* The less common calls on files: bytes moved between files, opening under conditions, times,
 * holes, extended attributes, files in memory. Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0015~1 ATL-LLR-FILE-0037~1 ATL-LLR-FILE-0038~1
 * @verifies ATL-LLR-FILE-0039~1 @robust */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <utime.h>

#define ROOT "/tmp/conformance-calls"

static int make(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void expect(int fd, const char *text)
{
    char buffer[256] = {0};
    CHECK_EQUAL(pread(fd, buffer, sizeof(buffer) - 1, 0), strlen(text));
    CHECK(strcmp(buffer, text) == 0);
}

static void begin(void)
{
    CHECK(mkdir(ROOT, 0755) == 0 || errno == EEXIST);
}

static void sending(void)
{
    begin();
    int in = make(ROOT "/in", "0123456789"), out = make(ROOT "/out", "ab");
    off_t offset = 3;
    CHECK_EQUAL(sendfile(out, in, &offset, 4), 4);
    CHECK_EQUAL(offset, 7);
    CHECK_EQUAL(lseek(in, 0, SEEK_CUR), 10);
    expect(out, "ab3456");
    CHECK_EQUAL(sendfile(out, in, NULL, 4), 0); /* at its end */
    CHECK_EQUAL(lseek(in, 8, SEEK_SET), 8);
    CHECK_EQUAL(sendfile(out, in, NULL, 100), 2);
    CHECK_EQUAL(lseek(in, 0, SEEK_CUR), 10);
    expect(out, "ab345689");
    offset = -1;
    CHECK_ERRNO(sendfile(out, in, &offset, 1), EINVAL);
    CHECK_ERRNO(sendfile(out, 99, NULL, 1), EBADF);
    int reader = open(ROOT "/in", O_RDONLY), writer = open(ROOT "/in", O_WRONLY | O_APPEND);
    int directory = open(ROOT, O_RDONLY);
    CHECK_ERRNO(sendfile(reader, in, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(out, writer, NULL, 1), EBADF);
    CHECK_ERRNO(sendfile(writer, reader, NULL, 1), EINVAL);
    CHECK_ERRNO(sendfile(out, directory, NULL, 1), EINVAL);
    close(reader);
    close(writer);
    close(directory);
    close(in);
    close(out);
}

static void copying(void)
{
    int in = make(ROOT "/in", "0123456789"), out = make(ROOT "/out", "");
    off_t from = 2, to = 4;
    CHECK_EQUAL(copy_file_range(in, &from, out, &to, 5, 0), 5);
    CHECK(from == 7 && to == 9);
    CHECK_EQUAL(copy_file_range(in, &from, out, NULL, 100, 0), 3);
    CHECK_EQUAL(lseek(out, 0, SEEK_CUR), 3);
    char buffer[10];
    CHECK_EQUAL(pread(out, buffer, 10, 0), 9);
    CHECK(memcmp(buffer, "789\00023456", 9) == 0);
    from = 0, to = 5;
    CHECK_ERRNO(copy_file_range(in, &from, in, &to, 6, 0), EINVAL); /* overlaps */
    CHECK_EQUAL(copy_file_range(in, &from, in, &to, 5, 0), 5);
    expect(in, "0123401234");
    CHECK_ERRNO(copy_file_range(in, &from, out, &to, 1, 1), EINVAL);
    int directory = open(ROOT, O_RDONLY), appender = open(ROOT "/out", O_WRONLY | O_APPEND);
    from = to = 0;
    CHECK_ERRNO(copy_file_range(directory, &from, out, &to, 1, 0), EISDIR);
    CHECK_ERRNO(copy_file_range(in, &from, appender, &to, 1, 0), EBADF);
    CHECK_ERRNO(copy_file_range(appender, &from, out, &to, 1, 0), EBADF);
    /* large, through several pieces of memory */
    static char large[100000];
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (char)(i * 7 + i / 4096);
    }
    CHECK_EQUAL(pwrite(in, large, sizeof(large), 0), sizeof(large));
    from = 1, to = 0;
    CHECK_EQUAL(copy_file_range(in, &from, out, &to, sizeof(large), 0), sizeof(large) - 1);
    char *copy = malloc(sizeof(large));
    CHECK_EQUAL(pread(out, copy, sizeof(large), 0), sizeof(large) - 1);
    CHECK(memcmp(copy, large + 1, sizeof(large) - 1) == 0);
    free(copy);
    close(directory);
    close(appender);
    close(in);
    close(out);
}

static void vectors_with_flags(void)
{
    int fd = make(ROOT "/in", "abc");
    char buffer[8] = {0};
    struct iovec in = {buffer, 2}, out = {"XY", 2};
    CHECK_EQUAL(lseek(fd, 1, SEEK_SET), 1);
    CHECK_EQUAL(syscall(SYS_preadv2, fd, &in, 1, -1L, -1L, 0), 2);
    CHECK(memcmp(buffer, "bc", 2) == 0);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 3);
    CHECK_EQUAL(syscall(SYS_pwritev2, fd, &out, 1, 0L, 0L, 0x10 /* RWF_APPEND */), 2);
    expect(fd, "abcXY");
    CHECK_EQUAL(syscall(SYS_pwritev2, fd, &out, 1, 1L, 0L, 0x6), 2); /* RWF_DSYNC | RWF_SYNC */
    expect(fd, "aXYXY");
    CHECK_ERRNO(syscall(SYS_preadv2, fd, &in, 1, 0L, 0L, 0x400000), EOPNOTSUPP);
    close(fd);
}

struct how {
    uint64_t flags, mode, resolve, more;
};

static int open_how(int directory, const char *path, struct how how)
{
    return (int)syscall(SYS_openat2, directory, path, &how, 24UL);
}

#define NO_XDEV 1u
#define NO_MAGIC 2u
#define NO_LINKS 4u
#define BENEATH 8u
#define IN_ROOT 16u

static void open_conditions(void)
{
    unlink(ROOT "/link");
    unlink(ROOT "/up");
    unlink(ROOT "/top");
    CHECK(mkdir(ROOT "/sub", 0755) == 0 || errno == EEXIST);
    close(make(ROOT "/sub/file", "s"));
    close(make(ROOT "/in", "i"));
    CHECK_EQUAL(symlink("sub/file", ROOT "/link"), 0);
    CHECK_EQUAL(symlink("..", ROOT "/up"), 0);
    CHECK_EQUAL(symlink("/sub/file", ROOT "/top"), 0);
    int root = open(ROOT, O_PATH | O_DIRECTORY), fd;
    CHECK((fd = open_how(root, "link", (struct how){.resolve = BENEATH})) >= 0);
    close(fd);
    CHECK((fd = open_how(root, "sub/../in", (struct how){.resolve = BENEATH})) >= 0);
    close(fd);
    CHECK_ERRNO(open_how(root, "../conformance-calls/in", (struct how){.resolve = BENEATH}), EXDEV);
    CHECK_ERRNO(open_how(root, "up/x", (struct how){.resolve = BENEATH}), EXDEV);
    CHECK_ERRNO(open_how(root, "top", (struct how){.resolve = BENEATH}), EXDEV);
    CHECK_ERRNO(open_how(root, ROOT "/in", (struct how){.resolve = BENEATH}), EXDEV);
    CHECK((fd = open_how(root, "top", (struct how){.resolve = IN_ROOT})) >= 0);
    close(fd);
    CHECK((fd = open_how(root, "/../../in", (struct how){.resolve = IN_ROOT})) >= 0);
    close(fd);
    CHECK_ERRNO(open_how(root, "link", (struct how){.resolve = NO_LINKS}), ELOOP);
    CHECK_ERRNO(open_how(AT_FDCWD, "/proc/self/fd/0", (struct how){.resolve = NO_MAGIC}), ELOOP);
    CHECK_ERRNO(open_how(AT_FDCWD, "/proc/version", (struct how){.resolve = NO_XDEV}), EXDEV);
    CHECK_ERRNO(open_how(root, "in", (struct how){.resolve = 1 << 20}), EINVAL);
    CHECK_ERRNO(open_how(root, "in", (struct how){.resolve = BENEATH | IN_ROOT}), EINVAL);
    CHECK_ERRNO(open_how(root, "in", (struct how){.flags = 1ULL << 40}), EINVAL);
    CHECK_ERRNO(open_how(root, "in", (struct how){.mode = 0600}), EINVAL);
    CHECK((fd = open_how(root, "new", (struct how){.flags = O_CREAT | O_RDWR, .mode = 0600})) >= 0);
    CHECK_EQUAL(unlink(ROOT "/new"), 0);
    close(fd);
    struct how longer = {.more = 1};
    CHECK_ERRNO(syscall(SYS_openat2, root, "in", &longer, 32UL), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, root, "in", &longer, 8UL), EINVAL);
    CHECK((fd = open(ROOT, O_TMPFILE | O_RDWR, 0600)) >= 0);
    CHECK_EQUAL(write(fd, "t", 1), 1);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    unlink(ROOT "/named");
    CHECK_EQUAL(linkat(AT_FDCWD, path, AT_FDCWD, ROOT "/named", AT_SYMLINK_FOLLOW), 0);
    CHECK_EQUAL(unlink(ROOT "/named"), 0);
    close(fd);
    char byte;
    CHECK_ERRNO(read(root, &byte, 1), EBADF); /* O_PATH */
    CHECK_ERRNO(open(ROOT "/link", O_RDONLY | O_NOFOLLOW), ELOOP);
    close(root);
}

static void times(void)
{
    struct stat status;
    struct utimbuf whole = {111, 222};
    struct timeval fine[2] = {{333, 444444}, {555, 666666}};
    int fd = make(ROOT "/in", "t");
    CHECK_EQUAL(utime(ROOT "/in", &whole), 0);
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK(status.st_atime == 111 && status.st_mtime == 222 && status.st_mtim.tv_nsec == 0);
    CHECK_EQUAL(utimes(ROOT "/in", fine), 0);
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK(status.st_mtime == 555 && status.st_mtim.tv_nsec == 666666000);
    fine[1].tv_usec = 1000000;
    CHECK_ERRNO(syscall(SYS_utimes, ROOT "/in", fine), EINVAL);
    CHECK_ERRNO(utime(ROOT "/absent", &whole), ENOENT);
    CHECK_EQUAL(syscall(SYS_futimesat, AT_FDCWD, ROOT "/in", NULL), 0);
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK(status.st_mtime > 1000000);
    struct timespec spec[2] = {{7, UTIME_OMIT}, {9, 10}};
    CHECK_EQUAL(futimens(fd, spec), 0);
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK(status.st_atime > 1000000 && status.st_mtime == 9 && status.st_mtim.tv_nsec == 10);
    close(fd);
}

static void nodes(void)
{
    struct stat status;
    unlink(ROOT "/node");
    mode_t old = umask(027);
    CHECK_EQUAL(mknod(ROOT "/node", S_IFREG | 0666, 0), 0);
    umask(old);
    CHECK_EQUAL(stat(ROOT "/node", &status), 0);
    CHECK_EQUAL(status.st_mode, S_IFREG | 0640);
    CHECK_ERRNO(mknod(ROOT "/node", S_IFREG | 0666, 0), EEXIST);
    CHECK_ERRNO(mknod(ROOT "/other", S_IFDIR | 0666, 0), EPERM);
    CHECK_ERRNO(mknod(ROOT "/other", 0030000 | 0666, 0), EINVAL);
    CHECK_EQUAL(unlink(ROOT "/node"), 0);
}

static size_t volatile too_long = 65537;

static void attributes(void)
{
    char buffer[16];
    int fd = make(ROOT "/in", "a");
    CHECK_ERRNO(getxattr(ROOT "/absent", "user.a", buffer, 16), ENOENT);
    CHECK_ERRNO(getxattr(ROOT "/in", "", buffer, 16), ERANGE);
    CHECK_ERRNO(fsetxattr(fd, "user.a", "b", 1, 77), EINVAL);
    CHECK_ERRNO(fsetxattr(fd, "user.a", "b", too_long, 0), E2BIG);
    CHECK_ERRNO(fgetxattr(99, "user.a", buffer, 16), EBADF);
    CHECK_ERRNO(setxattr(ROOT "/in", "nosuchclass.a", "b", 1, 0), EOPNOTSUPP);
    CHECK_ERRNO(removexattr(ROOT "/in", "nosuchclass.a"), EOPNOTSUPP);
    CHECK_ERRNO(lgetxattr(ROOT "/in", "nosuchclass.a", buffer, 16), EOPNOTSUPP);
    CHECK_EQUAL(listxattr(ROOT "/in", buffer, 16), 0);
    CHECK_EQUAL(flistxattr(fd, NULL, 0), 0);
    close(fd);
}

static void holes(void)
{
    const off_t hole = 1 << 20;
    int fd = make(ROOT "/in", "");
    CHECK_EQUAL(pwrite(fd, "x", 1, hole), 1);
    CHECK_EQUAL(lseek(fd, 0, SEEK_DATA), hole);
    CHECK_EQUAL(lseek(fd, 0, SEEK_HOLE), 0);
    CHECK_EQUAL(lseek(fd, hole, SEEK_HOLE), hole + 1);
    CHECK_ERRNO(lseek(fd, hole + 1, SEEK_DATA), ENXIO);
    CHECK_EQUAL(fallocate(fd, FALLOC_FL_KEEP_SIZE, hole, 10 * 4096), 0);
    struct stat status;
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK_EQUAL(status.st_size, hole + 1);
    CHECK_EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 * hole), 0);
    char byte = 1;
    CHECK_EQUAL(pread(fd, &byte, 1, hole), 1);
    CHECK_EQUAL(byte, 0);
    CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
    CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(fallocate(fd, 0, -1, 1), EINVAL);
    CHECK_EQUAL(readahead(fd, 0, 100), 0);
    CHECK_EQUAL(sync_file_range(fd, 0, 0, 7), 0);
    CHECK_ERRNO(sync_file_range(fd, 0, 0, 8), EINVAL);
    CHECK_EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0);
    CHECK_EQUAL(syncfs(fd), 0);
    close(fd);
}

static void descriptors(void)
{
    int fds[4];
    for (int i = 0; i < 4; i++) {
        CHECK((fds[i] = open(ROOT "/in", O_RDONLY)) >= 0);
    }
    CHECK_EQUAL(syscall(SYS_close_range, fds[2], fds[3], 4), 0); /* CLOSE_RANGE_CLOEXEC */
    CHECK_EQUAL(fcntl(fds[3], F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(fds[1], F_GETFD), 0);
    CHECK_EQUAL(syscall(SYS_close_range, fds[1], ~0U, 0), 0);
    CHECK_ERRNO(fcntl(fds[1], F_GETFD), EBADF);
    CHECK_ERRNO(fcntl(fds[3], F_GETFD), EBADF);
    CHECK_EQUAL(fcntl(fds[0], F_GETFD), 0);
    CHECK_ERRNO(syscall(SYS_close_range, 9, 8, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_close_range, 8, 9, 64), EINVAL);
    close(fds[0]);
}

struct old_record {
    unsigned long inode;
    unsigned long offset;
    unsigned short bytes;
    char name[];
};

static void old_listing(void)
{
    int fd = open(ROOT, O_RDONLY | O_DIRECTORY), seen = 0;
    char buffer[1024];
    for (long got; (got = syscall(SYS_getdents, fd, buffer, sizeof(buffer))) != 0;) {
        CHECK(got > 0);
        for (long at = 0; at < got;) {
            const struct old_record *record = (const void *)(buffer + at);
            int type = buffer[at + record->bytes - 1];
            seen += strcmp(record->name, "sub") == 0 && type == DT_DIR;
            seen += strcmp(record->name, "in") == 0 && type == DT_REG;
            at += record->bytes;
        }
    }
    CHECK_EQUAL(seen, 2);
    close(fd);
}

static void memory_file(void)
{
    int fd = (int)syscall(SYS_memfd_create, "name", 1UL);
    CHECK(fd >= 0);
    CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(ftruncate(fd, 8192), 0);
    char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    memory[5000] = 'm';
    char byte = 0;
    CHECK_EQUAL(pread(fd, &byte, 1, 5000), 1);
    CHECK_EQUAL(byte, 'm');
    CHECK_EQUAL(munmap(memory, 8192), 0);
    CHECK_ERRNO(syscall(SYS_memfd_create, "name", 1UL << 20), EINVAL);
    close(fd);
}

static void modes(void)
{
    struct stat status;
    struct statfs system;
    close(make(ROOT "/in", ""));
    CHECK_EQUAL(chmod(ROOT "/in", 04751), 0);
    CHECK_EQUAL(stat(ROOT "/in", &status), 0);
    CHECK_EQUAL(status.st_mode, S_IFREG | 04751);
    CHECK_EQUAL(lchown(ROOT "/link", 5, 6), 0);
    CHECK_EQUAL(lstat(ROOT "/link", &status), 0);
    CHECK(status.st_uid == 5 && status.st_gid == 6);
    CHECK_EQUAL(faccessat(AT_FDCWD, ROOT "/link", F_OK, AT_SYMLINK_NOFOLLOW), 0);
    CHECK_EQUAL(statfs(ROOT, &system), 0);
    CHECK(system.f_bsize > 0 && system.f_blocks >= system.f_bfree && system.f_namelen == 255);
    struct {
        uint32_t mask, block_bytes;
        uint64_t attributes;
        uint32_t links, user, group;
        uint16_t mode, rest[113];
    } extended = {0}; /* musl 1.2.3 has no statx */
    CHECK_EQUAL(syscall(SYS_statx, AT_FDCWD, ROOT "/in", 0L, 0x7ffL, &extended), 0);
    CHECK(extended.mode == (S_IFREG | 04751) && extended.links == 1);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, ROOT "/in", -1L, 0L, &extended), EINVAL);
}

static void end(void)
{
    static const char *const names[] = {"in", "out", "link", "up", "top", "sub/file"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), ROOT "/%s", names[i]);
        CHECK_EQUAL(unlink(path), 0);
    }
    CHECK_EQUAL(rmdir(ROOT "/sub"), 0);
    CHECK_EQUAL(rmdir(ROOT), 0);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"sending", sending},
        {"copying", copying},
        {"vectors_with_flags", vectors_with_flags},
        {"open_conditions", open_conditions},
        {"times", times},
        {"nodes", nodes},
        {"attributes", attributes},
        {"holes", holes},
        {"descriptors", descriptors},
        {"old_listing", old_listing},
        {"memory_file", memory_file},
        {"modes", modes},
        {"end", end},
    };
    return CHECK_MAIN(cases);
}
