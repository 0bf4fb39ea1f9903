# SPDX-License-Identifier: Apache-2.0
"""--net, --mac, --ip and --pcap: what is taken, what is refused and how, and QEMU's arguments."""
import argparse
import socket
import unittest

import support
from atoll.address import check_addresses, encode_addresses, ip_setting
from atoll.errors import ToolError
from atoll.machine import MachineOptions, qemu_command
from atoll.manifest import read_manifest
from atoll.net import (check_capture, check_network, mac_address, mac_setting, mac_settings, net_kind, net_setting,
                       net_settings, where_to_reach)

# text, what the message names
MISTAKES = [("", "''"), ("bridge", "'bridge'"), ("none,forward=1:2", "'forward=1:2'"), ("unix,forward=1:2", "'forward=1:2'"),
            ("user,", "''"), ("user,forward", "'forward'"), ("user,forward=80", "'forward=80'"),
            ("user,forward=a:80", "'forward=a:80'"), ("user,forward=0:80", "0 is no port"),
            ("user,forward=80:65536", "65536 is no port"), ("user,forward=1:2:3", "'forward=1:2:3'"),
            ("user,hostfwd=tcp::1-:2", "'hostfwd=tcp::1-:2'"),
            ("user,forward=80:1,forward=80:2", "port 80 of this machine is forwarded twice")]
TAP_MISTAKES = [("tap", "tap=NAME"), ("tap=", "tap=NAME"), ("tap=a/b", "tap=NAME"), ("tap=sixteen_letters_", "tap=NAME"),
                ("tap=..", "tap=NAME"), ("tap=a b", "tap=NAME"), ("tap=a,", "queues=N"), ("tap=a,queues=x", "queues=N"),
                ("tap=a,queues=2,queues=2", "queues=N"), ("tap=a,forward=1:2", "queues=N"),
                ("tap=a,queues=0", "1 to 64"), ("tap=a,queues=65", "1 to 64")]
IP_MISTAKES = [("", "write ADDRESS/PREFIX"), ("10.0.0.2", "write ADDRESS/PREFIX"), ("host/24", "write ADDRESS/PREFIX"),
               ("10.0.0.2/255.255.255.0", "write ADDRESS/PREFIX"), ("10.0.0.256/24", "no address"),
               ("10.0.0.2/33", "no address"), ("fd00::1::2/64", "no address"), ("10.0.0.2/0", "prefix of 0"),
               ("0.0.0.0/24", "no machine"), ("127.0.0.1/8", "no machine"), ("224.0.0.1/24", "no machine"),
               ("255.255.255.255/24", "no machine"), ("::1/64", "no machine"), ("ff02::1/64", "no machine"),
               ("10.0.0.0/24", "10.0.0.0/24 itself"), ("10.0.0.255/24", "10.0.0.0/24 itself"),
               ("fe80::2/64", "of its link"), ("::ffff:10.0.0.2/64", "of its link"), ("fd00::2/48", "prefix of 64"),
               ("10.0.0.2/24,", "gateway=ADDRESS"), ("10.0.0.2/24,dns=10.0.0.1", "gateway=ADDRESS"),
               ("10.0.0.2/24,gateway=10.0.0.1,gateway=10.0.0.1", "once"), ("10.0.0.2/24,gateway=x", "no address"),
               ("10.0.0.2/24,gateway=fd00::1", "one of IPv4"), ("10.0.0.2/24,gateway=10.0.0.2", "the machine itself"),
               ("10.0.0.2/24,gateway=10.0.1.1", "not in the network"), ("fd00::2/64,gateway=fd01::1", "not in the network")]
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
        for check, mistakes in ((net_setting, MISTAKES), (mac_address, MAC_MISTAKES), (net_setting, TAP_MISTAKES),
                                (ip_setting, IP_MISTAKES)):
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

    # @verifies ATL-LLR-TOOL-1295~1
    def test_no_devices_in_the_manifest_are_no_setting(self):
        program = support.FOLDER / "no_devices" / "hello"
        program.parent.mkdir(exist_ok=True)
        program.write_bytes(support.hello().read_bytes())
        program.with_name("atoll.toml").write_text("net = []\n")
        done = support.run(support.ROOT / "atoll", "pack", "--neighbour", support.FOLDER / "shared", "-o",
                           support.FOLDER / "x", program)
        self.assertEqual(done.returncode, 0, done.stderr)

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

    # @verifies ATL-LLR-POLICY-0006~1 @robust
    def test_a_policy_needs_a_kernel_between_and_a_network(self):
        program = support.FOLDER / "policy" / "hello"
        program.parent.mkdir(exist_ok=True)
        program.write_bytes(support.hello().read_bytes())
        for text, options, part in (('net = "user"\nring = 0', (), b"and ring 0"), ('net = "user"', ("--ring", "0"), b"and ring 0"),
                                    ("", (), b"but no network")):
            program.with_name("atoll.toml").write_text(f"{text}\n[policy]\naddresses = ['10.0.2.15']\n")
            done = support.run(support.ROOT / "atoll", "pack", *options, "-o", support.FOLDER / "x", program)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(part, done.stderr)

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
        check_network(f"user,forward={port}:80", 1)  # nobody listens any more

    # @verifies ATL-LLR-TOOL-0950~1
    def test_a_tap_is_joined_with_its_queues(self):
        self.assertEqual(net_kind(net_setting("tap=t0,queues=2")), "tap")
        for machine, vectors in (("q35", True), ("microvm", False)):
            for setting, queues in (("tap=t0", 1), ("tap=t0,queues=1", 1), ("tap=t0,queues=4", 4)):
                command = qemu_command(MachineOptions(machine=machine, net=setting), "image")
                netdev = command[command.index("-netdev") + 1]
                self.assertEqual(netdev, "tap,id=net,ifname=t0,script=no,downscript=no,vhost=off"
                                 + (f",queues={queues}" if queues > 1 else ""))
                device = next(word for word in command if word.startswith("virtio-net")).split(",")
                self.assertEqual("mq=on" in device, queues > 1)
                self.assertEqual(f"vectors={2 * queues + 2}" in device, vectors and queues > 1)

    # @verifies ATL-LLR-TOOL-0954~1 @robust
    def test_frames_are_written_to_a_file(self):
        options = MachineOptions(net="user", pcap=str(support.FOLDER / "a,b.pcap"))
        self.assertIn(f"filter-dump,id=capture,netdev=net,file={support.FOLDER}/a,,b.pcap", qemu_command(options, "image"))
        for path, setting, part in (("x", None, "no network"), ("x", "inet", "no network"),
                                    ("x", "tap=t0,queues=2", "several queues"), ("/nowhere/x", "user", "No such file")):
            with self.subTest(setting), self.assertRaises(ToolError) as caught:
                check_capture(path, setting)
            self.assertIn(part, str(caught.exception))

    # @verifies ATL-LLR-TOOL-0952~1
    def test_addresses_are_packed(self):
        four, six = ip_setting("10.1.2.3/24,gateway=10.1.2.1"), ip_setting("fd00::3/64,gateway=fe80::1")
        self.assertEqual(encode_addresses([six, four]), bytes.fromhex(
            "18400000 0a010203 0a010201 fd000000000000000000000000000003 fe800000000000000000000000000001"))
        self.assertEqual(encode_addresses([ip_setting("10.0.0.0/31")]), bytes.fromhex("1f000000 0a000000") + bytes(36))

    # @verifies ATL-LLR-TOOL-0952~1 @robust
    def test_addresses_that_do_not_go_together(self):
        one, other = ip_setting("10.0.0.2/24"), ip_setting("10.0.0.3/24")
        of_second = ip_setting("eth1=10.0.1.2/24")
        for addresses, net, part in (([one, other], "tap=t0", "two addresses of IPv4"), ([one], "user", "no network"),
                                     ([one], None, "no network"), ([of_second], "tap=t0", "an address of eth1"),
                                     ([of_second], ("tap=t0", "user"), "an address of eth1"),
                                     ([of_second, of_second], ("user", "tap=t0"), "IPv4 of eth1")):
            with self.subTest(part), self.assertRaises(ToolError) as caught:
                check_addresses(addresses, net)
            self.assertIn(part, str(caught.exception))
        check_addresses([one, ip_setting("fd00::2/64")], "tap=t0")
        check_addresses([one, of_second], ("tap=t0", "tap=t1"))

    # @verifies ATL-LLR-TOOL-1295~1
    def test_several_devices_have_names_addresses_and_macs(self):
        nets = net_settings(["tap=t0", "user,forward=8080:80", "tap=t1,queues=2"])
        macs = mac_settings([mac_setting("52:54:00:00:00:01"), mac_setting("eth2=52:54:00:00:00:03")], nets)
        for machine in ("q35", "microvm"):
            command = qemu_command(MachineOptions(machine=machine, net=nets, mac=macs), "image")
            ends = [command[i + 1] for i, word in enumerate(command) if word == "-netdev"]
            self.assertEqual([end.split(",")[1] for end in ends], ["id=net", "id=net1", "id=net2"])
            self.assertIn("net=10.0.3.0/24", ends[1].split(","))
            fronts = [word.split(",") for word in command if word.startswith("virtio-net")]
            self.assertEqual([next(word for word in front if word.startswith("mac=")) for front in fronts],
                             ["mac=52:54:00:00:00:01", "mac=52:54:00:12:34:57", "mac=52:54:00:00:00:03"])
            self.assertEqual(["mq=on" in front for front in fronts], [False, False, True])
        for given, macs in ((["52:54:00:12:34:57"], ["57", "5b", "58"]),
                            (["eth2=52:54:00:12:34:56", "eth1=52:54:00:12:34:5A"], ["5e", "5a", "56"])):
            command = qemu_command(MachineOptions(net=nets, mac=mac_settings([mac_setting(mac) for mac in given], nets)), "image")
            fronts = [word for word in command if word.startswith("virtio-net")]
            self.assertEqual([front.partition("mac=52:54:00:12:34:")[2][:2] for front in fronts], macs)
        four, six = ip_setting("eth2=10.1.2.3/24"), ip_setting("fd00::3/64")
        packed = encode_addresses([four, six])
        self.assertEqual(len(packed), 3 * 44)
        self.assertEqual((packed[1], packed[44:88], packed[88:96]), (64, bytes(44), bytes.fromhex("180000000a010203")))
        self.assertEqual(where_to_reach(nets, [four]), [
            "port 8080 of 127.0.0.1 leads to the program's port 80",
            "the program asks on t0 for an address (DHCP; --ip gives one)", "the program is at 10.1.2.3 (t1)"])
        path = support.FOLDER / "nets.toml"
        path.write_text('net = ["tap=t0", "user"]\nmac = ["52:54:00:00:00:01", "eth1=52:54:00:00:00:02"]\n')
        settings = read_manifest(path)
        self.assertEqual(net_settings(settings["net"]), ("tap=t0", "user"))
        self.assertEqual(settings["mac"], [(0, "52:54:00:00:00:01"), (1, "52:54:00:00:00:02")])
        options = MachineOptions(net=("user", "user"), pcap=str(support.FOLDER / "frames"))
        self.assertIn(f"filter-dump,id=capture1,netdev=net1,file={support.FOLDER}/frames.eth1", qemu_command(options, "image"))

    # @verifies ATL-LLR-TOOL-1295~1 @robust
    def test_devices_that_do_not_go_together(self):
        for nets, part in ((["tap=a", "none"], "--net none"), (["inet", "user"], "--net inet"), (["user"] * 5, "5 networks"),
                           (["tap=a", "user", "tap=a,queues=2"], "the tap a"),
                           (["user,forward=80:1", "user,forward=80:2"], "80")):
            with self.subTest(part), self.assertRaises(ToolError) as caught:
                net_settings(nets)
            self.assertIn(part, str(caught.exception))
        one = mac_setting("eth1=52:54:00:00:00:01")
        for macs, net, part in (([one], "user", "of eth1"), ([one, one], ("user", "user"), "two MAC"), ([(0, one[1])], None, "no"),
                                ([one, (0, one[1])], ("user", "user"), f"two devices have the MAC address {one[1]}")):
            with self.subTest(part), self.assertRaises(ToolError) as caught:
                mac_settings(macs, net)
            self.assertIn(part, str(caught.exception))
        for text in ("eth4=52:54:00:00:00:01", "eth=52:54:00:00:00:01", "eth1=x"):
            with self.subTest(text), self.assertRaises(argparse.ArgumentTypeError):
                mac_setting(text)

    # @verifies ATL-LLR-TOOL-0950~1 ATL-LLR-TOOL-0952~1
    def test_the_manifest_has_the_same(self):
        path = support.FOLDER / "net.toml"
        path.write_text('net = "tap=t0"\nip = ["10.0.0.2/24", "fd00::2/64"]\npcap = "frames"\n')
        settings = read_manifest(path)
        self.assertEqual([str(a.interface) for a in settings["ip"]], ["10.0.0.2/24", "fd00::2/64"])
        self.assertEqual(settings["pcap"], str(support.FOLDER / "frames"))
        path.write_text('net = "tap=t0"\nip = "10.0.0.2"\n')
        with self.assertRaises(ToolError) as caught:
            read_manifest(path)
        self.assertIn("net.toml:2: ip: ", str(caught.exception))

    # @verifies ATL-LLR-TOOL-0953~1
    def test_where_the_program_is_reached(self):
        self.assertEqual(where_to_reach("user,forward=8080:80", []), ["port 8080 of 127.0.0.1 leads to the program's port 80"])
        both = [ip_setting("10.0.0.2/24"), ip_setting("fd00::2/64")]
        self.assertEqual(where_to_reach("tap=t0", both), ["the program is at 10.0.0.2 and fd00::2 (t0)"])
        self.assertIn("asks on t0", where_to_reach("tap=t0", [])[0])
        self.assertEqual(where_to_reach("inet", []), where_to_reach(None, []))

    # @verifies ATL-LLR-TOOL-0951~1 @robust
    def test_a_tap_that_cannot_be_used_is_refused(self):
        """In network namespaces of their own."""
        hold = (f"python3 -c 'import sys; sys.path.append(\"{support.ROOT}/tools\"); from atoll.tap import open_tap; "
                "import subprocess; tap = open_tap(\"t0\"); sys.exit(subprocess.call(sys.argv[1:]))' ")
        drop = "setpriv --bounding-set -net_admin --inh-caps -net_admin "
        add, up = "ip tuntap add dev t0 mode tap", "ip link set t0 up"
        for before, wrap, net, part in (
                ("true", "", "tap=t0", "there is no tap t0"),
                (add, "", "tap=t0", "the tap t0 is down"),
                (f"{add} && {up}", "", "tap=t0,queues=2 --cores 2", "not one for several queues"),
                (f"{add} multi_queue && {up}", "", "tap=t0", "is one for several queues"),
                ("true", "", "tap=lo", "lo is no tap"),
                ("ip tuntap add dev t0 mode tun", "", "tap=t0", "t0 is no tap"),
                (f"{add} && {up}", hold, "tap=t0", "another machine has the tap t0"),
                (f"{add} user 12345 && {up}", drop, "tap=t0", "another user's"),
                ("true", "", "tap=t0,queues=3 --cores 2", "3 queues for 2 cores")):
            with self.subTest(part):
                run = f"{wrap}{support.ROOT}/atoll run --net {net} {support.hello()}"
                done = support.run(*support.NAMESPACE, "sh", "-c", f"{before} && {run}")
                self.assertEqual((done.returncode, done.stdout), (125, b""), done.stderr)
                self.assertIn(part, done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
