# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal: ./atoll run behind a pseudo-terminal, with somebody who types. The same
program behind the same terminal on Linux shows the same screen."""
# @verifies ATL-LLR-FILE-0060~1 ATL-LLR-FILE-0061~1 ATL-LLR-FILE-0062~1 ATL-LLR-FILE-0063~1
# @verifies ATL-LLR-FILE-0064~1 ATL-LLR-TOOL-0160~1 ATL-LLR-TOOL-0161~1 ATL-LLR-TOOL-0162~1
import re
import subprocess

import lib
import real
from screen import COLUMNS, ROWS, Screen

PROGRAM = "terminal.c"
# What appears on the screen (after what was seen before), and what is typed then.
SESSIONS = {
    "lines": [(b"> ", b"helx\x7flo w\x17you\r"), (b"> ", b"lost\x15kept\x16\x03\r"), (b"> ", b"abc\x03"),
              (b"> ", b"\x1c"), (b"> ", "\u00e9\u20ac\x7fx\t\x7f.\r".encode()), (b"> ", b"part\x04"),
              (b"> ", b"\x04")],
    "keys": [(b"raw", b"a"), (b"key 61", b"\x03"), (b"key 03", b"\xff"), (b"key ff", b"\r"),
             (b"key 0d", b"\x1b[A"), (b"key 41", b"q"), (b"three", b"12"), (b"", b"3")],
    "password": [(b"Password: ", b"secret\r")],
}


def play(words, steps):
    screen = Screen(words)
    for text, keys in steps:
        screen.wait_for(text)
        screen.type(keys)
    status = screen.end()
    return screen, status


def atoll(guest, program, *arguments, options=()):
    """The command line of a run of this configuration."""
    kernel, posix = guest.parts()
    return [lib.ROOT / "atoll", "run", "--kernel", kernel, "--posix", posix, "--ring", guest.ring,
            "--cores", guest.cores, "--machine", guest.machine, *options, program, *arguments]


def check(holds, what, screen):
    if not holds:
        raise lib.TestFailure(what, repr(screen.seen))


@lib.system_test(matrix=lib.PAIRWISE, timeout_s=60, session=tuple(SESSIONS))
def test_a_session_is_linuxs(guest):
    program = guest.build(PROGRAM)
    steps = SESSIONS[guest.session]
    linux, linux_status = play([program, guest.session], steps)
    screen, status = play(atoll(guest, program, guest.session), steps)
    check(screen.seen == linux.seen, f"the screen is Linux's: {linux.seen!r}", screen)
    check(status == linux_status, f"the status is {linux_status}", screen)
    check(screen.before == screen.after, "the terminal is left as it was", screen)


@lib.system_test(matrix=lib.PAIRWISE, libc=("musl",), timeout_s=60)
def test_the_window_has_a_size(guest):
    screen = Screen(atoll(guest, guest.build(PROGRAM), "window"))
    screen.wait_for(b"33 rows, 99 columns\r\n")
    screen.resize(44, 255)
    screen.wait_for(b"44 rows, 255 columns\r\n")
    check(screen.end() == 0, "it ends well", screen)


@lib.system_test(matrix=lib.PAIRWISE, libc=("musl",), timeout_s=60)
def test_interrupt_reaches_a_program_that_does_not_read(guest):
    screen = Screen(atoll(guest, guest.build(PROGRAM), "forever"))
    screen.wait_for(b"busy\r\n")
    screen.type(b"\x03")
    screen.wait_for(b"^C")
    check(screen.end() == 130, "its end is SIGINT's", screen)
    check(screen.before == screen.after, "the terminal is left as it was", screen)


@lib.system_test(matrix=lib.ONE, libc=("musl",), timeout_s=60)
def test_control_a_x_ends_the_machine(guest):
    screen = Screen(atoll(guest, guest.build(PROGRAM), "keys"))
    screen.wait_for(b"raw")
    screen.type(b"\x01\x01")
    screen.wait_for(b"key 01")
    screen.type(b"\x01z")
    screen.wait_for(b"key 01")
    screen.wait_for(b"key 7a")
    screen.type(b"\x01x")
    check(screen.end() == 130, "it ends as by Ctrl-C", screen)
    check(screen.before == screen.after, "the terminal is left as it was", screen)


@lib.system_test(matrix=lib.ONE, libc=("musl",), timeout_s=60)
def test_pipes_stay_pipes_and_options_decide(guest):
    program = guest.build(PROGRAM)
    words = [str(word) for word in atoll(guest, program, "lines")]
    for options, wanted in (([], b"tty 000\n> line: 61 0a ff 04\n> "),
                            (["--tty"], b"tty 111\r\n> line: 61 0a\r\n> line: ff\r\n> ")):
        done = subprocess.run([*words[:2], *options, *words[2:]], input=b"a\n\xff\x04",
                              capture_output=True, timeout=guest.timeout_s)
        if wanted not in done.stdout or done.returncode != 3:
            raise lib.TestFailure(f"{options}: {done}", wanted.decode("latin-1"))
    screen = Screen(atoll(guest, program, "lines", options=["--no-tty"]))
    screen.wait_for(b"tty 000\r\n> ")
    screen.type(b"a\r")
    screen.wait_for(b"line: 61 0a\r\n> ")
    screen.type(b"\x04")
    check(screen.end() == 3, "this command's terminal edits the lines", screen)


LUA = [(b"> ", b"x = 6\x7f7 * 6\r"), (b"> ", b"=x\r"), (b"42\r\n> ", b"print('loop') while 1 do end\r"),
       (b"loop\r\n", b"\x03"), (b"interrupted!", b""), (b"> ", b"error('no')\r"), (b"no", b""),
       (b"> ", b"\x04")]
SHELL = [(b"$ ", b"echo $((40+3\x7f2))\r"), (b"42\r\n", b""), (b"$ ", b"for i in a b; do\r"),
         (b"> ", b"echo <$i>; done\x1b[D\x1b[D\x05\r"), (b"$ ", b"nonsense\x03"), (b"$ ", b"\x1b[A\r"),
         (b"$ ", b"read -p 'x: ' x && echo got $x\r"), (b"\r\nx: ", b"a\x7fb\r"), (b"got b\r\n", b""),
         (b"$ ", b"\x04")]


@lib.system_test(matrix=lib.PAIRWISE, libc=("musl",), timeout_s=60)
def test_lua_talks(guest):
    program = real.build("lua").folder / "lua"
    linux, linux_status = play([program], LUA)
    screen, status = play(atoll(guest, program), LUA)
    # Where the program was when the key came is chance.
    ours, wanted = (re.sub(rb"\^C.*?> ", b"", s.seen, flags=re.DOTALL) for s in (screen, linux))
    check((ours, status) == (wanted, linux_status), f"as on Linux: {wanted!r}", screen)


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=60)
def test_a_shell_edits_its_lines(guest):
    program = real.build("busybox").trees["busybox-static"] / "bin/busybox"
    linux, linux_status = play(["/usr/bin/env", "-", "TERM=vt100", "PS1=$ ", program, "sh"], SHELL)
    screen, status = play(atoll(guest, program, "sh", options=["--env", "PS1=$ "]), SHELL)
    check((screen.seen, status) == (linux.seen, linux_status), f"as on Linux: {linux.seen!r}", screen)
