# SPDX-License-Identifier: Apache-2.0
"""--net and --mac: what is taken, what is refused and how, and QEMU's arguments."""
import argparse
import socket
import unittest

import support
from atoll.machine import MachineOptions, qemu_command
from atoll.net import check_forwards, mac_address, net_kind, net_setting

# text, what the message names
MISTAKES = [("", "''"), ("tap", "'tap'"), ("none,forward=1:2", "'forward=1:2'"), ("unix,forward=1:2", "'forward=1:2'"),
            ("user,", "''"), ("user,forward", "'forward'"), ("user,forward=80", "'forward=80'"),
            ("user,forward=a:80", "'forward=a:80'"), ("user,forward=0:80", "0 is no port"),
            ("user,forward=80:65536", "65536 is no port"), ("user,forward=1:2:3", "'forward=1:2:3'"),
            ("user,hostfwd=tcp::1-:2", "'hostfwd=tcp::1-:2'"),
            ("user,forward=80:1,forward=80:2", "port 80 of this machine is forwarded twice")]
MAC_MISTAKES = [("52:54:00:12:34", "write it as"), ("52:54:00:12:34:5g", "write it as"),
                ("52:54:00:12:34:56,x=y", "write it as"), ("53:54:00:12:34:56", "of a group"),
                ("00:00:00:00:00:00", "nobody's")]


class NetTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0800~1
    def test_settings(self):
        for text in ("none", "unix", "user", "user,forward=8080:80,forward=2222:22"):
            self.assertEqual(net_setting(text), text)
            self.assertEqual(net_kind(text), text[:4])
        self.assertEqual(mac_address("52:54:00:AB:cd:ef"), "52:54:00:ab:cd:ef")

    # @verifies ATL-LLR-TOOL-0800~1 @robust
    def test_mistakes_are_named(self):
        for check, mistakes in ((net_setting, MISTAKES), (mac_address, MAC_MISTAKES)):
            for text, part in mistakes:
                with self.subTest(text), self.assertRaises(argparse.ArgumentTypeError) as caught:
                    check(text)
                self.assertIn(part, str(caught.exception))

    # @verifies ATL-LLR-TOOL-0800~1
    def test_what_listens_does_so_on_loopback(self):
        for machine, device in (("q35", "virtio-net-pci"), ("microvm", "virtio-net-device")):
            options = MachineOptions(machine=machine, net=net_setting("user,forward=8080:80"),
                                     mac="52:54:00:00:00:01")
            command = qemu_command(options, "image")
            self.assertIn("user,id=net,hostfwd=tcp:127.0.0.1:8080-:80", command)
            words = next(word for word in command if word.startswith(device)).split(",")
            self.assertIn("netdev=net", words)
            self.assertIn("mac=52:54:00:00:00:01", words)
        self.assertNotIn("-netdev", qemu_command(MachineOptions(), "image"))

    # @verifies ATL-LLR-TOOL-0800~1 @robust
    def test_the_command_says_what_is_wrong(self):
        program = support.hello()
        done = support.run(support.ROOT / "atoll", "run", "--net", "user,forward=70000:1", program)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"70000 is no port", done.stderr)
        done = support.run(support.ROOT / "atoll", "pack", "--mac", "52:54:00:00:00:01", "-o",
                           support.FOLDER / "x", program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"add --net user", done.stderr)


if __name__ == "__main__":
    unittest.main()

    # @verifies ATL-LLR-TOOL-0801~1 @robust
    def test_what_cannot_work_is_refused_before_the_machine_starts(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for words, parts in (
                    (("--net", f"user,forward={port}:80"), (f"port {port} of this machine", "forward=PORT:80")),
                    (("--net", "user", "--neighbour", support.FOLDER / "shared"), ("give --net unix",)),
                    (("--net", "inet", "--neighbour", support.FOLDER / "shared"), ("give --net unix",))):
                with self.subTest(words):
                    done = support.run(support.ROOT / "atoll", "run", *words, support.hello())
                    self.assertEqual((done.returncode, done.stdout), (125, b""))
                    for part in parts:
                        self.assertIn(part, done.stderr.decode())
        check_forwards(f"user,forward={port}:80")  # nobody listens any more
