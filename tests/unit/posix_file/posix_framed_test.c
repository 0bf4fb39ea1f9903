/* SPDX-License-Identifier: Apache-2.0 */
/* The standard streams when the console is framed: pipes to the tool. */
#include "../check.h"
#include "shim.h"

#include <posix/file.h>
#include <posix/syscalls.h>

#define TEXT(string_) ((uint64_t)(uintptr_t)(string_))

/* @verifies ATL-LLR-FILE-0032~2 */
/* @verifies ATL-LLR-FILE-0013~2 */
TEST(framed_streams_are_pipes)
{
    static const struct test_file files[] = {{"/p", 0100755, "x", 1}};
    struct test_strings none = {"", 0, 0};
    static struct test_image image;
    image = test_image_build(files, 1, "/p", none, none);
    shim_start(&image, IMAGE_FLAG_FRAMED);
    posix_file_initialize();
    uint8_t bytes[64];
    CHECK_EQUAL(posix_ioctl(1, 0x5413, TEXT(bytes)), -ENOTTY);
    CHECK_EQUAL(posix_ioctl(0, 0x5401, TEXT(bytes)), -ENOTTY);
    struct posix_stat stat;
    for (uint64_t stream = 0; stream < 3; stream++) {
        CHECK_EQUAL(posix_fstat(stream, TEXT(&stat)), 0);
        CHECK_EQUAL(stat.mode & 0170000, 0010000);
        CHECK_EQUAL(posix_lseek(stream, 0, 1), -ESPIPE);
    }
    CHECK_EQUAL(posix_write(0, TEXT("x"), 1), -EBADF);
    CHECK_EQUAL(posix_read(1, TEXT(bytes), 1), -EBADF);
    CHECK_EQUAL(posix_fcntl(0, 3, 0), 0100000);
    CHECK_EQUAL(posix_fcntl(1, 3, 0), 0100001);
    CHECK_EQUAL(posix_open(TEXT("/dev/tty"), 2, 0), -ENXIO);
    int64_t file = posix_open(TEXT("/dev/stdout"), 1, 0);
    CHECK(file >= 0);
    CHECK_EQUAL(posix_write((uint64_t)file, TEXT("hello"), 5), 5);
    CHECK_BYTES(shim_console, "hello", 5);
}

CHECK_MAIN()
