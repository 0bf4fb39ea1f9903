# SPDX-License-Identifier: Apache-2.0
"""The program's terminal in the tool, without a machine: keys, sizes, which streams, settings."""
import os
import pty
import struct
import termios
import unittest

import support
from atoll import terminal
from atoll.console import encode_keys, encode_size


class TerminalTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0160~1
    def test_keys_and_sizes_are_told_apart(self):
        self.assertEqual(encode_keys(b"a\xffb\xff\x01"), b"a\xff\xffb\xff\xff\x01")
        self.assertEqual(encode_size(24, 300), b"\xff\x01" + struct.pack("<HH", 24, 300))

    # @verifies ATL-LLR-TOOL-0161~1
    def test_no_terminal_without_one(self):
        code = ("import sys; sys.path.insert(0, 'tools'); from atoll.terminal import choose\n"
                "print(choose(None), choose(False), choose(True))")
        done = support.run("/usr/bin/python3", "-c", code, input=b"")
        self.assertEqual(done.stdout, b"None None (7, 24, 80, False)\n")

    # @verifies ATL-LLR-TOOL-0162~1
    def test_control_a_is_the_tools(self):
        keys = terminal.Keys(0)
        self.assertEqual(keys._without_escapes(b"a\x01\x01b\x01cd\x01"), b"a\x01b\x01cd")
        self.assertEqual(keys._without_escapes(b"\x01"), b"\x01")
        with self.assertRaises(KeyboardInterrupt):
            keys._without_escapes(b"e\x01x")

    # @verifies ATL-LLR-TOOL-0161~1
    def test_settings_come_back_after_an_error(self):
        keyboard, program = pty.openpty()
        before = termios.tcgetattr(program)
        saved = [os.dup(stream) for stream in (0, 1, 2)]
        try:
            for stream in (0, 1, 2):
                os.dup2(program, stream)
            with self.assertRaises(ValueError):
                with terminal.connected(7):
                    during = termios.tcgetattr(program)
                    raise ValueError
        finally:
            for stream, descriptor in enumerate(saved):
                os.dup2(descriptor, stream)
                os.close(descriptor)
        self.assertFalse(during[3] & (termios.ISIG | termios.ICANON | termios.ECHO))
        self.assertFalse(during[1] & termios.OPOST)
        self.assertEqual(termios.tcgetattr(program), before)
        os.close(keyboard)
        os.close(program)


if __name__ == "__main__":
    unittest.main()
