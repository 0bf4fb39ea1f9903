/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline beside that of the host's Linux: the same settings and the same bytes, typed
 * into a pseudo-terminal, must give the same echo, the same reads and the same output. */
/* First: the host's headers have these names, too, and may have them after it. */
#include "../../../posix/file/discipline.h"

#include "../check.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIGINT_BIT (1ull << 1)
#define ROUNDS 400
#define PIECES_MAX 60
#define PATIENCE_MS 20000 /* of a host that has hung */

static struct discipline ours;
static int keyboard, program; /* the two ends of the host's */

static void open_pair(void)
{
    keyboard = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(keyboard >= 0 && grantpt(keyboard) == 0 && unlockpt(keyboard) == 0);
    program = open(ptsname(keyboard), O_RDWR | O_NOCTTY);
    CHECK(program >= 0);
    discipline_initialize(&ours);
}

static void close_pair(void)
{
    close(program);
    close(keyboard);
}

static void set_both(const struct linux_termios *termios)
{
    CHECK_EQUAL(syscall(SYS_ioctl, program, TCSETS, termios), 0);
    discipline_set(&ours, termios);
}

/* Reads until there are so many bytes. */
static void read_exactly(int descriptor, uint8_t *to, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        struct pollfd wait = {.fd = descriptor, .events = POLLIN};
        CHECK_EQUAL(poll(&wait, 1, PATIENCE_MS), 1);
        ssize_t got = read(descriptor, to + done, bytes - done);
        CHECK(got > 0);
        done += (size_t)got;
    }
}

static void check_screen(const uint8_t *wanted, size_t bytes)
{
    static uint8_t seen[4 * DISCIPLINE_ECHO_BYTES];
    read_exactly(keyboard, seen, bytes);
    CHECK_BYTES(seen, wanted, bytes);
}

static void type(const char *keys, size_t bytes)
{
    CHECK_EQUAL(write(keyboard, keys, bytes), (ssize_t)bytes);
    for (size_t i = 0; i < bytes; i++) {
        CHECK(discipline_has_room(&ours));
        discipline_take(&ours, (uint8_t)keys[i]);
    }
}

static void check_echo(void)
{
    check_screen(ours.echo, ours.echo_count);
    ours.echo_count = 0;
}

/* One read of at most so many bytes from each; there is something to read. */
static void check_read(size_t bytes)
{
    uint8_t wanted[DISCIPLINE_BYTES];
    uint8_t seen[DISCIPLINE_BYTES];
    bool is_over;
    size_t count = discipline_read(&ours, wanted, bytes, &is_over);
    CHECK_EQUAL(read(program, seen, bytes), (ssize_t)count);
    CHECK_BYTES(seen, wanted, count);
}

static void check_reads(size_t bytes)
{
    while (discipline_is_ready(&ours, 1)) {
        check_read(bytes);
    }
}

static uint32_t some_of(uint32_t flags)
{
    return flags & (uint32_t)(random() << 8 ^ random());
}

static const char *const pieces[] = {
    "word",     "two words", " ",     "\t",       "a\tb",         "_x",   "\177",
    "\177\177", "\25",       "\27",   "\26",      "\22",          "\4",   "\r",
    "\n",       "\1",        "\33[A", "\303\251", "\342\202\254", "\202", "UPPER \327\367\337",
    "\b",       "#",         "1.5",
};

static struct linux_termios some_termios(void)
{
    struct linux_termios termios = ours.termios;
    termios.input = some_of(ICRNL | IGNCR | ISTRIP | IUCLC | IXON | IUTF8);
    termios.output = some_of(OPOST | ONLCR | OCRNL | ONOCR | ONLRET | OLCUC) | OPOST;
    termios.output |= random() % 2 != 0 ? XTABS : 0;
    termios.local =
        ICANON | some_of(ECHO | ECHOE | ECHOK | ECHONL | ECHOCTL | ECHOPRT | ECHOKE | IEXTEN);
    termios.local |= random() % 2 != 0 ? ECHO | ECHOE | IEXTEN : 0;
    return termios;
}

/* @verifies ATL-LLR-FILE-0060~1 ATL-LLR-FILE-0061~1 ATL-LLR-FILE-0063~1 */
TEST(lines_are_edited_shown_and_read_as_linux_does)
{
    srandom(7);
    open_pair();
    for (int round = 0; round < ROUNDS; round++) {
        struct linux_termios termios = some_termios();
        set_both(&termios);
        char keys[1024];
        size_t bytes = 0;
        for (long count = random() % PIECES_MAX; count > 0; count--) {
            const char *piece = pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))];
            memcpy(keys + bytes, piece, strlen(piece));
            bytes += strlen(piece);
        }
        memcpy(keys + bytes, "end\n", 4); /* the host is done when this has arrived */
        type(keys, bytes + 4);
        if ((termios.local & (ECHO | ECHONL)) == 0) {
            struct pollfd wait = {.fd = program, .events = POLLIN};
            CHECK_EQUAL(poll(&wait, 1, PATIENCE_MS), 1);
        }
        check_echo();
        check_reads(1 + (size_t)random() % 40);
    }
    close_pair();
}

/* @verifies ATL-LLR-FILE-0063~1 */
TEST(output_is_processed_as_linux_does)
{
    srandom(8);
    open_pair();
    for (int round = 0; round < ROUNDS; round++) {
        struct linux_termios termios = some_termios();
        termios.output &= random() % 4 == 0 ? ~OPOST : ~0u;
        set_both(&termios);
        uint8_t text[200];
        for (size_t i = 0; i < sizeof(text); i++) {
            const uint8_t some[] = "\t\t\n\r\b\033\303\251aB c\367\337\327";
            text[i] = some[(size_t)random() % (sizeof(some) - 1)];
        }
        uint8_t wanted[sizeof(text) * DISCIPLINE_EXPANSION];
        size_t count = discipline_output(&ours, text, sizeof(text), wanted);
        CHECK_EQUAL(write(program, text, sizeof(text)), sizeof(text));
        check_screen(wanted, count);
    }
    close_pair();
}

/* @verifies ATL-LLR-FILE-0060~1 */
TEST(changing_the_mode_keeps_what_was_typed)
{
    open_pair();
    struct linux_termios lines = ours.termios;
    struct linux_termios bytes = ours.termios;
    bytes.local &= ~(ICANON | ECHO);
    type("ab\ncd", 5);
    check_echo();
    set_both(&bytes);
    check_read(3);
    type("ef", 2);
    struct pollfd wait = {.fd = program, .events = POLLIN};
    int32_t there = 0;
    while (there < 4) { /* the host takes keys when it likes */
        CHECK_EQUAL(poll(&wait, 1, PATIENCE_MS), 1);
        CHECK_EQUAL(syscall(SYS_ioctl, program, FIONREAD, &there), 0);
    }
    CHECK_EQUAL(there, discipline_count(&ours));
    set_both(&lines);
    CHECK_EQUAL(syscall(SYS_ioctl, program, FIONREAD, &there), 0);
    CHECK_EQUAL(there, discipline_count(&ours));
    check_read(100);
    type("next\4\4", 6);
    check_echo();
    check_read(4); /* the end is gone with the line */
    check_read(4); /* and this one is the end of the input */
    close_pair();
}

/* @verifies ATL-LLR-FILE-0060~1 */
TEST(raw_keys_are_shown_as_linux_does)
{
    srandom(9);
    open_pair();
    for (int round = 0; round < ROUNDS; round++) {
        struct linux_termios termios = some_termios();
        termios.input |= random() % 4 == 0 ? INLCR : 0;
        termios.local = (termios.local | ECHO) & ~ICANON;
        set_both(&termios);
        const char *piece = pieces[(size_t)random() % (sizeof(pieces) / sizeof(pieces[0]))];
        type(piece, strlen(piece));
        type("x", 1);
        check_echo();
        check_reads(100);
    }
    close_pair();
}

/* @verifies ATL-LLR-FILE-0062~1 */
TEST(signal_keys_are_signals_and_clear_the_line)
{
    discipline_initialize(&ours);
    uint8_t line[8];
    bool is_over;
    const char *keys = "ab\3c\n";
    for (size_t i = 0; i < 5; i++) {
        discipline_take(&ours, (uint8_t)keys[i]);
    }
    CHECK_EQUAL(ours.signals, SIGINT_BIT);
    CHECK_EQUAL(ours.echo_count, 5);
    CHECK_BYTES(ours.echo, "^Cc\r\n", 5);
    CHECK_EQUAL(discipline_read(&ours, line, 8, &is_over), 2);
    discipline_take(&ours, 28);
    discipline_take(&ours, 26);
    CHECK_EQUAL(ours.signals, SIGINT_BIT | 1ull << 2 | 1ull << 19);
    ours.signals = 0;
    ours.termios.local &= ~ISIG;
    discipline_take(&ours, 3);
    CHECK_EQUAL(ours.signals, 0);
    ours.termios.local |= ISIG | NOFLSH;
    discipline_take(&ours, 3);
    discipline_take(&ours, '\n');
    CHECK_EQUAL(discipline_read(&ours, line, 8, &is_over), 2); /* the first, and the newline */
    CHECK_EQUAL(line[0], 3);
}

/* @verifies ATL-LLR-FILE-0062~1 */
TEST(output_is_stopped_and_goes_on)
{
    discipline_initialize(&ours);
    discipline_take(&ours, 19);
    CHECK(ours.is_stopped);
    discipline_take(&ours, 'a');
    CHECK(ours.is_stopped);
    discipline_take(&ours, 17);
    CHECK(!ours.is_stopped);
    discipline_take(&ours, 19);
    discipline_take(&ours, 3);
    CHECK(!ours.is_stopped);
    discipline_take(&ours, 19);
    struct linux_termios termios = ours.termios;
    termios.input &= ~IXON;
    discipline_set(&ours, &termios);
    CHECK(!ours.is_stopped);
    CHECK_EQUAL(discipline_count(&ours), 0);
}

/* @verifies ATL-LLR-FILE-0060~1 @robust */
TEST(a_line_too_long_can_still_end)
{
    static uint8_t line[DISCIPLINE_BYTES];
    bool is_over;
    discipline_initialize(&ours);
    for (uint32_t i = 0; i < 2 * DISCIPLINE_BYTES; i++) {
        CHECK(discipline_has_room(&ours));
        discipline_take(&ours, 'a');
    }
    discipline_take(&ours, '\n');
    CHECK(!discipline_has_room(&ours)); /* a reader has to come first */
    CHECK(ours.echo_count <= DISCIPLINE_ECHO_BYTES);
    CHECK_EQUAL(discipline_read(&ours, line, sizeof(line), &is_over), DISCIPLINE_BYTES);
    CHECK(is_over);
    CHECK_EQUAL(line[DISCIPLINE_BYTES - 1], '\n');
    CHECK(discipline_has_room(&ours));
}

CHECK_MAIN()
