# SPDX-License-Identifier: Apache-2.0
"""The terminal that a program has: this command's own, put to raw while the machine runs. Keys go to
the program as they are, Ctrl-C too; Ctrl-A x ends the machine."""
import contextlib
import os
import select
import signal
import termios

from atoll.console import encode_keys, encode_size

ESCAPE = b"\x01"          # Ctrl-A
END_KEYS = b"xX"
SIZE_DEFAULT = (24, 80)
ALL_STREAMS = 7
IUTF8 = 0o40000  # of an input mode; not in the module termios
HELP = "Ctrl-A x ends the machine, Ctrl-A Ctrl-A is Ctrl-A"


def _size():
    """Rows and columns of the window; the usual ones if nobody knows."""
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            columns, rows = os.get_terminal_size(descriptor)
            if rows and columns:
                return min(rows, 0xffff), min(columns, 0xffff)
    return SIZE_DEFAULT


# @impl ATL-LLR-TOOL-0161~1
def choose(wanted):
    """The program's terminal, for Settings.terminal: which of its streams are one, the size, and
    whether characters are UTF-8; None if none is. wanted: --tty, --no-tty or None: what this command
    has. Without a stream to show them on, keys stay with this command's terminal."""
    streams = sum(1 << stream for stream in (0, 1, 2) if os.isatty(stream))
    if wanted:
        streams = ALL_STREAMS
    if wanted is False or not streams & 6:
        return None
    is_utf8 = os.isatty(0) and bool(termios.tcgetattr(0)[0] & IUTF8)
    return (streams, *_size(), is_utf8)


class Keys:
    """What is typed, as the program's terminal wants it; call it for the next bytes."""

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self._has_escape = False
        self._changed, self._change = os.pipe()
        os.set_blocking(self._change, False)

    def resize(self, *_):
        with contextlib.suppress(OSError):
            os.write(self._change, b"!")

    # @impl ATL-LLR-TOOL-0162~1
    def _without_escapes(self, data):
        """The keys for the program; ends the machine on Ctrl-A x."""
        keys = bytearray()
        for byte in data:
            key = bytes([byte])
            if not self._has_escape and key == ESCAPE:
                self._has_escape = True
                continue
            if self._has_escape and key in END_KEYS:
                os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread
                return b""
            if self._has_escape and key != ESCAPE:
                keys += ESCAPE
            self._has_escape = False
            keys += key
        return bytes(keys)

    def __call__(self):
        while True:
            ready, _, _ = select.select([self._descriptor, self._changed], [], [])
            if self._changed in ready:
                os.read(self._changed, 4096)
                return encode_size(*_size())
            try:
                data = os.read(self._descriptor, 4096)
            except OSError:
                data = b""
            if not data:
                return b""
            if os.isatty(self._descriptor):
                data = self._without_escapes(data)
            if data:
                return encode_keys(data)


def _raw(descriptor, keys_too):
    """Output as it is, and with keys_too every key as a byte; the settings to put back."""
    before = termios.tcgetattr(descriptor)
    raw = termios.tcgetattr(descriptor)
    raw[1] &= ~termios.OPOST
    if keys_too:
        raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.IGNCR | termios.INLCR | termios.INPCK
                    | termios.ISTRIP | termios.IXON)
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSADRAIN, raw)
    return before


# @impl ATL-LLR-TOOL-0161~1
@contextlib.contextmanager
def connected(streams):
    """Puts this command's terminals behind those of the program, and puts them back whatever
    happens. Gives the source of input."""
    keys = Keys(0)
    restore = []
    # The same terminal may be behind several descriptors: put back in the opposite order.
    for stream in (0, 1, 2):
        if streams >> stream & 1 and os.isatty(stream):
            restore.append((stream, _raw(stream, stream == 0)))
    before = signal.signal(signal.SIGWINCH, keys.resize)
    try:
        yield keys if streams & 1 else 0
    finally:
        signal.signal(signal.SIGWINCH, before)
        for stream, settings in reversed(restore):
            termios.tcsetattr(stream, termios.TCSADRAIN, settings)


def line_ends(write):
    """For text of the tool and the kernel on a terminal that takes output as it is."""
    def written(data):
        write(data.replace(b"\n", b"\r\n"))
    return written


def is_raw(stream):
    """Whether nobody turns \\n into \\r\\n behind that descriptor, though it is a terminal."""
    return os.isatty(stream) and not termios.tcgetattr(stream)[1] & termios.OPOST
