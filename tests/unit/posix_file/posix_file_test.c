/* SPDX-License-Identifier: Apache-2.0 */
/* file/ call by call: what the differential test cannot compare with the build machine. */
#include "../check.h"
#include "shim.h"

#include <posix/file.h>
#include <posix/syscalls.h>

#define TEXT(string_) ((uint64_t)(uintptr_t)(string_))
#define HERE ((uint64_t)-100)

#define BLOCK (uint64_t) IMAGE_BLOCK_BYTES

static uint8_t big[10000], damaged[2 * IMAGE_BLOCK_BYTES + 7];
static const struct test_file files[] = {
    {"/a", 0040755, "", 0},
    {"/a-b", 0100644, "dash", 4},
    {"/a/b", 0100644, "inside", 6},
    {"/bin/program", 0100755, "program", 7},
    {"/damaged", 0100644, damaged, sizeof(damaged)},
    {"/data/big", 0100644, big, sizeof(big)},
    {"/data/empty", 0100644, "", 0},
    {"/data/link", 0120777, "../a/b", 6},
    {"/data/loop", 0120777, "loop", 4},
};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))
static struct test_image image;

static void start(void)
{
    static bool is_started;
    if (!is_started) {
        for (size_t i = 0; i < sizeof(big); i++) {
            big[i] = (uint8_t)(i * 7 + i / 256);
        }
        for (size_t i = 0; i < sizeof(damaged); i++) {
            damaged[i] = (uint8_t)(i * 5 + i / 256);
        }
        struct test_strings arguments = {"/bin/program\0-v", 16, 2};
        struct test_strings environment = {"A=1", 4, 1};
        image = test_image_build(files, FILE_COUNT, "/bin/program", arguments, environment);
        shim_start(&image, IMAGE_FLAG_FRAMED);
        posix_file_initialize();
        is_started = true;
    }
}

static uint64_t open_file(const char *path, uint32_t flags)
{
    int64_t result = posix_open(TEXT(path), flags, 0644);
    CHECK(result >= 0);
    return (uint64_t)result;
}

static struct posix_stat stat_of(const char *path)
{
    struct posix_stat stat;
    CHECK_EQUAL(posix_stat(TEXT(path), TEXT(&stat)), 0);
    return stat;
}

/* The whole content of a file as a string. */
static const char *text_of(const char *path)
{
    static char text[16384];
    uint64_t file = open_file(path, 0);
    int64_t bytes = posix_read(file, TEXT(text), sizeof(text) - 1);
    CHECK(bytes >= 0);
    text[bytes] = '\0';
    CHECK_EQUAL(posix_read(file, TEXT(text + bytes), 1), 0);
    CHECK_EQUAL(posix_close(file), 0);
    return text;
}

/* @verifies ATL-LLR-FILE-0004~1 */
/* @verifies ATL-LLR-FILE-0014~1 */
TEST(files_of_the_image_are_found_and_read)
{
    start();
    CHECK_STRING(text_of("/a-b"), "dash");
    CHECK_STRING(text_of("/a/b"), "inside");
    CHECK_STRING(text_of("/data/link"), "inside");
    CHECK_STRING(text_of("//bin/../a/./b"), "inside");
    CHECK_STRING(text_of("/data/empty"), "");
    CHECK_EQUAL(posix_open(TEXT("/a/c"), 0, 0), -ENOENT);
    CHECK_EQUAL(posix_open(TEXT("/bi"), 0, 0), -ENOENT);
    CHECK_EQUAL(posix_open(TEXT("/a-b/x"), 0, 0), -ENOTDIR);
    CHECK_EQUAL(posix_open(TEXT("/data/loop"), 0, 0), -ELOOP);
    CHECK_EQUAL(posix_open(TEXT(""), 0, 0), -ENOENT);
    CHECK_EQUAL(posix_open(5, 0, 0), -EFAULT);
    CHECK_EQUAL(stat_of("/bin").mode, 0040755); /* not listed, but something is below it */
    static char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    CHECK_EQUAL(posix_open(TEXT(longest), 0, 0), -ENAMETOOLONG);
    longest[256] = '\0';
    CHECK_EQUAL(posix_open(TEXT(longest), 0, 0), -ENAMETOOLONG);
    longest[255] = '\0';
    CHECK_EQUAL(posix_open(TEXT(longest), 0, 0), -ENOENT);
}

/* @verifies ATL-LLR-FILE-0014~1 */
TEST(names_of_the_image_stay_away_after_unlink)
{
    start();
    CHECK_EQUAL(posix_unlink(TEXT("/a/b")), 0);
    CHECK_EQUAL(posix_open(TEXT("/a/b"), 0, 0), -ENOENT);
    CHECK_EQUAL(posix_rmdir(TEXT("/a")), 0);
    CHECK_EQUAL(posix_open(TEXT("/a"), 0, 0), -ENOENT);
    CHECK_EQUAL(posix_mkdir(TEXT("/a"), 0755), 0);
    CHECK_EQUAL(posix_open(TEXT("/a/b"), 0, 0), -ENOENT);
    uint64_t file = open_file("/a/b", 0101);
    CHECK_EQUAL(posix_write(file, TEXT("inside"), 6), 6);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0003~1 */
TEST(writing_to_a_file_of_the_image_copies_pieces)
{
    start();
    uint64_t file = open_file("/data/big", 2);
    CHECK_EQUAL(posix_pwrite64(file, TEXT("XY"), 2, 4095), 2);
    uint8_t now[sizeof(big)];
    CHECK_EQUAL(posix_pread64(file, TEXT(now), sizeof(now), 0), sizeof(big));
    CHECK_BYTES(now, big, 4095);
    CHECK_BYTES(now + 4095, "XY", 2);
    CHECK_BYTES(now + 4097, big + 4097, sizeof(big) - 4097);
    CHECK_EQUAL(posix_ftruncate(file, 5000), 0);
    CHECK_EQUAL(posix_ftruncate(file, 9000), 0); /* the old bytes do not come back */
    CHECK_EQUAL(posix_pread64(file, TEXT(now), sizeof(now), 0), 9000);
    CHECK_BYTES(now + 4097, big + 4097, 5000 - 4097);
    for (size_t i = 5000; i < 9000; i++) {
        CHECK_EQUAL(now[i], 0);
    }
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(posix_open(TEXT("/bin/program"), 1, 0), -ETXTBSY);
}

/* @verifies ATL-LLR-FILE-0003~1 */
/* @verifies ATL-LLR-FILE-0011~1 */
TEST(holes_take_no_memory_and_are_told)
{
    start();
    uint64_t file = open_file("/sparse", 0102);
    uint64_t before = shim_allocations;
    CHECK_EQUAL(posix_pwrite64(file, TEXT("x"), 1, 1ull << 40), 1);
    CHECK(shim_allocations - before < 16);
    CHECK_EQUAL(posix_lseek(file, 0, 3), 1ll << 40);
    CHECK_EQUAL(posix_lseek(file, 0, 4), 0);
    CHECK_EQUAL(posix_lseek(file, 1ull << 40, 4), (1ll << 40) + 1);
    CHECK_EQUAL(posix_lseek(file, (1ull << 40) + 1, 3), -ENXIO);
    CHECK_EQUAL(posix_lseek(file, 0, 9), -EINVAL);
    struct posix_stat stat;
    CHECK_EQUAL(posix_fstat(file, TEXT(&stat)), 0);
    CHECK_EQUAL(stat.blocks, 8);
    CHECK_EQUAL(posix_pwrite64(file, TEXT("x"), 1, INT64_MAX), -EFBIG);
    CHECK_EQUAL(posix_fallocate(file, 3, 0, 1ull << 41), 0);
    CHECK_EQUAL(posix_fstat(file, TEXT(&stat)), 0);
    CHECK_EQUAL(stat.blocks, 0);
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(posix_unlink(TEXT("/sparse")), 0);
}

/* Whole blocks but the second are read well, whether the file was written to or not. */
static void read_damaged(uint64_t file)
{
    static uint8_t buffer[sizeof(damaged)];
    CHECK_EQUAL(posix_pread64(file, TEXT(buffer), sizeof(buffer), 1), BLOCK - 1);
    CHECK(memcmp(buffer, damaged + 1, BLOCK - 1) == 0);
    CHECK_EQUAL(posix_pread64(file, TEXT(buffer), sizeof(buffer), BLOCK), -EIO);
    CHECK_EQUAL(posix_pread64(file, TEXT(buffer), 1, 2 * BLOCK - 1), -EIO);
    CHECK_EQUAL(posix_pread64(file, TEXT(buffer), sizeof(buffer), 2 * BLOCK), 7);
    CHECK(memcmp(buffer, damaged + 2 * BLOCK, 7) == 0);
}

/* @verifies ATL-LLR-FILE-0005~2 */
TEST(damaged_block_is_refused_with_a_report)
{
    start();
    const struct image_file *table =
        (struct image_file *)(image.payload + ((struct image_header *)image.payload)->file_offset);
    image.payload[table[4].offset + BLOCK + 5] ^= 1;
    uint64_t file = open_file("/damaged", 2);
    CHECK_EQUAL(stat_of("/damaged").bytes, sizeof(damaged));
    CHECK_STRING(shim_reports, ""); /* nobody has looked */
    read_damaged(file);
    CHECK_STRING(shim_reports,
                 "/damaged: the content does not match its checksum, bytes 65536 to 131071");
    CHECK_EQUAL(posix_pwrite64(file, TEXT(damaged + 3), 1, 3), 1);
    CHECK_EQUAL(posix_pwrite64(file, TEXT("x"), 1, BLOCK + 100), -EIO);
    CHECK_EQUAL(posix_fallocate(file, 0, BLOCK, 1), -EIO);
    CHECK_EQUAL(posix_fallocate(file, 3, BLOCK + 1, 5), -EIO);
    read_damaged(file);
    CHECK_EQUAL(posix_ftruncate(file, BLOCK + 1), 0);
    CHECK_EQUAL(posix_ftruncate(file, BLOCK), 0);
    CHECK_EQUAL(posix_ftruncate(file, BLOCK + 1), 0);
    uint8_t byte = 1;
    CHECK_EQUAL(posix_pread64(file, TEXT(&byte), 1, BLOCK), 1); /* a hole now */
    CHECK_EQUAL(byte, 0);
    CHECK_EQUAL(posix_close(file), 0);
}

static void clear_console(void)
{
    shim_console_used = 0;
    shim_console_calls = 0;
    shim_console_room = UINT64_MAX;
}

/* @verifies ATL-LLR-FILE-0006~1 */
TEST(streams_write_everything_in_few_calls)
{
    start();
    clear_console();
    CHECK_EQUAL(posix_write(1, TEXT("hello\n"), 6), 6);
    CHECK_EQUAL(posix_write(1, 5, 0), 0);
    struct posix_vector vectors[] = {{5, 0}, {TEXT("one "), 4}, {5, 0}, {TEXT("two\n"), 4}};
    CHECK_EQUAL(posix_writev(2, TEXT(vectors), 4), 8);
    CHECK_BYTES(shim_console, "hello\none two\n", 14);
    CHECK_EQUAL(shim_console_calls, 2);
    CHECK_EQUAL(posix_write(1, TEXT(big), sizeof(big)), sizeof(big));
    CHECK_BYTES(shim_console + 14, big, sizeof(big));
    CHECK_EQUAL(shim_console_calls, 5);
    clear_console();
    shim_console_room = 10; /* of each call: the rest goes with the next ones */
    CHECK_EQUAL(posix_write(1, TEXT(big), 100), 100);
    CHECK_BYTES(shim_console, big, 100);
    CHECK_EQUAL(shim_console_calls, 10);
    clear_console();
    CHECK_EQUAL(posix_write(1, 5, 6), -EFAULT);
    CHECK_EQUAL(posix_lseek(1, 0, 0), -ESPIPE);
    CHECK_EQUAL(posix_pread64(0, TEXT(big), 1, 0), -ESPIPE);
}

/* @verifies ATL-LLR-FILE-0006~1 */
TEST(streams_read_what_there_is)
{
    start();
    char bytes[16] = "";
    shim_input = "line";
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 2), 2);
    int32_t count = 0;
    CHECK_EQUAL(posix_ioctl(0, 0x541b, TEXT(&count)), 0);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(posix_read(0, TEXT(bytes + 2), 14), 2);
    CHECK_STRING(bytes, "line");
    shim_input = ""; /* none yet; it comes while the reader is parked */
    shim_input_while_parked = "more";
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 14), 4);
    CHECK_BYTES(bytes, "more", 4);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 14), -ERESTARTSYS); /* a signal instead */
    int32_t on = 1;
    CHECK_EQUAL(posix_ioctl(0, 0x5421, TEXT(&on)), 0); /* FIONBIO */
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 14), -EAGAIN);
    on = 0;
    CHECK_EQUAL(posix_ioctl(0, 0x5421, TEXT(&on)), 0);
    shim_input_ended = true;
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 14), 0);
    shim_input_ended = false;
}

/* @verifies ATL-LLR-FILE-0013~2 */
TEST(descriptors_are_marked_by_ioctl)
{
    start();
    uint16_t size[4] = {0};
    CHECK_EQUAL(posix_ioctl(99, 0x5413, TEXT(size)), -EBADF);
    uint64_t file = open_file("/a-b", 0);
    CHECK_EQUAL(posix_ioctl(file, 0x5413, TEXT(size)), -ENOTTY);
    CHECK_EQUAL(posix_ioctl(file, 0x5451, 0), 0); /* FIOCLEX */
    CHECK_EQUAL(posix_fcntl(file, 1, 0), 1);
    CHECK_EQUAL(posix_ioctl(file, 0x5450, 0), 0);
    CHECK_EQUAL(posix_fcntl(file, 1, 0), 0);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0007~1 */
TEST(devices_behave)
{
    start();
    uint8_t bytes[600];
    uint64_t file = open_file("/dev/null", 2);
    CHECK_EQUAL(posix_read(file, TEXT(bytes), 10), 0);
    CHECK_EQUAL(posix_write(file, 5, 10), 10);
    CHECK_EQUAL(posix_lseek(file, 7, 0), 0);
    CHECK_EQUAL(posix_close(file), 0);
    file = open_file("/dev/zero", 0);
    memset(bytes, 1, sizeof(bytes));
    CHECK_EQUAL(posix_pread64(file, TEXT(bytes), 600, 5), 600);
    CHECK_EQUAL(bytes[599], 0);
    CHECK_EQUAL(posix_write(file, TEXT(bytes), 1), -EBADF);
    CHECK_EQUAL(posix_close(file), 0);
    file = open_file("/dev/full", 1);
    CHECK_EQUAL(posix_write(file, TEXT(bytes), 1), -ENOSPC);
    CHECK_EQUAL(posix_close(file), 0);
    file = open_file("/dev/urandom", 0);
    CHECK_EQUAL(posix_read(file, TEXT(bytes), 600), 600);
    int different = 0;
    for (int i = 1; i < 600; i++) {
        different += bytes[i] != bytes[0];
    }
    CHECK(different > 500);
    CHECK_EQUAL(posix_read(file, 5, 600), -EFAULT);
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(stat_of("/dev/null").mode, 0020666);
    CHECK_EQUAL(stat_of("/dev/null").special_device, 0x103);
    file = open_file("/dev/shm/x", 0102);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0002~1 */
/* @verifies ATL-LLR-FILE-0012~1 */
TEST(descriptors_are_lowest_first_and_limited)
{
    start();
    uint64_t first = open_file("/a-b", 02000000);
    CHECK_EQUAL(first, 3);
    CHECK_EQUAL(posix_fcntl(first, 1, 0), 1);
    CHECK_EQUAL(posix_dup(first), 4);
    CHECK_EQUAL(posix_fcntl(4, 1, 0), 0);
    CHECK_EQUAL(posix_dup2(first, 10), 10);
    CHECK_EQUAL(posix_dup2(first, first), first);
    CHECK_EQUAL(posix_dup3(first, first, 0), -EINVAL);
    CHECK_EQUAL(posix_dup3(first, 11, 1), -EINVAL);
    CHECK_EQUAL(posix_dup2(77, 5), -EBADF);
    CHECK_EQUAL(posix_dup2(first, 1024), -EBADF);
    CHECK_EQUAL(posix_fcntl(first, 0, 9), 9);
    CHECK_EQUAL(posix_fcntl(first, 1030, 9), 11);
    CHECK_EQUAL(posix_fcntl(11, 1, 0), 1);
    CHECK_EQUAL(posix_fcntl(first, 0, 1024), -EINVAL);
    CHECK_EQUAL(posix_fcntl(first, 99, 0), -EINVAL);
    char byte;
    CHECK_EQUAL(posix_read(4, TEXT(&byte), 1), 1); /* one position for all duplicates */
    CHECK_EQUAL(posix_lseek(10, 0, 1), 1);
    for (uint64_t i = 9; i <= 11; i++) {
        CHECK_EQUAL(posix_close(i), 0);
    }
    CHECK_EQUAL(posix_close(11), -EBADF);
    uint64_t opened = 5;
    int64_t result = posix_dup(first);
    CHECK_EQUAL(result, 5);
    while (result >= 0) {
        result = posix_dup(first);
        opened += result >= 0 ? 1 : 0;
    }
    CHECK_EQUAL(result, -EMFILE);
    CHECK_EQUAL(opened, 1023);
    posix_descriptor_set_limit(2000);
    CHECK_EQUAL(posix_dup(first), 1024);
    for (uint64_t i = 3; i <= 1024; i++) {
        CHECK_EQUAL(posix_close(i), 0);
    }
    posix_descriptor_set_limit(1024);
}

/* @verifies ATL-LLR-FILE-0012~1 */
TEST(record_locks_are_granted_and_checked)
{
    start();
    struct {
        int16_t type, whence;
        int64_t start, length;
        int32_t process;
    } lock = {.type = 1, .length = 10};
    uint64_t file = open_file("/locks", 0102);
    CHECK_EQUAL(posix_fcntl(file, 6, TEXT(&lock)), 0);
    CHECK_EQUAL(posix_fcntl(file, 5, TEXT(&lock)), 0);
    CHECK_EQUAL(lock.type, 2);
    lock.type = 7;
    CHECK_EQUAL(posix_fcntl(file, 6, TEXT(&lock)), -EINVAL);
    lock.type = 0;
    lock.start = -1;
    CHECK_EQUAL(posix_fcntl(file, 6, TEXT(&lock)), -EINVAL);
    CHECK_EQUAL(posix_fcntl(file, 6, 5), -EFAULT);
    CHECK_EQUAL(posix_close(file), 0);
    file = open_file("/locks", 0);
    lock.type = 1;
    lock.start = 0;
    CHECK_EQUAL(posix_fcntl(file, 6, TEXT(&lock)), -EBADF);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0001~1 */
TEST(vectors_are_checked_and_faults_cut_the_transfer)
{
    start();
    uint64_t file = open_file("/vectors", 0102);
    static struct posix_vector vectors[1025];
    for (int i = 0; i < 1024; i++) {
        vectors[i] = (struct posix_vector){TEXT(big + i), 1};
    }
    CHECK_EQUAL(posix_writev(file, TEXT(vectors), 1024), 1024);
    CHECK_EQUAL(posix_writev(file, TEXT(vectors), 1025), -EINVAL);
    CHECK_EQUAL(posix_writev(file, 5, 1), -EFAULT);
    CHECK_EQUAL(posix_writev(file, 5, 0), 0);
    vectors[1].bytes = UINT64_MAX;
    CHECK_EQUAL(posix_writev(file, TEXT(vectors), 2), -EINVAL);
    uint8_t back[1024];
    CHECK_EQUAL(posix_preadv(file, TEXT(vectors), 0, 0, 0), 0);
    CHECK_EQUAL(posix_pread64(file, TEXT(back), 1024, 0), 1024);
    CHECK_BYTES(back, big, 1024);
    vectors[0] = (struct posix_vector){TEXT("abc"), 3};
    vectors[1] = (struct posix_vector){5, 100};
    CHECK_EQUAL(posix_pwritev(file, TEXT(vectors), 2, 0, 0), 3);
    CHECK_EQUAL(posix_lseek(file, 0, 2), 1024); /* what could not be written is not claimed */
    CHECK_EQUAL(posix_write(file, 5, 100000), -EFAULT);
    CHECK_EQUAL(posix_lseek(file, 0, 1), 1024);
    CHECK_EQUAL(posix_lseek(file, 0, 2), 1024);
    shim_fault_start = (uintptr_t)big + 40000;
    static uint8_t large[100000];
    shim_fault_start = (uintptr_t)large + 50000;
    shim_fault_end = shim_fault_start + 1;
    int64_t written = posix_write(file, TEXT(large), sizeof(large));
    CHECK(written > 0 && written <= 50000);
    CHECK_EQUAL(posix_lseek(file, 0, 1), 1024 + written);
    CHECK_EQUAL(posix_lseek(file, 0, 2), 1024 + written);
    shim_fault_start = 0;
    shim_fault_end = 0;
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(posix_unlink(TEXT("/vectors")), 0);
}

/* @verifies ATL-LLR-FILE-0008~1 */
TEST(stat_shows_what_the_image_says)
{
    start();
    struct posix_stat stat = stat_of("/data/empty");
    CHECK_EQUAL(stat.mode, 0100644);
    CHECK_EQUAL(stat.modify_s, 1000000006);
    CHECK_EQUAL(stat.block_bytes, 4096);
    CHECK_EQUAL(stat_of("/data/empty").inode, stat.inode);
    CHECK(stat_of("/a-b").inode != stat.inode);
    CHECK_EQUAL(posix_lstat(TEXT("/data/link"), TEXT(&stat)), 0);
    CHECK_EQUAL(stat.mode, 0120777);
    CHECK_EQUAL(stat.bytes, 6);
    CHECK_EQUAL(stat_of("/data").link_count, 2);
    CHECK_EQUAL(posix_stat(TEXT("/data"), 5), -EFAULT);
    CHECK_EQUAL(posix_newfstatat(1, TEXT(""), TEXT(&stat), 0x1000), 0);
    CHECK_EQUAL(stat.mode, 0010600);
    CHECK_EQUAL(posix_newfstatat(HERE, TEXT("/"), TEXT(&stat), 0x8000), -EINVAL);
    struct {
        uint32_t mask, block_bytes;
        uint64_t attributes;
        uint32_t links, user, group;
        uint16_t mode, padding;
        uint64_t inode, bytes, rest[26];
    } statx;
    CHECK_EQUAL(posix_statx(HERE, TEXT("/a-b"), 0, 0x7ff, TEXT(&statx)), 0);
    CHECK_EQUAL(statx.mask, 0x7ff);
    CHECK_EQUAL(statx.mode, 0100644);
    CHECK_EQUAL(statx.bytes, 4);
    CHECK_EQUAL(posix_statx(HERE, TEXT("/a-b"), 0x6000, 0x7ff, TEXT(&statx)), -EINVAL);
    uint64_t statfs[15];
    CHECK_EQUAL(posix_statfs(TEXT("/"), TEXT(statfs)), 0);
    CHECK_EQUAL(statfs[1], 4096);
}

/* @verifies ATL-LLR-FILE-0019~1 */
/* @verifies ATL-LLR-FILE-0020~1 */
TEST(access_and_readlink_answer_as_for_root)
{
    start();
    CHECK_EQUAL(posix_access(TEXT("/a-b"), 6), 0);
    CHECK_EQUAL(posix_access(TEXT("/a-b"), 1), -EACCES);
    CHECK_EQUAL(posix_access(TEXT("/bin/program"), 1), 0);
    CHECK_EQUAL(posix_access(TEXT("/nothing"), 0), -ENOENT);
    CHECK_EQUAL(posix_access(TEXT("/a-b"), 8), -EINVAL);
    char text[64] = "";
    CHECK_EQUAL(posix_readlink(TEXT("/proc/self/exe"), TEXT(text), 64), 12);
    CHECK_STRING(text, "/bin/program");
    CHECK_EQUAL(posix_readlink(TEXT("/data/link"), TEXT(text), 3), 3);
    CHECK_EQUAL(posix_readlink(TEXT("/a-b"), TEXT(text), 64), -EINVAL);
    CHECK_EQUAL(posix_readlink(TEXT("/data/link"), TEXT(text), 0), -EINVAL);
    CHECK_EQUAL(posix_readlink(TEXT(""), TEXT(text), 64), -ENOENT);
    uint64_t file = open_file("/a-b", 0);
    char name[32];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", (int)file);
    memset(text, 0, sizeof(text));
    CHECK_EQUAL(posix_readlink(TEXT(name), TEXT(text), 64), 4);
    CHECK_STRING(text, "/a-b");
    CHECK_STRING(text_of(name), "dash");
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(posix_open(TEXT(name), 0, 0), -ENOENT);
}

/* Names of a directory in the order of getdents64, separated by blanks. */
static const char *list(const char *path, uint64_t room)
{
    static char names[4096];
    static uint8_t buffer[4096];
    names[0] = '\0';
    uint64_t file = open_file(path, 0200000);
    int64_t bytes;
    while ((bytes = posix_getdents64(file, TEXT(buffer), room)) > 0) {
        for (int64_t at = 0; at < bytes; at += *(uint16_t *)(buffer + at + 16)) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof(names) - used, "%s ", (const char *)buffer + at + 19);
        }
    }
    CHECK_EQUAL(bytes, 0);
    CHECK_EQUAL(posix_close(file), 0);
    return names;
}

/* @verifies ATL-LLR-FILE-0024~1 */
TEST(directories_list_every_name_once)
{
    start();
    CHECK_STRING(list("/data", 4096), ". .. link empty loop big ");
    CHECK_STRING(list("/data", 32), ". .. link empty loop big "); /* one record at a time */
    CHECK(strstr(list("/", 4096), " a ") != NULL);
    CHECK(strstr(list("/", 4096), " bin ") != NULL);
    CHECK(strstr(list("/", 4096), " proc ") != NULL);
    CHECK_STRING(list("/proc/self/fd", 4096), ". .. 0 1 2 3 ");
    uint64_t file = open_file("/data", 0);
    uint8_t buffer[64];
    CHECK_EQUAL(posix_getdents64(file, TEXT(buffer), 10), -EINVAL);
    CHECK_EQUAL(posix_getdents64(file, 5, 4096), -EFAULT);
    CHECK_EQUAL(posix_read(file, TEXT(buffer), 1), -EISDIR);
    CHECK_EQUAL(posix_close(file), 0);
    file = open_file("/a-b", 0);
    CHECK_EQUAL(posix_getdents64(file, TEXT(buffer), 64), -ENOTDIR);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0025~1 */
TEST(the_working_directory_moves)
{
    start();
    char text[32] = "";
    CHECK_EQUAL(posix_getcwd(TEXT(text), 32), 2);
    CHECK_STRING(text, "/");
    CHECK_EQUAL(posix_mkdir(TEXT("/tmp/deep"), 0755), 0);
    CHECK_EQUAL(posix_chdir(TEXT("/tmp/deep")), 0);
    CHECK_EQUAL(posix_getcwd(TEXT(text), 32), 10);
    CHECK_STRING(text, "/tmp/deep");
    CHECK_EQUAL(posix_getcwd(TEXT(text), 9), -ERANGE);
    CHECK_EQUAL(posix_chdir(TEXT("/a-b")), -ENOTDIR);
    uint64_t file = open_file("x", 0101);
    CHECK_EQUAL(posix_fchdir(file), -ENOTDIR);
    CHECK_EQUAL(posix_close(file), 0);
    CHECK_EQUAL(posix_unlink(TEXT("/tmp/deep/x")), 0);
    CHECK_EQUAL(posix_rmdir(TEXT("/tmp/deep")), 0);
    CHECK_EQUAL(posix_getcwd(TEXT(text), 32), -ENOENT);
    CHECK_EQUAL(posix_open(TEXT("y"), 0101, 0644), -ENOENT);
    CHECK_EQUAL(posix_chdir(TEXT("/")), 0);
}

/* @verifies ATL-LLR-FILE-0026~1 */
/* @verifies ATL-LLR-FILE-0028~1 */
TEST(mode_owner_and_times_change)
{
    start();
    uint64_t file = open_file("/attributes", 0102);
    CHECK_EQUAL(posix_fchmod(file, 04751), 0);
    CHECK_EQUAL(posix_fchown(file, 12, UINT32_MAX), 0);
    CHECK_EQUAL(posix_chown(TEXT("/attributes"), UINT32_MAX, 34), 0);
    int64_t times[4] = {100, 5, -3, 7};
    CHECK_EQUAL(posix_utimensat(HERE, TEXT("/attributes"), TEXT(times), 0), 0);
    struct posix_stat stat = stat_of("/attributes");
    CHECK_EQUAL(stat.mode, 0104751);
    CHECK_EQUAL(stat.user, 12);
    CHECK_EQUAL(stat.group, 34);
    CHECK_EQUAL(stat.access_s, 100);
    CHECK_EQUAL(stat.access_ns, 5);
    CHECK_EQUAL(stat.modify_s, -3);
    CHECK_EQUAL(stat.modify_ns, 7);
    times[1] = 0x3ffffffe;
    times[3] = 0x3fffffff;
    CHECK_EQUAL(posix_utimensat(file, 0, TEXT(times), 0), 0);
    stat = stat_of("/attributes");
    CHECK_EQUAL(stat.access_s, 100);
    CHECK(stat.modify_s >= 1700000000);
    times[1] = 1000000000;
    CHECK_EQUAL(posix_utimensat(HERE, TEXT("/attributes"), TEXT(times), 0), -EINVAL);
    CHECK_EQUAL(posix_umask(077), 022);
    CHECK_EQUAL(posix_mkdir(TEXT("/masked"), 0777), 0);
    CHECK_EQUAL(stat_of("/masked").mode, 0040700);
    CHECK_EQUAL(posix_umask(022), 077);
    CHECK_EQUAL(posix_fsync(file), 0);
    CHECK_EQUAL(posix_fdatasync(file), 0);
    CHECK_EQUAL(posix_fsync(1), -EINVAL);
    CHECK_EQUAL(posix_fsync(99), -EBADF);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0029~1 */
/* @verifies ATL-LLR-FILE-0030~1 */
/* @verifies ATL-LLR-FILE-0031~1 */
TEST(proc_and_sys_say_how_the_system_is)
{
    start();
    CHECK_STRING(text_of("/sys/devices/system/cpu/online"), "0-1\n");
    CHECK_STRING(text_of("/sys/devices/system/cpu/cpu1/topology/core_id"), "1\n");
    CHECK_STRING(text_of("/proc/sys/vm/overcommit_memory"), "0\n");
    CHECK_STRING(text_of("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"), "2097152\n");
    CHECK_STRING(text_of("/sys/kernel/mm/transparent_hugepage/enabled"),
                 "[always] madvise never\n");
    CHECK_STRING(text_of("/proc/sys/kernel/hostname"), "host\n");
    CHECK(strstr(text_of("/proc/meminfo"), "MemTotal:          16000 kB\n") != NULL);
    CHECK(strstr(text_of("/proc/cpuinfo"), "processor\t: 1\n") != NULL);
    CHECK(strstr(text_of("/proc/stat"), "btime 1700000000\n") != NULL);
    CHECK_STRING(text_of("/proc/loadavg"), "0.00 0.00 0.00 1/1 1\n");
    CHECK_STRING(text_of("/proc/self/maps"), "00400000-00401000 r-xp 00000000 00:00 0 \n");
    CHECK(memcmp(text_of("/proc/self/cmdline"), "/bin/program\0-v", 16) == 0);
    CHECK_STRING(text_of("/proc/self/comm"), "program\n");
    const char *stat = text_of("/proc/self/stat");
    int fields = 0;
    for (const char *at = stat; *at != '\0'; at++) {
        fields += *at == ' ' || *at == '\n';
    }
    CHECK_EQUAL(fields, 52);
    CHECK_EQUAL(memcmp(stat, "1 (program) R ", 14), 0);
    CHECK(strstr(text_of("/proc/self/status"), "\nThreads:\t1\n") != NULL);
    CHECK_EQUAL(posix_open(TEXT("/proc/new"), 0101, 0), -EACCES);
    CHECK_EQUAL(posix_unlink(TEXT("/proc/cpuinfo")), -EPERM);
    CHECK_EQUAL(posix_rmdir(TEXT("/sys")), -EBUSY);
    uint64_t file = open_file("/proc/uptime", 0);
    char first[64];
    CHECK(posix_read(file, TEXT(first), 3) == 3); /* in parts */
    CHECK(posix_read(file, TEXT(first), 3) == 3);
    CHECK_EQUAL(posix_close(file), 0);
}

/* @verifies ATL-LLR-FILE-0016~1 */
TEST(unnamed_and_path_files)
{
    start();
    int64_t file = posix_open(TEXT("/tmp"), 020200002, 0600);
    CHECK(file >= 0);
    CHECK_EQUAL(posix_write((uint64_t)file, TEXT("x"), 1), 1);
    struct posix_stat stat;
    CHECK_EQUAL(posix_fstat((uint64_t)file, TEXT(&stat)), 0);
    CHECK_EQUAL(stat.link_count, 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
    file = posix_open(TEXT("/a-b"), 010000000, 0);
    CHECK_EQUAL(posix_read((uint64_t)file, TEXT(&stat), 1), -EBADF);
    CHECK_EQUAL(posix_fstat((uint64_t)file, TEXT(&stat)), 0);
    CHECK_EQUAL(posix_close((uint64_t)file), 0);
}

/* Everything that one open file system call may allocate, undone again. */
static int64_t use_files(void)
{
    int64_t result = posix_mkdir(TEXT("/tmp/failing"), 0755);
    if (result == 0) {
        result = posix_symlink(TEXT("../failing/./file"), TEXT("/tmp/failing/link"));
    }
    int64_t file = -1;
    if (result == 0) {
        file = posix_open(TEXT("/tmp/failing/link"), 0102, 0644);
        result = file < 0 ? file : 0;
    }
    if (result == 0) {
        result = posix_pwrite64((uint64_t)file, TEXT(big), 9000, 1 << 20);
        result = result < 0 ? result : result == 9000 ? 0 : -ENOSPC;
    }
    if (result == 0) {
        result = posix_rename(TEXT("/tmp/failing/file"), TEXT("/tmp/failing/other"));
    }
    char text[64];
    if (result == 0) {
        result = posix_getcwd(TEXT(text), 64);
        result = result > 0 ? 0 : result;
    }
    if (file >= 0) {
        CHECK_EQUAL(posix_close((uint64_t)file), 0);
    }
    return result;
}

static void remove_files(void)
{
    (void)posix_unlink(TEXT("/tmp/failing/file"));
    (void)posix_unlink(TEXT("/tmp/failing/other"));
    (void)posix_unlink(TEXT("/tmp/failing/link"));
    (void)posix_rmdir(TEXT("/tmp/failing"));
}

/* @verifies ATL-LLR-FILE-0033~1 @robust */
TEST(every_failing_allocation_is_an_error_and_nothing_leaks)
{
    start();
    CHECK_EQUAL(use_files(), 0);
    remove_files();
    uint64_t live = shim_allocations;
    int64_t result = -1;
    for (uint64_t nth = 1; result < 0; nth++) {
        CHECK(nth < 200);
        shim_fail_allocation = nth;
        result = use_files();
        bool has_failed = shim_fail_allocation == 0;
        shim_fail_allocation = 0;
        /* A bounce buffer that is not to be had only makes smaller steps. */
        CHECK(result == 0 || result == -ENOMEM || result == -ENOSPC);
        remove_files();
        CHECK_EQUAL(shim_allocations, live);
        result = has_failed ? -1 : result;
    }
}

CHECK_MAIN()
