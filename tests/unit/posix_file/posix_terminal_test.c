/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal that the tool gives: which streams are one, what is typed, what is shown, what ioctl
 * says. The service thread's turns are taken by hand. */
/* First: the host's headers have these names, too, and may have them after it. */
#include "../../../posix/file/abi.h"

#include "../check.h"
#include "shim.h"

#include "../../../posix/file/terminal.h"
#include <posix/file.h>
#include <posix/syscalls.h>

#define TEXT(string_) ((uint64_t)(uintptr_t)(string_))
#define SIGINT_BIT (1ull << 1)
#define SIGWINCH_BIT (1ull << 27)

/* Streams 0 and 2 are a terminal of 30 rows and 100 columns; stream 1 is a pipe. */
static void start(void)
{
    static bool is_started;
    static const uint8_t setting[] = {5, 0, 30, 0, 100, 0, 1, 0};
    static const struct test_file files[] = {{"/p", 0100755, "x", 1},
                                             {"/proc/.atoll/terminal", 0100400, setting, 8}};
    static const struct test_strings none = {"", 0, 0};
    static struct test_image image;
    if (!is_started) {
        image = test_image_build(files, 2, "/p", none, none);
        shim_start(&image, IMAGE_FLAG_FRAMED);
        posix_file_initialize();
        is_started = true;
    }
    shim_console_used = 0;
    shim_signals = 0;
}

static void type(const char *keys)
{
    shim_input = keys;
    while (terminal_receive()) {
    }
}

/* @verifies ATL-LLR-FILE-0032~2 ATL-LLR-FILE-0013~2 */
TEST(streams_are_what_the_tool_has)
{
    start();
    struct posix_stat stat;
    uint64_t mode[3];
    uint64_t number[3];
    for (uint64_t stream = 0; stream < 3; stream++) {
        CHECK_EQUAL(posix_fstat(stream, TEXT(&stat)), 0);
        mode[stream] = stat.mode & 0170000;
        number[stream] = stat.inode;
    }
    CHECK(mode[0] == 0020000 && mode[1] == 0010000 && mode[2] == 0020000);
    CHECK_EQUAL(posix_stat(TEXT("/dev/console"), TEXT(&stat)), 0);
    CHECK(stat.inode == number[0] && stat.inode == number[2]);
    CHECK_EQUAL(stat.special_device, 0x501);
    struct linux_termios termios;
    CHECK_EQUAL(posix_ioctl(0, TCGETS, TEXT(&termios)), 0);
    CHECK_EQUAL(termios.input & IUTF8, IUTF8);
    CHECK_EQUAL(posix_ioctl(1, TCGETS, TEXT(&termios)), -ENOTTY);
    CHECK_EQUAL(posix_ioctl(2, TCGETS, TEXT(&termios)), 0);
    CHECK_EQUAL(posix_fcntl(0, 3, 0), 0100002);
    CHECK_EQUAL(posix_open(TEXT("/proc/.atoll/terminal"), 0, 0), -ENOENT);
}

/* @verifies ATL-LLR-FILE-0064~1 ATL-LLR-FILE-0060~1 */
TEST(lines_are_shown_before_they_are_read)
{
    start();
    char bytes[16] = "";
    type("hi");
    CHECK_BYTES(shim_console, "hi", 2);
    CHECK_EQUAL(posix_fcntl(0, 4, 04002), 0); /* O_NONBLOCK */
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 16), -EAGAIN);
    type("\nyou\n");
    int32_t count = 0;
    CHECK_EQUAL(posix_ioctl(2, FIONREAD, TEXT(&count)), 0);
    CHECK_EQUAL(count, 7);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 2), 2);
    CHECK_EQUAL(posix_read(2, TEXT(bytes + 2), 14), 1);
    CHECK_STRING(bytes, "hi\n");
    CHECK_EQUAL(posix_read(0, 8, 16), -EFAULT); /* and the line is gone, as on Linux */
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 16), -EAGAIN);
    CHECK_EQUAL(posix_fcntl(0, 4, 2), 0);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 16), -ERESTARTSYS); /* the shim's waits end so */
}

/* @verifies ATL-LLR-FILE-0063~1 */
TEST(output_has_line_ends_of_terminals)
{
    start();
    CHECK_EQUAL(posix_write(2, TEXT("a\nb\n"), 4), 4);
    CHECK_EQUAL(posix_write(0, TEXT("c\n"), 2), 2);
    CHECK_EQUAL(posix_write(1, TEXT("d\n"), 2), 2);
    struct linux_termios termios;
    CHECK_EQUAL(posix_ioctl(0, TCGETS, TEXT(&termios)), 0);
    termios.output &= ~OPOST;
    CHECK_EQUAL(posix_ioctl(0, TCSETSW, TEXT(&termios)), 0);
    CHECK_EQUAL(posix_write(2, TEXT("e\n"), 2), 2);
    termios.output |= OPOST;
    CHECK_EQUAL(posix_ioctl(0, TCSETS, TEXT(&termios)), 0);
    CHECK_EQUAL(shim_console_used, 13);
    CHECK_BYTES(shim_console, "a\r\nb\r\nc\r\nd\ne\n", 13);
    CHECK_EQUAL(posix_write(2, 8, 4), -EFAULT);
}

/* @verifies ATL-LLR-FILE-0062~1 ATL-LLR-FILE-0064~1 */
TEST(signals_windows_and_the_byte_255_come_as_keys)
{
    start();
    type("\3");
    CHECK_EQUAL(shim_signals, SIGINT_BIT);
    CHECK_BYTES(shim_console, "^C", 2);
    struct linux_winsize size;
    CHECK_EQUAL(posix_ioctl(0, TIOCGWINSZ, TEXT(&size)), 0);
    CHECK(size.rows == 30 && size.columns == 100);
    shim_signals = 0;
    type("\377\1\31\1P"); /* 281 rows, and the rest follows: a zero ends the shim's input */
    CHECK_EQUAL(shim_signals, 0);
    type("\1");
    CHECK_EQUAL(shim_signals, SIGWINCH_BIT);
    CHECK_EQUAL(posix_ioctl(0, TIOCGWINSZ, TEXT(&size)), 0);
    CHECK(size.rows == 281 && size.columns == 336);
    shim_signals = 0;
    CHECK_EQUAL(posix_ioctl(2, TIOCSWINSZ, TEXT(&size)), 0); /* no change, no signal */
    CHECK_EQUAL(shim_signals, 0);
    size.rows = 5;
    CHECK_EQUAL(posix_ioctl(2, TIOCSWINSZ, TEXT(&size)), 0);
    CHECK_EQUAL(shim_signals, SIGWINCH_BIT);
    char bytes[4] = "";
    type("\377\377\n");
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 4), 2);
    CHECK_BYTES(bytes, "\377\n", 2);
}

/* @verifies ATL-LLR-FILE-0013~2 @robust */
TEST(ioctl_refuses_what_linux_refuses)
{
    start();
    int32_t group = 0;
    CHECK_EQUAL(posix_ioctl(0, TIOCGPGRP, TEXT(&group)), 0);
    CHECK_EQUAL(group, 1);
    CHECK_EQUAL(posix_ioctl(0, TIOCSPGRP, TEXT(&group)), 0);
    group = 77;
    CHECK_EQUAL(posix_ioctl(0, TIOCSPGRP, TEXT(&group)), -ESRCH);
    group = -1;
    CHECK_EQUAL(posix_ioctl(0, TIOCSPGRP, TEXT(&group)), -EINVAL);
    CHECK_EQUAL(posix_ioctl(0, TCFLSH, 3), -EINVAL);
    CHECK_EQUAL(posix_ioctl(0, TCXONC, 4), -EINVAL);
    CHECK_EQUAL(posix_ioctl(0, TCGETS, 8), -EFAULT);
    CHECK_EQUAL(posix_ioctl(0, TCSETS, 8), -EFAULT);
    CHECK_EQUAL(posix_ioctl(0, TIOCGWINSZ, 8), -EFAULT);
    CHECK_EQUAL(posix_ioctl(0, TIOCSWINSZ, 8), -EFAULT);
    CHECK_EQUAL(posix_ioctl(0, 0x1234, 0), -ENOTTY);
    type("lost\n");
    CHECK_EQUAL(posix_ioctl(0, TCFLSH, TCIFLUSH), 0);
    CHECK_EQUAL(posix_ioctl(0, FIONREAD, TEXT(&group)), 0);
    CHECK_EQUAL(group, 0);
}

/* @verifies ATL-LLR-FILE-0062~1 */
TEST(stopped_output_waits)
{
    start();
    CHECK_EQUAL(posix_ioctl(0, TCXONC, TCOOFF), 0);
    CHECK_EQUAL(posix_write(2, TEXT("x"), 1), -ERESTARTSYS);
    CHECK_EQUAL(posix_ioctl(0, TCXONC, TCOON), 0);
    CHECK_EQUAL(posix_write(2, TEXT("x"), 1), 1);
    type("\23y");
    CHECK_EQUAL(shim_console_used, 1); /* the echo waits as well */
    CHECK_EQUAL(posix_write(2, TEXT("x"), 1), -ERESTARTSYS);
    type("\21");
    CHECK_BYTES(shim_console, "xy", 2);
    CHECK_EQUAL(posix_ioctl(0, TCXONC, TCIOFF), 0);
    CHECK_BYTES(shim_console, "xy\23", 3);
    type("\25");
}

/* @verifies ATL-LLR-FILE-0060~1 */
TEST(keys_are_read_one_by_one_in_raw_mode)
{
    start();
    char bytes[8] = "";
    struct linux_termios lines;
    CHECK_EQUAL(posix_ioctl(0, TCGETS, TEXT(&lines)), 0);
    struct linux_termios raw = lines;
    raw.local &= ~(ICANON | ECHO | ISIG);
    raw.characters[VMIN] = 0;
    CHECK_EQUAL(posix_ioctl(0, TCSETSF, TEXT(&raw)), 0);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 0); /* it does not wait */
    type("\3a");
    CHECK_EQUAL(shim_signals, 0);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 2);
    CHECK_BYTES(bytes, "\3a", 2);
    raw.characters[VMIN] = 3;
    CHECK_EQUAL(posix_ioctl(0, TCSETS, TEXT(&raw)), 0);
    type("bc");
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 2); /* the shim's waits end as by a signal */
    type("def");
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 3);
    CHECK_EQUAL(posix_ioctl(0, TCSETS, TEXT(&lines)), 0);
}

/* @verifies ATL-LLR-FILE-0064~1 */
TEST(the_end_of_the_tools_input_is_the_end_of_the_terminals)
{
    start();
    char bytes[8] = "";
    type("rest");
    shim_input_ended = true;
    type("");
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 4);
    CHECK_EQUAL(posix_read(0, TEXT(bytes), 8), 0);
}

CHECK_MAIN()
