# SPDX-License-Identifier: Apache-2.0
"""Questions to a machine that runs, over its debug line (debug/live.c). The guest may be hostile: an
answer of another size than it should have is no answer."""
import functools
import re
import secrets
import socket
import struct
import time

from atoll.errors import ToolError
from atoll.machine import CORES_MAX
from atoll.paths import ROOT

ANSWER_SECONDS = 5.0  # of a machine on a host that is busy
ESCAPE, ESCAPE_BIT = 0x7d, 0x20
CORE = struct.Struct("<15Q")
CORE_FIELDS = ("now_ns", "stops", "current", "frames_free", "frames_total", "threads", "credits_free",
               "credits_total", "gate_calls", "linux_calls", "interrupts", "faults", "switches", "idle_ns",
               "busy_ns")
THREAD = struct.Struct("<5Q4B4xI16s4x")
THREAD_FIELDS = ("handle", "rip", "rsp", "stack", "run_ns", "state", "priority", "is_current", "core",
                 "id", "name")
CHANNEL = struct.Struct("<II")
VECTORS = struct.Struct("<256Q")
COUNT = struct.Struct("<Q")
TRACE = struct.Struct("<QQ")
INDEX_BITS = 16  # of a thread's handle: GATE_THREAD_INDEX


@functools.cache
def kinds():
    """{name: number} of what can be asked, from debug/internal.h."""
    text = (ROOT / "debug/internal.h").read_text()
    body = re.search(r"enum debug_question_kind\s*\{(.*?)\}", text, re.S)[1]
    names = re.findall(r"DEBUG_QUESTION_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
    return {name: number for number, name in enumerate(names)}


def unescape(body):
    out, at = bytearray(), 0
    while at < len(body):
        if body[at] == ESCAPE and at + 1 < len(body):
            at += 1
            out.append(body[at] ^ ESCAPE_BIT)
        else:
            out.append(body[at])
        at += 1
    return bytes(out)


# @impl ATL-LLR-TOOL-0930~1
class Line:
    """A connection. address: a port of this machine, or the path of a socket."""

    def __init__(self, address):
        self._tag = secrets.randbits(32)
        self._pending = bytearray()
        try:
            if isinstance(address, int):
                self._socket = socket.create_connection(("127.0.0.1", address), ANSWER_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            else:
                self._socket = socket.socket(socket.AF_UNIX)
                self._socket.connect(str(address))
        except OSError as error:
            raise ToolError(f"{address}: {error.strerror or error}",
                            "start the machine with ./atoll run --monitor PORT") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def ask(self, core, kind, start=0, size=None):
        """The answer's bytes; None: the core does not answer, or with another number of bytes than
        `size`, or than a multiple of it for a struct that may repeat."""
        self._tag += 1
        text = b"qAtoll.live:%x,%x,%x,%x" % (self._tag, core, kinds()[kind], start)
        self._send(b"$%s#%02x" % (text, sum(text) & 0xff))
        deadline = time.monotonic() + ANSWER_SECONDS
        wanted = b"%x" % self._tag
        while (body := self._packet(deadline)) is not None:
            kind_byte, tag, data = body[:1], *(body[1:].partition(b":")[::2])
            if tag == wanted:
                data = unescape(data) if kind_byte == b"b" else None
                return data if data is None or size is None or len(data) % size == 0 else None
        return None

    def let_go(self):
        """A machine that stands still for a debugger goes on, without one."""
        self._send(b"$D#44")

    def _send(self, data):
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise ToolError(f"the machine is gone: {error.strerror}") from None

    def _packet(self, deadline):
        """The body of the next packet; None: there is none in time."""
        while True:
            found = re.search(rb"\$([^$#]*)#[0-9a-f]{2}", self._pending)
            if found:
                body = bytes(found[1])
                del self._pending[:found.end()]
                return body
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                piece = self._socket.recv(65536)
            except TimeoutError:
                return None
            except OSError as error:
                raise ToolError(f"the machine is gone: {error.strerror}") from None
            if not piece:
                raise ToolError("the machine is gone, or has another debugger")
            self._pending += piece

    # ---- what the tables are made of

    def core(self, number):
        """{field: value}; None: no answer."""
        data = self.ask(number, "CORE")
        return dict(zip(CORE_FIELDS, CORE.unpack(data))) if data and len(data) == CORE.size else None

    def core_count(self):
        """How many cores there are: those beyond are refused at once."""
        if self.core(0) is None:
            raise ToolError("the machine does not answer",
                            "is it a debug image whose program has begun, and nobody else on the line?")
        rows = self.ask(0, "CHANNELS", size=CHANNEL.size)
        if not rows or len(rows) > CORES_MAX * CHANNEL.size:
            raise ToolError("the machine says nothing that makes sense")
        return len(rows) // CHANNEL.size

    def threads(self, core):
        """[{field: value}] of a core's threads."""
        rows, start = [], 0
        while data := self.ask(core, "LISTED", start, THREAD.size):
            rows += [dict(zip(THREAD_FIELDS, row)) for row in THREAD.iter_unpack(data)]
            following = (rows[-1]["handle"] & ((1 << INDEX_BITS) - 1)) + 1
            if following <= start:
                break
            start = following
        for row in rows:
            text = row["name"].partition(b"\0")[0].decode("ascii", "replace")
            row["name"] = "".join(c if " " <= c <= "~" else "?" for c in text)
        return rows

    def channels(self, core):
        """[(messages sent to the peer, messages of the peer taken)]; None: no answer."""
        data = self.ask(core, "CHANNELS", size=CHANNEL.size)
        return list(CHANNEL.iter_unpack(data)) if data else None

    def interrupts(self, core):
        """How many of each vector; None: no answer."""
        data = self.ask(core, "INTERRUPTS", size=VECTORS.size)
        return VECTORS.unpack(data) if data and len(data) == VECTORS.size else None

    def gate(self, core):
        """How often each call of the gate was made; None: no answer."""
        data = self.ask(core, "GATE", size=COUNT.size)
        return [value for value, in COUNT.iter_unpack(data)] if data else None

    def trace(self, core, known=0):
        """The core's trace ring as one moment left it: (made, bytes of records, oldest first). Of the records made
        since boot the first `known` are left out."""
        data = self.ask(core, "TRACE_KEEP", size=TRACE.size)
        if not data or len(data) != TRACE.size:
            return None
        made, kept = TRACE.unpack(data)
        first = max(0, kept - (made - known))
        records, size = bytearray(), 32
        while len(records) < (kept - first) * size:
            piece = self.ask(core, "TRACE", first + len(records) // size, size)
            if not piece:
                return None
            records += piece
        return made, bytes(records)
