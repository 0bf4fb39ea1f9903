# SPDX-License-Identifier: Apache-2.0
"""A program behind a pseudo-terminal, with somebody who types."""
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

import lib
from atoll.terminal import IUTF8

ROWS, COLUMNS = 33, 99


class Screen:
    """One session: the terminal's other end."""

    def __init__(self, words, timeout_s=30):
        self.keyboard, program = pty.openpty()
        self.resize(ROWS, COLUMNS)
        mode = termios.tcgetattr(program)
        mode[0] |= IUTF8
        termios.tcsetattr(program, termios.TCSANOW, mode)
        self.before = termios.tcgetattr(program)
        self._deadline = time.monotonic() + timeout_s
        self.seen = b""
        self._read = 0
        self.process = subprocess.Popen([str(word) for word in words], stdin=program, stdout=program,
                                        stderr=program, env={**os.environ, "TERM": "vt100"},
                                        preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)))
        self._program = program

    def resize(self, rows, columns):
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _more(self):
        """True: something was shown; False: the session is over."""
        while True:
            if time.monotonic() > self._deadline:
                self.process.kill()
                raise lib.TestFailure("the session hangs", repr(self.seen))
            if select.select([self.keyboard], [], [], 0.2)[0]:
                self.seen += os.read(self.keyboard, 4096)
                return True
            if self.process.poll() is not None and not select.select([self.keyboard], [], [], 0)[0]:
                return False

    def wait_for(self, text):
        while text not in self.seen[self._read:]:
            if not self._more():
                raise lib.TestFailure(f"{text!r} does not come", repr(self.seen))
        self._read = self.seen.index(text, self._read) + len(text)

    def type(self, keys):
        os.write(self.keyboard, keys)

    def end(self):
        """The exit status, when all is shown."""
        while self._more():
            pass
        status = self.process.wait()
        self.after = termios.tcgetattr(self._program)
        os.close(self._program)
        os.close(self.keyboard)
        return status if status >= 0 else 128 - status
