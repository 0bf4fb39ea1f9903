# SPDX-License-Identifier: Apache-2.0
"""The framed console: how program output, kernel log and exit status share one serial line.

From the guest: 0xA7, stream (u8), length (u16, little-endian, 1..4096), payload.
  1 standard output   2 standard error   3 kernel log (shown with --verbose)
  4 exit record       5 kernel errors (always shown)
  6 files handed back at the end (--out, see receive.py)
  7 where the trace rings lie (./atoll trace, see trace/memory.py)
To the guest: 0xA7, 0, length (u16), payload; length 0 is the end of input. Input is sent once the
guest has sent its first frame: before that its serial port may not be set up.
The exit record is 4 bytes: kind (0 exit, 1 signal, 2 kernel panic, 3 refused to boot), status,
signal, 0. With a terminal the input has escapes, see encode_keys. Bytes that are not part of a frame are firmware's and are set aside."""
import dataclasses
import struct

MARK = 0xA7
(STREAM_INPUT, STREAM_OUTPUT, STREAM_ERROR, STREAM_LOG, STREAM_EXIT, STREAM_KERNEL_ERROR,
 STREAM_FILES, STREAM_TRACE) = range(8)
PAYLOAD_BYTES_MAX = 4096
HEADER_BYTES = 4
NOISE_BYTES_MAX = 65536

KIND_EXIT, KIND_SIGNAL, KIND_PANIC, KIND_REFUSED = range(4)


@dataclasses.dataclass(frozen=True)
class ExitRecord:
    kind: int
    status: int
    signal: int

    @classmethod
    def parse(cls, payload):
        """The record, or None if the payload is not one."""
        if len(payload) != 4 or payload[0] > KIND_REFUSED or payload[2] > 127:
            return None
        return cls(payload[0], payload[1], payload[2])


# @impl ATL-LLR-TOOL-0010~1
class Decoder:
    """Cuts the byte stream of the guest into frames; keeps what is in none of them as noise."""

    def __init__(self):
        self._pending = bytearray()
        self.noise = bytearray()

    def _discard(self, count):
        self.noise += self._pending[:count]
        del self._pending[:count]
        del self.noise[:-NOISE_BYTES_MAX]

    def feed(self, data):
        """Takes bytes; returns the frames they complete, as (stream, payload)."""
        self._pending += data
        frames = []
        while self._pending:
            if self._pending[0] != MARK:
                mark = self._pending.find(MARK)
                self._discard(len(self._pending) if mark < 0 else mark)
                continue
            if len(self._pending) < HEADER_BYTES:
                if not self._header_possible():
                    self._discard(1)
                    continue
                break
            _, stream, length = struct.unpack_from("<BBH", self._pending)
            if not (STREAM_OUTPUT <= stream <= STREAM_TRACE
                    and 1 <= length <= PAYLOAD_BYTES_MAX):
                self._discard(1)
                continue
            if len(self._pending) < HEADER_BYTES + length:
                break
            frames.append((stream, bytes(self._pending[HEADER_BYTES:HEADER_BYTES + length])))
            del self._pending[:HEADER_BYTES + length]
        return frames

    def _header_possible(self):
        return len(self._pending) < 2 or STREAM_OUTPUT <= self._pending[1] <= STREAM_TRACE

    def finish(self):
        """The guest is gone: what is left of an unfinished frame becomes noise."""
        self._discard(len(self._pending))


def encode_input(data):
    """Frames that carry `data` to the program's standard input; b"" is the end of input."""
    if not data:
        return struct.pack("<BBH", MARK, STREAM_INPUT, 0)
    pieces = []
    for start in range(0, len(data), PAYLOAD_BYTES_MAX):
        piece = data[start:start + PAYLOAD_BYTES_MAX]
        pieces.append(struct.pack("<BBH", MARK, STREAM_INPUT, len(piece)) + piece)
    return b"".join(pieces)


# @impl ATL-LLR-TOOL-0160~1
def encode_keys(data):
    """What is typed, for the program's terminal (posix/file/terminal.c): 255 is an escape."""
    return data.replace(b"\xff", b"\xff\xff")


# @impl ATL-LLR-TOOL-0160~1
def encode_size(rows, columns):
    """Says among what is typed that the window of the terminal has changed."""
    return struct.pack("<BBHH", 0xff, 1, rows, columns)


def encode_output(stream, data):
    """One frame as the guest sends it; for tests."""
    return struct.pack("<BBH", MARK, stream, len(data)) + data
