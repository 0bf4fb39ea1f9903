/* SPDX-License-Identifier: Apache-2.0 */
/* Files: a tree made below /tmp with exact errors and effects, and a read-only file of the image
 * (--file PATH, of any size, read in several ways). Fault injection: --break CASE.
 *
 * @verifies ATL-HLR-CONF-0007~1 */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define ROOT "/tmp/conformance"

/* Volatile: the compiler must not know that these arguments are wrong on purpose. */
static void *volatile bad_pointer = (void *)8;
static volatile int minus_one = -1, too_many = 1025;

static int make(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK_EQUAL(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void expect_content(const char *path, const char *text)
{
    char buffer[256] = {0};
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQUAL(read(fd, buffer, sizeof(buffer)), strlen(text));
    CHECK(strcmp(buffer, text) == 0);
    CHECK_EQUAL(close(fd), 0);
}

static void remove_tree(void)
{
    static const char *const names[] = {"a",     "b", "link",   "d/x", "d/y",
                                        "d/new", "n", "sparse", "log"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), ROOT "/%s", names[i]);
        unlink(path);
    }
    rmdir(ROOT "/d/sub");
    rmdir(ROOT "/d");
    rmdir(ROOT);
}

static void open_errors(void)
{
    remove_tree();
    CHECK(mkdir("/tmp", 0777) == 0 || errno == EEXIST);
    CHECK_EQUAL(mkdir(ROOT, 0755), 0);
    CHECK_ERRNO(mkdir(ROOT, 0755), EEXIST);
    CHECK_ERRNO(mkdir(ROOT "/no/no", 0755), ENOENT);
    CHECK_ERRNO(open(ROOT "/absent", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK_ERRNO(open(ROOT, O_WRONLY), EISDIR);
    CHECK_ERRNO(open(bad_pointer, O_RDONLY), EFAULT);
    close(make(ROOT "/a", "hello"));
    CHECK_ERRNO(open(ROOT "/a", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERRNO(open(ROOT "/a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open(ROOT "/a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    char name[300];
    memset(name, 'n', sizeof(name) - 1);
    name[299] = 0;
    memcpy(name, ROOT "/", sizeof(ROOT));
    CHECK_ERRNO(open(name, O_RDONLY), ENAMETOOLONG);
    CHECK_ERRNO(close(999), EBADF);
    CHECK_ERRNO(close(-1), EBADF);
}

static void read_write_seek(void)
{
    char buffer[16] = {0};
    int fd = make(ROOT "/b", "0123456789");
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 10);
    CHECK_EQUAL(read(fd, buffer, 4), 0);
    CHECK_EQUAL(lseek(fd, 3, SEEK_SET), 3);
    CHECK_EQUAL(read(fd, buffer, 4), 4);
    CHECK(memcmp(buffer, "3456", 4) == 0);
    CHECK_EQUAL(pread(fd, buffer, 16, 8), 2);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 7);
    CHECK_EQUAL(pwrite(fd, "xy", 2, 1), 2);
    CHECK_EQUAL(lseek(fd, -2, SEEK_END), 8);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
    CHECK_ERRNO(pread(fd, buffer, 1, -1), EINVAL);
    CHECK_ERRNO(read(fd, bad_pointer, 1), EFAULT);
    CHECK_ERRNO(write(fd, bad_pointer, 1), EFAULT);
    CHECK_EQUAL(read(fd, buffer, 0), 0);
    CHECK_EQUAL(close(fd), 0);
    CHECK_ERRNO(read(fd, buffer, 1), EBADF);
    expect_content(ROOT "/b", "0xy3456789");
    fd = open(ROOT "/b", O_RDONLY);
    CHECK_ERRNO(write(fd, "x", 1), EBADF);
    CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
    close(fd);
    fd = open(ROOT "/b", O_WRONLY);
    CHECK_ERRNO(read(fd, buffer, 1), EBADF);
    close(fd);
}

static void vectors(void)
{
    char one[4] = {0}, two[8] = {0};
    struct iovec out[] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}};
    struct iovec in[] = {{one, 3}, {two, 8}};
    int fd = make(ROOT "/b", "");
    CHECK_EQUAL(writev(fd, out, 3), 8);
    CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQUAL(readv(fd, in, 2), 8);
    CHECK(strcmp(one, "abc") == 0 && strcmp(two, "defgh") == 0);
    CHECK_ERRNO(writev(fd, out, minus_one), EINVAL);
    CHECK_ERRNO(writev(fd, out, too_many), EINVAL);
    CHECK_EQUAL(writev(fd, out, 0), 0);
    close(fd);
}

static void append_truncate(void)
{
    char buffer[8];
    struct stat status;
    close(make(ROOT "/log", "one"));
    int fd = open(ROOT "/log", O_RDWR | O_APPEND);
    CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQUAL(write(fd, "two", 3), 3);
    CHECK_EQUAL(lseek(fd, 0, SEEK_CUR), 6);
    expect_content(ROOT "/log", "onetwo");
    CHECK_EQUAL(ftruncate(fd, 2), 0);
    expect_content(ROOT "/log", "on");
    CHECK_EQUAL(ftruncate(fd, 4), 0);
    CHECK_EQUAL(pread(fd, buffer, 8, 0), 4);
    CHECK(memcmp(buffer, "on\0\0", 4) == 0);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    close(fd);
    fd = make(ROOT "/sparse", "");
    CHECK_EQUAL(pwrite(fd, "end", 3, 1 << 20), 3);
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK_EQUAL(status.st_size, (1 << 20) + 3);
    CHECK_EQUAL(pread(fd, buffer, 4, 12345), 4);
    CHECK(memcmp(buffer, "\0\0\0\0", 4) == 0);
    close(fd);
    fd = open(ROOT "/log", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0);
    close(fd);
    expect_content(ROOT "/log", "");
}

static void names(void)
{
    struct stat status;
    close(make(ROOT "/a", "A"));
    close(make(ROOT "/b", "B"));
    CHECK_EQUAL(mkdir(ROOT "/d", 0700), 0);
    CHECK_EQUAL(rename(ROOT "/a", ROOT "/n"), 0);
    CHECK_ERRNO(stat(ROOT "/a", &status), ENOENT);
    CHECK_EQUAL(rename(ROOT "/n", ROOT "/b"), 0); /* replaces */
    expect_content(ROOT "/b", "A");
    CHECK_EQUAL(rename(ROOT "/b", ROOT "/d/x"), 0);
    expect_content(ROOT "/d/x", "A");
    CHECK_ERRNO(rename(ROOT "/a", ROOT "/b"), ENOENT);
    CHECK_ERRNO(rename(ROOT "/d/x", ROOT "/d"), ENOTEMPTY); /* its own parent */
    close(make(ROOT "/a", "A"));
    CHECK_ERRNO(rename(ROOT "/a", ROOT "/d"), EISDIR);
    CHECK_ERRNO(rename(ROOT "/d", ROOT "/a"), ENOTDIR);
    CHECK_ERRNO(rename(ROOT "/d", ROOT "/d/sub"), EINVAL);
    CHECK_ERRNO(rmdir(ROOT "/d"), ENOTEMPTY);
    CHECK_ERRNO(rmdir(ROOT "/d/x"), ENOTDIR);
    CHECK_ERRNO(unlink(ROOT "/d"), EISDIR);
    CHECK_ERRNO(unlink(ROOT "/absent"), ENOENT);
    int fd = open(ROOT "/d/x", O_RDONLY);
    char byte = 0;
    CHECK_EQUAL(unlink(ROOT "/d/x"), 0);
    CHECK_EQUAL(read(fd, &byte, 1), 1); /* lives until the last descriptor is closed */
    CHECK_EQUAL(byte, 'A');
    CHECK_EQUAL(fstat(fd, &status), 0);
    CHECK_EQUAL(status.st_nlink, 0);
    close(fd);
    CHECK_EQUAL(rmdir(ROOT "/d"), 0);
    CHECK_ERRNO(rmdir(ROOT "/d"), ENOENT);
}

static void status_fields(void)
{
    struct stat file, directory, again;
    close(make(ROOT "/a", "12345"));
    CHECK_EQUAL(stat(ROOT "/a", &file), 0);
    CHECK(S_ISREG(file.st_mode) && file.st_size == 5 && file.st_nlink == 1);
    CHECK_EQUAL(stat(ROOT, &directory), 0);
    CHECK(S_ISDIR(directory.st_mode) && directory.st_ino != file.st_ino);
    CHECK_EQUAL(lstat(ROOT "/./a", &again), 0);
    CHECK(again.st_ino == file.st_ino && again.st_dev == file.st_dev);
    CHECK_EQUAL(stat(ROOT "/../conformance/a", &again), 0);
    CHECK_EQUAL(again.st_ino, file.st_ino);
    CHECK_EQUAL(access(ROOT "/a", R_OK | W_OK), 0);
    CHECK_ERRNO(access(ROOT "/absent", F_OK), ENOENT);
    CHECK_ERRNO(stat(ROOT "/a/", &again), ENOTDIR);
}

static void descriptors(void)
{
    char byte;
    int fd = make(ROOT "/a", "abcdef"), copy = dup(fd);
    CHECK(copy > fd);
    CHECK_EQUAL(lseek(fd, 2, SEEK_SET), 2);
    CHECK_EQUAL(read(copy, &byte, 1), 1); /* one file position */
    CHECK_EQUAL(byte, 'c');
    CHECK_EQUAL(dup2(fd, 50), 50);
    CHECK_EQUAL(lseek(50, 0, SEEK_CUR), 3);
    CHECK_ERRNO(dup2(99, 51), EBADF);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK_EQUAL(fcntl(fd, F_GETFD), 0);
    CHECK_EQUAL(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQUAL(fcntl(copy, F_GETFD), 0);
    CHECK_EQUAL(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
    CHECK_EQUAL(fcntl(fd, F_SETFL, O_APPEND), 0);
    CHECK_EQUAL(fcntl(copy, F_GETFL) & O_APPEND, O_APPEND);
    CHECK_EQUAL(fcntl(fd, F_DUPFD, 60), 60);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_ERRNO(fcntl(98, F_GETFD), EBADF);
    CHECK_EQUAL(close(fd), 0);
    int lowest = open(ROOT "/a", O_RDONLY);
    CHECK_EQUAL(lowest, fd); /* the lowest free number */
    close(lowest);
    close(copy);
    close(50);
    close(60);
}

static void directories(void)
{
    CHECK_EQUAL(mkdir(ROOT "/d", 0755), 0);
    CHECK_EQUAL(mkdir(ROOT "/d/sub", 0755), 0);
    close(make(ROOT "/d/x", ""));
    close(make(ROOT "/d/y", ""));
    int seen[5] = {0};
    static const char *const expected[] = {".", "..", "sub", "x", "y"};
    DIR *directory = opendir(ROOT "/d");
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        int known = 0;
        for (int i = 0; i < 5; i++) {
            if (strcmp(entry->d_name, expected[i]) == 0) {
                seen[i]++;
                known = 1;
                CHECK(entry->d_type == DT_UNKNOWN || entry->d_type == (i < 3 ? DT_DIR : DT_REG));
            }
        }
        CHECK(known);
    }
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(seen[i], 1);
    }
    CHECK_EQUAL(closedir(directory), 0);
    CHECK_ERRNO(opendir(ROOT "/absent") == NULL ? -1 : 0, ENOENT);
}

static void working_directory(void)
{
    char buffer[256], small[4];
    CHECK(getcwd(buffer, sizeof(buffer)) == buffer);
    CHECK_EQUAL(chdir(ROOT "/d"), 0);
    CHECK(getcwd(buffer, sizeof(buffer)) != NULL && strcmp(buffer, ROOT "/d") == 0);
    CHECK_ERRNO(getcwd(small, sizeof(small)) == NULL ? -1 : 0, ERANGE);
    close(make("new", "n"));
    expect_content(ROOT "/d/new", "n");
    CHECK_ERRNO(chdir(ROOT "/absent"), ENOENT);
    CHECK_ERRNO(chdir(ROOT "/d/x"), ENOTDIR);
    int fd = open("..", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    int file = openat(fd, "d/new", O_RDONLY);
    CHECK(file >= 0);
    close(file);
    CHECK_EQUAL(unlinkat(fd, "d/new", 0), 0);
    close(fd);
    CHECK_EQUAL(chdir("/"), 0);
}

static void *append_lines(void *argument)
{
    int fd = open(ROOT "/log", O_WRONLY | O_APPEND);
    char line[48];
    check_pin((int)(intptr_t)argument);
    for (long i = 0; i < check_count(200); i++) {
        snprintf(line, sizeof(line), "%07ld %07ld\n", (long)(intptr_t)argument, i);
        CHECK_EQUAL(write(fd, line, 16), 16);
    }
    close(fd);
    return NULL;
}

static void parallel_appends(void)
{
    pthread_t threads[4];
    long next[4] = {0}, index, number;
    char line[17] = {0};
    close(make(ROOT "/log", ""));
    for (long i = 0; i < 4; i++) {
        threads[i] = check_thread(append_lines, (void *)i);
    }
    for (int i = 0; i < 4; i++) {
        check_join(threads[i]);
    }
    int fd = open(ROOT "/log", O_RDONLY);
    for (long i = 0; i < 4 * check_count(200); i++) {
        CHECK_EQUAL(read(fd, line, 16), 16);
        CHECK_EQUAL(sscanf(line, "%ld %ld", &index, &number), 2);
        CHECK_EQUAL(number, next[index]++); /* nothing torn, lost or out of order */
    }
    CHECK_EQUAL(read(fd, line, 16), 0);
    close(fd);
    remove_tree();
    CHECK_ERRNO(access(ROOT, F_OK), ENOENT);
}

/* Reads the file sequentially and by pread from its end: the same bytes, and as many as stat says.
 */
static void given_file(void)
{
    char buffer[4096];
    struct stat status;
    uint64_t forward = 0, backward = 0;
    if (check_state.file == NULL) {
        CHECK(check_state.file == NULL);
        return;
    }
    int fd = open(check_state.file, O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQUAL(fstat(fd, &status), 0);
    long total = 0;
    for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) != 0; total += got) {
        CHECK(got > 0);
        for (ssize_t i = 0; i < got; i++) {
            forward += (uint64_t)(total + i + 1) * (unsigned char)buffer[i];
        }
    }
    CHECK_EQUAL(total, status.st_size);
    for (long at = total; at > 0;) {
        long piece = at < 1000 ? at : 1000;
        at -= piece;
        CHECK_EQUAL(pread(fd, buffer, (size_t)piece, at), piece);
        for (long i = 0; i < piece; i++) {
            backward += (uint64_t)(at + i + 1) * (unsigned char)buffer[i];
        }
    }
    CHECK_EQUAL(forward, backward);
    close(fd);
    printf("file %ld bytes, sum %016llx\n", total, (unsigned long long)forward);
}

int main(int argc, char **argv)
{
    static const struct check_case cases[] = {
        {"open_errors", open_errors},
        {"read_write_seek", read_write_seek},
        {"vectors", vectors},
        {"append_truncate", append_truncate},
        {"names", names},
        {"status_fields", status_fields},
        {"descriptors", descriptors},
        {"directories", directories},
        {"working_directory", working_directory},
        {"parallel_appends", parallel_appends},
        {"given_file", given_file},
    };
    return CHECK_MAIN(cases);
}
