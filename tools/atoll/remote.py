# SPDX-License-Identifier: Apache-2.0
"""A client of the stub in a debug image: GDB's remote serial protocol (GDB manual, "Remote Protocol")
over a socket. Only what reading a machine that stands still needs. The machine may be hostile: every
reply is bounded and checked, and whatever is not what was asked for is a RemoteError."""
import contextlib
import re
import select
import socket
import struct
import time

from atoll.errors import ToolError

REPLY_BYTES_MAX = 32768
READ_BYTES = 8000           # what one packet asks for; the stub gives at most 16384 / 2 - 8
DOCUMENT_BYTES_MAX = 8 << 20
THREADS_MAX = 1024
ANSWER_SECONDS = 60.0       # the stub itself gives up on a core after two
REPEAT_SECONDS = 1.0

# What packet g gives, in the order of target.xml (debug/describe.c).
_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
            "r13", "r14", "r15", "rip")
_REGISTERS = struct.Struct("<17Q I 6I 80s 8I 256s I 2Q 256s Q")


class RemoteError(ToolError):
    """The machine did not answer, or not as a stub does."""


class RemoteSilent(RemoteError):
    """The machine did not answer in time."""


class RemoteClosed(RemoteError):
    """The line has been closed: the machine is gone."""


class Registers:
    """The registers of one thread. general: {name: value}."""

    def __init__(self, data):
        fields = _REGISTERS.unpack(data)
        self.general = dict(zip(_GENERAL, fields))
        self.flags = fields[17]
        self.segments = fields[18:24]   # cs ss ds es fs gs
        self.x87 = fields[24]           # eight registers of ten bytes
        self.x87_control = fields[25:33]
        self.xmm, self.mxcsr, self.fs_base, self.gs_base, self.ymm_high = fields[33:38]


class Remote:
    """One conversation, over a connected socket."""

    def __init__(self, connection, answer_seconds=ANSWER_SECONDS):
        self._socket = connection
        self._answer_seconds = answer_seconds
        self._pending = bytearray()

    def close(self):
        self._socket.close()

    # ---- packets

    # @impl ATL-LLR-DEBUG-0700~1
    def send(self, body):
        text = b"".join(b"}" + bytes([byte ^ 0x20]) if byte in b"#$}*" else bytes([byte]) for byte in body)
        try:
            self._socket.sendall(b"$%s#%02x" % (text, sum(text) & 0xff))
        except OSError:
            raise RemoteClosed("the line to the machine's stub is closed") from None

    def interrupt(self):
        """Stops a machine that runs, as Ctrl-C of GDB does; its reply is a stop's."""
        self._socket.sendall(b"\x03")

    def _fill(self, deadline):
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([self._socket], [], [], wait)[0]:
            raise RemoteSilent("the machine's stub does not answer")
        try:
            data = self._socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            raise RemoteClosed("the line to the machine's stub is closed")
        self._pending += data

    # @impl ATL-LLR-DEBUG-0700~1
    def receive(self, deadline=None):
        """The body of the next packet; bytes outside of packets are acknowledgements."""
        while True:
            start = self._pending.find(b"$")
            end = self._pending.find(b"#", start) if start >= 0 else -1
            if start < 0:
                self._pending.clear()
            elif end >= 0 and len(self._pending) >= end + 3:
                text, claimed = bytes(self._pending[start + 1:end]), bytes(self._pending[end + 1:end + 3])
                del self._pending[:end + 3]
                if claimed != b"%02x" % (sum(text) & 0xff):
                    raise RemoteError("a reply of the machine's stub is damaged")
                return re.sub(rb"}(.)", lambda match: bytes([match[1][0] ^ 0x20]), text, flags=re.S)
            elif len(self._pending) - start > REPLY_BYTES_MAX:
                raise RemoteError("a reply of the machine's stub is too long")
            self._fill(deadline)

    def ask(self, body):
        self.send(body)
        return self.receive(time.monotonic() + self._answer_seconds)

    def order(self, body):
        """A packet whose answer is OK."""
        if self.ask(body) != b"OK":
            raise RemoteError(f"the machine's stub refuses {body[:20].decode('ascii', 'replace')}")

    # ---- the session

    def attach(self):
        """Stops the machine, if it runs, and makes this the debugger. What comes before the machine has
        its line is lost, so the greeting is repeated until it is answered; perhaps more than once then."""
        deadline = time.monotonic() + self._answer_seconds
        greeting = None
        while greeting is None:
            self.send(b"qSupported:swbreak+;hwbreak+")
            with contextlib.suppress(RemoteSilent):
                greeting = self.receive(min(deadline, time.monotonic() + REPEAT_SECONDS))
            if greeting is None and time.monotonic() > deadline:
                raise RemoteError("no stub of Atoll answers there")
        if b"vContSupported+" not in greeting:
            raise RemoteError("what answers there is no stub of Atoll")
        self.send(b"QStartNoAckMode")
        answer = greeting
        while answer == greeting:
            answer = self.receive(deadline)
        if answer != b"OK":
            raise RemoteError("what answers there is no stub of Atoll")

    def detach(self):
        """Lets the machine go on, without breakpoints of ours."""
        self.order(b"D")

    def pass_signals(self, signals):
        """Exceptions that become one of GDB's signals with these numbers are not told."""
        self.order(b"QPassSignals:" + b";".join(b"%x" % signal for signal in signals))

    def set_breakpoint(self, address):
        self.order(b"Z0,%x,1" % address)

    def go_on(self, action=b"c"):
        """Lets the machine go on, as packet vCont says it; the body of the reply that says why it stopped or ended, whenever
        that comes."""
        self.send(b"vCont;" + action)
        return self.receive()

    # ---- what is read

    def document(self, name):
        """The text of an object of packet qXfer."""
        found = bytearray()
        while len(found) <= DOCUMENT_BYTES_MAX:
            reply = self.ask(b"qXfer:%s:%x,%x" % (name, len(found), READ_BYTES))
            if reply[:1] not in (b"m", b"l"):
                raise RemoteError(f"the machine's stub has no {name.decode()}")
            found += reply[1:]
            if reply[:1] == b"l" or len(reply) == 1:
                return bytes(found)
        raise RemoteError(f"{name.decode()} of the machine's stub has no end")

    def registers(self, thread):
        """Of a thread by its number, which is selected from then on for memory as well."""
        self.order(b"Hg%x" % thread)
        return self._take_registers(self.ask(b"g"))

    def frame(self, thread):
        """As registers, of a thread whose kernel was interrupted: where it left for it."""
        return self._take_registers(self.ask(b"qAtollFrame:%x" % thread))

    def _take_registers(self, reply):
        try:
            return Registers(bytes.fromhex(reply.decode("ascii")))
        except (ValueError, UnicodeDecodeError, struct.error):
            raise RemoteError("the machine's stub does not give the registers of a thread") from None

    # @impl ATL-LLR-DEBUG-0700~1
    def memory(self, address, count):
        """`count` bytes as the selected thread's core sees them, or as many as can be read from the front."""
        found = bytearray()
        while len(found) < count:
            wanted = min(count - len(found), READ_BYTES)
            reply = self.ask(b"x%x,%x" % (address + len(found), wanted))
            if reply[:1] != b"b" or len(reply) > wanted + 1:
                return bytes(found)
            found += reply[1:]
            if len(reply) == 1:
                break
        return bytes(found)

    # @impl ATL-LLR-DEBUG-0707~1
    def open(self, path):
        """A file of the image, for file_part."""
        found = re.fullmatch(rb"F([0-9a-f]{1,8})", self.ask(b"vFile:open:%s,0,0" % path.encode().hex().encode()))
        if found is None:
            raise RemoteError(f"the machine has no {path}: this is no debug image")
        return int(found[1], 16)

    def file_part(self, descriptor, offset, count):
        found = bytearray()
        while len(found) < count:
            wanted = min(count - len(found), READ_BYTES)
            reply = self.ask(b"vFile:pread:%x,%x,%x" % (descriptor, wanted, offset + len(found)))
            parts = re.fullmatch(rb"F([0-9a-f]{1,8});(.*)", reply, re.S)
            if parts is None or not 0 < int(parts[1], 16) == len(parts[2]) <= wanted:
                raise RemoteError("the machine's stub does not give a file")
            found += parts[2]
        return bytes(found)

    def word(self, address):
        """Eight bytes as a number; None if they cannot be read."""
        data = self.memory(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else None

    def text(self, address, limit=256):
        """A string up to its NUL."""
        return self.memory(address, limit).split(b"\0")[0].decode("utf-8", "replace")


def connect(address):
    """A Remote at a path, or at a port of this machine."""
    family = socket.AF_INET if isinstance(address, int) else socket.AF_UNIX
    connection = socket.socket(family)
    try:
        connection.connect(("127.0.0.1", address) if isinstance(address, int) else str(address))
    except OSError as error:
        connection.close()
        raise ToolError(f"no machine answers there: {error.strerror}",
                        "give the port of a machine that ./atoll run --gdb PORT has started") from None
    return Remote(connection)
