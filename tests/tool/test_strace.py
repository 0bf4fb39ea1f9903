# SPDX-License-Identifier: Apache-2.0
"""What ./atoll live PORT strace makes of what a guest says: lines, whatever it says."""
import pathlib
import random
import tempfile
import unittest

import support  # noqa: F401  (sets the path)
from atoll.errors import ToolError
from atoll.live import calls, show, strace
from atoll.live.decode import PLAIN, POINTED, Call, takes
from atoll.live.takes import Takes

ROUNDS = 40


def record(number, kind=calls.ENTER, result=0, arguments=(0,) * 6, items=None, thread=1, time_ns=0):
    return calls.Record(0, time_ns, number, result, tuple(arguments), 1, thread, kind, "name", items or {})


class Table(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1001~1
    def test_every_type_is_known(self):
        known = set(PLAIN) | set(POINTED)
        for name in takes().calls:
            for argument in takes().arguments(name):
                self.assertTrue(argument.type in known or hasattr(Call, f"_show_{argument.type}"),
                                f"{name}: {argument.type}")

    def test_a_wrong_table_is_refused(self):
        text = ('calls = [{ number = 0, name = "read", state = "implemented", arguments = 3, part = "file" }]\n'
                '[takes]\nread = "%s"\n[types]\nbytes = [1, 32]\n')
        for row in ("fd, size", "fd, out bytes 7, size", "fd, out bytes result size, size", "fd, , size"):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "table.toml"
                path.write_text(text % row)
                self.assertRaises(ValueError, Takes, path)


class Values(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1001~1
    def test_as_strace_writes_them(self):
        for said, wanted in (
                (show.quote(b'a"\\\n\t\0' + b"1\x002\xff"), '"a\\"\\\\\\n\\t\\0001\\0002\\377"'),
                (show.mode(0o644), "0644"), (show.mode(0), "000"), (show.mode(7), "007"),
                (show.open_flags(0o2102), "O_RDWR|O_CREAT|O_APPEND"),
                (show.flags(0x100000002, {2: "TWO"}), "TWO|0x100000000"),
                (show.flags(0, {2: "TWO"}), "0"), (show.flags(8, {2: "TWO"}, "X_???"), "0x8 /* X_??? */"),
                (show.signal_set(0b110), "[INT QUIT]"), (show.signal_set((1 << 64) - 1), "~[]"),
                (show.error(-2), "-1 ENOENT (No such file or directory)"),
                (show.error(-512), "? ERESTARTSYS (To be restarted if SA_RESTART is set)"),
                (show.socket_address(b"\x01\x00\x00name"), '{sa_family=AF_UNIX, sun_path=@"name"}'),
                (show.socket_address(b"\x0a\x00\x1f\x90" + bytes(4) + bytes(15) + b"\1" + bytes(4)),
                 '{sa_family=AF_INET6, sin6_port=htons(8080), sin6_flowinfo=htonl(0), '
                 'inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}')):
            self.assertEqual(said, wanted)


class Hostile(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1001~1 @robust
    def test_any_record_is_a_line(self):
        """Each call with random numbers, and random bytes of any length where something is pointed to."""
        source = random.Random(1)
        for name, call in takes().calls.items():
            for _ in range(ROUNDS):
                values = [source.choice((0, 1, 2, 5, 9, 128, 1 << 31, (1 << 64) - 1, source.getrandbits(64)))
                          for _ in range(6)]
                items = {(i, part): source.randbytes(source.choice((0, 1, 2, 8, 16, 56, 64, 200)))
                         for i in range(6) for part in range(6) if source.random() < 0.6}
                begun = record(call["number"], arguments=values, items=items)
                ended = record(call["number"], calls.LEAVE, source.choice((0, 1, 64, -2, -512, -4000, 1 << 40)), values,
                               items)
                for shown in (Call(begun), Call(begun, ended), Call(None, ended)):
                    rest, result = shown.rest()
                    text = shown.beginning() + rest + result
                    self.assertTrue(text.startswith(name + "(") and text.isprintable(), text)

    # @verifies ATL-LLR-TOOL-1000~1 @robust
    def test_any_answer_is_records(self):
        source = random.Random(2)
        for _ in range(2000):
            content = bytearray(source.randbytes(152 * source.randrange(1, 8)))
            content[82] = source.randrange(5)
            content[81] = source.randrange(3)
            found = calls.record_of(0, bytes(content))
            if found is not None:
                self.assertIn(found.kind, (calls.ENTER, calls.LEAVE, calls.SIGNAL))


class Lines(unittest.TestCase):
    def setUp(self):
        self.said = []
        self.lines = strace.Lines(self.said.append)

    # @verifies ATL-LLR-TOOL-1000~1
    def test_calls_of_two_threads(self):
        for one in (record(39), record(110, thread=2), record(39, calls.LEAVE, 1), record(110, calls.LEAVE, 0, thread=2),
                    record(39), record(39, calls.LEAVE, 7)):
            self.lines.add(one)
        self.assertEqual([" ".join(line.split()) for line in self.said],
                         ["[1 name@0] getpid( <unfinished ...>", "[2 name@0] getppid( <unfinished ...>",
                          "[1 name@0] <... getpid resumed>) = 1", "[2 name@0] <... getppid resumed>) = 0",
                          "[1 name@0] getpid() = 7"])

    def test_what_does_not_fit_together(self):
        """An end without a beginning, a beginning behind another, an end of another call, a signal without data."""
        for one in (record(39, calls.LEAVE, 5), record(39), record(110), record(39, calls.LEAVE, 6),
                    record(77, calls.SIGNAL), record(2000), record(2000, calls.LEAVE, -38)):
            self.lines.add(one)
        self.lines.say_lost(3)
        self.lines.say_lost(3)
        self.lines.finish((1, 0, 9))
        self.assertIn("+++ 3 calls are missing: they came faster than the line takes them +++", self.said)
        self.assertEqual(self.said[-1], "+++ killed by SIGKILL +++")
        self.assertTrue(any("<... getpid resumed>) = ? <not seen>" in line for line in self.said))
        self.assertTrue(any("syscall_0x7d0(0, 0, 0, 0, 0, 0)" in line for line in self.said))


class Selection(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-1002~1
    def test_sets(self):
        self.assertEqual(strace.selected("trace=read,write"), {0, 1})
        self.assertEqual(strace.selected("read"), {0})
        every = strace.selected("all")
        self.assertEqual(strace.selected("trace=!read"), every - {0})
        self.assertLess(max(every), calls.NUMBERS)
        self.assertTrue({2, 257} <= strace.selected("%file") and 0 not in strace.selected("%file"))
        self.assertIn(41, strace.selected("trace=%network"))
        for wrong in ("trace=", "trace=reed", "trace=%nothing", "trace=read,"):
            self.assertRaises(ToolError, strace.selected, wrong)


if __name__ == "__main__":
    unittest.main()
